"""Recorded cases: all that a check needs to know, without the reference.

An exercise is recorded from its author's entry and the reference (`autograde/exercises/`): inputs,
expected outputs, and a fingerprint of each known wrong answer. The visible cases are recorded by
`autograde build` into `autograde/recorded/`; the hidden ones are recorded by the trusted grader, in
memory, from a seed of its own. Checking works the same way on both.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import load

from .compare import Fingerprint
from .errors import AutogradeError
from .values import flatten, restore, tensor_bytes

RECORDED = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class RecordedCase:
    """One call and what should come of it.

    Attributes:
        name: what the case looks at, in words a learner reads.
        kind: "value" compares the result; "raises" wants a ValueError that mentions `mentions`;
            "unchanged" wants the arguments left as they were.
        promise: 0 for a case that the exercise stands or falls with, else the share of the points
            that this promise of the docstring is worth.
    """

    name: str
    kind: Literal["value", "raises", "unchanged"]
    promise: float
    tolerance: float
    args: dict[str, Any]
    expected: Any = None
    mentions: tuple[str, ...] = ()
    fingerprints: Mapping[str, Fingerprint] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """What a known mistake is, and a hint at its cure."""

    says: str
    hint: str


@dataclass(frozen=True)
class RecordedExercise:
    name: str
    points: float
    returns: tuple[str, ...]
    cases: tuple[RecordedCase, ...]
    explanations: dict[str, Explanation]
    library_calls: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        return self.name.split(".")[0]

    @property
    def function(self) -> str:
        return self.name.split(".")[1]


def write(exercises: list[RecordedExercise]) -> tuple[str, bytes]:
    """Write exercises as JSON text and the bytes of their tensors."""
    tensors: dict = {}
    entries = []
    for exercise in exercises:
        entry = asdict(exercise)
        for case, recorded in zip(entry["cases"], exercise.cases, strict=True):
            case["fingerprints"] = dict(recorded.fingerprints)
            case["args"] = flatten(recorded.args, tensors)
            case["expected"] = flatten(recorded.expected, tensors)
        entries.append(entry)
    lines = ",\n".join(json.dumps(entry) for entry in entries)  # a line an exercise
    return f"[\n{lines}\n]\n", tensor_bytes(tensors)


def read(text: str, blob: bytes) -> list[RecordedExercise]:
    """Undo `write`."""
    tensors = load(blob)
    return [_exercise(entry, tensors) for entry in json.loads(text)]


def _exercise(entry: dict, tensors: dict) -> RecordedExercise:
    cases = tuple(
        RecordedCase(
            **{
                **case,
                "args": restore(case["args"], tensors),
                "expected": restore(case["expected"], tensors),
                "mentions": tuple(case["mentions"]),
            }
        )
        for case in entry["cases"]
    )
    explanations = {key: Explanation(**value) for key, value in entry["explanations"].items()}
    lists = {key: tuple(entry[key]) for key in ("returns", "library_calls")}
    return RecordedExercise(**{**entry, **lists, "cases": cases, "explanations": explanations})


@cache
def visible() -> dict[str, RecordedExercise]:
    """The recorded visible cases of every exercise, in course order.

    Raises:
        AutogradeError: if they were never built.
    """
    if not (RECORDED / "order.json").is_file():
        raise AutogradeError("The recorded cases are missing; `autograde build` makes them.")
    order = json.loads((RECORDED / "order.json").read_text(encoding="utf-8"))
    found = {}
    for module in order:
        text = (RECORDED / f"{module}.json").read_text(encoding="utf-8")
        blob = (RECORDED / f"{module}.safetensors").read_bytes()
        found.update({exercise.name: exercise for exercise in read(text, blob)})
    return found


def visible_exercise(name: str) -> RecordedExercise:
    """Find one exercise by name.

    Raises:
        AutogradeError: if there is none, with the names that come near.
    """
    known = visible()
    if name in known:
        return known[name]
    from rapidfuzz import process

    near = ", ".join(match for match, *_ in process.extract(str(name), list(known), limit=3))
    raise AutogradeError(f"There is no exercise {name!r}. Did you mean one of: {near}?")
