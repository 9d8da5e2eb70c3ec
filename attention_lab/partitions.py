"""How many heads: one width in 1 to 96 slices, keys made narrow alone, and low rank in numbers.

Task and reader are those of `attention_lab.lookups` (notebook 02): every token asks for the values
of m = 4 other tokens; names fill 12 dimensions. The total width h·d stays 96, so all readers of the
curve have the same number of parameters. `python -m attention_lab.partitions record` repeats the
recorded runs (about 20 minutes).
"""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .figures import BLUE, GREEN, GREY, MAP, ORANGE, PALETTE, SKY, VERMILION, new_figure
from .lookups import Heads, LookupTask, Reader, measure
from .model_cards import pick
from .recordings import FOLDER, command_line, draw_live, make_runs, read_runs, select, write_runs
from .training import one_thread, train

RECORDED = FOLDER / "partitions.json"
TASK = LookupTask(num_lookups=4)
WIDTH = 96  # h·d of every reader
HEAD_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 96)  # all divisors of the width
KEY_WIDTHS = (1, 2, 3, 4, 6, 8, 12)  # of the readers whose keys alone are narrow
STEPS = 600
LONGER = 1800
LEARNING_RATE = 0.01


# --------------------------------------------------------------------------------------- running


@dataclass(frozen=True)
class Run:
    """One training and what it left unexplained on fresh sequences.

    Attributes:
        key_width, value_width: d_k and d_v of each head; equal in the curve.
        unexplained: for each look-up the mean squared error, as a share of the answers' variance
            (which is 1): 0 = always right, 1 = no better than answering 0.
        steps: how many were made; fewer than `planned` when somebody pressed stop.
        seconds: of wall time for the training.
    """

    num_heads: int
    key_width: int
    value_width: int
    seed: int
    steps: int
    planned: int
    parameters: int
    unexplained: tuple[float, ...]
    seconds: float

    @property
    def share(self) -> float:
        """The unexplained share, mean over the look-ups."""
        return sum(self.unexplained) / len(self.unexplained)


class Trained(NamedTuple):
    """A training's result and the reader itself."""

    run: Run
    reader: Reader


def make_reader(
    num_heads: int, key_width: int | None = None, heads: Heads | None = None, seed: int = 0
) -> Reader:
    """Make an untrained reader of `num_heads` heads, each 96 / h wide.

    Args:
        num_heads: h, a divisor of 96.
        key_width: d_k, if queries and keys shall have another width than the values.
        heads: a function (x, w_q, w_k, w_v) -> (out (B, h, T, d), weights), such as
            `mha_lib.single.independent_heads`; None computes it with PyTorch's fused attention.
        seed: fixes the first weights.

    Raises:
        ValueError: if h does not divide 96, or the key width is below 1.
    """
    reader = Reader(TASK, num_heads, heads=heads, heads_width=WIDTH, seed=seed)
    if key_width is None:
        return reader
    if key_width < 1:
        raise ValueError(f"keys must be 1 or more wide, got {key_width}")
    generator = torch.Generator().manual_seed(2_000_000 + seed)
    shape = (*reader.w_q.shape[:2], key_width)
    reader.w_q, reader.w_k = (
        nn.Parameter(torch.randn(shape, generator=generator) * 0.1) for _ in range(2)
    )
    return reader


def train_one(
    num_heads: int,
    *,
    key_width: int | None = None,
    heads: Heads | None = None,
    seed: int = 0,
    steps: int = STEPS,
    progress: bool = True,
) -> Trained:
    """Train one reader on `steps` batches of 16 fresh sequences, then measure it on 2 000 others.

    Args:
        seed: fixes first weights and batches; the sequences of the measurement are always the same.
        others: as for `make_reader` and `training.train`.
    """
    reader = make_reader(num_heads, key_width, heads, seed)
    generator = torch.Generator().manual_seed(1_000_000 + seed)

    def batch_loss() -> Tensor:
        batch = TASK.draw(16, generator)
        return F.mse_loss(reader(batch.x), batch.answers)

    training = train(
        reader,
        batch_loss,
        steps=steps,
        learning_rate=LEARNING_RATE,
        label=f"h = {num_heads}, d = {WIDTH // num_heads}",
        progress=progress,
    )
    with one_thread():
        shares = measure(reader)
    run = Run(
        num_heads=num_heads,
        key_width=reader.w_k.shape[-1],
        value_width=reader.w_v.shape[-1],
        seed=seed,
        steps=training.steps,
        planned=steps,
        parameters=sum(p.numel() for p in reader.parameters()),
        unexplained=tuple(round(share, 4) for share in shares),
        seconds=training.seconds,
    )
    return Trained(run, reader)


def train_several(head_counts: Iterable[int], **arguments) -> list[Trained]:
    """Train one reader for each head count; after a stop, what is there is returned.

    Args:
        head_counts: divisors of 96, e.g. (2, 8, 16).
        **arguments: for `train_one`; other seeds: `seed=3`, longer: `steps=2000`.
    """
    done: list[Trained] = []
    try:
        for num_heads in head_counts:
            done.append(train_one(num_heads, **arguments))
            run = done[-1].run
            print(
                f"h = {num_heads:2}, d = {run.value_width:2}: {run.parameters} parameters, "
                f"unexplained {run.share:.3f}"
            )
            if run.steps < run.planned:
                break
    except KeyboardInterrupt:
        print("Stopped between two trainings; the finished ones are kept.")
    return done


# -------------------------------------------------------------------------------- recorded runs


def recorded_runs(path: Path = RECORDED) -> list[Run]:
    """The runs that came with the course; `record` repeats them."""
    return read_runs(path, Run)


def the_curve(runs: Iterable[Run]) -> list[Run]:
    """Those runs in which keys and values share the width out: d_k = d_v = 96 / h."""
    usual = [run for run in runs if run.key_width == run.value_width == WIDTH // run.num_heads]
    return select(usual, planned=STEPS)


def narrow_keys(runs: Iterable[Run]) -> list[Run]:
    """Those runs with 4 heads and values 24 wide, in which d_k alone differs."""
    return select(runs, num_heads=4, value_width=WIDTH // 4, planned=STEPS)


def plan(seeds: int = 10) -> list[dict]:
    """The recorded runs: the curve, keys made narrow or wide alone, and longer training."""
    curve = [{"num_heads": h} for h in HEAD_COUNTS]
    narrow = [{"num_heads": 4, "key_width": d_k} for d_k in KEY_WIDTHS]
    wide = [{"num_heads": 32, "key_width": 12}]
    longer = [{"num_heads": h, "steps": LONGER} for h in (32, 96)]
    return [
        {**arguments, "seed": seed}
        for arguments in curve + narrow + wide + longer
        for seed in range(seeds)
    ]


def record(path: Path, runs: list[dict]) -> None:
    """Make the planned runs and write them to `path`; a stop writes those that are finished."""
    done = make_runs(runs, lambda **job: train_one(**job).run)
    write_runs(path, "python -m attention_lab.partitions record", TASK, runs=done)


# ------------------------------------------------------------------------------------ the curve


def plot_slices(width: int = WIDTH, head_counts: Iterable[int] = (1, 2, 4, 8, 32, 96)):
    """Draw one width cut into h slices, one bar for each head count, to scale.

    Returns:
        (figure, alt text).
    """
    counts = list(head_counts)
    figure, ax = new_figure(8, 0.5 * len(counts) + 0.7)
    for row, h in enumerate(counts):
        d = width // h
        for i in range(h):
            ax.barh(row, d, left=i * d, height=0.7, color=(SKY, BLUE)[i % 2], linewidth=0)
    ax.set_yticks(range(len(counts)), [f"h = {h}, d = {width // h}" for h in counts])
    ax.invert_yaxis()
    ax.set(xlabel=f"columns of W_Q (the same in W_K and W_V); h·d = {width}", xlim=(0, width))
    ax.spines[:].set_visible(False)
    cuts = ", ".join(f"{h} of {width // h}" for h in counts)
    alt = (
        f"The same {width} columns cut into heads in {len(counts)} ways, all bars as long: {cuts}."
    )
    return figure, alt


def plot_curve(live: list[Run], recorded: list[Run], floor: Callable[[int, int], float]):
    """Draw the unexplained share against the number of heads: linear, and logarithmic.

    Args:
        live: runs of this notebook; hollow where training was stopped early.
        recorded: all recorded ones; those of `the_curve` are drawn.
        floor: `unexplained_floor(num_heads, num_lookups)`.

    Returns:
        (figure, alt text).
    """
    shown = the_curve(recorded)
    place = {h: number for number, h in enumerate(HEAD_COUNTS)}
    figure, axes = new_figure(11, 4, ncols=2)
    for ax in axes:
        for number, h in enumerate(HEAD_COUNTS):
            level = floor(h, TASK.num_lookups)
            if level > 0:
                ends = [number - 0.4, number + 0.4]
                label = "floor 1 - h/m" if number == 0 else None
                ax.plot(ends, [level] * 2, color=VERMILION, linewidth=3, label=label)
        _dots(ax, shown, [place[run.num_heads] for run in shown])
        places = [place[run.num_heads] for run in live]
        draw_live(ax, live, places, [_visible(run.share) for run in live])
        between = (place[8] + place[12]) / 2
        ax.axvline(between, color=GREEN, linestyle="--", label="d = width of a name, 12")
        names = [f"{h}\n{WIDTH // h}" for h in HEAD_COUNTS]
        ax.set_xticks(range(len(HEAD_COUNTS)), names)
        ax.set_xlabel("upper row: heads h; lower row: width of a head d = 96 / h")
        ax.grid(True, axis="y")
    axes[0].set(ylabel="unexplained share of variance", ylim=(-0.03, 1), title="linear scale")
    axes[1].set(yscale="log", ylim=(0.7e-4, 1.5), title="the same, logarithmic")
    axes[0].legend(loc="upper right")
    medians = "; ".join(f"h = {h}: {median(select(shown, num_heads=h)):.4f}" for h in HEAD_COUNTS)
    alt = (
        "Unexplained share against the number of heads at equal width and parameters. It falls "
        "along the floor to h = 4, stays near 0 up to h = 8, and rises from h = 12 on, where heads "
        f"are narrower than a name. Recorded medians: {medians}."
    )
    return figure, alt


def plot_cut(recorded: list[Run], num_heads: int):
    """Draw one partition of the columns, and where it stands on the curve.

    Args:
        recorded: all recorded runs; the medians of `the_curve` are drawn.

    Returns:
        (figure, alt text).
    """
    shown = the_curve(recorded)
    medians = [median(select(shown, num_heads=h)) for h in HEAD_COUNTS]
    here = HEAD_COUNTS.index(num_heads)
    figure, (left, right) = new_figure(11, 3, ncols=2)
    head_dim = WIDTH // num_heads
    for number in range(num_heads):
        colour = PALETTE[number % 2]
        left.barh(0, head_dim, left=number * head_dim, color=colour, edgecolor="white", lw=0.5)
    left.set(yticks=[], xlabel="column of W_Q, W_K and W_V", xlim=(0, WIDTH), ylim=(-1, 1))
    left.set_title(f"{num_heads} heads of {head_dim}")
    right.plot(range(len(HEAD_COUNTS)), medians, color=GREY, marker="o")
    right.plot([here], [medians[here]], color=VERMILION, marker="o", markersize=12)
    right.set_xticks(range(len(HEAD_COUNTS)), HEAD_COUNTS)
    right.set(xlabel="heads", ylabel="unexplained share\n(median of 10 seeds)", ylim=(-0.03, 1))
    right.grid(True, axis="y")
    return figure, (
        f"{num_heads} heads share {WIDTH} columns, {head_dim} each. Median unexplained share over "
        f"the recorded seeds: {medians[here]:.4f}. Parameters: {shown[0].parameters}, as in every "
        "cut."
    )


def _visible(share: float) -> float:
    return max(share, 1e-4)  # for a logarithmic scale


def _dots(ax, runs: list[Run], places: list[float], colour: str = GREY, label: str | None = None):
    """One point a seed, side by side so that equal results stay visible."""
    xs = [place + 0.05 * (run.seed - 4.5) for place, run in zip(places, runs, strict=True)]
    ys = [_visible(run.share) for run in runs]
    label = label or "recorded, one point a seed"
    ax.scatter(xs, ys, s=14, color=colour, alpha=0.7, label=label, zorder=3)


def median(runs: list[Run]) -> float:
    """The median unexplained share."""
    return torch.tensor([run.share for run in runs], dtype=torch.float64).quantile(0.5).item()


def summary(runs: Iterable[Run]) -> str:
    """A table in plain text: for each kind of reader the seeds, median, lowest and highest."""
    runs = list(runs)
    kinds = dict.fromkeys((r.num_heads, r.key_width, r.value_width, r.planned) for r in runs)
    lines = ["  h  d_k  d_v  steps  parameters  seeds  median  lowest  highest"]
    for h, d_k, d_v, steps in kinds:
        group = select(runs, num_heads=h, key_width=d_k, value_width=d_v, planned=steps)
        shares = [run.share for run in group]
        lines.append(
            f"{h:3d}  {d_k:3d}  {d_v:3d}  {steps:5d}  {group[0].parameters:10d}  {len(group):5d}  "
            f"{median(group):6.4f}  {min(shares):6.4f}  {max(shares):7.4f}"
        )
    return "\n".join(lines)


def plot_controls(recorded: list[Run]):
    """Draw what keys alone do: d_k from 1 to 24 at 4 heads, and 32 heads with keys widened.

    Returns:
        (figure, alt text).
    """
    curve = the_curve(recorded)
    alone = sorted(narrow_keys(recorded), key=lambda run: run.key_width)  # h = 4, d_v = 24
    figure, (left, right) = new_figure(11, 3.8, ncols=2, width_ratios=(3, 2))
    widths = sorted({run.key_width for run in alone})
    _dots(left, alone, [widths.index(run.key_width) for run in alone], BLUE, "one point a seed")
    left.set_xticks(range(len(widths)), [str(w) for w in widths])
    left.axvline(widths.index(12), color=GREEN, linestyle="--", label="width of a name, 12")
    left.set(
        xlabel="width of queries and keys d_k (4 heads; values 24 wide throughout)",
        ylabel="unexplained share of variance",
        ylim=(-0.03, 1),
        title="d_k alone",
    )
    left.legend()
    groups = {
        "d_k = d_v = 3": select(curve, num_heads=32),
        "... trained\n3 times as long": select(recorded, num_heads=32, planned=LONGER),
        "d_k = 12\nd_v = 3": select(recorded, num_heads=32, key_width=12),
    }
    for place, runs in enumerate(groups.values()):
        _dots(right, runs, [place] * len(runs), ORANGE)
    right.set_xticks(range(len(groups)), list(groups))
    right.set(title="32 heads", ylim=(0, None), xlim=(-0.5, len(groups) - 0.5))
    right.set_ylabel("unexplained share (another scale)")
    for ax in (left, right):
        ax.grid(True, axis="y")
    falls = ", ".join(f"{w}: {median(select(alone, key_width=w)):.3f}" for w in widths)
    said = "; ".join(
        f"{' '.join(name.split())} {median(runs):.4f}" for name, runs in groups.items() if runs
    )
    alt = (
        "Left: 4 heads with values 24 wide; the unexplained share falls as d_k grows, and is "
        f"near 0 from 12 on. Medians by d_k: {falls}. Right: 32 heads: {said}."
    )
    return figure, alt


# ------------------------------------------------------------------------------ what is in a head


def side_by_side(reader: Reader) -> tuple[Tensor, Tensor, int]:
    """A reader's w_q and w_k as a layer keeps them, (D, h·d), and h; D without the values."""
    w_q, w_k = (w.detach().transpose(0, 1).flatten(1) for w in (reader.w_q, reader.w_k))
    return w_q, w_k, len(reader.w_q)


def plot_spectra(trained: list[Trained], show_first: int = 50):
    """Draw the singular values of every head's W_Q W_K^T, as a share of the head's largest.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(11, 3.2, ncols=len(trained), sharey=True, squeeze=False)
    words = []
    for ax, (run, reader) in zip(axes[0], trained, strict=True):
        values = relative_spectra(reader)
        for i, one in enumerate(values[:, :show_first]):
            ax.plot(
                range(1, len(one) + 1), one.tolist(), color=PALETTE[i % 6], linewidth=1, alpha=0.8
            )
        ax.axvline(12, color=GREEN, linestyle="--", label="width of a name, 12")
        ax.axvline(run.key_width, color=VERMILION, linestyle=":", label="width of a head, d")
        ax.set(xlabel="singular value, largest first")
        ax.set_title(f"h = {run.num_heads}, d = {run.key_width}, one line a head")
        large = (values > 0.2).sum(1)
        words.append(
            f"h = {run.num_heads}, d = {run.key_width}: {large.min()} to {large.max()} singular "
            "values a head above a fifth of the largest"
        )
    axes[0, 0].set_ylabel("share of the largest")
    axes[0, -1].legend(loc="upper right")
    return figure, "Singular values of each head's W_Q W_K^T. " + "; ".join(words) + "."


def relative_spectra(reader: Reader) -> Tensor:
    """Singular values of each head's W_Q W_K^T (h, D), divided by the head's largest."""
    with torch.no_grad():
        values = torch.linalg.svdvals(reader.w_q @ reader.w_k.transpose(1, 2))
    return values / values[:, :1]


# ----------------------------------------------------------------------------- low rank, exactly


def random_patterns(count: int = 8, size: int = 16, spread: float = 3.0, seed: int = 0) -> Tensor:
    """Attention patterns without structure: softmax of N(0, spread²), (count, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(spread * torch.randn(count, size, size, generator=generator), -1)


def permutations(count: int = 8, size: int = 16, seed: int = 0) -> Tensor:
    """Patterns in which every token looks at one other, no two at the same (count, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(count, size, generator=generator).argsort(-1)
    return F.one_hot(order, size).float()


class _Logits(nn.Module):
    """Queries and keys without tokens behind them: any logits of rank d_k."""

    def __init__(self, count: int, size: int, key_width: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        shape = (count, size, key_width)
        self.q = nn.Parameter(torch.randn(shape, generator=generator))
        self.k = nn.Parameter(torch.randn(shape, generator=generator))

    def forward(self) -> Tensor:
        return self.q @ self.k.transpose(1, 2)


def fit_patterns(
    patterns: Tensor, key_width: int, *, steps: int = 600, seed: int = 0, progress: bool = True
) -> Tensor:
    """Fit patterns with softmax(q k^T), q and k free and d_k wide; say what is missed.

    Args:
        patterns: (N, n, n), rows sum to 1.
        key_width: d_k.

    Returns:
        (N,): total variation, the share of the weight that lies on wrong keys, mean over the rows.
    """
    logits = _Logits(len(patterns), patterns.shape[-1], key_width, seed)

    def loss() -> Tensor:
        return -(patterns * torch.log_softmax(logits(), -1)).sum(-1).mean()

    label = f"patterns, d_k = {key_width}"
    train(logits, loss, steps=steps, learning_rate=0.1, label=label, progress=progress)
    with torch.no_grad():
        fitted = torch.softmax(logits(), -1)
    return (fitted - patterns).abs().sum(-1).mean(-1) / 2


def least_key_width(pattern: Tensor) -> int:
    """The least d_k that gives a positive pattern (n, n) exactly, queries and keys being free.

    softmax(S) = A means S = log A plus any constant for each row, so the least rank of S is that
    of log A with the mean of every row taken away.
    """
    logs = pattern.double().log()
    return int(torch.linalg.matrix_rank(logs - logs.mean(-1, keepdim=True)))


def circle(order: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Put keys on a circle; query i points where its key, number order[i], lies.

    Returns:
        q, k (1, n, 2), all of length `radius`.
    """
    n = len(order)
    angle = 2 * torch.pi * torch.arange(n) / n
    k = radius * torch.stack([angle.cos(), angle.sin()], -1)
    return k[order][None], k[None]


def plot_low_rank(errors: dict[str, dict[int, Tensor]], radii: Tensor, weights: dict[int, list]):
    """Draw what fitting misses by d_k, and the weight on the right key of a circle by its radius.

    Args:
        errors: name of a family of patterns -> d_k -> (N,).
        radii: (R,).
        weights: number of keys on the circle -> R numbers, the mean weight on the right key.

    Returns:
        (figure, alt text).
    """
    figure, (left, right) = new_figure(10, 3.6, ncols=2)
    words = []
    styles = zip((BLUE, ORANGE), ("o-", "s--"), strict=True)
    for (name, by_width), (colour, style) in zip(errors.items(), styles, strict=True):
        places = range(len(by_width))
        means = [missed.mean().item() for missed in by_width.values()]
        left.plot(places, means, style, color=colour, label=name)
        left.set_xticks(places, [str(w) for w in by_width])
        pairs = ", ".join(f"{w}: {m:.3f}" for w, m in zip(by_width, means, strict=True))
        words.append(f"{name}: {pairs}")
    left.set(xlabel="d_k", ylabel="share of weight on wrong keys", ylim=(-0.03, 1))
    left.set_title("Fitted patterns, 16 x 16")
    for (n, seen), (colour, style) in zip(
        weights.items(), zip((BLUE, ORANGE, GREEN), ("-", "--", ":"), strict=True), strict=False
    ):
        right.plot(radii.tolist(), seen, style, color=colour, label=f"{n} keys")
    right.set(xlabel="length of queries and keys (d_k = 2)", ylabel="weight on the right key")
    right.set(xscale="log", ylim=(0, 1.03), title="Permutations on a circle")
    for ax in (left, right):
        ax.grid(True)
        ax.legend()
    reached = "; ".join(
        f"{n} keys: {seen[-1]:.3f} at {radii[-1]:.0f}" for n, seen in weights.items()
    )
    alt = (
        f"Left: share of weight on wrong keys by d_k. {'; '.join(words)}. Right: with keys on a "
        f"circle the weight on the right key rises with their length to {reached}."
    )
    return figure, alt


def own_key_weights(
    attend: Callable, widths: Iterable[int], num_keys: int, num_queries: int = 64, seed: int = 0
) -> list[float]:
    """Let tokens look for themselves among n keys whose entries are N(0, 1): the weight they find.

    Args:
        attend: (q, k, v) -> (out, weights), such as the course's scaled_dot_product_attention.
        widths: d_k.
        num_keys: n.

    Returns:
        For each width the mean weight on the own key.
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for width in widths:
        k = torch.randn(1, num_keys, width, generator=generator)
        _, weights = attend(k[:, :num_queries], k, k[..., :1])  # (1, num_queries, n)
        found.append(weights[0].diagonal().mean().item())
    return found


def plot_own_key(widths: list[int], found: dict[int, list[float]]):
    """Draw the weight on the own key against d_k, one line for each number of keys.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(6.8, 3.4)
    styles = zip((BLUE, ORANGE, GREEN), ("o-", "s--", "^:"), strict=True)
    for (n, seen), (colour, style) in zip(found.items(), styles, strict=False):
        ax.plot(range(len(widths)), seen, style, color=colour, label=f"{n} keys")
    ax.set_xticks(range(len(widths)), [str(w) for w in widths])
    ax.set(xlabel="d_k", ylabel="weight on the own key", ylim=(-0.03, 1.03))
    ax.set_title("Random keys, entries of variance 1, scores divided by √d_k")
    ax.grid(True)
    ax.legend()
    words = "; ".join(
        f"{n} keys: " + ", ".join(f"{w}: {s:.2f}" for w, s in zip(widths, seen, strict=True))
        for n, seen in found.items()
    )
    return figure, f"Weight on the own key by d_k. {words}."


# ---------------------------------------------------------------------------------- wrong versions


def planted_layer(name_width: int = 3, num_heads: int = 3) -> tuple[Tensor, Tensor]:
    """Make w_q and w_k by hand: head i compares question i with the name.

    A token is [name | question 0 | question 1 | question 2], each `name_width` wide. Every head has
    one column more than it needs.

    Returns:
        w_q, w_k (D, h·d), D = (1 + h) · name_width, d = name_width + 1.
    """
    n, h, d = name_width, num_heads, name_width + 1
    w_q, w_k = (torch.zeros((1 + h) * n, h, d) for _ in range(2))
    for head in range(h):
        w_q[(1 + head) * n : (2 + head) * n, head, :n] = torch.eye(n)
        w_k[:n, head, :n] = torch.eye(n)
    return w_q.flatten(1), w_k.flatten(1)


def score_pictures() -> dict[str, Tensor]:
    """Compute the score matrices (h, D, D) of the planted layer, in four versions."""
    w_q, w_k = planted_layer()
    h = 3
    q, k = (w.unflatten(1, (h, -1)).transpose(0, 1) for w in (w_q, w_k))  # (h, D, d)
    dealt = [torch.stack([w[:, i::h] for i in range(h)]) for w in (w_q, w_k)]
    return {
        "A": k @ q.transpose(1, 2),
        "B": (w_q @ w_k.T).expand(h, -1, -1),
        "C": dealt[0] @ dealt[1].transpose(1, 2),
        "D": q @ k.transpose(1, 2),
    }


def plot_scores(pictures: dict[str, Tensor]):
    """Draw score matrices, one column of maps a version, one row a head, ranks in the titles.

    Returns:
        (figure, alt text).
    """
    h = len(next(iter(pictures.values())))
    figure, axes = new_figure(10, 2.7 * h, nrows=h, ncols=len(pictures), sharex=True, sharey=True)
    parts = ["name", *(f"q{i}" for i in range(h))]
    words = []
    for column, (letter, scores) in enumerate(pictures.items()):
        size = scores.shape[-1] // len(parts)
        for head, one in enumerate(scores):
            ax = axes[head, column]
            ax.imshow(one.numpy(), cmap=MAP, vmin=0, vmax=1)
            rank = int(torch.linalg.matrix_rank(one))
            ax.set_title(f"{letter}, head {head}: rank {rank}", size=9)
            middles = [size * (i + 0.5) - 0.5 for i in range(len(parts))]
            ax.set_xticks(middles, parts)
            ax.set_yticks(middles, parts)
            for cut in range(1, len(parts)):
                ax.axhline(size * cut - 0.5, color=GREY, linewidth=0.8)
                ax.axvline(size * cut - 0.5, color=GREY, linewidth=0.8)
            ax.tick_params(length=0, labelsize=8)
            ax.spines[:].set_visible(False)
            filled = [
                f"{int(one[rows, columns].sum())} in row {parts[i]}, column {parts[j]}"
                for i, rows in enumerate(_blocks(size, len(parts)))
                for j, columns in enumerate(_blocks(size, len(parts)))
                if one[rows, columns].any()
            ]
            words.append(f"{letter} head {head}, rank {rank}: {' and '.join(filled)}")
    for ax in axes[-1]:
        ax.set_xlabel("part of the key's token")
    for ax in axes[:, 0]:
        ax.set_ylabel("part of the query's token")
    return figure, "Score matrices; entries that are 1, by block. " + "; ".join(words) + "."


def _blocks(size: int, count: int) -> list[slice]:
    return [slice(i * size, (i + 1) * size) for i in range(count)]


# -------------------------------------------------------------------------------------- the cards


class Card(NamedTuple):
    """How one published model cuts its width."""

    name: str
    d_model: int
    num_heads: int
    head_dim: int
    source: str


CARDS = pick(
    Card,
    (
        *("GPT-2", "BERT-base", "Whisper-tiny", "T5-small", "mT5-small", "SmolLM2-135M"),
        *("Qwen3-0.6B", "Gemma-3-1B", "Llama-3.2-1B", "Gemma-2B", "phi-2", "Gemma-7B"),
        *("Qwen2.5-7B", "GPT-J-6B", "Llama-2-7B", "Mistral-7B", "Qwen3-8B", "Falcon-7B"),
        *("phi-4", "GPT-NeoX-20B", "Llama-2-70B", "Falcon-40B", "Llama-3.1-405B"),
    ),
)


def usual(card: Card, options: Callable[[int], list[int]]) -> bool:
    """Whether a model's heads are 64 or 128 wide and fill its width exactly."""
    fills = card.num_heads * card.head_dim == card.d_model
    return fills and card.num_heads in options(card.d_model)


def plot_cards(options: Callable[[int], list[int]]):
    """Draw head counts against widths of published models; those that are no option stand out.

    Args:
        options: `head_count_options`.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(8.4, 4.4)
    ends = (300, 20_000)
    for d, style in ((64, "--"), (128, ":")):
        ax.plot(
            ends, [end / d for end in ends], style, color=GREY, linewidth=1, label=f"h = D / {d}"
        )
    others = [card for card in CARDS if not usual(card, options)]
    for cards, colour, marker, label in (
        ([c for c in CARDS if c not in others], BLUE, "o", "64 or 128 wide, h·d = D"),
        (others, VERMILION, "s", "something else"),
    ):
        spots = [c.d_model for c in cards], [c.num_heads for c in cards]
        ax.scatter(*spots, color=colour, marker=marker, label=label, zorder=3)
    named = {"Falcon-7B", "Llama-2-7B", "GPT-2"} | {card.name for card in others}
    places = {  # dx, dy in points, so that no name meets another or a line
        **dict.fromkeys(("Qwen3-0.6B", "GPT-2", "Llama-2-7B", "Gemma-7B"), (6, -11, "left")),
        "Falcon-7B": (-6, 5, "right"),
        "GPT-NeoX-20B": (-12, -13, "center"),
        "mT5-small": (4, -14, "center"),
    }
    for card in CARDS:
        if card.name in named:
            dx, dy, side = places.get(card.name, (6, 5, "left"))
            spot = {"xy": (card.d_model, card.num_heads), "ha": side, "size": 8}
            ax.annotate(card.name, xytext=(dx, dy), textcoords="offset points", **spot)
    ax.set(xscale="log", yscale="log", xlabel="width of the model D", ylabel="query heads h")
    ticks = [512, 1024, 2048, 4096, 8192, 16384]
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ticks = [4, 8, 16, 32, 64, 128]
    ax.set_yticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.set_ylim(3, 200)
    ax.grid(True)
    ax.legend()
    odd = "; ".join(f"{c.name}: D {c.d_model}, {c.num_heads} heads of {c.head_dim}" for c in others)
    alt = (
        f"Head counts against widths of {len(CARDS)} published models; {len(CARDS) - len(others)} "
        f"lie on the lines D / 64 or D / 128. The others: {odd}."
    )
    return figure, alt


# ------------------------------------------------------------------------------------ the command


def main(arguments: list[str] | None = None) -> None:
    parser, commands, _ = command_line("attention_lab.partitions", __doc__, RECORDED)
    one = commands.add_parser("run", help="train one reader and print what it leaves")
    one.add_argument("--heads", type=int, default=8)
    one.add_argument("--key-width", type=int)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--steps", type=int, default=STEPS)
    chosen = parser.parse_args(arguments)
    if chosen.command == "record":
        record(chosen.out, plan(chosen.seeds))
        return
    run, _ = train_one(
        chosen.heads, key_width=chosen.key_width, seed=chosen.seed, steps=chosen.steps
    )
    print(json.dumps(asdict(run)))


if __name__ == "__main__":
    sys.exit(main())
