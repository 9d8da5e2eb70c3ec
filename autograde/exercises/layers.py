"""Exercises of notebook 09: counting attentions, a stack of layers, and the induction score."""

import numpy as np
import torch
import torch.nn.functional as F

from solutions import layers as reference
from solutions.heads import multi_head_attention as attend
from solutions.layers import attention_stack as stack
from solutions.layers import induction_score as score

from .entry import Case, Exercise, Misconception

# ------------------------------------------------------------------- count_attention_computations


def _refuse(layers, heads, decoder):
    if layers < 0 or decoder < 0 or heads < 1:
        raise ValueError(f"{layers}, {heads}, {decoder}: too few")


def _counting(formula):
    """A wrong version that does keep the promise about numbers, so that its mistake stands alone."""

    def guarded(num_layers, num_heads, decoder_layers=0):
        _refuse(num_layers, num_heads, decoder_layers)
        return formula(num_layers, num_heads, decoder_layers)

    return guarded


@_counting
def _count_one_by_one(layers, heads, decoder):
    attentions = ["self"] * layers + ["self", "cross"] * decoder
    return sum(1 for _ in attentions for _ in range(heads))


@_counting
def _count_from_shapes(layers, heads, decoder):
    return torch.zeros(layers + 2 * decoder, heads).numel()


def _model(layers, heads, decoder=0):
    return lambda r: {"num_layers": layers, "num_heads": heads, "decoder_layers": decoder}


count_attention_computations = Exercise(
    name="layers.count_attention_computations",
    points=1,
    reference=reference.count_attention_computations,
    returns=("the number",),
    cases=(
        Case("one layer, one head", _model(1, 1)),
        Case("GPT-2: 12 layers of 12 heads", lambda r: {"num_layers": 12, "num_heads": 12}),
        Case("7 layers of 5 heads", _model(7, 5)),
        Case("4 encoder and 3 decoder layers of 6 heads", _model(4, 6, 3)),
        Case(
            "an encoder and a decoder",
            lambda r: {"num_layers": r.T, "num_heads": r.h, "decoder_layers": r.d},
        ),
        Case(
            "a decoder without layers of another kind",
            lambda r: {"num_layers": 0, "num_heads": r.h, "decoder_layers": r.d},
        ),
        Case("no heads", _model(13, 0), kind="raises", promise=0.1, mentions=lambda args: (0,)),
        Case(
            "fewer than no layers",
            _model(-17, 4),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (-17,),
        ),
    ),
    misconceptions=(
        Misconception(
            "layers_and_heads_added",
            _counting(lambda layers, h, decoder: layers + 2 * decoder + h),
            "Layers and heads were added.",
            "Every layer has h heads of its own: multiply.",
        ),
        Misconception(
            "layers_only_counted",
            _counting(lambda layers, h, decoder: layers + 2 * decoder),
            "Only the attention layers were counted; each holds h heads.",
            "Each head of each layer computes a pattern of its own.",
        ),
        Misconception(
            "layers_heads_of_one_layer",
            _counting(lambda layers, h, decoder: h),
            "Only the heads of one layer were counted.",
            "The next layer has heads of its own.",
        ),
        Misconception(
            "layers_decoder_counted_once",
            _counting(lambda layers, h, decoder: (layers + decoder) * h),
            "Each decoder layer was counted with one attention.",
            "A decoder layer of an encoder-decoder holds self-attention and cross-attention.",
        ),
        Misconception(
            "layers_decoder_forgotten",
            _counting(lambda layers, h, decoder: layers * h),
            "The decoder layers were left out.",
            "Add two attentions for each decoder layer.",
        ),
        Misconception(
            "layers_everything_doubled",
            _counting(
                lambda layers, h, decoder: 2 * (layers + decoder) * h if decoder else layers * h
            ),
            "With a decoder there, the encoder's layers were counted twice as well.",
            "Only the decoder's layers hold a second attention.",
        ),
        Misconception(
            "layers_three_for_a_decoder",
            _counting(lambda layers, h, decoder: (layers + 3 * decoder) * h),
            "Each decoder layer was counted with three attentions.",
            "It holds two: self-attention and cross-attention. (The third block is feed-forward.)",
        ),
        Misconception(
            "layers_heads_to_a_power",
            _counting(lambda layers, h, decoder: h ** (layers + 2 * decoder)),
            "Layers multiplied each other, as if every head of a layer met every head of the next.",
            "A layer adds its h patterns to those before: h for each layer.",
        ),
        Misconception(
            "layers_count_unchecked",
            lambda num_layers, h, decoder_layers=0: (num_layers + 2 * decoder_layers) * h,
            "A number that makes no model went through.",
            "Raise a ValueError that names the number when layers < 0 or heads < 1.",
        ),
    ),
    equivalents={"one by one": _count_one_by_one, "from shapes": _count_from_shapes},
)

# -------------------------------------------------------------------------------- attention_stack

NAMES = ("w_q", "w_k", "w_v", "w_o")


def _layer(r, h, d):
    width = h * d
    return dict(
        zip(NAMES, [*(r.weight(r.D, width) for _ in range(3)), r.weight(width, r.D)], strict=True)
    )


def _stack(r, *, num_layers=3, mask=False, **changes):
    """Arguments; `changes` replace sizes."""
    size = {"T": r.T, "h": r.h, "d": (r.d,), **changes}
    widths = size["d"] * num_layers if len(size["d"]) == 1 else size["d"]
    args = {
        "x": r.normal(r.B, size["T"], r.D),
        "layers": [_layer(r, size["h"], d) for d in widths],
        "num_heads": size["h"],
    }
    if mask:
        args["mask"] = torch.ones(size["T"], size["T"]).tril().bool()
    return args


def _walk(x, layers, h, mask=None, *, step, order=1, read=None):
    """A stack in some other way: `step` makes the next x from x, the layer's output and the first x."""
    start, kept = x, []
    for number, layer in enumerate(layers[::order]):
        out, weights = attend(x if read is None else read(start, x), *layer.values(), h, mask)
        x = step(x, out, start, number, len(layers))
        kept.append(weights)
    return x, torch.stack(kept)


def _wrong(**how):
    how.setdefault("step", lambda x, out, start, number, count: x + out)
    return lambda x, layers, h, mask=None: _walk(x, layers, h, mask, **how)


def _first_weights_for_all(x, layers, h, mask=None):
    return stack(x, [layers[0]] * len(layers), h, mask)


def _mask_in_first_only(x, layers, h, mask=None):
    kept = []
    for number, layer in enumerate(layers):
        out, weights = attend(x, *layer.values(), h, None if number else mask)
        x = x + out
        kept.append(weights)
    return x, torch.stack(kept)


def _last_weights(x, layers, h, mask=None):
    out, weights = stack(x, layers, h, mask)
    return out, weights[-1]


def _layers_last(x, layers, h, mask=None):
    out, weights = stack(x, layers, h, mask)
    return out, weights.transpose(0, 1)


def _weights_joined(x, layers, h, mask=None):
    out, weights = stack(x, layers, h, mask)
    return out, weights.transpose(0, 1).flatten(1, 2)


def _weights_averaged(x, layers, h, mask=None):
    out, weights = stack(x, layers, h, mask)
    return out, weights.mean(2)


def _in_place(x, layers, h, mask=None):
    if not layers:
        raise ValueError("0 layers")
    kept = []
    for layer in layers:
        out, weights = attend(x, *layer.values(), h, mask)
        x += out
        kept.append(weights)
    return x, torch.stack(kept)


def _no_layer_unchecked(x, layers, h, mask=None):
    if not layers:
        return x, x.new_zeros(0, len(x), h, x.shape[1], x.shape[1])
    return stack(x, layers, h, mask)


def _stack_recursive(x, layers, h, mask=None):
    if not layers:
        raise ValueError("0 layers make no stack")
    first, *rest = layers
    out, weights = attend(x, *(first[n] for n in NAMES), h, mask)
    if not rest:
        return x + out, weights[None]
    final, others = _stack_recursive(x + out, rest, h, mask)
    return final, torch.cat([weights[None], others])


def _stack_by_einsum(x, layers, h, mask=None):
    if not layers:
        raise ValueError("0 layers make no stack")
    kept = []
    for layer in layers:
        width = layer["w_q"].shape[1]
        if width % h:
            raise ValueError(f"{h} heads, width {width}")
        q, k, v = (
            torch.einsum("btn,nhd->bhtd", x, layer[n].unflatten(1, (h, width // h)))
            for n in NAMES[:3]
        )
        scores = torch.einsum("bhid,bhjd->bhij", q, k) * (width // h) ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -1e9)
        weights = F.softmax(scores, -1)
        w_o = layer["w_o"].unflatten(0, (h, width // h))
        x = x + torch.einsum("bhij,bhjd,hdn->bin", weights, v, w_o)
        kept.append(weights)
    return x, torch.stack(kept)


def _stack_as_sum_of_writes(x, layers, h, mask=None):
    """The stream as the first x and everything that was written so far."""
    if not layers:
        raise ValueError("0 layers make no stack")
    written, kept = [x], []
    for layer in layers:
        out, weights = attend(sum(written), *(layer[n] for n in NAMES), h, mask)
        written.append(out)
        kept.append(weights)
    return sum(written), torch.stack(kept)


def _indivisible(r):
    args = _stack(r, num_layers=2)
    return {**args, "layers": [_layer(r, r.h, r.d), _layer(r, 1, r.h * r.d + 1)]}


attention_stack = Exercise(
    name="layers.attention_stack",
    points=4,
    reference=reference.attention_stack,
    returns=("x_out", "the weights"),
    cases=(
        Case("one layer, one token", lambda r: _stack(r, num_layers=1, T=1)),
        Case("one layer", lambda r: _stack(r, num_layers=1)),
        Case("two layers of one head", lambda r: _stack(r, num_layers=2, h=1)),
        Case("four layers", lambda r: _stack(r, num_layers=4)),
        Case("two layers with a causal mask", lambda r: _stack(r, num_layers=2, mask=True)),
        Case("heads wider in the second layer", lambda r: _stack(r, d=(r.d, r.d + 3, r.d - 1))),
        Case(
            "x is left as it was",
            lambda r: _stack(r, num_layers=2),
            kind="unchanged",
            promise=0.1,
        ),
        Case(
            "a layer whose width h does not divide",
            _indivisible,
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["num_heads"], args["layers"][1]["w_q"].shape[1]),
        ),
        Case(
            "no layer",
            lambda r: {**_stack(r), "layers": []},
            kind="raises",
            promise=0.1,
        ),
    ),
    misconceptions=(
        Misconception(
            "stack_without_residual",
            _wrong(step=lambda x, out, *_: out),
            "Each layer replaced x; what it had read was not added again.",
            "x = x + out: a layer adds to the stream.",
        ),
        Misconception(
            "stack_side_by_side",
            _wrong(read=lambda start, x: start),
            "Every layer read the first x: these are layers side by side, one wide layer.",
            "Layer 2 reads what layer 1 has written: pass the new x on.",
        ),
        Misconception(
            "stack_first_x_added",
            _wrong(step=lambda x, out, start, *_: start + out),
            "The first x was added behind every layer, not what that layer had read.",
            "The residual goes around one layer: x = x + out.",
        ),
        Misconception(
            "stack_residual_at_the_end",
            _wrong(step=lambda x, out, start, n, count: out + start if n == count - 1 else out),
            "x was added once, at the end; every layer has a residual connection of its own.",
            "Add inside the loop.",
        ),
        Misconception(
            "stack_first_layer_without_residual",
            _wrong(step=lambda x, out, start, n, count: x + out if n else out),
            "The first layer has no residual connection.",
            "Start from x itself: x + MultiHead(x).",
        ),
        Misconception(
            "stack_layers_reversed",
            _wrong(order=-1),
            "The layers ran from last to first.",
            "Layer 0 of the list reads the tokens.",
        ),
        Misconception(
            "stack_same_weights_in_every_layer",
            _first_weights_for_all,
            "The first layer ran again and again; each layer has weights of its own.",
            "Use the loop's own dictionary.",
        ),
        Misconception(
            "stack_mask_in_first_layer_only",
            _mask_in_first_only,
            "The mask was passed to the first layer only: later layers look ahead.",
            "Pass the mask to every layer.",
        ),
        Misconception(
            "stack_mask_ignored",
            lambda x, layers, h, mask=None: stack(x, layers, h),
            "The mask was not passed on.",
            "Give multi_head_attention the mask.",
        ),
        Misconception(
            "stack_residual_halved",
            _wrong(step=lambda x, out, *_: (x + out) / 2),
            "x and the layer's output were averaged.",
            "Add them.",
        ),
        Misconception(
            "stack_only_last_layers_weights",
            _last_weights,
            "Only the last layer's weights came back.",
            "Collect the weights of each layer, then torch.stack: (L, B, h, T, T).",
        ),
        Misconception(
            "stack_batch_before_layers",
            _layers_last,
            "The weights are (B, L, h, T, T): the batch stands before the layers.",
            "Stack along a new first dimension: (L, B, h, T, T).",
        ),
        Misconception(
            "stack_layers_as_more_heads",
            _weights_joined,
            "The layers' weights were joined along the heads, as if they stood side by side.",
            "A layer is a dimension of its own: torch.stack, not torch.cat.",
        ),
        Misconception(
            "stack_weights_averaged",
            _weights_averaged,
            "The weights were averaged over the heads.",
            "Keep them apart: (L, B, h, T, T).",
        ),
        Misconception(
            "stack_x_changed_in_place",
            _in_place,
            "`x += out` changed the caller's tensor.",
            "x = x + out makes a new one.",
        ),
        Misconception(
            "stack_without_layers_passes",
            _no_layer_unchecked,
            "An empty list of layers went through.",
            "Raise a ValueError when there is no layer.",
        ),
    ),
    equivalents={
        "recursive": _stack_recursive,
        "einsum": _stack_by_einsum,
        "sum of all writes": _stack_as_sum_of_writes,
    },
)

# -------------------------------------------------------------------------------- induction_score


def _refuse_period(weights, period):
    if not 0 < period < weights.shape[-1]:
        raise ValueError(f"period {period} of {weights.shape[-1]}")


def _at(offset, start=lambda period: period):
    """Mean weight from t to t + offset(period), rows from start(period) on that have such a token."""

    def function(weights, period):
        _refuse_period(weights, period)
        size = weights.shape[-1]
        pairs = [(t, t + offset(period)) for t in range(start(period), size)]
        rows, columns = zip(*[(t, c) for t, c in pairs if 0 <= c < size], strict=True)
        return weights[..., list(rows), list(columns)].mean(-1).mean(-2)

    return function


def _rows_and_columns_swapped(weights, period):
    return score(weights.mT, period)


def _sum_over_rows(weights, period):
    return score(weights, period) * (weights.shape[-1] - period)


def _over_all_rows(weights, period):
    return score(weights, period) * ((weights.shape[-1] - period) / weights.shape[-1])


def _counted_argmax(weights, period):
    _refuse_period(weights, period)
    t = torch.arange(period, weights.shape[-1])
    return (weights[..., t, :].argmax(-1) == t - period + 1).float().mean(-1).mean(-2)


def _largest_row(weights, period):
    _refuse_period(weights, period)
    t = torch.arange(period, weights.shape[-1])
    return weights[..., t, t - period + 1].amax(-1).mean(-2)


def _batch_kept(weights, period):
    _refuse_period(weights, period)
    t = torch.arange(period, weights.shape[-1])
    return weights[..., t, t - period + 1].mean(-1)


def _heads_averaged(weights, period):
    _refuse_period(weights, period)
    return score(weights, period).mean(-1, keepdim=True)


def _first_sequence(weights, period):
    return score(weights[..., :1, :, :, :], period)


def _heads_for_batch(weights, period):
    """Averaged over the heads; the batch is left."""
    _refuse_period(weights, period)
    t = torch.arange(period, weights.shape[-1])
    return weights[..., t, t - period + 1].mean(-1).mean(-1)


def _period_unchecked(weights, period):
    t = torch.arange(period, weights.shape[-1])
    return weights[..., t, t - period + 1].mean(-1).mean(-2)


def _score_by_diagonal(weights, period):
    _refuse_period(weights, period)
    diagonal = weights.diagonal(1 - period, -2, -1)  # starts in row period - 1
    return diagonal[..., 1:].mean((-3, -1))


def _score_by_loop(weights, period):
    _refuse_period(weights, period)
    size = weights.shape[-1]
    total = sum(weights[..., t, t - period + 1] for t in range(period, size))
    return total.mean(-2) / (size - period)


def _score_by_mask(weights, period):
    _refuse_period(weights, period)
    w = weights.double().numpy()
    t = np.arange(w.shape[-1])
    chosen = (t[:, None] - t == period - 1) & (t[:, None] >= period)
    return (w * chosen).sum((-1, -2)).mean(-2) / chosen.sum()


def _patterns(r, *front, period, num_tokens=None):
    """Attention weights of random scores, (…, T, T), no mask: every wrong place holds something."""
    size = num_tokens or r.T
    return {"weights": r.normal(*front, size, size).softmax(-1), "period": period}


def _planted(r):
    """Head 0 looks behind the previous copy, head 1 at the copy, the others at the token before."""
    weights = torch.zeros(r.B, r.h, r.T, r.T)
    for i in range(r.h):
        back = (3, 4)[i] if i < 2 else 1
        for t in range(r.T):
            weights[:, i, t, max(0, t - back)] = 1
    return {"weights": weights, "period": 4}


induction_score = Exercise(
    name="layers.induction_score",
    points=2,
    reference=reference.induction_score,
    returns=("the score",),
    cases=(
        Case("one head, one sequence, one row", lambda r: _patterns(r, 1, 1, period=r.T - 1)),
        Case("planted heads, period 4", _planted),
        Case("random weights, period 3", lambda r: _patterns(r, r.B, r.h, period=3)),
        Case("period 5, more tokens", lambda r: _patterns(r, r.B, r.h, period=5, num_tokens=13)),
        Case("a stack of 4 layers", lambda r: _patterns(r, 4, r.B, r.h, period=4)),
        Case(
            "a period as long as the sequence",
            lambda r: _patterns(r, r.B, r.h, period=r.T),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (args["period"],),
        ),
        Case(
            "a period of 0",
            lambda r: _patterns(r, r.B, r.h, period=0),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (0,),
        ),
    ),
    misconceptions=(
        Misconception(
            "induction_at_the_copy",
            _at(lambda p: -p),
            "This is the weight on the previous copy of the token itself.",
            "The token *behind* the copy is asked for: t - period + 1.",
        ),
        Misconception(
            "induction_before_the_copy",
            _at(lambda p: -p - 1),
            "This is the weight on the token before the previous copy.",
            "Behind means one later: t - period + 1.",
        ),
        Misconception(
            "induction_two_behind",
            _at(lambda p: 2 - p),
            "This is the weight on the token two behind the copy.",
            "One later than the copy: t - period + 1.",
        ),
        Misconception(
            "induction_previous_token",
            _at(lambda p: -1),
            "This is the weight on the token before, whatever the period.",
            "The copy stands `period` tokens back, not one.",
        ),
        Misconception(
            "induction_one_row_too_many",
            _at(lambda p: 1 - p, start=lambda p: p - 1),
            "Row period - 1 was counted too: its token has no previous copy yet.",
            "Start at t = period.",
        ),
        Misconception(
            "induction_one_row_too_few",
            _at(lambda p: 1 - p, start=lambda p: min(p + 1, 6)),
            "The first row of the second copy was left out.",
            "Row t = period counts.",
        ),
        Misconception(
            "induction_rows_and_columns_swapped",
            _rows_and_columns_swapped,
            "Queries and keys changed places: the weight from the earlier token to the later one.",
            "weights[…, t, s] is how much t looks at s: rows are the queries.",
        ),
        Misconception(
            "induction_sum_over_rows",
            _sum_over_rows,
            "The rows were added up, so that a long sequence gets a high score.",
            "Take the mean over the rows.",
        ),
        Misconception(
            "induction_divided_by_all_rows",
            _over_all_rows,
            "The sum was divided by T; only T - period rows have a copy before them.",
            "Take the mean over the rows t >= period.",
        ),
        Misconception(
            "induction_argmax_counted",
            _counted_argmax,
            "This counts how often the largest weight is in the right place.",
            "Take the mean of the weights themselves.",
        ),
        Misconception(
            "induction_largest_row",
            _largest_row,
            "The largest weight of a row was taken, not the mean over the rows.",
            "Take the mean.",
        ),
        Misconception(
            "induction_batch_kept",
            _batch_kept,
            "There is a score for every sequence of the batch.",
            "Average over the batch as well: (h,) or (L, h).",
        ),
        Misconception(
            "induction_averaged_over_heads",
            _heads_for_batch,
            "The heads were averaged and the batch was kept.",
            "In (…, B, h, T, T) the batch stands before the heads.",
        ),
        Misconception(
            "induction_heads_in_one",
            _heads_averaged,
            "All heads were put into one number.",
            "Each head has a score of its own.",
        ),
        Misconception(
            "induction_first_sequence_only",
            _first_sequence,
            "Only the first sequence of the batch was looked at.",
            "Average over the batch.",
        ),
        Misconception(
            "induction_period_unchecked",
            _period_unchecked,
            "A period that leaves no row went through.",
            "Raise a ValueError that names the period unless 1 <= period < T.",
        ),
    ),
    equivalents={
        "diagonal": _score_by_diagonal,
        "loop": _score_by_loop,
        "mask and numpy": _score_by_mask,
    },
)

EXERCISES = (count_attention_computations, attention_stack, induction_score)
