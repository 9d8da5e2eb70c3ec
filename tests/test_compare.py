"""The tolerance policy: what counts as right, what is wrong, and which wrong answers are equal."""

import math
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from autograde.calls import Outcome
from autograde.compare import fingerprint, mismatch, same_fingerprint
from autograde.values import BadMessage, Other, flatten, pack, plain, restore, unpack

FINITE = st.floats(-1e3, 1e3, width=32)
TENSORS = arrays(np.float32, array_shapes(max_dims=4, max_side=5), elements=FINITE).map(
    torch.from_numpy
)


@given(TENSORS)
def test_a_result_equals_itself_in_float32_and_float64(x):
    assert mismatch(x.double(), x, "x") is None
    assert mismatch(x.double(), x.double(), "x") is None


@given(TENSORS, st.integers(0, 10**6), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_nothing_that_is_not_finite_is_right(x, where, odd):
    wrong = x.clone()
    wrong.view(-1)[where % x.numel()] = odd
    assert mismatch(x.double(), wrong, "x")


@given(TENSORS, st.floats(2e-5, 1.0))
def test_what_is_off_by_more_than_the_tolerance_is_wrong(x, share):
    if x.norm() < 1e-3:
        x = x + 1
    assert mismatch(x.double(), x.double() * (1 + share), "x")


@given(TENSORS)
def test_another_shape_or_kind_is_wrong(x):
    for other in (x[None], x.flatten()[:-1], x.bool(), x.long(), x.tolist(), None, Other("object")):
        if not (
            isinstance(other, torch.Tensor) and other.shape == x.shape and other.is_floating_point()
        ):
            assert mismatch(x.double(), other, "x")


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        (0.5, [0.5, torch.tensor(0.5), 0.5000001], [0.51, "0.5", None, math.nan, True]),
        (0.0, [0, 0.0, -0.0], [1e-6, math.inf]),
        (3, [3, 3.0], [4, 3.5, math.nan, [3]]),
        (True, [True], [False, 1, None]),
        ("GQA", ["GQA"], ["MHA", None]),
        ([1, 2], [[1, 2], (1, 2)], [[2, 1], [1], 1]),
        ({"a": 1}, [{"a": 1}], [{"a": 2}, {"b": 1}, {}, [1]]),
    ],
)
def test_numbers_and_collections(expected, right, wrong):
    assert [mismatch(expected, r, "x") for r in right] == [None] * len(right)
    assert all(mismatch(expected, w, "x") for w in wrong)


def test_the_message_points_at_the_first_difference():
    truth = torch.zeros(2, 3).double() + 1
    found = truth.clone()
    found[1, 0] = 7
    text = mismatch(truth, found, "out")
    assert text == "out: first difference at [1, 0]: expected 1, got 7 (17% of the entries differ)"


def test_a_mask_filled_with_minus_ten_is_told_from_a_right_one():
    """The smallest error of the known wrong versions, and the tolerance lies well below it."""
    scores = torch.randn(64, 9, generator=torch.Generator().manual_seed(0))
    blocked = torch.zeros(64, 9, dtype=torch.bool)
    blocked[:, ::3] = True
    truth = torch.softmax(scores.double().masked_fill(blocked, -math.inf), -1)
    assert mismatch(truth, torch.softmax(scores.masked_fill(blocked, -10), -1), "weights")
    assert mismatch(truth, torch.softmax(scores.masked_fill(blocked, -1e4), -1), "weights") is None


@given(TENSORS)
def test_equal_answers_have_equal_fingerprints(x):
    noisy = x.double() * (1 + 1e-7)
    assert same_fingerprint(fingerprint(Outcome(value=x)), fingerprint(Outcome(value=noisy)))


def test_different_answers_have_different_fingerprints():
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    others = [x.flip(0), x * 1.01, x[None], x > 0, (x, x), None, x.masked_fill(x > 1, math.nan)]
    mine = fingerprint(Outcome(value=x))
    assert not any(same_fingerprint(mine, fingerprint(Outcome(value=o))) for o in others)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | FINITE | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_values_survive_the_pipe(value):
    message = pack(value)
    size = int.from_bytes(message[:4], "little")
    assert unpack(message[8 : 8 + size], message[8 + size :]) == value


@given(TENSORS)
def test_tensors_survive_the_pipe(x):
    tensors = {}
    tree = flatten({"x": (x, x.double(), x > 0)}, tensors)
    back = restore(tree, tensors)["x"]
    assert [t.dtype for t in back] == [torch.float32, torch.float64, torch.bool]
    assert back[0].equal(x)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_bad_message(tree, blob):
    with suppress(BadMessage):
        unpack(tree, blob)


@pytest.mark.parametrize("depth", [10_000, 1_000_000])
def test_deep_json_is_a_bad_message(depth):
    with pytest.raises(BadMessage):
        unpack(b"[" * depth + b"]" * depth, pack(None)[12:])


def test_what_is_no_value_travels_as_its_name_only():
    class Sneaky(torch.Tensor):
        pass

    assert plain(object()) == Other("object")
    assert plain({1: 2}) == Other("dict")
    assert type(plain(torch.ones(2).as_subclass(Sneaky))) is torch.Tensor
    assert plain(np.float32(0.5)) == 0.5
    assert plain(torch.eye(3).to_sparse()) == Other("torch.sparse_coo tensor")
    assert plain(torch.ones(2, requires_grad=True)).requires_grad is False
