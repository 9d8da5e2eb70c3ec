"""Roles: the reference of `roles`, what notebook 07 claims, and its recorded runs."""

import itertools
import math

import pytest
import torch

from attention_lab import encoder_heads, planted
from attention_lab.sentences import OBJECT_MEANT, SENTENCES, SUBJECT_MEANT
from autograde.values import HeadLoss
from solutions.roles import (
    attention_entropy,
    first_token_score,
    head_importance,
    previous_token_score,
)


def random_weights(*front, tokens=7, seed=0):
    scores = torch.randn(*front, tokens, tokens, generator=torch.Generator().manual_seed(seed))
    return scores.double().softmax(-1)


# ------------------------------------------------------------------------------- the reference


def by_loop(weights, row_number):
    """(B, h, T, T) -> (h,), one number a row by `row_number(row, t)`, None to leave a row out."""
    found = []
    for head in range(weights.shape[1]):
        numbers = [
            row_number(row, t)
            for sequence in weights[:, head].tolist()
            for t, row in enumerate(sequence)
        ]
        kept = [n for n in numbers if n is not None]
        found.append(math.fsum(kept) / len(kept))
    return torch.tensor(found, dtype=torch.float64)


ROWS = {
    previous_token_score: lambda row, t: row[t - 1] if t else None,
    first_token_score: lambda row, t: row[0],
    attention_entropy: lambda row, t: -math.fsum(w * math.log(w) for w in row if w > 0),
}


@pytest.mark.parametrize("score", ROWS, ids=lambda score: score.__name__)
@pytest.mark.parametrize("causal", [False, True])
def test_scores_equal_loops_also_for_stacks(score, causal):
    weights = random_weights(4, 2, 3)  # (L, B, h, T, T)
    if causal:
        weights = weights.tril() / weights.tril().sum(-1, keepdim=True)
    rows = torch.stack([by_loop(layer, ROWS[score]) for layer in weights])
    torch.testing.assert_close(score(weights), rows)
    torch.testing.assert_close(score(weights[1]), rows[1])
    assert score(weights.float()).dtype == torch.float32


def test_entropy_at_its_bounds():
    even, one_hot = torch.full((1, 1, 5, 5), 0.2), torch.eye(5)[None, None]
    assert attention_entropy(even).item() == pytest.approx(math.log(5))
    assert attention_entropy(one_hot).item() == 0
    distribution = torch.distributions.Categorical(probs=random_weights(2, 3))
    expected = distribution.entropy().mean((0, 2))
    torch.testing.assert_close(attention_entropy(random_weights(2, 3)), expected)


def test_scores_of_what_is_impossible():
    with pytest.raises(ValueError, match="1 rows, 1 columns"):
        previous_token_score(torch.ones(1, 1, 1, 1))
    with pytest.raises(ValueError, match="7 rows, 9 columns"):
        previous_token_score(torch.ones(1, 1, 7, 9))
    for score in (first_token_score, attention_entropy):
        with pytest.raises(ValueError, match="3 dimensions"):
            score(torch.ones(2, 5, 5))


def test_importance_is_what_each_head_adds_when_all_others_are_on():
    loss = HeadLoss(torch.randn(2, 3).double(), torch.randn(6, 6).double()).function()
    found = head_importance(loss, 2, 3)
    for layer, head in itertools.product(range(2), range(3)):
        mask = torch.ones(2, 3)
        mask[layer, head] = 0
        rise = loss(mask) - loss(torch.ones(2, 3))
        assert found[layer, head].item() == pytest.approx(rise, abs=1e-6)


def test_importance_gives_every_call_a_mask_of_its_own():
    given = []

    def loss_fn(mask):
        given.append(mask)
        return float(len(given))

    head_importance(loss_fn, 2, 5)
    assert len(given) == 11 and len({mask.data_ptr() for mask in given}) == 11
    assert all(mask.shape == (2, 5) and mask.dtype == torch.float32 for mask in given)
    assert sorted(int(mask.sum()) for mask in given) == [9] * 10 + [10]


@pytest.mark.parametrize("sizes", [(0, 3), (2, 0), (-1, 4)])
def test_importance_of_no_heads(sizes):
    with pytest.raises(ValueError, match=str(min(sizes))):
        head_importance(lambda mask: 0.0, *sizes)


# ------------------------------------------------------------------------- the encoder's heads


@pytest.fixture(scope="module")
def found():
    return encoder_heads.patterns(SENTENCES)


@pytest.fixture(scope="module")
def scores(found):
    return encoder_heads.role_scores(found, previous_token_score, first_token_score)


def test_patterns_are_those_of_each_sentence_alone(found):
    alone = encoder_heads.patterns(SENTENCES[3:4])[0]
    count = len(encoder_heads.tokens_of(SENTENCES[3]))
    assert alone.shape == (6, 1, 12, count, count)
    torch.testing.assert_close(found[3], alone, atol=1e-5, rtol=1e-4)
    assert all(torch.allclose(w.sum(-1), torch.ones(())) for w in found)
    for inner in encoder_heads.without_marks(found):
        assert torch.allclose(inner.sum(-1), torch.ones(()))


def test_four_roles_come_from_two_functions(found, scores):
    """Exchanging rows and columns gives the token after, reading from the end the last token."""
    after = [w.diagonal(1, -2, -1).mean((1, 3)) for w in found]
    last = [w[..., -1].mean((1, 3)) for w in found]
    torch.testing.assert_close(scores["token after"], torch.stack(after).mean(0))
    torch.testing.assert_close(scores["last token"], torch.stack(last).mean(0))


def test_shuffling_keeps_the_weights_and_takes_the_place_away(found):
    some = encoder_heads.shuffled(found[:3])
    for before, after in zip(found, some, strict=False):
        torch.testing.assert_close(before.sort(-1).values, after.sort(-1).values)
        assert not before.equal(after)


def test_what_the_pictures_show(found, scores):
    luck = encoder_heads.chance(found, previous_token_score, first_token_score)
    assert luck < 0.2
    at = encoder_heads.PICTURES
    assert scores["token before"][at["A"]] > 0.99
    assert scores["token after"][at["B"]] == scores["token after"].max() > 0.5
    assert scores["first token"][at["C"]] == scores["first token"].max() > 0.8
    entropy = encoder_heads.over_sentences(attention_entropy, found)
    assert entropy[at["D"]] == entropy.max()
    best, _ = encoder_heads.best_role(scores)
    assert (best > luck).all()


def test_the_count_of_heads_without_a_role_depends_on_the_threshold(found, scores):
    best, _ = encoder_heads.best_role(scores)
    low, high = encoder_heads.without_a_role(best, [0.3, 0.6])
    assert low < 15 and high > 40
    assert encoder_heads.without_a_role(best, [0.0, 1.01]) == [0, 72]
    words_only = encoder_heads.without_marks(found)
    inner, _ = encoder_heads.best_role(
        encoder_heads.role_scores(words_only, previous_token_score, first_token_score)
    )
    assert min(encoder_heads.without_a_role(inner, [0.3, 0.4, 0.5])) > 50


def test_one_picture_two_stories():
    subject, guess = encoder_heads.pronoun_hits(SUBJECT_MEANT)
    others, _ = encoder_heads.pronoun_hits(OBJECT_MEANT)
    layer, head = encoder_heads.PICTURES["E"]
    assert subject[0, layer, head] == 1  # the sentence of the picture
    assert subject[:, layer, head].mean() < 0.5
    assert subject[:, 3, 1].mean() > 0.8 and others[:, 3, 1].mean() > 0.9
    assert guess < 0.15 and subject.mean(0).median() < 0.2


def test_every_sentence_with_a_pronoun_has_both_its_tokens():
    for case in SUBJECT_MEANT + OBJECT_MEANT:
        assert {case.pronoun, case.stands_for} <= set(encoder_heads.tokens_of(case.sentence))


def test_drift_is_nothing_with_all_heads_on_and_most_in_the_last_layer(scores):
    loss = encoder_heads.Drift(SENTENCES[:8])
    assert loss(torch.ones(6, 12)) == pytest.approx(0, abs=1e-6)
    importance = head_importance(loss, 6, 12)
    assert importance[5].sum() > importance.sum() / 2
    best, _ = encoder_heads.best_role(scores)
    assert (importance > importance[0, 2]).sum() > 10  # the clearest role is not among the ten
    assert int(best.argmax()) == 2
    assert encoder_heads.rank_correlation(importance, best) < 0.2


# ---------------------------------------------------------------------- recorded orders of removal

RUNS = encoder_heads.recorded_runs()


def removed_by(order):
    return {run.seed: run.held_out for run in RUNS if run.order == order}


def test_ten_splits_of_each_order_are_recorded():
    assert {(run.order, run.seed) for run in RUNS} == set(
        itertools.product(encoder_heads.ORDERS, range(10))
    )
    for run in RUNS:
        assert sorted(run.heads) == list(range(72)) and len(run.held_out) == 13
        assert run.held_out[0] == pytest.approx(1)
        assert not set.intersection(*map(set, encoder_heads.split(run.seed)))


@pytest.mark.parametrize("order", encoder_heads.ORDERS[:2])
def test_a_recorded_curve_comes_out_again(order):
    run = next(run for run in RUNS if run.order == order and run.seed == 4)
    loss = encoder_heads.Drift(encoder_heads.split(4)[1])
    assert encoder_heads.removal_curve(run.heads, loss) == pytest.approx(run.held_out, abs=1e-3)


def test_joint_order_keeps_the_last_of_two_heads_that_replace_each_other():
    def loss(mask):
        off = 1 - mask.flatten()
        alone = (off * torch.arange(72)).sum().item() / 1000
        return alone + (off[0] * off[70]).item()  # either of them will do

    assert encoder_heads.single_order(loss) == list(range(72))
    assert encoder_heads.joint_order(loss)[:6] == [0, 1, 2, 3, 4, 5]
    assert encoder_heads.joint_order(loss)[-1] == 70


def test_orders_differ_as_the_notebook_says():
    joint, single, random, largest = map(removed_by, encoder_heads.ORDERS)
    at = {n: n // encoder_heads.STEP for n in range(0, 73, 6)}
    for n in range(24, 61, 6):
        assert sum(joint[seed][at[n]] > single[seed][at[n]] for seed in range(10)) >= 9
    assert sum(joint[seed][at[18]] > 0.95 for seed in range(10)) >= 9
    assert sum(joint[seed][at[18]] > random[seed][at[18]] for seed in range(10)) >= 9
    assert sum(largest[seed][at[6]] < 0.9 for seed in range(10)) >= 9


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="by name"):
        encoder_heads.remove_heads("by name")


# --------------------------------------------------------------------- another pattern, same output


def test_another_pattern_gives_the_same_output_where_there_is_room():
    g = torch.Generator().manual_seed(0)
    for tokens, width in ((12, 4), (30, 8), (40, 2)):
        weights = torch.randn(tokens, generator=g).softmax(-1)
        values = torch.randn(tokens, width, generator=g)
        other = encoder_heads.another_pattern(weights, values)
        assert other.min() >= 0 and other.sum().item() == pytest.approx(1)
        torch.testing.assert_close(other @ values.double(), weights.double() @ values.double())
        assert encoder_heads.distance(weights, other) > 0.05
        assert other[weights.argmax()] < weights.max()


def test_without_room_there_is_none_unless_values_are_dependent():
    g = torch.Generator().manual_seed(1)
    weights, values = torch.randn(9, generator=g).softmax(-1), torch.randn(9, 8, generator=g)
    same = encoder_heads.another_pattern(weights, values)
    assert encoder_heads.distance(weights, same) < 1e-6
    flat = values[:, :3] @ torch.randn(3, 8, generator=g)  # rank 3 of 8
    assert encoder_heads.distance(weights, encoder_heads.another_pattern(weights, flat)) > 0.05


def test_on_changed_texts_the_own_pattern_is_nearer():
    text = " ".join(SENTENCES[:6])
    head = encoder_heads.read_head([text], 7, 40)[0]
    other = encoder_heads.another_pattern(head.weights, head.values)
    assert encoder_heads.distance(head.weights, other) > 0.4
    assert encoder_heads.output_error(other, head) < 1e-9
    errors = encoder_heads.errors_elsewhere(text, 7, 40, [head.weights, other])
    assert len(errors) > 30
    assert (errors[:, 0] < errors[:, 1]).float().mean() > 0.8


# ---------------------------------------------------------------------------------- planted jobs

JOBS = planted.recorded_runs()
USUAL, REDUNDANT = ([run for run in JOBS if run.dropout == d] for d in planted.DROPOUTS)


def test_the_recorded_jobs_are_the_planned_ones():
    assert [(run.dropout, run.seed) for run in JOBS] == list(
        itertools.product(planted.DROPOUTS, range(10))
    )
    assert all(run.steps == run.planned == planted.STEPS for run in JOBS)


def test_both_jobs_are_learned_and_found_by_score():
    for run in JOBS:
        assert min(run.accuracy) > 0.99 and run.chance < 0.25
        assert run.heads("previous") and run.heads("first")


def test_single_effects_do_not_add_up():
    for place, job in enumerate(planted.JOBS):
        assert sum(run.joint[place] > 2 * run.summed(job) for run in USUAL) >= 9
        assert sum(run.joint[place] > 1 for run in REDUNDANT) >= 9
    assert sum(max(run.single) < 0.01 for run in REDUNDANT) >= 9


def test_a_recorded_run_comes_out_again_with_the_learners_functions():
    run, model = planted.train_jobs(0.3, seed=3, progress=False)
    weights, kept = planted.look(model), REDUNDANT[3]
    assert previous_token_score(weights).tolist() == pytest.approx(kept.previous, abs=0.05)
    assert first_token_score(weights).tolist() == pytest.approx(kept.first, abs=0.05)
    importance = head_importance(planted.loss_fn(model), 1, planted.HEADS)[0]
    assert importance.tolist() == pytest.approx(run.single, abs=1e-3)
    tables = planted.wrong_tables(planted.loss_fn(model))
    assert tables["B"] == pytest.approx(importance.tolist(), abs=1e-5)
    assert tables["A"][-1] > 1 and min(tables["C"]) > 1
