"""Decide whether a result is right, and recognise a known wrong one: the one tolerance policy.

Values are compared in float64 with what the reference gives in float64. A float result is right
when its relative Frobenius error is at most TOLERANCE. It lies between the worst float32 error of a
correct implementation and the smallest error of a wrong one, both measured: docs/tolerance.md has
the table and the command that makes it. Integers, booleans and shapes are compared exactly. A
float64 result where float32 was expected counts as right.
"""

import math
import re
from typing import Any

import numpy as np
from torch import Tensor

from .calls import Outcome
from .values import HeadLoss, Other

TOLERANCE = 1e-5
SKETCH_TOLERANCE = 3e-5  # looser than TOLERANCE: a sum of many numbers may cancel
SKETCH_SIZE = 6

Fingerprint = list | None


def mismatch(expected: Any, got: Any, name: str, tolerance: float = TOLERANCE) -> str | None:
    """Say where a result leaves the expected one; None when it is right.

    Args:
        expected, got: plain values.
        name: what to call the value in the message.
        tolerance: of the relative Frobenius error, for floats.
    """
    if isinstance(expected, tuple | list):
        return _mismatch_sequence(expected, got, name, tolerance)
    if isinstance(expected, dict):
        return _mismatch_dict(expected, got, name, tolerance)
    if isinstance(expected, bool | str) or expected is None:
        right = type(got) is type(expected) and got == expected
        return None if right else f"{name}: expected {expected!r}, got {describe(got)}"
    if isinstance(expected, int | float):
        return _mismatch_number(expected, got, name, tolerance)
    return _mismatch_tensor(expected, got, name, tolerance)


def _mismatch_sequence(expected, got, name, tolerance):
    if not isinstance(got, tuple | list) or len(got) != len(expected):
        return f"{name}: expected {describe(expected)}, got {describe(got)}"
    pairs = enumerate(zip(expected, got, strict=True))
    found = (mismatch(one, other, f"{name}[{i}]", tolerance) for i, (one, other) in pairs)
    return next(filter(None, found), None)


def _mismatch_dict(expected, got, name, tolerance):
    if not isinstance(got, dict) or set(got) != set(expected):
        keys = ", ".join(expected)
        return f"{name}: expected a dict with the keys {keys}, got {describe(got)}"
    found = (mismatch(expected[k], got[k], f"{name}[{k!r}]", tolerance) for k in expected)
    return next(filter(None, found), None)


def _mismatch_number(expected, got, name, tolerance):
    if isinstance(got, Tensor) and got.numel() == 1:
        got = got.item()
    if isinstance(got, bool) or not isinstance(got, int | float):
        return f"{name}: expected the number {expected:g}, got {describe(got)}"
    exact = isinstance(expected, int)
    limit = 0 if exact else tolerance * max(abs(expected), tolerance)
    if not abs(got - expected) <= limit:  # NaN is not right either
        return f"{name}: expected {expected:g}, got {got:g}"
    return None


def _mismatch_tensor(expected, got, name, tolerance):
    if not isinstance(got, Tensor):
        return f"{name}: expected {describe(expected)}, got {describe(got)}"
    if tuple(got.shape) != tuple(expected.shape):
        return f"{name}: expected shape {tuple(expected.shape)}, got {tuple(got.shape)}"
    if kind(got) != kind(expected):
        return f"{name}: expected a {kind(expected)} tensor, got a {kind(got)} tensor"
    truth, found = as_array(expected), as_array(got)
    wrong = _wrong_entries(truth, found, tolerance if kind(expected) == "float" else 0)
    if not wrong.any():
        return None
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    show = bool if kind(expected) == "boolean" else "{:.6g}".format
    return (
        f"{name}: first difference at {list(index)}: expected {show(truth[index])}, "
        f"got {show(found[index])} ({wrong.mean():.0%} of the entries differ)"
    )


def _wrong_entries(truth: np.ndarray, found: np.ndarray, tolerance: float) -> np.ndarray:
    """Which entries to call wrong; none when the whole is within the tolerance."""
    if not tolerance:
        return truth != found
    if close(truth, found, tolerance):
        return np.zeros(truth.shape, dtype=bool)
    error = np.abs(found - truth)
    wrong = ~(error <= tolerance * max(np.sqrt(np.mean(truth**2)), tolerance))
    # Many tiny errors may count only together: then show the largest.
    return wrong if wrong.any() else error == error.max()


def close(truth: np.ndarray, found: np.ndarray, tolerance: float) -> bool:
    """Relative Frobenius error at most `tolerance`; false as soon as one entry is not finite."""
    if not np.isfinite(found).all():
        return False
    size = np.linalg.norm(truth)
    return bool(np.linalg.norm(found - truth) <= tolerance * (size or tolerance))


def kind(tensor: Tensor) -> str:
    if tensor.dtype.is_floating_point:
        return "float"
    if tensor.dtype.is_complex:
        return "complex"
    return "boolean" if str(tensor.dtype) == "torch.bool" else "integer"


def as_array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy() if not tensor.dtype.is_complex else tensor.numpy()


def describe(value: Any) -> str:
    """Say in a few words what a value is."""
    match value:
        case Tensor():
            return f"a {kind(value)} tensor of shape {tuple(value.shape)}"
        case Other():
            return f"an object of type {value.type_name}"
        case tuple() | list():
            inside = ", ".join(describe(item) for item in value[:4])
            more = ", …" if len(value) > 4 else ""
            return f"{type(value).__name__} of {len(value)} ({inside}{more})"
        case dict():
            return f"a dict with the keys {', '.join(key[:60] for key in list(value)[:10])}"
        case None:
            return "None"
    return f"{type(value).__name__} {value!r:.60}"


# ------------------------------------------------------------------ fingerprints of wrong answers


def fingerprint(outcome: Outcome, *, of_changes: bool = False) -> Fingerprint:
    """Reduce an outcome to a few numbers that tell it from others; None when there is nothing.

    Args:
        of_changes: look at which arguments were altered in place, not at the value.
    """
    if outcome.stopped:
        return None
    if outcome.error:
        # Without digits: "shape [2, 7]" and "shape [3, 9]" are the same mistake.
        return ["error", outcome.error.type_name, re.sub(r"\d+", "#", outcome.error.message)[:80]]
    if of_changes:
        return ["changed", *sorted(outcome.changed)]
    return ["value", _sketch(outcome.value)]


def same_fingerprint(one: Fingerprint, other: Fingerprint) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= SKETCH_TOLERANCE * max(abs(one), abs(other))
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return False
        if one[:1] == ["sketch"] and other[:1] == ["sketch"]:
            return one[:-1] == other[:-1] and _same_numbers(one[-1], other[-1])
        return all(same_fingerprint(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_fingerprint(one[k], other[k]) for k in one)
    return one is not None and one == other


def _sketch(value: Any) -> list | dict | float | str:
    """["sketch", kind, shape, non-finite entries, projections] for tensors; a number as it is."""
    match value:
        case tuple() | list():
            return [type(value).__name__, *[_sketch(item) for item in value]]
        case dict():
            return {key: _sketch(item) for key, item in value.items()}
        case bool() | None | str() | Other() | HeadLoss():
            return describe(value)
        case int() | float():
            return float(f"{value:.7g}") if math.isfinite(value) else str(float(value))
        case Tensor() if value.dtype.is_complex:
            return describe(value)
        case Tensor():
            array, what = as_array(value), kind(value)
    odd = [int(np.isnan(array).sum()), int(np.isposinf(array).sum()), int(np.isneginf(array).sum())]
    flat = np.where(np.isfinite(array), array, 0.0).reshape(-1)
    projections = _signs(flat.size) @ flat
    # Seven digits: more than the comparison asks for.
    return ["sketch", what, list(array.shape), odd, [float(f"{p:.7g}") for p in projections]]


def _signs(size: int) -> np.ndarray:
    """Fixed pseudo-random weights (SKETCH_SIZE, size), the same on every machine."""
    index = np.arange(1, size + 1, dtype=np.float64)
    roots = np.sqrt(np.array([2.0, 3.0, 5.0, 7.0, 11.0, 13.0]))[:SKETCH_SIZE, None]
    return 2 * ((index * roots) % 1.0) - 1  # Weyl sequences in [-1, 1)


def _same_numbers(one: list[float], other: list[float]) -> bool:
    size = max(np.linalg.norm(one), np.linalg.norm(other))
    return bool(np.linalg.norm(np.subtract(one, other)) <= SKETCH_TOLERANCE * size)
