"""Layers: the reference of `layers`, what notebook 09 claims, and its recorded runs."""

import json
from itertools import pairwise

import pytest
import torch

from attention_lab import depth
from solutions.layers import attention_stack, count_attention_computations, induction_score


def random_stack(num_layers=3, num_heads=4, dtype=torch.float64):
    x, layers = depth.random_stack(num_layers, num_heads)
    return x.to(dtype), [{name: w.to(dtype) for name, w in layer.items()} for layer in layers]


# ------------------------------------------------------------------------------- the reference


def test_the_stack_equals_what_made_the_recorded_runs():
    x, layers = random_stack()
    mask = depth.causal(x.shape[1])
    for mine, theirs in zip(
        attention_stack(x, layers, 4, mask), depth.run_layers(x, layers, 4, mask), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_the_induction_score_of_a_stack_is_that_of_its_layers():
    weights = torch.rand(3, 2, 4, 9, 9, generator=torch.Generator().manual_seed(0)).double()
    found = induction_score(weights, 4)
    torch.testing.assert_close(induction_score(weights[1], 4), found[1])
    torch.testing.assert_close(found, depth.induction_weight(weights, 4))


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        (lambda: count_attention_computations(-1, 12), ("-1",)),
        (lambda: count_attention_computations(12, 0), ("0",)),
        (lambda: count_attention_computations(12, 12, -3), ("-3",)),
        (lambda: attention_stack(*random_stack(2), 3), ("3", "32")),
        (lambda: attention_stack(torch.ones(1, 2, 3), [], 3), ("0",)),
        (lambda: induction_score(torch.ones(1, 1, 5, 5), 5), ("5",)),
        (lambda: induction_score(torch.ones(1, 1, 5, 5), 0), ("0",)),
    ],
)
def test_the_impossible_raises_with_the_numbers(call, numbers):
    with pytest.raises(ValueError) as raised:
        call()
    assert all(number in str(raised.value) for number in numbers)


# ------------------------------------------------------------------- what the notebook measures


def test_no_head_sees_what_another_of_its_layer_found():
    x, layers = random_stack()
    (_, before), (_, after) = (
        attention_stack(x, one, 4) for one in (layers, depth.double_values(layers, 4))
    )
    moved = (after - before).abs().amax((1, 3, 4))
    assert not moved[0].any() and moved[1:].min() > 1e-3


def test_each_way_of_looking_gives_the_picture_of_the_quiz():
    looks = {
        letter: [row.nonzero().item() for row in picture][6]
        for letter, picture in depth.wrong_patterns().items()
    }
    assert looks == {"A": 1, "B": 5, "C": 2, "D": 0}  # copy, token before, behind it, before it
    right = depth.wrong_patterns()["C"].double()[None, None]
    assert induction_score(right, 5).item() == 1


def test_pairs_are_neighbours_of_the_first_part():
    tokens, known = depth.draw_pieces(50, torch.Generator().manual_seed(0))
    assert tokens.shape == (50, 42) and known.shape == (50, 29)
    for row, asked in zip(tokens.tolist(), known.tolist(), strict=True):
        first = row[: depth.FIRST]
        assert len(set(first)) == depth.FIRST
        assert set(row) == set(first)
        for n, yes in enumerate(asked):
            one, other = row[depth.FIRST + n : depth.FIRST + n + 2]
            assert not yes or first.index(other) == first.index(one) + 1
        assert not any(one and other for one, other in pairwise(asked))


def test_every_answer_but_the_first_token_is_drawn_equally_often():
    tokens, known = depth.draw_pieces(4_000, torch.Generator().manual_seed(0))
    answers = tokens[:, depth.FIRST + 1 :]
    place = (tokens[:, None, : depth.FIRST] == answers[..., None]).int().argmax(-1)[known]
    shares = place.bincount(minlength=depth.FIRST) / len(place)
    assert shares[0] == 0
    assert (shares[1:] - depth.GUESS).abs().max() < 0.01


def test_the_answer_is_not_seen_before_it_is_asked_for():
    model = depth.DeepStack(2, 1)
    tokens, _ = depth.draw_pieces(2, torch.Generator().manual_seed(0))
    other = tokens.clone()
    other[:, 20:] = other[:, 20:].roll(1, 1)
    torch.testing.assert_close(model(tokens)[:, :20], model(other)[:, :20])


def test_a_silenced_layer_leaves_the_model_as_it_was():
    model = depth.DeepStack(2, 1)
    before = [w.detach().clone() for w in model.w_o]
    assert not depth.without_layer(model, 0)[0]["w_o"].any()
    assert all(torch.equal(*pair) for pair in zip(model.w_o, before, strict=True))


def test_the_learners_stack_trains_like_ours():
    runs = [
        depth.train_depth(2, 1, 64, attend=attend, steps=5, progress=False)[0]
        for attend in (depth.run_layers, attention_stack)
    ]
    assert runs[0].accuracy == pytest.approx(runs[1].accuracy, abs=0.01)


# ----------------------------------------------------------------------------- the recorded runs

RUNS = depth.recorded_runs()
WIDE, DEEP, LONGER, BLIND, FIXED = (depth.runs_of(name, RUNS) for name in depth.SETTINGS)


def test_the_recorded_file_is_what_the_plan_asks_for():
    content = json.loads(depth.RECORDED.read_text(encoding="utf-8"))
    assert set(content) == {"command", "torch", "task", "runs"}
    assert content["command"] == "python -m attention_lab.depth record"
    assert depth.CopyTask(**content["task"]) == depth.CopyTask()
    assert len(RUNS) == len(depth.plan())
    renamed = {"num_layers": "layers", "num_heads": "heads"}
    for arguments, run in zip(depth.plan(), RUNS, strict=True):
        for name, value in arguments.items():
            assert getattr(run, renamed.get(name, name)) == value
        assert run.steps == run.planned == arguments.get("steps", depth.STEPS)
    assert {len(group) for group in (WIDE, DEEP, LONGER, BLIND, FIXED)} == {10}


def test_both_models_have_equally_many_parameters():
    assert len({run.parameters for run in WIDE + DEEP + LONGER}) == 1


def test_two_layers_learn_what_eight_heads_do_not():
    assert sum(run.accuracy > 0.98 for run in DEEP) >= 9
    assert max(run.accuracy for run in WIDE + LONGER) < 0.3


def test_layer_0_looks_at_the_token_before_and_layer_1_behind_the_copy():
    assert sum(run.previous[0] > 0.9 and run.induction[1] > 0.9 for run in DEEP) >= 9
    assert max(run.induction[0] for run in DEEP) < 0.5
    assert sum(max(run.without) < 0.2 for run in DEEP) >= 9


def test_the_controls():
    assert max(run.accuracy for run in BLIND) < min(run.accuracy for run in DEEP)
    assert min(run.accuracy for run in FIXED) > 0.98


def test_a_recorded_run_comes_out_again():
    again, _ = depth.train_depth(**depth.SETTINGS["2 layers × 1 head"], seed=3, progress=False)
    assert again.accuracy == pytest.approx(DEEP[3].accuracy, abs=0.02)
