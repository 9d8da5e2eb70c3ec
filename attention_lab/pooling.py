"""From many key and value heads to few: what averaging a trained model's heads costs.

**The task** is that of notebook 2 (`lookups.LookupTask`): every token asks for the values of four
others. A value is three signs, so guessing names it right in 1 of 8 cases. A layer of 8 heads of
width 12 is trained. Then its 8 key and value heads become 4, 2 or 1 in several ways, everything
else stays as it was, and training goes on for a small share of the steps.

`python -m attention_lab.pooling record` repeats the recorded runs (a few minutes).
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .figures import BLUE, GREY, ORANGE, VERMILION, new_figure
from .lookups import LookupTask
from .recordings import (
    FOLDER,
    beside,
    command_line,
    make_runs,
    read_runs,
    select,
    write_runs,
)
from .training import train

RECORDED = FOLDER / "pooling.json"
NUM_HEADS, HEAD_DIM = 8, 12
STEPS = 600
UPTRAINING = 30  # a twentieth of the steps, the share of Ainslie et al. 2023
LEARNING_RATE = 0.01
GUESS = 1 / 8  # three signs
NAMES = ("w_q", "w_k", "w_v", "w_o", "read_out")
Attend = Callable[..., tuple[Tensor, Tensor]]
Pool = Callable[[Tensor, int, int], Tensor]


# ---------------------------------------------------------------------------------- the model


def attend_grouped(
    x, w_q, w_k, w_v, w_o, num_heads, num_kv_heads, mask=None
) -> tuple[Tensor, Tensor]:
    """Grouped-query attention without repeating a head; what the recorded runs used.

    Returns:
        out (B, T, D) and weights (B, h_kv, h / h_kv, T, T).
    """
    group = num_heads // num_kv_heads
    q = (x @ w_q).unflatten(-1, (num_kv_heads, group, -1))  # (B, T, h_kv, g, d)
    k, v = ((x @ w).unflatten(-1, (num_kv_heads, -1)) for w in (w_k, w_v))  # (B, T, h_kv, d)
    scores = torch.einsum("btjgd,bsjd->bjgts", q, k) / q.shape[-1] ** 0.5
    weights = scores.softmax(-1)
    head_out = torch.einsum("bjgts,bsjd->btjgd", weights, v)
    return head_out.flatten(2) @ w_o, weights


class SharedReader(nn.Module):
    """Grouped-query attention of 8 query heads, and a linear read-out.

    Args:
        num_kv_heads: h_kv, a divisor of 8; 8 is multi-head attention.
        attend: a function with the arguments and results of
            `mha_lib.sharing.grouped_query_attention`.
        seed: fixes the first weights.
    """

    def __init__(self, num_kv_heads: int, *, attend: Attend = attend_grouped, seed: int = 0):
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.task, self.attend, self.num_kv_heads = LookupTask(), attend, num_kv_heads
        width, inner, shared = self.task.width, NUM_HEADS * HEAD_DIM, num_kv_heads * HEAD_DIM
        answers = self.task.num_lookups * self.task.value_width
        shapes = (width, inner), (width, shared), (width, shared), (inner, width), (width, answers)
        for name, (rows, columns) in zip(NAMES, shapes, strict=True):
            weight = torch.randn(rows, columns, generator=g) * rows**-0.5
            setattr(self, name, nn.Parameter(weight))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, T, D) -> answers (B, T, m, n)."""
        weights = self.w_q, self.w_k, self.w_v, self.w_o
        out, _ = self.attend(x, *weights, NUM_HEADS, self.num_kv_heads)
        return (out @ self.read_out).unflatten(-1, (self.task.num_lookups, -1))


def mean_of_group(w_kv: Tensor, num_heads: int, num_kv_heads: int) -> Tensor:
    """(D, h·d) -> (D, h_kv·d): the mean over the heads of each group."""
    return _groups(w_kv, num_heads, num_kv_heads).mean(2).flatten(1)


def first_of_group(w_kv: Tensor, num_heads: int, num_kv_heads: int) -> Tensor:
    """(D, h·d) -> (D, h_kv·d): the first head of each group; the others are dropped."""
    return _groups(w_kv, num_heads, num_kv_heads)[:, :, 0].flatten(1)


def _groups(w_kv: Tensor, num_heads: int, num_kv_heads: int) -> Tensor:
    return w_kv.unflatten(1, (num_kv_heads, num_heads // num_kv_heads, -1))  # (D, h_kv, g, d)


@torch.no_grad()
def convert(model: SharedReader, num_kv_heads: int, pool: Pool | None, seed: int) -> SharedReader:
    """Make a copy of a trained reader that has fewer key and value heads.

    Args:
        pool: makes W_K and W_V; None leaves them random.
        seed: of those random ones.
    """
    fewer = SharedReader(num_kv_heads, attend=model.attend, seed=seed)
    for name in ("w_q", "w_o", "read_out"):
        getattr(fewer, name).copy_(getattr(model, name))
    if pool is not None:
        for name in ("w_k", "w_v"):
            weight = getattr(model, name).detach()
            getattr(fewer, name).copy_(pool(weight, NUM_HEADS, num_kv_heads))
    return fewer


def train_reader(
    model: SharedReader, *, steps: int = STEPS, seed: int = 0, label="training", progress=True
):
    """Train a reader on batches of 16 fresh sequences; it is changed in place.

    Returns:
        What `training.train` returns.
    """
    generator = torch.Generator().manual_seed(1_000_000 + seed)

    def batch_loss() -> Tensor:
        batch = model.task.draw(16, generator)
        return F.mse_loss(model(batch.x), batch.answers)

    options = {"label": label, "progress": progress}
    return train(model, batch_loss, steps=steps, learning_rate=LEARNING_RATE, **options)


@torch.no_grad()
def accuracy(model: SharedReader) -> float:
    """The share of values with all three signs right, on 500 fresh sequences."""
    batch = model.task.draw(500, torch.Generator().manual_seed(7))
    right = ((model(batch.x) > 0) == (batch.answers > 0)).all(-1)
    return round(right.float().mean().item(), 4)


# ------------------------------------------------------------------------------------ the runs


@dataclass(frozen=True)
class PoolingRun:
    """One conversion of a trained reader, and the training that followed.

    Attributes:
        start: where the key and value heads came from: "mean" or "first" (of each group),
            "random", or "from scratch" (all weights are new: nothing is converted).
        seed: of the reader that was converted, too.
        steps: made after the conversion.
        original: accuracy of the trained reader with 8 key and value heads.
        before, after: accuracy right after the conversion, and after `steps` more.
    """

    start: str
    kv_heads: int
    seed: int
    steps: int
    planned: int
    parameters: int
    original: float
    before: float
    after: float
    seconds: float


POOLS: dict[str, Pool | None] = {"mean": mean_of_group, "first": first_of_group, "random": None}

# name in the figure -> where the heads come from, how many, steps after the conversion
SETTINGS: dict[str, tuple[str, int, int]] = {
    "mean,\n4 heads": ("mean", 4, UPTRAINING),
    "mean,\n2 heads": ("mean", 2, UPTRAINING),
    "mean,\n1 head": ("mean", 1, UPTRAINING),
    "first of group,\n2 heads": ("first", 2, UPTRAINING),
    "random,\n2 heads": ("random", 2, UPTRAINING),
    "all new,\n2 heads": ("from scratch", 2, UPTRAINING),
    "mean, 2 heads,\ntwice as long": ("mean", 2, 2 * UPTRAINING),
    "mean, 1 head,\n5 × as long": ("mean", 1, 5 * UPTRAINING),
    "all new, 2 heads,\nfull training": ("from scratch", 2, STEPS),
    "all new, 1 head,\nfull training": ("from scratch", 1, STEPS),
}


def train_and_convert(
    start: str, kv_heads: int, *, seed: int = 0, steps: int = UPTRAINING, progress: bool = True
) -> PoolingRun:
    """Train a reader of 8 heads, convert it, train on, and measure before and after.

    Args:
        start: as for `PoolingRun`.
        kv_heads: key and value heads after the conversion.
        steps: after the conversion.
    """
    original = SharedReader(NUM_HEADS, seed=seed)
    train_reader(original, seed=seed, label="8 heads", progress=progress)
    if start == "from scratch":
        model = SharedReader(kv_heads, seed=500 + seed)
    else:
        model = convert(original, kv_heads, POOLS[start], seed=500 + seed)
    before = accuracy(model)
    more = train_reader(model, steps=steps, seed=500 + seed, label=start, progress=progress)
    return PoolingRun(
        start=start,
        kv_heads=kv_heads,
        seed=seed,
        steps=more.steps,
        planned=steps,
        parameters=sum(p.numel() for p in model.parameters()),
        original=accuracy(original),
        before=before,
        after=accuracy(model),
        seconds=more.seconds,
    )


def recorded_runs(path: Path = RECORDED) -> list[PoolingRun]:
    """The recorded runs."""
    return read_runs(path, PoolingRun)


def runs_of(name: str, runs: list[PoolingRun]) -> list[PoolingRun]:
    """Those runs that were made with one of the `SETTINGS`."""
    start, kv_heads, steps = SETTINGS[name]
    return select(runs, start=start, kv_heads=kv_heads, planned=steps)


def plan(seeds: int = 10) -> list[dict]:
    """The recorded runs: arguments of `train_and_convert`."""
    names = "start", "kv_heads", "steps"
    return [
        {**dict(zip(names, setting, strict=True)), "seed": seed}
        for setting in SETTINGS.values()
        for seed in range(seeds)
    ]


def record(path: Path, seeds: int = 10) -> None:
    """Make the planned runs and write them to `path`; a stop writes those that are finished."""
    runs = make_runs(plan(seeds), train_and_convert)
    write_runs(path, "python -m attention_lab.pooling record", LookupTask(), runs=runs)


def summary(runs: list[PoolingRun]) -> str:
    """A table in plain text: for each setting the median, lowest and highest accuracy."""
    lines = [f"{'key and value heads':34} steps  seeds  {'before':>16}  {'after':>16}"]
    for name in SETTINGS:
        group = runs_of(name, runs)
        spans = (_span([getattr(run, when) for run in group]) for when in ("before", "after"))
        words = name.replace("\n", " ")
        columns = f"{words:34} {group[0].steps:5d}  {len(group):5d}"
        lines.append("  ".join([columns, *(f"{span:>16}" for span in spans)]))
    return "\n".join(lines)


def median(values: list[float]) -> float:
    """The median, between the two middle values when there are an even number."""
    return torch.tensor(values, dtype=torch.float64).quantile(0.5).item()


def _span(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


# --------------------------------------------------------------------------------------- figures


def plot_runs(runs: list[PoolingRun], live: dict[str, tuple[float, float]] | None = None):
    """Draw accuracy before and after the training that follows a conversion, one point a seed.

    Args:
        live: name in `SETTINGS` -> (before, after) of this notebook's run.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(11, 3.9)
    words = []
    for number, name in enumerate(SETTINGS):
        group = runs_of(name, runs)
        for when, shift, colour, marker in (
            ("before", -0.2, VERMILION, "v"),
            ("after", 0.2, BLUE, "o"),
        ):
            values = [getattr(run, when) for run in group]
            at = number + shift + 0.6 * beside(0, len(values))
            label = f"{when} training on" if number == 0 else None
            ax.scatter(at, values, s=14, color=colour, marker=marker, zorder=3, label=label)
        if live and name in live:
            style = {"s": 70, "marker": "D", "facecolor": "none", "edgecolor": ORANGE, "zorder": 4}
            label = (
                None if "this notebook" in ax.get_legend_handles_labels()[1] else "this notebook"
            )
            ax.scatter([number - 0.2, number + 0.2], live[name], label=label, **style)
        before, after = (median([getattr(r, w) for r in group]) for w in ("before", "after"))
        steps = group[0].steps
        words.append(f"{name.replace(chr(10), ' ')}: {before:.2f}, {after:.2f} after {steps} steps")
    ax.axhline(GUESS, color=GREY, linestyle="--", linewidth=1, label="guessing, 1/8")
    labels = [f"{name}\n({SETTINGS[name][2]} steps)" for name in SETTINGS]
    ax.set_xticks(range(len(SETTINGS)), labels, size=7.5)
    ax.set(ylabel="accuracy (share of values right)", ylim=(0, 1.05))
    ax.grid(True, axis="y")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=4)
    return figure, (
        "Accuracy right after key and value heads were replaced, and after training on; medians of "
        f"recorded runs. {'; '.join(words)}. Guessing: {GUESS}."
    )


# ---------------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> None:
    """Repeat the recorded runs."""
    parser, _, _ = command_line("attention_lab.pooling", __doc__, RECORDED)
    chosen = parser.parse_args(arguments)
    record(chosen.out, chosen.seeds)


if __name__ == "__main__":
    sys.exit(main())
