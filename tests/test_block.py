"""The block: errors of `block`, and what notebook 12 claims of depth and of a real model.

(tests/oracles.py holds the functions to loops over numbers and to PyTorch's own.)
"""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from attention_lab import blocks, fused
from attention_lab.encoder import load_encoder, model_folder, pool
from solutions.attention import padding_mask
from solutions.block import feed_forward, layer_norm, transformer_block
from solutions.heads import multi_head_attention


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


# ------------------------------------------------------------------------------- the reference


def test_a_token_of_equal_numbers_gives_the_bias():
    x, bias = torch.full((1, 2, 24), 0.1), torch.arange(24) / 8
    torch.testing.assert_close(layer_norm(x, torch.ones(24), bias), bias.expand(1, 2, 24))


def test_a_block_that_writes_nothing():
    params = blocks.random_block(24, 3, torch.Generator().manual_seed(0))
    params |= {name: torch.zeros_like(params[name]) for name in ("w_o", "w_out")}
    x = normal(2, 5, 24).float()
    assert torch.equal(transformer_block(x, params, 3), x)
    normed = F.layer_norm(F.layer_norm(x, (24,)), (24,))
    torch.testing.assert_close(transformer_block(x, params, 3, norm_first=False), normed)


def test_parts_of_given_functions_make_the_same_block():
    params = blocks.random_block(24, 3, torch.Generator().manual_seed(0))
    params |= {name: normal(*params[name].shape).float() for name in params if name[0] == "b"}
    x, mask = normal(2, 5, 24).float(), padding_mask([3, 5], 5)
    expected = transformer_block(x, params, 3, mask, norm_first=False)
    for attend in (multi_head_attention, fused.multi_head_attention):
        found = blocks.post_norm_block(attend, layer_norm, feed_forward)(x, params, 3, mask)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        (lambda: layer_norm(normal(2, 7, 24), normal(1), normal(24)), ("1", "24")),
        (lambda: layer_norm(normal(2, 7, 24), normal(24), normal(25)), ("25", "24")),
        (
            lambda: feed_forward(
                normal(7, 24), normal(24, 50), normal(50), normal(51, 24), normal(24)
            ),
            ("50", "51"),
        ),
        (lambda: transformer_block(torch.ones(2, 7, 64), blocks.random_block(), 5), ("5", "64")),
        (lambda: blocks.random_block(64, 5), ("5", "64")),
    ],
)
def test_the_impossible_raises_with_the_numbers(call, numbers):
    with pytest.raises(ValueError) as raised:
        call()
    assert all(number in str(raised.value) for number in numbers)


# ------------------------------------------------------------------------- depth before training


def test_a_third_of_a_block_is_attention():
    counts = blocks.count_parts(load_encoder().layers[0])
    assert counts["attention"] == 4 * (384 * 384 + 384)
    assert counts["feed-forward"] == 2 * 384 * 1536 + 1536 + 384
    assert counts["norms"] == 4 * 384
    assert counts["attention"] / sum(counts.values()) == pytest.approx(1 / 3, abs=0.001)


def test_the_stream_grows_with_pre_norm_only():
    stream = blocks.measure_stream(transformer_block)
    assert stream["pre-norm"].shape == (10, 25)
    assert ((stream["pre-norm"][:, -1] - 5).abs() < 1).all()  # "about 5"
    assert ((stream["post-norm"][:, 1:] - 1).abs() < 1e-3).all()


def test_the_last_gradient_shrinks_with_depth_with_pre_norm_only():
    gradient = blocks.measure_last_gradient(transformer_block, layer_norm)
    fall = {way: rows[:, 0] / rows[:, -1] for way, rows in gradient.items()}  # 3 blocks, 48
    assert ((fall["pre-norm"] > 3.3) & (fall["pre-norm"] < 6)).all()  # √16 = 4
    assert ((fall["post-norm"] > 0.75) & (fall["post-norm"] < 1.35)).all()
    assert (gradient["post-norm"] > gradient["pre-norm"]).all()


# --------------------------------------------------------------------------------- the real model


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


@pytest.fixture(scope="module")
def embed(encoder):
    """The notebook's own lines, with the solved functions."""
    its_norm = partial(layer_norm, eps=encoder.eps)
    its_block = blocks.post_norm_block(multi_head_attention, its_norm, feed_forward)

    def run(sentences, block=its_block, norm=its_norm, num_heads=12):
        ids, lengths, _ = encoder.tokenize(sentences)
        x = norm(
            blocks.look_up(encoder, ids), encoder.embeddings["weight"], encoder.embeddings["bias"]
        )
        mask = padding_mask(lengths, ids.shape[1])
        for params in encoder.layers:
            x = block(x, params, num_heads, mask, norm_first=False)
        return pool(x, lengths)

    return run


@pytest.fixture(scope="module")
def mine(embed):
    return embed(blocks.SENTENCES)


def test_the_learners_code_is_the_model_of_transformers(encoder, mine):
    transformers = pytest.importorskip("transformers")
    bert = transformers.BertModel.from_pretrained(model_folder(), local_files_only=True).eval()
    ids, lengths, _ = encoder.tokenize(blocks.SENTENCES)
    real = (torch.arange(ids.shape[1]) < lengths[:, None]).float()  # (B, T)
    with torch.no_grad():
        hidden = bert(ids, attention_mask=real).last_hidden_state
    mean = (hidden * real[..., None]).sum(1) / real.sum(1, keepdim=True)
    torch.testing.assert_close(mine, F.normalize(mean), atol=1e-5, rtol=0)


def test_eps_is_what_the_difference_comes_from(encoder, embed, mine):
    theirs = encoder.sentence_embeddings(blocks.SENTENCES)
    everywhere = embed(blocks.SENTENCES, transformer_block, layer_norm)
    inside = embed(blocks.SENTENCES, transformer_block)
    gaps = [(one - theirs).abs().max().item() for one in (everywhere, inside, mine)]
    assert 1e-5 < gaps[0] < 5e-4 and 1e-6 < gaps[1] < 1e-5 and gaps[2] < 1e-6
    ids, _, _ = encoder.tokenize(blocks.SENTENCES)
    assert blocks.look_up(encoder, ids).var(-1).median() == pytest.approx(0.005, abs=0.001)


def test_pytorchs_blocks_and_fused_attention_run_the_same_model(encoder, embed, mine):
    ids, lengths, _ = encoder.tokenize(blocks.SENTENCES)
    found = blocks.run_torch(encoder, blocks.torch_layers(encoder), ids, lengths)
    torch.testing.assert_close(found, mine, atol=1e-5, rtol=0)
    norm = partial(layer_norm, eps=encoder.eps)
    fast = blocks.post_norm_block(fused.multi_head_attention, norm, feed_forward)
    torch.testing.assert_close(embed(blocks.SENTENCES, fast), mine, atol=1e-5, rtol=0)


def test_the_keys_bias_changes_nothing_and_the_others_do(encoder, mine):
    for name, least in {"b_q": 0.9, "b_k": None, "b_v": 0.99, "b_o": 0.99}.items():
        found = blocks.without(encoder, name).sentence_embeddings(blocks.SENTENCES)
        if least is None:
            torch.testing.assert_close(found, mine, atol=1e-5, rtol=0)
        else:
            assert (found * mine).sum(1).min() < least, name


def test_another_number_of_heads_goes_unnoticed_but_for_the_result(embed, mine):
    cosine = (embed(blocks.SENTENCES, num_heads=6) * mine).sum(1)
    assert cosine.min() > 0.7 and cosine.max() < 0.95


def test_what_is_found(embed, mine):
    queries, meant = list(blocks.QUERIES), list(blocks.QUERIES.values())
    assert blocks.found(embed(queries) @ mine.T, meant).all()
    words = blocks.shared_words(queries, blocks.SENTENCES)
    assert blocks.found(words, meant).sum() < 4
    assert words[0, 0] == 0 and words[0, 1] == 1  # "money" alone


def test_the_opposite_is_nearest(embed):
    said, *others = embed(
        [
            "The court found him guilty.",
            "The court found him not guilty.",
            "He was convicted.",
            "The judge sent him to prison.",
        ]
    )
    cosines = [said @ one for one in others]
    assert cosines[0] > max(cosines[1:])


def test_a_tie_is_not_found():
    scores = torch.tensor([[1.0, 2, 0], [2, 2, 0], [0, 1, 3]])
    assert blocks.found(scores, [1, 0, 1]).tolist() == [True, False, False]


def test_each_mistake_gives_the_picture_of_the_quiz(encoder):
    pictures = blocks.wrong_pictures(encoder)
    pairs, short, other = (
        {letter: [p[at].item() for at in places] for letter, p in pictures.items()}
        for places in (blocks.SAME, blocks.SHORT, blocks.LONG)
    )
    assert min(short["A"]) > 0.25 > max(other["A"])  # padding makes the short ones alike
    assert min(pairs["B"] + short["B"] + other["B"]) > 0.85
    assert min(pairs["C"]) > 0.35 and max(short["C"] + other["C"]) < 0.25
    assert min(pairs["D"]) > 0.4 and min(other["D"]) > 0.35
