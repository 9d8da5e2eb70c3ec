"""Grade a submission: the trusted side, with the reference and the hidden cases."""

import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from . import sandbox as sandboxes
from .errors import AutogradeError
from .exercises import EXERCISES
from .exercises.entry import record
from .judge import conclude
from .limits import Limits
from .loading import PACKAGE, read_package
from .records import RecordedExercise
from .results import ExerciseResult
from .session import Session, pack_calls
from .source import library_remark


@cache
def hidden(exercise: str, seed: int) -> RecordedExercise:
    """The hidden cases of one exercise: the visible ones' builders, other sizes and numbers."""
    return record(EXERCISES[exercise], seed)


@cache
def secret_seed() -> int:
    """A seed that nobody knows, drawn once in the life of this process."""
    return secrets.randbits(63)


def draw_new_cases() -> None:
    """Grade on other hidden cases from now on.

    A message tells a number of a case. Whoever submits again and again to a process that lives for
    long would learn a case number by number, if it stayed the same.
    """
    for kept in (secret_seed, hidden, _request):
        kept.cache_clear()


def grade_submission(
    directory: Path,
    *,
    exercises: Sequence[str] | None = None,
    seed: int | None = None,
    limits: Limits | None = None,
    sandbox: str | None = None,
    device: str = "cpu",
) -> dict[str, ExerciseResult]:
    """Grade the `mha_lib` of one submission, which is read once: see `grade_library`.

    Args:
        directory: the folder that holds `mha_lib/`.
    """
    library = read_package(directory / PACKAGE)
    return grade_library(
        library, exercises=exercises, seed=seed, limits=limits, sandbox=sandbox, device=device
    )


def grade_library(
    library: Mapping[str, bytes],
    *,
    exercises: Sequence[str] | None = None,
    seed: int | None = None,
    limits: Limits | None = None,
    sandbox: str | None = None,
    device: str = "cpu",
) -> dict[str, ExerciseResult]:
    """Grade a submitted `mha_lib`. Nothing that a submission does raises here.

    Earlier exercises are graded along the way, though not reported, so that one mistake is not
    punished twice: the reference answers for a function that failed its own exercise.

    Args:
        library: path below `mha_lib/` -> the file's bytes.
        exercises: names to report, all by default.
        seed: of the hidden cases; a secret one by default.
        limits: bounds on submitted code.
        sandbox: one of `sandbox.MODES`, e.g. "off"; by default the strongest that works here.
        device: to call submitted functions on; the reference answers on the CPU, in float64.

    Raises:
        AutogradeError: if an exercise is unknown, or the sandbox does not work on this machine, or
            keeps the device away.
        GraderFault: if the runner can't be started, or its sandbox does not hold.
    """
    wanted = list(EXERCISES) if exercises is None else list(exercises)
    if unknown := [name for name in wanted if name not in EXERCISES]:
        raise AutogradeError(
            f"There is no exercise {unknown[0]!r}; there are {', '.join(EXERCISES)}."
        )
    order = list(EXERCISES)
    plan = order[: max((order.index(name) for name in wanted), default=-1) + 1]
    seed = secret_seed() if seed is None else seed
    results, mode = {}, sandboxes.choose(sandbox)
    device = sandboxes.choose_device(device, mode)
    with Session(library, plan, limits or Limits(), mode, device) as session:
        for name in plan:
            results[name] = _grade(name, seed, session)
            if not results[name].passed:
                session.stand_in(name, EXERCISES[name].reference)
    return {name: _with_remark(results[name], library) for name in wanted}


def _grade(name: str, seed: int, session: Session) -> ExerciseResult:
    exercise = hidden(name, seed)
    outcomes = session.calls(name, _request(name, seed), len(exercise.cases))
    return conclude(exercise, outcomes, lambda case: session.call(name, case.args))


@cache
def _request(name: str, seed: int) -> bytes:
    return pack_calls(name, [case.args for case in hidden(name, seed).cases])


def _with_remark(result: ExerciseResult, library: Mapping[str, bytes]) -> ExerciseResult:
    exercise = EXERCISES[result.exercise]
    if not result.passed or not exercise.library_calls:
        return result
    text = library.get(f"{exercise.module}.py", b"").decode("utf-8", "replace")
    return result.with_remark(library_remark(text, exercise.name, exercise.library_calls))
