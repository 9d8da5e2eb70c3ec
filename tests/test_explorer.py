"""The attention explorer: what it shows, what it refuses, and what stands in for it on a page."""

from functools import partial

import pytest
import torch

from attention_lab import depth, partitions, planted
from attention_lab.encoder import load_encoder, pool
from attention_lab.widgets import (
    Seen,
    explore,
    explore_cuts,
    explore_encoder,
    explore_jobs,
    explore_own,
    explore_readers,
    explore_stacks,
)
from attention_lab.widgets.explorer import best_roles
from solutions.attention import causal_mask
from solutions.block import feed_forward, layer_norm
from solutions.heads import multi_head_attention, split_heads
from solutions.layers import attention_stack, induction_score
from solutions.mixing import ablate_heads
from solutions.roles import first_token_score, previous_token_score
from solutions.single import independent_heads

SENTENCE = "The bird flew home because it was tired."
SIZES = {"narrow": 1, "wide": 4}
WORDS = ["one", "two", "three"]


def weights(layers=2, heads=4, size=3):
    generator = torch.Generator().manual_seed(heads)
    return torch.randn(layers, heads, size, size, generator=generator).softmax(-1)


def test_it_shows_the_weights_it_was_given():
    given = weights()
    torch.testing.assert_close(explore(WORDS, given).weights, given)
    torch.testing.assert_close(explore(WORDS, given[0]).weights, given[:1])


@pytest.mark.parametrize(
    ("words", "shape", "numbers"),
    [
        (WORDS, (2, 4, 3, 4), ("3", "(2, 4, 3, 4)")),
        (WORDS, (3, 3), ("3", "(3, 3)")),
        ([], (1, 1, 0, 0), ("0", "64")),
        (["x"] * 65, (1, 1, 65, 65), ("65", "64")),
    ],
)
def test_what_does_not_fit_is_refused_with_the_numbers(words, shape, numbers):
    with pytest.raises(ValueError) as raised:
        explore(words, torch.zeros(shape))
    assert all(number in str(raised.value) for number in numbers)


def test_fewer_heads_leave_nothing_chosen_that_is_gone():
    explorer = explore(
        WORDS,
        weights(),
        lambda chosen: (WORDS, weights(heads=chosen.num_heads)),
        head_counts=(2, 4),
        can_silence=True,
        lenses=[(0, 1), (1, 3)],
    )
    explorer.head, explorer.silenced = 3, [[0, 3], [1, 0]]
    explorer.num_heads = 2
    assert (explorer.head, explorer.lenses, explorer.silenced) == (1, [[0, 1]], [[1, 0]])
    torch.testing.assert_close(explorer.weights, weights(heads=2))


def test_an_error_in_the_learners_function_is_shown_and_leaves_the_rest_alone():
    def fails(chosen):
        if chosen.num_heads == 3:
            raise ValueError("3 heads do not fit")
        return WORDS, weights(heads=chosen.num_heads)

    explorer = explore(WORDS, weights(), fails, head_counts=(2, 3, 4))
    explorer.num_heads = 3
    assert explorer.message == "ValueError: 3 heads do not fit"
    torch.testing.assert_close(explorer.weights, weights())
    explorer.num_heads = 2
    assert explorer.message == "" and explorer.shape == [2, 2, 3, 3]


def test_heads_are_marked_with_the_role_that_fits_them_best():
    tables = torch.tensor([[[0.9, 0.4, 0.1]], [[0.6, 0.5, 0.2]]])  # (roles, L, h)
    scores = dict(zip(["before", "first"], tables, strict=True))
    explorer = explore(WORDS, weights(1, 3), scores=scores)
    assert best_roles(explorer) == {"before": [(0, 0)], "first": [(0, 1)]}
    explorer.threshold = 0.6
    assert best_roles(explorer) == {"before": [(0, 0)], "first": []}
    words = explorer._repr_mimebundle_()[0]["text/plain"]
    assert "heads marked “before”: 1; heads marked “first”: 0" in words


def test_another_model_has_no_head_silenced_and_may_have_other_heads():
    explorer = explore(
        WORDS,
        weights(heads=1),
        lambda chosen: Seen(WORDS, weights(heads=SIZES[chosen.model]), note=str(chosen.silenced)),
        models=list(SIZES),
        can_silence=True,
    )
    explorer.silenced = [[1, 0]]
    assert explorer.note == "[[1, 0]]"
    explorer.model = "wide"
    assert (explorer.silenced, explorer.note, explorer.shape) == ([], "[]", [2, 4, 3, 3])


def test_the_encoder_runs_on_any_sentence_with_heads_silenced():
    explorer = explore_encoder(SENTENCE, lenses=[(0, 2), (3, 1)], asking="it")
    assert explorer.tokens[explorer.query] == "it" and (explorer.layer, explorer.head) == (3, 1)
    before = explorer.weights
    explorer.silenced = [[1, 5]]
    changed = (explorer.weights - before).abs().amax((1, 2, 3))
    assert not changed[:2].any() and (changed[2:] > 1e-4).all()  # later layers only
    explorer.sentence = "Many lenses."
    assert explorer.tokens == ["[CLS]", "many", "lenses", ".", "[SEP]"]
    assert explorer.query == 4
    explorer.sentence = "word " * 100
    assert "64" in explorer.message and len(explorer.tokens) == 5
    with pytest.raises(ValueError, match="'nowhere'"):
        explore_encoder(SENTENCE, asking="nowhere")


def test_the_first_layer_cut_as_it_was_trained_gives_the_models_own_weights():
    explorer = explore_cuts(multi_head_attention, causal_mask, SENTENCE, head_counts=(1, 6, 12, 24))
    encoder = load_encoder()
    ids, lengths, _ = encoder.tokenize([SENTENCE])
    own = encoder.run(ids, lengths)[1][:1, 0]
    torch.testing.assert_close(explorer.weights, own, atol=1e-5, rtol=0)
    explorer.mask, explorer.num_heads = "causal", 6
    assert explorer.shape[:2] == [1, 6] and not explorer.weights.triu(1).any()


def own(attend=multi_head_attention, **settings):
    return explore_own(attend, split_heads, ablate_heads, SENTENCE, **settings)


def test_the_learners_functions_give_the_encoders_own_weights_and_output():
    encoder = load_encoder()
    ids, lengths, _ = encoder.tokenize([SENTENCE])
    on = torch.ones(6, 12)
    explorer = own(
        layer_norm=partial(layer_norm, eps=encoder.eps),
        feed_forward=feed_forward,
        causal_mask=causal_mask,
        head_counts=(6, 12),
    )
    truth = encoder.run(ids, lengths, on)[1][:, 0]
    torch.testing.assert_close(explorer.weights, truth, atol=1e-5, rtol=0)
    assert "cosine 1.000" in explorer.note

    explorer.silenced = [[0, 2], [0, 3], [4, 1]]
    on[0, 2:4] = on[4, 1] = 0
    hidden, without = encoder.run(ids, lengths, on)
    torch.testing.assert_close(explorer.weights, without[:, 0], atol=1e-5, rtol=0)
    cosine = (pool(hidden, lengths) * encoder.sentence_embeddings([SENTENCE])).sum()
    assert f"cosine {cosine:.3f}" in explorer.note and cosine < 0.999

    explorer.mask = "causal"
    assert not explorer.weights.triu(1).any()
    explorer.num_heads = 6
    assert explorer.shape[:2] == [6, 6] and "cosine 1.000" not in explorer.note


def test_every_choice_goes_through_the_functions_that_were_given():
    def uniform(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
        size = x.shape[1]
        return x[..., :-1] * 0, torch.full((1, num_heads, size, size), 1 / size)

    explorer = own(attend=uniform)
    assert torch.equal(explorer.weights, torch.full_like(explorer.weights, 1 / 11))


def test_a_stack_is_run_anew_without_the_heads_that_are_silenced():
    stacks = {name: depth.DeepStack(2, h, attend=attention_stack) for name, h in SIZES.items()}
    explorer = explore_stacks(stacks, induction_score)
    tokens, before = depth.look(stacks["wide"])
    explorer.model = "wide"
    torch.testing.assert_close(explorer.weights, before[:, 0])
    assert explorer.tokens == [chr(65 + token) for token in tokens[0]]
    torch.testing.assert_close(
        torch.tensor(explorer.scores[1]), induction_score(before, depth.FIRST)
    )
    explorer.silenced = [[0, 2]]
    changed = (explorer.weights - before[:, 0]).abs().amax((1, 2, 3))
    assert changed[0] == 0 and changed[1] > 1e-3
    explorer.silenced = [[0, 0], [0, 1], [0, 2], [0, 3]]
    without = depth.look(stacks["wide"], layers=depth.without_layer(stacks["wide"], 0))[1]
    torch.testing.assert_close(explorer.weights, without[:, 0])


def test_the_loss_of_a_model_with_jobs_follows_the_silenced_heads():
    model = planted.JobModel()
    explorer = explore_jobs({"one": model}, previous_token_score, first_token_score)
    scores = [score(planted.look(model)) for score in (previous_token_score, first_token_score)]
    torch.testing.assert_close(torch.tensor(explorer.scores)[:, 0], torch.stack(scores))
    explorer.silenced = [[0, 1], [0, 4]]
    on = torch.tensor([[1.0, 0, 1, 1, 0, 1]])
    assert f"{planted.loss_fn(model)(on):.3f}" in explorer.note


def test_the_slider_goes_from_reader_to_reader():
    trained = [
        partitions.Trained(
            partitions.select(partitions.recorded_runs(), num_heads=h, key_width=96 // h)[0],
            partitions.make_reader(h, heads=independent_heads),
        )
        for h in (2, 8)
    ]
    explorer = explore_readers(trained)
    batch = partitions.TASK.draw(100, torch.Generator().manual_seed(8))
    assert explorer.tokens[2][2:] == "".join(chr(65 + token) for token in batch.asked[0, 2])
    explorer.num_heads = 8
    weights = trained[1].reader.attend(batch.x)[1]
    torch.testing.assert_close(explorer.weights, weights[:1].detach())
    third = weights.gather(-1, batch.asked[:, None, :, 2:3].expand(-1, 8, -1, -1)).mean((0, 2, 3))
    torch.testing.assert_close(torch.tensor(explorer.scores[2][0]), third.detach())


def test_a_page_without_widgets_gets_a_picture_with_a_description():
    data = explore(WORDS, torch.eye(3).expand(2, 3, 3, 3))._repr_mimebundle_()[0]
    assert data["text/html"].startswith('<img alt="attention weights of 2 × 3 heads')
    assert "one two three" in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data
