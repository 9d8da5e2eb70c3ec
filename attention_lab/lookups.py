"""Several look-ups per token: the task, a small reader with h heads, and what it leaves unread.

Every token has a name and a value and asks for the values of m names, in order. The names of one
question are drawn without replacement, and the values are independent fair signs. In the reader
queries and keys cannot see the values, so given the names the outputs of h heads are h fixed blends
of the values, and a linear read-out of them leaves at least 1 - h/m of the variance of the answers.

`python -m attention_lab.lookups record` repeats the recorded runs (about seven minutes).
"""

import json
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .figures import BLUE, GREY, ORANGE, VERMILION, heat_map, new_figure
from .recordings import (
    FOLDER,
    beside,
    command_line,
    draw_live,
    make_runs,
    read_runs,
    select,
    write_runs,
)
from .training import train

RECORDED = FOLDER / "lookups.json"
READ_OUTS = ("linear", "two linear layers", "mlp")
WEIGHTINGS = ("learned", "planted blend")
HEAD_COUNTS = (1, 2, 3, 4, 6, 8)  # of the recorded curve; all divide the width
STEPS = 600
LEARNING_RATE = 0.003
Heads = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]


# ------------------------------------------------------------------------------------- the task


class Batch(NamedTuple):
    """x (B, T, D), asked (B, T, m): which tokens, and answers (B, T, m, n): their values."""

    x: Tensor
    asked: Tensor
    answers: Tensor


@dataclass(frozen=True)
class LookupTask:
    """T tokens; each has a name, asks for m names and carries a value of n signs.

    A token is the row [name | first name asked for | … | m-th name asked for | value], of width
    D = (1 + m) · name_width + n. Names are drawn anew for every sequence, orthogonal and
    of the same length: they cannot be learned by heart, only compared, and no two are alike.
    """

    num_lookups: int = 4
    num_tokens: int = 10
    name_width: int = 12
    value_width: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.num_lookups <= self.num_tokens:
            raise ValueError(
                f"{self.num_lookups} different tokens cannot be drawn from {self.num_tokens}"
            )
        if self.name_width < self.num_tokens:
            raise ValueError(
                f"{self.num_tokens} orthogonal names do not fit in {self.name_width} numbers"
            )

    @property
    def width(self) -> int:
        """D, the width of a token."""
        return (1 + self.num_lookups) * self.name_width + self.value_width

    def draw(self, size: int, generator: torch.Generator) -> Batch:
        """Draw sequences; every token of each asks for m different tokens (maybe itself)."""
        tokens = (size, self.num_tokens)
        axes = torch.randn(size, self.name_width, self.num_tokens, generator=generator)
        names = torch.linalg.qr(axes).Q.transpose(1, 2) * self.name_width**0.5
        values = torch.randint(2, (*tokens, self.value_width), generator=generator) * 2.0 - 1
        order = torch.rand(*tokens, self.num_tokens, generator=generator).argsort(-1)
        asked = order[..., : self.num_lookups]  # (B, T, m), without replacement
        sequence = torch.arange(size)[:, None, None]
        x = torch.cat([names, names[sequence, asked].flatten(2), values], -1)
        return Batch(x, asked, values[sequence, asked])


# ----------------------------------------------------------------------------------- the reader


class Reader(nn.Module):
    """h independent heads of width `heads_width` / h and one read-out: equally large at every h.

    Args:
        task: what is read.
        num_heads: h, a divisor of `heads_width`.
        read_out: "linear" (the claim), "two linear layers" or "mlp" (the same two layers with a
            GELU between them).
        weighting: "learned", or "planted blend" (needs one head and two look-ups): queries and keys
            are made by hand and stay; 2/3 of the weight is on the first token asked for, 1/3 on the
            second.
        sees_values: lets queries and keys read the values too; then 1 - h/m is no theorem any more.
        heads: a function (x, w_q, w_k, w_v) -> (out (B, h, T, d), weights), such as
            `mha_lib.single.independent_heads`; None computes it with PyTorch's fused attention.
        seed: fixes the first weights.

    Raises:
        ValueError: if h does not divide `heads_width`, or the read-out or the weighting is
            unknown or does not fit.
    """

    def __init__(
        self,
        task: LookupTask,
        num_heads: int,
        *,
        read_out: str = "linear",
        weighting: str = "learned",
        sees_values: bool = False,
        heads: Heads | None = None,
        heads_width: int = 96,
        hidden: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if num_heads < 1 or heads_width % num_heads:
            raise ValueError(f"{num_heads} heads do not divide the width {heads_width}")
        if read_out not in READ_OUTS:
            raise ValueError(f"the read-out is one of {READ_OUTS}, not {read_out!r}")
        if weighting not in WEIGHTINGS:
            raise ValueError(f"the weighting is one of {WEIGHTINGS}, not {weighting!r}")
        if weighting == "planted blend" and (num_heads, task.num_lookups) != (1, 2):
            raise ValueError(
                "a planted blend needs 1 head and 2 look-ups, "
                f"not {num_heads} and {task.num_lookups}"
            )
        generator = torch.Generator().manual_seed(seed)

        def weights(*shape: int, scale: float = 0.1) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) * scale)

        d, answers = heads_width // num_heads, task.num_lookups * task.value_width
        self.task, self.heads = task, heads or _fused_heads
        self.hidden_rows = 0 if sees_values else task.value_width
        self.w_q = weights(num_heads, task.width - self.hidden_rows, d)
        self.w_k = weights(num_heads, task.width - self.hidden_rows, d)
        self.w_v = weights(num_heads, task.width, d)
        if weighting == "planted blend":
            self._plant_blend()
        self.gelu = read_out == "mlp"
        widths = [heads_width, answers] if read_out == "linear" else [heads_width, hidden, answers]
        self.layers = nn.ParameterList(
            weights(rows, columns, scale=rows**-0.5) for rows, columns in pairwise(widths)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in widths[1:])

    @torch.no_grad()
    def _plant_blend(self) -> None:
        """Compare both names asked for with all names: scores 12 + ln 2 and 12, all others 0."""
        n = self.task.name_width
        per_score = self.w_q.shape[-1] ** 0.5 / n  # a name's product with itself is n
        for w in (self.w_q, self.w_k):
            w.zero_().requires_grad_(False)
        self.w_k[0, :n, :n] = torch.eye(n)
        self.w_q[0, n : 2 * n, :n] = (12 + math.log(2)) * per_score * torch.eye(n)
        self.w_q[0, 2 * n : 3 * n, :n] = 12 * per_score * torch.eye(n)

    def attend(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """x (B, T, D) -> the heads' outputs (B, h, T, d), and weights if `heads` returns them."""
        blind = (0, 0, 0, self.hidden_rows)  # rows of zeros for the values
        return self.heads(x, F.pad(self.w_q, blind), F.pad(self.w_k, blind), self.w_v)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> answers (B, T, m, n)."""
        out, _ = self.attend(x)
        z = out.transpose(1, 2).flatten(2)  # (B, h, T, d) -> (B, T, h·d)
        for number, (w, b) in enumerate(zip(self.layers, self.biases, strict=True)):
            z = z @ w + b if number == 0 else (F.gelu(z) if self.gelu else z) @ w + b
        return z.unflatten(-1, (self.task.num_lookups, self.task.value_width))


def _fused_heads(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> tuple[Tensor, None]:
    q, k, v = (torch.einsum("btc,hcd->bhtd", x, w) for w in (w_q, w_k, w_v))
    return F.scaled_dot_product_attention(q, k, v), None


# --------------------------------------------------------------------------------------- running


@dataclass(frozen=True)
class Run:
    """One training and what it left unexplained on fresh sequences.

    Attributes:
        unexplained: for each look-up the mean squared error, as a share of the answers' variance
            (which is 1): 0 = always right, 1 = no better than answering 0.
        steps: how many were made; fewer than `planned` when somebody pressed stop.
        seconds: of wall time for the training.
    """

    num_heads: int
    num_lookups: int
    read_out: str
    weighting: str
    sees_values: bool
    seed: int
    steps: int
    planned: int
    learning_rate: float
    parameters: int
    unexplained: tuple[float, ...]
    seconds: float

    @property
    def share(self) -> float:
        """The unexplained share, mean over the look-ups."""
        return sum(self.unexplained) / len(self.unexplained)

    @property
    def uncovered(self) -> int:
        """How many look-ups stayed nearly unread (more than 9/10 unexplained)."""
        return sum(share > 0.9 for share in self.unexplained)


def train_reader(
    num_heads: int,
    *,
    num_lookups: int = 4,
    read_out: str = "linear",
    weighting: str = "learned",
    sees_values: bool = False,
    heads: Heads | None = None,
    seed: int = 0,
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
    progress: bool = True,
) -> Run:
    """Train one reader on `steps` batches of 16 fresh sequences, then measure it on 2 000 others.

    Args:
        seed: fixes first weights and batches; the sequences of the measurement are always the same.
        learning_rate: the highest one.
        others: as for `Reader` and `training.train`.
    """
    task = LookupTask(num_lookups)
    reader = Reader(
        task,
        num_heads,
        read_out=read_out,
        weighting=weighting,
        sees_values=sees_values,
        heads=heads,
        seed=seed,
    )
    generator = torch.Generator().manual_seed(1_000_000 + seed)

    def batch_loss() -> Tensor:
        batch = task.draw(16, generator)
        return F.mse_loss(reader(batch.x), batch.answers)

    training = train(
        reader,
        batch_loss,
        steps=steps,
        learning_rate=learning_rate,
        label=f"h = {num_heads}, {read_out} read-out",
        progress=progress,
    )
    return Run(
        num_heads=num_heads,
        num_lookups=num_lookups,
        read_out=read_out,
        weighting=weighting,
        sees_values=sees_values,
        seed=seed,
        steps=training.steps,
        planned=steps,
        learning_rate=learning_rate,
        parameters=sum(p.numel() for p in reader.parameters()),
        unexplained=tuple(round(share, 4) for share in measure(reader)),
        seconds=training.seconds,
    )


def measure(reader: Reader, size: int = 2_000) -> list[float]:
    """The share of variance a reader leaves unexplained of each look-up, on fresh sequences."""
    batch = reader.task.draw(size, torch.Generator().manual_seed(7))
    with torch.no_grad():
        wrong = (reader(batch.x) - batch.answers) ** 2  # (B, T, m, n)
    return (wrong.mean((0, 1, 3)) / (batch.answers**2).mean((0, 1, 3))).tolist()


def train_readers(head_counts: Iterable[int], **arguments) -> list[Run]:
    """Train one reader for each head count; after a stop, what is there is returned.

    Args:
        head_counts: e.g. (1, 2, 4).
        **arguments: for `train_reader`; more seeds: `seed=3`, longer: `steps=2000`.
    """
    runs: list[Run] = []
    try:
        for num_heads in head_counts:
            runs.append(train_reader(num_heads, **arguments))
            last = runs[-1]
            print(
                f"h = {num_heads}, {last.read_out} read-out: unexplained {last.share:.3f} "
                f"({_listed(last.unexplained)})"
            )
            if last.steps < last.planned:
                break
    except KeyboardInterrupt:
        print("Stopped between two trainings; the finished ones are kept.")
    return runs


def _listed(shares: Iterable[float]) -> str:
    return "look-up by look-up " + ", ".join(f"{share:.2f}" for share in shares)


# -------------------------------------------------------------------------------- recorded runs


def recorded_runs(path: Path = RECORDED) -> list[Run]:
    """The runs that came with the course; `record` repeats them."""
    return read_runs(path, Run)


def the_curve(runs: Iterable[Run], num_lookups: int = 4) -> list[Run]:
    """Those runs that differ in heads and seed only: linear read-out, blind keys, usual rate."""
    return select(
        runs,
        num_lookups=num_lookups,
        read_out="linear",
        weighting="learned",
        sees_values=False,
        learning_rate=LEARNING_RATE,
    )


def plan(seeds: int = 10, more_seeds: int = 60) -> list[dict]:
    """The recorded runs: the curve, more seeds where training is uncertain, and the controls."""
    curve = [
        {"num_heads": h, "num_lookups": 4, "seed": seed}
        for h in HEAD_COUNTS
        for seed in range(more_seeds if h in (4, 8) else seeds)
    ]
    one_head = {"num_heads": 1, "num_lookups": 2}
    read_outs = [
        {**one_head, "read_out": read_out, "weighting": weighting, "learning_rate": 0.02, "seed": n}
        for weighting in WEIGHTINGS
        for read_out in READ_OUTS
        for n in range(seeds)
    ]
    slower = [
        {**one_head, "read_out": "mlp", "weighting": "planted blend", "seed": n}
        for n in range(seeds)
    ]
    faster = [
        {"num_heads": 4, "num_lookups": 4, "learning_rate": 0.02, "seed": n} for n in range(seeds)
    ]
    open_eyes = [
        {"num_heads": h, "num_lookups": 4, "sees_values": True, "seed": seed}
        for h in (1, 2)
        for seed in range(seeds)
    ]
    return curve + read_outs + slower + faster + open_eyes


def record(path: Path, runs: list[dict]) -> None:
    """Make the planned runs and write them to `path`; a stop writes those that are finished."""
    done = make_runs(runs, train_reader)
    write_runs(path, "python -m attention_lab.lookups record", LookupTask(), runs=done)


# -------------------------------------------------------------------- one blend, without training


def two_items(settings: int = 41) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """A token that asks and two that hold a sign each; step by step it leans to the second one.

    Returns:
        x (settings · 4, 3, 3): a token is [two numbers of name or question | value]. For each
            setting the four combinations of the two signs.
        w_q, w_k (3, 2) and w_v (3, 1).
        mask (3, 3): nobody may look at the asker.
        signs (4, 2): the two values in each combination.
    """
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    lean = torch.linspace(-1, 1, settings)
    x = torch.zeros(settings, 4, 3, 3)
    x[:, :, 0, 0], x[:, :, 0, 1] = -lean[:, None], lean[:, None]  # the question
    x[:, :, 1, 0] = x[:, :, 2, 1] = 1  # the two names
    x[:, :, 1, 2], x[:, :, 2, 2] = signs[:, 0], signs[:, 1]  # the two values
    names = torch.eye(3)[:, :2]
    mask = torch.tensor([False, True, True]).expand(3, 3)
    return x.flatten(0, 1), 3 * names, names, torch.eye(3)[:, 2:], mask, signs


def unexplained_share(features: Tensor, targets: Tensor) -> Tensor:
    """What the best linear read-out there is leaves of each target's variance (least squares).

    Args:
        features: (N, F).
        targets: (N, M), of mean 0 and variance 1.

    Returns:
        (M,), between 0 (all explained) and 1.
    """
    features = torch.cat([features, torch.ones(len(features), 1)], 1).double()  # with a bias
    read_out = torch.linalg.pinv(features) @ targets.double()
    return ((features @ read_out - targets) ** 2).mean(0) / (targets.double() ** 2).mean(0)


def plot_blend(weight: Tensor, shares: Tensor):
    """Draw what is left of the two items at every weight.

    Args:
        weight: (S,), on the first item.
        shares: (S, 2), unexplained share of each item.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(6.4, 3.4)
    ax.plot(weight, shares[:, 0], color=BLUE, label="item 1")
    ax.plot(weight, shares[:, 1], color=ORANGE, linestyle="--", label="item 2")
    ax.plot(weight, shares.mean(1), color=GREY, linewidth=4, alpha=0.7, label="mean of both")
    ax.set(
        xlabel="weight on item 1 (the rest is on item 2)",
        ylabel="unexplained share of variance",
        xlim=(0, 1),
        ylim=(-0.03, 1.03),
        title="One blend of two items, best linear read-out",
    )
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    ax.grid(True)
    low, high = shares.mean(1).min(), shares.mean(1).max()
    alt = (
        "Unexplained share against the weight on item 1. Item 1 falls from near 1 to near 0, item "
        f"2 rises the other way, and their mean is flat: lowest {low:.3f}, highest {high:.3f}."
    )
    return figure, alt


def blend_report(weight: float, factor_1: float, factor_2: float) -> dict[str, float]:
    """What one blend of two independent signs leaves, with factors of your own and with the best.

    The blend is b = weight · item 1 + (1 - weight) · item 2; the answers are factor_1 · b and
    factor_2 · b. All numbers are exact means over the four combinations of signs.
    """
    rest = 1 - weight
    power = weight**2 + rest**2
    yours_1 = 1 - 2 * factor_1 * weight + factor_1**2 * power
    yours_2 = 1 - 2 * factor_2 * rest + factor_2**2 * power
    best_1, best_2 = 1 - weight**2 / power, 1 - rest**2 / power
    return {
        "item 1": yours_1,
        "item 2": yours_2,
        "mean": (yours_1 + yours_2) / 2,
        "best item 1": best_1,
        "best item 2": best_2,
        "best mean": (best_1 + best_2) / 2,
        "best factor 1": weight / power,
        "best factor 2": rest / power,
    }


def plot_read_out(weight: float, factor_1: float, factor_2: float):
    """Draw one setting: the four blends with the read-outs' lines, and what they leave.

    Returns:
        (figure, alt text).
    """
    report = blend_report(weight, factor_1, factor_2)
    figure, (left, right) = new_figure(8.4, 3.2, ncols=2)
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    blend = signs @ torch.tensor([weight, 1 - weight])
    line = torch.tensor([-1.0, 1.0])
    for item, (colour, style, marker, factor) in enumerate(
        ((BLUE, "-", "o", factor_1), (ORANGE, "--", "s", factor_2))
    ):
        left.plot(line, factor * line, color=colour, linestyle=style)
        nudge = 0.04 if item == 0 else -0.04  # so that equal points stay visible
        label = f"item {item + 1}"
        left.scatter(blend, signs[:, item] + nudge, color=colour, marker=marker, label=label)
    left.set(
        xlabel="blend", ylabel="value (points), answer (lines)", ylim=(-2.2, 2.2), xlim=(-1.1, 1.1)
    )
    left.legend(loc="upper left")
    names = ["item 1", "item 2", "mean"]
    right.bar(names, [report[name] for name in names], color=[BLUE, ORANGE, GREY], width=0.6)
    for place, name in enumerate(names):
        best = report[f"best {name}"]
        label = "best linear read-out" if place == 0 else None
        right.plot([place - 0.4, place + 0.4], [best, best], color=VERMILION, label=label)
    right.set(ylabel="unexplained share of variance", ylim=(0, max(1.2, report["mean"] * 1.2)))
    right.legend(loc="upper right")
    alt = (
        f"Weight {weight:.2f} on item 1, answers {factor_1:.2f} and {factor_2:.2f} times the blend."
        f" Unexplained: item 1 {report['item 1']:.2f}, item 2 {report['item 2']:.2f}, mean "
        f"{report['mean']:.3f}. The best linear read-out leaves {report['best mean']:.3f}."
    )
    return figure, alt


def slide_the_blend() -> None:
    """Show one setting of weight and factors, and sliders to change it."""
    from ipywidgets import FloatSlider

    from .widgets import follow

    factor = {"value": 1, "min": -2, "max": 2, "step": 0.05}
    follow(
        plot_read_out,
        weight=FloatSlider(value=0.7, min=0, max=1, step=0.05, description="weight on item 1"),
        factor_1=FloatSlider(**factor, description="answer 1 = blend times"),
        factor_2=FloatSlider(**factor, description="answer 2 = blend times"),
    )


# ---------------------------------------------------------------------------------------- floor


def plot_floor(live: list[Run], recorded: list[Run], floor: Callable[[int, int], float]):
    """Draw measured runs over recorded ones, with the floor as a line.

    Args:
        live: runs of this notebook; hollow where training was stopped early.
        recorded: all recorded ones; those of `the_curve` are drawn.
        floor: `unexplained_floor(num_heads, num_lookups)`.

    Returns:
        (figure, alt text).
    """
    lookups = live[0].num_lookups if live else 4
    shown = the_curve(recorded, lookups)
    figure, ax = new_figure(6.8, 3.8)
    counts = sorted({run.num_heads for run in [*live, *shown]})
    place = {num_heads: number for number, num_heads in enumerate(counts)}
    for number, h in enumerate(counts):
        label = "floor 1 - h/m" if number == 0 else None
        level = [floor(h, lookups)] * 2
        ax.plot([number - 0.4, number + 0.4], level, color=VERMILION, linewidth=3, label=label)
    spread: dict[int, int] = {}
    xs = []
    for run in shown:  # side by side, so that equal results stay visible
        seeds = len(select(shown, num_heads=run.num_heads))
        spread[run.num_heads] = number = spread.get(run.num_heads, -1) + 1
        xs.append(place[run.num_heads] + 0.6 * ((number + 0.5) / seeds - 0.5))
    ys = [run.share for run in shown]
    ax.scatter(xs, ys, s=14, color=GREY, alpha=0.6, label="recorded, one point a seed", zorder=3)
    draw_live(ax, live, [place[run.num_heads] for run in live])
    ax.set_xticks(range(len(counts)), [str(h) for h in counts])
    ax.set(
        xlabel=f"heads h (m = {lookups} look-ups a token; parameters the same throughout)",
        ylabel="unexplained share of variance",
        ylim=(-0.04, 1.04),
    )
    ax.grid(True, axis="y")
    ax.legend()
    words = "; ".join(
        f"h = {run.num_heads}: {run.share:.3f}, floor {floor(run.num_heads, lookups):.2f}"
        for run in live
    )
    below = [floor(run.num_heads, lookups) - run.share for run in [*live, *shown]]
    lowest = max([0.0, *below])
    alt = (
        f"Unexplained share against the number of heads for {lookups} look-ups, recorded runs and "
        f"this notebook's. Measured here: {words or 'nothing'}. No point, recorded ones included, "
        f"lies more than {lowest:.3f} below the floor 1 - h/m."
    )
    return figure, alt


def summary(runs: list[Run], floor: Callable[[int, int], float]) -> str:
    """A table in plain text: for each head count the seeds, median, lowest, highest and floor."""
    lines = ["  h  seeds  median  lowest  highest   floor"]
    for h in sorted({run.num_heads for run in runs}):
        group = select(runs, num_heads=h)
        shares = sorted(run.share for run in group)
        median = float(torch.tensor(shares, dtype=torch.float64).quantile(0.5))
        lines.append(
            f"{h:3d}  {len(shares):5d}  {median:6.3f}  {shares[0]:6.3f}  {shares[-1]:7.3f}  "
            f"{floor(h, group[0].num_lookups):6.2f}"
        )
    return "\n".join(lines)


def plot_read_outs(live: list[Run], recorded: list[Run]):
    """Draw one head with three read-outs: recorded runs, one point a seed, and this notebook's.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(6.8, 3.4)
    words = []
    for number, read_out in enumerate(READ_OUTS):
        group = select(recorded, read_out=read_out)
        places = beside(number, len(group))
        shares = [run.share for run in group]
        label = "recorded, one point a seed" if number == 0 else None
        ax.scatter(places, shares, color=GREY, s=14, zorder=3, label=label)
        if shares:
            words.append(f"{read_out} {min(shares):.3f} to {max(shares):.3f}")
    draw_live(ax, live, [READ_OUTS.index(run.read_out) for run in live])
    ax.axhline(0.5, color=VERMILION, label="floor for linear read-outs, 1 - 1/2")
    names = ["linear", "two linear layers", "two layers with a GELU\nbetween them (MLP)"]
    ax.set_xticks(range(len(READ_OUTS)), names)
    ax.set(ylabel="unexplained share of variance", ylim=(-0.04, 1.04), xlabel="read-out")
    ax.grid(True, axis="y")
    ax.legend()
    alt = "One head, two look-ups; unexplained share by read-out, recorded: " + "; ".join(words)
    return figure, alt + "."


# --------------------------------------------------------------------------------- wrong versions


def planted_heads(task: LookupTask, sharpness: float = 8.0) -> tuple[Tensor, Tensor, Tensor]:
    """Projections without any training: head i compares the i-th name asked for with all names.

    Returns:
        w_q, w_k (m, D, name_width) and w_v (m, D, name_width): the value, then zeros.
    """
    m, width = task.num_lookups, task.name_width
    w_q, w_k, w_v = (torch.zeros(m, task.width, width) for _ in range(3))
    for head in range(m):
        start = (1 + head) * width
        w_q[head, start : start + width] = sharpness * torch.eye(width)
        w_k[head, :width] = torch.eye(width)
        w_v[head, -task.value_width :, : task.value_width] = torch.eye(task.value_width)
    return w_q, w_k, w_v


def wrong_versions(heads: Heads) -> dict[str, Heads]:
    """Three ways to get independent heads wrong, made from a right one; in the quiz's order."""

    def picture_a(x, w_q, w_k, w_v):
        out, weights = heads(x, w_q, w_k, w_v)
        return out.mean(1, keepdim=True).expand_as(out), weights

    def picture_b(x, w_q, w_k, w_v):
        return heads(x, *(w[:1].expand_as(w) for w in (w_q, w_k, w_v)))

    def picture_c(x, w_q, w_k, w_v):
        return heads(x, *(w.mean(0, keepdim=True).expand_as(w) for w in (w_q, w_k, w_v)))

    return {"A": picture_a, "B": picture_b, "C": picture_c}


def plot_versions(versions: dict[str, Heads], task: LookupTask, size: int = 200):
    """Draw for each version the weights of one asking token, and what is left of each look-up.

    What is left is measured with the best linear read-out (least squares) of all heads' outputs.

    Returns:
        (figure, alt text).
    """
    batch = task.draw(size, torch.Generator().manual_seed(3))
    targets = batch.answers.flatten(0, 1)  # (N, m, n)
    looked_up = [f"{n + 1}" for n in range(task.num_lookups)]
    figure, axes = new_figure(8.4, 2.5 * len(versions), nrows=len(versions), ncols=2, squeeze=False)
    words = []
    for (name, version), (left, right) in zip(versions.items(), axes, strict=True):
        out, weights = version(batch.x, *planted_heads(task))
        z = out.transpose(1, 2).flatten(2).flatten(0, 1)  # (N, h·d)
        left_over = unexplained_share(z, targets.flatten(1)).view(task.num_lookups, -1).mean(1)
        columns = [_column(batch.asked[0, 0], token) for token in range(task.num_tokens)]
        heat_map(
            left,
            weights[0, :, 0],
            row_labels=[f"head {head}" for head in range(weights.shape[1])],
            column_labels=columns,
            title=f"{name}: weights of one token",
            x_label="token looked at (#1 = asked for first)",
        )
        left.tick_params(axis="x", rotation=0)
        bars = right.bar(looked_up, left_over, color=BLUE, width=0.6)
        right.bar_label(bars, fmt="%.2f", color=GREY, size=8, padding=2)
        right.set(
            xlabel="look-up",
            ylabel="unexplained share",
            ylim=(0, 1.15),
            title=f"{name}: what is left",
        )
        right.grid(True, axis="y")
        rows = " ".join(
            f"head {head} on "
            + " and ".join(
                f"{columns[token]} ({weights[0, head, 0, token]:.2f})"
                for token in range(task.num_tokens)
                if weights[0, head, 0, token] > 0.1
            )
            + ";"
            for head in range(weights.shape[1])
        )
        left_words = ", ".join(f"{share:.2f}" for share in left_over)
        words.append(f"{name}: {rows} unexplained {left_words}.")
    return figure, "Weights of one token, and what is left of each look-up. " + " ".join(words)


def _column(asked: Tensor, token: int) -> str:
    place = (asked == token).nonzero()
    return f"#{int(place[0, 0]) + 1}" if len(place) else "·"


# ------------------------------------------------------------------------------------ the command


def main(arguments: list[str] | None = None) -> None:
    parser, commands, repeat = command_line("attention_lab.lookups", __doc__, RECORDED)
    repeat.add_argument("--more-seeds", type=int, default=60, help="for h = 4 and h = 8")
    one = commands.add_parser("run", help="train one reader and print what it leaves")
    one.add_argument("--heads", type=int, default=1)
    one.add_argument("--lookups", type=int, default=4)
    one.add_argument("--read-out", choices=READ_OUTS, default="linear")
    one.add_argument("--weighting", choices=WEIGHTINGS, default="learned")
    one.add_argument("--sees-values", action="store_true")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--steps", type=int, default=STEPS)
    one.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
    chosen = parser.parse_args(arguments)
    if chosen.command == "record":
        record(chosen.out, plan(chosen.seeds, chosen.more_seeds))
        return
    run = train_reader(
        chosen.heads,
        num_lookups=chosen.lookups,
        read_out=chosen.read_out,
        weighting=chosen.weighting,
        sees_values=chosen.sees_values,
        seed=chosen.seed,
        steps=chosen.steps,
        learning_rate=chosen.learning_rate,
    )
    print(json.dumps(asdict(run)))


if __name__ == "__main__":
    sys.exit(main())
