"""Mistakes that a function of any exercise can have, told from its answers alone."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .calls import Outcome
from .compare import fingerprint, mismatch, same_fingerprint
from .records import Explanation, RecordedCase, RecordedExercise

HABITS = {
    "answer_changes": Explanation(
        "Called twice with the same arguments, the function gave two answers: something random is "
        "in it, such as dropout that is on, or a layer that is made anew in every call.",
        "There is no dropout here, and all weights come in as arguments.",
    ),
    "half_precision": Explanation(
        "The answer is right to a few digits, and every number of it fits into 16 bits: it was "
        "computed in half precision.",
        "The dtype follows the inputs: leave .half(), .bfloat16() and autocast out.",
    ),
}
HALF_TOLERANCE = 5e-2  # bfloat16 keeps 8 bits of a number, and a look-up adds up many
HALVES = (torch.float16, torch.bfloat16)


def habit(
    exercise: RecordedExercise, outcomes: list[Outcome], call: Callable[[RecordedCase], Outcome]
) -> str | None:
    """Name what ails a wrong function that equals no known mistake; a key of HABITS, or None.

    Args:
        outcomes: one for each case.
        call: asks the function once more.
    """
    core = [
        (case, outcome)
        for case, outcome in zip(exercise.cases, outcomes, strict=True)
        if case.kind == "value" and not case.promise
    ]
    if _changes(*core[-1], call):
        return "answer_changes"
    if all(_is_coarse(case, outcome) for case, outcome in core):
        return "half_precision"
    return None


def _changes(case: RecordedCase, before: Outcome, call: Callable) -> bool:
    again = call(case)
    return not again.final and not same_fingerprint(fingerprint(before), fingerprint(again))


def _is_coarse(case: RecordedCase, outcome: Outcome) -> bool:
    numbers = [t for t in _tensors(outcome.value) if t.dtype.is_floating_point]
    fits = any(all(t.to(half).to(t.dtype).equal(t) for t in numbers) for half in HALVES)
    return bool(numbers) and fits and not mismatch(case.expected, outcome.value, "", HALF_TOLERANCE)


def _tensors(value: Any) -> list[Tensor]:
    match value:
        case Tensor():
            return [value]
        case tuple() | list():
            return [tensor for item in value for tensor in _tensors(item)]
    return []
