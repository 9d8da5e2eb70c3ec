"""What is lost without W_O: a reader in slices, a dense reader, and a stack of two layers.

**Slices.** A layer of h = 3 heads reads the look-up task of notebook 02 with m = 3 look-ups. Its
output is cut into 3 slices, and slice i must answer two look-ups, i and i + 1 (in a circle).
A *sliced* reader answers from that slice alone, a *dense* one from the whole output. Queries and
keys cannot see the values, so without W_O a slice is one blend, and a linear reader of that slice
leaves at least 1 - 1/2 of the variance of its two answers. The sliced reader is made up to show
this; no published model reads that way.

**Stack.** Attention-only models on copied pairs: 16 distinct tokens, then the 15 pairs of
neighbours again in random order; the second token of each must be named. Positions alone do not
give it.

`python -m attention_lab.without_w_o record` repeats the recorded runs (a few minutes).
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .figures import BLUE, GREY, VERMILION, new_figure
from .lookups import LookupTask
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

RECORDED = FOLDER / "without_w_o.json"
MIXINGS = ("dense", "block-diagonal", "absent")
READERS = ("sliced", "dense", "sliced mlp")
HEADS, HEAD_DIM = 3, 16
STEPS = 600
LEARNING_RATE = 0.01
FLOOR = 1 - 1 / 2  # one blend for two answers, notebook 02
Mix = Callable[[Tensor, Tensor], Tensor]

SYMBOLS = 16  # of the stack's task
STACK_WIDTH = 64
# Guessing among the second tokens not yet named: 1/15 at the first pair, 1/14 at the next, …, 1.
GUESS = sum(1 / left for left in range(1, SYMBOLS)) / (SYMBOLS - 1)


def concat_and_project(head_out: Tensor, w_o: Tensor) -> Tensor:
    """Put (B, h, T, d) side by side and multiply by w_o (h·d, D)."""
    return head_out.transpose(1, 2).flatten(2) @ w_o


# ------------------------------------------------------------------------------- one sliced layer


class SlicedLayer(nn.Module):
    """Three heads, some W_O, and a reader for each of three slices.

    Args:
        w_o: "dense" (h·d, h·d), "block-diagonal" (a matrix of its own for each slice) or "absent".
        reader: "sliced" or "dense", both linear, or "sliced mlp" (64 GELUs for each slice).
        mix: (head_out (B, h, T, d), w_o) -> (B, T, D), concat and project in some way; for instance
            the sum of `mha_lib.mixing.head_writes`.
        seed: fixes the first weights.

    Raises:
        ValueError: if `w_o` or `reader` is unknown.
    """

    def __init__(
        self, w_o: str, reader: str, *, mix: Mix = concat_and_project, seed: int = 0
    ) -> None:
        super().__init__()
        if w_o not in MIXINGS:
            raise ValueError(f"w_o is one of {MIXINGS}, not {w_o!r}")
        if reader not in READERS:
            raise ValueError(f"the reader is one of {READERS}, not {reader!r}")
        generator = torch.Generator().manual_seed(seed)

        def weights(*shape: int, scale: float = 0.1) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) * scale)

        self.task, self.mix, self.kind = LookupTask(HEADS), mix, w_o
        n, width = self.task.value_width, HEADS * HEAD_DIM
        self.w_q = weights(HEADS, self.task.width - n, HEAD_DIM)
        self.w_k = weights(HEADS, self.task.width - n, HEAD_DIM)
        self.w_v = weights(HEADS, self.task.width, HEAD_DIM)
        dense = weights(width, width, scale=width**-0.5)
        blocks = torch.block_diag(*[torch.ones(HEAD_DIM, HEAD_DIM)] * HEADS)
        self.register_buffer("blocks", blocks)
        if w_o == "absent":
            self.register_buffer("matrix", torch.eye(width))
        else:
            self.matrix = dense
        rows = width if reader == "dense" else HEAD_DIM
        columns = 64 if reader == "sliced mlp" else 2 * n
        self.read = weights(HEADS, rows, columns, scale=rows**-0.5)
        self.answer = weights(HEADS, columns, 2 * n, scale=columns**-0.5)
        if reader != "sliced mlp":
            self.answer = None
        self.whole = reader == "dense"

    @property
    def w_o(self) -> Tensor:
        """The (h·d, h·d) matrix that is in force: dense, in blocks, or the identity."""
        if self.kind == "block-diagonal":
            return self.matrix * self.blocks * HEADS**0.5
        return self.matrix

    def head_outputs(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> (B, h, T, d)."""
        blind = (0, 0, 0, self.task.value_width)  # rows of zeros: the values cannot be seen
        projections = F.pad(self.w_q, blind), F.pad(self.w_k, blind), self.w_v
        q, k, v = (torch.einsum("btc,hcd->bhtd", x, w) for w in projections)
        return F.scaled_dot_product_attention(q, k, v)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, D) -> answers (B, T, slice, 2, n)."""
        out = self.mix(self.head_outputs(x), self.w_o)  # (B, T, h·d)
        slices = out.unflatten(-1, (HEADS, HEAD_DIM))
        seen = out[:, :, None].expand(-1, -1, HEADS, -1) if self.whole else slices
        read = torch.einsum("btsc,sce->btse", seen, self.read)
        if self.answer is not None:
            read = torch.einsum("btsc,sce->btse", F.gelu(read), self.answer)
        return read.unflatten(-1, (2, self.task.value_width))

    def trainable(self) -> int:
        """How many numbers training can change, blocks counted without their zeros."""
        count = sum(p.numel() for p in self.parameters())
        outside = self.matrix.numel() - int(self.blocks.sum())
        return count - outside if self.kind == "block-diagonal" else count


def targets(answers: Tensor) -> Tensor:
    """(B, T, m, n) -> (B, T, slice, 2, n): slice i must answer look-ups i and i + 1."""
    return torch.stack([answers, answers.roll(-1, 2)], 3)


@dataclass(frozen=True)
class SliceRun:
    """One training of a `SlicedLayer` and what it left unexplained on fresh sequences.

    Attributes:
        unexplained: for each of the three slices, the mean squared error of its two answers as a
            share of their variance (which is 1).
        steps: how many were made; fewer than `planned` when somebody pressed stop.
    """

    w_o: str
    reader: str
    seed: int
    steps: int
    planned: int
    parameters: int
    unexplained: tuple[float, ...]
    seconds: float

    @property
    def share(self) -> float:
        """The mean over the slices."""
        return sum(self.unexplained) / len(self.unexplained)


def train_slices(
    w_o: str,
    reader: str,
    *,
    mix: Mix = concat_and_project,
    seed: int = 0,
    steps: int = STEPS,
    progress: bool = True,
) -> tuple[SliceRun, SlicedLayer]:
    """Train one layer on batches of 16 fresh sequences, then measure it on 1 000 others.

    Args:
        w_o, reader, mix: as for `SlicedLayer`.
        seed: fixes first weights and batches.

    Returns:
        The measured run, and the layer.
    """
    layer = SlicedLayer(w_o, reader, mix=mix, seed=seed)
    generator = torch.Generator().manual_seed(1_000_000 + seed)

    def batch_loss() -> Tensor:
        batch = layer.task.draw(16, generator)
        return F.mse_loss(layer(batch.x), targets(batch.answers))

    training = train(
        layer,
        batch_loss,
        steps=steps,
        learning_rate=LEARNING_RATE,
        label=f"W_O {w_o}, reader {reader}",
        progress=progress,
    )
    batch = layer.task.draw(1_000, torch.Generator().manual_seed(7))
    with torch.no_grad():
        wrong = (layer(batch.x) - targets(batch.answers)) ** 2  # (B, T, slice, 2, n)
    run = SliceRun(
        w_o=w_o,
        reader=reader,
        seed=seed,
        steps=training.steps,
        planned=steps,
        parameters=layer.trainable(),
        unexplained=tuple(round(s, 4) for s in wrong.mean((0, 1, 3, 4)).tolist()),
        seconds=training.seconds,
    )
    return run, layer


# ------------------------------------------------------------------------------------- the stack


class Stack(nn.Module):
    """Embeddings, attention layers with residual connections, and a read-out; no feed-forward.

    Args:
        num_layers, num_heads: of width 64 / h each.
        with_w_o: False adds the concatenated heads to the residual stream as they are.
        seed: fixes the first weights.
    """

    def __init__(self, num_layers: int, num_heads: int, with_w_o: bool, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def weights(*shape: int, scale: float = STACK_WIDTH**-0.5) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) * scale)

        D = STACK_WIDTH
        self.num_heads = num_heads
        self.symbols = weights(SYMBOLS, D, scale=1.0)
        self.positions = weights(SYMBOLS + 2 * (SYMBOLS - 1), D, scale=1.0)
        self.projections = nn.ParameterList(weights(3, D, D) for _ in range(num_layers))
        self.w_o = nn.ParameterList(weights(D, D) for _ in range(num_layers if with_w_o else 0))
        self.read_out = weights(D, SYMBOLS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token numbers (B, T) -> logits (B, T, symbols)."""
        x = self.symbols[tokens] + self.positions[: tokens.shape[1]]
        for number, projections in enumerate(self.projections):
            q, k, v = (
                (x @ w).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for w in projections
            )
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            out = out.transpose(1, 2).flatten(2)
            x = x + (out @ self.w_o[number] if self.w_o else out)
        return x @ self.read_out


def draw_pairs(size: int, generator: torch.Generator) -> Tensor:
    """16 distinct tokens in random order, then their 15 neighbouring pairs in random order.

    Returns:
        (size, 46) token numbers.
    """
    first = torch.rand(size, SYMBOLS, generator=generator).argsort(1)
    order = torch.rand(size, SYMBOLS - 1, generator=generator).argsort(1)
    pairs = torch.stack([first.gather(1, order), first.gather(1, order + 1)], 2)
    return torch.cat([first, pairs.flatten(1)], 1)


@dataclass(frozen=True)
class StackRun:
    """One training of a `Stack`; `accuracy` is the share of second tokens named right."""

    layers: int
    heads: int
    with_w_o: bool
    seed: int
    steps: int
    planned: int
    parameters: int
    accuracy: float
    seconds: float


def train_stack(
    num_layers: int = 2,
    num_heads: int = 4,
    *,
    with_w_o: bool,
    seed: int = 0,
    steps: int = STEPS,
    progress: bool = True,
) -> StackRun:
    """Train one stack on batches of 16 fresh sequences and measure it on 500 others."""
    stack = Stack(num_layers, num_heads, with_w_o, seed)
    generator = torch.Generator().manual_seed(1_000_000 + seed)

    def logits_and_answers(tokens: Tensor) -> tuple[Tensor, Tensor]:
        logits = stack(tokens[:, :-1])[:, SYMBOLS::2]  # after the first token of every pair
        return logits, tokens[:, SYMBOLS + 1 :: 2]

    def batch_loss() -> Tensor:
        logits, answers = logits_and_answers(draw_pairs(16, generator))
        return F.cross_entropy(logits.flatten(0, 1), answers.flatten())

    training = train(
        stack,
        batch_loss,
        steps=steps,
        learning_rate=LEARNING_RATE,
        label=f"{num_layers} layers, {'with' if with_w_o else 'without'} W_O",
        progress=progress,
    )
    with torch.no_grad():
        logits, answers = logits_and_answers(draw_pairs(500, torch.Generator().manual_seed(7)))
    return StackRun(
        layers=num_layers,
        heads=num_heads,
        with_w_o=with_w_o,
        seed=seed,
        steps=training.steps,
        planned=steps,
        parameters=sum(p.numel() for p in stack.parameters()),
        accuracy=round((logits.argmax(-1) == answers).float().mean().item(), 4),
        seconds=training.seconds,
    )


# -------------------------------------------------------------------------------- recorded runs


def recorded_slices(path: Path = RECORDED) -> list[SliceRun]:
    """The recorded runs of the sliced layer."""
    return read_runs(path, SliceRun, "slices")


def recorded_stacks(path: Path = RECORDED) -> list[StackRun]:
    """The recorded runs of the stack."""
    return read_runs(path, StackRun, "stacks")


def plan(seeds: int = 10) -> tuple[list[dict], list[dict]]:
    """The recorded runs: arguments of `train_slices`, and of `train_stack`."""
    slices = [
        {"w_o": w_o, "reader": reader, "seed": seed}
        for reader in READERS
        for w_o in MIXINGS
        for seed in range(seeds)
    ]
    stacks = [
        {"num_layers": layers, "with_w_o": with_w_o, "steps": steps, "seed": seed}
        for layers, with_w_o, steps in (
            (2, True, STEPS),
            (2, False, STEPS),
            (1, True, STEPS),
            (2, True, STEPS // 2),
            (2, False, STEPS // 2),
        )
        for seed in range(seeds)
    ]
    return slices, stacks


def record(path: Path, seeds: int = 10) -> None:
    """Make the planned runs and write them to `path`; a stop writes those that are finished."""
    slices, stacks = plan(seeds)
    write_runs(
        path,
        "python -m attention_lab.without_w_o record",
        LookupTask(HEADS),
        slices=make_runs(slices, lambda **job: train_slices(**job)[0]),
        stacks=make_runs(stacks, train_stack),
    )


# --------------------------------------------------------------------------------------- figures


def summary(runs: list[SliceRun]) -> str:
    """A table in plain text: for each reader and W_O the seeds, and what was left unexplained."""
    lines = [f"{'reader':11} {'W_O':15} seeds  median  lowest  highest  parameters"]
    for reader in READERS:
        for w_o in MIXINGS:
            group = select(runs, reader=reader, w_o=w_o)
            shares = torch.tensor([run.share for run in group], dtype=torch.float64)
            lines.append(
                f"{reader:11} {w_o:15} {len(group):5d}  {shares.quantile(0.5):6.3f}  "
                f"{shares.min():6.3f}  {shares.max():7.3f}  {group[0].parameters:10,d}"
            )
    return "\n".join(lines)


def plot_slices(live: list[SliceRun], recorded: list[SliceRun]):
    """Draw what is left, by W_O, one panel for each linear reader; live runs over recorded ones.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(8.4, 3.4, ncols=2, sharey=True)
    words = []
    for ax, reader in zip(axes, ("sliced", "dense"), strict=True):
        for number, w_o in enumerate(MIXINGS):
            shares = [run.share for run in select(recorded, reader=reader, w_o=w_o)]
            at = beside(number, len(shares))
            label = "recorded, one point a seed" if number == 0 else None
            ax.scatter(at, shares, s=14, color=GREY, zorder=3, label=label)
            if shares:
                words.append(f"{reader} reader, W_O {w_o}: {min(shares):.3f} to {max(shares):.3f}")
        mine = select(live, reader=reader)
        draw_live(ax, mine, [MIXINGS.index(run.w_o) for run in mine])
        if reader == "sliced":
            label = "floor of one blend, 1 - 1/2"
            ax.plot([0.5, 2.5], [FLOOR] * 2, color=VERMILION, label=label, zorder=2)
        ax.set_xticks(range(len(MIXINGS)), MIXINGS)
        ax.set(xlabel="W_O", title=f"{reader} reader", ylim=(-0.03, 0.75), xlim=(-0.5, 2.5))
        ax.grid(True, axis="y")
    axes[0].set_ylabel("unexplained share of variance")
    axes[0].legend(loc="upper left")
    return figure, "Unexplained share by W_O and reader, recorded runs: " + "; ".join(words) + "."


def plot_stacks(runs: list[StackRun]):
    """Draw the accuracy of the recorded stacks, one point a seed.

    Returns:
        (figure, alt text).
    """
    groups = [
        ("1 layer with W_O", {"layers": 1, "with_w_o": True, "steps": STEPS}),
        ("2 layers with W_O", {"layers": 2, "with_w_o": True, "steps": STEPS}),
        ("2 layers without", {"layers": 2, "with_w_o": False, "steps": STEPS}),
        (
            "2 layers with W_O,\nhalf the steps",
            {"layers": 2, "with_w_o": True, "steps": STEPS // 2},
        ),
        (
            "2 layers without,\nhalf the steps",
            {"layers": 2, "with_w_o": False, "steps": STEPS // 2},
        ),
    ]
    figure, ax = new_figure(8.4, 3.2)
    words = []
    for number, (name, wanted) in enumerate(groups):
        found = [run.accuracy for run in select(runs, **wanted)]
        at = beside(number, len(found))
        colour = BLUE if wanted["with_w_o"] else VERMILION
        marker = "o" if wanted["with_w_o"] else "s"
        ax.scatter(at, found, s=16, color=colour, marker=marker, zorder=3)
        flat = name.replace("\n", " ")
        words.append(f"{flat}: {min(found):.2f} to {max(found):.2f}")
    label = "guessing among those not yet named"
    ax.axhline(GUESS, color=GREY, linestyle="--", linewidth=1, label=label)
    ax.set_xticks(range(len(groups)), [name for name, _ in groups])
    ax.set(ylabel="accuracy on the second token", ylim=(0, 1.04))
    ax.grid(True, axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 0.02))
    words.append(f"guessing {GUESS:.2f}")
    return figure, "Accuracy of attention-only stacks on copied pairs: " + "; ".join(words) + "."


# ---------------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> None:
    """Repeat the recorded runs, or make one run."""
    parser, commands, _ = command_line("attention_lab.without_w_o", __doc__, RECORDED)
    slices = commands.add_parser("slices", help="train one sliced layer")
    slices.add_argument("--w-o", choices=MIXINGS, default="absent")
    slices.add_argument("--reader", choices=READERS, default="sliced")
    stack = commands.add_parser("stack", help="train one stack")
    stack.add_argument("--layers", type=int, default=2)
    stack.add_argument("--heads", type=int, default=4)
    stack.add_argument("--without-w-o", action="store_true")
    for one in (slices, stack):
        one.add_argument("--seed", type=int, default=0)
        one.add_argument("--steps", type=int, default=STEPS)
    chosen = parser.parse_args(arguments)
    if chosen.command == "record":
        record(chosen.out, chosen.seeds)
        return
    common = {"seed": chosen.seed, "steps": chosen.steps}
    if chosen.command == "slices":
        run, _ = train_slices(chosen.w_o, chosen.reader, **common)
    else:
        run = train_stack(chosen.layers, chosen.heads, with_w_o=not chosen.without_w_o, **common)
    print(json.dumps(asdict(run)))


if __name__ == "__main__":
    sys.exit(main())
