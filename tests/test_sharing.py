"""Sharing: the reference of `sharing`, what notebook 08 claims, and its recorded runs."""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attention_lab import alignments, decoding, pooling
from solutions.attention import causal_mask, scaled_dot_product_attention
from solutions.heads import merge_heads, multi_head_attention, split_heads
from solutions.sharing import (
    cross_attention,
    expand_kv,
    grouped_query_attention,
    kv_cache_bytes,
    pool_kv_heads,
)

B, T, T_K, D, OTHER, H, HEAD_DIM = 2, 5, 7, 24, 11, 6, 4


def drawn(*shape, seed=0):
    g = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def weights_of(*shapes):
    return [drawn(*shape, seed=n) / shape[0] ** 0.5 for n, shape in enumerate(shapes)]


def cross_arguments():
    """x, memory, w_q, w_k, w_v, w_o"""
    width = H * HEAD_DIM
    shapes = (D, width), (OTHER, width), (OTHER, width), (width, D)
    return drawn(B, T, D), drawn(B, T_K, OTHER), *weights_of(*shapes)


def layer(h_kv):
    """x, w_q, w_k, w_v, w_o"""
    width, shared = H * HEAD_DIM, h_kv * HEAD_DIM
    return drawn(B, T, D), *weights_of((D, width), (D, shared), (D, shared), (width, D))


# ------------------------------------------------------------------------------- the reference


def by_loops(x, memory, w_q, w_k, w_v, w_o, h, kv_head, mask):
    """Attention number by number; query head i reads key head kv_head(i)."""
    d = w_q.shape[1] // h
    q, k, v = ((a @ w).tolist() for a, w in ((x, w_q), (memory, w_k), (memory, w_v)))
    weights = torch.zeros(len(x), h, x.shape[1], memory.shape[1], dtype=torch.float64)
    concat = torch.zeros(*x.shape[:2], h * d, dtype=torch.float64)
    for b in range(len(x)):
        for i in range(h):
            for t in range(x.shape[1]):
                seen = [s for s in range(memory.shape[1]) if mask[b, i, t, s]]
                first, theirs = i * d, kv_head(i) * d
                scores = {
                    s: sum(q[b][t][first + c] * k[b][s][theirs + c] for c in range(d)) / d**0.5
                    for s in seen
                }
                total = sum(math.exp(score) for score in scores.values())
                for s, score in scores.items():
                    share = math.exp(score) / total
                    weights[b, i, t, s] = share
                    for c in range(d):
                        concat[b, t, first + c] += share * v[b][s][theirs + c]
    return concat @ w_o, weights


def random_mask(*shape):
    mask = torch.rand(*shape, generator=torch.Generator().manual_seed(1)) < 0.6
    mask[..., 0] = True
    return mask


def same(found, wanted, **tolerance):
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


def test_cross_attention_equals_loops_over_numbers():
    arguments, mask = cross_arguments(), random_mask(B, H, T, T_K)
    x, memory = arguments[0].clone(), arguments[1].clone()
    found = cross_attention(*arguments, H, mask)
    assert found[0].shape == (B, T, D) and found[1].shape == (B, H, T, T_K)
    same(found, by_loops(*arguments, H, lambda i: i, mask))
    assert torch.equal(x, arguments[0]) and torch.equal(memory, arguments[1])


def test_cross_attention_equals_pytorchs_module_with_another_memory_width():
    x, memory, w_q, w_k, w_v, w_o = cross_arguments()
    module = nn.MultiheadAttention(
        D, H, bias=False, batch_first=True, kdim=OTHER, vdim=OTHER, dtype=torch.float64
    )
    with torch.no_grad():
        module.q_proj_weight.copy_(w_q.T)
        module.k_proj_weight.copy_(w_k.T)
        module.v_proj_weight.copy_(w_v.T)
        module.out_proj.weight.copy_(w_o.T)
    mask = random_mask(B, H, T, T_K)
    wanted = module(x, memory, memory, attn_mask=~mask.flatten(0, 1), average_attn_weights=False)
    same(cross_attention(x, memory, w_q, w_k, w_v, w_o, H, mask), wanted)


def test_cross_attention_to_oneself_is_self_attention():
    x, w_q, w_k, w_v, w_o = layer(H)
    mask = random_mask(B, 1, 1, T)
    same(
        cross_attention(x, x, w_q, w_k, w_v, w_o, H, mask),
        multi_head_attention(x, w_q, w_k, w_v, w_o, H, mask),
    )


@pytest.mark.parametrize("h_kv", [1, 2, 3, 6])
def test_grouped_attention_equals_loops_and_pytorchs_fused_attention(h_kv):
    x, w_q, w_k, w_v, w_o = arguments = layer(h_kv)
    mask = random_mask(B, H, T, T)
    found = grouped_query_attention(*arguments, H, h_kv, mask)
    assert found[0].shape == (B, T, D) and found[1].shape == (B, H, T, T)
    same(found, by_loops(x, x, w_q, w_k, w_v, w_o, H, lambda i: i // (H // h_kv), mask))
    q, k, v = split_heads(x @ w_q, H), split_heads(x @ w_k, h_kv), split_heads(x @ w_v, h_kv)
    fused = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    torch.testing.assert_close(found[0], merge_heads(fused) @ w_o)
    ours, _ = pooling.attend_grouped(x, w_q, w_k, w_v, w_o, H, h_kv)
    torch.testing.assert_close(ours, grouped_query_attention(*arguments, H, h_kv)[0])


@pytest.mark.parametrize(("name", "h_kv"), [("llama", 2), ("llama", 1), ("mistral", 3)])
def test_grouped_attention_equals_that_of_published_models(name, h_kv):
    """With a rotation by nothing (cos 1, sin 0), so that places don't matter."""
    transformers = pytest.importorskip("transformers")
    module = pytest.importorskip(f"transformers.models.{name}.modeling_{name}")
    config = getattr(transformers, f"{name.title()}Config")(
        hidden_size=D,
        num_attention_heads=H,
        num_key_value_heads=h_kv,
        head_dim=HEAD_DIM,
        attn_implementation="eager",
    )
    theirs = getattr(module, f"{name.title()}Attention")(config, layer_idx=0).double().eval()
    x, *weights = layer(h_kv)
    with torch.no_grad():
        for part, w in zip("qkvo", weights, strict=True):
            getattr(theirs, f"{part}_proj").weight.copy_(w.T)
        still = torch.ones(B, T, HEAD_DIM).double(), torch.zeros(B, T, HEAD_DIM).double()
        blocked = torch.zeros(B, 1, T, T).double().masked_fill(~causal_mask(T), -torch.inf)
        wanted = theirs(x, position_embeddings=still, attention_mask=blocked)
    found = grouped_query_attention(x, *weights, H, h_kv, causal_mask(T))
    same(found, wanted[:2], rtol=1e-5, atol=1e-6)  # their softmax is in float32


def test_expanded_heads_are_neighbours():
    kv = torch.arange(3.0).view(1, 3, 1, 1).expand(2, 3, 4, 5)
    assert expand_kv(kv, 6)[0, :, 0, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert expand_kv(kv, 3).equal(kv) and expand_kv(kv[:, :1], 6).shape == (2, 6, 4, 5)


def test_the_cache_is_as_large_as_the_tensors_in_it():
    for dtype, size in ((torch.float16, 2), (torch.float32, 4), (torch.int8, 1)):
        kept = [torch.zeros(3, 5, 7, 8, dtype=dtype) for _ in range(2 * 4)]
        assert kv_cache_bytes(4, 5, 8, 7, 3, size) == sum(kv.nbytes for kv in kept)
    assert kv_cache_bytes(12, 12, 64, 1) == 36 * 1024
    assert kv_cache_bytes(12, 12, 64, 0) == 0


def test_pooling_is_the_mean_over_neighbours():
    by_hand = torch.arange(1.0, 9.0)[None]
    assert pool_kv_heads(by_hand, 4, 2).tolist() == [[2, 3, 6, 7]]
    w = drawn(D, H * HEAD_DIM)
    for h_kv in (1, 2, 3, 6):
        wanted = w.view(D, h_kv, H // h_kv, HEAD_DIM).mean(2).flatten(1)
        torch.testing.assert_close(pool_kv_heads(w, H, h_kv), wanted)
        torch.testing.assert_close(pooling.mean_of_group(w, H, h_kv), wanted)
    assert pooling.first_of_group(by_hand, 4, 2).tolist() == [[1, 2, 5, 6]]


def test_heads_that_are_equal_are_pooled_without_loss():
    x, w_q, w_k, w_v, w_o = layer(2)
    wide = [
        w.view(D, 2, HEAD_DIM).repeat_interleave(H // 2, 1).flatten(1).contiguous()
        for w in (w_k, w_v)
    ]
    full, _ = multi_head_attention(x, w_q, *wide, w_o, H)
    pooled = [pool_kv_heads(w, H, 2) for w in wide]
    torch.testing.assert_close(grouped_query_attention(x, w_q, *pooled, w_o, H, 2)[0], full)


def test_gradients_flow():
    x, *weights = layer(2)
    x = x[:1, :3].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: grouped_query_attention(x, *weights, H, 2)[0], x)
    x, memory, *weights = cross_arguments()
    memory = memory[:1, :3].requires_grad_()
    assert torch.autograd.gradcheck(lambda m: cross_attention(x[:1], m, *weights, H)[0], memory)


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        (lambda: cross_attention(*cross_arguments(), 5), ("5", "24")),
        (
            lambda: cross_attention(drawn(3, T, D), *cross_arguments()[1:], H),
            ("3", "2"),
        ),
        (lambda: expand_kv(torch.ones(1, 4, 2, 3), 6), ("4", "6")),
        (lambda: expand_kv(torch.ones(1, 6, 2, 3), 3), ("6", "3")),
        (lambda: grouped_query_attention(*layer(4), H, 4), ("4", "6")),
        (lambda: grouped_query_attention(*layer(5), 5, 5), ("5", "24")),
        (lambda: grouped_query_attention(*layer(6), H, 3), ("12", "24")),
        (lambda: kv_cache_bytes(1, 1, 1, -3), ("-3",)),
        (lambda: kv_cache_bytes(0, 1, 1, 3), ("0",)),
        (lambda: kv_cache_bytes(1, 1, 1, 3, batch=-2), ("-2",)),
        (lambda: pool_kv_heads(torch.ones(3, 24), 6, 4), ("6", "4")),
        (lambda: pool_kv_heads(torch.ones(3, 25), 6, 3), ("6", "25")),
    ],
)
def test_the_impossible_raises_with_the_numbers(call, numbers):
    with pytest.raises(ValueError) as raised:
        call()
    assert all(number in str(raised.value) for number in numbers)


# ------------------------------------------------------------------- what the notebook measures


def test_the_70b_models_cache_is_smaller_than_the_7b_models():
    kib = {
        card.name: kv_cache_bytes(card.num_layers, card.num_kv_heads, card.head_dim, 1) / 1024
        for card in decoding.CARDS
    }
    assert kib["Llama-2-7B"] == 512 and kib["Llama-2-70B"] == 320
    assert kib["Falcon-7B"] == 8 and kib["GPT-2"] == 36
    assert kv_cache_bytes(28, 8, 128, 1) == 112 * 1024  # Qwen3-0.6B
    assert list(kib.values()) == sorted(kib.values())


@pytest.mark.parametrize("h_kv", [8, 4, 1])
def test_a_grouped_step_equals_a_repeated_one(h_kv):
    cache = decoding.draw_cache(h_kv, num_tokens=9, head_dim=16)
    q = torch.randn(2, 8, 1, 16, generator=torch.Generator().manual_seed(3))
    grouped = decoding.step_grouped(q, *cache, scaled_dot_product_attention)
    repeated = decoding.step_repeated(q, *cache, scaled_dot_product_attention, expand_kv)
    torch.testing.assert_close(grouped, repeated)
    fused = F.scaled_dot_product_attention(q, *cache, enable_gqa=True)
    torch.testing.assert_close(grouped, fused)


def test_sharing_saves_time_only_without_the_copy():
    """Margins far below what was measured (20 times and 90 times): machines differ."""
    steps = decoding.measure_steps(
        scaled_dot_product_attention, expand_kv, (32, 1), rounds=5, num_tokens=2048
    )
    assert steps.nbytes[0] == 32 * steps.nbytes[1]
    assert steps.nbytes[0] == kv_cache_bytes(1, 32, 128, 2048, batch=2, bytes_per_value=4)
    assert steps.grouped[1] < steps.grouped[0] / 2
    assert steps.grouped[1] < steps.repeated[1] / 5


def test_each_way_of_repeating_gives_the_picture_of_the_quiz():
    read = {
        letter: [row.nonzero().flatten().tolist() for row in picture]
        for letter, picture in decoding.wrong_expansions(expand_kv).items()
    }
    assert read["A"] == [[0], [1], [2]] * 2
    assert read["B"] == [[0]] * 3 + [[1]] * 3
    assert read["C"] == [[0], [0], [1], [1], [2], [2]]
    assert read["D"] == [[0, 1, 2]] * 6


def test_the_learners_functions_train_like_ours():
    runs = [
        alignments.train_aligner("reverse", cross=cross, steps=5, progress=False)[0]
        for cross in (alignments.attend_across, cross_attention)
    ]
    assert runs[0].weight == pytest.approx(runs[1].weight, abs=1e-3)
    losses = []
    for attend in (pooling.attend_grouped, grouped_query_attention):
        reader = pooling.SharedReader(2, attend=attend)
        losses.append(pooling.train_reader(reader, steps=5, progress=False).losses)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


# ----------------------------------------------------------------------------- the recorded runs

ALIGNED = alignments.recorded_runs()
POOLED = pooling.recorded_runs()


def of(name):
    return pooling.runs_of(name, POOLED)


def count(runs, condition):
    return sum(map(condition, runs))


@pytest.mark.parametrize("lab", [alignments, pooling])
def test_the_recorded_file_is_what_the_plan_asks_for(lab):
    content = json.loads(lab.RECORDED.read_text(encoding="utf-8"))
    assert set(content) == {"command", "torch", "task", "runs"}
    assert content["command"] == f"python -m {lab.__name__} record"
    runs = lab.recorded_runs()
    for arguments, run in zip(lab.plan(), runs, strict=True):
        assert run.steps == run.planned == arguments.get("steps", lab.STEPS)
        for name, value in arguments.items():
            assert getattr(run, name) == value


def test_every_alignment_is_found_and_none_without_places():
    for task in alignments.TASKS:
        runs = alignments.select(ALIGNED, task=task, places=True)
        assert len(runs) == 10
        assert count(runs, lambda r: r.accuracy > 0.99 and r.found == 1 and r.weight > 0.9) >= 9
    blind = alignments.select(ALIGNED, places=False)
    assert len(blind) == 10
    assert max(r.accuracy for r in blind) < 0.3
    assert max(r.weight for r in blind) < 0.15


def test_pooling_costs_and_a_little_training_repairs():
    assert min(run.original for run in POOLED) > 0.99
    four, two, one = (of(f"mean,\n{n}") for n in ("4 heads", "2 heads", "1 head"))
    assert count(two, lambda r: 0.2 < r.before < 0.6 and r.after > 0.85) >= 9
    for more, fewer in ((four, two), (two, one)):
        assert count(zip(more, fewer, strict=True), lambda p: p[0].before > p[1].before) >= 9
        assert count(zip(more, fewer, strict=True), lambda p: p[0].after > p[1].after) >= 9
    assert count(of("mean, 2 heads,\ntwice as long"), lambda r: r.after > 0.95) >= 9
    assert count(of("mean, 1 head,\n5 × as long"), lambda r: r.after > 0.98) >= 9


def test_the_model_answers_numbers_are_the_recorded_medians():
    two = of("mean,\n2 heads")
    assert round(pooling.median([r.before for r in two]), 2) == 0.45
    assert round(pooling.median([r.after for r in two]), 2) == 0.93
    longer = of("mean, 2 heads,\ntwice as long")
    assert round(pooling.median([r.after for r in longer]), 2) == 0.99


def test_the_controls_of_pooling():
    two, first = of("mean,\n2 heads"), of("first of group,\n2 heads")
    assert count(zip(two, first, strict=True), lambda pair: pair[0].after > pair[1].after) >= 9
    for name in ("random,\n2 heads", "all new,\n2 heads"):
        assert max(r.after for r in of(name)) <= 0.2
    for name in ("all new, 2 heads,\nfull training", "all new, 1 head,\nfull training"):
        assert count(of(name), lambda r: r.after > 0.99) >= 9


def test_recorded_runs_come_out_again():
    again, _ = alignments.train_aligner("shuffled", seed=3, progress=False)
    (recorded,) = alignments.select(ALIGNED, task="shuffled", seed=3)
    assert again.weight == pytest.approx(recorded.weight, abs=0.02)
    again = pooling.train_and_convert("mean", 2, seed=3, progress=False)
    (recorded,) = [run for run in of("mean,\n2 heads") if run.seed == 3]
    assert again.before == pytest.approx(recorded.before, abs=0.05)
    assert again.after == pytest.approx(recorded.after, abs=0.03)
