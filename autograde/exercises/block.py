"""Exercises of notebook 12: layer norm, feed-forward network, and the transformer block."""

import math
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from solutions import block as reference
from solutions.attention import scaled_dot_product_attention
from solutions.block import feed_forward as feed
from solutions.block import layer_norm as norm
from solutions.block import transformer_block as block
from solutions.heads import merge_heads, split_heads

from .entry import Case, Exercise, Misconception

# ------------------------------------------------------------------------------------- layer_norm


def _refuse_vectors(x, weight, bias):
    if weight.shape != x.shape[-1:] or bias.shape != x.shape[-1:]:
        raise ValueError(f"{list(weight.shape)}, {list(bias.shape)} for a width of {x.shape[-1]}")


def _normalising(formula):
    """A version that keeps the promise about widths, so that its formula stands alone."""

    def guarded(x, weight, bias, eps=1e-5):
        _refuse_vectors(x, weight, bias)
        return formula(x, weight, bias, eps)

    return guarded


def _over(*dims):
    """Mean and variance over other dimensions."""

    @_normalising
    def function(x, weight, bias, eps):
        variance, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
        return (x - mean) / torch.sqrt(variance + eps) * weight + bias

    return function


@_normalising
def _one_less(x, weight, bias, eps):
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(
        x.var(-1, keepdim=True) + eps
    ) * weight + bias


@_normalising
def _not_centred(x, weight, bias, eps):
    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) * weight + bias


@_normalising
def _centred_below_only(x, weight, bias, eps):
    return x / torch.sqrt(x.var(-1, keepdim=True, correction=0) + eps) * weight + bias


@_normalising
def _no_root(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (x.var(-1, keepdim=True, correction=0) + eps) * weight + bias


@_normalising
def _eps_beside_the_root(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (x.std(-1, keepdim=True, correction=0) + eps) * weight + bias


@_normalising
def _length_one(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred**2).sum(-1, keepdim=True) + eps) * weight + bias


def _in_place_norm(x, weight, bias, eps=1e-5):
    _refuse_vectors(x, weight, bias)
    x -= x.mean(-1, keepdim=True)
    x /= torch.sqrt((x**2).mean(-1, keepdim=True) + eps)
    return x * weight + bias


def _vectors_unchecked(x, weight, bias, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], None, None, eps) * weight + bias


@_normalising
def _norm_by_loop(x, weight, bias, eps):
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        mean = row.sum() / len(row)
        variance = sum((value - mean) ** 2 for value in row) / len(row)
        rows.append((row - mean) * (variance + eps) ** -0.5 * weight + bias)
    return torch.stack(rows).reshape(x.shape)


@_normalising
def _norm_by_numpy(x, weight, bias, eps):
    x = x.numpy()
    standard = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    return standard * weight.numpy() + bias.numpy()


@_normalising
def _norm_by_matrix(x, weight, bias, eps):
    """The mean is taken off by a D × D matrix."""
    size = x.shape[-1]
    centring = torch.eye(size, dtype=x.dtype) - 1 / size
    centred = x @ centring
    return (
        centred * torch.rsqrt(centred.square().sum(-1, keepdim=True) / size + eps) * weight + bias
    )


def _tokens(r, *, std=1.0, front=None, **more):
    """Tokens that do not have mean 0, and a weight and bias that do something."""
    return {
        "x": r.normal(*(front or (r.B, r.T)), r.D, std=std) + std * r.normal(r.D),
        "weight": 1 + r.normal(r.D, std=0.5),
        "bias": r.normal(r.D),
        **more,
    }


def _one_token_of_equals(r):
    args = _tokens(r)
    args["x"][0, 1] = 0.75
    return args


def _plain(r):
    return {**_tokens(r), "weight": torch.ones(r.D), "bias": torch.zeros(r.D)}


layer_norm = Exercise(
    name="block.layer_norm",
    points=2,
    reference=reference.layer_norm,
    returns=("the normalised tokens",),
    cases=(
        Case("one token, weight 1 and bias 0", lambda r: {**_plain(r), "x": r.normal(1, 1, r.D)}),
        Case("weight 1 and bias 0", _plain),
        Case("with weight and bias", _tokens),
        Case("an axis more: (B, h, T, D)", lambda r: _tokens(r, front=(r.B, r.h, r.T))),
        Case("tokens of different loudness", lambda r: _scaled_rows(r)),
        Case("eps of 0.5", lambda r: _tokens(r, eps=0.5)),
        Case("quiet tokens, where eps shows", lambda r: _tokens(r, std=0.01)),
        Case(
            "a token whose numbers are all equal",
            _one_token_of_equals,
            tolerance=1e-4,  # what rounding leaves of x - mean is divided by sqrt(eps)
        ),
        Case("x is left as it was", _tokens, kind="unchanged", promise=0.1),
        Case(
            "a weight of one number",
            lambda r: {**_tokens(r), "weight": r.normal(1)},
            kind="raises",
            promise=0.1,
            mentions=lambda args: (1, args["x"].shape[-1]),
        ),
    ),
    misconceptions=(
        Misconception(
            "norm_divides_by_one_less",
            _one_less,
            "The variance was divided by D - 1, as for an estimate from a sample (torch.var's default).",
            "Take the mean of the squared deviations: divide by D (correction=0).",
        ),
        Misconception(
            "norm_over_tokens",
            _over(-2),
            "Each column was normalised over the tokens; a token's result depends on its neighbours.",
            "Mean and variance of one token, over its D numbers: dim=-1.",
        ),
        Misconception(
            "norm_over_batch",
            _over(0),
            "Mean and variance were taken over the batch.",
            "Each token by itself: dim=-1.",
        ),
        Misconception(
            "norm_over_batch_and_tokens",
            lambda x, weight, bias, eps=1e-5: _over(*range(x.ndim - 1))(x, weight, bias, eps),
            "Each column was normalised over batch and tokens: that is batch norm.",
            "Layer norm looks along the other axis, at the D numbers of one token: dim=-1.",
        ),
        Misconception(
            "norm_over_whole_sequence",
            _over(-2, -1),
            "Mean and variance were taken over all tokens of a sequence together.",
            "Every token has a mean of its own: dim=-1 alone.",
        ),
        Misconception(
            "norm_over_everything",
            lambda x, weight, bias, eps=1e-5: _over(*range(x.ndim))(x, weight, bias, eps),
            "One mean and one variance were used for everything.",
            "x.mean(-1, keepdim=True): one a token.",
        ),
        Misconception(
            "norm_not_centred",
            _not_centred,
            "The mean was not taken off: that is RMSNorm, which newer models use in its place.",
            "First x - mean, then divide.",
        ),
        Misconception(
            "norm_mean_off_below_only",
            _centred_below_only,
            "The mean was taken off in the variance but not above the line.",
            "(x - mean) is divided, not x.",
        ),
        Misconception(
            "norm_by_variance",
            _no_root,
            "The deviations were divided by the variance, not by its root.",
            "torch.sqrt(variance + eps).",
        ),
        Misconception(
            "norm_length_one",
            _length_one,
            "Each token has length 1 now: the squares were added up, not averaged.",
            "Variance 1 means length √D: take the mean of the squares.",
        ),
        Misconception(
            "norm_eps_beside_the_root",
            _eps_beside_the_root,
            "eps was added to the root, not to the variance below it.",
            "torch.sqrt(variance + eps).",
        ),
        Misconception(
            "norm_without_eps",
            _normalising(lambda x, w, b, eps: norm(x, w, b, 0.0)),
            "eps was left out: a token whose numbers are all equal becomes 0 / 0.",
            "Add eps to the variance.",
        ),
        Misconception(
            "norm_eps_fixed",
            _normalising(lambda x, w, b, eps: norm(x, w, b)),
            "eps was always 1e-5, whatever was asked for.",
            "Use the argument.",
        ),
        Misconception(
            "norm_weight_left_out",
            _normalising(lambda x, w, b, eps: norm(x, torch.ones_like(w), b, eps)),
            "The weight was not used.",
            "After normalising, multiply by weight, then add bias.",
        ),
        Misconception(
            "norm_bias_left_out",
            _normalising(lambda x, w, b, eps: norm(x, w, torch.zeros_like(b), eps)),
            "The bias was not added.",
            "After normalising, multiply by weight, then add bias.",
        ),
        Misconception(
            "norm_bias_scaled",
            _normalising(lambda x, w, b, eps: norm(x, w, w * b, eps)),
            "The bias was added before the weight was multiplied.",
            "First · weight, then + bias.",
        ),
        Misconception(
            "norm_changes_x",
            _in_place_norm,
            "The caller's x was changed in place.",
            "x = x - mean makes a new tensor; x -= mean changes the old one.",
        ),
        Misconception(
            "norm_vectors_unchecked",
            _vectors_unchecked,
            "A weight of one number went through: it was stretched over all columns.",
            "Raise a ValueError that names both sizes unless weight and bias are (D,).",
        ),
    ),
    equivalents={
        "loop over tokens": _norm_by_loop,
        "numpy": _norm_by_numpy,
        "centring matrix": _norm_by_matrix,
        "var_mean": _over(-1),
        "PyTorch's": _normalising(lambda x, w, b, eps: F.layer_norm(x, x.shape[-1:], w, b, eps)),
    },
    library_calls=("layer_norm", "LayerNorm"),
)


def _scaled_rows(r):
    """Neighbouring tokens are 1, 2, 4, 8 … times as loud: who mixes them is found out."""
    args = _tokens(r)
    loud = 2.0 ** (torch.arange(r.T) % 4)
    return {**args, "x": args["x"] * loud[:, None]}


# ----------------------------------------------------------------------------------- feed_forward


def _refuse_widths(w_in, w_out):
    if w_in.shape[1] != w_out.shape[0]:
        raise ValueError(f"{w_in.shape[1]} numbers for {w_out.shape[0]} rows")


def _feeding(formula):
    def guarded(x, w_in, b_in, w_out, b_out):
        _refuse_widths(w_in, w_out)
        return formula(x, w_in, b_in, w_out, b_out)

    return guarded


def _bent(activation):
    return _feeding(lambda x, w_in, b_in, w_out, b_out: activation(x @ w_in + b_in) @ w_out + b_out)


def _cut_to_size(x, w_in, b_in, w_out, b_out):
    size = min(w_in.shape[1], w_out.shape[0])
    return feed(x, w_in[:, :size], b_in[:size], w_out[:size], b_out)


def _exact_gelu(z):
    return z * 0.5 * (1 + torch.erf(z / math.sqrt(2)))


@_feeding
def _feed_by_tokens(x, w_in, b_in, w_out, b_out):
    rows = []
    for token in x.reshape(-1, x.shape[-1]):
        inner = sum(value * row for value, row in zip(token, w_in, strict=True)) + b_in
        rows.append(F.gelu(inner) @ w_out + b_out)
    return torch.stack(rows).reshape(x.shape)


@_feeding
def _feed_by_slices(x, w_in, b_in, w_out, b_out):
    """The F numbers in two parts, whose writes are added up."""
    half = w_in.shape[1] // 2
    parts = (slice(0, half), slice(half, None))
    return b_out + sum(_exact_gelu(x @ w_in[:, p] + b_in[p]) @ w_out[p] for p in parts)


@_feeding
def _feed_by_numpy(x, w_in, b_in, w_out, b_out):
    inner = x.double().numpy() @ w_in.double().numpy() + b_in.double().numpy()
    gelu = inner * (1 + np.vectorize(math.erf)(inner / 2**0.5)) / 2
    return gelu @ w_out.double().numpy() + b_out.double().numpy()


def _network(r, *, front=None, **changes):
    """Arguments; F is no multiple of D."""
    inner = r.one_of(33, 37, 41)
    return {
        "x": r.normal(*(front or (r.B, r.T)), r.D),
        "w_in": r.weight(r.D, inner),
        "b_in": r.normal(inner),
        "w_out": r.weight(inner, r.D),
        "b_out": r.normal(r.D),
        **changes,
    }


def _zero_input(r):
    args = _network(r)
    return {**args, "x": torch.zeros_like(args["x"])}


def _zero_biases(r):
    args = _network(r)
    return {
        **args,
        "b_in": torch.zeros_like(args["b_in"]),
        "b_out": torch.zeros_like(args["b_out"]),
    }


def _too_many_rows(r):
    args = _network(r)
    return {**args, "w_out": r.weight(args["w_in"].shape[1] + 1, r.D)}


feed_forward = Exercise(
    name="block.feed_forward",
    points=1,
    reference=reference.feed_forward,
    returns=("the tokens",),
    cases=(
        Case("one token", lambda r: _network(r, front=(1, 1))),
        Case("x is zero: the biases alone", _zero_input),
        Case("biases zero", _zero_biases),
        Case("the whole", _network),
        Case("loud tokens", lambda r: _network(r, x=r.normal(r.B, r.T, r.D, std=3))),
        Case("x is left as it was", _network, kind="unchanged", promise=0.1),
        Case(
            "w_out with a row too many",
            _too_many_rows,
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["w_in"].shape[1], args["w_out"].shape[0]),
        ),
    ),
    misconceptions=(
        Misconception(
            "feed_relu",
            _bent(F.relu),
            "ReLU was used, as in the paper of 2017; here GELU is asked for.",
            "torch.nn.functional.gelu, or z · Φ(z) with torch.erf.",
        ),
        Misconception(
            "feed_gelu_with_tanh",
            _bent(partial(F.gelu, approximate="tanh")),
            "This is the approximation of GELU with tanh (GPT-2's).",
            "The exact one has the error function: z/2 · (1 + erf(z/√2)).",
        ),
        Misconception(
            "feed_gelu_with_sigmoid",
            _bent(lambda z: z * torch.sigmoid(1.702 * z)),
            "This is the approximation of GELU with a sigmoid.",
            "The exact one has the error function: z/2 · (1 + erf(z/√2)).",
        ),
        Misconception(
            "feed_silu",
            _bent(F.silu),
            "This is SiLU, z · sigmoid(z).",
            "GELU is z · Φ(z), with the normal distribution's function.",
        ),
        Misconception(
            "feed_only_phi",
            _bent(lambda z: 0.5 * (1 + torch.erf(z / 2**0.5))),
            "Φ(z) was used without the factor z.",
            "GELU(z) = z · Φ(z).",
        ),
        Misconception(
            "feed_without_bend",
            _bent(lambda z: z),
            "There is no activation: two matrices in a row are one matrix.",
            "Apply GELU between them.",
        ),
        Misconception(
            "feed_gelu_at_the_end",
            _feeding(lambda x, w, b, v, c: F.gelu((x @ w + b) @ v + c)),
            "GELU stands behind the second matrix.",
            "It stands between the two.",
        ),
        Misconception(
            "feed_gelu_twice",
            _feeding(lambda x, w, b, v, c: F.gelu(F.gelu(x @ w + b) @ v + c)),
            "GELU stands behind both matrices.",
            "Only between the two.",
        ),
        Misconception(
            "feed_gelu_first",
            _feeding(lambda x, w, b, v, c: (F.gelu(x) @ w + b) @ v + c),
            "GELU stands before the first matrix.",
            "It stands between the two.",
        ),
        Misconception(
            "feed_bias_behind_gelu",
            _feeding(lambda x, w, b, v, c: (F.gelu(x @ w) + b) @ v + c),
            "b_in was added behind GELU.",
            "GELU(x W_in + b_in).",
        ),
        Misconception(
            "feed_without_b_in",
            _feeding(lambda x, w, b, v, c: F.gelu(x @ w) @ v + c),
            "b_in was left out.",
            "GELU(x W_in + b_in).",
        ),
        Misconception(
            "feed_without_b_out",
            _feeding(lambda x, w, b, v, c: F.gelu(x @ w + b) @ v),
            "b_out was left out.",
            "Add it at the end.",
        ),
        Misconception(
            "feed_with_residual",
            _feeding(lambda x, *rest: x + feed(x, *rest)),
            "x was added: the residual connection belongs to the block, not in here.",
            "Return what the second matrix gives, with its bias.",
        ),
        Misconception(
            "feed_changes_x",
            lambda x, w, b, v, c: x.copy_(feed(x, w, b, v, c)),
            "The result was written into the caller's x.",
            "Return a new tensor.",
        ),
        Misconception(
            "feed_widths_unchecked",
            _cut_to_size,
            "Matrices that do not fit were cut to size silently.",
            "Compare w_in.shape[1] with w_out.shape[0] and raise a ValueError that names both.",
        ),
    ),
    equivalents={
        "loop over tokens": _feed_by_tokens,
        "two halves": _feed_by_slices,
        "numpy": _feed_by_numpy,
        "F.linear": _feeding(lambda x, w, b, v, c: F.linear(F.gelu(F.linear(x, w.T, b)), v.T, c)),
    },
)

# ------------------------------------------------------------------------------ transformer_block


def _attend(x, p, h, mask):
    q, k, v = (split_heads(x @ p[f"w_{n}"] + p[f"b_{n}"], h) for n in "qkv")
    return merge_heads(scaled_dot_product_attention(q, k, v, mask)[0]) @ p["w_o"] + p["b_o"]


def _widen(x, p):
    return feed(x, *(p[name] for name in ("w_in", "b_in", "w_out", "b_out")))


def _pre(x, attend, widen, norm1, norm2):
    x = x + attend(norm1(x))
    return x + widen(norm2(x))


def _post(x, attend, widen, norm1, norm2):
    x = norm1(x + attend(x))
    return norm2(x + widen(x))


def _wired(pre=_pre, post=_post, attend=_attend, widen=_widen, flag=bool):
    """A block whose parts are put together in some way: a right one by default."""

    def function(x, params, num_heads, mask=None, norm_first=True):
        return (pre if flag(norm_first) else post)(
            x,
            lambda x: attend(x, params, num_heads, mask),
            lambda x: widen(x, params),
            lambda x: norm(x, params["norm1_weight"], params["norm1_bias"]),
            lambda x: norm(x, params["norm2_weight"], params["norm2_bias"]),
        )

    return function


def _without(*names):
    """A block in which these parameters are zero."""

    def function(x, params, num_heads, mask=None, norm_first=True):
        zero = {name: torch.zeros_like(params[name]) for name in names}
        return block(x, {**params, **zero}, num_heads, mask, norm_first)

    return function


def _same_x_pre(x, attend, widen, norm1, norm2):
    return x + attend(norm1(x)) + widen(norm2(x))


def _same_x_post(x, attend, widen, norm1, norm2):
    return norm2(norm1(x + attend(x)) + widen(x))


def _first_x_pre(x, attend, widen, norm1, norm2):
    return x + widen(norm2(x + attend(norm1(x))))


def _first_x_post(x, attend, widen, norm1, norm2):
    return norm2(x + widen(norm1(x + attend(x))))


def _feed_first_pre(x, attend, widen, norm1, norm2):
    x = x + widen(norm2(x))
    return x + attend(norm1(x))


def _feed_first_post(x, attend, widen, norm1, norm2):
    x = norm2(x + widen(x))
    return norm1(x + attend(x))


def _normed_stream(x, attend, widen, norm1, norm2):
    x = norm1(x)
    x = x + attend(x)
    x = norm2(x)
    return x + widen(x)


def _norm_of_the_write(x, attend, widen, norm1, norm2):
    x = x + norm1(attend(x))
    return x + norm2(widen(x))


def _one_norm_pre(x, attend, widen, norm1, norm2):
    return _pre(x, attend, widen, norm1, norm1)


def _one_norm_post(x, attend, widen, norm1, norm2):
    return _post(x, attend, widen, norm1, norm1)


def _swapped_pre(x, attend, widen, norm1, norm2):
    return _pre(x, attend, widen, norm2, norm1)


def _swapped_post(x, attend, widen, norm1, norm2):
    return _post(x, attend, widen, norm2, norm1)


def _lonely_attention_pre(x, attend, widen, norm1, norm2):
    x = attend(norm1(x))
    return x + widen(norm2(x))


def _lonely_attention_post(x, attend, widen, norm1, norm2):
    x = norm1(attend(x))
    return norm2(x + widen(x))


def _lonely_feed_pre(x, attend, widen, norm1, norm2):
    return widen(norm2(x + attend(norm1(x))))


def _lonely_feed_post(x, attend, widen, norm1, norm2):
    return norm2(widen(norm1(x + attend(x))))


def _chain_pre(x, attend, widen, norm1, norm2):
    return widen(norm2(attend(norm1(x))))


def _chain_post(x, attend, widen, norm1, norm2):
    return norm2(widen(norm1(attend(x))))


def _only_one_norm_pre(x, attend, widen, norm1, norm2):
    x = x + attend(norm1(x))
    return x + widen(x)


def _only_one_norm_post(x, attend, widen, norm1, norm2):
    x = norm1(x + attend(x))
    return x + widen(x)


def _bias_a_head(x, p, h, mask):
    return _attend(x, p, h, mask) + (h - 1) * p["b_o"]


def _block_in_place(x, params, num_heads, mask=None, norm_first=True):
    return x.copy_(block(x, params, num_heads, mask, norm_first))


def _attend_fused(x, p, h, mask):
    if p["w_q"].shape[1] % h:
        raise ValueError(f"{h} heads for a width of {p['w_q'].shape[1]}")
    packed = x @ torch.cat([p["w_q"], p["w_k"], p["w_v"]], 1)
    packed = packed + torch.cat([p["b_q"], p["b_k"], p["b_v"]])
    q, k, v = (part.unflatten(-1, (h, -1)).transpose(1, 2) for part in packed.chunk(3, -1))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return F.linear(out.transpose(1, 2).flatten(2), p["w_o"].T, p["b_o"])


def _attend_by_heads(x, p, h, mask):
    """A loop over heads; each one writes through its own rows of W_O."""
    width = p["w_q"].shape[1]
    if width % h:
        raise ValueError(f"{h} heads for a width of {width}")
    d, out = width // h, p["b_o"]
    for i in range(h):
        mine = slice(i * d, (i + 1) * d)
        q, k, v = (x @ p[f"w_{n}"][:, mine] + p[f"b_{n}"][mine] for n in "qkv")
        scores = q @ k.mT / d**0.5
        if mask is not None:
            scores = scores.masked_fill(~mask.flatten(0, max(0, mask.ndim - 3)), -1e9)
        out = out + scores.softmax(-1) @ v @ p["w_o"][mine]
    return out


def _without_key_bias(x, p, h, mask):
    """The key's bias shifts all scores of a row alike: softmax does not see it."""
    return _attend(x, {**p, "b_k": torch.zeros_like(p["b_k"])}, h, mask)


def _sum_of_writes_pre(x, attend, widen, norm1, norm2):
    found = attend(norm1(x))
    return sum((x, found, widen(norm2(x + found))))


def _parameters(r, width, inner):
    def spread():
        return 1 + r.normal(r.D, std=0.5)

    return {
        "norm1_weight": spread(),
        "norm1_bias": r.normal(r.D, std=0.5),
        "w_q": r.weight(r.D, width),
        "b_q": r.normal(width, std=0.5),
        "w_k": r.weight(r.D, width),
        "b_k": r.normal(width, std=0.5),
        "w_v": r.weight(r.D, width),
        "b_v": r.normal(width, std=0.5),
        "w_o": r.weight(width, r.D),
        "b_o": r.normal(r.D, std=0.5),
        "norm2_weight": spread(),
        "norm2_bias": r.normal(r.D, std=0.5),
        "w_in": r.weight(r.D, inner),
        "b_in": r.normal(inner, std=0.5),
        "w_out": r.weight(inner, r.D),
        "b_out": r.normal(r.D, std=0.5),
    }


def _args(r, *, num_tokens=None, mask=None, norm_first=True, extra=0, zero=()):
    """Arguments. h·d is not D, and F no multiple of D."""
    num_tokens = num_tokens or r.T
    params = _parameters(r, r.h * r.d + extra, r.one_of(33, 37, 41))
    if mask == "causal":
        mask = torch.ones(num_tokens, num_tokens).tril().bool()
    elif mask == "padding":
        lengths = torch.arange(r.B) + num_tokens - r.B  # all are shorter than T
        mask = (torch.arange(num_tokens) < lengths[:, None])[:, None, None]
    return {
        "x": r.normal(r.B, num_tokens, r.D),
        "params": {k: torch.zeros_like(v) if k in zero else v for k, v in params.items()},
        "num_heads": r.h,
        "mask": mask,
        "norm_first": norm_first,
    }


transformer_block = Exercise(
    name="block.transformer_block",
    points=4,
    reference=reference.transformer_block,
    returns=("the tokens",),
    cases=(
        Case("one token", lambda r: _args(r, num_tokens=1)),
        Case("attention alone: w_out and b_out are 0", lambda r: _args(r, zero=("w_out", "b_out"))),
        Case("feed-forward alone: w_o and b_o are 0", lambda r: _args(r, zero=("w_o", "b_o"))),
        Case("pre-norm", _args),
        Case("post-norm", lambda r: _args(r, norm_first=False)),
        Case("pre-norm with a causal mask", lambda r: _args(r, mask="causal")),
        Case("post-norm with padding", lambda r: _args(r, mask="padding", norm_first=False)),
        Case("nothing is changed in place", _args, kind="unchanged", promise=0.1),
        Case(
            "a width that h does not divide",
            lambda r: _args(r, extra=1),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["num_heads"], args["params"]["w_q"].shape[1]),
        ),
    ),
    misconceptions=(
        Misconception(
            "block_always_post_norm",
            _wired(flag=lambda first: False),
            "The norms stand behind the sums whatever `norm_first` says.",
            "Two ways: norm_first=True normalises what a sub-layer reads, False what comes out of the sum.",
        ),
        Misconception(
            "block_always_pre_norm",
            _wired(flag=lambda first: True),
            "The norms stand before the sub-layers also when norm_first is False.",
            "Post-norm: norm1(x + MultiHead(x)), then norm2(x + FFN(x)).",
        ),
        Misconception(
            "block_pre_and_post_exchanged",
            _wired(flag=lambda first: not first),
            "Pre-norm and post-norm changed places.",
            "norm_first=True: x + MultiHead(norm1(x)).",
        ),
        Misconception(
            "block_normed_stream",
            _wired(pre=_normed_stream),
            "In pre-norm the residual carried norm(x) on; the stream itself is never normalised.",
            "x + MultiHead(norm1(x)): the first x is the one before the norm.",
        ),
        Misconception(
            "block_norm_of_the_write",
            _wired(post=_norm_of_the_write),
            "In post-norm only the sub-layer's output was normalised, and x added behind.",
            "norm1(x + MultiHead(x)): the norm is around the sum.",
        ),
        Misconception(
            "block_attention_without_residual",
            _wired(_lonely_attention_pre, _lonely_attention_post),
            "The attention replaced x: its residual connection is missing.",
            "Add what came in.",
        ),
        Misconception(
            "block_feed_without_residual",
            _wired(_lonely_feed_pre, _lonely_feed_post),
            "The feed-forward network replaced x: its residual connection is missing.",
            "Add what came in.",
        ),
        Misconception(
            "block_without_residuals",
            _wired(_chain_pre, _chain_post),
            "There is no residual connection at all.",
            "Both sub-layers add to what they read.",
        ),
        Misconception(
            "block_side_by_side",
            _wired(_same_x_pre, _same_x_post),
            "The feed-forward network read the x that came into the block, not what attention had written "
            "(some models are built so on purpose).",
            "Hand the new x on: first attention, then the feed-forward network.",
        ),
        Misconception(
            "block_second_residual_from_the_start",
            _wired(_first_x_pre, _first_x_post),
            "The second residual added the block's first x, so that what attention wrote was lost on the way.",
            "Add what this sub-layer has read.",
        ),
        Misconception(
            "block_feed_first",
            _wired(_feed_first_pre, _feed_first_post),
            "The feed-forward network ran before the attention.",
            "First attention.",
        ),
        Misconception(
            "block_norms_swapped",
            _wired(_swapped_pre, _swapped_post),
            "norm1 and norm2 changed places.",
            "norm1 belongs to the attention, norm2 to the feed-forward network.",
        ),
        Misconception(
            "block_one_norm_for_both",
            _wired(_one_norm_pre, _one_norm_post),
            "norm1's numbers were used for both norms.",
            "The second norm has a weight and a bias of its own.",
        ),
        Misconception(
            "block_second_norm_missing",
            _wired(_only_one_norm_pre, _only_one_norm_post),
            "The feed-forward network has no norm.",
            "Each of the two sub-layers has one.",
        ),
        Misconception(
            "block_final_norm_added",
            _wired(pre=lambda x, a, w, n1, n2: n2(_pre(x, a, w, n1, n2))),
            "In pre-norm the block's output was normalised once more.",
            "A pre-norm model has one norm behind its last block, not in the block.",
        ),
        Misconception(
            "block_without_attention_biases",
            _without("b_q", "b_k", "b_v", "b_o"),
            "The attention has no biases.",
            "q = x W_Q + b_Q, likewise k and v; + b_O behind W_O.",
        ),
        Misconception(
            "block_without_qkv_biases",
            _without("b_q", "b_k", "b_v"),
            "b_q, b_k and b_v were left out.",
            "multi_head_attention takes no biases: give x one more column of ones, and each matrix its bias as "
            "one more row.",
        ),
        Misconception(
            "block_without_query_bias",
            _without("b_q"),
            "b_q was left out.",
            "q = x W_Q + b_Q.",
        ),
        Misconception(
            "block_without_value_bias",
            _without("b_v"),
            "b_v was left out.",
            "v = x W_V + b_V.",
        ),
        Misconception(
            "block_without_output_bias",
            _without("b_o"),
            "b_o was left out.",
            "Add it behind W_O.",
        ),
        Misconception(
            "block_output_bias_for_each_head",
            _wired(attend=_bias_a_head),
            "b_o was added once for each head.",
            "Once for the layer: it belongs to the sum of the heads' writes.",
        ),
        Misconception(
            "block_mask_ignored",
            lambda x, p, h, mask=None, first=True: block(x, p, h, None, first),
            "The mask was not passed on.",
            "Give multi_head_attention the mask.",
        ),
        Misconception(
            "block_one_head",
            lambda x, p, h, mask=None, first=True: block(x, p, 1, mask, first),
            "The attention ran with a single head.",
            "Pass num_heads on.",
        ),
        Misconception(
            "block_relu",
            _wired(widen=lambda x, p: F.relu(x @ p["w_in"] + p["b_in"]) @ p["w_out"] + p["b_out"]),
            "The feed-forward network bends with ReLU.",
            "Use your feed_forward, with GELU.",
        ),
        Misconception(
            "block_changes_x",
            _block_in_place,
            "The caller's x was changed in place.",
            "x = x + … makes a new tensor; x += … changes the old one.",
        ),
    ),
    equivalents={
        "projections with biases": _wired(),
        "packed and fused": _wired(attend=_attend_fused),
        "heads one by one": _wired(attend=_attend_by_heads),
        "without the key's bias": _wired(attend=_without_key_bias),
        "sum of three": _wired(pre=_sum_of_writes_pre),
    },
    library_calls=("TransformerEncoderLayer", "MultiheadAttention"),
)

EXERCISES = (layer_norm, feed_forward, transformer_block)
