"""What notebook 01 shows: a sentence with hand-made queries, keys and values, and an experiment."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from attention_lab.figures import BLUE, GREEN, GREY, ORANGE, heat_map, new_figure

FEATURES = ("being", "thing", "action", "state")  # what a query looks for, what a key offers
VALUES = ("alive", "drinkable", "past")  # what a value holds
STRENGTH = 8.0  # how loudly a query asks; a key offers with 1

# token: (looks for, offers, holds)
WORDS = {
    "the": (["being"], [], []),
    "cat": (["action"], ["being"], ["alive"]),
    "drank": (["being", "thing"], ["action"], ["past"]),
    "milk": (["action"], ["thing"], ["drinkable"]),
    "because": (["state"], [], []),
    "it": (["being"], [], []),
    "was": (["state"], [], ["past"]),
    "thirsty": (["being"], ["state"], ["alive"]),
}

MEASURED = (
    "variance",
    "largest",
    "entropy",
    "slope",
    "typical slope",
    "to query",
    "typical to query",
)


class Sentence(NamedTuple):
    """A sentence of T tokens, ready to be looked things up in.

    tokens: T words; q, k: queries and keys (T, d); v: values (T, d_v).
    """

    tokens: list[str]
    q: Tensor
    k: Tensor
    v: Tensor


def readable_sentence() -> Sentence:
    """Make "the cat drank milk because it was thirsty" with numbers that were written by hand.

    Returns:
        Sentence with T = 8, d = 4 (columns `FEATURES`) and d_v = 3 (columns `VALUES`), float32.
    """

    def table(column: int, names: Sequence[str]) -> Tensor:
        rows = [[float(name in word[column]) for name in names] for word in WORDS.values()]
        return torch.tensor(rows)

    q, k, v = STRENGTH * table(0, FEATURES), table(1, FEATURES), table(2, VALUES)
    return Sentence(list(WORDS), q, k, v)


def plot_tables(sentence: Sentence):
    """Draw queries, keys and values side by side.

    Args:
        sentence: as made by `readable_sentence`.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(9, 3.6, ncols=3, sharey=True)
    tables = (
        ("q: looks for", sentence.q, FEATURES, STRENGTH),
        ("k: offers", sentence.k, FEATURES, 1.0),
        ("v: holds", sentence.v, VALUES, 1.0),
    )
    for ax, (title, table, columns, vmax) in zip(axes, tables, strict=True):
        labels = dict(row_labels=sentence.tokens, column_labels=columns, x_label="component")
        heat_map(ax, table, title=title, vmax=vmax, digits=0, **labels)
    axes[0].set_ylabel("token")
    words = (
        f"{token}: " + ", ".join(" and ".join(names) or "nothing" for names in word)
        for token, word in WORDS.items()
    )
    alt = "Three tables. What each token looks for, offers and holds. " + "; ".join(words) + "."
    return figure, alt


def plot_masks(masks: Tensor, titles: Sequence[str]):
    """Draw masks side by side, 1 = may attend.

    Args:
        masks: boolean (n, T_q, T_k).
        titles: n of them.

    Returns:
        The figure.
    """
    figure, axes = new_figure(9, 3.4, ncols=len(masks), sharey=True)
    labels = dict(row_labels=range(masks.shape[1]), column_labels=range(masks.shape[2]))
    for ax, mask, title in zip(axes, masks, titles, strict=True):
        heat_map(ax, mask, title=title, x_label="key (position)", digits=0, **labels)
        ax.tick_params(axis="x", rotation=0)
    axes[0].set_ylabel("query (position)")
    return figure


def four_pictures(sentence: Sentence, mask: Tensor) -> dict[str, Tensor]:
    """Compute the attention weights that four well-known mistakes give.

    Args:
        sentence: with q and k (T, d).
        mask: boolean (T, T), True = may attend.

    Returns:
        Weights (T, T) by letter, A to D. With the identity as values, an attention's output is its
        weights, so that PyTorch's own function, called wrongly, makes every picture.
    """
    q, k = sentence.q[None], sentence.k[None]
    eye = torch.eye(q.shape[-2])[None]
    attend = F.scaled_dot_product_attention
    pictures = {
        "A": attend(q, k, eye) * mask,
        "B": attend(q, k, eye, attn_mask=mask, scale=1.0),
        "C": attend(q, k, eye, attn_mask=~mask),
        "D": attend(k, q, eye, attn_mask=mask.T).transpose(-2, -1),
    }
    return {letter: weights[0] for letter, weights in pictures.items()}


def describe_weights(tokens: Sequence[str], weights: Tensor, token: str) -> str:
    """Say in words what a heat map shows: the range of its sums, and one row.

    Args:
        tokens: T words.
        weights: (T, T).
        token: whose row is read out.

    Returns:
        A sentence for an alt text.
    """
    rows, columns = weights.sum(1), weights.sum(0)
    row = weights[list(tokens).index(token)]
    seen = ", ".join(f"{t} {w:.2f}" for t, w in zip(tokens, row.tolist(), strict=True) if w > 0.005)
    return (
        f"rows sum to {rows.min():.2f} to {rows.max():.2f}, "
        f"columns to {columns.min():.2f} to {columns.max():.2f}; row '{token}': {seen}"
    )


def measure_saturation(
    attend: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    widths: Sequence[int],
    seeds: Sequence[int],
    scaled: bool,
    num_queries: int = 300,
    num_keys: int = 16,
) -> dict[str, Tensor]:
    """Measure how sure of itself the softmax is for random queries and keys of width d.

    All components are independent N(0, 1), and every query has keys of its own. To undo the
    scaling that `attend` does, the queries are multiplied by sqrt(d) first.

    Args:
        attend: attention(q, k, v) -> (out, weights) that divides the scores by sqrt(d).
        widths: the values of d.
        seeds: one measurement each.
        scaled: False undoes the scaling.
        num_queries, num_keys: for each seed and width.

    Returns:
        By name, (widths, seeds): "variance" of the scores; mean "largest" weight of a query; mean
        "entropy" in nats; "slope", the Frobenius norm of the softmax's Jacobian (num_keys by
        num_keys), its mean over queries and, "typical slope", its median; "to query" and "typical
        to query", the same two for the derivative of the weights by the query.
    """
    table = torch.empty(len(MEASURED), len(widths), len(seeds), dtype=torch.float64)
    for i, d in enumerate(tqdm(widths, desc="width", leave=False)):
        for j, seed in enumerate(seeds):
            random = torch.Generator().manual_seed(seed)
            q = torch.randn(num_queries, 1, d, generator=random, dtype=torch.float64)
            k = torch.randn(num_queries, num_keys, d, generator=random, dtype=torch.float64)
            factor = d**-0.5 if scaled else 1.0
            scores = factor * q @ k.transpose(1, 2)
            with torch.no_grad():
                _, weights = attend(factor * d**0.5 * q, k, k[..., :1])
            p = torch.as_tensor(weights, dtype=torch.float64)[:, 0]  # (queries, keys)
            jacobian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
            slope = jacobian.flatten(1).norm(dim=1)
            to_query = (factor * jacobian @ k).flatten(1).norm(dim=1)
            entropy = -torch.special.xlogy(p, p).sum(-1)
            table[:, i, j] = torch.stack(
                [
                    scores.var(),
                    p.amax(-1).mean(),
                    entropy.mean(),
                    slope.mean(),
                    slope.median(),
                    to_query.mean(),
                    to_query.median(),
                ]
            )
    return dict(zip(MEASURED, table, strict=True))


def plot_saturation(widths: Sequence[int], plain: dict, scaled: dict, num_keys: int = 16):
    """Draw variance, largest weight and typical slope against the width d.

    Args:
        widths: the values of d.
        plain, scaled: what `measure_saturation` returned without and with the scaling.
        num_keys: as measured.

    Returns:
        The figure. Lines are means over the seeds, bands go from the lowest to the highest seed.
    """
    figure, axes = new_figure(10, 3.6, ncols=3)
    panels = ("variance", "largest", "typical slope")
    for ax, name in zip(axes, panels, strict=True):
        for values, colour, marker, label in (
            (plain[name], ORANGE, "o", "not scaled: q·k"),
            (scaled[name], BLUE, "s", "scaled: q·k / √d"),
        ):
            ax.plot(widths, values.mean(1), color=colour, marker=marker, label=label)
            ax.fill_between(widths, values.amin(1), values.amax(1), color=colour, alpha=0.3)
        ax.set_xscale("log", base=2)
        ax.set_xticks(widths, [str(d) for d in widths])
        ax.set_xlabel("width d (components)")
        ax.grid(True)
    ax = axes[0]
    ax.plot(widths, widths, color=GREEN, linestyle=":", label="proven: d")
    ax.set(yscale="log", ylabel="variance of the scores", title="the scores spread")
    ax.legend()
    ax = axes[1]
    ax.axhline(1 / num_keys, color=GREY, linestyle=":")
    ax.text(widths[-1], 1 / num_keys, f"even: 1/{num_keys}", ha="right", va="bottom")
    ax.set(ylim=(0, 1), ylabel="mean largest weight", title="one key takes it all")
    ax = axes[2]
    ax.set(yscale="log", ylabel="median norm of ∂weights/∂scores", title="the gradient fades")
    return figure
