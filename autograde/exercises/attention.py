"""Exercises of notebook 01: softmax, masks, scaled dot-product attention."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from solutions import attention as reference

from .entry import Case, Exercise, Misconception

# ---------------------------------------------------------------------------------------- softmax


def _softmax_overflowing(scores, dim=-1):
    exps = torch.exp(scores)
    return exps / exps.sum(dim=dim, keepdim=True)


def _softmax_last_dim(scores, dim=-1):
    return reference.softmax(scores, -1)


def _softmax_first_dim(scores, dim=-1):
    return reference.softmax(scores, 0)


def _softmax_over_everything(scores, dim=-1):
    exps = torch.exp(scores - scores.max())
    return exps / exps.sum()


def _softmax_global_max(scores, dim=-1):
    exps = torch.exp(scores - scores.max())
    return exps / exps.sum(dim=dim, keepdim=True)


def _softmax_minus_mean(scores, dim=-1):
    exps = torch.exp(scores - scores.mean(dim=dim, keepdim=True))
    return exps / exps.sum(dim=dim, keepdim=True)


def _softmax_not_normalised(scores, dim=-1):
    return torch.exp(scores - scores.amax(dim=dim, keepdim=True))


def _softmax_without_exp(scores, dim=-1):
    return scores / scores.sum(dim=dim, keepdim=True)


def _softmax_log(scores, dim=-1):
    return torch.log_softmax(scores, dim)


def _softmax_sigmoid(scores, dim=-1):
    return torch.sigmoid(scores)


def _softmax_max_after_exp(scores, dim=-1):
    exps = torch.exp(scores)
    return exps / exps.amax(dim=dim, keepdim=True)


def _softmax_negative(scores, dim=-1):
    return reference.softmax(-scores, dim)


def _softmax_without_keepdim(scores, dim=-1):
    exps = torch.exp(scores - scores.amax(dim=dim, keepdim=True))
    return exps / exps.sum(dim=dim)


def _softmax_in_place(scores, dim=-1):
    scores -= scores.amax(dim=dim, keepdim=True)
    return reference.softmax(scores, dim)


def _softmax_numpy(scores, dim=-1):
    array = scores.numpy()
    exps = np.exp(array - array.max(axis=dim, keepdims=True))
    return exps / exps.sum(axis=dim, keepdims=True)


def _softmax_through_log(scores, dim=-1):
    return torch.exp(scores - torch.logsumexp(scores, dim=dim, keepdim=True))


def _softmax_row_by_row(scores, dim=-1):
    rows = scores.movedim(dim, -1)
    flat = [
        torch.exp(r - max(r)) / sum(torch.exp(r - max(r))) for r in rows.reshape(-1, rows.shape[-1])
    ]
    return torch.stack(flat).reshape(rows.shape).movedim(-1, dim)


softmax = Exercise(
    name="attention.softmax",
    points=2,
    reference=reference.softmax,
    returns=("the weights",),
    library_calls=("softmax", "logsumexp"),
    cases=(
        Case("one row of scores", lambda r: {"scores": r.normal(r.T)}),
        Case("a batch of rows, last dimension", lambda r: {"scores": r.normal(r.B, r.T, r.T_k)}),
        Case("another dimension", lambda r: {"scores": r.normal(r.B, r.T, r.T_k), "dim": 1}),
        Case(
            "scores up to ±10,000, rows far apart",
            lambda r: {"scores": _far_apart(r)},
            promise=0.2,
            tolerance=5e-3,  # at 10,000 float32 is 0.001 apart, and exp carries that over
        ),
        Case(
            "scores 18,000 apart in one row",
            lambda r: {"scores": _wide_apart(r)},
            promise=0.15,
            tolerance=5e-3,
        ),
        Case(
            "the scores are left as they were",
            lambda r: {"scores": r.normal(r.B, r.T)},
            kind="unchanged",
            promise=0.1,
        ),
    ),
    misconceptions=(
        Misconception(
            "softmax_overflows",
            _softmax_overflowing,
            "exp was taken of the raw scores: beyond about 88 it overflows float32, and inf/inf is NaN.",
            "A constant added to a whole row cancels. Which constant makes the largest exponent 0?",
        ),
        Misconception(
            "softmax_global_max",
            _softmax_global_max,
            "One largest score was subtracted from all rows: a row far below it underflows to 0/0.",
            "Each row needs its own largest score: take the maximum along dim only.",
        ),
        Misconception(
            "softmax_subtracts_mean",
            _softmax_minus_mean,
            "The mean was subtracted: the largest exponential can still overflow.",
            "Which constant makes sure that no exponential is larger than 1?",
        ),
        Misconception(
            "softmax_ignores_dim",
            _softmax_last_dim,
            "The weights sum to 1 along the last dimension whatever dim says.",
            "Pass dim on to every reduction.",
        ),
        Misconception(
            "softmax_over_first_dim",
            _softmax_first_dim,
            "The weights sum to 1 along dimension 0.",
            "Reduce along dim, which is -1 unless the caller says otherwise.",
        ),
        Misconception(
            "softmax_over_everything",
            _softmax_over_everything,
            "The whole tensor sums to 1 instead of each row.",
            "Give sum a dim, and keep that dimension so that the division broadcasts.",
        ),
        Misconception(
            "softmax_not_normalised",
            _softmax_not_normalised,
            "The exponentials were not divided by their sum.",
            "Weights sum to 1: what are they divided by?",
        ),
        Misconception(
            "softmax_divides_by_max",
            _softmax_max_after_exp,
            "The exponentials were divided by the largest instead of by their sum.",
            "Subtracting the maximum is for safety; the normaliser is the sum.",
        ),
        Misconception(
            "softmax_without_exp",
            _softmax_without_exp,
            "The scores were normalised without taking exp first, so weights can be negative.",
            "exp comes first: it makes every score positive.",
        ),
        Misconception(
            "softmax_log",
            _softmax_log,
            "These are the logarithms of the weights.",
            "Leave the logarithm out: weights lie between 0 and 1.",
        ),
        Misconception(
            "softmax_sigmoid",
            _softmax_sigmoid,
            "Each score went through a sigmoid on its own; scores of a row don't compete.",
            "The weights of a row share one sum.",
        ),
        Misconception(
            "softmax_sign",
            _softmax_negative,
            "The sign of the scores is turned: the lowest score gets the largest weight.",
            "exp(score), not exp(-score).",
        ),
        Misconception(
            "softmax_without_keepdim",
            _softmax_without_keepdim,
            "The maximum or the sum lost its dimension, so the wrong axes line up.",
            "keepdim=True keeps the reduced dimension with length 1.",
        ),
        Misconception(
            "softmax_in_place",
            _softmax_in_place,
            "The caller's scores were overwritten.",
            "Write a = a - b instead of a -= b: the first makes a new tensor.",
        ),
    ),
    equivalents={
        "torch": lambda scores, dim=-1: torch.softmax(scores, dim),
        "functional": lambda scores, dim=-1: F.softmax(scores, dim=dim),
        "numpy": _softmax_numpy,
        "through the logarithm": _softmax_through_log,
        "row by row": _softmax_row_by_row,
        "in float64": lambda scores, dim=-1: torch.softmax(scores.double(), dim),
    },
)


def _wide_apart(r):
    scores = r.normal(r.B, r.T, std=3.0)
    scores[:, 0] += 9_000
    scores[:, 1] -= 9_000
    return scores


def _far_apart(r):
    scores = r.normal(r.B, r.T, std=3.0)
    scores[0] -= 10_000
    scores[1] += 9_900
    return scores


# ------------------------------------------------------------------------------------ causal_mask

causal_mask = Exercise(
    name="attention.causal_mask",
    points=1,
    reference=reference.causal_mask,
    returns=("the mask",),
    cases=(
        Case("one token", lambda r: {"num_tokens": 1}),
        Case("several tokens", lambda r: {"num_tokens": r.T}),
        Case(
            "a negative number of tokens",
            lambda r: {"num_tokens": -r.T},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["num_tokens"],),
        ),
    ),
    misconceptions=(
        Misconception(
            "causal_mask_reversed",
            lambda n: torch.ones(n, n).triu().bool(),
            "The mask lets tokens see the future and hides the past.",
            "True means “may attend”: query i (row) may see key j (column) when j <= i.",
        ),
        Misconception(
            "causal_mask_blocked",
            lambda n: torch.ones(n, n).triu(1).bool(),
            "True marks the entries to hide; here True means “may attend”.",
            "Turn the mask round. nn.MultiheadAttention uses the opposite meaning, which is why it is seen.",
        ),
        Misconception(
            "causal_mask_excludes_self",
            lambda n: torch.ones(n, n).tril(-1).bool(),
            "A token may not see itself, so the first row is empty.",
            "The diagonal belongs to the mask: j <= i, not j < i.",
        ),
        Misconception(
            "causal_mask_leaks",
            lambda n: torch.ones(n, n).tril(1).bool(),
            "Each token may see the next one: the diagonal is off by one, and the answer leaks.",
            "Keep j <= i and nothing above the diagonal.",
        ),
        Misconception(
            "causal_mask_all_true",
            lambda n: torch.ones(n, n).bool(),
            "Everybody may see everybody.",
            "Leave only the lower triangle True.",
        ),
        Misconception(
            "causal_mask_diagonal",
            lambda n: torch.eye(n).bool(),
            "Each token may only see itself.",
            "All earlier tokens may be seen too.",
        ),
        Misconception(
            "causal_mask_additive",
            lambda n: torch.zeros(n, n).masked_fill(torch.ones(n, n).triu(1).bool(), -math.inf),
            "This is a mask to add to the scores (0 and -inf); here a mask is boolean.",
            "Return a boolean tensor, True where a token may attend.",
        ),
        Misconception(
            "causal_mask_of_numbers",
            lambda n: torch.ones(n, n).tril(),
            "The mask holds the numbers 1 and 0; PyTorch would add them to the scores.",
            "Ask for a boolean tensor (dtype=torch.bool, or compare positions).",
        ),
        Misconception(
            "causal_mask_extra_dimensions",
            lambda n: torch.ones(1, 1, n, n).tril().bool(),
            "The mask has leading dimensions of length 1; (T, T) was promised.",
            "Broadcasting adds leading dimensions by itself.",
        ),
        Misconception(
            "causal_mask_negative_empty",
            lambda n: torch.ones(max(n, 0), max(n, 0)).tril().bool(),
            "A negative length passed silently as an empty mask.",
            "Check the argument first and raise a ValueError that names it.",
        ),
    ),
    equivalents={
        "tril": lambda n: torch.ones(_not_negative(n), n, dtype=torch.bool).tril(),
        "numpy": lambda n: np.tril(np.ones((_not_negative(n), n), dtype=bool)),
        "lists": lambda n: torch.tensor(
            [[j <= i for j in range(n)] for i in range(_not_negative(n))]
        ),
        "not triu": lambda n: ~torch.ones(_not_negative(n), n, dtype=torch.bool).triu(1),
    },
)


def _not_negative(n):
    if n < 0:
        raise ValueError(f"num_tokens must not be negative, got {n}")
    return n


# ----------------------------------------------------------------------------------- padding_mask


def _lengths(r):
    """Distinct lengths, all below T, none of them twice."""
    return sorted(int(n) for n in r.rng.choice(range(1, r.T - 1), size=r.B, replace=False))


def _keys(lengths, n, keep=lambda position, length: position < length):
    return keep(torch.arange(n), torch.as_tensor(lengths).long()[:, None])


def _checked(lengths, n):
    for length in torch.as_tensor(lengths).tolist():
        if length < 0 or length > n:
            raise ValueError(f"length {length} does not lie in 0 … {n}")
    return torch.as_tensor(lengths).long()


def _padding_by_loop(lengths, n):
    mask = torch.zeros(len(lengths), 1, 1, n, dtype=torch.bool)
    for b, length in enumerate(_checked(lengths, n).tolist()):
        mask[b, :, :, :length] = True
    return mask


padding_mask = Exercise(
    name="attention.padding_mask",
    points=1,
    reference=reference.padding_mask,
    returns=("the mask",),
    cases=(
        Case(
            "one sequence that fills its row",
            lambda r: {"lengths": [r.T], "num_tokens": r.T},
        ),
        Case(
            "several lengths, all shorter than T",
            lambda r: {"lengths": _lengths(r), "num_tokens": r.T},
        ),
        Case(
            "lengths in a tensor",
            lambda r: {"lengths": torch.tensor(_lengths(r)), "num_tokens": r.T},
        ),
        Case(
            "an empty sequence",
            lambda r: {"lengths": [0, *_lengths(r)], "num_tokens": r.T},
        ),
        Case(
            "a length beyond T",
            lambda r: {"lengths": [1, r.T + 2], "num_tokens": r.T},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["lengths"][1],),
        ),
        Case(
            "a negative length",
            lambda r: {"lengths": [1, -3], "num_tokens": r.T},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (-3,),
        ),
    ),
    misconceptions=(
        Misconception(
            "padding_mask_inverted",
            lambda lengths, n: ~_keys(lengths, n)[:, None, None, :],
            "True marks the padding; here True means “may attend”.",
            "A key may be attended when its position lies before the sequence's end.",
        ),
        Misconception(
            "padding_mask_one_too_many",
            lambda lengths, n: _keys(lengths, n, lambda p, length: p <= length)[:, None, None, :],
            "One padding token too many can be seen: the comparison includes the length itself.",
            "Positions count from 0: the last real token is at length - 1.",
        ),
        Misconception(
            "padding_mask_one_too_few",
            lambda lengths, n: _keys(lengths, n, lambda p, length: p < length - 1)[
                :, None, None, :
            ],
            "The last real token is hidden.",
            "Positions 0 … length - 1 are real: that is position < length.",
        ),
        Misconception(
            "padding_mask_on_queries",
            lambda lengths, n: _keys(lengths, n)[:, None, :, None],
            "The mask lies along the queries (B, 1, T, 1), so every query still sees the padding.",
            "The keys are the last axis of the scores: (B, 1, 1, T).",
        ),
        Misconception(
            "padding_mask_without_head_axis",
            lambda lengths, n: _keys(lengths, n),
            "The mask is (B, T); against scores (B, h, T, T) its B would line up with the queries.",
            "Add two axes of length 1 between B and T: one for heads, one for queries.",
        ),
        Misconception(
            "padding_mask_on_the_left",
            lambda lengths, n: _keys(lengths, n).flip(-1)[:, None, None, :],
            "The mask hides the beginning: the padding lies at the end of each sequence.",
            "Keep the first `length` positions.",
        ),
        Misconception(
            "padding_mask_of_numbers",
            lambda lengths, n: _keys(lengths, n)[:, None, None, :].float(),
            "The mask holds 1 and 0 as numbers; PyTorch would add them to the scores.",
            "Return the comparison itself: it is boolean.",
        ),
        Misconception(
            "padding_mask_longest_sequence",
            lambda lengths, n: _keys(lengths, int(max(lengths)))[:, None, None, :],
            "The mask is only as long as the longest sequence, not T.",
            "Use num_tokens for the last axis, even if no sequence fills it.",
        ),
        Misconception(
            "padding_mask_full_square",
            lambda lengths, n: _keys(lengths, n)[:, None, None, :].expand(-1, 1, n, -1),
            "The mask is (B, 1, T, T); (B, 1, 1, T) is enough, and it also fits T_q ≠ T_k.",
            "Leave the query axis at length 1 and let broadcasting repeat it.",
        ),
        Misconception(
            "padding_mask_also_queries",
            lambda lengths, n: (
                _keys(lengths, n)[:, None, None, :] & _keys(lengths, n)[:, None, :, None]
            ),
            "Padding queries were blocked too, which leaves them with nothing to look at.",
            "Hide keys only; what a padding query returns is thrown away anyway.",
        ),
        Misconception(
            "padding_mask_unchecked",
            lambda lengths, n: _keys(lengths, n)[:, None, None, :],
            "An impossible length passed silently.",
            "Check that each length lies in 0 … T and raise a ValueError that names it.",
        ),
    ),
    equivalents={
        "loop": _padding_by_loop,
        "numpy": lambda lengths, n: (np.arange(n) < _checked(lengths, n).numpy()[:, None])[
            :, None, None
        ],
        "repeat": lambda lengths, n: (
            torch.arange(n).repeat(len(lengths), 1) < _checked(lengths, n).unsqueeze(1)
        ).view(len(lengths), 1, 1, n),
    },
)

# ------------------------------------------------------------------- scaled_dot_product_attention


def _sdpa(
    q, k, v, mask=None, *, scale=None, fill=-math.inf, dim=-1, after=None, blocked_rows="zero"
):
    """Attention with one step done differently, as the arguments say."""
    scores = q @ k.transpose(-2, -1) / (q.shape[-1] ** 0.5 if scale is None else scale)
    if mask is not None and fill is not None:
        scores = scores.masked_fill(~mask, fill)
    weights = torch.softmax(scores, dim)
    if after is not None:
        weights = after(weights, mask)
    if mask is not None and blocked_rows == "zero":
        weights = torch.where(mask.any(-1, keepdim=True), weights, torch.zeros_like(weights))
    return weights @ v, weights


def _scaled_after_softmax(q, k, v, mask=None):
    root = q.shape[-1] ** 0.5
    return _sdpa(q, k, v, mask, scale=1.0, after=lambda weights, mask: weights / root)


def _masked_after_softmax(q, k, v, mask=None):
    return _sdpa(q, k, v, mask, fill=None, after=lambda w, m: w if m is None else w * m)


def _mask_inverted(q, k, v, mask=None):
    return _sdpa(q, k, v, None if mask is None else ~mask)


def _mask_added(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    weights = torch.softmax(scores if mask is None else scores + mask, -1)
    return weights @ v, weights


def _mask_multiplied(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    weights = torch.softmax(scores if mask is None else scores * mask, -1)
    return weights @ v, weights


def _keys_returned(q, k, v, mask=None):
    _, weights = _sdpa(q, k, v, mask)
    return weights @ k, weights


def _scores_returned(q, k, v, mask=None):
    out, _ = _sdpa(q, k, v, mask)
    return out, q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5


def _swapped_outputs(q, k, v, mask=None):
    out, weights = _sdpa(q, k, v, mask)
    return weights, out


def _only_output(q, k, v, mask=None):
    return _sdpa(q, k, v, mask)[0]


def _no_softmax(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, 0.0)
    return scores @ v, scores


def _untransposed_keys(q, k, v, mask=None):
    return _sdpa(q, k.transpose(0, 1).transpose(-2, -1), v, mask)


def _q_scaled_in_place(q, k, v, mask=None):
    q /= q.shape[-1] ** 0.5
    return _sdpa(q, k, v, mask, scale=1.0)


def _unchecked_widths(q, k, v, mask=None):
    width = min(q.shape[-1], k.shape[-1])
    keys = min(k.shape[-2], v.shape[-2])
    return _sdpa(q[..., :width], k[..., :keys, :width], v[..., :keys, :], mask)


def _fused(q, k, v, mask=None):
    _check_shapes(q, k, v, mask)
    _, weights = _sdpa(q, k, v, mask)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask), weights


def _check_shapes(q, k, v, mask):
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(f"q {q.shape}, k {k.shape} and v {v.shape} do not fit")
    scores = (*torch.broadcast_shapes(q.shape[:-2], k.shape[:-2]), q.shape[-2], k.shape[-2])
    if mask is not None:
        try:
            mask.expand(scores)
        except RuntimeError as error:
            raise ValueError(f"mask {mask.shape} against scores {scores}") from error


def _checked_sdpa(**how):
    def attention(q, k, v, mask=None):
        _check_shapes(q, k, v, mask)
        return _sdpa(q, k, v, mask, **how)

    return attention


def _scale_first(q, k, v, mask=None):
    _check_shapes(q, k, v, mask)
    root = q.shape[-1] ** 0.25
    return _sdpa(q / root, k / root, v, mask, scale=1.0)


def _renormalised(q, k, v, mask=None):
    _check_shapes(q, k, v, mask)
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    exps = torch.exp(scores) if mask is None else torch.exp(scores) * mask
    weights = exps / exps.sum(-1, keepdim=True).clamp_min(1e-30)
    return weights @ v, weights


def _nan_to_num(q, k, v, mask=None):
    _check_shapes(q, k, v, mask)
    _, weights = _sdpa(q, k, v, mask, blocked_rows="nan")
    weights = torch.nan_to_num(weights)
    return weights @ v, weights


def _additive(q, k, v, mask=None):
    _check_shapes(q, k, v, mask)
    scores = torch.einsum("...qd,...kd->...qk", q, k) / math.sqrt(q.shape[-1])
    if mask is None:
        mask = torch.ones_like(scores, dtype=torch.bool)
    bias = torch.zeros(mask.shape).masked_fill(~mask, -1e9)
    weights = torch.softmax(scores + bias + 3.0, -1) * mask.any(-1, keepdim=True)
    return torch.einsum("...qk,...kv->...qv", weights, v), weights


def _numpy_attention(q, k, v, mask=None):
    _check_shapes(q, k, v, mask)
    q, k, v = q.numpy(), k.numpy(), v.numpy()
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    allowed = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask, scores.shape)
    exps = np.where(allowed, np.exp(scores), 0)
    weights = exps / np.maximum(exps.sum(-1, keepdims=True), 1e-30)
    return weights @ v, weights


def _query_by_query(q, k, v, mask=None):
    _check_shapes(q, k, v, mask)
    rows = [
        _sdpa(q[..., i : i + 1, :], k, v, None if mask is None else _query_row(mask, i))
        for i in range(q.shape[-2])
    ]
    return torch.cat([out for out, _ in rows], -2), torch.cat([w for _, w in rows], -2)


def _query_row(mask, i):
    return mask if mask.shape[-2] == 1 else mask[..., i : i + 1, :]


def _qkv(r, *leading, mask=None):
    args = {
        "q": r.normal(*leading, r.T, r.d),
        "k": r.normal(*leading, r.T_k, r.d),
        "v": r.normal(*leading, r.T_k, r.d_v),
    }
    return args if mask is None else {**args, "mask": mask}


def _blocked_row(r):
    mask = r.mask(r.T, r.T_k)
    mask[r.T // 2] = False
    return _qkv(r, r.B, r.h, mask=mask)


scaled_dot_product_attention = Exercise(
    name="attention.scaled_dot_product_attention",
    points=4,
    reference=reference.scaled_dot_product_attention,
    returns=("out", "weights"),
    library_calls=("scaled_dot_product_attention", "MultiheadAttention"),
    cases=(
        Case(
            "one key: its value is the answer",
            lambda r: {
                "q": r.normal(r.T, r.d),
                "k": r.normal(1, r.d),
                "v": r.normal(1, r.d_v),
            },
        ),
        Case("one sequence, no mask", lambda r: _qkv(r)),
        Case("batch and heads, no mask", lambda r: _qkv(r, r.B, r.h)),
        Case(
            "a mask for all heads",
            lambda r: _qkv(r, r.B, r.h, mask=r.mask(r.T, r.T_k)),
        ),
        Case(
            "a padding mask (B, 1, 1, T_k)",
            lambda r: _qkv(r, r.B, r.h, mask=r.mask(r.B, 1, 1, r.T_k)),
        ),
        Case(
            "a mask of its own for each head",
            lambda r: _qkv(r, r.B, r.h, mask=r.mask(r.B, r.h, r.T, r.T_k)),
        ),
        Case("a query that may attend to nothing", _blocked_row, promise=0.1),
        Case(
            "q and k of different widths",
            lambda r: {**_qkv(r), "k": r.normal(r.T_k, r.d + 1)},
            kind="raises",
            promise=0.05,
            mentions=lambda args: (args["q"].shape[-1], args["k"].shape[-1]),
        ),
        Case(
            "a mask that does not fit the scores",
            lambda r: _qkv(r, mask=r.mask(r.T, r.T_k + 1)),
            kind="raises",
            promise=0.05,
        ),
        Case(
            "the inputs are left as they were",
            lambda r: _qkv(r, r.B, r.h, mask=r.mask(r.T, r.T_k)),
            kind="unchanged",
            promise=0.05,
        ),
    ),
    misconceptions=(
        Misconception(
            "attention_not_scaled",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, scale=1.0),
            "The scores were not divided by sqrt(d).",
            "Divide by the square root of the width of q and k before the softmax.",
        ),
        Misconception(
            "attention_scaled_by_d",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, scale=q.shape[-1]),
            "The scores were divided by d instead of sqrt(d).",
            "The variance of q·k grows like d, so its standard deviation grows like sqrt(d).",
        ),
        Misconception(
            "attention_scaled_up",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, scale=q.shape[-1] ** -0.5),
            "The scores were multiplied by sqrt(d) instead of divided.",
            "The scale should bring the spread of the scores back to about 1.",
        ),
        Misconception(
            "attention_scaled_by_value_width",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, scale=v.shape[-1] ** 0.5),
            "The scale was taken from the width of v.",
            "d is the width of q and k; the values have no part in the scores.",
        ),
        Misconception(
            "attention_scaled_by_length",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, scale=k.shape[-2] ** 0.5),
            "The scale was taken from the number of keys.",
            "d is the width of a query: the last dimension of q.",
        ),
        Misconception(
            "attention_scaled_after_softmax",
            _scaled_after_softmax,
            "The weights were divided by sqrt(d) after the softmax, so rows no longer sum to 1.",
            "Scale the scores, then take the softmax.",
        ),
        Misconception(
            "attention_softmax_over_queries",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, dim=-2),
            "The softmax ran over the queries: columns sum to 1 instead of rows.",
            "Each query shares its weights out among the keys: the last dimension.",
        ),
        Misconception(
            "attention_softmax_over_dim_1",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, dim=1),
            "The softmax ran over dimension 1, which is the heads as soon as there are any.",
            "Count from the end: the keys are dimension -1 whatever comes before.",
        ),
        Misconception(
            "attention_softmax_over_first_dim",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, dim=0),
            "The softmax ran over dimension 0.",
            "Count from the end: the keys are dimension -1 whatever comes before.",
        ),
        Misconception(
            "attention_no_softmax",
            _no_softmax,
            "The scores were used as weights without a softmax.",
            "Scores become weights by the softmax over the keys.",
        ),
        Misconception(
            "attention_mask_ignored",
            lambda q, k, v, mask=None: _sdpa(q, k, v),
            "The mask had no effect: blocked keys keep their weight. (masked_fill returns a new tensor; "
            "the scores themselves stay as they are.)",
            "Assign what masked_fill returns, before the softmax.",
        ),
        Misconception(
            "attention_mask_inverted",
            _mask_inverted,
            "The mask works the wrong way round: what may be attended was blocked.",
            "True means “may attend”: fill where the mask is False.",
        ),
        Misconception(
            "attention_masked_after_softmax",
            _masked_after_softmax,
            "The mask was applied after the softmax and the rows no longer sum to 1.",
            "Block the scores before the softmax, so that the rest shares the whole weight.",
        ),
        Misconception(
            "attention_mask_multiplied",
            _mask_multiplied,
            "Blocked scores were set to 0, and exp(0) = 1 is a weight like any other.",
            "A blocked score must be so low that its exponential vanishes.",
        ),
        Misconception(
            "attention_mask_tiny_fill",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, fill=1e-9),
            "Blocked scores were filled with 1e-9, which is almost 0: they keep a weight.",
            "A large negative number: -1e9, not 1e-9.",
        ),
        Misconception(
            "attention_mask_added",
            _mask_added,
            "The boolean mask was added to the scores: it raised the allowed ones by 1.",
            "Turn the mask into a fill: very low where it is False.",
        ),
        Misconception(
            "attention_mask_weak_fill",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, fill=-10.0),
            "Blocked scores were filled with -10, which leaves them a weight of some 1e-5.",
            "Go lower: -inf, or the lowest number of the dtype.",
        ),
        Misconception(
            "attention_blocked_row_nan",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, blocked_rows="nan"),
            "A query that may attend to nothing gets NaN: the softmax of a row of -inf is 0/0.",
            "Such a row gets zero weights: set blocked weights to 0 after the softmax.",
        ),
        Misconception(
            "attention_blocked_row_uniform",
            lambda q, k, v, mask=None: _sdpa(q, k, v, mask, fill=-1e9, blocked_rows="keep"),
            "A query that may attend to nothing attends to everything equally.",
            "Such a row gets zero weights: set blocked weights to 0 after the softmax.",
        ),
        Misconception(
            "attention_returns_keys",
            _keys_returned,
            "The keys were averaged instead of the values.",
            "Keys are for matching; what is returned is the blend of the values.",
        ),
        Misconception(
            "attention_returns_scores",
            _scores_returned,
            "The second result holds the scores; the weights were asked for.",
            "Return what came out of the softmax.",
        ),
        Misconception(
            "attention_results_swapped",
            _swapped_outputs,
            "The two results are in the wrong order.",
            "Return (out, weights).",
        ),
        Misconception(
            "attention_one_result",
            _only_output,
            "Only the output came back.",
            "Return (out, weights).",
        ),
        Misconception(
            "attention_wrong_transpose",
            _untransposed_keys,
            "transpose(0, 1) swaps the first two dimensions: that is right for a matrix only.",
            "Swap the last two: k.transpose(-2, -1).",
        ),
        Misconception(
            "attention_in_place",
            _q_scaled_in_place,
            "The caller's q was overwritten (q /= …).",
            "Make a new tensor: q = q / ….",
        ),
        Misconception(
            "attention_shapes_unchecked",
            _unchecked_widths,
            "Inputs that do not fit were cut to size silently.",
            "Compare the widths first and raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "PyTorch's fused attention": _fused,
        "fill -inf": _checked_sdpa(),
        "fill -1e9": _checked_sdpa(fill=-1e9),
        "fill -1e4": _checked_sdpa(fill=-1e4),
        "fill finfo.min": _checked_sdpa(fill=torch.finfo(torch.float32).min),
        "scale q and k first": _scale_first,
        "mask after exp, renormalised": _renormalised,
        "nan_to_num": _nan_to_num,
        "additive mask off by a constant, einsum": _additive,
        "numpy": _numpy_attention,
        "query by query": _query_by_query,
    },
)

EXERCISES = (softmax, causal_mask, padding_mask, scaled_dot_product_attention)
