"""Grade many submissions side by side: local processes, or a Dask cluster.

A task holds all that a worker needs, so a worker needs no file of the submissions. Only this
process, the coordinator, writes. A worker that dies costs no submission: Dask gives its tasks to
another one, and a broken pool of local processes is replaced.
"""

import logging
import secrets
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from os import cpu_count
from pathlib import Path

import torch
from tqdm import tqdm

from .confine import die_with_the_parent
from .errors import AutogradeError, GraderFault
from .grading import grade_library
from .journal import Journal, course_version, key
from .limits import Limits
from .loading import PACKAGE, read_package
from .results import ExerciseResult
from .sandbox import choose, choose_device

DEATHS = 3  # so often may a submission's process die before it is given up
AHEAD = 1  # tasks more than workers, so that none waits for its next


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


@dataclass(frozen=True)
class Task:
    """All that a worker needs in order to grade one submission, on whatever machine.

    Attributes:
        library: path below `mha_lib/` -> the file's bytes.
        device: to call its functions on.
        seed: of the hidden cases.
        limits: bounds on time and memory.
        course: the coordinator's `course_version`.
    """

    submission: Path
    library: dict[str, bytes]
    exercises: list[str] | None
    sandbox: str | None
    device: str
    seed: int
    limits: Limits
    course: str

    def key(self) -> str:
        return key(self.submission, self.library, self.exercises, self.sandbox)


def grade_all(
    submissions: Sequence[Path],
    *,
    assignment: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    sandbox: str | None = None,
    device: str = "cpu",
    seed: int | None = None,
    journal: Journal | None = None,
) -> tuple[dict[Path, Graded], dict[Path, str]]:
    """Grade each submission.

    Args:
        submissions: folders that hold `mha_lib/`.
        assignment: grade only its exercises.
        workers: processes, one a core by default.
        scheduler: address of a Dask scheduler that runs the work instead; its workers choose the
            strongest sandbox of their machines, unless one is named.
        sandbox: one of `sandbox.MODES`; by default the strongest that works here.
        device: to call submitted functions on, see `sandbox.choose_device`. No grade depends on it.
        seed: of the hidden cases; the journal's by default, or else a secret one.
        journal: what it holds is not graded again; what is graded is added to it.

    Returns:
        What is graded, in the order of the submissions; and why the rest could not be graded.

    Raises:
        AutogradeError: for a folder or assignment that isn't there, a sandbox that does not work
            here, or an unreachable scheduler.
        GraderFault: if no worker stays alive, or the scheduler does not.
    """
    mode = sandbox if scheduler else choose(sandbox)
    if not scheduler:
        choose_device(device, mode)
    for path in submissions:
        if not path.is_dir():
            raise AutogradeError(f"There is no submission folder {path}.")
    exercises = _exercises_of(assignment) if assignment else None
    if seed is None:
        seed = journal.seed if journal else secrets.randbits(63)
    graded, faults = {}, {}

    def task(path: Path) -> Task:
        library, place = read_package(path / PACKAGE), path.resolve()
        return Task(place, library, exercises, mode, device, seed, Limits(), course_version())

    paths = list(dict.fromkeys(submissions))
    known = journal.done if journal else {}
    if known:
        keys = {path: task(path).key() for path in paths}
        graded = {p: Graded.from_json(known[k]) for p, k in keys.items() if k in known}
    batch = Batch([path for path in paths if path not in graded], task)
    width = workers or min(cpu_count() or 1, len(batch.waiting) or 1)
    bar = tqdm(total=len(paths), initial=len(graded), unit="submission", desc="grading")
    with bar, closing(batch.outcomes(lambda: executor(width, scheduler))) as outcomes:
        for path, done, outcome in outcomes:
            if isinstance(outcome, Graded):
                graded[path] = outcome
                if journal:
                    journal.add(done.key(), outcome.to_json())
            else:
                faults[path] = outcome
            bar.update()
    return {path: graded[path] for path in paths if path in graded}, faults


def _exercises_of(assignment: str) -> list[str]:
    # Here, because it reads notebooks: what that takes to import is more than all the rest, and no
    # worker needs it.
    from .assignments import exercises_of

    return exercises_of(assignment)


class Batch:
    """Submissions on their way through an executor that may break.

    When a local process dies, its pool is gone and nobody says which task it worked on. A cluster
    goes on, but it, too, blames all that its dead worker had. Those that were under way are put
    aside and tried again at the end, one at a time: so a submission that kills its process is found
    out, and costs no other one its grade.
    """

    def __init__(self, paths: Sequence[Path], task: Callable[[Path], Task]):
        self.waiting, self.suspects, self.task = deque(paths), deque(), task
        self.deaths: Counter[Path] = Counter()

    def outcomes(self, open_executor: Callable) -> Iterator[tuple[Path, Task, Graded | str]]:
        """Yield each submission with its results, or why there are none."""
        while self.waiting or self.suspects:
            with open_executor() as (pool, width):
                if self.deaths:
                    _prove_alive(pool)
                yield from self._through(pool, width)

    def _through(self, pool: Executor, width: Callable[[], int]) -> Iterator:
        """Yield outcomes until all is done or the pool is broken."""
        running: dict[Future, tuple[Path, Task]] = {}
        broken = False
        while running or not broken:
            while not broken and (path := self._next(len(running), width())):
                task = self.task(path)
                try:
                    running[_submit(pool, _grade, task)] = path, task
                except BrokenExecutor:  # it broke just now: this one had no part in it
                    self.waiting.appendleft(path)
                    broken = True
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                path, task = running.pop(future)
                try:
                    yield path, task, future.result()
                except BrokenExecutor:
                    broken = True
                    yield from self._blame(path, task, 1)
                except AutogradeError as error:
                    yield path, task, str(error)
                except CancelledError:
                    yield path, task, "the scheduler gave it up."
                except Exception as error:
                    if type(error).__name__ != "KilledWorker":  # Dask's, which need not be here
                        raise
                    yield from self._blame(path, task, DEATHS - 1)

    def _next(self, running: int, width: int) -> Path | None:
        if self.waiting and running < width:
            return self.waiting.popleft()
        if self.suspects and not self.waiting and not running:
            return self.suspects.popleft()
        return None

    def _blame(self, path: Path, task: Task, deaths: int) -> Iterator:
        """Put a submission aside whose process may have died; give it up when it happens again."""
        self.deaths[path] += deaths
        if self.deaths[path] < DEATHS:
            self.suspects.append(path)
        else:
            yield path, task, "the process that grades it dies, again and again."


def _prove_alive(pool: Executor) -> None:
    """Raise GraderFault if a new pool's processes die before they have anything to grade."""
    try:
        _submit(pool, course_version).result()
    except BrokenExecutor as error:
        raise GraderFault(f"The grader's processes die as soon as they start: {error}") from None


def _submit(pool: Executor, function: Callable, *args) -> Future:
    """Submit with Ctrl-C held back: a process that starts now inherits that.

    In a terminal Ctrl-C goes to all of our processes. It is for this one to stop the others.
    """
    if not hasattr(signal, "pthread_sigmask"):
        return pool.submit(function, *args)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(function, *args)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def executor(workers: int, scheduler: str | None) -> Iterator[tuple[Executor, Callable[[], int]]]:
    """Local processes, or a Dask cluster through its own executor interface.

    Yields it, and a function that says how many tasks it can use at a time.
    """
    if scheduler:
        with _cluster(scheduler) as pool_and_width:
            yield pool_and_width
        return
    others = active_children()
    # A fresh interpreter each: a fork of a process that has used PyTorch can hang.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=die_with_the_parent) as pool:
        try:
            yield pool, lambda: workers + AHEAD
        except BaseException:  # Ctrl-C: at once, whatever they are at
            for process in active_children():
                if process not in others:
                    process.kill()
            raise


@contextmanager
def _cluster(scheduler: str) -> Iterator[tuple[Executor, Callable[[], int]]]:
    with _client(scheduler) as client:
        gone = GraderFault(f"The Dask scheduler at {scheduler} is gone.")

        def width() -> int:
            if client.status != "running":  # it would wait for long, and has lost what it had
                raise gone
            return sum(client.nthreads().values()) + AHEAD

        try:
            yield client.get_executor(pure=False), width
        except Exception as error:
            if isinstance(error, OSError) or client.status != "running":
                raise gone from None
            raise


def _client(scheduler: str):
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise AutogradeError("--scheduler needs Dask: pip install distributed.") from None
    for name in ("distributed", "distributed.client"):  # tracebacks of what we tell in a sentence
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return Client(scheduler, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise AutogradeError(f"No Dask scheduler answers at {scheduler}: {error}") from None


def _grade(task: Task) -> Graded:
    if task.course != course_version():
        raise GraderFault("a worker has another version of the course: install the same on all.")
    torch.set_num_threads(1)  # as many processes as cores, so one thread each
    mode = choose(task.sandbox)
    results = grade_library(
        task.library,
        exercises=task.exercises,
        seed=task.seed,
        limits=task.limits,
        sandbox=mode,
        device=task.device,
    )
    return Graded(results, mode)
