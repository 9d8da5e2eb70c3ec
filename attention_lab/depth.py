"""Heads side by side against layers on top of each other: a task that asks for two steps.

**The task.** 12 distinct tokens (of 16) in random order, then 30 more, copied from the first 12 in
pieces of two neighbours, or one token alone now and then, from anywhere. The second token of each
pair must be named. Who sees a token must find its first copy *and* take what stood behind it; how
far back that is changes from pair to pair, so position alone does not give it.
(12 of 16 tokens, so that the answer is not simply what is missing.)

`python -m attention_lab.depth record` repeats the recorded runs (a few minutes).
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from .figures import BLUE, GREEN, GREY, MAP, ORANGE, SKY, VERMILION, new_figure
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
from .training import one_thread, train
from .without_w_o import LEARNING_RATE, STACK_WIDTH, SYMBOLS, Stack

RECORDED = FOLDER / "depth.json"
STEPS = 400
FIRST = 12  # distinct tokens, and the period when they are repeated as a whole
COPIED = 30
JUMP = 0.2  # chance that a token stays alone, without its neighbour
UNMOVED = 1e-6  # a weight that changes by less has not changed
GUESS = 1 / (FIRST - 1)  # any of those that stood behind another one
Layers = list[dict[str, Tensor]]
Attend = Callable[[Tensor, Layers, int, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class CopyTask:
    """What the recorded runs were trained on.

    Attributes:
        symbols: how many tokens there are.
        first: how many of them a sequence has.
        copied: how many follow, in pairs.
        jump: chance that a token stays alone, without its neighbour.
    """

    symbols: int = SYMBOLS
    first: int = FIRST
    copied: int = COPIED
    jump: float = JUMP


def draw_first(size: int, generator: torch.Generator) -> Tensor:
    """(size, 12) distinct tokens in random order."""
    return torch.rand(size, SYMBOLS, generator=generator).argsort(1)[:, :FIRST]


def draw_pieces(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw sequences whose second part is copied from the first in pairs of neighbours.

    Pairs are drawn with replacement, so what was named already says nothing. A token alone now and
    then makes pairs start at any place.

    Returns:
        tokens (size, 42), and for rows 12 … 40 whether they are the first of a pair: (size, 29),
        True where the next token can be known.
    """
    first = draw_first(size, generator)
    jump = torch.rand(size, COPIED, generator=generator) < JUMP
    start = torch.randint(FIRST - 1, (size, COPIED), generator=generator)
    jump[:, 0] = True
    at = [start[:, 0]]
    for n in range(1, COPIED):
        jump[:, n] |= (at[-1] == FIRST - 1) | ~jump[:, n - 1]
        at.append(torch.where(jump[:, n], start[:, n], at[-1] + 1))
    return torch.cat([first, first.gather(1, torch.stack(at, 1))], 1), ~jump[:, 1:]


def draw_repeats(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw 12 distinct tokens and the same 12 again, in one piece.

    Returns:
        tokens (size, 24), and (size, 11), all True.
    """
    first = draw_first(size, generator)
    return first.repeat(1, 2), torch.ones(size, FIRST - 1, dtype=torch.bool)


def causal(num_tokens: int) -> Tensor:
    """(T, T), True = may attend: itself and what came before."""
    return torch.ones(num_tokens, num_tokens, dtype=torch.bool).tril()


# ------------------------------------------------------------------------------------ the models


def run_layers(x: Tensor, layers: Layers, num_heads: int, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Attention layers with residual connections; what the recorded runs used.

    Returns:
        x (B, T, D) and the weights (L, B, h, T, T).
    """
    kept = []
    for layer in layers:
        q, k, v = (
            (x @ layer[name]).unflatten(-1, (num_heads, -1)).transpose(1, 2)
            for name in ("w_q", "w_k", "w_v")
        )
        scores = q @ k.mT / q.shape[-1] ** 0.5
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        x = x + (weights @ v).transpose(1, 2).flatten(2) @ layer["w_o"]
        kept.append(weights)
    return x, torch.stack(kept)


class DeepStack(Stack):
    """The stack of `without_w_o`, with its layers as plain dictionaries and heads of any width.

    Args:
        num_layers, num_heads: of each layer.
        head_dim: d; None means 64 / h.
        positions: False leaves the position embeddings out.
        attend: (x, layers, h, mask) -> (x, weights); for instance `mha_lib.layers.attention_stack`.
        seed: fixes the first weights.
    """

    def __init__(
        self,
        num_layers: int,
        num_heads: int,
        head_dim: int | None = None,
        *,
        positions: bool = True,
        attend: Attend = run_layers,
        seed: int = 0,
    ) -> None:
        super().__init__(num_layers, num_heads, with_w_o=True, seed=seed)
        self.attend = attend
        if head_dim is not None and num_heads * head_dim != STACK_WIDTH:
            width = num_heads * head_dim
            g = torch.Generator().manual_seed(1_000 + seed)
            for i in range(num_layers):
                wide = torch.randn(3, STACK_WIDTH, width, generator=g) * STACK_WIDTH**-0.5
                self.projections[i] = nn.Parameter(wide)
                self.w_o[i] = nn.Parameter(
                    torch.randn(width, STACK_WIDTH, generator=g) * width**-0.5
                )
        if not positions:
            self.positions.requires_grad_(False).zero_()

    @property
    def layers(self) -> Layers:
        """One dictionary a layer: w_q, w_k, w_v (64, h·d), w_o (h·d, 64)."""
        names = ("w_q", "w_k", "w_v", "w_o")
        return [
            dict(zip(names, (*three, w_o), strict=True))
            for three, w_o in zip(self.projections, self.w_o, strict=True)
        ]

    def embed(self, tokens: Tensor) -> Tensor:
        """Token numbers (B, T) -> what the first layer reads (B, T, 64)."""
        return self.symbols[tokens] + self.positions[: tokens.shape[1]]

    def forward(self, tokens: Tensor, layers: Layers | None = None) -> Tensor:
        """Token numbers (B, T) -> logits (B, T, symbols); `layers` replaces its own ones."""
        mask = causal(tokens.shape[1])
        x, _ = self.attend(self.embed(tokens), layers or self.layers, self.num_heads, mask)
        return x @ self.read_out


def ask(
    model: DeepStack, tokens: Tensor, known: Tensor, layers: Layers | None = None
) -> tuple[Tensor, Tensor]:
    """Logits (n, symbols) and answers (n) where the next token can be known.

    Args:
        tokens, known: as `draw_pieces` and `draw_repeats` make them.
        layers: in place of the model's own.
    """
    logits = model(tokens[:, :-1], layers)[:, FIRST:]
    return logits[known], tokens[:, FIRST + 1 :][known]


@torch.no_grad()
def accuracy(
    model: DeepStack, *, pieces: bool = True, layers: Layers | None = None, size: int = 500
) -> float:
    """The share of tokens named right on fresh sequences."""
    draw = draw_pieces if pieces else draw_repeats
    logits, answers = ask(model, *draw(size, torch.Generator().manual_seed(7)), layers)
    return round((logits.argmax(-1) == answers).float().mean().item(), 4)


def without_layer(model: DeepStack, number: int) -> Layers:
    """The model's layers with the W_O of one of them set to zero: that layer writes nothing."""
    layers = model.layers
    layers[number]["w_o"] = torch.zeros_like(layers[number]["w_o"])
    return layers


def without_heads(model: DeepStack, silenced: Sequence[Sequence[int]]) -> Layers:
    """The model's layers with the rows of W_O of some heads set to zero.

    Args:
        silenced: pairs (layer, head).
    """
    layers = model.layers
    for layer, head in silenced:
        w_o = layers[layer]["w_o"].clone()
        w_o.view(model.num_heads, -1, w_o.shape[1])[head] = 0
        layers[layer]["w_o"] = w_o
    return layers


@torch.no_grad()
def look(model: DeepStack, size: int = 100, layers: Layers | None = None) -> tuple[Tensor, Tensor]:
    """Attention weights on fresh sequences of 12 tokens that are repeated as a whole.

    Args:
        layers: in place of the model's own.

    Returns:
        tokens (size, 23) and weights (L, size, h, 23, 23).
    """
    tokens = draw_repeats(size, torch.Generator().manual_seed(8))[0][:, :-1]
    mask = causal(tokens.shape[1])
    x = model.embed(tokens)
    _, weights = model.attend(x, layers or model.layers, model.num_heads, mask)
    return tokens, weights


def random_stack(num_layers: int, num_heads: int, seed: int = 0) -> tuple[Tensor, Layers]:
    """Draw 2 sequences of 9 tokens of width 32, and layers of heads of width 8, for `attend`."""
    g = torch.Generator().manual_seed(seed)
    sizes = {"w_q": (32, 8 * num_heads), "w_k": (32, 8 * num_heads), "w_v": (32, 8 * num_heads)}
    sizes["w_o"] = (8 * num_heads, 32)
    layers = [
        {name: torch.randn(*size, generator=g) * size[0] ** -0.5 for name, size in sizes.items()}
        for _ in range(num_layers)
    ]
    return torch.randn(2, 9, 32, generator=g), layers


def double_values(layers: Layers, num_heads: int, layer: int = 0, head: int = 0) -> Layers:
    """The same layers with one head's W_V doubled; the given ones stay as they were."""
    w_v = layers[layer]["w_v"].clone()
    w_v.view(len(w_v), num_heads, -1)[:, head] *= 2
    return [{**one, "w_v": w_v} if number == layer else one for number, one in enumerate(layers)]


@one_thread()
@torch.no_grad()
def reach_of_heads(attend: Attend, num_layers: int, num_heads: int) -> Tensor:
    """Whose pattern changes when a head's W_V is doubled, in layers with random weights.

    Args:
        attend: as for `DeepStack`.

    Returns:
        Boolean (L·h, L·h): a row for each head that was changed, all heads of layer 0 first.
    """
    x, layers = random_stack(num_layers, num_heads)
    before = attend(x, layers, num_heads)[1]  # (L, B, h, T, T)
    moved = []
    for layer in range(num_layers):
        for head in range(num_heads):
            after = attend(x, double_values(layers, num_heads, layer, head), num_heads)[1]
            moved.append((after - before).abs().amax((1, 3, 4)).flatten() > UNMOVED)
    return torch.stack(moved)


def previous_weight(weights: Tensor, rows: int = FIRST) -> Tensor:
    """Mean weight on the token before, rows 1 … rows - 1: (L, B, h, T, T) -> (L, h)."""
    t = torch.arange(1, rows)
    return weights[..., t, t - 1].mean((1, 3))


def induction_weight(weights: Tensor, period: int = FIRST) -> Tensor:
    """Mean weight from t to t - period + 1, rows from `period` on: (L, B, h, T, T) -> (L, h)."""
    t = torch.arange(period, weights.shape[-1])
    return weights[..., t, t - period + 1].mean((1, 3))


# ---------------------------------------------------------------------------------- one training


@dataclass(frozen=True)
class DepthRun:
    """One training of a `DeepStack`, measured on fresh sequences.

    Attributes:
        pieces: False when the second part was always the whole first part again.
        accuracy: share of the tokens in the second copy that are named right.
        previous: for each layer the best head's mean weight on the token before, over the first
            12 rows of sequences that are repeated as a whole.
        induction: for each layer the best head's mean weight on the token behind the first copy.
        without: accuracy when the W_O of layer 0, 1, … is set to zero.
    """

    layers: int
    heads: int
    head_dim: int
    positions: bool
    pieces: bool
    seed: int
    steps: int
    planned: int
    parameters: int
    accuracy: float
    previous: tuple[float, ...]
    induction: tuple[float, ...]
    without: tuple[float, ...]
    seconds: float


def train_depth(
    num_layers: int,
    num_heads: int,
    head_dim: int,
    *,
    positions: bool = True,
    pieces: bool = True,
    attend: Attend = run_layers,
    seed: int = 0,
    steps: int = STEPS,
    progress: bool = True,
) -> tuple[DepthRun, DeepStack]:
    """Train one stack on batches of 16 fresh sequences, then measure it on others.

    Args:
        num_layers, num_heads, head_dim, positions, attend: as for `DeepStack`.
        pieces: False repeats the first part as a whole, always at the same distance.
        seed: fixes first weights and batches.

    Returns:
        The measured run, and the model.
    """
    model = DeepStack(
        num_layers, num_heads, head_dim, positions=positions, attend=attend, seed=seed
    )
    generator = torch.Generator().manual_seed(1_000_000 + seed)

    draw = draw_pieces if pieces else draw_repeats

    def batch_loss() -> Tensor:
        return F.cross_entropy(*ask(model, *draw(16, generator)))

    training = train(
        model,
        batch_loss,
        steps=steps,
        learning_rate=LEARNING_RATE,
        label=f"{num_layers} x {num_heads}",
        progress=progress,
    )
    _, weights = look(model)

    def best(scores: Tensor) -> tuple[float, ...]:
        return tuple(round(score, 4) for score in scores.amax(1).tolist())

    run = DepthRun(
        layers=num_layers,
        heads=num_heads,
        head_dim=head_dim,
        positions=positions,
        pieces=pieces,
        seed=seed,
        steps=training.steps,
        planned=steps,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        accuracy=accuracy(model, pieces=pieces),
        previous=best(previous_weight(weights)),
        induction=best(induction_weight(weights)),
        without=tuple(
            accuracy(model, pieces=pieces, layers=without_layer(model, i))
            for i in range(num_layers)
        ),
        seconds=training.seconds,
    )
    return run, model


# -------------------------------------------------------------------------------- recorded runs

# name -> arguments of `train_depth`
SETTINGS: dict[str, dict] = {
    "1 layer × 8 heads": {"num_layers": 1, "num_heads": 8, "head_dim": 16},
    "2 layers × 1 head": {"num_layers": 2, "num_heads": 1, "head_dim": 64},
    "1 × 8, trained five\ntimes longer": {
        "num_layers": 1,
        "num_heads": 8,
        "head_dim": 16,
        "steps": 5 * STEPS,
    },
    "2 × 1, without\npositions": {
        "num_layers": 2,
        "num_heads": 1,
        "head_dim": 64,
        "positions": False,
    },
    "1 × 8, one piece,\nsame distance": {
        "num_layers": 1,
        "num_heads": 8,
        "head_dim": 16,
        "pieces": False,
    },
}
COLOURS = (VERMILION, BLUE, ORANGE, GREEN, SKY)
MARKERS = ("s", "o", "^", "v", "P")


def recorded_runs(path: Path = RECORDED) -> list[DepthRun]:
    """The recorded runs."""
    return read_runs(path, DepthRun)


def runs_of(name: str, runs: list[DepthRun]) -> list[DepthRun]:
    """Those runs that were made with one of the `SETTINGS`."""
    wanted = {"steps": STEPS, "positions": True, "pieces": True, **SETTINGS[name]}
    renamed = {"num_layers": "layers", "num_heads": "heads", "steps": "planned"}
    return select(runs, **{renamed.get(key, key): value for key, value in wanted.items()})


def plan(seeds: int = 10) -> list[dict]:
    """The recorded runs: arguments of `train_depth`."""
    return [{**setting, "seed": seed} for setting in SETTINGS.values() for seed in range(seeds)]


def record(path: Path, seeds: int = 10) -> None:
    """Make the planned runs and write them to `path`; a stop writes those that are finished."""
    runs = make_runs(plan(seeds), lambda **job: train_depth(**job)[0])
    write_runs(path, "python -m attention_lab.depth record", CopyTask(), runs=runs)


# --------------------------------------------------------------------------------------- figures


def plot_grid(num_layers: int = 12, num_heads: int = 12):
    """Draw a model's heads as a grid: side by side in a layer, the layers on top of each other.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(5.2, 4.6)
    for layer in range(num_layers):
        for head in range(num_heads):
            ax.add_patch(Rectangle((head + 0.08, layer + 0.12), 0.84, 0.6, color=SKY))
        if layer:
            middle = (num_heads / 2, layer)
            style = {"arrowstyle": "->", "color": VERMILION, "lw": 1.5}
            ax.annotate("", (middle[0], layer + 0.16), (middle[0], layer - 0.34), arrowprops=style)
    ax.set(xlim=(0, num_heads), ylim=(0, num_layers))
    ax.set_xticks([i + 0.5 for i in range(num_heads)], range(num_heads))
    ax.set_yticks([i + 0.4 for i in range(num_layers)], range(num_layers))
    ax.set(
        xlabel="head: side by side, none waits for another",
        ylabel="layer: each reads the one below",
    )
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    count = num_layers * num_heads
    return figure, (
        f"{num_layers} rows of {num_heads} boxes, {count} in all, side by side in a row; an "
        "arrow leads from each row to the one above."
    )


def plot_patterns(tokens: Tensor, weights: Tensor, names: list[str], marks: list[str]):
    """Draw attention patterns of one sequence side by side, with the places that are asked about.

    Args:
        tokens: (T,) numbers, shown as letters.
        weights: (n, T, T).
        names: n titles.
        marks: n times "previous", "induction" or "".

    Returns:
        (figure, alt text).
    """
    size, letters = len(tokens), [chr(65 + int(t)) for t in tokens]
    figure, axes = new_figure(4.4 * len(names), 4.3, ncols=len(names), squeeze=False)
    words = []
    for ax, pattern, name, mark in zip(axes[0], weights, names, marks, strict=True):
        image = ax.imshow(pattern, cmap=MAP, vmin=0, vmax=1)
        places = []
        if mark == "previous":
            places = [(t, t - 1) for t in range(1, FIRST)]
        elif mark == "induction":
            places = [(t, t - FIRST + 1) for t in range(FIRST, size)]
        for row, column in places:
            style = {"fill": False, "edgecolor": VERMILION, "lw": 1}
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **style))
        ax.set_xticks(range(size), letters, size=7)
        ax.set_yticks(range(size), letters, size=7)
        ax.set(title=name, xlabel="key: the token looked at", ylabel="query: the token that looks")
        ax.spines[:].set_visible(False)
        if places:
            mean = sum(pattern[place].item() for place in places) / len(places)
            where = "the token before" if mark == "previous" else "the token behind the first copy"
            words.append(f"{name}: {mean:.2f} of the weight on {where} in the marked rows")
        else:
            words.append(name)
    figure.colorbar(image, ax=axes[0], label="attention weight", shrink=0.8)
    return figure, "Attention patterns. " + "; ".join(words) + "."


def plot_runs(runs: list[DepthRun], live: list[DepthRun] = ()):
    """Draw the accuracy of recorded runs, one point a seed, and of live ones as diamonds.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(8.6, 3.5)
    words, live_at, live_runs = [], [], []
    for number, name in enumerate(SETTINGS):
        found = [run.accuracy for run in runs_of(name, runs)]
        at = beside(number, len(found))
        ax.scatter(at, found, s=16, color=COLOURS[number], marker=MARKERS[number], zorder=3)
        words.append(f"{name.replace(chr(10), ' ')}: {min(found):.2f} to {max(found):.2f}")
        if number < 2:
            wanted = SETTINGS[name]
            mine = select(live, layers=wanted["num_layers"], heads=wanted["num_heads"])
            live_runs += mine
            live_at += [number] * len(mine)
    if live_runs:
        draw_live(ax, live_runs, live_at, [run.accuracy for run in live_runs])
    ax.axhline(GUESS, color=GREY, linestyle="--", linewidth=1, label="guessing, 1/11")
    ax.set_xticks(range(len(SETTINGS)), list(SETTINGS))
    ax.set(ylabel="accuracy (share of tokens right)", ylim=(0, 1.05))
    ax.grid(True, axis="y")
    ax.legend(loc="center left", bbox_to_anchor=(0, 0.62))
    return figure, "Accuracy by model, recorded runs: " + "; ".join(
        words
    ) + f"; guessing {GUESS:.2f}."


def wrong_patterns() -> dict[str, Tensor]:
    """Four heads on 5 tokens that are repeated: which way of looking made which picture?

    Returns:
        letter -> (10, 10) boolean, True where the weight is.
    """
    size, period = 10, 5
    back = {"A": period, "B": 1, "C": period - 1, "D": period + 1}
    pictures = {}
    for letter, distance in back.items():
        pattern = torch.zeros(size, size, dtype=torch.bool)
        for t in range(size):
            pattern[t, t - distance if t >= distance else 0] = True
        pictures[letter] = pattern
    return pictures


def summary(runs: list[DepthRun]) -> str:
    """A table in plain text: for each setting the seeds, parameters and accuracy."""
    lines = [f"{'model':34} {'parameters':>10} {'steps':>6} {'seeds':>6}  median  lowest  highest"]
    for name in SETTINGS:
        group = runs_of(name, runs)
        found = torch.tensor([run.accuracy for run in group], dtype=torch.float64)
        lines.append(
            f"{name.replace(chr(10), ' '):34} {group[0].parameters:10,d} {group[0].steps:6,d} "
            f"{len(group):6d}  {found.quantile(0.5):6.3f}  {found.min():6.3f}  {found.max():7.3f}"
        )
    return "\n".join(lines)


# ---------------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> None:
    """Repeat the recorded runs, or make one run."""
    parser, commands, _ = command_line("attention_lab.depth", __doc__, RECORDED)
    one = commands.add_parser("train", help="train one stack")
    one.add_argument("--layers", type=int, default=2)
    one.add_argument("--heads", type=int, default=1)
    one.add_argument("--head-dim", type=int, default=64)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--steps", type=int, default=STEPS)
    chosen = parser.parse_args(arguments)
    if chosen.command == "record":
        record(chosen.out, chosen.seeds)
        return
    sizes = chosen.layers, chosen.heads, chosen.head_dim
    run, _ = train_depth(*sizes, seed=chosen.seed, steps=chosen.steps)
    print(json.dumps(asdict(run)))


if __name__ == "__main__":
    sys.exit(main())
