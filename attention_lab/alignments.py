"""Cross-attention that learns where to look: which source token belongs to which target place.

**The task.** A source of 10 random symbols. For each place of the target, one symbol of the source
is asked for: the same place (copy), the places from behind (reverse), places in a fixed shuffled
order, or every second one. The model is only told whether a symbol was right, never where it stood.

`python -m attention_lab.alignments record` repeats the recorded runs (about a minute).
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from .figures import MAP, VERMILION, new_figure
from .recordings import FOLDER, command_line, make_runs, read_runs, select, write_runs
from .training import train

RECORDED = FOLDER / "alignments.json"
LENGTH = 10  # source tokens
SYMBOLS = 12
WIDTH, MEMORY_WIDTH, HEAD_DIM = 24, 32, 16
STEPS = 100
LEARNING_RATE = 0.02
Cross = Callable[..., tuple[Tensor, Tensor]]

# name -> the source place that each target place asks for
TASKS: dict[str, tuple[int, ...]] = {
    "copy": tuple(range(LENGTH)),
    "reverse": tuple(reversed(range(LENGTH))),
    "shuffled": (6, 2, 9, 0, 4, 7, 1, 8, 5, 3),
    "every second": tuple(range(1, LENGTH, 2)),
}


@dataclass(frozen=True)
class AlignmentTask:
    """What the recorded runs were trained on."""

    length: int = LENGTH
    symbols: int = SYMBOLS
    tasks: tuple[str, ...] = tuple(TASKS)


def attend_across(x, memory, w_q, w_k, w_v, w_o, num_heads, mask=None) -> tuple[Tensor, Tensor]:
    """Cross-attention; what the recorded runs used.

    Returns:
        out (B, T_q, D) and weights (B, h, T_q, T_k).
    """
    q, k, v = (
        tokens.matmul(w).unflatten(-1, (num_heads, -1)).transpose(1, 2)
        for tokens, w in ((x, w_q), (memory, w_k), (memory, w_v))
    )
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2) @ w_o, weights


class Aligner(nn.Module):
    """One cross-attention layer between a source of symbols and the places of a target.

    A target token knows its own place and nothing else; a source token is its symbol plus its
    place.

    Args:
        task: a name in `TASKS`.
        num_heads: each of width 16.
        places: False leaves the places out of the source.
        cross: a function with the arguments and results of `mha_lib.sharing.cross_attention`.
        seed: fixes the first weights.
    """

    def __init__(
        self,
        task: str,
        num_heads: int = 1,
        *,
        places: bool = True,
        cross: Cross = attend_across,
        seed: int = 0,
    ) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)

        def weights(rows: int, columns: int, scale: float | None = None) -> nn.Parameter:
            scale = rows**-0.5 if scale is None else scale
            return nn.Parameter(torch.randn(rows, columns, generator=g) * scale)

        inner = num_heads * HEAD_DIM
        self.num_heads, self.cross = num_heads, cross
        self.target_places = weights(len(TASKS[task]), WIDTH, 1)
        self.source_places = weights(LENGTH, MEMORY_WIDTH, 1)
        self.symbols = weights(SYMBOLS, MEMORY_WIDTH, 1)
        self.w_q = weights(WIDTH, inner)
        self.w_k, self.w_v = weights(MEMORY_WIDTH, inner), weights(MEMORY_WIDTH, inner)
        self.w_o = weights(inner, WIDTH)
        self.read_out = weights(WIDTH, SYMBOLS)
        if not places:
            self.source_places.requires_grad_(False).zero_()

    def look(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Symbols (B, T_k) -> out (B, T_q, D), weights (B, h, T_q, T_k)."""
        x = self.target_places.expand(len(source), -1, -1)
        memory = self.symbols[source] + self.source_places  # (B, T_k, D_memory)
        return self.cross(x, memory, self.w_q, self.w_k, self.w_v, self.w_o, self.num_heads)

    def forward(self, source: Tensor) -> Tensor:
        """Symbols (B, T_k) -> logits (B, T_q, symbols)."""
        return self.look(source)[0] @ self.read_out


def draw_sources(size: int, generator: torch.Generator) -> Tensor:
    """(size, 10) symbols; they may repeat, so that a symbol does not give its place away."""
    return torch.randint(SYMBOLS, (size, LENGTH), generator=generator)


@dataclass(frozen=True)
class AlignmentRun:
    """One training of an `Aligner`, measured on fresh sources.

    Attributes:
        accuracy: share of the target's symbols named right.
        found: share of the target's places at which the largest weight, in the mean over sources
            and heads, is on the source place asked for.
        weight: mean weight on the source place asked for.
    """

    task: str
    heads: int
    places: bool
    seed: int
    steps: int
    planned: int
    accuracy: float
    found: float
    weight: float
    seconds: float


@torch.no_grad()
def patterns(model: Aligner, size: int = 500) -> Tensor:
    """Mean weights over fresh sources and heads, (T_q, T_k)."""
    source = draw_sources(size, torch.Generator().manual_seed(7))
    return model.look(source)[1].mean((0, 1))


def train_aligner(
    task: str,
    heads: int = 1,
    *,
    places: bool = True,
    cross: Cross = attend_across,
    seed: int = 0,
    steps: int = STEPS,
    progress: bool = True,
) -> tuple[AlignmentRun, Aligner]:
    """Train one cross-attention layer on batches of 32 fresh sources, then measure it on others.

    Args:
        task, heads, places, cross: as for `Aligner`.
        seed: fixes first weights and batches.

    Returns:
        The measured run, and the model.
    """
    model = Aligner(task, heads, places=places, cross=cross, seed=seed)
    generator = torch.Generator().manual_seed(1_000_000 + seed)
    asked = list(TASKS[task])

    def batch_loss() -> Tensor:
        source = draw_sources(32, generator)
        return F.cross_entropy(model(source).flatten(0, 1), source[:, asked].flatten())

    training = train(
        model,
        batch_loss,
        steps=steps,
        learning_rate=LEARNING_RATE,
        label=task,
        progress=progress,
    )
    source = draw_sources(500, torch.Generator().manual_seed(8))
    with torch.no_grad():
        right = model(source).argmax(-1) == source[:, asked]
    weights = patterns(model)
    run = AlignmentRun(
        task=task,
        heads=heads,
        places=places,
        seed=seed,
        steps=training.steps,
        planned=steps,
        accuracy=round(right.float().mean().item(), 4),
        found=round((weights.argmax(1) == torch.tensor(asked)).float().mean().item(), 4),
        weight=round(weights[range(len(asked)), asked].mean().item(), 4),
        seconds=training.seconds,
    )
    return run, model


# -------------------------------------------------------------------------------- recorded runs


def recorded_runs(path: Path = RECORDED) -> list[AlignmentRun]:
    """The recorded runs."""
    return read_runs(path, AlignmentRun)


def plan(seeds: int = 10) -> list[dict]:
    """The recorded runs: arguments of `train_aligner`; the last ones lack the source's places."""
    jobs = [{"task": task, "seed": seed} for task in TASKS for seed in range(seeds)]
    return jobs + [{"task": "reverse", "places": False, "seed": seed} for seed in range(seeds)]


def record(path: Path, seeds: int = 10) -> None:
    """Make the planned runs and write them to `path`; a stop writes those that are finished."""
    runs = make_runs(plan(seeds), lambda **job: train_aligner(**job)[0])
    write_runs(path, "python -m attention_lab.alignments record", AlignmentTask(), runs=runs)


def summary(runs: list[AlignmentRun]) -> str:
    """A table in plain text: for each task the seeds, and the lowest value of each measure."""
    head = f"{'task':31} {'seeds':>5}  {'accuracy':>13}  {'places found':>13}  weight there"
    groups = [(task, select(runs, task=task, places=True)) for task in TASKS]
    groups.append(("reverse, source without places", select(runs, places=False)))
    lines = [head]
    for name, group in groups:
        spans = (
            f"{min(values):.2f} to {max(values):.2f}"
            for values in zip(*[(r.accuracy, r.found, r.weight) for r in group], strict=True)
        )
        lines.append(f"{name:31} {len(group):5d}  " + "  ".join(f"{span:>13}" for span in spans))
    return "\n".join(lines)


# --------------------------------------------------------------------------------------- figures


def plot_alignments(weights: dict[str, Tensor]):
    """Draw the mean weights of trained layers side by side, with the places that were asked for.

    Args:
        weights: task -> (T_q, T_k), as `patterns` gives them.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(11, 3.2, ncols=len(weights), squeeze=False)
    words = []
    for ax, (task, pattern) in zip(axes[0], weights.items(), strict=True):
        image = ax.imshow(pattern, cmap=MAP, vmin=0, vmax=1)
        for row, column in enumerate(TASKS[task]):
            style = {"fill": False, "edgecolor": VERMILION, "lw": 1.2}
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **style))
        ax.set(title=task, xlabel="source place (key)")
        ax.set_xticks(range(0, pattern.shape[1], 3))
        ax.set_yticks(range(0, pattern.shape[0], 3))
        ax.spines[:].set_visible(False)
        found = pattern.argmax(1).tolist()
        words.append(f"{task}: target places 0, 1, … look at {', '.join(map(str, found))}")
    axes[0][0].set_ylabel("target place (query)")
    figure.colorbar(image, ax=axes[0], label="mean attention weight", shrink=0.8)
    return figure, (
        "Mean attention weights of trained cross-attention layers; frames mark the source place "
        f"that holds the answer. Largest weight of each row: {'; '.join(words)}."
    )


# ---------------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> None:
    """Repeat the recorded runs."""
    parser, _, _ = command_line("attention_lab.alignments", __doc__, RECORDED)
    chosen = parser.parse_args(arguments)
    record(chosen.out, chosen.seeds)


if __name__ == "__main__":
    sys.exit(main())
