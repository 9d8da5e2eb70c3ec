"""Notebook 06: the two functions, the readers, low rank in numbers, and the recorded runs."""

import json
import math
import statistics
from itertools import pairwise

import matplotlib.pyplot as plt
import pytest
import torch

from attention_lab import partitions
from attention_lab.lookups import LookupTask
from attention_lab.partitions import HEAD_COUNTS, LONGER, STEPS, TASK, select
from solutions.attention import scaled_dot_product_attention
from solutions.partition import head_count_options, head_scores_rank
from solutions.single import independent_heads, unexplained_floor


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# ------------------------------------------------------------------------------- the two functions


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("ranks", [[1, 2, 3, 4], [4, 4, 4], [0, 3], [5]])
def test_ranks_that_were_built_in_are_found(ranks, dtype):
    """M_i is a sum of r outer products of unit vectors: its rank is r without any computation."""
    D, d = 16, 5
    heads_q, heads_k = [], []
    for i, rank in enumerate(ranks):
        q, k = torch.zeros(2, D, d, dtype=dtype)
        for j in range(rank):
            q[(3 * i + j) % D, j] = 1 + j
            k[(7 * i + j) % D, j] = 2
        heads_q.append(q)
        heads_k.append(k)
    w_q, w_k = torch.cat(heads_q, 1), torch.cat(heads_k, 1)
    found = head_scores_rank(w_q, w_k, len(ranks))
    assert found == ranks
    assert all(type(rank) is int for rank in found)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("D", "h", "d"), [(24, 4, 6), (96, 12, 8), (96, 1, 96), (9, 3, 14)])
def test_random_heads_reach_the_bound(D, h, d, dtype):
    w_q, w_k = (normal(D, h * d, seed=i).to(dtype) for i in (1, 2))
    assert head_scores_rank(w_q, w_k, h) == [min(d, D)] * h


@pytest.mark.gpu
def test_ranks_on_a_gpu():
    w_q, w_k = (normal(24, 18, seed=i).float().cuda() for i in (1, 2))
    assert head_scores_rank(w_q, w_k, 3) == [6, 6, 6]


def test_the_example_of_the_notebook():
    w_q = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]])
    w_k = torch.tensor([[1.0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 0, 0]])
    assert head_scores_rank(w_q, w_k, 2) == [2, 1]


def test_head_counts_are_all_partitions_into_wanted_widths():
    assert head_count_options(768) == [6, 12]
    assert head_count_options(4544) == [71]
    assert head_count_options(1000) == []
    assert head_count_options(768, []) == []
    for d_model in range(1, 400):
        for wanted in ((64, 128), (32, 80, 96), (5, 3, 5)):
            truth = [h for h in range(1, d_model + 1) if d_model in [h * d for d in wanted]]
            assert head_count_options(d_model, wanted) == truth


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        (lambda: head_scores_rank(normal(5, 10), normal(5, 10), 3), ("3", "10")),
        (lambda: head_scores_rank(normal(5, 10), normal(5, 10), 0), ("0", "10")),
        (lambda: head_scores_rank(normal(5, 10), normal(5, 8), 2), ("10", "8")),
        (lambda: head_count_options(0), ("0",)),
        (lambda: head_count_options(64, (32, -8)), ("-8",)),
        (lambda: partitions.make_reader(7), ("7", "96")),
        (lambda: partitions.make_reader(4, 0), ("0",)),
    ],
)
def test_the_impossible_raises_with_the_numbers(call, numbers):
    with pytest.raises(ValueError) as raised:
        call()
    assert all(number in str(raised.value) for number in numbers)


# ------------------------------------------------------------------------------------- the readers


def test_all_partitions_have_as_many_parameters():
    readers = [partitions.make_reader(h) for h in HEAD_COUNTS]
    assert len({sum(p.numel() for p in reader.parameters()) for reader in readers}) == 1
    for h, reader in zip(HEAD_COUNTS, readers, strict=True):
        assert reader.w_q.shape[-1] == reader.w_k.shape[-1] == reader.w_v.shape[-1] == 96 // h


def test_narrow_keys_change_nothing_but_the_keys():
    usual, narrow = partitions.make_reader(4, seed=3), partitions.make_reader(4, 2, seed=3)
    assert narrow.w_q.shape[-1] == narrow.w_k.shape[-1] == 2
    assert torch.equal(usual.w_v, narrow.w_v)
    assert torch.equal(usual.layers[0], narrow.layers[0])


def test_a_run_can_be_repeated_and_takes_the_learners_heads():
    first, second = (partitions.train_one(8, steps=5, progress=False).run for _ in range(2))
    assert first.unexplained == second.unexplained
    mine = partitions.train_one(8, steps=5, heads=independent_heads, progress=False).run
    assert mine.share == pytest.approx(first.share, abs=1e-3)


def test_stopping_keeps_the_finished_readers(monkeypatch, capsys):
    train_one = partitions.train_one

    def stop_at_the_second(num_heads, **arguments):
        if num_heads == 8:
            raise KeyboardInterrupt
        return train_one(num_heads, steps=1, progress=False)

    monkeypatch.setattr(partitions, "train_one", stop_at_the_second)
    assert [one.run.num_heads for one in partitions.train_several((2, 8, 16))] == [2]
    assert "Stopped" in capsys.readouterr().out


def test_a_wide_head_uses_as_many_directions_as_a_name_has_numbers():
    _, reader = partitions.train_one(2, seed=100, progress=False)
    w_q, w_k, h = partitions.side_by_side(reader)
    assert head_scores_rank(w_q, w_k, h) == [48, 48]
    large = (partitions.relative_spectra(reader) > 0.2).sum(1)
    assert all(10 <= number <= 14 for number in large.tolist())


# ----------------------------------------------------------------------------- low rank, exactly


def test_permutations_need_two_dimensions_and_mixtures_need_more():
    patterns = torch.cat([partitions.random_patterns(), partitions.permutations()])
    missed = {
        d: partitions.fit_patterns(patterns, d, progress=False).view(2, -1).mean(1).tolist()
        for d in (1, 2, 8)
    }
    assert missed[1][1] > 0.5 > 0.1 > missed[2][1]
    assert missed[2][0] > 0.2 > 0.05 > missed[8][0]


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_the_least_key_width_is_that_of_the_logits(rank):
    """Logits of rank r plus a constant a row: softmax forgets it, and so must the rank."""
    logits = normal(12, rank) @ normal(rank, 12, seed=1)
    pattern = torch.softmax(logits + 5 * normal(12, 1, seed=2), -1)
    assert partitions.least_key_width(pattern) == rank
    assert partitions.least_key_width(partitions.random_patterns(1)[0]) == 15


@pytest.mark.parametrize(("n", "radius"), [(16, 10), (64, 60)])
def test_a_circle_gives_any_permutation(n, radius):
    for order in partitions.permutations(3, n).argmax(-1):
        assert sorted(order.tolist()) == list(range(n))
        q, k = partitions.circle(order, radius)
        _, weights = scaled_dot_product_attention(q, k, k)
        assert torch.equal(weights[0].argmax(-1), order)
        gap = radius**2 * (1 - math.cos(2 * math.pi / n)) / 2**0.5
        assert weights[0, 0].topk(2).values.log().diff().item() == pytest.approx(-gap, rel=1e-3)
        assert weights[0, torch.arange(n), order].min() > 0.98


def test_wider_keys_tell_more_of_them_apart():
    few, many = (
        partitions.own_key_weights(scaled_dot_product_attention, (8, 64, 256), n)
        for n in (64, 1024)
    )
    assert few == sorted(few) and many == sorted(many)
    assert many[1] < few[1] and many[2] > 0.95


# ------------------------------------------------------------------------- pictures and cards


def test_the_pictures_show_what_the_quiz_says():
    pictures = partitions.score_pictures()
    name = slice(0, 3)
    for head in range(3):
        question = slice(3 * (head + 1), 3 * (head + 2))
        for letter, rows, columns in (("D", question, name), ("A", name, question)):
            expected = torch.zeros(12, 12)
            expected[rows, columns] = torch.eye(3)
            assert torch.equal(pictures[letter][head], expected)
    assert torch.equal(pictures["B"][0], pictures["D"].sum(0))
    assert torch.equal(pictures["B"][0], pictures["B"][2])
    assert torch.equal(pictures["C"].sum(0), pictures["D"].sum(0))
    assert all(not torch.equal(c, d) for c, d in zip(pictures["C"], pictures["D"], strict=True))
    w_q, w_k = partitions.planted_layer()
    assert head_scores_rank(w_q, w_k, 3) == [3, 3, 3]
    for letter in "ABCD":
        assert torch.linalg.matrix_rank(pictures[letter]).tolist() == [3, 3, 3]


def test_the_cards_and_the_exceptions_named_in_the_notebook():
    assert len({card.name for card in partitions.CARDS}) == len(partitions.CARDS)
    others = {c.name for c in partitions.CARDS if not partitions.usual(c, head_count_options)}
    assert others == {
        "mT5-small",
        "Qwen3-0.6B",
        "Gemma-3-1B",
        "Gemma-2B",
        "phi-2",
        "Gemma-7B",
        "GPT-J-6B",
        "GPT-NeoX-20B",
    }
    not_filled = {c.name for c in partitions.CARDS if c.num_heads * c.head_dim != c.d_model}
    assert not_filled == {"mT5-small", "Qwen3-0.6B", "Gemma-7B", "Gemma-3-1B"}


@pytest.mark.parametrize(
    "draw",
    [
        partitions.plot_slices,
        lambda: partitions.plot_curve([], partitions.recorded_runs(), unexplained_floor),
        lambda: partitions.plot_controls(partitions.recorded_runs()),
        lambda: partitions.plot_scores(partitions.score_pictures()),
        lambda: partitions.plot_cards(head_count_options),
    ],
)
def test_figures_come_with_a_description(draw):
    figure, alt = draw()
    assert figure.axes and len(alt) > 80
    plt.close(figure)


# --------------------------------------------------------------------------- the recorded runs


RUNS = partitions.recorded_runs()


def medians(**wanted) -> float:
    runs = select(RUNS, **wanted)
    assert len(runs) == 10
    return statistics.median(run.share for run in runs)


def curve(num_heads: int) -> list[float]:
    shares = [run.share for run in select(partitions.the_curve(RUNS), num_heads=num_heads)]
    assert len(shares) == 10
    return shares


def test_the_recorded_file_is_what_the_plan_asks_for():
    content = json.loads(partitions.RECORDED.read_text(encoding="utf-8"))
    assert set(content) == {"command", "torch", "task", "runs"}
    assert content["command"] == "python -m attention_lab.partitions record"
    assert LookupTask(**content["task"]) == TASK
    plan = partitions.plan()
    assert len(plan) == len(RUNS)
    for arguments, run in zip(plan, RUNS, strict=True):
        arguments = {**arguments, "planned": arguments.get("steps", STEPS)}
        assert all(getattr(run, name) == value for name, value in arguments.items())
        assert run.steps == run.planned
        assert len(run.unexplained) == TASK.num_lookups


def test_a_recorded_run_comes_out_again():
    recorded = select(partitions.the_curve(RUNS), num_heads=1, seed=0)[0]
    again = partitions.train_one(1, seed=0, progress=False).run
    assert again.share == pytest.approx(recorded.share, abs=0.01)


@pytest.mark.parametrize("num_heads", [1, 2, 3])
def test_the_left_arm_lies_on_the_floor(num_heads):
    floor = unexplained_floor(num_heads, 4)
    shares = curve(num_heads)
    assert min(shares) >= floor - 0.005
    assert statistics.median(shares) <= floor + 0.03


def test_the_right_arm_rises_on_every_seed():
    assert statistics.median(curve(8)) < 0.005
    ends = [curve(h) for h in (8, 12, 24, 48, 96)]
    for lower, higher in pairwise(ends):
        assert max(lower) < min(higher)


def test_keys_alone_make_the_right_arm():
    by_width = [medians(num_heads=4, key_width=d_k) for d_k in partitions.KEY_WIDTHS]
    assert by_width == sorted(by_width, reverse=True)
    assert by_width[0] > 0.7 and by_width[-1] < 0.01
    narrow = select(RUNS, num_heads=32, key_width=3, planned=STEPS)
    wide = select(RUNS, num_heads=32, key_width=12, value_width=3)
    assert max(run.share for run in wide) < min(run.share for run in narrow) / 5


def test_what_the_notebook_says_about_the_controls():
    """More parameters do not help narrow keys, but many narrow heads and time do, in part."""
    thirty_two, four = (select(RUNS, num_heads=h, planned=STEPS) for h in (32, 4))
    narrow, eight = select(thirty_two, key_width=3), select(four, key_width=8)
    assert narrow[0].parameters > eight[0].parameters
    assert medians(num_heads=32, key_width=3, planned=STEPS) > medians(num_heads=4, key_width=8)
    few = min(run.share for run in select(four, key_width=3))
    assert max(run.share for run in narrow) < few / 2
    for h, limit in ((32, 0.01), (96, 0.1)):
        shorter, longer = (
            [run.share for run in select(RUNS, num_heads=h, key_width=96 // h, planned=steps)]
            for steps in (STEPS, LONGER)
        )
        assert limit < statistics.median(longer) < statistics.median(shorter)
