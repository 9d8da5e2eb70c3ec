"""W_O: the reference of `mixing`, what notebook 05 claims, and its recorded runs."""

import json
import statistics
from itertools import pairwise

import pytest
import torch

from attention_lab import without_w_o, writes
from attention_lab.lookups import LookupTask
from solutions.heads import merge_heads
from solutions.mixing import ablate_heads, head_writes, output_slices
from solutions.single import unexplained_floor

B, H, T, D_HEAD, D = 2, 3, 5, 4, 7


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def layer():
    return normal(B, H, T, D_HEAD), normal(H * D_HEAD, D, seed=1)


# ------------------------------------------------------------------------------- the reference


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        (lambda: output_slices(normal(10, 7), 3), ("3", "10")),
        (lambda: output_slices(normal(10, 7), 0), ("0", "10")),
        (lambda: head_writes(normal(B, H, T, D_HEAD), normal(15, D)), ("12", "15")),
        (lambda: ablate_heads(*layer(), [3]), ("3",)),
        (lambda: ablate_heads(*layer(), [0, -1]), ("-1", "3")),
    ],
)
def test_the_impossible_raises_with_the_numbers(call, numbers):
    with pytest.raises(ValueError) as raised:
        call()
    assert all(number in str(raised.value) for number in numbers)


# ------------------------------------------------------------------- what the notebook measures


def test_a_head_spans_as_many_directions_as_it_is_wide():
    one = writes.random_layer(3, 4, 12, num_tokens=40)
    parts = head_writes(one.head_out, one.w_o).flatten(0, 1)
    assert torch.linalg.matrix_rank(parts[:, 0]) == 4
    assert torch.linalg.matrix_rank(parts[:, :2].sum(1)) == 8
    assert torch.linalg.matrix_rank(parts.sum(1)) == 12


def test_without_w_o_a_head_stays_in_its_slice():
    one, matrices = writes.random_layer(3, 4, 12), writes.three_w_o(3, 4)
    for title, stays in (("without W_O", True), ("block-diagonal W_O", True), ("dense W_O", False)):
        parts = head_writes(one.head_out, matrices[title])
        for i in range(3):
            elsewhere = [c for c in range(12) if not i * 4 <= c < i * 4 + 4]
            assert (parts[:, :, i, elsewhere].abs().max() < 1e-12) == stays
    assert torch.equal(
        head_writes(one.head_out, matrices["without W_O"]).sum(2), merge_heads(one.head_out)
    )


@pytest.mark.parametrize("seed", range(10))
def test_heads_interact_only_in_what_is_not_linear(seed):
    found = writes.joint_against_single(writes.random_layer(8, 8, 64, seed=seed), ablate_heads)
    linear = ["nothing (the output itself)", "the residual: x + output", "a dense matrix"]
    assert max(found.pop(name) for name in linear) < 1e-12
    assert len(found) == 3 and min(found.values()) > 0.005


def test_rescaling_changes_z_and_no_write():
    trained = without_w_o.SlicedLayer("dense", "sliced")
    before = trained.w_v.detach().clone()
    (z, w_o), (other_z, other_w_o) = (
        writes.look_inside(trained, factors) for factors in (None, (10.0, 1.0, 0.1))
    )
    torch.testing.assert_close(other_z[:, 0], 10 * z[:, 0])
    torch.testing.assert_close(head_writes(other_z, other_w_o), head_writes(z, w_o))
    assert torch.equal(trained.w_v, before)


def test_each_wrong_ablation_gives_the_picture_of_the_quiz():
    dark = {
        letter: [(~picture).all(0).nonzero().flatten().tolist(), (~picture).all(1).tolist()]
        for letter, picture in writes.ablation_pictures(ablate_heads).items()
    }
    no_row = [False] * 6
    assert dark["A"] == [[0, 1, 2, 3], no_row]
    assert dark["B"] == [[4, 5, 6, 7], no_row]
    assert dark["C"] == [[8, 9, 10, 11], no_row]
    assert dark["D"] == [[], [False, True, False, False, False, False]]


# ------------------------------------------------------------------------------ the experiments


def test_a_slice_must_answer_two_neighbouring_look_ups():
    answers = LookupTask(3).draw(4, torch.Generator().manual_seed(0)).answers
    wanted = without_w_o.targets(answers)
    for i in range(3):
        assert torch.equal(wanted[:, :, i, 0], answers[:, :, i])
        assert torch.equal(wanted[:, :, i, 1], answers[:, :, (i + 1) % 3])


@pytest.mark.parametrize("w_o", without_w_o.MIXINGS)
def test_a_slice_depends_on_other_heads_only_with_a_dense_w_o(w_o):
    one = without_w_o.SlicedLayer(w_o, "sliced")
    x = one.task.draw(3, torch.Generator().manual_seed(0)).x
    before = one(x)
    with torch.no_grad():
        one.w_v[0] += 1
    changed = (one(x) - before).abs().amax((0, 1, 3, 4)) > 1e-6
    assert changed.tolist() == ([True] * 3 if w_o == "dense" else [True, False, False])


def test_the_learners_writes_and_the_concatenation_train_alike():
    runs = [
        without_w_o.train_slices("dense", "sliced", mix=mix, steps=5, progress=False)[0]
        for mix in (without_w_o.concat_and_project, lambda z, w: head_writes(z, w).sum(2))
    ]
    assert runs[0].unexplained == pytest.approx(runs[1].unexplained, abs=1e-3)


def test_the_pairs_are_those_of_the_first_half():
    tokens = without_w_o.draw_pairs(20, torch.Generator().manual_seed(0))
    for row in tokens.tolist():
        first, pairs = row[:16], list(zip(row[16::2], row[17::2], strict=True))
        assert sorted(first) == list(range(16))
        assert sorted(pairs) == sorted(pairwise(first))


def test_the_stack_sees_no_answer_before_it_is_asked():
    stack = without_w_o.Stack(2, 4, with_w_o=False)
    tokens = without_w_o.draw_pairs(2, torch.Generator().manual_seed(0))
    other = tokens.clone()
    other[:, 17:] = other[:, 17:].roll(1, 1)
    assert torch.allclose(stack(tokens)[:, :17], stack(other)[:, :17], atol=1e-5)


def test_the_impossible_is_refused():
    with pytest.raises(ValueError, match="not 'half'"):
        without_w_o.SlicedLayer("half", "dense")
    with pytest.raises(ValueError, match="not 'wide'"):
        without_w_o.SlicedLayer("dense", "wide")


# ----------------------------------------------------------------------------- the recorded runs

SLICES, STACKS = without_w_o.recorded_slices(), without_w_o.recorded_stacks()


def shares(w_o, reader):
    found = [run.share for run in without_w_o.select(SLICES, w_o=w_o, reader=reader)]
    assert len(found) == 10
    return found


def accuracies(**wanted):
    found = [run.accuracy for run in without_w_o.select(STACKS, heads=4, **wanted)]
    assert len(found) == 10
    return found


def test_the_recorded_file_is_what_the_plan_asks_for():
    content = json.loads(without_w_o.RECORDED.read_text(encoding="utf-8"))
    assert set(content) == {"command", "torch", "task", "slices", "stacks"}
    assert content["command"] == "python -m attention_lab.without_w_o record"
    assert LookupTask(**content["task"]) == LookupTask(without_w_o.HEADS)
    for planned, runs in zip(without_w_o.plan(), (SLICES, STACKS), strict=True):
        assert len(planned) == len(runs)
        for arguments, run in zip(planned, runs, strict=True):
            renamed = {"num_layers": "layers", "num_heads": "heads"}
            for name, value in arguments.items():
                assert getattr(run, renamed.get(name, name)) == value
            assert run.steps == run.planned == arguments.get("steps", without_w_o.STEPS)


def test_a_sliced_linear_reader_without_w_o_stays_on_the_floor():
    assert unexplained_floor(1, 2) == without_w_o.FLOOR
    for w_o in ("absent", "block-diagonal"):
        assert min(shares(w_o, "sliced")) >= without_w_o.FLOOR - 0.005
        assert max(shares(w_o, "sliced")) < without_w_o.FLOOR + 0.01
        assert min(shares(w_o, "sliced mlp")) > 0.49  # observed, not proven
    assert max(shares("dense", "sliced") + shares("dense", "sliced mlp")) < 0.005


def test_a_dense_reader_makes_up_for_it():
    assert max(shares("absent", "dense")) < 0.005
    assert max(shares("dense", "dense")) < 0.005
    assert sum(share < 0.005 for share in shares("block-diagonal", "dense")) == 9  # as it says


def test_a_stack_without_w_o_works_in_the_end():
    steps = without_w_o.STEPS
    for with_w_o in (True, False):
        assert min(accuracies(layers=2, with_w_o=with_w_o, steps=steps)) > 0.99
    assert abs(statistics.mean(accuracies(layers=1, steps=steps)) - without_w_o.GUESS) < 0.03
    halves = [accuracies(layers=2, with_w_o=w, steps=steps // 2) for w in (True, False)]
    assert statistics.median(halves[0]) > max(halves[1])  # further on, neither done
    assert max(halves[0]) < 0.9


def test_a_recorded_run_comes_out_again():
    recorded = without_w_o.select(SLICES, w_o="absent", reader="sliced", seed=3)[0]
    again, _ = without_w_o.train_slices("absent", "sliced", seed=3, progress=False)
    assert again.share == pytest.approx(recorded.share, abs=0.01)
