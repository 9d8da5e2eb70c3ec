"""The fast path against oracles and the readable reference: forward, backward, step by step."""

from itertools import product

import pytest
import torch
from oracles import (
    DEVICES,
    LIMITS,
    MASKS,
    attention_by_loop,
    cast,
    error,
    heads_by_loop,
    layer_weights,
    normal,
    weight,
)
from torch.utils._python_dispatch import TorchDispatchMode

from attention_lab import fused
from solutions import fused as exported
from solutions.attention import causal_mask
from solutions.heads import multi_head_attention

B, T, D, H, KV, HEAD = 2, 7, 19, 6, 2, 5
CALLS = ["kernel", "weights as well"]


def grouped_layer(kv_heads=KV):
    """w_q, w_k, w_v, w_o of a layer with h·d other than D."""
    w_k, w_v = (weight(D, kv_heads * HEAD, seed) for seed in (1, 2))
    return weight(D, H * HEAD), w_k, w_v, weight(H * HEAD, D, 3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_a_look_up_equals_a_loop(kv_heads, call, dtype, device):
    for (tokens, keys, d_v), causal, mask in product(
        [(5, 7, 4), (7, 7, 8), (1, 9, 8)], (False, True), MASKS.values()
    ):
        q, k, v = cast(
            (normal(B, H, tokens, 8), *(normal(B, kv_heads, keys, w, seed=w) for w in (8, d_v))),
            dtype,
        )
        allowed = mask(B, H, tokens, keys)
        need = call != CALLS[0]
        given = cast((q, k, v, allowed), dtype, device)
        out, weights = fused.attend(*given, causal=causal, need_weights=need)
        if causal:
            past = MASKS["causal"](B, H, tokens, keys)
            allowed = past if allowed is None else allowed & past
        each = (one.double().repeat_interleave(H // kv_heads, 1) for one in (k, v))
        truth, truth_weights = attention_by_loop(q.double(), *each, allowed)
        assert out.dtype == dtype and out.device.type == device
        assert error(out, truth) < LIMITS[dtype]
        assert (weights is not None) == need
        if need:
            assert error(weights, truth_weights) < LIMITS[dtype]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("mask", MASKS)
def test_a_layer_equals_the_readable_reference(mask, dtype, device):
    args = cast((normal(B, T, 12), *layer_weights(12, 3, 4).values()), dtype, device)
    allowed = cast(MASKS[mask](B, 3, T, T), dtype, device)
    truth, truth_weights = multi_head_attention(*args, 3, allowed)
    out, nothing = fused.multi_head_attention(*args, 3, allowed)
    assert nothing is None and out.dtype == dtype
    assert error(out, truth.double().cpu()) < LIMITS[dtype]
    out, weights = fused.multi_head_attention(*args, 3, allowed, need_weights=True)
    assert error(out, truth.double().cpu()) < LIMITS[dtype]
    assert error(weights, truth_weights.double().cpu()) < LIMITS[dtype]


@pytest.mark.parametrize("kv_heads", [1, 2, 6])
def test_groups_and_memory_equal_a_loop_over_heads(kv_heads):
    memory = normal(B, 9, 2 * D, seed=5)
    w_q, w_o = weight(D, H * HEAD), weight(H * HEAD, D, 2)
    w_k, w_v = weight(2 * D, kv_heads * HEAD, 3), weight(2 * D, kv_heads * HEAD, 4)
    args = (normal(B, T, D), w_q, w_k, w_v, w_o, H)
    how = {"num_kv_heads": kv_heads, "memory": memory}
    truth, truth_weights = heads_by_loop(*args, **how)
    assert error(fused.multi_head_attention(*args, **how)[0], truth) < 1e-12
    _, weights = fused.multi_head_attention(*args, **how, need_weights=True)
    assert error(weights, truth_weights) < 1e-12


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("tokens", [7, fused.PRODUCTS_UP_TO + 1])
@pytest.mark.parametrize("mask", ["none", "causal", "a row blocked"])
def test_gradients_equal_those_of_the_reference_in_float64(mask, tokens, dtype, device):
    """Short and long enough for either way of training in half precision."""
    args = (normal(B, tokens, 12), *layer_weights(12, 3, 4).values())
    allowed = MASKS[mask](B, 3, tokens, tokens)
    upstream = normal(B, tokens, 12, seed=9)

    def gradients(function, dtype, device, **how):
        mine = [one.detach().requires_grad_() for one in cast(args, dtype, device)]
        out, _ = function(*mine, 3, **how)
        return torch.autograd.grad(out, mine, upstream.to(device, dtype))

    truth = gradients(multi_head_attention, torch.float64, "cpu", mask=allowed)
    how = {"causal": True} if mask == "causal" else {"mask": cast(allowed, dtype, device)}
    found = gradients(fused.multi_head_attention, dtype, device, **how)
    for one, other in zip(found, truth, strict=True):
        assert error(one, other) < LIMITS[dtype]


@pytest.mark.parametrize("call", CALLS)
def test_gradcheck(call):
    args = [one.requires_grad_() for one in (normal(1, 3, D), *grouped_layer())]

    def run(*args):
        return fused.multi_head_attention(
            *args, H, num_kv_heads=KV, causal=True, need_weights=call != CALLS[0]
        )[0]

    assert torch.autograd.gradcheck(run, args, fast_mode=True)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("kv_heads", [1, 2, 6])
@pytest.mark.parametrize("steps", [[1] * T, [3, 1, 2, 1], [T]])
def test_steps_with_a_cache_equal_the_whole_sequence(steps, kv_heads, dtype, device):
    x, *w = cast((normal(B, T, D), *grouped_layer(kv_heads)), dtype, device)
    how = {"num_kv_heads": kv_heads, "causal": True}
    whole, _ = fused.multi_head_attention(x, *w, H, **how)
    cache = fused.KVCache(B, kv_heads, T + 3, HEAD, dtype, device)
    parts = [
        fused.multi_head_attention(one, *w, H, **how, cache=cache)[0] for one in x.split(steps, 1)
    ]
    assert cache.length == T
    assert error(torch.cat(parts, 1), whole.double().cpu()) < LIMITS[dtype]


def test_a_token_cut_out_of_a_sequence_meets_the_weights_as_a_matrix():
    """It keeps the sequence's strides; x @ w would be a batch of products, on copied weights."""
    x, *w = normal(1, T, 12), *layer_weights(12, 3, 4).values()
    products = []

    class Calls(TorchDispatchMode):
        def __torch_dispatch__(self, op, types, args=(), kwargs=None):
            products.append(op)
            return op(*args, **(kwargs or {}))

    with Calls():
        fused.multi_head_attention(x[:, 3:4], *w, 3)
    mm, bmm = torch.ops.aten.mm.default, torch.ops.aten.bmm.default
    assert products.count(mm) == 4 and bmm not in products
    with Calls():
        x[:, 3:4] @ w[0]
    assert bmm in products


def test_a_full_cache_says_so_and_stays_as_it_was():
    cache = fused.KVCache(1, 1, 4, 2)
    cache.append(torch.ones(1, 1, 3, 2), torch.ones(1, 1, 3, 2))
    with pytest.raises(ValueError, match="5 tokens in a cache for 4"):
        cache.append(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    k, _ = cache.append(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))
    assert cache.length == 4 and k.flatten().tolist() == [1] * 6 + [0] * 2


@pytest.mark.parametrize("function", ["kernel", "products"])
def test_nothing_is_changed_in_place(function):
    q, k, v = given = [normal(B, H, T, 8, seed=i) for i in range(3)]
    before = [one.clone() for one in given]
    fused.attend(q, k, v, causal_mask(T), need_weights=function == "products")
    assert all(map(torch.equal, given, before))


@pytest.mark.parametrize(
    ("call", "numbers"),
    [
        (lambda: fused.attend(*(normal(1, h, 3, 4) for h in (6, 4, 4))), ("4", "6")),
        (lambda: fused.attend(normal(1, 2, 5, 4), *[normal(1, 2, 3, 4)] * 2, causal=True), "53"),
        (
            lambda: fused.attend(*[normal(1, 2, 3, 4)] * 3, torch.ones(4, 3).bool()),
            ("(4, 3)", "(1, 2, 3, 3)"),
        ),
        (
            lambda: fused.multi_head_attention(normal(1, 2, 8), *[normal(8, 8)] * 4, 3),
            ("3", "8"),
        ),
        (
            lambda: fused.multi_head_attention(
                normal(1, 2, 8), *[normal(8, 8)] * 4, 4, num_kv_heads=3
            ),
            ("3", "8"),
        ),
    ],
)
def test_the_impossible_raises_with_the_numbers(call, numbers):
    with pytest.raises(ValueError) as raised:
        call()
    assert all(number in str(raised.value) for number in numbers)


def test_the_reference_exports_the_same_functions():
    assert exported.__all__ == ["KVCache", "attend", "multi_head_attention"]
    assert all(getattr(exported, name) is getattr(fused, name) for name in exported.__all__)
