"""What an author writes for one exercise, and how it becomes recorded cases."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograde.calls import Outcome, invoke
from autograde.compare import TOLERANCE, Fingerprint, fingerprint
from autograde.records import Explanation, RecordedCase, RecordedExercise

NOWHERE = Path("/")  # wrong versions are ours: no traceback of theirs is ever shown


class Draw:
    """Sizes and numbers for a case. The same seed gives the same on every machine.

    The pools of B, h, T and d are disjoint and D is odd while d is even, so all five differ, and so
    does h·d from D; no size is a power of 4, whose root could be taken for another size.
    """

    def __init__(self, *seed: int):
        self.rng = np.random.default_rng(seed)
        self.B = self.one_of(2, 3)
        self.h = self.one_of(*{3, 5} - {self.B})
        self.T, self.T_k = self.two_of(7, 9, 11)
        self.d, self.d_v = self.two_of(6, 8, 10, 12)
        self.D = self.one_of(19, 23, 29, 31)

    def one_of(self, *choices: int) -> int:
        return int(self.rng.choice(sorted(choices)))

    def two_of(self, *choices: int) -> tuple[int, int]:
        one, other = self.rng.choice(sorted(choices), size=2, replace=False)
        return int(one), int(other)

    def normal(self, *shape: int, std: float = 1.0) -> Tensor:
        """Float32 tensor, N(0, std²), on a grid that float32 holds exactly."""
        values = self.rng.standard_normal(shape) * std
        return torch.from_numpy(np.round(values * 2**16) / 2**16).float()

    def weight(self, rows: int, columns: int) -> Tensor:
        """A projection, N(0, 1)/sqrt(rows)."""
        return self.normal(rows, columns, std=rows**-0.5)

    def mask(self, *shape: int) -> Tensor:
        """Boolean, about two thirds True, at least one True and one False in each row."""
        mask = self.rng.random(shape) < 0.65
        blocked = self.rng.integers(shape[-1], size=(*shape[:-1], 1))
        np.put_along_axis(mask, blocked, False, axis=-1)
        np.put_along_axis(mask, (blocked + 1) % shape[-1], True, axis=-1)
        return torch.from_numpy(mask)


@dataclass(frozen=True)
class Case:
    """One call, made anew from each seed.

    Attributes:
        name: what the case looks at, in words a learner reads.
        args: draws the arguments, in the function's order.
        kind, promise: see `RecordedCase`.
        mentions: for "raises", the numbers the message must name, from the arguments.
        tolerance: wider only where float32 itself can't hold the answer any better.
    """

    name: str
    args: Callable[[Draw], dict[str, Any]]
    kind: str = "value"
    promise: float = 0.0
    mentions: Callable[[dict[str, Any]], tuple] = lambda args: ()
    tolerance: float = TOLERANCE


@dataclass(frozen=True)
class Misconception:
    """A known mistake: a wrong version that runs, what it does, and a hint at the cure."""

    name: str
    function: Callable
    says: str
    hint: str


@dataclass(frozen=True)
class Exercise:
    """One function a learner writes.

    Attributes:
        name: "module.function".
        points: what it is worth.
        reference: the solved function.
        returns: a name for each thing it returns.
        cases: shape first, then the parts that can be isolated, then the whole.
        misconceptions: known wrong versions; each must fail.
        equivalents: right versions written another way; each must pass.
        library_calls: spellings of the library's own version, remarked on in the feedback.
    """

    name: str
    points: float
    reference: Callable
    returns: tuple[str, ...]
    cases: tuple[Case, ...]
    misconceptions: tuple[Misconception, ...]
    equivalents: dict[str, Callable]
    library_calls: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        return self.name.split(".")[0]


def record(exercise: Exercise, seed: int) -> RecordedExercise:
    """Draw every case from `seed`, ask the reference, and take each wrong answer's fingerprint."""
    return RecordedExercise(
        name=exercise.name,
        points=exercise.points,
        returns=exercise.returns,
        cases=tuple(_record_case(exercise, i, seed) for i in range(len(exercise.cases))),
        explanations={m.name: Explanation(m.says, m.hint) for m in exercise.misconceptions},
        library_calls=exercise.library_calls,
    )


def _record_case(exercise: Exercise, index: int, seed: int) -> RecordedCase:
    case = exercise.cases[index]
    # The name goes into the seed: two exercises never share a case's numbers.
    args = case.args(Draw(seed, index, *exercise.name.encode()))
    return RecordedCase(
        name=case.name,
        kind=case.kind,
        promise=case.promise,
        tolerance=case.tolerance,
        args=args,
        expected=_expected(exercise, case, args),
        mentions=tuple(str(m) for m in case.mentions(args)),
        fingerprints=Fingerprints(exercise.misconceptions, args, case.kind == "unchanged"),
    )


class Fingerprints(Mapping[str, Fingerprint]):
    """Fingerprints of the known wrong answers to one case, made when one is looked for.

    A right answer needs none, and they are nine tenths of the work of recording.
    """

    def __init__(self, mistakes: tuple[Misconception, ...], args: dict[str, Any], changes: bool):
        self.mistakes, self.args, self.changes = mistakes, args, changes

    @cached_property
    def _made(self) -> dict[str, Fingerprint]:
        return {
            m.name: fingerprint(invoke(m.function, self.args, NOWHERE), of_changes=self.changes)
            for m in self.mistakes
        }

    def __getitem__(self, name: str) -> Fingerprint:
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self.mistakes)


def _expected(exercise: Exercise, case: Case, args: dict[str, Any]) -> Any:
    """What the reference gives in float64."""
    outcome: Outcome = invoke(exercise.reference, {k: _double(v) for k, v in args.items()}, NOWHERE)
    if case.kind == "raises":
        if outcome.error is None or outcome.error.type_name != "ValueError":
            raise AssertionError(
                f"{exercise.name}, {case.name}: the reference must raise ValueError"
            )
        return None
    if outcome.error:
        raise AssertionError(f"{exercise.name}, {case.name}: the reference fails: {outcome.error}")
    return None if case.kind == "unchanged" else outcome.value


def _double(value: Any) -> Any:
    match value:
        case Tensor() if value.is_floating_point():
            return value.double()
        case list():
            return [_double(item) for item in value]
        case dict():
            return {key: _double(item) for key, item in value.items()}
    return value
