"""Exercises of notebook 02: one head, several independent heads, and what h blends can explain."""

import torch
import torch.nn.functional as F

from solutions import single as reference
from solutions.attention import scaled_dot_product_attention as attend

from .entry import Case, Exercise, Misconception

# ------------------------------------------------------------------------- single_head_attention


def _single(x, w_q, w_k, w_v, mask=None):
    return attend(x @ w_q, x @ w_k, x @ w_v, mask)


def _scaled_by_model_width(x, w_q, w_k, w_v, mask=None):
    ratio = (w_q.shape[-1] / x.shape[-1]) ** 0.5
    return attend(x @ w_q * ratio, x @ w_k, x @ w_v, mask)


def _not_scaled(x, w_q, w_k, w_v, mask=None):
    return attend(x @ w_q * w_q.shape[-1] ** 0.5, x @ w_k, x @ w_v, mask)


def _softmax_over_queries(x, w_q, w_k, w_v, mask=None):
    scores = (x @ w_q) @ (x @ w_k).transpose(-2, -1) / w_q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e9)
    weights = torch.softmax(scores, -2)
    return weights @ (x @ w_v), weights


def _fused_single(x, w_q, w_k, w_v, mask=None):
    if {w.shape[0] for w in (w_q, w_k, w_v)} != {x.shape[-1]}:
        raise ValueError(
            f"projections of {w_q.shape[0]}, {w_k.shape[0]}, {w_v.shape[0]} rows "
            f"against x of width {x.shape[-1]}"
        )
    out = F.scaled_dot_product_attention(x @ w_q, x @ w_k, x @ w_v, attn_mask=mask)
    return out, _single(x, w_q, w_k, w_v, mask)[1]


def _token_by_token(x, w_q, w_k, w_v, mask=None):
    if {w.shape[0] for w in (w_q, w_k, w_v)} != {x.shape[-1]}:
        raise ValueError(f"{w_q.shape}, {w_k.shape}, {w_v.shape} do not take {x.shape[-1]}")
    outs, all_weights = [], []
    allowed = torch.ones(len(x), x.shape[1], x.shape[1], dtype=torch.bool)
    if mask is not None:
        allowed = mask.expand(allowed.shape)
    for b, tokens in enumerate(x):
        keys, values = tokens @ w_k, tokens @ w_v
        for t, token in enumerate(tokens):
            scores = keys @ (token @ w_q) / w_q.shape[-1] ** 0.5
            weights = torch.softmax(scores.masked_fill(~allowed[b, t], -1e9), 0)
            outs.append(weights @ values)
            all_weights.append(weights)
    shape = x.shape[:2]
    return torch.stack(outs).reshape(*shape, -1), torch.stack(all_weights).reshape(*shape, -1)


def _tokens(r, batch=None, num_tokens=None):
    batch = r.B if batch is None else batch
    return r.normal(batch, r.T if num_tokens is None else num_tokens, r.D)


def _one_head(r, num_tokens=None, value_width=None, mask=None):
    args = {
        "x": _tokens(r, num_tokens=num_tokens),
        "w_q": r.weight(r.D, r.d),
        "w_k": r.weight(r.D, r.d),
        "w_v": r.weight(r.D, value_width or r.d_v),
    }
    return args if mask is None else {**args, "mask": mask}


single_head_attention = Exercise(
    name="single.single_head_attention",
    points=2,
    reference=reference.single_head_attention,
    returns=("out", "weights"),
    library_calls=("scaled_dot_product_attention", "MultiheadAttention"),
    cases=(
        Case("one token: the output is its own value", lambda r: _one_head(r, num_tokens=1)),
        Case("no mask", _one_head),
        Case("values as wide as the tokens", lambda r: _one_head(r, value_width=r.D)),
        Case("a mask (T, T)", lambda r: _one_head(r, mask=r.mask(r.T, r.T))),
        Case(
            "a mask for each sequence (B, T, T)", lambda r: _one_head(r, mask=r.mask(r.B, r.T, r.T))
        ),
        Case(
            "a projection for another width",
            lambda r: {**_one_head(r), "w_k": r.weight(r.D + 2, r.d)},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["x"].shape[-1], args["w_k"].shape[0]),
        ),
    ),
    misconceptions=(
        Misconception(
            "single_values_not_projected",
            lambda x, w_q, w_k, w_v, mask=None: attend(x @ w_q, x @ w_k, x, mask),
            "The tokens themselves were averaged: W_V was not applied.",
            "Three projections: queries, keys and values.",
        ),
        Misconception(
            "single_queries_and_keys_swapped",
            lambda x, w_q, w_k, w_v, mask=None: attend(x @ w_k, x @ w_q, x @ w_v, mask),
            "W_Q and W_K changed places: the scores are transposed.",
            "Rows of the scores belong to queries: the looking token's side is x @ w_q.",
        ),
        Misconception(
            "single_one_projection",
            lambda x, w_q, w_k, w_v, mask=None: attend(x @ w_q, x @ w_q, x @ w_v, mask),
            "Queries and keys came from the same matrix W_Q.",
            "Keys have a matrix of their own: W_K.",
        ),
        Misconception(
            "single_keys_averaged",
            lambda x, w_q, w_k, w_v, mask=None: attend(x @ w_q, x @ w_k, x @ w_k, mask),
            "The keys were averaged instead of the values.",
            "The third argument of the look-up is x @ w_v.",
        ),
        Misconception(
            "single_values_as_keys",
            lambda x, w_q, w_k, w_v, mask=None: attend(
                x @ w_q, (x @ w_v)[..., : w_q.shape[-1]], (x @ w_k), mask
            ),
            "W_K and W_V changed places.",
            "Keys are matched with the queries, values are what comes back.",
        ),
        Misconception(
            "single_mask_ignored",
            lambda x, w_q, w_k, w_v, mask=None: _single(x, w_q, w_k, w_v),
            "The mask was not handed on.",
            "Pass mask to scaled_dot_product_attention.",
        ),
        Misconception(
            "single_mask_inverted",
            lambda x, w_q, w_k, w_v, mask=None: _single(
                x, w_q, w_k, w_v, None if mask is None else ~mask
            ),
            "The mask works the wrong way round: what may be attended was blocked.",
            "True means “may attend”.",
        ),
        Misconception(
            "single_scaled_by_model_width",
            _scaled_by_model_width,
            "The scores were divided by sqrt(D), the width of the tokens.",
            "The scale belongs to the width of the queries, d.",
        ),
        Misconception(
            "single_not_scaled",
            _not_scaled,
            "The scores were not divided by sqrt(d).",
            "Let scaled_dot_product_attention do the look-up: it scales.",
        ),
        Misconception(
            "single_softmax_over_queries",
            _softmax_over_queries,
            "The softmax ran over the queries: columns sum to 1 instead of rows.",
            "Each query shares its weights out among the keys.",
        ),
        Misconception(
            "single_weights_transposed_projection",
            lambda x, w_q, w_k, w_v, mask=None: attend(x @ w_q.T, x @ w_k.T, x @ w_v.T, mask),
            "The projections were transposed. (nn.Linear keeps its weight as (out, in); here w is (in, out).)",
            "y = x @ w, without .T.",
        ),
        Misconception(
            "single_one_result",
            lambda x, w_q, w_k, w_v, mask=None: _single(x, w_q, w_k, w_v, mask)[0],
            "Only the output came back.",
            "Return (out, weights).",
        ),
        Misconception(
            "single_width_unchecked",
            lambda x, w_q, w_k, w_v, mask=None: _single(
                x, *[w[: x.shape[-1]] for w in (w_q, w_k, w_v)], mask
            ),
            "A projection that does not fit was cut to size, or left to fail later.",
            "Compare each projection's first dimension with x's last and raise a ValueError that names both.",
        ),
    ),
    equivalents={"PyTorch's fused attention": _fused_single, "token by token": _token_by_token},
)

# ----------------------------------------------------------------------------- independent_heads


def _heads(x, w_q, w_k, w_v, mask=None):
    x = x[:, None]
    return attend(x @ w_q, x @ w_k, x @ w_v, mask)


def _head_0_for_all(x, w_q, w_k, w_v, mask=None):
    return _heads(x, *[w[:1].expand_as(w) for w in (w_q, w_k, w_v)], mask)


def _shared_queries(x, w_q, w_k, w_v, mask=None):
    return _heads(x, w_q[:1].expand_as(w_q), w_k, w_v, mask)


def _averaged(x, w_q, w_k, w_v, mask=None):
    out, weights = _heads(x, w_q, w_k, w_v, mask)
    return out.mean(1), weights.mean(1)


def _summed(x, w_q, w_k, w_v, mask=None):
    out, weights = _heads(x, w_q, w_k, w_v, mask)
    return out.sum(1), weights


def _concatenated(x, w_q, w_k, w_v, mask=None):
    out, weights = _heads(x, w_q, w_k, w_v, mask)
    return out.transpose(1, 2).flatten(2), weights


def _heads_first(x, w_q, w_k, w_v, mask=None):
    out, weights = _heads(x, w_q, w_k, w_v, mask)
    return out.transpose(0, 1), weights.transpose(0, 1)


def _heads_after_tokens(x, w_q, w_k, w_v, mask=None):
    out, weights = _heads(x, w_q, w_k, w_v, mask)
    return out.transpose(1, 2), weights


def _softmax_over_heads(x, w_q, w_k, w_v, mask=None):
    x = x[:, None]
    scores = (x @ w_q) @ (x @ w_k).transpose(-2, -1) / w_q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e9)
    weights = torch.softmax(scores, 1)
    return weights @ (x @ w_v), weights


def _reversed_heads(x, w_q, w_k, w_v, mask=None):
    return _heads(x, w_q.flip(0), w_k.flip(0), w_v.flip(0), mask)


def _scaled_by_concatenated_width(x, w_q, w_k, w_v, mask=None):
    return _heads(x, w_q / len(w_q) ** 0.5, w_k, w_v, mask)


def _first_heads_mask(x, w_q, w_k, w_v, mask=None):
    if mask is not None and mask.ndim == 4:
        mask = mask[:, :1]
    return _heads(x, w_q, w_k, w_v, mask)


def _check_projections(x, *projections):
    for w in projections:
        if w.shape[1] != x.shape[-1] or w.shape[0] != projections[0].shape[0]:
            raise ValueError(
                f"{tuple(w.shape)} does not fit x {tuple(x.shape)}, {projections[0].shape[0]} heads"
            )


def _unchecked_heads(x, w_q, w_k, w_v, mask=None):
    heads = min(len(w_q), len(w_k), len(w_v))
    return _heads(x, *[w[:heads, : x.shape[-1]] for w in (w_q, w_k, w_v)], mask)


def _loop_over_heads(x, w_q, w_k, w_v, mask=None):
    _check_projections(x, w_q, w_k, w_v)
    shape = (len(x), len(w_q), x.shape[1], x.shape[1])
    mask = torch.ones(shape, dtype=torch.bool) if mask is None else mask.expand(shape)
    heads = [
        reference.single_head_attention(x, w_q[i], w_k[i], w_v[i], mask[:, i])
        for i in range(len(w_q))
    ]
    return torch.stack([out for out, _ in heads], 1), torch.stack([w for _, w in heads], 1)


def _einsum_heads(x, w_q, w_k, w_v, mask=None):
    _check_projections(x, w_q, w_k, w_v)
    q, k, v = (torch.einsum("btD,hDd->bhtd", x, w) for w in (w_q, w_k, w_v))
    return attend(q, k, v, mask)


def _fused_heads(x, w_q, w_k, w_v, mask=None):
    _check_projections(x, w_q, w_k, w_v)
    q, k, v = (x.unsqueeze(1) @ w for w in (w_q, w_k, w_v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask), attend(q, k, v, mask)[1]


def _many_heads(r, num_tokens=None, mask=None, batch=None):
    args = {"x": _tokens(r, batch, num_tokens)}
    for name in ("w_q", "w_k", "w_v"):
        args[name] = torch.stack([r.weight(r.D, r.d) for _ in range(r.h)])
    return args if mask is None else {**args, "mask": mask}


independent_heads = Exercise(
    name="single.independent_heads",
    points=3,
    reference=reference.independent_heads,
    returns=("out", "weights"),
    library_calls=("scaled_dot_product_attention", "MultiheadAttention"),
    cases=(
        Case("one token", lambda r: _many_heads(r, num_tokens=1)),
        Case("no mask", _many_heads),
        Case("one sequence", lambda r: _many_heads(r, batch=1)),
        Case("a mask (T, T) for all heads", lambda r: _many_heads(r, mask=r.mask(r.T, r.T))),
        Case(
            "a mask (B, h, T, T), another for each head",
            lambda r: _many_heads(r, mask=r.mask(r.B, r.h, r.T, r.T)),
        ),
        Case(
            "projections for another width",
            lambda r: {**_many_heads(r), "w_v": r.normal(r.h, r.D + 2, r.d)},
            kind="raises",
            promise=0.1,
        ),
    ),
    misconceptions=(
        Misconception(
            "heads_share_projections",
            _head_0_for_all,
            "All heads used the projections of head 0, so they are copies of one head.",
            "Head i has its own w_q[i], w_k[i], w_v[i].",
        ),
        Misconception(
            "heads_share_queries",
            _shared_queries,
            "All heads asked with the same W_Q.",
            "Queries differ from head to head too: w_q[i].",
        ),
        Misconception(
            "heads_averaged",
            _averaged,
            "The heads were averaged: their separate views are gone.",
            "Keep a head axis: out is (B, h, T, d).",
        ),
        Misconception(
            "heads_summed",
            _summed,
            "The heads' outputs were added up.",
            "Keep a head axis: out is (B, h, T, d).",
        ),
        Misconception(
            "heads_concatenated",
            _concatenated,
            "The heads' outputs were put side by side already: (B, T, h·d).",
            "Joining comes in the next notebook; here out is (B, h, T, d).",
        ),
        Misconception(
            "heads_axis_first",
            _heads_first,
            "The head axis comes before the batch.",
            "Stack the heads along dimension 1: (B, h, T, d).",
        ),
        Misconception(
            "heads_axis_after_tokens",
            _heads_after_tokens,
            "out is (B, T, h, d): heads and tokens changed places.",
            "Stack the heads along dimension 1: (B, h, T, d).",
        ),
        Misconception(
            "heads_softmax_across",
            _softmax_over_heads,
            "The softmax ran across the heads, so they compete for each key.",
            "Heads are independent: each row of each head sums to 1 over the keys.",
        ),
        Misconception(
            "heads_reversed",
            _reversed_heads,
            "The heads came back in reverse order.",
            "Head i's output belongs at index i.",
        ),
        Misconception(
            "heads_scaled_by_concatenated_width",
            _scaled_by_concatenated_width,
            "The scores were divided by sqrt(h·d), the width of all heads together.",
            "Each head has queries of width d: divide by sqrt(d).",
        ),
        Misconception(
            "heads_mask_ignored",
            lambda x, w_q, w_k, w_v, mask=None: _heads(x, w_q, w_k, w_v),
            "The mask was not handed on to the heads.",
            "Pass mask to each head's look-up.",
        ),
        Misconception(
            "heads_mask_of_first_head",
            _first_heads_mask,
            "The mask of head 0 was used for all heads.",
            "A mask (B, h, T, T) holds one for each head.",
        ),
        Misconception(
            "heads_queries_and_keys_swapped",
            lambda x, w_q, w_k, w_v, mask=None: _heads(x, w_k, w_q, w_v, mask),
            "W_Q and W_K changed places: the scores are transposed.",
            "Queries are x @ w_q[i], keys x @ w_k[i].",
        ),
        Misconception(
            "heads_width_unchecked",
            _unchecked_heads,
            "Projections that do not fit were cut to size, or left to fail later.",
            "Compare w.shape[:2] with (h, D) and raise a ValueError that names the shapes.",
        ),
    ),
    equivalents={
        "loop over heads": _loop_over_heads,
        "einsum": _einsum_heads,
        "PyTorch's fused attention": _fused_heads,
    },
)

# ----------------------------------------------------------------------------- unexplained_floor


def _at_least_one(h, m):
    if min(h, m) < 1:
        raise ValueError(f"{h} heads, {m} look-ups: both must be at least 1")
    return h, m


def _floor_cases():
    pairs = {
        "fewer heads than look-ups": lambda r: (r.h, r.h + r.B),
        "half as many heads as look-ups": lambda r: (r.T, 2 * r.T),
        "one head": lambda r: (1, r.h),
        "as many heads as look-ups": lambda r: (r.h, r.h),
        "more heads than look-ups": lambda r: (r.T, r.h),
    }
    for name, pair in pairs.items():
        yield Case(
            name, lambda r, pair=pair: dict(zip(("num_heads", "num_lookups"), pair(r), strict=True))
        )
    for name, pair in {"no heads": lambda r: (0, r.h), "no look-ups": lambda r: (r.h, 0)}.items():
        yield Case(
            name,
            lambda r, pair=pair: dict(zip(("num_heads", "num_lookups"), pair(r), strict=True)),
            kind="raises",
            promise=0.1,
            mentions=lambda args: tuple(args.values()),
        )


unexplained_floor = Exercise(
    name="single.unexplained_floor",
    points=1,
    reference=reference.unexplained_floor,
    returns=("the share",),
    cases=tuple(_floor_cases()),
    misconceptions=(
        Misconception(
            "floor_explained_share",
            lambda h, m: min(1.0, h / m),
            "This is the share that is explained; the floor is what is left.",
            "Explained and unexplained share sum to 1.",
        ),
        Misconception(
            "floor_ratio_upside_down",
            lambda h, m: max(0.0, 1 - m / h),
            "Heads and look-ups changed places in the fraction.",
            "h of the m targets are recovered: that is h/m of the variance.",
        ),
        Misconception(
            "floor_below_zero",
            lambda h, m: 1 - h / m,
            "With more heads than look-ups the share became negative.",
            "A share of variance is never below 0.",
        ),
        Misconception(
            "floor_integer_division",
            lambda h, m: max(0.0, 1.0 - h // m),
            "// dropped the fraction.",
            "Use /, which keeps it.",
        ),
        Misconception(
            "floor_one_over_heads",
            lambda h, m: 0.0 if h >= m else 1 / h,
            "The share was taken as 1/h, whatever m is.",
            "How many of the m targets can h blends not recover?",
        ),
        Misconception(
            "floor_one_over_lookups",
            lambda h, m: 0.0 if h >= m else 1 / m,
            "The share was taken as 1/m, as if one target alone were lost.",
            "m - h targets are lost out of m.",
        ),
        Misconception(
            "floor_all_or_nothing",
            lambda h, m: 0.0 if h >= m else 1.0,
            "All was counted as lost as soon as there are fewer heads than look-ups.",
            "h heads do recover h of the m targets.",
        ),
        Misconception(
            "floor_count",
            lambda h, m: float(max(0, m - h)),
            "This is the number of targets that are lost; the share was asked for.",
            "Divide by m.",
        ),
        Misconception(
            "floor_single_head_rule",
            lambda h, m: max(0.0, 1 - 1 / m) ** h if h < m else 0.0,
            "Each head was taken to remove 1/m of what is left; they remove 1/m of the whole.",
            "h heads recover h different targets: the shares add up.",
        ),
        Misconception(
            "floor_unchecked",
            lambda h, m: max(0.0, 1 - h / m) if m else 0.0,
            "A number of heads or look-ups below 1 passed, or failed with a division by zero.",
            "Check both numbers first and raise a ValueError that names them.",
        ),
    ),
    equivalents={
        "max of the count": lambda h, m: max(0, m - h) / m if _at_least_one(h, m) else None,
        "tensor": lambda h, m: (
            torch.tensor(1 - h / m).clamp(min=0) if _at_least_one(h, m) else None
        ),
        "branch": lambda h, m: 0 if _at_least_one(h, m) and h >= m else (m - h) / m,
    },
)

EXERCISES = (single_head_attention, independent_heads, unexplained_floor)
