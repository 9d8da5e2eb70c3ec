"""Exercises of notebook 08: cross-attention, shared key and value heads, and their cache."""

from functools import wraps
from math import prod

import torch
import torch.nn.functional as F
from torch import nn

from solutions import sharing as reference
from solutions.attention import scaled_dot_product_attention as attend
from solutions.heads import merge_heads as merge
from solutions.heads import multi_head_attention
from solutions.heads import split_heads as split
from solutions.sharing import expand_kv as expand
from solutions.sharing import pool_kv_heads as pool

from .entry import Case, Draw, Exercise, Misconception
from .wrong_pieces import (
    merge_wrong,
    not_scaled,
    scaled_by_width,
    softmax_over_queries,
    split_wrong,
)

# -------------------------------------------------------------------------------- shared mistakes


def _mask_ignored(q, k, v, mask):
    return attend(q, k, v)


def _mask_inverted(q, k, v, mask):
    return attend(q, k, v, None if mask is None else ~mask)


def _mask_of_first_head(q, k, v, mask):
    return attend(q, k, v, mask[:, :1] if mask is not None and mask.ndim == 4 else mask)


def _causal(q, k, v, mask):
    """Query i sees the keys 0 … i, whatever sequence they are from."""
    ahead = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
    return attend(q, k, v, ahead if mask is None else mask & ahead)


def _weights_changed(function, change):
    """The function with something done to the weights that it returns."""

    def changed(*args, **named):
        out, weights = function(*args, **named)
        return out, change(weights)

    return changed


# -------------------------------------------------------------------------------- cross_attention


def _refuse_batches(x, memory):
    if len(x) != len(memory):
        raise ValueError(f"{len(x)} sequences against {len(memory)}")


def _cross(x, memory, w_q, w_k, w_v, w_o, h, mask=None, *, cut=split, join=merge, look_up=attend):
    """Cross-attention with one step done differently, as the arguments say."""
    _refuse_batches(x, memory)
    out, weights = look_up(cut(x @ w_q, h), cut(memory @ w_k, h), cut(memory @ w_v, h), mask)
    return join(out) @ w_o, weights


def _crossed(**how):
    return lambda *args: _cross(*args, **how)


def _crossed_with(arguments):
    """A wrong version that hands other tensors on; `arguments` makes them from the right ones."""

    def function(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
        _refuse_batches(x, memory)
        return _cross(*arguments(x, memory, w_q, w_k, w_v, w_o), h, mask)

    return function


def _three(x, memory, q_from, k_from, v_from, w_q, w_k, w_v, w_o, h, mask):
    _refuse_batches(x, memory)
    q, k, v = split(q_from @ w_q, h), split(k_from @ w_k, h), split(v_from @ w_v, h)
    out, weights = attend(q, k, v, mask)
    return merge(out) @ w_o, weights


def _values_from_x(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
    return _three(x, memory, x, memory, x, w_q, w_k, w_v, w_o, h, mask)


def _keys_from_x(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
    return _three(x, memory, x, x, memory, w_q, w_k, w_v, w_o, h, mask)


def _memory_ignored(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
    return _three(x, memory, x, x, x, w_q, w_k, w_v, w_o, h, mask)


def _x_ignored(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
    return _three(x, memory, memory, memory, memory, w_q, w_k, w_v, w_o, h, mask)


def _x_among_the_keys(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
    both = torch.cat([x, memory], 1)
    return _three(x, memory, x, both, both, w_q, w_k, w_v, w_o, h, mask)


def _cross_with_residual(x, memory, *rest):
    out, weights = _cross(x, memory, *rest)
    return x + out, weights


def _cross_batch_unchecked(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = split(x @ w_q, h), split(memory @ w_k, h), split(memory @ w_v, h)
    out, weights = attend(q, k, v, mask)
    return merge(out) @ w_o, weights


def _cross_drops_the_rest(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
    kept = w_q.shape[-1] // h * h
    return _cross(x, memory, w_q[:, :kept], w_k[:, :kept], w_v[:, :kept], w_o[:kept], h, mask)


def _check_cross(x, memory, w_q, h):
    _refuse_batches(x, memory)
    if h < 1 or w_q.shape[-1] % h:
        raise ValueError(f"{h} heads do not divide {w_q.shape[-1]} columns")


def _cross_loop(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
    """The sum of the heads' writes, one head at a time."""
    _check_cross(x, memory, w_q, h)
    d = w_q.shape[-1] // h
    shape = (len(x), h, x.shape[1], memory.shape[1])
    mask = torch.ones(shape, dtype=torch.bool) if mask is None else mask.expand(shape)
    total, all_weights = torch.zeros(*x.shape[:2], w_o.shape[-1]), []
    for i in range(h):
        mine = slice(i * d, (i + 1) * d)
        k, v = memory @ w_k[:, mine], memory @ w_v[:, mine]
        out, weights = attend(x @ w_q[:, mine], k, v, mask[:, i])
        total = total + out @ w_o[mine]
        all_weights.append(weights)
    return total, torch.stack(all_weights, 1)


def _cross_einsum(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
    _check_cross(x, memory, w_q, h)
    q = torch.einsum("btD,Dhd->bhtd", x, w_q.view(len(w_q), h, -1))
    k, v = (torch.einsum("bsM,Mhd->bhsd", memory, w.view(len(w), h, -1)) for w in (w_k, w_v))
    scores = torch.einsum("bhtd,bhsd->bhts", q, k) * q.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(-1)
    return torch.einsum("bhts,bhsd,hdD->btD", weights, v, w_o.view(h, -1, w_o.shape[-1])), weights


def _cross_fused(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
    _check_cross(x, memory, w_q, h)
    q, k, v = split(x @ w_q, h), split(memory @ w_k, h), split(memory @ w_v, h)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return merge(out) @ w_o, attend(q, k, v, mask)[1]


def _cross_nn_module(x, memory, w_q, w_k, w_v, w_o, h, mask=None):
    """nn.MultiheadAttention, where it can hold these weights (h·d = D); else the fused version."""
    _check_cross(x, memory, w_q, h)
    width, other = x.shape[-1], memory.shape[-1]
    if w_q.shape[-1] != width or other == width:
        return _cross_fused(x, memory, w_q, w_k, w_v, w_o, h, mask)
    module = nn.MultiheadAttention(
        width, h, bias=False, batch_first=True, kdim=other, vdim=other
    ).eval()
    with torch.no_grad():
        module.q_proj_weight.copy_(w_q.T)
        module.k_proj_weight.copy_(w_k.T)
        module.v_proj_weight.copy_(w_v.T)
        module.out_proj.weight.copy_(w_o.T)
    if mask is not None:
        shape = (len(x), h, x.shape[1], memory.shape[1])
        mask = ~mask.expand(shape).reshape(-1, *shape[2:])
    return module(x, memory, memory, attn_mask=mask, average_attn_weights=False)


def _two_sequences(r: Draw, *, width=None, memory_width=None, mask=None, **changes):
    """Arguments; `changes` replace h, T or T_k."""
    size = {"h": r.h, "T": r.T, "T_k": r.T_k, **changes}
    h, D = size["h"], width or r.D
    other = memory_width or r.D + 2
    args = {
        "x": r.normal(r.B, size["T"], D),
        "memory": r.normal(r.B, size["T_k"], other),
        "w_q": r.weight(D, h * r.d),
        "w_k": r.weight(other, h * r.d),
        "w_v": r.weight(other, h * r.d),
        "w_o": r.weight(h * r.d, D),
        "num_heads": h,
    }
    return args if mask is None else {**args, "mask": mask}


def _other_batch(r):
    args = _two_sequences(r)
    return {**args, "memory": r.normal(r.B + 2, r.T_k, r.D + 2)}


cross_attention = Exercise(
    name="sharing.cross_attention",
    points=4,
    reference=reference.cross_attention,
    returns=("out", "weights"),
    library_calls=(
        "scaled_dot_product_attention",
        "MultiheadAttention",
        "multi_head_attention_forward",
    ),
    cases=(
        Case("one token to look up", lambda r: _two_sequences(r, T_k=1)),
        Case("one token that asks", lambda r: _two_sequences(r, T=1)),
        Case("one head", lambda r: _two_sequences(r, h=1)),
        Case(
            "both of one length and width",
            lambda r: _two_sequences(r, memory_width=r.D, T_k=r.T),
        ),
        Case("a memory of another width", _two_sequences),
        Case("h·d = D", lambda r: _two_sequences(r, width=r.h * r.d)),
        Case(
            "a padding mask (B, 1, 1, T_k)",
            lambda r: _two_sequences(r, mask=r.mask(r.B, 1, 1, r.T_k)),
        ),
        Case(
            "a mask for each head",
            lambda r: _two_sequences(r, mask=r.mask(r.B, r.h, r.T, r.T_k)),
        ),
        Case(
            "a width that h does not divide",
            lambda r: {**_two_sequences(r), "num_heads": r.h * r.d - 1},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["num_heads"], args["w_q"].shape[-1]),
        ),
        Case(
            "batches of different sizes",
            _other_batch,
            kind="raises",
            promise=0.1,
            mentions=lambda args: (len(args["x"]), len(args["memory"])),
        ),
    ),
    misconceptions=(
        Misconception(
            "cross_roles_exchanged",
            _crossed_with(lambda x, memory, *w: (memory, x, *w)),
            "x and memory changed places: the memory asks, and x is looked up.",
            "The queries come from x; keys and values come from memory.",
        ),
        Misconception(
            "cross_memory_ignored",
            _memory_ignored,
            "Keys and values came from x: this is self-attention.",
            "memory @ w_k and memory @ w_v.",
        ),
        Misconception(
            "cross_x_ignored",
            _x_ignored,
            "The queries came from memory, too: memory looks itself up, and there are T_k results.",
            "x @ w_q: one result for each token of x.",
        ),
        Misconception(
            "cross_values_from_x",
            _values_from_x,
            "The keys came from memory but the values from x.",
            "What is found is what comes back: keys and values come from the same sequence.",
        ),
        Misconception(
            "cross_keys_from_x",
            _keys_from_x,
            "The values came from memory but the keys from x.",
            "Keys say what a value holds: both come from memory.",
        ),
        Misconception(
            "cross_x_among_the_keys",
            _x_among_the_keys,
            "x and memory were joined and looked up together.",
            "Only memory is looked up; the weights have T_k columns.",
        ),
        Misconception(
            "cross_causal",
            _crossed(look_up=_causal),
            "A causal mask was put over the weights; the memory is there as a whole.",
            "Use the mask that is given, and none otherwise.",
        ),
        Misconception(
            "cross_keys_and_values_swapped",
            _crossed_with(lambda x, memory, q, k, v, o: (x, memory, q, v, k, o)),
            "W_K and W_V changed places.",
            "Keys are matched with the queries, values are what comes back.",
        ),
        Misconception(
            "cross_without_w_o",
            _crossed_with(lambda x, memory, q, k, v, o: (x, memory, q, k, v, torch.eye(len(o)))),
            "W_O was not applied.",
            "The last step is concat @ w_o.",
        ),
        Misconception(
            "cross_split_by_view_alone",
            _crossed(cut=split_wrong),
            "The heads were made by reshaping straight into (B, h, T, d): each head sees pieces of "
            "the sequence instead of a slice of every token.",
            "Use split_heads.",
        ),
        Misconception(
            "cross_merge_without_transpose",
            _crossed(join=merge_wrong),
            "The heads were joined without moving them back behind the tokens.",
            "Use merge_heads.",
        ),
        Misconception(
            "cross_not_scaled",
            _crossed(look_up=not_scaled),
            "The scores were not divided by sqrt(d).",
            "Let scaled_dot_product_attention do the look-up: it scales.",
        ),
        Misconception(
            "cross_scaled_by_full_width",
            _crossed(look_up=scaled_by_width),
            "The scores were divided by sqrt(h·d), the width of all heads together.",
            "d is the width of one head.",
        ),
        Misconception(
            "cross_softmax_over_queries",
            _crossed(look_up=softmax_over_queries),
            "The softmax ran over the queries: columns sum to 1 instead of rows.",
            "Each token of x spreads a weight of 1 over the memory: the last dimension.",
        ),
        Misconception(
            "cross_mask_ignored",
            _crossed(look_up=_mask_ignored),
            "The mask was not handed on.",
            "Pass mask to scaled_dot_product_attention.",
        ),
        Misconception(
            "cross_mask_inverted",
            _crossed(look_up=_mask_inverted),
            "The mask works the wrong way round: what may be attended was blocked.",
            "True means “may attend”.",
        ),
        Misconception(
            "cross_mask_of_first_head",
            _crossed(look_up=_mask_of_first_head),
            "The mask of head 0 was used for all heads.",
            "A mask (B, h, T_q, T_k) holds one for each head.",
        ),
        Misconception(
            "cross_weights_transposed",
            _weights_changed(_cross, lambda weights: weights.mT),
            "The weights are (B, h, T_k, T_q).",
            "Rows are the tokens that ask: (B, h, T_q, T_k).",
        ),
        Misconception(
            "cross_weights_averaged",
            _weights_changed(_cross, lambda weights: weights.mean(1)),
            "The weights were averaged over the heads, as nn.MultiheadAttention does by default.",
            "Return all of them: (B, h, T_q, T_k).",
        ),
        Misconception(
            "cross_residual_inside",
            _cross_with_residual,
            "x was added to the output: that residual belongs to the block around the layer.",
            "Return the projection alone.",
        ),
        Misconception(
            "cross_one_result",
            lambda *args: _cross(*args)[0],
            "Only the output came back.",
            "Return (out, weights).",
        ),
        Misconception(
            "cross_drops_the_rest",
            _cross_drops_the_rest,
            "Columns that did not fit into the heads were dropped silently.",
            "Raise a ValueError that names h and the width (split_heads does).",
        ),
        Misconception(
            "cross_batch_unchecked",
            _cross_batch_unchecked,
            "Batches of different sizes were not refused: PyTorch's error about dimensions is what "
            "the caller sees, or none where one of them is 1.",
            "Compare len(x) and len(memory) first, and raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "loop over heads": _cross_loop,
        "PyTorch's fused attention": _cross_fused,
        "einsum": _cross_einsum,
        "nn.MultiheadAttention": _cross_nn_module,
    },
)

# -------------------------------------------------------------------------------------- expand_kv


def _refuse_groups(h, h_kv):
    if h < 1 or h_kv < 1 or h % h_kv:
        raise ValueError(f"{h} query heads cannot share {h_kv}")


def _expanding(function):
    """A wrong version that keeps the promise about groups; it gets kv, h and the group's size."""

    def guarded(kv, num_heads):
        _refuse_groups(num_heads, kv.shape[1])
        return function(kv, num_heads, num_heads // kv.shape[1])

    return guarded


@_expanding
def _expand_by_loop(kv, h, group):
    return torch.stack([kv[:, i // group] for i in range(h)], 1)


@_expanding
def _expand_by_broadcast(kv, h, group):
    return kv[:, :, None].expand(-1, -1, group, -1, -1).reshape(len(kv), h, *kv.shape[2:])


@_expanding
def _expand_by_index(kv, h, group):
    return kv[:, torch.arange(h) // group]


@_expanding
def _expand_by_numpy(kv, h, group):
    return kv.numpy().repeat(group, axis=1)


def _kv_tagged(*shape):
    """Numbers that say where they sit: 1000 b + 100 j + 10 t + c / 100 for kv[b, j, t, c]."""
    b, j, t, c = (torch.arange(size).view(-1, *[1] * (3 - axis)) for axis, size in enumerate(shape))
    return 1_000.0 * b + 100.0 * j + 10.0 * t + c / 128  # a power of 2: exact in float32


def _shared_sizes(r: Draw) -> tuple[int, int, int]:
    """h = 6, h_kv (2 or 3, not B) and a d that is not 6."""
    return 6, 5 - r.B, r.d if r.d != 6 else r.d_v


def _kv(r, h_kv=None, *, tokens=None, heads=6):
    _, shared, d = _shared_sizes(r)
    return {"kv": r.normal(r.B, h_kv or shared, tokens or r.T, d), "num_heads": heads}


def _tagged_kv(r):
    h, h_kv, d = _shared_sizes(r)
    return {"kv": _kv_tagged(r.B, h_kv, r.T, d), "num_heads": h}


expand_kv = Exercise(
    name="sharing.expand_kv",
    points=2,
    reference=reference.expand_kv,
    returns=("the expanded heads",),
    cases=(
        Case("one token", lambda r: _kv(r, tokens=1)),
        Case("numbers that say where they sit", _tagged_kv),
        Case("random numbers", _kv),
        Case("4 heads for 12", lambda r: _kv(r, 4, heads=12)),
        Case("one head for all", lambda r: _kv(r, 1)),
        Case("a head for each", lambda r: _kv(r, 6)),
        Case("kv is left as it was", _kv, kind="unchanged", promise=0.1),
        Case(
            "4 heads for 6",
            lambda r: _kv(r, 4),
            kind="raises",
            promise=0.2,
            mentions=lambda args: (6, 4),
        ),
    ),
    misconceptions=(
        Misconception(
            "expand_tiled",
            _expanding(lambda kv, h, group: kv.repeat(1, group, 1, 1)),
            "The heads were repeated as a whole: 0, 1, 2, 0, 1, 2. The shape is right, but most query "
            "heads get another group's keys.",
            "The query heads of a group are neighbours: 0, 0, 1, 1, 2, 2, which is what "
            "repeat_interleave gives.",
        ),
        Misconception(
            "expand_along_tokens",
            _expanding(lambda kv, h, group: kv.repeat_interleave(group, 2)),
            "The tokens were repeated, not the heads.",
            "Heads are dimension 1.",
        ),
        Misconception(
            "expand_along_width",
            _expanding(lambda kv, h, group: kv.repeat_interleave(group, 3)),
            "The components were repeated, not the heads.",
            "Heads are dimension 1.",
        ),
        Misconception(
            "expand_along_batch",
            _expanding(lambda kv, h, group: kv.repeat_interleave(group, 0)),
            "The sequences were repeated, not the heads.",
            "Heads are dimension 1.",
        ),
        Misconception(
            "expand_by_number_of_kv_heads",
            _expanding(lambda kv, h, group: kv.repeat_interleave(kv.shape[1], 1)),
            "Each head was repeated h_kv times; h_kv is the number of heads there are, not the size "
            "of a group.",
            "A group has h / h_kv query heads.",
        ),
        Misconception(
            "expand_by_number_of_heads",
            _expanding(lambda kv, h, group: kv.repeat_interleave(h, 1)),
            "Each head was repeated h times: there are h_kv·h of them now.",
            "A group has h / h_kv query heads.",
        ),
        Misconception(
            "expand_groups_of_h_kv",
            _expanding(
                lambda kv, h, group: kv[
                    :, (torch.arange(h) // kv.shape[1]).clamp(max=kv.shape[1] - 1)
                ]
            ),
            "Groups of h_kv neighbours were made; a group has h / h_kv members.",
            "Query head i uses head i // (h / h_kv).",
        ),
        Misconception(
            "expand_mean_of_heads",
            _expanding(lambda kv, h, group: kv.mean(1, keepdim=True).expand(-1, h, -1, -1)),
            "Every query head got the mean of all heads.",
            "Repeat them, each for its own group.",
        ),
        Misconception(
            "expand_first_head_for_all",
            _expanding(lambda kv, h, group: kv[:, :1].expand(-1, h, -1, -1)),
            "Every query head got head 0.",
            "That is right for h_kv = 1 alone: each group has a head of its own.",
        ),
        Misconception(
            "expand_nothing",
            _expanding(lambda kv, h, group: kv),
            "The heads came back as they were.",
            "There must be h of them: (B, h, T, d).",
        ),
        Misconception(
            "expand_not_joined",
            _expanding(lambda kv, h, group: kv[:, :, None].expand(-1, -1, group, -1, -1)),
            "The result is (B, h_kv, h / h_kv, T, d): the group is a dimension of its own.",
            "Join dimensions 1 and 2.",
        ),
        Misconception(
            "expand_with_zeros",
            _expanding(
                lambda kv, h, group: torch.cat(
                    [kv, kv.new_zeros(len(kv), h - kv.shape[1], *kv.shape[2:])], 1
                )
            ),
            "The missing heads were filled with zeros.",
            "Repeat the heads that are there.",
        ),
        Misconception(
            "expand_order_reversed",
            _expanding(lambda kv, h, group: kv.repeat_interleave(group, 1).flip(1)),
            "The heads came out in reverse order.",
            "Query head 0 uses head 0.",
        ),
        Misconception(
            "expand_rounds_down",
            lambda kv, h: kv.repeat_interleave(h // kv.shape[1], 1),
            "h / h_kv was rounded down silently: there are fewer than h heads now.",
            "Check h % h_kv first and raise a ValueError that names both.",
        ),
        Misconception(
            "expand_uneven_groups",
            lambda kv, h: kv[:, torch.arange(h) * kv.shape[1] // h],
            "Groups of different sizes were made silently where h_kv does not divide h.",
            "Check h % h_kv first and raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "loop": _expand_by_loop,
        "broadcast and reshape": _expand_by_broadcast,
        "index": _expand_by_index,
        "numpy": _expand_by_numpy,
    },
)

# ------------------------------------------------------------------------ grouped_query_attention


def _refuse_gqa(w_q, w_k, w_v, h, h_kv):
    _refuse_groups(h, h_kv)
    if w_q.shape[-1] % h:
        raise ValueError(f"{h} heads do not divide {w_q.shape[-1]} columns")
    for w in (w_k, w_v):
        if w.shape[-1] != w_q.shape[-1] // h * h_kv:
            raise ValueError(f"{h_kv} heads of {w_q.shape[-1] // h} are not {w.shape[-1]} columns")


def _gqa(
    x, w_q, w_k, w_v, w_o, h, h_kv, mask=None, *, grow=expand, grow_v=None, cut=split, join=merge,
    look_up=attend,
):  # fmt: skip
    """Grouped-query attention with one step done differently, as the arguments say."""
    _refuse_gqa(w_q, w_k, w_v, h, h_kv)
    k, v = grow(cut(x @ w_k, h_kv), h), (grow_v or grow)(cut(x @ w_v, h_kv), h)
    out, weights = look_up(cut(x @ w_q, h), k, v, mask)
    return join(out) @ w_o, weights


def _grouped(**how):
    return lambda *args: _gqa(*args, **how)


def _tiled(kv, h):
    return kv.repeat(1, h // kv.shape[1], 1, 1)


def _mean_head(kv, h):
    return kv.mean(1, keepdim=True).expand(-1, h, -1, -1)


def _first_head(kv, h):
    return kv[:, :1].expand(-1, h, -1, -1)


def _not_grown(kv, h):
    return kv


def _gqa_kv_cut_into_h(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    _refuse_gqa(w_q, w_k, w_v, h, h_kv)
    out, weights = attend(split(x @ w_q, h), split(x @ w_k, h), split(x @ w_v, h), mask)
    return merge(out) @ w_o, weights


def _gqa_queries_cut_into_h_kv(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    _refuse_gqa(w_q, w_k, w_v, h, h_kv)
    out, weights = attend(*(split(x @ w, h_kv) for w in (w_q, w_k, w_v)), mask)
    return merge(out) @ w_o, weights


def _gqa_queries_averaged(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    """One query for each group, the mean of its heads; the result is repeated for W_O."""
    _refuse_gqa(w_q, w_k, w_v, h, h_kv)
    q = split(x @ w_q, h).unflatten(1, (h_kv, -1)).mean(2)
    if mask is not None and mask.ndim == 4 and mask.shape[1] == h:
        mask = mask[:, :: h // h_kv]
    out, weights = attend(q, split(x @ w_k, h_kv), split(x @ w_v, h_kv), mask)
    return merge(expand(out, h)) @ w_o, expand(weights, h)


def _gqa_h_kv_as_group_size(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    _refuse_gqa(w_q, w_k, w_v, h, h_kv)
    groups = h // h_kv
    k, v = (expand(split(x @ w, groups), h) for w in (w_k, w_v))
    out, weights = attend(split(x @ w_q, h), k, v, mask)
    return merge(out) @ w_o, weights


def _gqa_without_w_o(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    return _gqa(x, w_q, w_k, w_v, torch.eye(len(w_o)), h, h_kv, mask)


def _gqa_kv_swapped(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    return _gqa(x, w_q, w_v, w_k, w_o, h, h_kv, mask)


def _gqa_with_residual(x, *rest):
    out, weights = _gqa(x, *rest)
    return x + out, weights


def _gqa_weights_of_groups(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    out, weights = _gqa(x, w_q, w_k, w_v, w_o, h, h_kv, mask)
    return out, weights.unflatten(1, (h_kv, -1)).mean(2)


def _gqa_groups_unchecked(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    """Groups of different sizes where h_kv does not divide h."""
    if h % h_kv == 0:
        _refuse_gqa(w_q, w_k, w_v, h, h_kv)
    uneven = torch.arange(h) * h_kv // h
    k, v = (split(x @ w, h_kv)[:, uneven] for w in (w_k, w_v))
    out, weights = attend(split(x @ w_q, h), k, v, mask)
    return merge(out) @ w_o, weights


def _gqa_width_unchecked(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    """Takes the first h_kv·d columns of whatever is there."""
    _refuse_groups(h, h_kv)
    q = split(x @ w_q, h)
    width = h_kv * q.shape[-1]
    return _gqa(x, w_q, w_k[:, :width], w_v[:, :width], w_o, h, h_kv, mask)


def _gqa_loop(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    _refuse_gqa(w_q, w_k, w_v, h, h_kv)
    d, group = w_q.shape[-1] // h, h // h_kv
    shape = (len(x), h, x.shape[1], x.shape[1])
    mask = torch.ones(shape, dtype=torch.bool) if mask is None else mask.expand(shape)
    outs, kept = [], []
    for i in range(h):
        mine = slice(i * d, (i + 1) * d)
        theirs = slice(i // group * d, (i // group + 1) * d)
        q, k, v = x @ w_q[:, mine], x @ w_k[:, theirs], x @ w_v[:, theirs]
        out, weights = attend(q, k, v, mask[:, i])
        outs.append(out)
        kept.append(weights)
    return torch.cat(outs, -1) @ w_o, torch.stack(kept, 1)


def _gqa_fused(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    _refuse_gqa(w_q, w_k, w_v, h, h_kv)
    q, k, v = split(x @ w_q, h), split(x @ w_k, h_kv), split(x @ w_v, h_kv)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    return merge(out) @ w_o, attend(q, expand(k, h), expand(v, h), mask)[1]


def _gqa_without_repeating(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    """A group's queries against its one key head, by einsum."""
    _refuse_gqa(w_q, w_k, w_v, h, h_kv)
    q = split(x @ w_q, h).unflatten(1, (h_kv, -1))  # (B, h_kv, g, T, d)
    k, v = split(x @ w_k, h_kv), split(x @ w_v, h_kv)
    scores = torch.einsum("bjgtd,bjsd->bjgts", q, k).flatten(1, 2) * q.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -1e9)
    weights = scores.softmax(-1)
    out = torch.einsum("bjgts,bjsd->bjgtd", weights.unflatten(1, (h_kv, -1)), v)
    return merge(out.flatten(1, 2)) @ w_o, weights


def _gqa_with_repeated_columns(x, w_q, w_k, w_v, w_o, h, h_kv, mask=None):
    """Multi-head attention whose W_K and W_V hold every head's columns several times."""
    _refuse_gqa(w_q, w_k, w_v, h, h_kv)
    wide = (
        w.unflatten(1, (h_kv, -1)).repeat_interleave(h // h_kv, 1).flatten(1) for w in (w_k, w_v)
    )
    return multi_head_attention(x, w_q, *wide, w_o, h, mask)


def _shared_layer(
    r: Draw, *, heads=None, h_kv=None, d=None, tokens=None, mask=None, k=None, v=None
):
    """Arguments; k and v replace the number of heads that w_k and w_v are wide enough for."""
    h, shared, width = _shared_sizes(r)
    h, h_kv, d = heads or h, h_kv or shared, d or width
    args = {
        "x": r.normal(r.B, tokens or r.T, r.D),
        "w_q": r.weight(r.D, h * d),
        "w_k": r.weight(r.D, (k or h_kv) * d),
        "w_v": r.weight(r.D, (v or h_kv) * d),
        "w_o": r.weight(h * d, r.D),
        "num_heads": h,
        "num_kv_heads": h_kv,
    }
    return args if mask is None else {**args, "mask": mask}


grouped_query_attention = Exercise(
    name="sharing.grouped_query_attention",
    points=4,
    reference=reference.grouped_query_attention,
    returns=("out", "weights"),
    library_calls=("scaled_dot_product_attention",),
    cases=(
        Case("one token", lambda r: _shared_layer(r, tokens=1)),
        Case("one head", lambda r: _shared_layer(r, heads=1, h_kv=1)),
        Case("6 query heads, no mask", _shared_layer),
        # 12 does not divide 4 · 10: keys cannot be cut into as many heads as there are queries.
        Case("12 query heads, 4 for keys", lambda r: _shared_layer(r, heads=12, h_kv=4, d=10)),
        Case("one key head for all (MQA)", lambda r: _shared_layer(r, h_kv=1)),
        Case("a key head for each (MHA)", lambda r: _shared_layer(r, h_kv=6)),
        Case("a mask (T, T)", lambda r: _shared_layer(r, mask=r.mask(r.T, r.T))),
        Case("a mask for each head", lambda r: _shared_layer(r, mask=r.mask(r.B, 6, r.T, r.T))),
        Case(
            "4 key heads for 6",
            lambda r: _shared_layer(r, h_kv=4),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (6, 4),
        ),
        Case(
            "queries whose width h does not divide",
            lambda r: {
                **_shared_layer(r),
                "w_q": r.weight(r.D, 6 * r.d + 1),
                "w_o": r.weight(6 * r.d + 1, r.D),
            },
            kind="raises",
            promise=0.1,
            mentions=lambda args: (6, args["w_q"].shape[-1]),
        ),
        Case(
            "w_k and w_v as wide as w_q",
            lambda r: _shared_layer(r, k=6, v=6),
            kind="raises",
            promise=0.1,
        ),
    ),
    misconceptions=(
        Misconception(
            "gqa_tiled",
            _grouped(grow=_tiled),
            "The key and value heads were repeated as a whole (0, 1, 2, 0, 1, 2), so that most query "
            "heads read another group's.",
            "The query heads of a group are neighbours: use expand_kv.",
        ),
        Misconception(
            "gqa_values_tiled",
            _grouped(grow_v=_tiled),
            "Keys and values were repeated in different orders: a query head finds with one head's "
            "keys and reads another's values.",
            "Expand both in the same way: use expand_kv twice.",
        ),
        Misconception(
            "gqa_only_keys_expanded",
            _grouped(grow_v=_not_grown),
            "The keys were expanded, the values were not.",
            "Both have h_kv heads: expand both.",
        ),
        Misconception(
            "gqa_nothing_expanded",
            _grouped(grow=_not_grown),
            "Queries of h heads met keys of h_kv heads.",
            "Expand keys and values to h heads first.",
        ),
        Misconception(
            "gqa_mean_of_heads",
            _grouped(grow=_mean_head),
            "All query heads share the mean of the key and value heads.",
            "Each group has a head of its own.",
        ),
        Misconception(
            "gqa_first_head_for_all",
            _grouped(grow=_first_head),
            "All query heads used key and value head 0: this is MQA.",
            "Each group has a head of its own.",
        ),
        Misconception(
            "gqa_kv_cut_into_h",
            _gqa_kv_cut_into_h,
            "Keys and values were cut into h heads, each narrower than a query.",
            "w_k holds h_kv heads of width d: split with num_kv_heads, then expand.",
        ),
        Misconception(
            "gqa_queries_cut_into_h_kv",
            _gqa_queries_cut_into_h_kv,
            "The queries were cut into h_kv heads, each wider than a key.",
            "There are still h query heads: only keys and values are shared.",
        ),
        Misconception(
            "gqa_queries_averaged",
            _gqa_queries_averaged,
            "The queries of a group were averaged: its heads all look at the same place.",
            "A group shares keys and values; each of its heads keeps a query of its own.",
        ),
        Misconception(
            "gqa_h_kv_as_group_size",
            _gqa_h_kv_as_group_size,
            "num_kv_heads was read as the size of a group; it is the number of key and value heads.",
            "Split keys and values into num_kv_heads heads; a group has h / h_kv query heads.",
        ),
        Misconception(
            "gqa_keys_and_values_swapped",
            _gqa_kv_swapped,
            "W_K and W_V changed places.",
            "Keys are matched with the queries, values are what comes back.",
        ),
        Misconception(
            "gqa_without_w_o",
            _gqa_without_w_o,
            "W_O was not applied.",
            "The last step is concat @ w_o.",
        ),
        Misconception(
            "gqa_split_by_view_alone",
            _grouped(cut=split_wrong),
            "The heads were made by reshaping straight into (B, h, T, d).",
            "Use split_heads.",
        ),
        Misconception(
            "gqa_merge_without_transpose",
            _grouped(join=merge_wrong),
            "The heads were joined without moving them back behind the tokens.",
            "Use merge_heads.",
        ),
        Misconception(
            "gqa_not_scaled",
            _grouped(look_up=not_scaled),
            "The scores were not divided by sqrt(d).",
            "Let scaled_dot_product_attention do the look-up: it scales.",
        ),
        Misconception(
            "gqa_scaled_by_full_width",
            _grouped(look_up=scaled_by_width),
            "The scores were divided by sqrt(h·d).",
            "d is the width of one head.",
        ),
        Misconception(
            "gqa_softmax_over_queries",
            _grouped(look_up=softmax_over_queries),
            "The softmax ran over the queries: columns sum to 1 instead of rows.",
            "The keys are the last dimension of the scores.",
        ),
        Misconception(
            "gqa_mask_ignored",
            _grouped(look_up=_mask_ignored),
            "The mask was not handed on.",
            "Pass mask to scaled_dot_product_attention.",
        ),
        Misconception(
            "gqa_mask_inverted",
            _grouped(look_up=_mask_inverted),
            "The mask works the wrong way round.",
            "True means “may attend”.",
        ),
        Misconception(
            "gqa_mask_of_first_head",
            _grouped(look_up=_mask_of_first_head),
            "The mask of head 0 was used for all heads.",
            "A mask (B, h, T, T) holds one for each query head.",
        ),
        Misconception(
            "gqa_weights_of_groups",
            _gqa_weights_of_groups,
            "The weights were averaged over each group: (B, h_kv, T, T).",
            "Every query head has weights of its own: (B, h, T, T).",
        ),
        Misconception(
            "gqa_residual_inside",
            _gqa_with_residual,
            "x was added to the output: that residual belongs to the block around the layer.",
            "Return the projection alone.",
        ),
        Misconception(
            "gqa_one_result",
            lambda *args: _gqa(*args)[0],
            "Only the output came back.",
            "Return (out, weights).",
        ),
        Misconception(
            "gqa_groups_unchecked",
            _gqa_groups_unchecked,
            "Groups of different sizes were made where h_kv does not divide h.",
            "Raise a ValueError that names both numbers (expand_kv does).",
        ),
        Misconception(
            "gqa_width_unchecked",
            _gqa_width_unchecked,
            "Columns of w_k and w_v beyond h_kv·d were dropped silently.",
            "Raise a ValueError when keys and queries differ in width.",
        ),
    ),
    equivalents={
        "loop over heads": _gqa_loop,
        "PyTorch's fused attention": _gqa_fused,
        "einsum, nothing repeated": _gqa_without_repeating,
        "multi-head attention with repeated columns": _gqa_with_repeated_columns,
    },
)

# --------------------------------------------------------------------------------- kv_cache_bytes

SIZES = ("num_layers", "num_kv_heads", "head_dim", "num_tokens", "batch", "bytes_per_value")


def _cache(formula):
    """A wrong version that does keep the promise about sizes, so that its mistake stands alone."""

    @wraps(formula)
    def guarded(num_layers, num_kv_heads, head_dim, num_tokens, batch=1, bytes_per_value=2):
        if num_tokens < 0:
            raise ValueError(f"{num_tokens} tokens")
        others = (num_layers, num_kv_heads, head_dim, batch, bytes_per_value)
        if min(others) < 1:
            raise ValueError(f"a size of {min(others)}")
        return formula(num_layers, num_kv_heads, head_dim, num_tokens, batch, bytes_per_value)

    return guarded


@_cache
def _cache_of_tensors(num_layers, h_kv, d, num_tokens, batch, size):
    dtype = {1: torch.int8, 2: torch.float16, 4: torch.float32}[size]
    kv = torch.empty(num_layers, 2, batch, h_kv, num_tokens, d, dtype=dtype, device="meta")
    return kv.nbytes


@_cache
def _cache_layer_by_layer(num_layers, h_kv, d, num_tokens, batch, size):
    keys = values = batch * h_kv * num_tokens * d
    return sum((keys + values) * size for _ in range(num_layers))


def _cache_unchecked(num_layers, h_kv, d, num_tokens, batch=1, size=2):
    return 2 * num_layers * h_kv * d * num_tokens * batch * size


def _default_of_four(num_layers, h_kv, d, num_tokens, batch=1, bytes_per_value=4):
    return _cache_of_all(num_layers, h_kv, d, num_tokens, batch, bytes_per_value)


@_cache
def _cache_of_all(*sizes):
    return 2 * prod(sizes)


def _cache_sizes(*sizes):
    return lambda r: dict(zip(SIZES, sizes, strict=False))


kv_cache_bytes = Exercise(
    name="sharing.kv_cache_bytes",
    points=1,
    reference=reference.kv_cache_bytes,
    returns=("the number of bytes",),
    cases=(
        Case("a layer, a head, a token", _cache_sizes(1, 1, 64, 1)),
        Case("7 layers, 5 heads of 48, 11 tokens", _cache_sizes(7, 5, 48, 11)),
        Case("the same, 3 sequences", _cache_sizes(7, 5, 48, 11, 3)),
        Case("the same in float32", _cache_sizes(7, 5, 48, 11, 3, 4)),
        Case("8-bit values", _cache_sizes(7, 5, 48, 11, 3, 1)),
        Case(
            "all sizes drawn",
            lambda r: dict(zip(SIZES, (r.D, r.h, r.d, 100 + r.T, r.B, 4), strict=True)),
        ),
        Case("nothing written yet", _cache_sizes(7, 5, 48, 0)),
        Case(
            "fewer than no tokens",
            _cache_sizes(7, 5, 48, -11),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (-11,),
        ),
        Case(
            "a batch of no sequence",
            _cache_sizes(7, 5, 48, 11, 0),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (0,),
        ),
    ),
    misconceptions=(
        Misconception(
            "cache_keys_only",
            _cache(lambda *sizes: prod(sizes)),
            "Only the keys were counted (or only the values).",
            "Both are kept: times 2.",
        ),
        Misconception(
            "cache_queries_too",
            _cache(lambda *sizes: 3 * prod(sizes)),
            "Queries were counted, too.",
            "A query is used once, when its token is written; only keys and values are kept.",
        ),
        Misconception(
            "cache_of_one_layer",
            _cache(lambda layers, *sizes: 2 * prod(sizes)),
            "The cache of a single layer was counted.",
            "Every layer keeps keys and values of its own.",
        ),
        Misconception(
            "cache_of_one_head",
            _cache(lambda L, h, d, T, B, size: 2 * L * d * T * B * size),
            "One head was counted.",
            "Every key and value head is kept.",
        ),
        Misconception(
            "cache_without_head_dim",
            _cache(lambda L, h, d, T, B, size: 2 * L * h * T * B * size),
            "One number a head was counted; a key has head_dim of them.",
            "Times d.",
        ),
        Misconception(
            "cache_of_one_token",
            _cache(lambda L, h, d, T, B, size: 2 * L * h * d * B * size),
            "The cache of a single token was counted.",
            "It grows with every token: times T.",
        ),
        Misconception(
            "cache_tokens_squared",
            _cache(lambda L, h, d, T, B, size: 2 * L * h * d * T * T * B * size),
            "T² was counted, as for the weights; weights are not kept.",
            "A token adds one key and one value: times T.",
        ),
        Misconception(
            "cache_without_batch",
            _cache(lambda L, h, d, T, B, size: 2 * L * h * d * T * size),
            "The batch was forgotten.",
            "Each sequence has a cache of its own.",
        ),
        Misconception(
            "cache_counts_values",
            _cache(lambda L, h, d, T, B, size: 2 * L * h * d * T * B),
            "Numbers were counted, not bytes.",
            "Times bytes_per_value.",
        ),
        Misconception(
            "cache_always_two_bytes",
            _cache(lambda L, h, d, T, B, size: 4 * L * h * d * T * B),
            "Two bytes a value were counted whatever bytes_per_value says.",
            "Times bytes_per_value.",
        ),
        Misconception(
            "cache_in_bits",
            _cache(lambda *sizes: 16 * prod(sizes)),
            "These are bits.",
            "bytes_per_value is in bytes already.",
        ),
        Misconception(
            "cache_bits_to_bytes",
            _cache(lambda *sizes: 2 * prod(sizes) // 8),
            "It was divided by 8, as if bytes_per_value were bits.",
            "bytes_per_value is in bytes already.",
        ),
        Misconception(
            "cache_in_kib",
            _cache(lambda *sizes: 2 * prod(sizes) / 1024),
            "These are KiB.",
            "Return bytes.",
        ),
        Misconception(
            "cache_in_kilobytes",
            _cache(lambda *sizes: 2 * prod(sizes) / 1000),
            "These are thousands of bytes.",
            "Return bytes.",
        ),
        Misconception(
            "cache_default_of_four_bytes",
            _default_of_four,
            "Without bytes_per_value, 4 bytes were counted.",
            "Keep the signature: bytes_per_value=2.",
        ),
        Misconception(
            "cache_unchecked",
            _cache_unchecked,
            "A size that makes no cache went through.",
            "Raise a ValueError that names the number when num_tokens < 0 or another size < 1.",
        ),
    ),
    equivalents={
        "tensors": _cache_of_tensors,
        "layer by layer": _cache_layer_by_layer,
        "product": _cache_of_all,
    },
)

# ---------------------------------------------------------------------------------- pool_kv_heads


def _refuse_pooling(w, h, h_kv):
    if h < 1 or w.shape[-1] % h:
        raise ValueError(f"{h} heads do not divide {w.shape[-1]} columns")
    _refuse_groups(h, h_kv)


def _pooling(function):
    """A wrong version that keeps the promises; it gets the heads (D, h, d), h_kv and the group."""

    def guarded(w_kv, num_heads, num_kv_heads):
        _refuse_pooling(w_kv, num_heads, num_kv_heads)
        heads = w_kv.unflatten(1, (num_heads, -1))
        return function(heads, num_kv_heads, num_heads // num_kv_heads)

    return guarded


def _pooled_rows(w, h, h_kv):
    """Rows are averaged where the columns should be (or, where they cannot be, left)."""
    _refuse_pooling(w, h, h_kv)
    group = h // h_kv
    return w[: len(w) // group * group].unflatten(0, (-1, group)).mean(1)


@_pooling
def _pool_by_loop(heads, h_kv, group):
    parts = [sum(heads[:, j * group + i] for i in range(group)) / group for j in range(h_kv)]
    return torch.cat(parts, 1)


@_pooling
def _pool_by_matrix(heads, h_kv, group):
    chooser = torch.eye(h_kv).repeat_interleave(group, 0) / group  # (h, h_kv)
    return torch.einsum("Dhd,hj->Djd", heads, chooser).flatten(1)


@_pooling
def _pool_by_strides(heads, h_kv, group):
    return sum(heads[:, i::group] for i in range(group)).flatten(1) / group


@_pooling
def _pool_by_numpy(heads, h_kv, group):
    w = heads.numpy()
    return w.reshape(len(w), h_kv, group, -1).mean(2).reshape(len(w), -1)


def _pool_unchecked(w, h, h_kv):
    """Drops what does not fit, heads and columns alike."""
    d, group = w.shape[-1] // h, h // h_kv
    return pool(w[:, : h_kv * group * d], h_kv * group, h_kv)


def _projection(r, *, heads=None, h_kv=None, extra=0):
    h, shared, d = _shared_sizes(r)
    h = heads or h
    w = r.weight(r.D, h * d + extra)
    return {"w_kv": w, "num_heads": h, "num_kv_heads": h_kv or shared}


pool_kv_heads = Exercise(
    name="sharing.pool_kv_heads",
    points=2,
    reference=reference.pool_kv_heads,
    returns=("the pooled projection",),
    cases=(
        Case("a head for each: nothing to do", lambda r: _projection(r, h_kv=6)),
        Case("one head for all", lambda r: _projection(r, h_kv=1)),
        Case("6 heads", _projection),
        Case("12 heads to 4", lambda r: _projection(r, heads=12, h_kv=4)),
        Case("15 heads to 5", lambda r: _projection(r, heads=15, h_kv=5)),
        Case("w_kv is left as it was", _projection, kind="unchanged", promise=0.1),
        Case(
            "6 heads to 4",
            lambda r: _projection(r, h_kv=4),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (6, 4),
        ),
        Case(
            "a width that h does not divide",
            lambda r: _projection(r, extra=1),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (6, args["w_kv"].shape[-1]),
        ),
    ),
    misconceptions=(
        Misconception(
            "pool_sum",
            _pooling(lambda w, h_kv, group: w.unflatten(1, (h_kv, group)).sum(2).flatten(1)),
            "The heads of a group were added up.",
            "Take their mean: divide by h / h_kv.",
        ),
        Misconception(
            "pool_divided_by_h",
            _pooling(
                lambda w, h_kv, group: (
                    w.unflatten(1, (h_kv, group)).sum(2).flatten(1) / (h_kv * group)
                )
            ),
            "The sum of a group was divided by h.",
            "A group has h / h_kv heads: divide by that.",
        ),
        Misconception(
            "pool_divided_by_h_kv",
            _pooling(lambda w, h_kv, group: w.unflatten(1, (h_kv, group)).sum(2).flatten(1) / h_kv),
            "The sum of a group was divided by h_kv.",
            "A group has h / h_kv heads: divide by that.",
        ),
        Misconception(
            "pool_first_of_group",
            _pooling(lambda w, h_kv, group: w[:, ::group].flatten(1)),
            "The first head of each group was kept, the others were dropped.",
            "Take the mean over the group.",
        ),
        Misconception(
            "pool_first_heads",
            _pooling(lambda w, h_kv, group: w[:, :h_kv].flatten(1)),
            "The first h_kv heads were kept, the others were dropped.",
            "Take the mean over each group of neighbours.",
        ),
        Misconception(
            "pool_every_h_kv_th",
            _pooling(lambda w, h_kv, group: w.unflatten(1, (group, h_kv)).mean(1).flatten(1)),
            "The heads j, j + h_kv, j + 2·h_kv … were averaged.",
            "A group's heads are neighbours: unflatten h as (h_kv, h / h_kv), in this order.",
        ),
        Misconception(
            "pool_neighbouring_columns",
            _pooling(lambda w, h_kv, group: w.flatten(1).unflatten(1, (-1, group)).mean(2)),
            "Neighbouring columns were averaged: they belong to one head.",
            "Column c of one head goes with column c of the next head: (D, h_kv, h / h_kv, d), mean "
            "over dimension 2.",
        ),
        Misconception(
            "pool_over_all_heads",
            _pooling(
                lambda w, h_kv, group: w.mean(1, keepdim=True).expand(-1, h_kv, -1).flatten(1)
            ),
            "Every new head is the mean of all old ones.",
            "Each new head is the mean of its own group.",
        ),
        Misconception(
            "pool_h_kv_as_group_size",
            _pooling(lambda w, h_kv, group: w.unflatten(1, (group, h_kv)).mean(2).flatten(1)),
            "num_kv_heads was read as the size of a group.",
            "It is the number of new heads: the result is (D, h_kv·d).",
        ),
        Misconception(
            "pool_expanded_again",
            _pooling(
                lambda w, h_kv, group: (
                    w.unflatten(1, (h_kv, group)).mean(2).repeat_interleave(group, 1).flatten(1)
                )
            ),
            "The new heads were repeated to h again.",
            "The result is (D, h_kv·d): that is what makes the cache smaller.",
        ),
        Misconception(
            "pool_not_joined",
            _pooling(lambda w, h_kv, group: w.unflatten(1, (h_kv, group)).mean(2)),
            "The heads are a dimension of their own: (D, h_kv, d).",
            "Join the last two: (D, h_kv·d).",
        ),
        Misconception(
            "pool_rows",
            _pooled_rows,
            "Rows were averaged; the heads lie in the columns.",
            "Unflatten the last dimension.",
        ),
        Misconception(
            "pool_largest",
            _pooling(lambda w, h_kv, group: w.unflatten(1, (h_kv, group)).amax(2).flatten(1)),
            "The largest entry of a group was taken.",
            "Take the mean.",
        ),
        Misconception(
            "pool_median",
            _pooling(
                lambda w, h_kv, group: w.unflatten(1, (h_kv, group)).median(2).values.flatten(1)
            ),
            "The median of a group was taken.",
            "Take the mean.",
        ),
        Misconception(
            "pool_unchecked",
            _pool_unchecked,
            "Heads or columns that do not fit were dropped silently.",
            "Check width % h and h % h_kv first; raise a ValueError that names both numbers.",
        ),
    ),
    equivalents={
        "loop": _pool_by_loop,
        "averaging matrix": _pool_by_matrix,
        "strides": _pool_by_strides,
        "numpy": _pool_by_numpy,
    },
)

EXERCISES = (
    cross_attention,
    expand_kv,
    grouped_query_attention,
    kv_cache_bytes,
    pool_kv_heads,
)
