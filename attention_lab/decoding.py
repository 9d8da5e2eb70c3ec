"""What writing token by token costs: the cache of keys and values, and the time of one step."""

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from .figures import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, new_figure
from .model_cards import pick
from .training import one_thread

Attend = Callable[..., tuple[Tensor, Tensor]]
Expand = Callable[[Tensor, int], Tensor]
KV_HEADS = (32, 8, 1)


# ---------------------------------------------------------------------------- who shares with whom


def plot_sharing(num_heads: int = 8, kv_heads: Sequence[int] = (8, 2, 1)):
    """Draw which query heads read which key and value head, a panel for each number of the latter.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(11, 2.1, ncols=len(kv_heads))
    words = []
    for ax, count in zip(axes, kv_heads, strict=True):
        kind = "MHA" if count == num_heads else "MQA" if count == 1 else "GQA"
        group = num_heads // count
        for i in range(num_heads):
            theirs = (i // group + 0.5) * group - 0.5  # under the middle of its group
            ax.plot([i, theirs], [1, 0], color=GREY, lw=1, zorder=1)
            _box(ax, i, 1, BLUE, f"q{i}")
        for j in range(count):
            _box(ax, (j + 0.5) * group - 0.5, 0, ORANGE, f"kv{j}")
        ax.set(title=f"{kind}: h = {num_heads}, h_kv = {count}")
        ax.set(xlim=(-1.2, num_heads + 0.2), ylim=(-0.35, 1.35))
        ax.axis("off")
        words.append(f"{kind}, h_kv = {count}, {group} of the query heads to each")
    return figure, f"{num_heads} query heads above, key and value heads below: {'; '.join(words)}."


def _box(ax, x: float, y: float, colour: str, text: str) -> None:
    style = {"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "none"}
    dark = "white" if colour == BLUE else "black"
    ax.text(x, y, text, ha="center", va="center", size=8, color=dark, bbox=style)


# ------------------------------------------------------------------------------------ the cards


class Card(NamedTuple):
    """What a model's cache depends on, and its query heads for comparison."""

    name: str
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    source: str


CARDS = pick(
    Card,
    (
        *("Falcon-7B", "Gemma-2B", "GPT-2", "Qwen2.5-7B", "Mistral-7B"),
        *("Llama-2-70B", "Llama-3.1-405B", "Llama-2-7B"),
    ),
)


def _kind(card: Card) -> str:
    if card.num_kv_heads == card.num_heads:
        return "MHA, h_kv = h"
    return "MQA, h_kv = 1" if card.num_kv_heads == 1 else "GQA"


def plot_cards(bytes_per_token: dict[str, int]):
    """Draw what one token adds to each model's cache.

    Args:
        bytes_per_token: name of a card -> bytes.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(7.6, 3.3)
    kinds = {"MHA, h_kv = h": BLUE, "GQA": ORANGE, "MQA, h_kv = 1": GREEN}
    words, drawn = [], set()
    for card in CARDS:
        kib = bytes_per_token[card.name] / 1024
        kind = _kind(card)
        bar = ax.barh(card.name, kib, color=kinds[kind], label=None if kind in drawn else kind)
        drawn.add(kind)
        sharing = f"h = {card.num_heads}, h_kv = {card.num_kv_heads}"
        text = f"{kib:.0f}   {card.num_layers} layers, {sharing}"
        ax.bar_label(bar, [text], padding=3, color=GREY, size=8)
        words.append(f"{card.name} {kib:.0f} ({card.num_layers} layers, {sharing})")
    ax.set(xlabel="cache for one token (KiB, 2 bytes a value)", xlim=(0, 750))
    ax.legend(loc="lower right", fontsize=8)
    return figure, f"Cache for one token in KiB: {'; '.join(words)}."


def plot_meter(bytes_of: Callable[..., int], name: str, num_tokens: int, batch: int):
    """Draw the caches of all cards at one length and batch, with one model picked out.

    Args:
        bytes_of: `kv_cache_bytes(num_layers, num_kv_heads, head_dim, num_tokens, batch)`.
        name: of the card that is picked out.

    Returns:
        (figure, alt text).
    """
    gib = {
        c.name: bytes_of(c.num_layers, c.num_kv_heads, c.head_dim, num_tokens, batch) / 1024**3
        for c in CARDS
    }
    figure, ax = new_figure(7.6, 3)
    bars = ax.barh(list(gib), gib.values(), color=[BLUE if n == name else GREY for n in gib])
    ax.bar_label(bars, [f"{value:.3g}" for value in gib.values()], padding=3, size=8, color=GREY)
    ax.set(xscale="log", xlim=(1e-3, 1e5), xlabel="KV cache (GiB, 2 bytes a value)")
    ax.grid(True, axis="x")
    order = sorted(gib, key=gib.get)
    return figure, (
        f"{name}: {gib[name]:.3g} GiB for {batch} sequences of {num_tokens:,} tokens, number "
        f"{order.index(name) + 1} of {len(order)} from the smallest. The order never changes: "
        f"{', '.join(order)}."
    )


# -------------------------------------------------------------------------------- a step in time


def draw_cache(
    num_kv_heads: int, *, batch: int = 2, num_tokens: int = 4096, head_dim: int = 128
) -> tuple[Tensor, Tensor]:
    """Random keys and values of one layer, each (B, h_kv, T, d), float32."""
    g = torch.Generator().manual_seed(0)
    shape = (batch, num_kv_heads, num_tokens, head_dim)
    return torch.randn(shape, generator=g), torch.randn(shape, generator=g)


def step_repeated(q: Tensor, keys: Tensor, values: Tensor, attend: Attend, expand: Expand):
    """One query a head against a cache whose heads are repeated first.

    Args:
        q: (B, h, 1, d).
        keys, values: (B, h_kv, T, d).
        attend, expand: `attention.scaled_dot_product_attention` and `sharing.expand_kv`.

    Returns:
        (B, h, 1, d)
    """
    num_heads = q.shape[1]
    return attend(q, expand(keys, num_heads), expand(values, num_heads))[0]


def step_grouped(q: Tensor, keys: Tensor, values: Tensor, attend: Attend):
    """The same without a copy: the queries of a group are the rows of one look-up.

    Args:
        q, keys, values, attend: as for `step_repeated`.

    Returns:
        (B, h, 1, d)
    """
    rows = q.unflatten(1, (keys.shape[1], -1)).squeeze(3)  # (B, h_kv, h / h_kv, d)
    return attend(rows, keys, values)[0].flatten(1, 2).unsqueeze(2)


class StepTimes(NamedTuple):
    """Measured for each number of key and value heads: bytes of the cache, milliseconds a step."""

    kv_heads: tuple[int, ...]
    nbytes: list[int]
    grouped: list[float]
    repeated: list[float]


def measure_steps(
    attend: Attend,
    expand: Expand,
    kv_heads: Sequence[int] = KV_HEADS,
    *,
    num_heads: int = 32,
    rounds: int = 5,
    **sizes: int,
) -> StepTimes:
    """Time the attention of one step, all versions in turns, on one thread.

    Args:
        attend, expand: as for `step_repeated`.
        rounds: calls of each version after a first one that isn't counted; medians are returned.
        **sizes: batch, num_tokens, head_dim of the cache.
    """
    caches = [draw_cache(count, **sizes) for count in kv_heads]
    batch, _, _, head_dim = caches[0][0].shape
    q = torch.randn(batch, num_heads, 1, head_dim, generator=torch.Generator().manual_seed(1))
    versions = {
        "grouped": lambda cache: step_grouped(q, *cache, attend),
        "repeated": lambda cache: step_repeated(q, *cache, attend, expand),
    }
    times = {(name, i): [] for name in versions for i in range(len(caches))}
    turns = [key for _ in range(rounds + 1) for key in times]
    with one_thread(), torch.inference_mode():
        for name, i in tqdm(turns, desc="timing", leave=False):
            start = perf_counter()
            versions[name](caches[i])
            times[name, i].append(1e3 * (perf_counter() - start))
    medians = {name: [median(times[name, i][1:]) for i in range(len(caches))] for name in versions}
    nbytes = [keys.nbytes + values.nbytes for keys, values in caches]
    return StepTimes(tuple(kv_heads), nbytes, **medians)


def plot_steps(measured: StepTimes):
    """Draw the cache and the time of a step for each number of key and value heads.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(11, 2.5, ncols=3)
    names = [f"{count} KV heads" if count > 1 else "1 KV head" for count in measured.kv_heads]
    panels = (
        ("cache", [size / 1e6 for size in measured.nbytes], "MB", SKY),
        ("one step, grouped", measured.grouped, "ms", BLUE),
        ("one step, heads repeated", measured.repeated, "ms", VERMILION),
    )
    words = []
    for ax, (title, values, unit, colour) in zip(axes, panels, strict=True):
        labels = [f"{v:.3g} {unit} = 1/{values[0] / v:.3g}" for v in values]
        bars = ax.barh(names, values, color=colour)
        ax.bar_label(bars, labels, padding=3, color=GREY, size=9)
        quantity = "size (MB)" if unit == "MB" else "median time (ms)"
        ax.set(title=title, xlabel=quantity, xlim=(0, 1.75 * max(values)))
        ax.invert_yaxis()
        read = ", ".join(f"{n} {label}" for n, label in zip(names, labels, strict=True))
        words.append(f"{title}: {read}")
    for ax in axes[1:]:
        ax.set_yticklabels([])
    return figure, f"Bars, fractions of the first one. {'; '.join(words)}."


# ------------------------------------------------------------------------------------- pictures


def wrong_expansions(expand: Expand) -> dict[str, Tensor]:
    """Who reads which key head, 6 query heads and 3 key heads, in four versions.

    Args:
        expand: the right one, `sharing.expand_kv`.

    Returns:
        letter -> (6, 3) boolean, True where query head (row) reads key head (column).
    """
    heads = torch.eye(3).view(1, 3, 1, 3)  # key head j holds a one in place j
    versions = {
        "A": heads.repeat(1, 2, 1, 1),
        "B": heads.repeat_interleave(3, dim=1)[:, :6],
        "C": expand(heads, 6),
        "D": heads.mean(1, keepdim=True).expand(-1, 6, -1, -1),
    }
    return {letter: kv[0, :, 0] > 0 for letter, kv in versions.items()}
