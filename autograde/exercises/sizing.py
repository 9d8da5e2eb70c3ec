"""Exercises of notebook 04: shapes, the packed projection, parameters and operations."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from solutions import sizing as reference
from solutions.heads import split_heads as split

from .entry import Case, Exercise, Misconception

# ------------------------------------------------------------------------------------ shape_trail


def _trail(batch, num_tokens, d_model, num_heads, **wrong):
    """The right trail with some shapes replaced; checks nothing."""
    whole = (batch, num_tokens, d_model)
    heads = (batch, num_heads, num_tokens, d_model // num_heads)
    tables = (batch, num_heads, num_tokens, num_tokens)
    names = ("x", "q", "split_q", "scores", "weights", "head_out", "concat", "out")
    right = (whole, whole, heads, tables, tables, heads, whole, whole)
    return {**dict(zip(names, right, strict=True)), **wrong}


def _unless_divided(function):
    """A wrong version that does keep the promise about widths, so that its mistake stands alone."""

    def guarded(batch, num_tokens, d_model, num_heads):
        if num_heads < 1 or d_model % num_heads:
            raise ValueError(f"{num_heads} heads do not divide a width of {d_model}")
        return function(batch, num_tokens, d_model, num_heads)

    return guarded


def _trail_with(**shapes):
    """A wrong version; each shape is made from B, T, D, h and d."""
    return _unless_divided(
        lambda B, T, D, h: _trail(
            B, T, D, h, **{name: shape(B, T, D, h, D // h) for name, shape in shapes.items()}
        )
    )


def _full_width(B, T, D, h, d):
    return (B, h, T, D)


def _not_moved(B, T, D, h, d):
    return (B, T, h, d)


def _folded(B, T, D, h, d):
    return (B * h, T, d)


def _one_table(B, T, D, h, d):
    return (B, T, T)


@_unless_divided
def _trail_by_running(B, T, D, h):
    x = torch.zeros(B, T, D, device="meta")
    q = x @ torch.zeros(D, D, device="meta")
    split_q = q.unflatten(-1, (h, D // h)).transpose(1, 2)
    scores = split_q @ split_q.mT
    weights = scores.softmax(-1)
    head_out = weights @ split_q
    concat = head_out.transpose(1, 2).flatten(2)
    out = concat @ torch.zeros(D, D, device="meta")
    found = dict(x=x, q=q, split_q=split_q, scores=scores, weights=weights)
    found |= dict(head_out=head_out, concat=concat, out=out)
    return {name: tensor.shape for name, tensor in found.items()}


@_unless_divided
def _trail_of_lists(B, T, D, h):
    return {
        name: list(shape)
        for shape, names in (
            ((B, T, D), "x q concat out"),
            ((B, h, T, int(D / h)), "split_q head_out"),
            ((B, h, T, T), "scores weights"),
        )
        for name in names.split()
    }


def _sizes(r, **changed):
    return {"batch": r.B, "num_tokens": r.T, "d_model": r.h * r.d, "num_heads": r.h} | changed


def _indivisible(r):
    return _sizes(r, d_model=r.h * r.d + 1)


def _names_heads_and_width(args):
    return args["num_heads"], args["d_model"]


shape_trail = Exercise(
    name="sizing.shape_trail",
    points=2,
    reference=reference.shape_trail,
    returns=("the trail",),
    cases=(
        Case("one head", lambda r: _sizes(r, num_heads=1)),
        Case("one token", lambda r: _sizes(r, num_tokens=1)),
        Case("all sizes different", _sizes),
        Case(
            "12 heads of 64",
            lambda r: _sizes(r, num_tokens=r.T_k, d_model=768, num_heads=12),
        ),
        Case(
            "a width that h does not divide",
            _indivisible,
            kind="raises",
            promise=0.1,
            mentions=_names_heads_and_width,
        ),
    ),
    misconceptions=(
        Misconception(
            "trail_heads_of_full_width",
            _trail_with(
                split_q=_full_width,
                head_out=_full_width,
                concat=lambda B, T, D, h, d: (B, T, h * D),
            ),
            "Every head got the full width D, so the concatenation is h·D wide.",
            "The heads share the width out: each is d = D / h wide, and h·d = D.",
        ),
        Misconception(
            "trail_split_not_moved",
            _trail_with(split_q=_not_moved, head_out=_not_moved),
            "The heads come after the tokens: (B, T, h, d).",
            "split_heads moves the heads in front: (B, h, T, d).",
        ),
        Misconception(
            "trail_one_table_for_all_heads",
            _trail_with(scores=_one_table, weights=_one_table),
            "There is one table of scores for all heads: (B, T, T).",
            "Every head compares the tokens in its own way: one T × T table a head, (B, h, T, T).",
        ),
        Misconception(
            "trail_weights_averaged",
            _trail_with(weights=_one_table),
            "The weights were averaged over the heads, as nn.MultiheadAttention does by default.",
            "The softmax changes no shape: the weights have that of the scores.",
        ),
        Misconception(
            "trail_scores_as_wide_as_a_head",
            _trail_with(
                scores=lambda B, T, D, h, d: (B, h, T, d),
                weights=lambda B, T, D, h, d: (B, h, T, d),
            ),
            "Scores and weights are as wide as a head.",
            "q @ k^T multiplies d away: what is left is a number for each pair of tokens, T × T.",
        ),
        Misconception(
            "trail_scores_between_features",
            _trail_with(
                scores=lambda B, T, D, h, d: (B, h, d, d),
                weights=lambda B, T, D, h, d: (B, h, d, d),
            ),
            "The scores are d × d: features were compared with features.",
            "q @ k^T: every query's row meets every key's row, T × T.",
        ),
        Misconception(
            "trail_projected_to_one_head",
            _trail_with(q=lambda B, T, D, h, d: (B, T, d)),
            "The projection's result is only d wide: there is nothing left to split.",
            "W_Q makes the queries of all heads at once: h·d = D columns.",
        ),
        Misconception(
            "trail_output_of_one_head",
            _trail_with(out=lambda B, T, D, h, d: (B, T, d)),
            "The layer's output is as wide as one head.",
            "W_O (h·d, D) takes the concatenation to D numbers.",
        ),
        Misconception(
            "trail_joined_along_tokens",
            _trail_with(
                concat=lambda B, T, D, h, d: (B, h * T, d),
                out=lambda B, T, D, h, d: (B, h * T, D),
            ),
            "The heads were joined along the tokens: (B, h·T, d).",
            "Concatenate along the width: a token gets the slices of all its heads side by side.",
        ),
        Misconception(
            "trail_heads_added",
            _trail_with(concat=lambda B, T, D, h, d: (B, T, d)),
            "The concatenation is d wide, as if the heads had been added up.",
            "Side by side, h slices of d are h·d = D wide.",
        ),
        Misconception(
            "trail_head_out_is_a_table",
            _trail_with(head_out=lambda B, T, D, h, d: (B, h, T, T)),
            "The heads return their weights.",
            "The weights blend the values: (T, T) @ (T, d) gives (T, d) for each head.",
        ),
        Misconception(
            "trail_heads_and_width_swapped",
            _trail_with(
                split_q=lambda B, T, D, h, d: (B, d, T, h),
                scores=lambda B, T, D, h, d: (B, d, T, T),
                weights=lambda B, T, D, h, d: (B, d, T, T),
                head_out=lambda B, T, D, h, d: (B, d, T, h),
            ),
            "h and d changed places: there are d heads of width h.",
            "num_heads heads, each d_model // num_heads wide.",
        ),
        Misconception(
            "trail_heads_in_the_batch",
            _trail_with(
                split_q=_folded,
                scores=lambda B, T, D, h, d: (B * h, T, T),
                weights=lambda B, T, D, h, d: (B * h, T, T),
                head_out=_folded,
            ),
            "Batch and heads were folded into one dimension.",
            "Keep four dimensions: (B, h, T, d).",
        ),
        Misconception(
            "trail_width_unchecked",
            _trail,
            "A width that h does not divide was rounded down silently.",
            "Check d_model % num_heads first and raise a ValueError that names both.",
        ),
    ),
    equivalents={"run on shapes alone": _trail_by_running, "lists": _trail_of_lists},
)

# ------------------------------------------------------------------------------------- unpack_qkv


def _tagged_packed(r, heads):
    """Numbers that say where they sit: 100 000 b + 1000 t + c, exact in float32."""
    b, t, c = (torch.arange(size) for size in (r.B, r.T, 3 * heads * r.d))
    return (100_000 * b[:, None, None] + 1_000 * t[:, None] + c).float()


def _check_packed(packed, h):
    if packed.shape[-1] % (3 * h):
        raise ValueError(f"{h} heads cannot be unpacked from a width of {packed.shape[-1]}")


def _unpacked(order):
    """A version that reads a packed row in some order; `order` gives q, k, v as (B, h, T, d)."""

    def unpack(packed, h):
        _check_packed(packed, h)
        return tuple(order(packed, h, packed.shape[-1] // (3 * h)))

    return unpack


def _each_head_packed(packed, h, d):
    rows = packed.unflatten(-1, (h, 3, d))  # (B, T, h, 3, d)
    return rows.permute(3, 0, 2, 1, 4)


def _every_third_column(packed, h, d):
    return packed.unflatten(-1, (h, d, 3)).permute(4, 0, 2, 1, 3)


def _thirds(packed):
    return torch.chunk(packed, 3, dim=-1)


def _parts(one):
    """A version that finds q, k and v, and splits each of them with `one`."""
    return _unpacked(lambda packed, h, d: [one(part, h) for part in _thirds(packed)])


def _reordered(*places):
    return _unpacked(lambda packed, h, d: [split(_thirds(packed)[i], h) for i in places])


def _unpacked_unchecked(packed, h):
    d = packed.shape[-1] // 3 // h
    return tuple(
        split(packed[..., i * (packed.shape[-1] // 3) :][..., : h * d], h) for i in range(3)
    )


def _unpack_loop(packed, h):
    _check_packed(packed, h)
    d = packed.shape[-1] // (3 * h)
    slices = packed.split(d, dim=-1)  # 3·h slices of one head each
    return [torch.stack(slices[i * h : (i + 1) * h], dim=1) for i in range(3)]


def _unpack_numpy(packed, h):
    _check_packed(packed, h)
    rows = packed.numpy().reshape(*packed.shape[:2], 3, h, -1)
    return tuple(rows[:, :, i].swapaxes(1, 2) for i in range(3))


def _packed(r, heads=None, num_tokens=None):
    heads = heads or r.h
    return {
        "packed": r.normal(r.B, num_tokens or r.T, 3 * heads * r.d),
        "num_heads": heads,
    }


unpack_qkv = Exercise(
    name="sizing.unpack_qkv",
    points=2,
    reference=reference.unpack_qkv,
    returns=("q", "k", "v"),
    cases=(
        Case("one head", lambda r: _packed(r, heads=1)),
        Case("one token", lambda r: _packed(r, num_tokens=1)),
        Case(
            "numbers that say where they sit",
            lambda r: {"packed": _tagged_packed(r, r.h), "num_heads": r.h},
        ),
        Case("an even number of heads", lambda r: _packed(r, heads=2 * r.h)),
        Case("as many heads as tokens", lambda r: _packed(r, num_tokens=r.h)),
        Case(
            "a width that h does not divide",
            lambda r: {"packed": r.normal(r.B, r.T, 3 * (r.h * r.d + 1)), "num_heads": r.h},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["num_heads"],),
        ),
        Case(
            "a packed width that is no multiple of 3",
            lambda r: {"packed": r.normal(r.B, r.T, 3 * r.h * r.d + 1), "num_heads": r.h},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["packed"].shape[-1],),
        ),
    ),
    misconceptions=(
        Misconception(
            "unpack_each_head_packed",
            _unpacked(_each_head_packed),
            "The row was read as [q | k | v] of head 0, then [q | k | v] of head 1, and so on. "
            "GPT-NeoX and BLOOM pack like this; GPT-2 does not.",
            "Cut the row into three parts of width D first, then each part into heads.",
        ),
        Misconception(
            "unpack_every_third_column",
            _unpacked(_every_third_column),
            "The row was read as triples: every third column went to q.",
            "Each of q, k and v is one stretch of D neighbouring columns.",
        ),
        Misconception(
            "unpack_by_view_alone",
            _parts(lambda x, h: x.reshape(x.shape[0], h, x.shape[1], -1)),
            "q, k and v were found, but reshaped straight into (B, h, T, d): head 0 holds whole tokens "
            "instead of a slice of every token.",
            "Use your split_heads on each of the three.",
        ),
        Misconception(
            "unpack_without_transpose",
            _parts(lambda x, h: x.unflatten(-1, (h, -1))),
            "The results are (B, T, h, d): the heads were not moved in front of the tokens.",
            "Use your split_heads on each of the three.",
        ),
        Misconception(
            "unpack_heads_interleaved",
            _parts(lambda x, h: x.unflatten(-1, (-1, h)).permute(0, 3, 1, 2)),
            "Head i got every h-th column of q, k and v; it should get d neighbouring columns.",
            "The columns i·d … (i+1)·d - 1 of each part belong to head i.",
        ),
        Misconception(
            "unpack_not_split",
            _parts(lambda x, h: x),
            "q, k and v came back as (B, T, D): they were not split into heads.",
            "Use your split_heads on each of the three.",
        ),
        Misconception(
            "unpack_keys_and_values_swapped",
            _reordered(0, 2, 1),
            "Keys and values changed places.",
            "GPT-2's order is queries, keys, values.",
        ),
        Misconception(
            "unpack_keys_first",
            _reordered(1, 0, 2),
            "Queries and keys changed places.",
            "GPT-2's order is queries, keys, values.",
        ),
        Misconception(
            "unpack_values_first",
            _reordered(2, 1, 0),
            "The row was read from its end: values, keys, queries.",
            "GPT-2's order is queries, keys, values.",
        ),
        Misconception(
            "unpack_queries_thrice",
            _reordered(0, 0, 0),
            "All three results come from the first D columns.",
            "The keys start at column D, the values at column 2·D.",
        ),
        Misconception(
            "unpack_h_and_d_swapped",
            _parts(lambda x, h: x.unflatten(-1, (-1, h)).transpose(1, 2)),
            "h and d changed places: there are d heads of width h.",
            "Use your split_heads with num_heads on each of the three.",
        ),
        Misconception(
            "unpack_heads_in_the_batch",
            _parts(lambda x, h: split(x, h).flatten(0, 1)),
            "Batch and heads were folded into one dimension.",
            "Keep four dimensions: (B, h, T, d).",
        ),
        Misconception(
            "unpack_one_tensor",
            lambda packed, h: torch.stack(reference.unpack_qkv(packed, h)),
            "One tensor came back.",
            "Return three: q, k, v.",
        ),
        Misconception(
            "unpack_width_unchecked",
            _unpacked_unchecked,
            "Columns that did not fit were dropped silently.",
            "Raise a ValueError unless 3 · num_heads divides the width; name both numbers.",
        ),
    ),
    equivalents={
        "loop over slices": _unpack_loop,
        "one reshape": _unpacked(lambda p, h, d: p.unflatten(-1, (3, h, d)).permute(2, 0, 3, 1, 4)),
        "numpy": _unpack_numpy,
    },
)

# --------------------------------------------------------------------- count_attention_parameters


def _parameters(D, h, kv=None, d=None, bias=False, *, by):
    """Fill in the defaults, refuse the impossible, then count as `by` says."""
    kv = h if kv is None else kv
    if kv < 1 or h % kv:
        raise ValueError(f"{kv} key and value heads do not divide {h} query heads")
    if d is None and D % h:
        raise ValueError(f"{h} heads do not divide a width of {D}")
    return by(D, h, kv, D // h if d is None else d, bias)


def _counted(by):
    """A version that checks its arguments; `by` counts from D, h, h_kv, d and bias."""
    return lambda *args: _parameters(*args, by=by)


def _right_count(D, h, kv, d, bias):
    return 2 * D * d * (h + kv) + bias * (d * (h + 2 * kv) + D)


def _from_shapes(D, h, kv, d, bias):
    total = 0
    for rows, columns in ((D, h * d), (D, kv * d), (D, kv * d), (h * d, D)):
        layer = nn.Linear(rows, columns, bias=bias, device="meta")
        total += sum(p.numel() for p in layer.parameters())
    return total


def _head_by_head(D, h, kv, d, bias):
    a_query_head = D * d + d * D  # its columns of W_Q, its rows of W_O
    a_kv_head = 2 * D * d
    weights = h * a_query_head + kv * a_kv_head
    return weights + (h * d + kv * 2 * d + D if bias else 0)


def _parameters_unchecked(D, h, kv=None, d=None, bias=False):
    return _right_count(D, h, h if kv is None else kv, D // h if d is None else d, bias)


def _head_dim_ignored(D, h, kv=None, d=None, bias=False):
    return _parameters(D, h, kv, None if D % h == 0 else D // h, bias, by=_right_count)


def _kv_width_from_tokens(D, h, kv, d, bias):
    wide = D // kv * kv  # each of the fewer heads made wider, so that they fill D again
    return 2 * D * h * d + 2 * D * wide + bias * (h * d + 2 * wide + D)


def _layer_sizes(r, **given):
    return {"d_model": r.h * r.d, "num_heads": r.h} | given


def _grouped(r, **given):
    """B·h query heads that share h key and value heads: the groups' size B is not h."""
    heads = r.B * r.h
    return {"d_model": heads * r.d, "num_heads": heads, "num_kv_heads": r.h} | given


count_attention_parameters = Exercise(
    name="sizing.count_attention_parameters",
    points=3,
    reference=reference.count_attention_parameters,
    returns=("the number of parameters",),
    cases=(
        Case("one head", lambda r: _layer_sizes(r, num_heads=1)),
        Case("several heads", _layer_sizes),
        Case("12 heads of 64", lambda r: _layer_sizes(r, d_model=768, num_heads=12)),
        Case(
            "with biases",
            lambda r: _layer_sizes(r, num_kv_heads=None, head_dim=None, bias=True),
        ),
        Case("fewer key and value heads", _grouped),
        Case("one key and value head", lambda r: _layer_sizes(r, num_kv_heads=1)),
        Case(
            "h·d different from D",
            lambda r: _layer_sizes(r, d_model=r.D, num_kv_heads=None, head_dim=r.d),
        ),
        Case("all of it", lambda r: _grouped(r, d_model=r.D, head_dim=r.d_v, bias=True)),
        Case(
            "a width that h does not divide",
            lambda r: _layer_sizes(r, d_model=r.h * r.d + 1),
            kind="raises",
            promise=0.1,
            mentions=_names_heads_and_width,
        ),
        Case(
            "key and value heads that do not divide the query heads",
            lambda r: {"d_model": 2 * r.h * r.d, "num_heads": 2 * r.h, "num_kv_heads": 2 * r.h - 1},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["num_heads"], args["num_kv_heads"]),
        ),
    ),
    misconceptions=(
        Misconception(
            "parameters_times_heads",
            _counted(lambda D, h, kv, d, bias: h * _right_count(D, h, kv, d, bias)),
            "The matrices were counted once for every head.",
            "The matrices hold the columns of all heads already: h·d columns, not h times h·d.",
        ),
        Misconception(
            "parameters_without_w_o",
            _counted(
                lambda D, h, kv, d, bias: D * d * (h + 2 * kv) + (d * (h + 2 * kv) if bias else 0)
            ),
            "W_O was forgotten: queries, keys and values are only three of the four matrices.",
            "Add W_O: h·d rows, D columns.",
        ),
        Misconception(
            "parameters_of_one_head",
            _counted(lambda D, h, kv, d, bias: 3 * D * d + h * d * D + (3 * d + D if bias else 0)),
            "W_Q, W_K and W_V were counted for one head only.",
            "Each of them holds the columns of all heads: (D, h·d).",
        ),
        Misconception(
            "parameters_projections_square",
            _counted(lambda D, h, kv, d, bias: 4 * D * D + (4 * D if bias else 0)),
            "Four matrices D × D were counted, whatever h_kv and d are.",
            "W_Q is (D, h·d), W_K and W_V are (D, h_kv·d), W_O is (h·d, D).",
        ),
        Misconception(
            "parameters_kv_heads_ignored",
            _counted(lambda D, h, kv, d, bias: _right_count(D, h, h, d, bias)),
            "W_K and W_V were counted for h heads; there are only h_kv of them.",
            "W_K and W_V have h_kv·d columns each.",
        ),
        Misconception(
            "parameters_only_keys_shared",
            _counted(
                lambda D, h, kv, d, bias: (
                    D * d * (3 * h + kv) + (d * (2 * h + kv) + D if bias else 0)
                )
            ),
            "Only one of W_K and W_V was counted with h_kv heads.",
            "Both have h_kv·d columns.",
        ),
        Misconception(
            "parameters_all_by_kv_heads",
            _counted(lambda D, h, kv, d, bias: _right_count(D, kv, kv, d, bias)),
            "All four matrices were counted with h_kv heads.",
            "Queries and W_O keep h heads; only keys and values have h_kv.",
        ),
        Misconception(
            "parameters_kv_heads_as_group_size",
            _counted(lambda D, h, kv, d, bias: _right_count(D, h, h // kv, d, bias)),
            "num_kv_heads was read as the number of query heads that share one; it is the number of key "
            "and value heads.",
            "W_K and W_V have num_kv_heads · d columns.",
        ),
        Misconception(
            "parameters_fewer_but_wider_kv_heads",
            _counted(_kv_width_from_tokens),
            "The width of a key head was computed as D / h_kv, which makes fewer heads wider and saves "
            "nothing.",
            "All heads are d wide, keys and values as well: a query and a key must have the same width.",
        ),
        Misconception(
            "parameters_head_dim_ignored",
            _head_dim_ignored,
            "d was computed as D / h although head_dim was given.",
            "Use head_dim when it is not None.",
        ),
        Misconception(
            "parameters_bias_ignored",
            _counted(lambda D, h, kv, d, bias: _right_count(D, h, kv, d, False)),
            "The biases were not counted.",
            "With bias=True, each projection has one number for each of its output columns.",
        ),
        Misconception(
            "parameters_bias_all_d_model",
            _counted(
                lambda D, h, kv, d, bias: _right_count(D, h, kv, d, False) + (4 * D if bias else 0)
            ),
            "Every bias was counted as D wide.",
            "A bias is as wide as its projection's output: h·d for queries, h_kv·d for keys and values, "
            "D after W_O.",
        ),
        Misconception(
            "parameters_bias_without_w_o",
            _counted(
                lambda D, h, kv, d, bias: (
                    _right_count(D, h, kv, d, False) + (d * (h + 2 * kv) if bias else 0)
                )
            ),
            "W_O's bias was left out.",
            "Here bias=True means all four projections: W_O's bias is D wide.",
        ),
        Misconception(
            "parameters_of_the_block",
            _counted(lambda D, h, kv, d, bias: _right_count(D, h, kv, d, bias) + 8 * D * D),
            "The feed-forward network of the block was counted too.",
            "Only the attention layer: W_Q, W_K, W_V, W_O.",
        ),
        Misconception(
            "parameters_unchecked",
            _parameters_unchecked,
            "Sizes that do not fit together were rounded down or let through.",
            "Check num_heads % num_kv_heads, and d_model % num_heads when head_dim is None; raise a "
            "ValueError that names both numbers.",
        ),
    ),
    equivalents={
        "sum over matrices": _counted(_from_shapes),
        "head by head": _counted(_head_by_head),
    },
)

# --------------------------------------------------------------------------- count_attention_flops


def _operations(projections=8, look_ups=4, heads=False, batch=True, tokens=2, less=0):
    """A count with other factors than the right ones."""

    @_unless_divided
    def count(B, T, D, h):
        each = projections * T * D * D + look_ups * T**tokens * D * (h if heads else 1)
        return each * (B if batch else 1) - less * B * T * D

    return count


@_unless_divided
def _one_operation_less(B, T, D, h):
    """Adding n terms takes n - 1 additions: exact, and not what is counted here."""
    d = D // h
    return B * (4 * T * D * (2 * D - 1) + h * T * T * (2 * d - 1) + h * T * d * (2 * T - 1))


@_unless_divided
def _count_by_running(B, T, D, h):
    x = torch.zeros(B, T, D, device="meta")
    w = torch.zeros(D, D, device="meta")
    with FlopCounterMode(display=False) as counter:
        q, k, v = (split(x @ w, h) for _ in range(3))
        ((q @ k.mT) @ v).transpose(1, 2).reshape(B, T, D) @ w
    return counter.get_total_flops()


@_unless_divided
def _count_factored(B, T, D, h):
    return 4 * B * T * D * (2 * D + T)


count_attention_flops = Exercise(
    name="sizing.count_attention_flops",
    points=2,
    reference=reference.count_attention_flops,
    returns=("the number of operations",),
    cases=(
        # h sequences: a batch of 2 would not tell a forgotten batch from a forgotten factor of 2.
        Case("one head", lambda r: _sizes(r, batch=r.h, num_heads=1)),
        Case("one token", lambda r: _sizes(r, num_tokens=1)),
        Case("several heads", _sizes),
        Case("12 heads of 64", lambda r: _sizes(r, d_model=768, num_heads=12)),
        Case("a long text", lambda r: _sizes(r, num_tokens=1000 * r.T)),
        Case(
            "a width that h does not divide",
            _indivisible,
            kind="raises",
            promise=0.1,
            mentions=_names_heads_and_width,
        ),
    ),
    misconceptions=(
        Misconception(
            "flops_grow_with_heads",
            _operations(heads=True),
            "The look-ups were counted as if every head were D wide: the count grows with h.",
            "Each of the h heads multiplies vectors of width d = D / h, and h·d = D.",
        ),
        Misconception(
            "flops_all_times_heads",
            _unless_divided(lambda B, T, D, h: h * 4 * B * T * D * (2 * D + T)),
            "Everything was counted once for every head.",
            "The projections make all heads at once, and h heads of width d = D / h share the look-up.",
        ),
        Misconception(
            "flops_of_one_head",
            _unless_divided(lambda B, T, D, h: B * (8 * T * D * D + 4 * T * T * (D // h))),
            "The look-up of one head was counted.",
            "All h heads do one.",
        ),
        Misconception(
            "flops_multiply_add_as_one",
            _operations(4, 2),
            "A multiplication and the addition after it were counted as one operation.",
            "Count both: a product of (m, n) and (n, p) is 2·m·n·p.",
        ),
        Misconception(
            "flops_without_look_up",
            _operations(look_ups=0),
            "Only the projections were counted.",
            "The scores and the weighted sums of the values are matrix products, too.",
        ),
        Misconception(
            "flops_without_projections",
            _operations(projections=0),
            "Only the look-ups were counted.",
            "Four projections come on top: W_Q, W_K, W_V and W_O.",
        ),
        Misconception(
            "flops_scores_only",
            _operations(look_ups=2),
            "Of the look-up, only one matrix product was counted.",
            "There are two: q @ k^T, then weights @ v.",
        ),
        Misconception(
            "flops_without_w_o",
            _operations(projections=6),
            "Three projections were counted: W_O is missing.",
            "Four projections: W_Q, W_K, W_V and W_O.",
        ),
        Misconception(
            "flops_without_batch",
            _operations(batch=False),
            "One sequence was counted; the batch was forgotten.",
            "Everything happens once for each of the B sequences.",
        ),
        Misconception(
            "flops_linear_in_tokens",
            _operations(tokens=1),
            "The look-up was counted with T instead of T².",
            "Every token is compared with every token.",
        ),
        Misconception(
            "flops_causal_half",
            _operations(look_ups=2, less=-2),
            "Only scores that a causal mask leaves were counted, T·(T+1)/2 of them.",
            "There is no mask here, and a masked score is computed, too.",
        ),
        Misconception(
            "flops_one_addition_less",
            _one_operation_less,
            "n products were counted with n - 1 additions. That is exact; by convention an operation "
            "each is counted for multiplying and for adding.",
            "A product of (m, n) and (n, p) counts as 2·m·n·p.",
        ),
        Misconception(
            "flops_width_unchecked",
            lambda B, T, D, h: 4 * B * T * D * (2 * D + T),
            "A width that h does not divide went through.",
            "The count does not depend on h, but the promise does: check d_model % num_heads first and "
            "raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "PyTorch's counter": _count_by_running,
        "factored": _count_factored,
    },
)

EXERCISES = (shape_trail, unpack_qkv, count_attention_parameters, count_attention_flops)
