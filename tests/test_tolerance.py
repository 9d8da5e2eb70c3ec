"""The tolerance policy is held to measured data: docs/tolerance.md, and what is newer than it."""

import sys
from math import inf, nan
from pathlib import Path

import pytest
import torch

from autograde.compare import TOLERANCE, mismatch
from autograde.exercises import EXERCISES

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import tolerance

TABLES = {name: tolerance.read(name) for name in ("exercises", "layer")}
ROWS = [row for rows in TABLES.values() for row in rows]


def holds(worst_right, nearest_wrong):
    """A right answer has room to spare on any machine, and no known wrong one gets through."""
    return 5 * worst_right < TOLERANCE < nearest_wrong / 3


@pytest.mark.parametrize(("name", "right", "wrong"), ROWS, ids=[row[0] for row in ROWS])
def test_the_policy_lies_between_right_and_wrong(name, right, wrong):
    assert holds(right, wrong)


def test_the_tables_are_whole():
    assert {row[0] for row in TABLES["exercises"]} <= set(EXERCISES)
    assert len(TABLES["layer"]) == len(tolerance.SIZES) * len(tolerance.SCALES)


def test_exercises_newer_than_the_table_keep_to_the_policy():
    listed = {row[0] for row in TABLES["exercises"]}
    for name, exercise in EXERCISES.items():
        if name not in listed:
            worst, nearest, wrong = tolerance.graded(exercise, [0])
            assert holds(worst, nearest), (name, wrong)


def test_the_table_comes_out_again():
    name = "heads.multi_head_attention"
    worst, nearest, _ = tolerance.graded(EXERCISES[name], [0])
    listed = next(row for row in TABLES["exercises"] if row[0] == name)
    assert 0 < worst < 3 * listed[1] and listed[2] * 0.99 < nearest < inf
    worst, nearest, _ = tolerance.layer(tolerance.SIZES[0], 1.0, 0)
    listed = TABLES["layer"][1]
    assert 0 < worst < 3 * listed[1] and listed[2] * 0.99 < nearest < inf


TRUTH = torch.tensor([[3.0, 4.0], [0.0, 12.0]]).double()


@pytest.mark.parametrize("share", [1e-7, 0.9e-5, 1.1e-5, 0.5])
def test_distance_is_the_tolerance_that_lets_an_answer_pass(share):
    found = TRUTH * (1 + share)
    far = tolerance.distance(TRUTH, found)
    assert far == pytest.approx(share)
    assert mismatch(TRUTH, found, "x", far * 1.001) is None
    assert mismatch(TRUTH, found, "x", far * 0.999)
    assert tolerance.distance((TRUTH, TRUTH), (TRUTH, found)) == far
    assert tolerance.distance({"a": TRUTH, "b": 2.0}, {"a": TRUTH, "b": 2.0 + 2 * share}) == (
        pytest.approx(share, rel=0.1)
    )


def test_where_all_is_zero_rounding_passes():
    zero, found = torch.zeros(3).double(), torch.tensor([0.0, 1e-12, 0.0]).double()
    far = tolerance.distance(zero, found)
    assert far == pytest.approx(1e-6) and tolerance.distance(zero, zero) == 0
    assert mismatch(zero, found, "x", far * 1.001) is None and mismatch(zero, found, "x", far / 2)


@pytest.mark.parametrize(
    "found", [TRUTH[None], TRUTH * nan, TRUTH.long(), None, (TRUTH,), TRUTH.tolist()]
)
def test_nothing_lets_another_kind_of_answer_pass(found):
    assert tolerance.distance(TRUTH, found) == inf
    assert mismatch(TRUTH, found, "x", 1e9)
