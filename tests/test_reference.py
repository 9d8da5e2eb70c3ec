"""The reference against oracles that share no code with it, forward and backward."""

import math
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from solutions.attention import (
    causal_mask,
    padding_mask,
    scaled_dot_product_attention,
    softmax,
)
from solutions.heads import merge_heads, multi_head_attention, split_heads
from solutions.single import independent_heads, single_head_attention, unexplained_floor

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
# Relative Frobenius error against a float64 loop; bfloat16 keeps 8 bits.
LIMITS = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def error(found, truth):
    return ((found.double().cpu() - truth).norm() / (truth.norm() or 1)).item()


def attention_by_loop(q, k, v, mask):
    """Equation 1 of Vaswani et al. 2017, one number at a time."""
    *batch, queries, d = q.shape
    keys, width = k.shape[-2], v.shape[-1]
    out = torch.zeros(*batch, queries, width, dtype=torch.float64)
    for at in product(*map(range, batch)):
        for i in range(queries):
            allowed = [j for j in range(keys) if mask is None or mask[at][i][j]]
            if not allowed:
                continue
            scores = [float(q[at][i] @ k[at][j]) / math.sqrt(d) for j in allowed]
            total = math.fsum(math.exp(s) for s in scores)
            for s, j in zip(scores, allowed, strict=True):
                out[at][i] += math.exp(s) / total * v[at][j]
    return out


MASKS = {
    "none": lambda B, h, T, S: None,
    "causal": lambda B, h, T, S: torch.ones(T, S, dtype=torch.bool).tril(S - T),
    "padding": lambda B, h, T, S: padding_mask([S, S // 2], S),
    "blocked": lambda B, h, T, S: padding_mask([0, S - 1], S),
    "random": lambda B, h, T, S: normal(B, h, T, S, seed=9) > 0,
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("shape", [(2, 3, 5, 7, 6, 4), (2, 1, 1, 1, 3, 3), (2, 4, 6, 6, 8, 8)])
def test_attention_equals_a_loop_over_the_formula(shape, mask, dtype, device):
    B, h, T, S, d, d_v = shape
    q, k, v = (normal(B, h, n, w, seed=i) for i, (n, w) in enumerate([(T, d), (S, d), (S, d_v)]))
    allowed = MASKS[mask](B, h, T, S)
    truth = attention_by_loop(q, k, v, None if allowed is None else allowed.expand(B, h, T, S))
    moved = None if allowed is None else allowed.to(device)
    out, weights = scaled_dot_product_attention(*(x.to(device, dtype) for x in (q, k, v)), moved)
    assert out.dtype == weights.dtype == dtype and out.device.type == device
    assert error(out, truth) < LIMITS[dtype]
    sums = weights.double().sum(-1).cpu()
    rows = torch.ones_like(sums) if allowed is None else allowed.expand(B, h, T, S).any(-1).double()
    assert torch.allclose(sums, rows, atol=LIMITS[dtype])


@pytest.mark.parametrize("mask", MASKS)
def test_attention_equals_the_fused_kernel(mask):
    q, k, v = normal(2, 3, 5, 6), normal(2, 3, 7, 6, seed=1), normal(2, 3, 7, 4, seed=2)
    allowed = MASKS[mask](2, 3, 5, 7)
    fused = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    assert torch.allclose(scaled_dot_product_attention(q, k, v, allowed)[0], fused, atol=1e-12)


@pytest.mark.parametrize("mask", ["none", "causal", "random"])
@pytest.mark.parametrize(("width", "heads"), [(12, 3), (12, 1), (16, 8), (768, 12)])
def test_multi_head_attention_equals_the_module(width, heads, mask):
    """nn.MultiheadAttention keeps (out, in) weights, and its boolean mask means "blocked"."""
    B, T = 2, 5
    x = normal(B, T, width)
    w_q, w_k, w_v, w_o = (normal(width, width, seed=i) / width**0.5 for i in range(1, 5))
    allowed = MASKS[mask](B, heads, T, T)
    if mask == "random":
        allowed = allowed | torch.eye(T, dtype=torch.bool)  # the module gives NaN for an empty row
    module = nn.MultiheadAttention(width, heads, bias=False, batch_first=True, dtype=x.dtype)
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat([w_q, w_k, w_v], 1).T)
        module.out_proj.weight.copy_(w_o.T)
    blocked = None if allowed is None else ~allowed.expand(B, heads, T, T).reshape(-1, T, T)
    truth, truth_weights = module(x, x, x, attn_mask=blocked, average_attn_weights=False)
    out, weights = multi_head_attention(x, w_q, w_k, w_v, w_o, heads, allowed)
    assert error(out, truth.detach()) < 1e-12
    assert error(weights, truth_weights.detach()) < 1e-12


def test_heads_of_another_total_width_equal_a_loop():
    """h·d is not D here: each head is one look-up, and the layer is the sum of their writes."""
    B, T, D, h, d = 2, 5, 19, 3, 6
    x = normal(B, T, D)
    w_q, w_k, w_v = (normal(D, h * d, seed=i) / D**0.5 for i in (1, 2, 3))
    w_o = normal(h * d, D, seed=4)
    truth = torch.zeros(B, T, D, dtype=torch.float64)
    for i in range(h):
        mine = slice(i * d, (i + 1) * d)
        truth += (
            attention_by_loop(x @ w_q[:, mine], x @ w_k[:, mine], x @ w_v[:, mine], None)
            @ w_o[mine]
        )
    assert error(multi_head_attention(x, w_q, w_k, w_v, w_o, h)[0], truth) < 1e-12


def test_one_head_and_independent_heads_equal_a_loop():
    B, T, D, h, d = 2, 5, 7, 3, 4
    x, mask = normal(B, T, D), normal(B, h, T, T, seed=9) > -0.5
    w_q, w_k, w_v = (normal(h, D, d, seed=i) for i in (1, 2, 3))
    out, weights = independent_heads(x, w_q, w_k, w_v, mask)
    for i in range(h):
        truth = attention_by_loop(x @ w_q[i], x @ w_k[i], x @ w_v[i], mask[:, i])
        alone, alone_weights = single_head_attention(x, w_q[i], w_k[i], w_v[i], mask[:, i])
        assert error(out[:, i], truth) < 1e-12
        assert error(alone, truth) < 1e-12
        assert torch.allclose(weights[:, i], alone_weights)


@pytest.mark.parametrize("scale", [1, 100, 10_000])
def test_softmax_equals_torch_and_stays_finite(scale):
    scores = normal(3, 5, 7) * scale
    for dim in (0, 1, -1):
        ours = softmax(scores, dim)
        assert ours.isfinite().all()
        assert torch.allclose(ours, torch.softmax(scores, dim), atol=1e-12)


def test_masks():
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True] * 3]
    assert causal_mask(0).shape == (0, 0)
    mask = padding_mask(torch.tensor([0, 2, 3]), 3)
    assert mask.shape == (3, 1, 1, 3)
    assert mask.flatten(1).tolist() == [[False] * 3, [True, True, False], [True] * 3]
    assert padding_mask([], 3).shape == (0, 1, 1, 3)


def test_split_and_merge_are_inverse_and_cut_columns():
    x = torch.arange(2 * 5 * 12.0).reshape(2, 5, 12)
    heads = split_heads(x, 3)
    assert torch.equal(heads[:, 1], x[:, :, 4:8])
    assert torch.equal(merge_heads(heads), x)


def test_gradients():
    args = [normal(2, 3, 5), *(normal(5, 6, seed=i) for i in (1, 2, 3)), normal(6, 5, seed=4)]
    args = [a.requires_grad_() for a in args]
    mask = padding_mask([3, 0], 3) & causal_mask(3)
    assert torch.autograd.gradcheck(lambda *a: multi_head_attention(*a, 2, mask), args)


def test_the_floor_is_what_the_best_linear_read_out_leaves():
    """m independent targets, h linear blends of them: the optimum is the rank-h projection."""
    for h, m in product(range(1, 6), range(1, 6)):
        blends = normal(h, m, seed=10 * h + m)
        # Least squares from blends z = A v to v with Cov(v) = I leaves tr(I - A⁺A) / m.
        left = torch.trace(torch.eye(m, dtype=torch.float64) - torch.linalg.pinv(blends) @ blends)
        assert unexplained_floor(h, m) == pytest.approx(left.item() / m, abs=1e-9)


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
