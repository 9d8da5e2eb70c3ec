"""Grade many submissions side by side."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

import torch
from tqdm import tqdm

from .assignments import exercises_of
from .errors import AutogradeError
from .grading import grade_submission
from .results import ExerciseResult
from .sandbox import choose


@dataclass(frozen=True)
class Graded:
    """The results of one submission, and the sandbox that its code ran in."""

    exercises: dict[str, ExerciseResult]
    sandbox: str

    def to_json(self) -> dict:
        """The fields of an entry of `autograde grade --json`, but for the submission's name."""
        exercises = {name: result.to_json() for name, result in self.exercises.items()}
        return {"sandbox": self.sandbox, "exercises": exercises}


def grade_all(
    submissions: Sequence[Path],
    *,
    assignment: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    sandbox: str | None = None,
) -> dict[Path, Graded]:
    """Grade each submission; the results come in the order of the submissions.

    Args:
        submissions: folders that hold `mha_lib/`.
        assignment: grade only its exercises.
        workers: processes, one a core by default.
        scheduler: address of a Dask scheduler that runs the work instead; its workers choose the
            strongest sandbox of their machines, unless one is named.
        sandbox: one of `sandbox.MODES`; by default the strongest that works here.

    Raises:
        AutogradeError: for a folder or assignment that isn't there, a sandbox that does not work
            here, or an unreachable scheduler.
    """
    mode = sandbox if scheduler else choose(sandbox)
    for path in submissions:
        if not path.is_dir():
            raise AutogradeError(f"There is no submission folder {path}.")
    exercises = exercises_of(assignment) if assignment else None
    with executor(workers or min(cpu_count() or 1, len(submissions)), scheduler) as pool:
        futures = {
            pool.submit(_grade, path.resolve(), exercises, mode): path for path in submissions
        }
        bar = tqdm(as_completed(futures), total=len(futures), unit="submission", desc="grading")
        done = {futures[future]: future.result() for future in bar}
    return {path: done[path] for path in submissions}


@contextmanager
def executor(workers: int, scheduler: str | None) -> Iterator[Executor]:
    """Local processes, or a Dask cluster through its own executor interface."""
    if not scheduler:
        # A fresh interpreter each: a fork of a process that has used PyTorch can hang.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield pool
        return
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise AutogradeError("--scheduler needs Dask: pip install distributed.") from None
    try:
        client = Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        raise AutogradeError(f"No Dask scheduler answers at {scheduler}: {error}") from None
    with client:
        yield client.get_executor()


def _grade(path: Path, exercises: list[str] | None, sandbox: str | None) -> Graded:
    torch.set_num_threads(1)  # as many processes as cores, so one thread each
    mode = choose(sandbox)
    return Graded(grade_submission(path, exercises=exercises, sandbox=mode), mode)
