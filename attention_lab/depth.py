"""Heads side by side against layers on top of each other: a task that asks for two steps.

**The task.** 8 to 16 distinct tokens in random order, then the same ones again; within the second
copy the next token must be named each time. Who sees a token must find its first copy *and* take
what stood behind it. How long a copy is changes from batch to batch: with one length only, the
answer would always stand equally many tokens back, and position alone would find it.

`python -m attention_lab.depth record` repeats the recorded runs (a few minutes).
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from .figures import BLUE, GREEN, GREY, MAP, ORANGE, SKY, VERMILION, new_figure
from .recordings import FOLDER, draw_live, make_runs, read_runs, select, write_runs
from .training import train
from .without_w_o import LEARNING_RATE, STACK_WIDTH, SYMBOLS, Stack

RECORDED = FOLDER / "depth.json"
STEPS = 300
PERIODS = (8, 9, 10, 11, 12, 13, 14, 15, 16)
LONGEST = PERIODS[-1]
Layers = list[dict[str, Tensor]]
Attend = Callable[[Tensor, Layers, int, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class RepeatTask:
    """What the recorded runs were trained on: copies of these lengths, drawn from 16 tokens."""

    periods: tuple[int, ...] = PERIODS
    symbols: int = SYMBOLS


def draw_repeats(size: int, period: int, generator: torch.Generator) -> Tensor:
    """Draw sequences of `period` distinct tokens that are repeated once.

    Returns:
        (size, 2 · period) token numbers.
    """
    first = torch.rand(size, SYMBOLS, generator=generator).argsort(1)[:, :period]
    return first.repeat(1, 2)


def guess(periods: tuple[int, ...] = PERIODS) -> float:
    """How often a guess among the tokens that the second copy has not named yet is right."""
    each = [sum(1 / left for left in range(1, p)) / (p - 1) for p in periods]
    return sum(each) / len(each)


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


def next_in_copy(model: DeepStack, tokens: Tensor, layers: Layers | None = None):
    """Logits and answers within the second copy.

    Args:
        tokens: (B, 2·period), as `draw_repeats` makes them.

    Returns:
        logits (B, period - 1, symbols) and answers (B, period - 1).
    """
    period = tokens.shape[1] // 2
    return model(tokens[:, :-1], layers)[:, period:], tokens[:, period + 1 :]


@torch.no_grad()
def accuracy(
    model: DeepStack, periods: tuple[int, ...] = PERIODS, layers: Layers | None = None
) -> float:
    """The share of tokens named right on fresh sequences, the mean over `periods`."""
    generator, shares = torch.Generator().manual_seed(7), []
    for period in periods:
        logits, answers = next_in_copy(model, draw_repeats(100, period, generator), layers)
        shares.append((logits.argmax(-1) == answers).float().mean().item())
    return round(sum(shares) / len(shares), 4)


def without_layer(model: DeepStack, number: int) -> Layers:
    """The model's layers with the W_O of one of them set to zero: that layer writes nothing."""
    layers = model.layers
    layers[number]["w_o"] = torch.zeros_like(layers[number]["w_o"])
    return layers


@torch.no_grad()
def look(model: DeepStack, period: int = LONGEST, size: int = 100) -> tuple[Tensor, Tensor]:
    """Attention weights on fresh sequences.

    Returns:
        tokens (size, 2·period - 1) and weights (L, size, h, T, T).
    """
    tokens = draw_repeats(size, period, torch.Generator().manual_seed(8))[:, :-1]
    mask = causal(tokens.shape[1])
    _, weights = model.attend(model.embed(tokens), model.layers, model.num_heads, mask)
    return tokens, weights


def previous_weight(weights: Tensor, rows: int = LONGEST) -> Tensor:
    """Mean weight on the token before, rows 1 … rows - 1: (L, B, h, T, T) -> (L, h)."""
    t = torch.arange(1, rows)
    return weights[..., t, t - 1].mean((1, 3))


def induction_weight(weights: Tensor, period: int = LONGEST) -> Tensor:
    """Mean weight from t to t - period + 1, rows from `period` on: (L, B, h, T, T) -> (L, h)."""
    t = torch.arange(period, weights.shape[-1])
    return weights[..., t, t - period + 1].mean((1, 3))


# ---------------------------------------------------------------------------------- one training


@dataclass(frozen=True)
class DepthRun:
    """One training of a `DeepStack`, measured on fresh sequences.

    Attributes:
        periods: lengths of a copy, in training and when measured.
        accuracy: share of the tokens in the second copy that are named right.
        previous: for each layer the best head's mean weight on the token before, over the first
            copy of sequences of the longest period.
        induction: for each layer the best head's mean weight on the token behind the first copy.
        without: accuracy when the W_O of layer 0, 1, … is set to zero.
    """

    layers: int
    heads: int
    head_dim: int
    positions: bool
    periods: tuple[int, ...]
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
    periods: tuple[int, ...] = PERIODS,
    attend: Attend = run_layers,
    seed: int = 0,
    steps: int = STEPS,
    progress: bool = True,
) -> tuple[DepthRun, DeepStack]:
    """Train one stack on batches of 16 fresh sequences, then measure it on others.

    Args:
        num_layers, num_heads, head_dim, positions, attend: as for `DeepStack`.
        periods: one of them is drawn for each batch.
        seed: fixes first weights and batches.

    Returns:
        The measured run, and the model.
    """
    model = DeepStack(
        num_layers, num_heads, head_dim, positions=positions, attend=attend, seed=seed
    )
    generator = torch.Generator().manual_seed(1_000_000 + seed)

    def batch_loss() -> Tensor:
        period = periods[int(torch.randint(len(periods), (), generator=generator))]
        logits, answers = next_in_copy(model, draw_repeats(16, period, generator))
        return F.cross_entropy(logits.flatten(0, 1), answers.flatten())

    training = train(
        model,
        batch_loss,
        steps=steps,
        learning_rate=LEARNING_RATE,
        label=f"{num_layers} x {num_heads}",
        progress=progress,
    )
    _, weights = look(model, periods[-1])

    def best(scores: Tensor) -> tuple[float, ...]:
        return tuple(round(score, 4) for score in scores.amax(1).tolist())

    run = DepthRun(
        layers=num_layers,
        heads=num_heads,
        head_dim=head_dim,
        positions=positions,
        periods=tuple(periods),
        seed=seed,
        steps=training.steps,
        planned=steps,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        accuracy=accuracy(model, periods),
        previous=best(previous_weight(weights, periods[-1])),
        induction=best(induction_weight(weights, periods[-1])),
        without=tuple(
            accuracy(model, periods, without_layer(model, i)) for i in range(num_layers)
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
    "1 × 8, always\n16 tokens": {
        "num_layers": 1,
        "num_heads": 8,
        "head_dim": 16,
        "periods": (LONGEST,),
    },
}
COLOURS = (VERMILION, BLUE, ORANGE, GREEN, SKY)
MARKERS = ("s", "o", "^", "v", "P")


def recorded_runs(path: Path = RECORDED) -> list[DepthRun]:
    """The recorded runs."""
    return read_runs(path, DepthRun)


def runs_of(name: str, runs: list[DepthRun]) -> list[DepthRun]:
    """Those runs that were made with one of the `SETTINGS`."""
    wanted = {"steps": STEPS, "positions": True, "periods": PERIODS, **SETTINGS[name]}
    renamed = {"num_layers": "layers", "num_heads": "heads", "steps": "planned"}
    return select(runs, **{renamed.get(key, key): value for key, value in wanted.items()})


def plan(seeds: int = 10) -> list[dict]:
    """The recorded runs: arguments of `train_depth`."""
    return [{**setting, "seed": seed} for setting in SETTINGS.values() for seed in range(seeds)]


def record(path: Path, seeds: int = 10) -> None:
    """Make the planned runs and write them to `path`; a stop writes those that are finished."""
    runs = make_runs(plan(seeds), lambda **job: train_depth(**job)[0])
    write_runs(path, "python -m attention_lab.depth record", RepeatTask(), runs=runs)
