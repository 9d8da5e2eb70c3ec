"""What the reference is held to: the formulas as loops over numbers, PyTorch's own, and cases.

Nothing here calls `solutions`. Every function of the reference has its arguments and at least two
oracles in `CHECKED`; an oracle gets the arguments in float64 and returns the truth.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import FlopCounterMode

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
# Relative Frobenius error against float64; bfloat16 keeps 8 bits.
LIMITS = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}
F64 = torch.float64


def normal(*shape, seed=0, dtype=F64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def weight(rows, columns, seed=0):
    return normal(rows, columns, seed=seed) / rows**0.5


def error(found, truth):
    return ((found.double().cpu() - truth).norm() / (truth.norm() or 1)).item()


def cast(value: Any, dtype: torch.dtype, device: str = "cpu") -> Any:
    """Floating-point tensors of `value` in another dtype, and all of its tensors on a device."""

    def move(one):
        if not isinstance(one, torch.Tensor):
            return one
        return one.to(device, dtype if one.is_floating_point() else one.dtype)

    return tree_map(move, value)


MASKS: dict[str, Callable] = {
    "none": lambda B, h, T, S: None,
    "causal": lambda B, h, T, S: torch.ones(T, S, dtype=torch.bool).tril(S - T),
    "padding": lambda B, h, T, S: (torch.arange(S) < torch.tensor([S, S // 2])[:, None])[
        :, None, None
    ],
    "a row blocked": lambda B, h, T, S: (torch.arange(S) < torch.tensor([0, S - 1])[:, None])[
        :, None, None
    ],
    "one for each head": lambda B, h, T, S: normal(h, 1, S, seed=7) > -0.5,
    "one for each query": lambda B, h, T, S: normal(B, 1, T, 1, seed=8) > -0.5,
    "full": lambda B, h, T, S: normal(B, h, T, S, seed=9) > 0,
}


# ------------------------------------------------------------------------------- loops over numbers


def attention_by_loop(q, k, v, mask=None):
    """Equation 1 of Vaswani et al. 2017, one number at a time: out and weights."""
    *batch, queries, d = q.shape
    keys, width = k.shape[-2], v.shape[-1]
    allowed = None if mask is None else mask.expand(*batch, queries, keys)
    out = torch.zeros(*batch, queries, width, dtype=F64)
    weights = torch.zeros(*batch, queries, keys, dtype=F64)
    for at in product(*map(range, (*batch, queries))):
        seen = [j for j in range(keys) if allowed is None or allowed[at][j]]
        dots = [math.fsum(a * b for a, b in pairs(q[at], k[at[:-1]][j])) for j in seen]
        exps = [math.exp(dot / math.sqrt(d)) for dot in dots]
        for e, j in zip(exps, seen, strict=True):
            weights[at][j] = e / math.fsum(exps)
            out[at] += weights[at][j] * v[at[:-1]][j]
    return out, weights


def pairs(one, other):
    return zip(one.tolist(), other.tolist(), strict=True)


def heads_by_loop(x, w_q, w_k, w_v, w_o, num_heads, mask=None, num_kv_heads=None, memory=None):
    """Each head on its own, from its own columns; the layer is the sum of what they write."""
    d, group = w_q.shape[1] // num_heads, num_heads // (num_kv_heads or num_heads)
    source, out, tables = x if memory is None else memory, 0, []
    for i in range(num_heads):
        mine, shared = (slice(n * d, (n + 1) * d) for n in (i, i // group))
        table = (len(x), num_heads, x.shape[1], source.shape[1])
        allowed = None if mask is None else mask.expand(table)[:, i]
        look_up = (x @ w_q[:, mine], source @ w_k[:, shared], source @ w_v[:, shared])
        head, weights = attention_by_loop(*look_up, allowed)
        out = out + head @ w_o[mine]
        tables.append(weights)
    return out, torch.stack(tables, 1)


def experts_by_loop(x, w_gate, w_in, w_out, k):
    out = torch.zeros_like(x)
    weights, indices = router_by_loop(x, w_gate, k)
    for b, t, j in product(*map(range, indices.shape)):
        e = indices[b, t, j]
        hidden = x[b, t] @ w_in[e]
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        out[b, t] += weights[b, t, j] * (hidden @ w_out[e])
    return out


def norm_by_loop(x, weight, bias, eps=1e-5):
    out = torch.zeros_like(x)
    for at in product(*map(range, x.shape[:-1])):
        values = x[at].tolist()
        mean = math.fsum(values) / len(values)
        variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
        normed = [(value - mean) / math.sqrt(variance + eps) for value in values]
        out[at] = torch.tensor(normed, dtype=F64) * weight + bias
    return out


def feed_by_loop(x, w_in, b_in, w_out, b_out):
    out = torch.zeros_like(x)
    for at in product(*map(range, x.shape[:-1])):
        inner = [math.fsum(a * b for a, b in pairs(x[at], w)) for w in w_in.T]
        inner = [z + b for z, b in zip(inner, b_in.tolist(), strict=True)]
        bent = torch.tensor([z * (1 + math.erf(z / math.sqrt(2))) / 2 for z in inner], dtype=F64)
        out[at] = bent @ w_out + b_out
    return out


def block_by_loop(x, params, num_heads, mask=None, norm_first=True):
    """Vaswani et al. 2017, section 3.1, and its pre-norm variant; biases added to q, k, v."""
    p, d = params, params["w_q"].shape[1] // num_heads

    def attend(x):
        out = p["b_o"]
        for i in range(num_heads):
            mine = slice(i * d, (i + 1) * d)
            q, k, v = (x @ p[f"w_{n}"][:, mine] + p[f"b_{n}"][mine] for n in "qkv")
            table = (len(x), num_heads, x.shape[1], x.shape[1])
            allowed = None if mask is None else mask.expand(table)[:, i]
            out = out + attention_by_loop(q, k, v, allowed)[0] @ p["w_o"][mine]
        return out

    def feed(x):
        return feed_by_loop(x, p["w_in"], p["b_in"], p["w_out"], p["b_out"])

    for sub_layer, norm in ((attend, "norm1"), (feed, "norm2")):
        vectors = p[f"{norm}_weight"], p[f"{norm}_bias"]
        if norm_first:
            x = x + sub_layer(norm_by_loop(x, *vectors))
        else:
            x = norm_by_loop(x + sub_layer(x), *vectors)
    return x


def router_by_loop(x, w_gate, k, renormalize=True):
    batch, num_tokens, _ = x.shape
    weights = torch.zeros(batch, num_tokens, k, dtype=F64)
    indices = torch.zeros(batch, num_tokens, k, dtype=torch.long)
    for b, t in product(range(batch), range(num_tokens)):
        exps = [math.exp(x[b, t] @ column) for column in w_gate.T]
        best = sorted(range(len(exps)), key=lambda e: -exps[e])[:k]
        total = math.fsum(exps[e] for e in best) if renormalize else math.fsum(exps)
        indices[b, t] = torch.tensor(best)
        weights[b, t] = torch.tensor([exps[e] / total for e in best], dtype=F64)
    return weights, indices


def loop(shape, value):
    """A tensor from its entries: value(i, j, …)."""
    numbers = [value(*at) for at in product(*map(range, shape))]
    floats = bool(numbers) and isinstance(numbers[0], float)
    return torch.tensor(numbers, dtype=F64 if floats else None).reshape(shape)


# ------------------------------------------------------------------------------ PyTorch's own code


def fused(q, k, v, mask=None):
    """The fused kernel; with one-hot values it returns the weights themselves."""
    eye = torch.eye(k.shape[-2], dtype=v.dtype).expand(*k.shape[:-1], -1)
    return tuple(F.scaled_dot_product_attention(q, k, one, attn_mask=mask) for one in (v, eye))


def module(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    """nn.MultiheadAttention: weights (out, in), a boolean mask means "blocked".

    Where a head may see nothing it answers NaN, for the whole token: no truth there.
    """
    layer = nn.MultiheadAttention(len(w_q), num_heads, bias=False, batch_first=True, dtype=x.dtype)
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.cat([w_q, w_k, w_v], 1).T)
        layer.out_proj.weight.copy_(w_o.T)
        blocked = None
        if mask is not None:
            blocked = ~mask.expand(len(x), num_heads, x.shape[1], x.shape[1]).flatten(0, 1)
        found = layer(x, x, x, attn_mask=blocked, average_attn_weights=False)
    return tuple(one.detach() for one in found)


def einsum_heads(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    q, k, v = (torch.einsum("btD,Dhd->bhtd", x, _apart(w, num_heads)) for w in (w_q, w_k, w_v))
    out, weights = fused(q, k, v, mask)
    w_o = w_o.unflatten(0, (num_heads, -1))
    return torch.einsum("bhtd,hdD->btD", out, w_o), weights


def groups(x, w_q, w_k, w_v, w_o, num_heads, num_kv_heads, mask=None):
    """The fused kernel with its own groups; with one-hot values it returns the weights."""
    q = _apart_heads(x @ w_q, num_heads)
    k, v = (_apart_heads(x @ w, num_kv_heads) for w in (w_k, w_v))
    eye = torch.eye(k.shape[-2], dtype=v.dtype).expand(*k.shape[:-1], -1)
    how = {"attn_mask": mask, "enable_gqa": True}
    out, weights = (F.scaled_dot_product_attention(q, k, one, **how) for one in (v, eye))
    return torch.einsum("bhtd,hdD->btD", out, w_o.unflatten(0, (num_heads, -1))), weights


def _apart_heads(x, num_heads):
    return torch.stack(x.chunk(num_heads, -1), 1)


def cross_module(x, memory, w_q, w_k, w_v, w_o, num_heads, mask=None):
    """nn.MultiheadAttention with keys and values from elsewhere; NaN as in `module`."""
    wide = {"kdim": len(w_k), "vdim": len(w_v), "dtype": x.dtype}
    layer = nn.MultiheadAttention(len(w_q), num_heads, bias=False, batch_first=True, **wide)
    with torch.no_grad():
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        for name, w in zip(names, (w_q, w_k, w_v), strict=True):
            getattr(layer, name).copy_(w.T)
        layer.out_proj.weight.copy_(w_o.T)
        blocked = None
        if mask is not None:
            table = (len(x), num_heads, x.shape[1], memory.shape[1])
            blocked = ~mask.expand(table).flatten(0, 1)
        found = layer(x, memory, memory, attn_mask=blocked, average_attn_weights=False)
    return tuple(one.detach() for one in found)


def mean_of_rows(first_row, value):
    """A score of each head as a loop: the mean of value(row, t) over rows t and the batch."""

    def score(weights):
        *front, B, h, T, _ = weights.shape

        def mean(*at):
            rows = [
                value(weights[(*at[:-1], b, at[-1], t)].tolist(), t)
                for b, t in product(range(B), range(first_row, T))
            ]
            return math.fsum(rows) / len(rows)

        return loop((*front, h), mean)

    return score


def _apart(w, num_heads):
    return w.unflatten(1, (num_heads, -1))


def stack_of(layer):
    """A stack of layers with residual connections, from one layer's oracle."""

    def run(x, layers, num_heads, mask=None):
        tables = []
        for one in layers:
            out, weights = layer(x, *one.values(), num_heads, mask)
            x = x + out
            tables.append(weights)
        return x, torch.stack(tables)

    return run


def linear(w, b):
    layer = nn.Linear(*w.shape, dtype=w.dtype)
    layer.load_state_dict({"weight": w.T, "bias": b})
    return layer.requires_grad_(False)


def torch_block(x, params, num_heads, mask=None, norm_first=True):
    """nn.TransformerEncoderLayer, in evaluation."""
    p, (width, inner) = params, params["w_in"].shape
    layer = nn.TransformerEncoderLayer(
        width, num_heads, inner, 0.0, F.gelu, batch_first=True, norm_first=norm_first, dtype=x.dtype
    )
    layer.self_attn.in_proj_weight.data = torch.cat([p[f"w_{n}"] for n in "qkv"], 1).T
    layer.self_attn.in_proj_bias.data = torch.cat([p[f"b_{n}"] for n in "qkv"])
    for name, own in {
        "o": layer.self_attn.out_proj,
        "in": layer.linear1,
        "out": layer.linear2,
    }.items():
        own.load_state_dict({"weight": p[f"w_{name}"].T, "bias": p[f"b_{name}"]})
    for name, own in {"norm1": layer.norm1, "norm2": layer.norm2}.items():
        own.load_state_dict({part: p[f"{name}_{part}"] for part in ("weight", "bias")})
    blocked = None
    if mask is not None:
        blocked = ~mask.expand(len(x), num_heads, x.shape[1], x.shape[1]).flatten(0, 1)
    return layer.eval().requires_grad_(False)(x, src_mask=blocked)


def experts_dense(x, w_gate, w_in, w_out, k):
    """All experts on all tokens, most of them times zero."""
    probabilities = F.softmax(x @ w_gate, -1)
    kth = probabilities.sort(-1, descending=True).values[..., k - 1 : k]
    kept = F.normalize(probabilities * (probabilities >= kth), p=1, dim=-1)  # (B, T, E)
    every = torch.einsum("btef,efD->bteD", F.gelu(torch.einsum("btD,eDf->btef", x, w_in)), w_out)
    return torch.einsum("bte,bteD->btD", kept, every)


def router_by_sorting(x, w_gate, k, renormalize=True):
    """Softmax of the k largest logits is the renormalised softmax of all."""
    logits, indices = (x @ w_gate).sort(-1, descending=True)
    if renormalize:
        return F.softmax(logits[..., :k], -1), indices[..., :k]
    return torch.exp(F.log_softmax(logits, -1))[..., :k], indices[..., :k]


def parameters(*layers):
    return sum(p.numel() for layer in layers for p in layer.parameters())


def linears(d_model, num_heads, num_kv_heads=None, head_dim=None, bias=False):
    d, kv = head_dim or d_model // num_heads, num_kv_heads or num_heads
    shapes = [(d_model, num_heads * d), *[(d_model, kv * d)] * 2, (num_heads * d, d_model)]
    return parameters(*[nn.Linear(*shape, bias=bias, device="meta") for shape in shapes])


def _trail(batch, num_tokens, d_model, num_heads):
    x = torch.zeros(batch, num_tokens, d_model, device="meta")
    q = nn.Linear(d_model, d_model, device="meta")(x)
    split = torch.stack(q.chunk(num_heads, -1), 1)
    scores = split @ split.mT
    head_out = scores.softmax(-1) @ split
    concat = torch.cat(head_out.unbind(1), -1)
    steps = (x, q, split, scores, scores.softmax(-1), head_out, concat, concat @ x.mT @ x)
    names = ("x", "q", "split_q", "scores", "weights", "head_out", "concat", "out")
    return {name: tuple(step.shape) for name, step in zip(names, steps, strict=True)}


def _module_parameters(d_model, num_heads, num_kv_heads, head_dim, bias):
    """nn.MultiheadAttention of width h·d; D other than that, and groups, are put right by hand."""
    d = head_dim or d_model // num_heads
    width = num_heads * d
    count = parameters(nn.MultiheadAttention(width, num_heads, bias=bias, device="meta"))
    count -= 4 * width * (width - d_model) + bias * (width - d_model)
    shared = num_heads - (num_kv_heads or num_heads)
    return count - 2 * shared * d * (d_model + bias)


def _counted(batch, num_tokens, d_model, num_heads):
    x, w = (torch.zeros(*shape) for shape in ((batch, num_tokens, d_model), (d_model, d_model)))
    with FlopCounterMode(display=False) as counter:
        q, k, v = (torch.stack((x @ w).chunk(num_heads, -1), 1) for _ in range(3))
        torch.cat((q @ k.mT @ v).unbind(1), -1) @ w
    return counter.get_total_flops()


# -------------------------------------------------------------------------------- cases and oracles


@dataclass(frozen=True)
class Checked:
    """Arguments of one function, and what else gives its results."""

    cases: Callable[[], Iterator[dict[str, Any]]]
    oracles: dict[str, Callable]
    dtypes: tuple[torch.dtype, ...] = tuple(LIMITS)


def _plain(*cases):
    return lambda: iter(cases)


def _look_ups():
    for (B, h, T, S, d, d_v), mask in product(
        [(2, 3, 5, 7, 6, 4), (2, 1, 1, 1, 3, 3), (2, 4, 6, 6, 8, 8)], MASKS.values()
    ):
        q, k, v = normal(B, h, T, d), normal(B, h, S, d, seed=1), normal(B, h, S, d_v, seed=2)
        yield {"q": q, "k": k, "v": v, "mask": mask(B, h, T, S)}


def _one_head():
    B, T, D, d, d_v = 2, 5, 7, 4, 3
    for mask in MASKS.values():
        allowed = mask(B, 1, T, T)
        yield {
            "x": normal(B, T, D),
            "w_q": weight(D, d, 1),
            "w_k": weight(D, d, 2),
            "w_v": weight(D, d_v, 3),
            "mask": None if allowed is None else allowed.expand(B, 1, T, T)[:, 0],
        }


def _independent():
    B, h, T, D, d = 2, 3, 5, 7, 4
    for mask in MASKS.values():
        w_q, w_k, w_v = (normal(h, D, d, seed=i) / D**0.5 for i in (1, 2, 3))
        yield {"x": normal(B, T, D), "w_q": w_q, "w_k": w_k, "w_v": w_v, "mask": mask(B, h, T, T)}


def layer_weights(D, h, d, seed=0):
    w = {name: weight(D, h * d, seed + i) for i, name in enumerate(("w_q", "w_k", "w_v"), 1)}
    return {**w, "w_o": weight(h * d, D, seed + 4)}


def _layers():
    for (T, D, h), mask in product([(5, 12, 3), (5, 12, 1), (3, 16, 8)], MASKS.values()):
        yield {
            "x": normal(2, T, D),
            **layer_weights(D, h, D // h),
            "num_heads": h,
            "mask": mask(2, h, T, T),
        }


def _stacks():
    B, T, D, h = 2, 5, 12, 3
    for mask in ("none", "causal", "a row blocked"):
        layers = [layer_weights(D, h, D // h, seed=10 * n) for n in range(2)]
        yield {
            "x": normal(B, T, D),
            "layers": layers,
            "num_heads": h,
            "mask": MASKS[mask](B, h, T, T),
        }


def _experts():
    x, w_gate, w_in, w_out = (
        normal(*shape, seed=i) for i, shape in enumerate([(2, 5, 7), (7, 4), (4, 7, 6), (4, 6, 7)])
    )
    for k in (1, 2, 4):
        yield {"x": x, "w_gate": w_gate, "w_in": w_in, "w_out": w_out, "k": k}


def _norms():
    for shape, eps in product([(7,), (2, 5, 7), (2, 3, 4, 7)], (1e-5, 1e-12, 0.3)):
        yield {
            "x": 3 + normal(*shape),
            "weight": normal(7, seed=1),
            "bias": normal(7, seed=2),
            "eps": eps,
        }


def _networks():
    for front in ((), (2, 5), (2, 3, 4)):
        yield {
            "x": normal(*front, 7),
            "w_in": weight(7, 9, 1),
            "b_in": normal(9, seed=2),
            "w_out": weight(9, 7, 3),
            "b_out": normal(7, seed=4),
        }


def _blocks():
    B, T, D, h, inner = 2, 4, 6, 3, 10
    for mask, norm_first in product(("none", "causal", "one for each head"), (True, False)):
        params = layer_weights(D, h, D // h) | {
            "w_in": weight(D, inner, 11),
            "w_out": weight(inner, D, 12),
        }
        for seed, name in enumerate(("b_q", "b_k", "b_v", "b_o", "b_in", "b_out"), 13):
            params[name] = normal(inner if name == "b_in" else D, seed=seed)
        for seed, name in enumerate(("norm1", "norm2"), 21):
            params[f"{name}_weight"] = 1 + normal(D, seed=seed) / 4
            params[f"{name}_bias"] = normal(D, seed=seed + 2)
        allowed = MASKS[mask](B, h, T, T)
        if mask == "one for each head":
            allowed = allowed | torch.eye(T, dtype=torch.bool)  # nobody is left with nothing
        yield {
            "x": normal(B, T, D),
            "params": params,
            "num_heads": h,
            "mask": allowed,
            "norm_first": norm_first,
        }


def _routers():
    for case, renormalize in product(_experts(), (True, False)):
        yield {name: case[name] for name in ("x", "w_gate", "k")} | {"renormalize": renormalize}


def _crossings():
    for (T, S, h), mask in product([(5, 7, 3), (1, 4, 6)], MASKS.values()):
        D, d_memory = 12, 9
        w = layer_weights(D, h, D // h) | {
            "w_k": weight(d_memory, D, 7),
            "w_v": weight(d_memory, D, 8),
        }
        ends = {"x": normal(2, T, D), "memory": normal(2, S, d_memory, seed=5)}
        yield {**ends, **w, "num_heads": h, "mask": mask(2, h, T, S)}


def _grouped_layers():
    for kv_heads, mask in product((1, 2, 6), MASKS.values()):
        T, D, h, d = 5, 13, 6, 4
        w = layer_weights(D, h, d) | {
            "w_k": weight(D, kv_heads * d, 7),
            "w_v": weight(D, kv_heads * d, 8),
        }
        sizes = {"num_heads": h, "num_kv_heads": kv_heads}
        yield {"x": normal(2, T, D), **w, **sizes, "mask": mask(2, h, T, T)}


def _weights_of_heads():
    for front in ((), (3,)):
        scores = normal(*front, 2, 4, 5, 5)
        yield {"weights": scores.softmax(-1)}
        yield {"weights": scores.masked_fill(~MASKS["causal"](2, 4, 5, 5), -1e9).softmax(-1)}


def _losses():
    """A loss of two heads that act together, in whole numbers."""

    def loss(mask):
        off = 1 - mask.double()
        return float(2 + 3 * off[0, 0] - off[1, 1] + 5 * off[0, 0] * off[1, 1] + 7 * off[0, 1])

    yield {"loss_fn": loss, "num_layers": 2, "num_heads": 3}


def _ranks():
    for D, h, d in [(24, 4, 6), (9, 3, 14)]:
        yield {"w_q": normal(D, h * d), "w_k": normal(D, h * d, seed=1), "num_heads": h}
    # Whole numbers, exact in every dtype; the columns of each head span two directions.
    thin = (3 * normal(24, 2)).round() @ (3 * normal(2, 12, seed=1)).round()
    yield {"w_q": thin, "w_k": normal(24, 12, seed=2), "num_heads": 3}


def _eigenvalue_rank(w_q, w_k, num_heads):
    ranks = []
    for q, k in zip(w_q.chunk(num_heads, 1), w_k.chunk(num_heads, 1), strict=True):
        # M Mᵀ = Q (KᵀK) Qᵀ has the squares of M's singular values.
        values = torch.linalg.eigvalsh(q @ (k.T @ k) @ q.T)
        ranks.append(int((values > values.max() * 1e-7).sum()))
    return ranks


HEAD_OUT = normal(2, 3, 5, 4)
W_O = weight(12, 7, 1)
INTEGERS = (F64,)  # nothing to cast: once is enough

CHECKED: dict[str, Checked] = {
    "attention.softmax": Checked(
        lambda: ({"scores": normal(3, 5, 7) * s, "dim": d} for s in (1, 30) for d in (0, 1, -1)),
        {
            "loop": lambda scores, dim: loop(
                scores.shape,
                lambda *at: (
                    1
                    / math.fsum(
                        math.exp(other - scores[at].item())
                        for other in scores.movedim(dim, -1)[
                            tuple(n for i, n in enumerate(at) if i != dim % 3)
                        ].tolist()
                    )
                ),
            ),
            "torch": lambda scores, dim: torch.softmax(scores, dim),
        },
        dtypes=(F64, torch.float32),  # eight bits of a score of 90 say nothing of its exponential
    ),
    "attention.causal_mask": Checked(
        _plain(*({"num_tokens": n} for n in (0, 1, 3, 8))),
        {
            "loop": lambda num_tokens: loop((num_tokens,) * 2, lambda i, j: j <= i).bool(),
            "nn.Transformer": lambda num_tokens: (
                nn.Transformer.generate_square_subsequent_mask(num_tokens) == 0
            ),
        },
        INTEGERS,
    ),
    "attention.padding_mask": Checked(
        _plain(
            {"lengths": [3, 0, 5, 1], "num_tokens": 5},
            {"lengths": torch.tensor([2, 6]), "num_tokens": 6},
        ),
        {
            "loop": lambda lengths, num_tokens: loop(
                (len(lengths), 1, 1, num_tokens), lambda b, i, j, t: bool(t < lengths[b])
            ),
            "pad_sequence": lambda lengths, num_tokens: pad_sequence(
                [torch.ones(int(n)).bool() for n in [*lengths, num_tokens]], batch_first=True
            )[:-1, None, None],
        },
        INTEGERS,
    ),
    "attention.scaled_dot_product_attention": Checked(
        _look_ups, {"loop": attention_by_loop, "F.scaled_dot_product_attention": fused}
    ),
    "single.single_head_attention": Checked(
        _one_head,
        {
            "loop": lambda x, w_q, w_k, w_v, mask: attention_by_loop(
                x @ w_q, x @ w_k, x @ w_v, mask
            ),
            "F.scaled_dot_product_attention": lambda x, w_q, w_k, w_v, mask: fused(
                x @ w_q, x @ w_k, x @ w_v, mask
            ),
        },
    ),
    "single.independent_heads": Checked(
        _independent,
        {
            "loop": lambda x, w_q, w_k, w_v, mask: attention_by_loop(
                *(torch.stack([x @ w for w in ws], 1) for ws in (w_q, w_k, w_v)), mask
            ),
            "einsum": lambda x, w_q, w_k, w_v, mask: fused(
                *(torch.einsum("btD,hDd->bhtd", x, ws) for ws in (w_q, w_k, w_v)), mask
            ),
        },
    ),
    "single.unexplained_floor": Checked(
        _plain(*({"num_heads": h, "num_lookups": m} for h in (1, 2, 5) for m in (1, 3, 4, 7))),
        {
            # m independent targets, h linear blends of them: the best read-out projects on h
            # directions. Least squares from blends z = A v to v leaves tr(I - A⁺A) / m.
            "least squares": lambda num_heads, num_lookups: (
                1
                - torch.trace((a := normal(num_heads, num_lookups, seed=3)).pinverse() @ a).item()
                / num_lookups
            ),
            "counting": lambda num_heads, num_lookups: (
                len(range(num_lookups)[num_heads:]) / num_lookups
            ),
        },
        INTEGERS,
    ),
    "heads.split_heads": Checked(
        _plain({"x": normal(2, 5, 12), "num_heads": 3}, {"x": normal(2, 1, 4), "num_heads": 4}),
        {
            "loop": lambda x, num_heads: loop(
                (len(x), num_heads, x.shape[1], d := x.shape[2] // num_heads),
                lambda b, i, t, c: x[b, t, i * d + c].item(),
            ),
            "chunk": lambda x, num_heads: torch.stack(x.chunk(num_heads, -1), 1),
        },
    ),
    "heads.merge_heads": Checked(
        _plain({"x": HEAD_OUT}, {"x": normal(2, 1, 3, 5)}),
        {
            "loop": lambda x: loop(
                (len(x), x.shape[2], x.shape[1] * (d := x.shape[3])),
                lambda b, t, c: x[b, c // d, t, c % d].item(),
            ),
            "cat": lambda x: torch.cat(x.unbind(1), -1),
        },
    ),
    "heads.multi_head_attention": Checked(
        _layers, {"loop": heads_by_loop, "nn.MultiheadAttention": module, "einsum": einsum_heads}
    ),
    "sizing.unpack_qkv": Checked(
        _plain({"packed": normal(2, 5, 36), "num_heads": 3}),
        {
            "loop": lambda packed, num_heads: tuple(
                loop(
                    (
                        len(packed),
                        num_heads,
                        packed.shape[1],
                        d := packed.shape[2] // 3 // num_heads,
                    ),
                    lambda b, i, t, c, part=part, d=d: packed[
                        b, t, (part * num_heads + i) * d + c
                    ].item(),
                )
                for part in range(3)
            ),
            "permute": lambda packed, num_heads: tuple(
                packed.unflatten(-1, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)
            ),
        },
    ),
    "sizing.shape_trail": Checked(
        _plain(
            {"batch": 2, "num_tokens": 7, "d_model": 20, "num_heads": 5},
            {"batch": 1, "num_tokens": 10, "d_model": 768, "num_heads": 12},
        ),
        {
            "meta tensors": _trail,
            "written out": lambda batch, num_tokens, d_model, num_heads: {
                **dict.fromkeys(["x", "q"], (batch, num_tokens, d_model)),
                "split_q": (batch, num_heads, num_tokens, d_model // num_heads),
                **dict.fromkeys(["scores", "weights"], (batch, num_heads, num_tokens, num_tokens)),
                "head_out": (batch, num_heads, num_tokens, d_model // num_heads),
                **dict.fromkeys(["concat", "out"], (batch, num_tokens, d_model)),
            },
        },
        INTEGERS,
    ),
    "sizing.count_attention_parameters": Checked(
        _plain(
            *(
                {"d_model": D, "num_heads": h, "num_kv_heads": kv, "head_dim": d, "bias": bias}
                for D, h, kv, d in [
                    *[(768, h, None, None) for h in (1, 12, 768)],
                    *[(19, 6, 2, 5), (60, 5, 1, 12), (3072, 16, 16, 256), (7, 3, 3, 1)],
                ]
                for bias in (False, True)
            )
        ),
        {
            "nn.Linear": linears,
            "nn.MultiheadAttention, less what groups share": _module_parameters,
        },
        INTEGERS,
    ),
    "sizing.count_attention_flops": Checked(
        _plain(
            {"batch": 2, "num_tokens": 16, "d_model": 48, "num_heads": 4},
            {"batch": 1, "num_tokens": 5, "d_model": 12, "num_heads": 12},
        ),
        {
            "every multiplication and addition": lambda batch, num_tokens, d_model, num_heads: sum(
                2 * batch * rows * inner * columns
                for rows, inner, columns in [
                    *[(num_tokens, d_model, d_model)] * 4,
                    *[(num_tokens, d_model // num_heads, num_tokens)] * num_heads,
                    *[(num_tokens, num_tokens, d_model // num_heads)] * num_heads,
                ]
            ),
            "PyTorch's counter": _counted,
        },
        INTEGERS,
    ),
    "mixing.output_slices": Checked(
        _plain({"w_o": W_O, "num_heads": 3}, {"w_o": W_O, "num_heads": 12}),
        {
            "loop": lambda w_o, num_heads: loop(
                (num_heads, d := len(w_o) // num_heads, w_o.shape[1]),
                lambda i, j, c: w_o[i * d + j, c].item(),
            ),
            "chunk": lambda w_o, num_heads: torch.stack(w_o.chunk(num_heads)),
        },
    ),
    "mixing.head_writes": Checked(
        _plain({"head_out": HEAD_OUT, "w_o": W_O}),
        {
            "loop": lambda head_out, w_o: loop(
                (2, 5, 3, 7),
                lambda b, t, i, c: math.fsum(
                    head_out[b, i, t, j].item() * w_o[4 * i + j, c].item() for j in range(4)
                ),
            ),
            "nn.Linear, one head at a time": lambda head_out, w_o: torch.stack(
                [
                    F.linear(head_out[:, i], rows.T.contiguous())
                    for i, rows in enumerate(w_o.split(head_out.shape[-1]))
                ],
                2,
            ),
        },
    ),
    "mixing.ablate_heads": Checked(
        _plain(
            *({"head_out": HEAD_OUT, "w_o": W_O, "heads": h} for h in ([], [1], [2, 0, 2], (1, 0)))
        ),
        {
            "sum of the others": lambda head_out, w_o, heads: sum(
                (i not in heads) * (head_out[:, i] @ w_o[4 * i : 4 * i + 4]) for i in range(3)
            ),
            "difference": lambda head_out, w_o, heads: (
                F.linear(torch.cat(head_out.unbind(1), -1), w_o.T)
                - sum(head_out[:, i] @ w_o[4 * i : 4 * i + 4] for i in set(heads))
            ),
        },
    ),
    "partition.head_scores_rank": Checked(
        _ranks,
        {
            "eigenvalues": _eigenvalue_rank,
            "rank of the smaller factor": lambda w_q, w_k, num_heads: [
                min(int(torch.linalg.matrix_rank(w)) for w in two)
                for two in zip(w_q.chunk(num_heads, 1), w_k.chunk(num_heads, 1), strict=True)
            ],
        },
        dtypes=(F64, torch.float32),
    ),
    "partition.head_count_options": Checked(
        _plain(
            *({"d_model": n} for n in (768, 4544, 1000)),
            {"d_model": 96, "head_dims": (5, 3, 32, 3)},
        ),
        {
            "every head count": lambda d_model, head_dims=(64, 128): [
                h for h in range(1, d_model + 1) if any(h * d == d_model for d in head_dims)
            ],
            "exact fractions": lambda d_model, head_dims=(64, 128): sorted(
                {divmod(d_model, d)[0] for d in head_dims if divmod(d_model, d)[1] == 0}
            ),
        },
        INTEGERS,
    ),
    "layers.count_attention_computations": Checked(
        _plain(
            {"num_layers": 12, "num_heads": 12},
            {"num_layers": 6, "num_heads": 16, "decoder_layers": 6},
            {"num_layers": 4, "num_heads": 6, "decoder_layers": 3},
            {"num_layers": 0, "num_heads": 1, "decoder_layers": 2},
        ),
        {
            "one by one": lambda num_layers, num_heads, decoder_layers=0: sum(
                num_heads
                for attention in ["self"] * num_layers + ["self", "cross"] * decoder_layers
            ),
            "nn.Transformer": lambda num_layers, num_heads, decoder_layers=0: sum(
                part.num_heads
                for part in nn.Transformer(
                    4 * num_heads, num_heads, num_layers, decoder_layers, 1, device="meta"
                ).modules()
                if isinstance(part, nn.MultiheadAttention)
            ),
        },
        INTEGERS,
    ),
    "layers.attention_stack": Checked(
        _stacks,
        {"loop": stack_of(heads_by_loop), "nn.MultiheadAttention": stack_of(module)},
    ),
    "layers.induction_score": Checked(
        _plain(*({"weights": normal(3, 2, 4, 9, 9).softmax(-1), "period": p} for p in (1, 4, 8))),
        {
            "loop": lambda weights, period: loop(
                (3, 4),
                lambda layer, i: (
                    math.fsum(
                        weights[layer, b, i, t, t - period + 1].item()
                        for b in range(2)
                        for t in range(period, 9)
                    )
                    / (2 * (9 - period))
                ),
            ),
            # Row t, column t - period + 1; the first entry of that diagonal is for t = period - 1.
            "diagonal": lambda weights, period: weights.diagonal(1 - period, -2, -1)[..., 1:].mean(
                (1, 3)
            ),
        },
    ),
    "roles.previous_token_score": Checked(
        _weights_of_heads,
        {
            "loop": mean_of_rows(1, lambda row, t: row[t - 1]),
            "a table of ones": lambda weights: (
                torch.einsum(
                    "...bhts,ts->...h", weights, torch.eye(5).roll(-1, 1).tril().to(weights)
                )
                / (2 * 4)
            ),
        },
    ),
    "roles.first_token_score": Checked(
        _weights_of_heads,
        {
            "loop": mean_of_rows(0, lambda row, t: row[0]),
            "what is not elsewhere": lambda weights: 1 - weights[..., 1:].sum(-1).mean((-1, -3)),
        },
        dtypes=(F64, torch.float32),  # in eight bits the weights of a row do not sum to 1
    ),
    "roles.attention_entropy": Checked(
        _weights_of_heads,
        {
            "loop": mean_of_rows(0, lambda row, t: -sum(w * math.log(w) for w in row if w)),
            "torch.special": lambda weights: torch.special.entr(weights).sum(-1).mean((-1, -3)),
        },
    ),
    "roles.head_importance": Checked(
        _losses,
        {
            "written out": lambda loss_fn, num_layers, num_heads: torch.tensor(
                [[3.0, 7.0, 0.0], [0.0, -1.0, 0.0]], dtype=F64
            ),
            "one mask for each": lambda loss_fn, num_layers, num_heads: torch.tensor(
                [
                    loss_fn(1 - row) - loss_fn(torch.ones(num_layers, num_heads))
                    for row in torch.eye(num_layers * num_heads).view(-1, num_layers, num_heads)
                ],
                dtype=F64,
            ).view(num_layers, num_heads),
        },
        dtypes=(torch.float32,),
    ),
    "sharing.cross_attention": Checked(
        _crossings,
        {
            "loop": lambda x, memory, **rest: heads_by_loop(x, **rest, memory=memory),
            "nn.MultiheadAttention": cross_module,
        },
    ),
    "sharing.expand_kv": Checked(
        _plain(*({"kv": normal(2, kv, 5, 4), "num_heads": 6} for kv in (1, 2, 6))),
        {
            "loop": lambda kv, num_heads: torch.stack(
                [kv[:, i * kv.shape[1] // num_heads] for i in range(num_heads)], 1
            ),
            "who reads whom": lambda kv, num_heads: torch.einsum(
                "bktd,hk->bhtd",
                kv,
                torch.block_diag(*[torch.ones(num_heads // kv.shape[1], 1)] * kv.shape[1]).to(kv),
            ),
        },
    ),
    "sharing.grouped_query_attention": Checked(
        _grouped_layers,
        {
            "loop": lambda x, w_q, w_k, w_v, w_o, num_heads, num_kv_heads, mask: heads_by_loop(
                x, w_q, w_k, w_v, w_o, num_heads, mask, num_kv_heads
            ),
            "F.scaled_dot_product_attention": groups,
        },
    ),
    "sharing.kv_cache_bytes": Checked(
        _plain(
            {"num_layers": 3, "num_kv_heads": 2, "head_dim": 5, "num_tokens": 7},
            {
                **{"num_layers": 2, "num_kv_heads": 1, "head_dim": 8, "num_tokens": 0},
                **{"batch": 3, "bytes_per_value": 4},
            },
            {
                **{"num_layers": 2, "num_kv_heads": 4, "head_dim": 8, "num_tokens": 9},
                **{"batch": 3, "bytes_per_value": 4},
            },
        ),
        {
            "tensors": lambda num_layers, num_kv_heads, head_dim, num_tokens, **more: sum(
                torch.empty(
                    *(2, more.get("batch", 1), num_kv_heads, num_tokens, head_dim),
                    dtype={2: torch.bfloat16, 4: torch.float32}[more.get("bytes_per_value", 2)],
                ).nbytes
                for _ in range(num_layers)
            ),
            "a token at a time": lambda num_layers, num_kv_heads, head_dim, num_tokens, **more: sum(
                2 * num_kv_heads * head_dim * more.get("bytes_per_value", 2)
                for _ in product(range(num_tokens), range(num_layers), range(more.get("batch", 1)))
            ),
        },
        INTEGERS,
    ),
    "sharing.pool_kv_heads": Checked(
        _plain(
            *({"w_kv": weight(7, 24), "num_heads": 6, "num_kv_heads": kv} for kv in (1, 2, 3, 6))
        ),
        {
            "loop": lambda w_kv, num_heads, num_kv_heads: loop(
                (7, num_kv_heads * 4),
                lambda row, column: (
                    math.fsum(
                        w_kv[row, 4 * i + column % 4].item()
                        for i in range(num_heads)
                        if i * num_kv_heads // num_heads == column // 4
                    )
                    * num_kv_heads
                    / num_heads
                ),
            ),
            "chunks": lambda w_kv, num_heads, num_kv_heads: torch.cat(
                [
                    torch.stack(group.chunk(num_heads // num_kv_heads, 1)).mean(0)
                    for group in w_kv.chunk(num_kv_heads, 1)
                ],
                1,
            ),
        },
    ),
    "experts.top_k_router": Checked(
        _routers,
        {"loop": router_by_loop, "sorted logits": router_by_sorting},
        dtypes=(F64, torch.float32),  # in eight bits two experts can tie
    ),
    "experts.moe_feed_forward": Checked(
        _experts,
        {"loop": experts_by_loop, "all experts": experts_dense},
        dtypes=(F64, torch.float32),
    ),
    "experts.count_moe_parameters": Checked(
        _plain(*({"d_model": 7, "d_ff": 6, "num_experts": 4, "k": k} for k in (1, 2, 4))),
        {
            "the tensors": lambda d_model, d_ff, num_experts, k: tuple(
                torch.empty(d_model, num_experts).numel()
                + torch.empty(n, d_model, d_ff).numel()
                + torch.empty(n, d_ff, d_model).numel()
                for n in (num_experts, k)
            ),
            "nn.Linear": lambda d_model, d_ff, num_experts, k: tuple(
                parameters(
                    nn.Linear(d_model, num_experts, bias=False),
                    *[nn.Linear(d_model, d_ff, bias=False)] * n,
                    *[nn.Linear(d_ff, d_model, bias=False)] * n,
                )
                for n in (num_experts, k)
            ),
        },
        INTEGERS,
    ),
    "block.layer_norm": Checked(
        _norms,
        {
            "loop": norm_by_loop,
            "F.layer_norm": lambda x, weight, bias, eps=1e-5: F.layer_norm(
                x, x.shape[-1:], weight, bias, eps
            ),
        },
    ),
    "block.feed_forward": Checked(
        _networks,
        {
            "loop": feed_by_loop,
            "nn.Sequential": lambda x, w_in, b_in, w_out, b_out: nn.Sequential(
                linear(w_in, b_in), nn.GELU(), linear(w_out, b_out)
            )(x),
        },
    ),
    "block.transformer_block": Checked(
        _blocks, {"loop": block_by_loop, "nn.TransformerEncoderLayer": torch_block}
    ),
}
