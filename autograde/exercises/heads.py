"""Exercises of notebook 03: split, merge, and multi-head attention."""

import torch
import torch.nn.functional as F
from torch import nn

from solutions import heads as reference
from solutions.attention import scaled_dot_product_attention as attend
from solutions.heads import merge_heads as merge
from solutions.heads import split_heads as split

from .entry import Case, Draw, Exercise, Misconception
from .wrong_pieces import (
    merge_wrong,
    not_scaled,
    scaled_by_width,
    softmax_over_queries,
    split_wrong,
)

# ------------------------------------------------------------------------------------ split_heads


def _tagged(*shape):
    """Numbers that say where they sit: 10 000 b + 100 t + c for x[b, t, c], exact in float32."""
    x = torch.zeros(shape)
    for axis, size in enumerate(shape):
        place = torch.arange(size).view(-1, *[1] * (len(shape) - 1 - axis))
        x = x + place * 100.0 ** (len(shape) - 1 - axis)
    return x


def _truncated(x, h):
    d = x.shape[-1] // h
    return split(x[..., : h * d], h)


def _check_division(x, h):
    if x.shape[-1] % h:
        raise ValueError(f"a width of {x.shape[-1]} is not divisible by {h}")


def _split_by_slices(x, h):
    _check_division(x, h)
    d = x.shape[-1] // h
    return torch.stack([x[:, :, i * d : (i + 1) * d] for i in range(h)], dim=1)


def _split_by_chunks(x, h):
    _check_division(x, h)
    return torch.stack(x.chunk(h, dim=-1), dim=1)


def _split_by_unflatten(x, h):
    _check_division(x, h)
    return x.unflatten(-1, (h, -1)).permute(0, 2, 1, 3).contiguous()


def _split_by_numpy(x, h):
    _check_division(x, h)
    return x.numpy().reshape(*x.shape[:2], h, -1).swapaxes(1, 2)


split_heads = Exercise(
    name="heads.split_heads",
    points=2,
    reference=reference.split_heads,
    returns=("the heads",),
    cases=(
        Case("one token", lambda r: {"x": r.normal(r.B, 1, r.h * r.d), "num_heads": r.h}),
        Case("one head", lambda r: {"x": r.normal(r.B, r.T, r.d), "num_heads": 1}),
        Case(
            "numbers that say where they sit",
            lambda r: {"x": _tagged(r.B, r.T, r.h * r.d), "num_heads": r.h},
        ),
        Case(
            "as many heads as tokens",
            lambda r: {"x": r.normal(r.B, r.h, r.h * r.d), "num_heads": r.h},
        ),
        Case("12 heads of 64, one token", lambda r: {"x": r.normal(r.B, 1, 768), "num_heads": 12}),
        Case(
            "a width that h does not divide",
            lambda r: {"x": r.normal(r.B, r.T, r.h * r.d + 1), "num_heads": r.h},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["num_heads"], args["x"].shape[-1]),
        ),
    ),
    misconceptions=(
        Misconception(
            "split_by_view_alone",
            lambda x, h: x.reshape(x.shape[0], h, x.shape[1], -1),
            "The numbers were reshaped straight into (B, h, T, d): the shape is right, but head 0 holds "
            "whole tokens from the start of the sequence instead of a slice of every token.",
            "reshape never moves a number. Split the last dimension first (B, T, h, d), then swap T and h.",
        ),
        Misconception(
            "split_without_transpose",
            lambda x, h: x.reshape(*x.shape[:2], h, -1),
            "The result is (B, T, h, d): the heads were cut but not moved in front of the tokens.",
            "One transpose is missing.",
        ),
        Misconception(
            "split_interleaved",
            lambda x, h: x.reshape(*x.shape[:2], -1, h).permute(0, 3, 1, 2),
            "Head i got every h-th column; it should get d neighbouring columns.",
            "The last dimension splits as (h, d), with d varying fastest.",
        ),
        Misconception(
            "split_wrong_transpose",
            lambda x, h: x.reshape(*x.shape[:2], h, -1).transpose(2, 3),
            "The last two dimensions were swapped; tokens and heads should be.",
            "In (B, T, h, d), T is dimension 1 and h is dimension 2.",
        ),
        Misconception(
            "split_along_tokens",
            lambda x, h: (
                torch.stack(torch.tensor_split(x, h, dim=1), 1)
                if x.shape[1] % h == 0
                else x.reshape(x.shape[0], h, -1)
            ),
            "The sequence was cut into pieces; each head should see all tokens.",
            "Cut the last dimension, not the tokens.",
        ),
        Misconception(
            "split_by_copying",
            lambda x, h: x[:, None].expand(-1, h, -1, -1),
            "Every head got a copy of the full width.",
            "Heads share the width out: each gets d = width / h columns.",
        ),
        Misconception(
            "split_heads_before_batch",
            lambda x, h: split(x, h).transpose(0, 1),
            "The head axis comes before the batch.",
            "The result is (B, h, T, d).",
        ),
        Misconception(
            "split_merged_with_batch",
            lambda x, h: split(x, h).flatten(0, 1),
            "Batch and heads were folded into one dimension.",
            "Keep four dimensions: (B, h, T, d).",
        ),
        Misconception(
            "split_reversed",
            lambda x, h: split(x, h).flip(1),
            "The heads came out in reverse order.",
            "Head 0 gets the first d columns.",
        ),
        Misconception(
            "split_h_and_d_swapped",
            lambda x, h: x.reshape(*x.shape[:2], -1, h).transpose(1, 2),
            "h and d changed places: there are d heads of width h.",
            "Reshape to (B, T, num_heads, width // num_heads).",
        ),
        Misconception(
            "split_hard_coded",
            lambda x, h: x.view(*x.shape[:2], 12, 64).transpose(1, 2),
            "The function only works for 12 heads of 64: the numbers are written into it.",
            "Take h from num_heads, and d from the width of x divided by it.",
        ),
        Misconception(
            "split_drops_the_rest",
            _truncated,
            "Columns that did not fit were dropped silently.",
            "Check width % num_heads first and raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "slices": _split_by_slices,
        "chunk": _split_by_chunks,
        "unflatten": _split_by_unflatten,
        "numpy": _split_by_numpy,
    },
)

# ------------------------------------------------------------------------------------ merge_heads


def _merge_loop(x):
    out = torch.empty(x.shape[0], x.shape[2], x.shape[1] * x.shape[3])
    for head in range(x.shape[1]):
        out[:, :, head * x.shape[3] : (head + 1) * x.shape[3]] = x[:, head]
    return out


merge_heads = Exercise(
    name="heads.merge_heads",
    points=1,
    reference=reference.merge_heads,
    returns=("the merged heads",),
    cases=(
        Case("one token", lambda r: {"x": r.normal(r.B, r.h, 1, r.d)}),
        Case("one head", lambda r: {"x": r.normal(r.B, 1, r.T, r.d)}),
        Case(
            "numbers that say where they sit",
            lambda r: {"x": split(_tagged(r.B, r.T, r.h * r.d), r.h).contiguous()},
        ),
        Case("as many heads as tokens", lambda r: {"x": r.normal(r.B, r.h, r.h, r.d)}),
        Case("as many tokens as a head is wide", lambda r: {"x": r.normal(r.B, r.h, r.d, r.d)}),
        Case("random numbers", lambda r: {"x": r.normal(r.B, r.h, r.T, r.d)}),
    ),
    misconceptions=(
        Misconception(
            "merge_without_transpose",
            lambda x: x.reshape(x.shape[0], x.shape[2], -1),
            "The numbers were reshaped without moving the heads back behind the tokens: a row now "
            "holds one head's output at several tokens.",
            "First swap h and T, then join the last two dimensions.",
        ),
        Misconception(
            "merge_view_not_contiguous",
            lambda x: x.contiguous().transpose(1, 2).view(x.shape[0], x.shape[2], -1),
            "view needs numbers that lie in memory in reading order, and transpose only changes how "
            "they are read.",
            "Use reshape, or .contiguous() before view.",
        ),
        Misconception(
            "merge_by_sum",
            lambda x: x.sum(1),
            "The heads were added up: (B, T, d).",
            "Put them side by side: (B, T, h·d). Mixing is W_O's work.",
        ),
        Misconception(
            "merge_by_mean",
            lambda x: x.mean(1),
            "The heads were averaged: (B, T, d).",
            "Put them side by side: (B, T, h·d). Mixing is W_O's work.",
        ),
        Misconception(
            "merge_along_tokens",
            lambda x: x.flatten(1, 2),
            "The heads were joined along the tokens: (B, h·T, d).",
            "Join along the width: each token gets the outputs of all its heads.",
        ),
        Misconception(
            "merge_interleaved",
            lambda x: x.permute(0, 2, 3, 1).flatten(2),
            "The heads' columns were interleaved: the head varies fastest.",
            "All d columns of head 0 come first, then those of head 1.",
        ),
        Misconception(
            "merge_reversed",
            lambda x: merge(x.flip(1)),
            "The heads were joined in reverse order.",
            "Head 0 goes to the first d columns.",
        ),
        Misconception(
            "merge_not_joined",
            lambda x: x.transpose(1, 2),
            "The heads were moved but not joined: (B, T, h, d).",
            "Flatten the last two dimensions.",
        ),
        Misconception(
            "merge_width_from_tokens",
            lambda x: x.transpose(1, 2).reshape(len(x), x.shape[2], x.shape[1] * x.shape[2]),
            "The width was taken as h·T: it fits only when there are as many tokens as a head is wide.",
            "The width is h·d, and d is the last dimension of x.",
        ),
        Misconception(
            "merge_first_head_only",
            lambda x: x[:, 0],
            "Only head 0 came back.",
            "All heads belong in the result.",
        ),
    ),
    equivalents={
        "permute, contiguous, view": lambda x: (
            x.permute(0, 2, 1, 3).contiguous().view(x.shape[0], x.shape[2], x.shape[1] * x.shape[3])
        ),
        "cat": lambda x: torch.cat(x.unbind(1), dim=-1),
        "flatten": lambda x: x.transpose(1, 2).flatten(2),
        "numpy": lambda x: x.numpy().swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1),
        "loop": _merge_loop,
    },
)

# --------------------------------------------------------------------------- multi_head_attention


def _mha(x, w_q, w_k, w_v, w_o, h, mask=None, *, cut=split, join=merge, look_up=attend):
    """Multi-head attention with one step done differently, as the arguments say."""
    out, weights = look_up(cut(x @ w_q, h), cut(x @ w_k, h), cut(x @ w_v, h), mask)
    return join(out) @ w_o, weights


def _split_interleaved(x, h):
    return x.reshape(*x.shape[:2], -1, h).permute(0, 3, 1, 2)


def _merge_interleaved(x):
    return x.permute(0, 2, 3, 1).flatten(2)


def _scaled_by_heads(q, k, v, mask):
    return attend(q * (q.shape[-1] / q.shape[1]) ** 0.5, k, v, mask)


def _softmax_across_heads(q, k, v, mask):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e9)
    weights = torch.softmax(scores, 1)
    return weights @ v, weights


def _first_heads_mask(q, k, v, mask):
    if mask is not None and mask.ndim == 4:
        mask = mask[:, :1]
    return attend(q, k, v, mask)


def _single_wide_head(x, w_q, w_k, w_v, w_o, h, mask=None):
    if mask is not None and mask.ndim == 4:
        mask = mask[:, 0]
    out, weights = attend(x @ w_q, x @ w_k, x @ w_v, mask)
    return out @ w_o, weights[:, None].expand(-1, h, -1, -1)


def _without_w_o(x, w_q, w_k, w_v, w_o, h, mask=None):
    return _mha(x, w_q, w_k, w_v, torch.eye(len(w_o)), h, mask)


def _averaged_weights(x, w_q, w_k, w_v, w_o, h, mask=None):
    out, weights = _mha(x, w_q, w_k, w_v, w_o, h, mask)
    return out, weights.mean(1)


def _with_residual(x, w_q, w_k, w_v, w_o, h, mask=None):
    out, weights = _mha(x, w_q, w_k, w_v, w_o, h, mask)
    return x + out, weights


def _heads_averaged(x):
    return x.mean(1, keepdim=True).expand_as(x).transpose(1, 2).flatten(2)


def _split_before_projecting(x, w_q, w_k, w_v, w_o, h, mask=None):
    d_in, d = x.shape[-1] // h, w_q.shape[-1] // h
    q, k, v = (
        torch.stack(
            [
                x[..., i * d_in : (i + 1) * d_in]
                @ w[i * d_in : (i + 1) * d_in, i * d : (i + 1) * d]
                for i in range(h)
            ],
            1,
        )
        for w in (w_q, w_k, w_v)
    )
    out, weights = attend(q, k, v, mask)
    return merge(out) @ w_o, weights


def _head_width_from_tokens(x, w_q, w_k, w_v, w_o, h, mask=None):
    d = x.shape[-1] // h

    def cut(y, h):
        return y.view(*y.shape[:2], h, d).transpose(1, 2)

    return _mha(x, w_q, w_k, w_v, w_o, h, mask, cut=cut)


def _transposed_projections(x, w_q, w_k, w_v, w_o, h, mask=None):
    return _mha(x, w_q.T, w_k.T, w_v.T, w_o.T, h, mask)


def _truncating(x, w_q, w_k, w_v, w_o, h, mask=None):
    kept = w_q.shape[-1] // h * h
    return _mha(x, w_q[:, :kept], w_k[:, :kept], w_v[:, :kept], w_o[:kept], h, mask)


def _one_result(x, w_q, w_k, w_v, w_o, h, mask=None):
    return _mha(x, w_q, w_k, w_v, w_o, h, mask)[0]


def _check_heads(w_q, h):
    if h < 1 or w_q.shape[-1] % h:
        raise ValueError(f"{h} heads do not divide {w_q.shape[-1]} columns")


def _loop_over_heads(x, w_q, w_k, w_v, w_o, h, mask=None):
    """The sum of the heads' writes, one head at a time."""
    _check_heads(w_q, h)
    d = w_q.shape[-1] // h
    shape = (x.shape[0], h, x.shape[1], x.shape[1])
    mask = torch.ones(shape, dtype=torch.bool) if mask is None else mask.expand(shape)
    total, all_weights = torch.zeros(*x.shape[:2], w_o.shape[-1]), []
    for i in range(h):
        mine = slice(i * d, (i + 1) * d)
        out, weights = attend(x @ w_q[:, mine], x @ w_k[:, mine], x @ w_v[:, mine], mask[:, i])
        total = total + out @ w_o[mine]
        all_weights.append(weights)
    return total, torch.stack(all_weights, 1)


def _fused(x, w_q, w_k, w_v, w_o, h, mask=None):
    _check_heads(w_q, h)
    q, k, v = (split(x @ w, h) for w in (w_q, w_k, w_v))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return merge(out) @ w_o, attend(q, k, v, mask)[1]


def _einsum(x, w_q, w_k, w_v, w_o, h, mask=None):
    _check_heads(w_q, h)
    q, k, v = (torch.einsum("btD,Dhd->bhtd", x, w.view(len(w), h, -1)) for w in (w_q, w_k, w_v))
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k) * q.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(-1)
    return torch.einsum("bhqk,bhkd,hdD->bqD", weights, v, w_o.view(h, -1, w_o.shape[-1])), weights


def _nn_module(x, w_q, w_k, w_v, w_o, h, mask=None):
    """nn.MultiheadAttention, where it can hold these weights (h·d = D); else the fused version."""
    width = x.shape[-1]
    if w_q.shape != (width, width):
        return _fused(x, w_q, w_k, w_v, w_o, h, mask)
    _check_heads(w_q, h)
    module = nn.MultiheadAttention(width, h, bias=False, batch_first=True).eval()
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat([w_q, w_k, w_v], 1).T)
        module.out_proj.weight.copy_(w_o.T)
    if mask is not None:
        shape = (x.shape[0], h, x.shape[1], x.shape[1])
        mask = ~mask.expand(shape).reshape(-1, *shape[2:])
    return module(x, x, x, attn_mask=mask, average_attn_weights=False)


def _layer(r: Draw, *, width=None, heads=None, num_tokens=None, mask=None):
    h = heads or r.h
    D = width or r.D
    args = {
        "x": r.normal(r.B, num_tokens or r.T, D),
        "w_q": r.weight(D, h * r.d),
        "w_k": r.weight(D, h * r.d),
        "w_v": r.weight(D, h * r.d),
        "w_o": r.weight(h * r.d, D),
        "num_heads": h,
    }
    return args if mask is None else {**args, "mask": mask}


multi_head_attention = Exercise(
    name="heads.multi_head_attention",
    points=5,
    reference=reference.multi_head_attention,
    returns=("out", "weights"),
    library_calls=(
        "scaled_dot_product_attention",
        "MultiheadAttention",
        "multi_head_attention_forward",
    ),
    cases=(
        Case("one token", lambda r: _layer(r, num_tokens=1)),
        Case("one head", lambda r: _layer(r, heads=1)),
        Case("h·d = D, no mask", lambda r: _layer(r, width=r.h * r.d)),
        Case("h·d different from D, no mask", _layer),
        Case("a mask (T, T)", lambda r: _layer(r, mask=r.mask(r.T, r.T))),
        Case("a padding mask (B, 1, 1, T)", lambda r: _layer(r, mask=r.mask(r.B, 1, 1, r.T))),
        Case("a mask for each head", lambda r: _layer(r, mask=r.mask(r.B, r.h, r.T, r.T))),
        Case(
            "a width that h does not divide",
            lambda r: {**_layer(r), "num_heads": r.h * r.d - 1},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["num_heads"], args["w_q"].shape[-1]),
        ),
    ),
    misconceptions=(
        Misconception(
            "mha_split_by_view_alone",
            lambda *args: _mha(*args, cut=split_wrong),
            "The heads were made by reshaping straight into (B, h, T, d): the shapes fit, but each head "
            "sees pieces of the sequence instead of a slice of every token.",
            "Use split_heads: reshape to (B, T, h, d), then swap T and h.",
        ),
        Misconception(
            "mha_merge_without_transpose",
            lambda *args: _mha(*args, join=merge_wrong),
            "The heads were joined without moving them back behind the tokens.",
            "Use merge_heads: swap h and T first, then join.",
        ),
        Misconception(
            "mha_both_bare",
            lambda *args: _mha(*args, cut=split_wrong, join=merge_wrong),
            "Heads were made and joined by reshaping alone: each head holds a stretch of the sequence, "
            "and tokens of different stretches never meet.",
            "Use split_heads and merge_heads: both swap the tokens with the heads.",
        ),
        Misconception(
            "mha_interleaved",
            lambda *args: _mha(*args, cut=_split_interleaved, join=_merge_interleaved),
            "Head i got every h-th column of the projections instead of d neighbouring ones.",
            "The last dimension splits as (h, d), with d varying fastest.",
        ),
        Misconception(
            "mha_without_w_o",
            _without_w_o,
            "W_O was not applied: the heads' outputs stand side by side, unmixed.",
            "The last step is concat @ w_o.",
        ),
        Misconception(
            "mha_w_o_transposed",
            lambda x, w_q, w_k, w_v, w_o, h, mask=None: _mha(x, w_q, w_k, w_v, w_o.T, h, mask),
            "W_O was transposed. (nn.Linear keeps its weight as (out, in); here w is (in, out).)",
            "y = x @ w, without .T.",
        ),
        Misconception(
            "mha_projections_transposed",
            _transposed_projections,
            "The projections were transposed. (nn.Linear keeps its weight as (out, in); here w is (in, out).)",
            "y = x @ w, without .T.",
        ),
        Misconception(
            "mha_not_scaled",
            lambda *args: _mha(*args, look_up=not_scaled),
            "The scores were not divided by sqrt(d).",
            "Let scaled_dot_product_attention do the look-up: it scales.",
        ),
        Misconception(
            "mha_scaled_by_full_width",
            lambda *args: _mha(*args, look_up=scaled_by_width),
            "The scores were divided by sqrt(h·d), the width of all heads together.",
            "Each head has queries of width d: split first, then divide by sqrt(d).",
        ),
        Misconception(
            "mha_scaled_by_heads",
            lambda *args: _mha(*args, look_up=_scaled_by_heads),
            "The scores were divided by the root of the number of heads.",
            "d is the width of one head: the last dimension after the split.",
        ),
        Misconception(
            "mha_softmax_across_heads",
            lambda *args: _mha(*args, look_up=_softmax_across_heads),
            "The softmax ran across the heads (dimension 1).",
            "Each row of each head sums to 1 over the keys: the last dimension.",
        ),
        Misconception(
            "mha_softmax_over_queries",
            lambda *args: _mha(*args, look_up=softmax_over_queries),
            "The softmax ran over the queries: columns sum to 1 instead of rows.",
            "The keys are the last dimension of the scores.",
        ),
        Misconception(
            "mha_values_not_projected",
            lambda x, w_q, w_k, w_v, w_o, h, mask=None: _mha(
                x, w_q, w_k, torch.eye(*w_v.shape), w_o, h, mask
            ),
            "The tokens themselves were averaged: W_V was not applied.",
            "Three projections: queries, keys and values.",
        ),
        Misconception(
            "mha_one_projection",
            lambda x, w_q, w_k, w_v, w_o, h, mask=None: _mha(x, w_q, w_q, w_q, w_o, h, mask),
            "Queries, keys and values came from one matrix.",
            "W_Q, W_K and W_V are three.",
        ),
        Misconception(
            "mha_keys_from_w_q",
            lambda x, w_q, w_k, w_v, w_o, h, mask=None: _mha(x, w_q, w_q, w_v, w_o, h, mask),
            "Queries and keys both came from W_Q.",
            "Keys have a matrix of their own: W_K.",
        ),
        Misconception(
            "mha_keys_and_values_swapped",
            lambda x, w_q, w_k, w_v, w_o, h, mask=None: _mha(x, w_q, w_v, w_k, w_o, h, mask),
            "W_K and W_V changed places.",
            "Keys are matched with the queries, values are what comes back.",
        ),
        Misconception(
            "mha_queries_and_keys_swapped",
            lambda x, w_q, w_k, w_v, w_o, h, mask=None: _mha(x, w_k, w_q, w_v, w_o, h, mask),
            "W_Q and W_K changed places: the scores are transposed.",
            "Rows of the scores belong to queries: x @ w_q.",
        ),
        Misconception(
            "mha_mask_ignored",
            lambda x, w_q, w_k, w_v, w_o, h, mask=None: _mha(x, w_q, w_k, w_v, w_o, h),
            "The mask was not handed on.",
            "Pass mask to scaled_dot_product_attention.",
        ),
        Misconception(
            "mha_mask_inverted",
            lambda x, w_q, w_k, w_v, w_o, h, mask=None: _mha(
                x, w_q, w_k, w_v, w_o, h, None if mask is None else ~mask
            ),
            "The mask works the wrong way round: what may be attended was blocked.",
            "True means “may attend”. (nn.MultiheadAttention's boolean mask has the opposite meaning.)",
        ),
        Misconception(
            "mha_mask_of_first_head",
            lambda *args: _mha(*args, look_up=_first_heads_mask),
            "The mask of head 0 was used for all heads.",
            "A mask (B, h, T, T) holds one for each head.",
        ),
        Misconception(
            "mha_one_wide_head",
            _single_wide_head,
            "There is one head of the full width: nothing was split.",
            "Split q, k and v before the look-up, so that each head has weights of its own.",
        ),
        Misconception(
            "mha_heads_averaged",
            lambda *args: _mha(*args, join=_heads_averaged),
            "The heads were averaged before W_O.",
            "Concatenate them: W_O decides how they mix.",
        ),
        Misconception(
            "mha_weights_averaged",
            _averaged_weights,
            "The weights were averaged over the heads, as nn.MultiheadAttention does by default.",
            "Return all of them: (B, h, T, T).",
        ),
        Misconception(
            "mha_residual_inside",
            _with_residual,
            "The input was added to the output: that residual belongs to the block around the layer.",
            "Return the projection alone.",
        ),
        Misconception(
            "mha_split_before_projecting",
            _split_before_projecting,
            "The tokens were cut before projecting: each head saw only its own slice of x.",
            "Project the whole token first, then split the result.",
        ),
        Misconception(
            "mha_head_width_from_tokens",
            _head_width_from_tokens,
            "d was computed as D / h; it comes from the projections' width.",
            "h·d = D is the usual case, not a rule: d = w_q.shape[1] // num_heads.",
        ),
        Misconception(
            "mha_one_result",
            _one_result,
            "Only the output came back.",
            "Return (out, weights).",
        ),
        Misconception(
            "mha_drops_the_rest",
            _truncating,
            "Columns that did not fit into the heads were dropped silently.",
            "Raise a ValueError that names h and the width (split_heads does).",
        ),
    ),
    equivalents={
        "loop over heads": _loop_over_heads,
        "PyTorch's fused attention": _fused,
        "einsum": _einsum,
        "nn.MultiheadAttention": _nn_module,
    },
)

EXERCISES = (split_heads, merge_heads, multi_head_attention)
