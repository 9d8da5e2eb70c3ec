"""Exercises of notebook 07: scores of where a head looks, its entropy, and its importance."""

import numpy as np
import torch
import torch.nn.functional as F

from autograde.values import HeadLoss
from solutions import roles as reference

from .entry import Case, Exercise, Misconception


def _patterns(*front, tokens=None, causal=False):
    """Draws weights of random scores; `front` names sizes of the draw, or gives numbers."""

    def draw(r):
        sizes = [getattr(r, size) if isinstance(size, str) else size for size in front]
        size = tokens or r.T
        scores = r.normal(*sizes, size, size)
        if causal:
            scores = scores.masked_fill(~torch.ones(size, size).tril().bool(), -torch.inf)
        return {"weights": scores.softmax(-1)}

    return draw


def _planted(r):
    """Head 0 looks at the token before, head 1 at token 0, head 2 at the next, others at all."""
    weights = torch.full((r.B, r.h, r.T, r.T), 1 / r.T)
    weights[:, :3] = 0
    for t in range(r.T):
        weights[:, 0, t, max(0, t - 1)] = 1
        weights[:, 1, t, 0] = 1
        weights[:, 2, t, min(t + 1, r.T - 1)] = 1
    return {"weights": weights}


def _batch_last(per_row):
    """(…, B, h, rows) -> one number a head, the right way."""
    return per_row.mean(-1).mean(-2)


# How a score goes wrong after the right numbers (…, B, h, rows) were picked.
AFTERWARDS = {
    "sum_over_rows": (
        lambda rows: rows.sum(-1).mean(-2),
        "The rows were added up, so that a long sentence gets a high score.",
        "Take the mean over the rows.",
    ),
    "batch_kept": (
        lambda rows: rows.mean(-1),
        "There is a score for every sequence of the batch.",
        "Average over the batch as well: (h,) or (L, h).",
    ),
    "averaged_over_heads": (
        lambda rows: rows.mean(-1).mean(-1),
        "The heads were averaged and the batch was kept.",
        "In (…, B, h, T, T) the batch stands before the heads.",
    ),
    "heads_in_one": (
        lambda rows: _batch_last(rows).mean(-1, keepdim=True),
        "All heads were put into one number.",
        "Each head has a score of its own.",
    ),
    "first_sequence_only": (
        lambda rows: rows[..., 0, :, :].mean(-1),
        "Only the first sequence of the batch was looked at.",
        "Average over the batch.",
    ),
    "summed_over_batch": (
        lambda rows: rows.mean(-1).sum(-2),
        "The sequences of the batch were added up.",
        "Take the mean over the batch.",
    ),
    "layers_averaged": (
        lambda rows: _batch_last(rows).reshape(-1, rows.shape[-2]).mean(0),
        "The layers of a stack were averaged.",
        "Each head of each layer has a score of its own: (L, h).",
    ),
}


def _afterwards(prefix, pick):
    """Misconceptions that pick the right numbers and bring them together wrongly."""
    return tuple(
        Misconception(f"{prefix}_{name}", lambda weights, wrong=wrong: wrong(pick(weights)), *words)
        for name, (wrong, *words) in AFTERWARDS.items()
    )


# ---------------------------------------------------------------------------- previous_token_score


def _refuse(weights):
    rows, columns = weights.shape[-2:]
    if rows != columns or rows < 2:
        raise ValueError(f"{rows} rows, {columns} columns")


def _before(weights):
    _refuse(weights)
    return weights.diagonal(-1, -2, -1)


def _picked(pick):
    """A wrong version that keeps the promised errors and brings rows and batch together rightly."""

    def function(weights):
        _refuse(weights)
        return _batch_last(pick(weights))

    return function


def _wrapped(weights):
    t = torch.arange(weights.shape[-1])
    return weights[..., t, t - 1]  # row 0: column -1, the last


def _hits(weights):
    return (weights[..., 1:, :].argmax(-1) == torch.arange(weights.shape[-1] - 1)).float()


def _one_token_passes(weights):
    if weights.shape[-2] != weights.shape[-1]:
        raise ValueError(f"{tuple(weights.shape[-2:])}")
    return _batch_last(weights.diagonal(-1, -2, -1))


def _not_square_passes(weights):
    if weights.shape[-2] < 2:
        raise ValueError(f"{weights.shape[-2]} token")
    return _batch_last(weights.diagonal(-1, -2, -1))


def _previous_by_loop(weights):
    _refuse(weights)
    size = weights.shape[-1]
    return sum(weights[..., t, t - 1].mean(-2) for t in range(1, size)) / (size - 1)


def _previous_by_mask(weights):
    _refuse(weights)
    w = weights.double().numpy()
    chosen = np.eye(w.shape[-1], k=-1)
    return np.einsum("...bhij,ij->...h", w, chosen) / (w.shape[-4] * chosen.sum())


def _previous_by_index(weights):
    _refuse(weights)
    t = torch.arange(1, weights.shape[-1])
    return weights[..., t, t - 1].mean((-3, -1))


previous_token_score = Exercise(
    name="roles.previous_token_score",
    points=1,
    reference=reference.previous_token_score,
    returns=("the score",),
    cases=(
        Case("one head, one sequence, two tokens", _patterns(1, 1, tokens=2)),
        Case("one sequence", _patterns(1, "h")),
        Case("planted heads", _planted),
        Case("random weights", _patterns("B", "h")),
        Case("weights under a causal mask", _patterns("B", "h", causal=True)),
        Case("a stack of 4 layers", _patterns(4, "B", "h")),
        Case(
            "a single token",
            _patterns("B", "h", tokens=1),
            kind="raises",
            promise=0.1,
            mentions=lambda args: (1,),
        ),
        Case(
            "weights that are not square",
            lambda r: {"weights": r.normal(r.B, r.h, r.T, r.T_k).softmax(-1)},
            kind="raises",
            promise=0.1,
            mentions=lambda args: args["weights"].shape[-2:],
        ),
    ),
    misconceptions=(
        Misconception(
            "previous_rows_and_columns_swapped",
            _picked(lambda w: w.diagonal(1, -2, -1)),
            "This is the weight on the token *after*: rows and columns changed places.",
            "weights[…, t, s] is how much t looks at s. The token before t is s = t - 1.",
        ),
        Misconception(
            "previous_itself",
            _picked(lambda w: w.diagonal(0, -2, -1)[..., 1:]),
            "This is the weight on the token itself.",
            "One to the left of the diagonal: weights[…, t, t - 1].",
        ),
        Misconception(
            "previous_itself_all_rows",
            _picked(lambda w: w.diagonal(0, -2, -1)),
            "This is the mean of the whole diagonal, the weight on the token itself.",
            "One to the left of the diagonal: weights[…, t, t - 1], rows t >= 1.",
        ),
        Misconception(
            "previous_row_0_looks_at_the_end",
            _picked(_wrapped),
            "Row 0 was counted with column -1, which in Python is the *last* token.",
            "Start at t = 1.",
        ),
        Misconception(
            "previous_divided_by_all_rows",
            _picked(lambda w: F.pad(w.diagonal(-1, -2, -1), (1, 0))),
            "Row 0 was counted as a 0; it has no token before it.",
            "Take the mean over the T - 1 rows t >= 1.",
        ),
        Misconception(
            "previous_everything_before",
            _picked(lambda w: w.tril(-1).sum(-1)[..., 1:]),
            "The weights on all earlier tokens were added up.",
            "Only the token just before: one number a row.",
        ),
        Misconception(
            "previous_argmax_counted",
            _picked(_hits),
            "This counts how often the largest weight is in the right place.",
            "Take the mean of the weights themselves.",
        ),
        Misconception(
            "previous_largest_row",
            lambda w: _before(w).amax(-1).mean(-2),
            "The largest weight of a row was taken, not the mean over the rows.",
            "Take the mean.",
        ),
        Misconception(
            "previous_last_row_only",
            lambda w: _before(w)[..., -1].mean(-2),
            "Only the last row was read.",
            "Take the mean over the rows t >= 1.",
        ),
        *_afterwards("previous", _before),
        Misconception(
            "previous_single_token_passes",
            _one_token_passes,
            "A single token has no token before it; the call went through.",
            "Raise a ValueError that names the size.",
        ),
        Misconception(
            "previous_not_square_passes",
            _not_square_passes,
            "Weights with different numbers of rows and columns went through: there “the token before” means nothing.",
            "Raise a ValueError that names both sizes unless they are equal.",
        ),
    ),
    equivalents={
        "loop": _previous_by_loop,
        "mask and numpy": _previous_by_mask,
        "index": _previous_by_index,
    },
)

# ------------------------------------------------------------------------------- first_token_score


def _four(weights):
    if weights.dim() < 4:
        raise ValueError(f"{weights.dim()} dimensions")
    return weights


def _first(weights):
    return _four(weights)[..., 0]


def _column(pick):
    return lambda weights: _batch_last(pick(_four(weights)))


def _first_by_loop(weights):
    _four(weights)
    size = weights.shape[-1]
    return sum(weights[..., t, 0] for t in range(size)).mean(-2) / size


def _first_by_einsum(weights):
    _four(weights)
    one_hot = torch.zeros(weights.shape[-1], dtype=weights.dtype)
    one_hot[0] = 1
    return torch.einsum("...bhij,j->...h", weights, one_hot) / (
        weights.shape[-4] * weights.shape[-2]
    )


def _first_by_numpy(weights):
    return _four(weights).numpy()[..., 0].mean(axis=(-3, -1))


TOO_FEW = Case(
    "weights without a batch",
    lambda r: {"weights": r.normal(r.h, r.T, r.T).softmax(-1)},
    kind="raises",
    promise=0.1,
    mentions=lambda args: (3,),
)

first_token_score = Exercise(
    name="roles.first_token_score",
    points=1,
    reference=reference.first_token_score,
    returns=("the score",),
    cases=(
        Case("one head, one sequence, two tokens", _patterns(1, 1, tokens=2)),
        Case("one sequence", _patterns(1, "h")),
        Case("planted heads", _planted),
        Case("random weights", _patterns("B", "h")),
        Case("weights under a causal mask", _patterns("B", "h", causal=True)),
        Case("a stack of 4 layers", _patterns(4, "B", "h")),
        TOO_FEW,
    ),
    misconceptions=(
        Misconception(
            "first_row_instead_of_column",
            _column(lambda w: w[..., 0, :]),
            "Row 0 was read: what token 0 looks at. A row's weights always have the mean 1/T.",
            "Column 0 holds what all tokens give to token 0: weights[…, t, 0].",
        ),
        Misconception(
            "first_last_token",
            _column(lambda w: w[..., -1]),
            "This is the weight on the last token.",
            "Token 0 is the first column.",
        ),
        Misconception(
            "first_counted_from_one",
            _column(lambda w: w[..., 1]),
            "This is column 1, the second token.",
            "Python counts from 0.",
        ),
        Misconception(
            "first_row_left_out",
            _column(lambda w: w[..., 1:, 0]),
            "Row 0 was left out; token 0 may look at itself as well.",
            "All rows count.",
        ),
        Misconception(
            "first_only_itself",
            lambda w: _four(w)[..., 0, 0].mean(-2),
            "Only token 0's own weight on itself was read.",
            "Take all rows of column 0.",
        ),
        Misconception(
            "first_last_row_only",
            lambda w: _four(w)[..., -1, 0].mean(-2),
            "Only the last row was read.",
            "Take the mean over all rows.",
        ),
        Misconception(
            "first_argmax_counted",
            _column(lambda w: (w.argmax(-1) == 0).float()),
            "This counts how often token 0 has the largest weight.",
            "Take the mean of the weights themselves.",
        ),
        Misconception(
            "first_largest_row",
            lambda w: _first(w).amax(-1).mean(-2),
            "The largest weight of a row was taken, not the mean over the rows.",
            "Take the mean.",
        ),
        *_afterwards("first", _first),
        Misconception(
            "first_dimensions_unchecked",
            lambda w: _batch_last(w[..., 0]),
            "Weights without a batch went on, up to an error of PyTorch's own or a wrong mean.",
            "Raise a ValueError that says how many dimensions there are when they are fewer than four.",
        ),
    ),
    equivalents={
        "loop": _first_by_loop,
        "einsum": _first_by_einsum,
        "numpy": _first_by_numpy,
    },
)

# ------------------------------------------------------------------------------- attention_entropy


def _entropies(weights):
    """(…, B, h, rows), the right way."""
    return -torch.xlogy(_four(weights), weights).sum(-1)


def _rows(entropy):
    """A wrong version with another measure of a row."""
    return lambda weights: _batch_last(entropy(_four(weights)))


def _entropy_of_mean_pattern(weights):
    mean = _four(weights).mean(-4)  # (…, h, T, T)
    return -torch.xlogy(mean, mean).sum(-1).mean(-1)


def _entropy_of_mean_row(weights):
    mean = _four(weights).mean(-2)  # (…, B, h, T)
    return -torch.xlogy(mean, mean).sum(-1).mean(-2)


def _entropy_of_columns(w):
    shares = w / w.sum(-2, keepdim=True).clamp(min=1e-9)
    return -torch.xlogy(shares, shares).sum(-2)


def _narrow_rows_dropped(weights):
    return _batch_last((-(_four(weights) * weights.log())).sum(-1).nan_to_num(0.0))


def _entropy_by_loop(weights):
    _four(weights)
    total = 0
    for row in weights.unbind(-2):
        positive = torch.where(row > 0, row, 1.0)
        total = total - (positive * positive.log()).sum(-1)
    return total.mean(-2) / weights.shape[-2]


def _entropy_by_special(weights):
    return torch.special.entr(_four(weights)).sum(-1).mean((-3, -1))


def _entropy_by_clamp(weights):
    return _batch_last(-(_four(weights) * weights.clamp(min=1e-30).log()).sum(-1))


def _entropy_by_distributions(weights):
    w = _four(weights).double()
    return _batch_last(torch.distributions.Categorical(probs=w, validate_args=False).entropy())


attention_entropy = Exercise(
    name="roles.attention_entropy",
    points=2,
    reference=reference.attention_entropy,
    returns=("the entropy",),
    cases=(
        Case("one head, one sequence, two tokens", _patterns(1, 1, tokens=2)),
        Case("one sequence", _patterns(1, "h")),
        Case("random weights", _patterns("B", "h")),
        Case("a stack of 4 layers", _patterns(4, "B", "h")),
        Case("weights of exactly 0: a causal mask", _patterns("B", "h", causal=True)),
        Case("planted heads: 0 or 1, and all alike", _planted),
        TOO_FEW,
    ),
    misconceptions=(
        Misconception(
            "entropy_in_bits",
            _rows(lambda w: -torch.xlogy(w, w).sum(-1) / np.log(2)),
            "This is the entropy in bits, with the logarithm to base 2.",
            "Nats are asked for: torch.log is the natural logarithm.",
        ),
        Misconception(
            "entropy_sign_forgotten",
            _rows(lambda w: torch.xlogy(w, w).sum(-1)),
            "The sign is wrong: logarithms of weights are negative.",
            "-(w · log w), summed.",
        ),
        Misconception(
            "entropy_nan_at_zero",
            _rows(lambda w: -(w * w.log()).sum(-1)),
            "Where a weight is exactly 0, log 0 = -inf and 0 · (-inf) is NaN.",
            "torch.xlogy(w, w) is w · log w with 0 where w is 0.",
        ),
        Misconception(
            "entropy_rows_with_a_zero_dropped",
            _narrow_rows_dropped,
            "A whole row became 0 as soon as one of its weights was 0.",
            "Mend the single products 0 · log 0, before the sum over the keys.",
        ),
        Misconception(
            "entropy_epsilon_too_large",
            _rows(lambda w: -(w * (w + 1e-3).log()).sum(-1)),
            "What was added before the logarithm shows in the result.",
            "Leave w as it is: torch.xlogy(w, w), or add no more than 1e-9.",
        ),
        Misconception(
            "entropy_mean_over_keys",
            _rows(lambda w: -torch.xlogy(w, w).mean(-1)),
            "The mean over the keys was taken: T times too small.",
            "Entropy is a *sum* over the keys; the mean is over rows and batch.",
        ),
        Misconception(
            "entropy_of_columns",
            _rows(_entropy_of_columns),
            "The columns were scaled to add up to 1, and their entropy was taken: who looks at a token, not where a token looks.",
            "A row is one query's distribution: sum over the last dimension.",
        ),
        Misconception(
            "entropy_softmax_again",
            _rows(lambda w: torch.special.entr(w.softmax(-1)).sum(-1)),
            "The weights went through softmax once more: nearly uniform, whatever the head does.",
            "The weights are probabilities already.",
        ),
        Misconception(
            "entropy_share_of_log_t",
            _rows(lambda w: -torch.xlogy(w, w).sum(-1) / np.log(w.shape[-1])),
            "The entropy was divided by log T: a share between 0 and 1.",
            "Nats are asked for; leave the division out.",
        ),
        Misconception(
            "entropy_as_number_of_keys",
            _rows(lambda w: (-torch.xlogy(w, w).sum(-1)).exp()),
            "This is exp(entropy), the effective number of keys.",
            "Leave the exponential out.",
        ),
        Misconception(
            "entropy_one_minus_squares",
            _rows(lambda w: 1 - (w * w).sum(-1)),
            "This is 1 - sum of squares, another measure of spread.",
            "-(w · log w), summed over the keys.",
        ),
        Misconception(
            "entropy_of_the_largest",
            _rows(lambda w: -w.amax(-1).log()),
            "Only the largest weight of each row was used.",
            "All weights of the row take part in the sum.",
        ),
        Misconception(
            "entropy_batch_averaged_first",
            _entropy_of_mean_pattern,
            "The patterns were averaged over the batch before the entropy was taken: an average of sharp patterns is broad.",
            "First each row's entropy, then the mean.",
        ),
        Misconception(
            "entropy_rows_averaged_first",
            _entropy_of_mean_row,
            "The rows were averaged before the entropy was taken.",
            "First each row's entropy, then the mean.",
        ),
        *_afterwards("entropy", _entropies),
        Misconception(
            "entropy_dimensions_unchecked",
            lambda w: _batch_last(-torch.xlogy(w, w).sum(-1)),
            "Weights without a batch went on, up to an error of PyTorch's own or a wrong mean.",
            "Raise a ValueError that says how many dimensions there are when they are fewer than four.",
        ),
    ),
    equivalents={
        "loop with where": _entropy_by_loop,
        "entr": _entropy_by_special,
        "clamped logarithm": _entropy_by_clamp,
        "torch.distributions": _entropy_by_distributions,
    },
)

# --------------------------------------------------------------------------------- head_importance


def _some(num_layers, num_heads):
    if num_layers < 1 or num_heads < 1:
        raise ValueError(f"{num_layers} layers of {num_heads} heads")


def _without(layer, head, num_layers, num_heads):
    mask = torch.ones(num_layers, num_heads)
    mask[layer, head] = 0
    return mask


def _each(measure):
    """A wrong version: measure(loss_fn, layer, head, L, h) for every head, as a table."""

    def function(loss_fn, num_layers, num_heads):
        _some(num_layers, num_heads)
        rows = [
            [measure(loss_fn, layer, head, num_layers, num_heads) for head in range(num_heads)]
            for layer in range(num_layers)
        ]
        return torch.tensor(rows, dtype=torch.float64)

    return function


def _rise(loss_fn, layer, head, num_layers, num_heads):
    whole = loss_fn(torch.ones(num_layers, num_heads))
    return loss_fn(_without(layer, head, num_layers, num_heads)) - whole


_right = _each(_rise)


def _relative(loss_fn, *where):
    return _rise(loss_fn, *where) / loss_fn(torch.ones(*where[2:]))


def _against_nothing(loss_fn, *where):
    return loss_fn(_without(*where)) - loss_fn(torch.zeros(*where[2:]))


def _alone(loss_fn, *where):
    """Only this head on, against all on."""
    return loss_fn(1 - _without(*where)) - loss_fn(torch.ones(*where[2:]))


def _brought(loss_fn, *where):
    """What the head brings when no other is on."""
    return loss_fn(torch.zeros(*where[2:])) - loss_fn(1 - _without(*where))


def _whole_layer(loss_fn, layer, head, num_layers, num_heads):
    mask = torch.ones(num_layers, num_heads)
    mask[layer] = 0
    return loss_fn(mask) - loss_fn(torch.ones(num_layers, num_heads))


def _column_of_all_layers(loss_fn, layer, head, num_layers, num_heads):
    mask = torch.ones(num_layers, num_heads)
    mask[:, head] = 0
    return loss_fn(mask) - loss_fn(torch.ones(num_layers, num_heads))


def _halved(loss_fn, layer, head, num_layers, num_heads):
    mask = torch.ones(num_layers, num_heads)
    mask[layer, head] = 0.5
    return loss_fn(mask) - loss_fn(torch.ones(num_layers, num_heads))


def _next_head(loss_fn, layer, head, num_layers, num_heads):
    return _rise(loss_fn, layer, (head + 1) % num_heads, num_layers, num_heads)


def _cumulative(per_layer):
    """Heads stay off once they were: up to the end of the layer, or of all."""

    def function(loss_fn, num_layers, num_heads):
        _some(num_layers, num_heads)
        whole = loss_fn(torch.ones(num_layers, num_heads))
        found, off = torch.empty(num_layers, num_heads, dtype=torch.float64), []
        for layer in range(num_layers):
            off = [] if per_layer else off
            for head in range(num_heads):
                off.append((layer, head))
                mask = torch.ones(num_layers, num_heads)
                for place in off:
                    mask[place] = 0
                found[layer, head] = loss_fn(mask) - whole
        return found

    return function


def _one_mask_for_all(loss_fn, num_layers, num_heads):
    _some(num_layers, num_heads)
    whole = loss_fn(torch.ones(num_layers, num_heads))
    mask = torch.ones(num_layers, num_heads)
    found = torch.empty(num_layers, num_heads, dtype=torch.float64)
    for layer in range(num_layers):
        for head in range(num_heads):
            mask[layer, head] = 0
            found[layer, head] = loss_fn(mask) - whole
            mask[layer, head] = 1
    return found


def _copies_of_a_used_mask(loss_fn, num_layers, num_heads):
    _some(num_layers, num_heads)
    every = torch.ones(num_layers, num_heads)
    whole = loss_fn(every)
    found = torch.empty(num_layers, num_heads, dtype=torch.float64)
    for layer in range(num_layers):
        for head in range(num_heads):
            mask = every.clone()
            mask[layer, head] = 0
            found[layer, head] = loss_fn(mask) - whole
    return found


def _boolean_mask(loss_fn, num_layers, num_heads):
    _some(num_layers, num_heads)
    return loss_fn(torch.ones(num_layers, num_heads).bool())


def _flat_mask(loss_fn, num_layers, num_heads):
    _some(num_layers, num_heads)
    return loss_fn(torch.ones(num_layers * num_heads))


def _swapped(loss_fn, num_layers, num_heads):
    return _right(loss_fn, num_layers, num_heads).T


def _head_before_layer(loss_fn, num_layers, num_heads):
    """Filled head by head into (L, h): right for a square table only."""
    return _right(loss_fn, num_layers, num_heads).T.reshape(num_layers, num_heads)


def _nothing_checked(loss_fn, num_layers, num_heads):
    if num_layers < 1 or num_heads < 1:
        return torch.zeros(max(num_layers, 0), max(num_heads, 0))
    return _right(loss_fn, num_layers, num_heads)


def _importance_by_identity(loss_fn, num_layers, num_heads):
    _some(num_layers, num_heads)
    masks = (1 - torch.eye(num_layers * num_heads)).view(-1, num_layers, num_heads)
    losses = torch.tensor([loss_fn(mask) for mask in masks], dtype=torch.float64)
    return losses.view(num_layers, num_heads) - loss_fn(torch.ones(num_layers, num_heads))


def _importance_by_numpy(loss_fn, num_layers, num_heads):
    _some(num_layers, num_heads)
    found = np.zeros((num_layers, num_heads))
    for place in np.ndindex(found.shape):
        mask = np.ones_like(found)
        mask[place] = 0
        found[place] = loss_fn(torch.from_numpy(mask))
    return found - loss_fn(torch.ones(num_layers, num_heads))


def _importance_in_float32(loss_fn, num_layers, num_heads):
    _some(num_layers, num_heads)
    whole = torch.tensor(loss_fn(torch.ones(num_layers, num_heads)))
    losses = []
    for number in range(num_layers * num_heads):
        mask = torch.ones(num_layers, num_heads)
        mask[number // num_heads, number % num_heads] = 0
        losses.append(torch.tensor(loss_fn(mask)))
    return (torch.stack(losses) - whole).unflatten(0, (num_layers, num_heads))


def _loss(num_layers, num_heads, *, together=0.3, spoils=False, harmful=False):
    """Draws a loss in which every pair of heads acts together; sizes by name or number."""

    def draw(r):
        layers = getattr(r, num_layers) if isinstance(num_layers, str) else num_layers
        heads = getattr(r, num_heads) if isinstance(num_heads, str) else num_heads
        count = layers * heads
        alone = r.normal(layers, heads).double()
        if harmful:
            alone = -alone.abs() - 0.25
        pairs = r.normal(count, count, std=together).double() if together else torch.zeros(1)
        pairs = pairs.double().expand(count, count).tril(-1)
        loss = HeadLoss(alone, pairs, base=1 + r.one_of(1, 2, 3) / 4, spoils=spoils)
        return {"loss_fn": loss, "num_layers": layers, "num_heads": heads}

    return draw


def _no(**sizes):
    """A model without layers or heads, and a loss of some other one."""
    return lambda r: {**_loss(2, 3)(r), **sizes}


head_importance = Exercise(
    name="roles.head_importance",
    points=4,
    reference=reference.head_importance,
    returns=("the importance",),
    cases=(
        Case("one layer, one head", _loss(1, 1)),
        Case("one layer, no head acts with another", _loss(1, "h", together=0)),
        Case("2 layers, no head acts with another", _loss(2, "h", together=0)),
        Case("one layer, heads act together", _loss(1, "h")),
        Case("4 layers, heads act together", _loss(4, "h")),
        Case("more heads than layers", _loss(2, "T")),
        Case("the model is better off without any head", _loss(2, "h", harmful=True)),
        Case(
            "a loss_fn that writes into the mask it was given",
            _loss(4, "h", spoils=True),
            promise=0.2,
        ),
        Case("no layer", _no(num_layers=0), kind="raises", promise=0.1, mentions=lambda a: (0,)),
        Case("no head", _no(num_heads=0), kind="raises", promise=0.1, mentions=lambda a: (0,)),
    ),
    misconceptions=(
        Misconception(
            "importance_sign_reversed",
            lambda f, n, h: -_right(f, n, h),
            "The sign is reversed: this is how much the loss *falls* when the head is off.",
            "Loss without the head, minus loss with all heads.",
        ),
        Misconception(
            "importance_without_sign",
            lambda f, n, h: _right(f, n, h).abs(),
            "The sign was dropped; a head can also do harm, and then its importance is negative.",
            "Leave abs() out.",
        ),
        Misconception(
            "importance_negative_cut",
            lambda f, n, h: _right(f, n, h).clamp(min=0),
            "Negative values became 0; a head can also do harm.",
            "Leave the numbers as they are.",
        ),
        Misconception(
            "importance_loss_itself",
            _each(lambda f, *where: f(_without(*where))),
            "This is the loss without the head, not the rise.",
            "Subtract the loss with all heads on.",
        ),
        Misconception(
            "importance_relative",
            _each(_relative),
            "The rise was divided by the loss with all heads on.",
            "The units of the loss are asked for: only subtract.",
        ),
        Misconception(
            "importance_shares",
            lambda f, n, h: _right(f, n, h) / _right(f, n, h).sum(),
            "The values were scaled to add up to 1.",
            "The units of the loss are asked for.",
        ),
        Misconception(
            "importance_scaled_to_largest",
            lambda f, n, h: _right(f, n, h) / _right(f, n, h).abs().max(),
            "The values were divided by the largest.",
            "The units of the loss are asked for.",
        ),
        Misconception(
            "importance_heads_stay_off",
            _cumulative(per_layer=False),
            "A head that was switched off stayed off while the next ones were measured.",
            "A fresh mask of ones for every head.",
        ),
        Misconception(
            "importance_heads_stay_off_in_layer",
            _cumulative(per_layer=True),
            "The mask was renewed for every layer only: within a layer, heads stayed off.",
            "A fresh mask of ones for every *head*, inside the inner loop.",
        ),
        Misconception(
            "importance_mask_inverted",
            _each(_alone),
            "The mask is upside down: this head alone was on, all others off.",
            "1.0 = on. A mask of ones with a single 0.",
        ),
        Misconception(
            "importance_against_no_heads",
            _each(_against_nothing),
            "What was subtracted is the loss with *no* head on.",
            "Subtract the loss with all heads on: a mask of ones.",
        ),
        Misconception(
            "importance_alone_against_none",
            _each(_brought),
            "This is what the head brings when no other head is on.",
            "All other heads stay on; only this one is switched off.",
        ),
        Misconception(
            "importance_whole_layer_off",
            _each(_whole_layer),
            "The whole layer was switched off.",
            "mask[layer, head] = 0, not mask[layer] = 0.",
        ),
        Misconception(
            "importance_off_in_all_layers",
            _each(_column_of_all_layers),
            "The head's number was switched off in all layers at once.",
            "mask[layer, head] = 0, not mask[:, head] = 0.",
        ),
        Misconception(
            "importance_half_off",
            _each(_halved),
            "The head was only turned down to one half.",
            "Off is 0.0.",
        ),
        Misconception(
            "importance_next_head",
            _each(_next_head),
            "Each value belongs to the head after it: counting went off by one.",
            "Heads are numbered from 0.",
        ),
        Misconception(
            "importance_transposed",
            _swapped,
            "The table is (h, L).",
            "Layers are the rows: (L, h).",
        ),
        Misconception(
            "importance_wrong_order",
            _head_before_layer,
            "The numbers were filled in head by head, into a table that is read layer by layer.",
            "Outer loop over the layers, inner loop over the heads.",
        ),
        Misconception(
            "importance_flat",
            lambda f, n, h: _right(f, n, h).flatten(),
            "All heads stand in one row.",
            "A table (L, h) is asked for.",
        ),
        Misconception(
            "importance_layers_averaged",
            lambda f, n, h: _right(f, n, h).mean(0),
            "The layers were averaged.",
            "One number for each head of each layer: (L, h).",
        ),
        Misconception(
            "importance_boolean_mask",
            _boolean_mask,
            "loss_fn was given a boolean mask; it multiplies, so it wants 1.0 and 0.0.",
            "torch.ones(num_layers, num_heads) is floating point already.",
        ),
        Misconception(
            "importance_flat_mask",
            _flat_mask,
            "loss_fn was given a mask in one row.",
            "The mask is a table: torch.ones(num_layers, num_heads).",
        ),
        Misconception(
            "importance_one_mask_for_all",
            _one_mask_for_all,
            "One mask served all calls; loss_fn may write into the mask it was given.",
            "Make the mask inside the loop: torch.ones(num_layers, num_heads).",
        ),
        Misconception(
            "importance_copies_of_a_used_mask",
            _copies_of_a_used_mask,
            "The masks are copies of one that loss_fn had already been given, and may have written into.",
            "Make every mask afresh: torch.ones(num_layers, num_heads).",
        ),
        Misconception(
            "importance_sizes_unchecked",
            _nothing_checked,
            "A model without heads went through.",
            "Raise a ValueError that names the number when L or h is below 1.",
        ),
    ),
    equivalents={
        "masks from an identity matrix": _importance_by_identity,
        "numpy": _importance_by_numpy,
        "float32 throughout": _importance_in_float32,
        "loss with all heads measured again and again": _right,
    },
)

EXERCISES = (previous_token_score, first_token_score, attention_entropy, head_importance)
