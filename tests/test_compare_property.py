"""No output other than a correct one is ever passed.

Right results of the recorded cases are spoilt in every way that hypothesis comes up with; what a
spoilt one is follows from how it was made, or is worked out anew in plain numpy.
"""

import math
from itertools import pairwise

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autograde.calls import CallError, Outcome
from autograde.compare import TOLERANCE
from autograde.judge import fault, verdict
from autograde.records import visible
from autograde.values import Other

EXERCISES = list(visible().values())
CASES = [
    (exercise, case)
    for exercise in EXERCISES
    for case in exercise.cases
    if case.kind == "value" and case.expected is not None
]
ODD = [math.nan, math.inf, -math.inf]


def parts(value):
    """The tensors and numbers of a result with a way to put another one in the place of each."""
    if isinstance(value, tuple | list):
        for i, item in enumerate(value):
            for part, put in parts(item):
                yield (
                    part,
                    lambda new, i=i, put=put: type(value)([*value[:i], put(new), *value[i + 1 :]]),
                )
    elif isinstance(value, dict):
        for key, item in value.items():
            for part, put in parts(item):
                yield part, lambda new, key=key, put=put: {**value, key: put(new)}
    else:
        yield value, lambda new: new


def spoil(draw, part, tolerance):
    """Something that is not `part`, and not within the tolerance of it."""
    if isinstance(part, torch.Tensor):
        return _spoil_tensor(draw, part, tolerance)
    if isinstance(part, bool) or part is None or isinstance(part, str):
        return draw(st.sampled_from([not part, "", 3, [part], Other("bool")]))
    if isinstance(part, int):
        return draw(
            st.integers().filter(lambda n: n != part)
            | st.sampled_from([part + 0.5, str(part), [part], None, True, Other("int"), *ODD])
        )
    factor = 1 + draw(st.floats(3, 1e6)) * max(tolerance, TOLERANCE)
    return draw(st.sampled_from([part * factor + tolerance, str(part), [part], None, True, *ODD]))


def _spoil_tensor(draw, x, tolerance):
    ways = ["shape", "kind", "object", "entry"]
    way = draw(st.sampled_from([*ways, "noise"] if x.is_floating_point() else ways))
    if way == "shape":
        others = [x[None], x[..., None], x.flatten(), x[:0], x[:1], x.transpose(0, -1), x.sum()]
        return draw(st.sampled_from([o for o in others if o.shape != x.shape]))
    if way == "kind":
        others = [
            x.bool(),
            x.long(),
            x.double(),
            x.to(torch.complex64),
            x.double().numpy().tolist(),
        ]
        kinds = [
            (t.is_floating_point(), t.is_complex(), t.dtype == torch.bool) for t in others[:-1]
        ]
        mine = (x.is_floating_point(), x.is_complex(), x.dtype == torch.bool)
        return draw(
            st.sampled_from([o for o, k in zip(others, [*kinds, None], strict=True) if k != mine])
        )
    if way == "object":
        return draw(st.sampled_from([None, True, "tensor", {}, [], Other("Tensor"), 0.0, 10**400]))
    y = x.clone()
    if way == "noise":
        noise = torch.randn(
            x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(draw(SEEDS))
        )
        size = draw(st.floats(1.5, 1e6)) * max(tolerance, TOLERANCE)
        return y + noise * size * max(x.norm(), tolerance) / noise.norm()
    where = draw(st.integers(0, x.numel() - 1))
    flat = y.view(-1)
    if x.dtype == torch.bool:
        flat[where] = ~flat[where]
    elif not x.is_floating_point():
        flat[where] += draw(st.sampled_from([1, -1, 1000]))
    else:
        flat[where] = draw(st.sampled_from([*ODD, float(flat[where]) + float(x.norm()) + 1.0]))
    return y


SEEDS = st.integers(0, 2**32)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_spoilt_result_is_never_passed(data):
    exercise, case = data.draw(st.sampled_from(CASES))
    choices = [pair for pair in parts(case.expected) if _has_entries(pair[0])]
    assume(choices)
    part, put = data.draw(st.sampled_from(choices))
    spoilt = put(spoil(data.draw, part, case.tolerance))
    assert fault(case, Outcome(value=spoilt), exercise), spoilt


def _has_entries(part) -> bool:
    return not isinstance(part, torch.Tensor) or (part.numel() > 0 and part.dim() > 0)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_too_many_or_too_few_parts_are_never_passed(data):
    exercise, case = data.draw(
        st.sampled_from(
            [pair for pair in CASES if isinstance(pair[1].expected, tuple | list | dict)]
        )
    )
    right = case.expected
    if isinstance(right, dict):
        key = data.draw(st.sampled_from(list(right)))
        others = [{k: v for k, v in right.items() if k != key}, {**right, "more": 0}, list(right)]
    else:
        others = [right[:-1], [*right, right[-1:]], dict.fromkeys("ab"), *right[:1]]
        others = [other for other in others if other != right or type(other) is not type(right)]
    assume(len(right) > 0)
    spoilt = data.draw(st.sampled_from(others))
    assert fault(case, Outcome(value=spoilt), exercise), spoilt


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_an_answer_to_another_case_is_passed_only_if_it_is_the_same_answer(data):
    """Memorised answers: the comparison agrees with numpy's on every pair of cases."""
    exercise = data.draw(st.sampled_from(EXERCISES))
    cases = [case for case in exercise.cases if case.kind == "value"]
    assume(len(cases) > 1)
    one, other = data.draw(st.sampled_from(list(pairwise(cases))))
    passed = fault(one, Outcome(value=other.expected), exercise) is None
    assert passed == _same(one.expected, other.expected, one.tolerance)


def _same(one, other, tolerance) -> bool:
    if isinstance(one, tuple | list):
        alike = isinstance(other, tuple | list) and len(one) == len(other)
        return alike and all(_same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict):
        alike = isinstance(other, dict) and set(one) == set(other)
        return alike and all(_same(one[key], other[key], tolerance) for key in one)
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if one.shape != other.shape or one.dtype.is_floating_point != other.dtype.is_floating_point:
            return False
        a, b = one.double().numpy(), other.double().numpy()
        if not one.dtype.is_floating_point:
            return bool((a == b).all())
        return bool(
            np.sqrt(((a - b) ** 2).sum()) <= tolerance * (np.sqrt((a**2).sum()) or tolerance)
        )
    if isinstance(one, float) and isinstance(other, int | float):
        return abs(one - other) <= tolerance * max(abs(one), tolerance)
    return type(one) is type(other) and one == other


ERRORS = st.builds(
    CallError,
    st.lists(st.sampled_from(["ValueError", "RuntimeError", "Exception", "NotImplementedError"]))
    .map(tuple)
    .filter(len),
    st.text(max_size=30) | st.just("0 1 2 3 4 5 6 7 8 9"),
    st.text(max_size=10),
)
WILD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from([Other("x"), 10**300, torch.zeros(0), torch.tensor(math.nan)])
    | st.sampled_from(
        [torch.zeros(2, dtype=t) for t in (torch.float16, torch.bfloat16, torch.uint8)]
    )
    | st.sampled_from(
        [torch.zeros(2, dtype=torch.complex64), torch.zeros(2).to(torch.float8_e4m3fn)]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
OUTCOMES = st.builds(Outcome, value=WILD) | st.builds(Outcome, error=ERRORS)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_wild_outcomes_get_a_verdict_and_no_points(data):
    """Whatever came back for every case: a verdict, a message, and nothing for the core."""
    exercise = data.draw(st.sampled_from(EXERCISES))
    outcomes = []
    for _ in exercise.cases:
        outcomes.append(data.draw(OUTCOMES))
        if outcomes[-1].final:
            break
    result = verdict(exercise, outcomes)
    assert result.message
    core_fails = len(outcomes) < len(exercise.cases) or any(
        fault(case, outcome, exercise)
        for case, outcome in zip(exercise.cases, outcomes, strict=True)
        if not case.promise
    )
    assert result.score == 0 if core_fails else result.score <= result.max_score
    assert (result.status == "passed") == (result.score == result.max_score)
