"""The reference against oracles that share no code with it, forward and backward."""

from importlib import import_module

import pytest
import torch
from oracles import CHECKED, DEVICES, LIMITS, cast, error, normal
from torch.utils._pytree import tree_flatten, tree_unflatten

from autograde.exercises import EXERCISES
from solutions.attention import causal_mask, padding_mask, scaled_dot_product_attention
from solutions.heads import merge_heads, split_heads
from solutions.single import independent_heads, single_head_attention, unexplained_floor

WITH_DTYPE = [(name, dtype) for name, checked in CHECKED.items() for dtype in checked.dtypes]


def function(name):
    module, own = name.split(".")
    return getattr(import_module(f"solutions.{module}"), own)


def assert_equal(found, truth, limit, where):
    """Same structure; floating-point tensors within the limit, all else equal."""
    if isinstance(truth, dict):
        assert list(found) == list(truth), where
        found, truth = list(found.values()), list(truth.values())
    if isinstance(truth, tuple | list):
        assert len(found) == len(truth), where
        for one, other in zip(found, truth, strict=True):
            assert_equal(one, other, limit, where)
    elif isinstance(truth, torch.Tensor) and truth.is_floating_point():
        assert found.shape == truth.shape, where
        known = ~truth.isnan()  # see `oracles.module`
        assert known.any() and found.isfinite().all(), where
        assert error(found.cpu()[known], truth[known]) < limit, where
    elif isinstance(truth, torch.Tensor):
        assert torch.equal(found.cpu(), truth), where
    else:
        assert found == (pytest.approx(truth, abs=1e-9) if isinstance(truth, float) else truth)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("name", "dtype"), WITH_DTYPE, ids=str)
def test_the_reference_equals_its_oracles(name, dtype, device):
    assert len(CHECKED[name].oracles) >= 2
    for number, args in enumerate(CHECKED[name].cases()):
        args = cast(args, dtype)  # rounded once: the oracles get the same numbers
        given = cast(args, dtype, device)
        found = function(name)(**given)
        for oracle, truth in CHECKED[name].oracles.items():
            where = f"case {number}, {oracle}"
            assert_equal(found, truth(**cast(args, torch.float64)), LIMITS[dtype], where)
        for one in tree_flatten(found)[0]:
            if is_float(one):
                assert one.dtype == dtype
                assert one.device.type == device or not _size(given)
        for before, after in zip(*(tree_flatten(some)[0] for some in (args, given)), strict=True):
            if isinstance(before, torch.Tensor):
                assert torch.equal(before, after.cpu()), "an argument was changed in place"


def is_float(value):
    return isinstance(value, torch.Tensor) and value.is_floating_point()


@pytest.mark.parametrize("name", [n for n, checked in CHECKED.items() if len(checked.dtypes) > 1])
def test_gradients(name):
    """gradcheck over the case with the fewest numbers, and over one with a mask if there is one."""
    cases = [case for case in CHECKED[name].cases() if not isinstance(function(name)(**case), list)]
    chosen = sorted(cases, key=_size)[:1] + [c for c in cases if c.get("mask") is not None][1:2]
    for args in chosen:
        leaves, shape = tree_flatten(args)

        def run(*given, leaves=leaves, shape=shape):
            given = iter(given)
            filled = [next(given) if is_float(leaf) else leaf for leaf in leaves]
            found = function(name)(**tree_unflatten(filled, shape))
            return tuple(one for one in tree_flatten(found)[0] if is_float(one))

        inputs = [leaf.clone().requires_grad_() for leaf in leaves if is_float(leaf)]
        assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


def _size(case):
    return sum(one.numel() for one in tree_flatten(case)[0] if isinstance(one, torch.Tensor))


def test_every_exercise_of_these_modules_has_oracles():
    modules = {name.split(".")[0] for name in CHECKED}
    assert {name for name in EXERCISES if name.split(".")[0] in modules} == set(CHECKED)


# --------------------------------------------------------------------- what no oracle promises


def test_softmax_stays_finite_at_scores_of_ten_thousand():
    scores = normal(3, 5, 7) * 10_000
    for dim in (0, 1, -1):
        found = function("attention.softmax")(scores, dim)
        assert found.isfinite().all()
        assert torch.allclose(found, torch.softmax(scores, dim), atol=1e-12)


def test_no_sequences_make_an_empty_mask():
    assert padding_mask([], 3).shape == (0, 1, 1, 3)


def test_split_and_merge_are_inverse():
    x = normal(2, 5, 12)
    assert torch.equal(merge_heads(split_heads(x, 3)), x)


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        (lambda: causal_mask(-3), ("-3",)),
        (lambda: padding_mask([1, 9], 5), ("5", "9")),
        (lambda: padding_mask([-1], 5), ("-1",)),
        (lambda: split_heads(normal(1, 2, 10), 3), ("3", "10")),
        (lambda: split_heads(normal(1, 2, 10), 0), ("0", "10")),
        (lambda: unexplained_floor(0, 3), ("0", "3")),
        (lambda: scaled_dot_product_attention(*(normal(4, n) for n in (5, 6, 6))), ("5", "6")),
        (
            lambda: scaled_dot_product_attention(normal(4, 5), normal(3, 5), normal(2, 5)),
            ("3", "2"),
        ),
        (
            lambda: scaled_dot_product_attention(
                *(normal(4, 5) for _ in range(3)), torch.ones(3, 4, dtype=torch.bool)
            ),
            ("(3, 4)", "(4, 4)"),
        ),
        (lambda: single_head_attention(normal(1, 2, 5), *(normal(6, 3),) * 3), ("5", "6")),
        (lambda: independent_heads(normal(1, 2, 5), *(normal(2, 6, 3),) * 3), ("5", "6")),
    ],
)
def test_the_impossible_raises_with_the_numbers(call, numbers):
    with pytest.raises(ValueError) as raised:
        call()
    assert all(number in str(raised.value) for number in numbers)
