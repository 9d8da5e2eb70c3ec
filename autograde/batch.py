"""Grade many submissions side by side."""

from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

import torch
from tqdm import tqdm

from .assignments import exercises_of
from .confine import die_with_the_parent
from .errors import AutogradeError, GraderFault
from .grading import grade_submission
from .journal import Journal, key
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

    @classmethod
    def from_json(cls, entry: dict) -> "Graded":
        """Undo `to_json`."""
        exercises = {
            name: ExerciseResult(exercise=name, **fields)
            for name, fields in entry["exercises"].items()
        }
        return cls(exercises, entry["sandbox"])


def grade_all(
    submissions: Sequence[Path],
    *,
    assignment: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    sandbox: str | None = None,
    journal: Journal | None = None,
) -> dict[Path, Graded]:
    """Grade each submission; the results come in the order of the submissions.

    Args:
        submissions: folders that hold `mha_lib/`.
        assignment: grade only its exercises.
        workers: processes, one a core by default.
        scheduler: address of a Dask scheduler that runs the work instead; its workers choose the
            strongest sandbox of their machines, unless one is named.
        sandbox: one of `sandbox.MODES`; by default the strongest that works here.
        journal: what it holds is not graded again; what is graded is added to it.

    Raises:
        AutogradeError: for a folder or assignment that isn't there, a sandbox that does not work
            here, or an unreachable scheduler.
        GraderFault: if some submissions could not be graded, after all others have been.
    """
    mode = sandbox if scheduler else choose(sandbox)
    for path in submissions:
        if not path.is_dir():
            raise AutogradeError(f"There is no submission folder {path}.")
    exercises = exercises_of(assignment) if assignment else None
    keys = {path: key(path, exercises, mode) for path in submissions}
    known = journal.done if journal else {}
    done = {path: Graded.from_json(known[keys[path]]) for path in keys if keys[path] in known}
    waiting = [path for path in keys if path not in done]
    faults = {}
    with executor(workers or min(cpu_count() or 1, len(waiting) or 1), scheduler) as pool:
        futures = {pool.submit(_grade, path.resolve(), exercises, mode): path for path in waiting}
        bar = tqdm(as_completed(futures), total=len(waiting), unit="submission", desc="grading")
        for future, path in ((future, futures[future]) for future in bar):
            try:
                done[path] = future.result()
            except (GraderFault, BrokenExecutor) as error:
                faults[path] = str(error)
            else:
                if journal:
                    journal.add(keys[path], done[path].to_json())
    if faults:
        raise GraderFault(_told(faults, len(submissions), journal))
    return {path: done[path] for path in submissions}


def _told(faults: dict[Path, str], total: int, journal: Journal | None) -> str:
    path, why = next(iter(faults.items()))
    kept = " Run the same command again: what is graded is kept." if journal else ""
    return f"{len(faults)} of {total} submissions could not be graded, e.g. {path}: {why}{kept}"


@contextmanager
def executor(workers: int, scheduler: str | None) -> Iterator[Executor]:
    """Local processes, or a Dask cluster through its own executor interface."""
    if not scheduler:
        # A fresh interpreter each: a fork of a process that has used PyTorch can hang.
        spawn = get_context("spawn")
        with ProcessPoolExecutor(workers, spawn, initializer=die_with_the_parent) as pool:
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
