"""A small model whose heads have jobs, because the task gives them: two jobs, six heads.

**The task.** 12 random tokens; at every position but the first, two things are asked for: the
token just before, and the token at position 0. One attention layer with a linear read-out has to
answer both, so somebody must look at the token before and somebody at the first.

**Two trainings.** One with all heads on in every step, one in which each head is switched off at
random in three of ten steps, so that no head may be relied on.

`python -m attention_lab.planted record` repeats the recorded runs (about a minute).
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .figures import BLUE, GREEN, GREY, ORANGE, VERMILION, new_figure
from .recordings import FOLDER, beside, command_line, make_runs, read_runs, select, write_runs
from .training import train

RECORDED = FOLDER / "planted.json"
SYMBOLS, TOKENS = 16, 12
WIDTH, HEADS, HEAD_DIM = 32, 6, 16
STEPS = 400
LEARNING_RATE = 1e-2
BATCH = 32
DROPOUTS = (0.0, 0.3)  # chance that a head is off in a training step
HAS_JOB = 0.5  # a head whose score is above this is counted to that job
JOBS = ("previous", "first")


@dataclass(frozen=True)
class JobTask:
    """What the recorded runs were trained on.

    Attributes:
        symbols: how many tokens there are.
        tokens: in a sequence.
        width: D.
        head_dim: d of each head.
    """

    symbols: int = SYMBOLS
    tokens: int = TOKENS
    width: int = WIDTH
    head_dim: int = HEAD_DIM


def draw(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw sequences and their answers.

    Returns:
        tokens (size, 12), and for positions 1 … 11 the token before and the first token:
        (size, 11, 2).
    """
    tokens = torch.randint(SYMBOLS, (size, TOKENS), generator=generator)
    return tokens, torch.stack([tokens[:, :-1], tokens[:, :1].expand(-1, TOKENS - 1)], -1)


class JobModel(nn.Module):
    """One attention layer of six heads, with embeddings and a linear read-out.

    Args:
        seed: fixes the first weights.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)

        def matrix(*size: int, std: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(*size, generator=g) * std)

        inner = HEADS * HEAD_DIM
        self.symbols = matrix(SYMBOLS, WIDTH, std=1)
        self.positions = matrix(TOKENS, WIDTH, std=1)
        self.projections = matrix(3, WIDTH, inner, std=WIDTH**-0.5)
        self.w_o = matrix(inner, WIDTH, std=inner**-0.5)
        self.read_out = matrix(WIDTH, 2 * SYMBOLS, std=WIDTH**-0.5)

    def forward(self, tokens: Tensor, head_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Token numbers (B, T) -> logits (B, T, 2, symbols) and weights (B, h, T, T).

        Args:
            head_mask: (1, h); each head's output is multiplied by its entry.
        """
        x = self.symbols[tokens] + self.positions
        q, k, v = ((x @ w).unflatten(-1, (HEADS, -1)).transpose(1, 2) for w in self.projections)
        weights = (q @ k.mT / HEAD_DIM**0.5).softmax(-1)  # (B, h, T, T)
        out = weights @ v
        if head_mask is not None:
            out = out * head_mask[0, :, None, None]
        logits = out.transpose(1, 2).flatten(2) @ self.w_o @ self.read_out
        return logits.unflatten(-1, (2, SYMBOLS)), weights


def loss_of(
    model: JobModel, tokens: Tensor, answers: Tensor, head_mask: Tensor | None = None
) -> Tensor:
    """Cross-entropy in nats, the mean over both questions."""
    logits, _ = model(tokens, head_mask)
    return F.cross_entropy(logits[:, 1:].flatten(0, 2), answers.flatten())


def fresh_batch() -> tuple[Tensor, Tensor]:
    """500 sequences that no training has seen."""
    return draw(500, torch.Generator().manual_seed(7))


def loss_fn(model: JobModel) -> Callable[[Tensor], float]:
    """The model's loss on the test sequences, as a function of a head mask (1, 6)."""
    tokens, answers = fresh_batch()

    @torch.no_grad()
    def loss(head_mask: Tensor) -> float:
        return loss_of(model, tokens, answers, head_mask).item()

    return loss


@torch.no_grad()
def look(model: JobModel) -> Tensor:
    """Attention weights on the test sequences: (500, 6, 12, 12)."""
    return model(fresh_batch()[0])[1]


def previous_weight(weights: Tensor) -> Tensor:
    """Mean weight on the token before: (B, h, T, T) -> (h,). Used by the recorded runs."""
    return weights.diagonal(-1, -2, -1).mean((0, 2))


def first_weight(weights: Tensor) -> Tensor:
    """Mean weight on token 0: (B, h, T, T) -> (h,). Used by the recorded runs."""
    return weights[..., 0].mean((0, 2))


def heads_with(scores: Tensor) -> list[int]:
    """The heads whose score (h,) is above one half."""
    return [i for i, score in enumerate(scores.tolist()) if score > HAS_JOB]


def rise_without(loss: Callable[[Tensor], float], heads: list[int]) -> float:
    """How much the loss rises, in nats, when all these heads are off at once."""
    mask = torch.ones(1, HEADS)
    mask[0, heads] = 0
    return loss(mask) - loss(torch.ones(1, HEADS))


# ---------------------------------------------------------------------------------- one training


@dataclass(frozen=True)
class JobRun:
    """One training of a `JobModel`, measured on fresh sequences.

    Attributes:
        dropout: chance that a head was off in a training step.
        accuracy: share of right answers: the token before, the first token.
        chance: the highest score of any head before training.
        previous, first: each head's score.
        single: rise of the loss, in nats, when one head is off, for each head.
        joint: rise when all heads with a job are off: token before, first token.
    """

    dropout: float
    seed: int
    steps: int
    planned: int
    accuracy: tuple[float, ...]
    chance: float
    previous: tuple[float, ...]
    first: tuple[float, ...]
    single: tuple[float, ...]
    joint: tuple[float, ...]
    seconds: float

    def heads(self, job: str) -> list[int]:
        """The heads with one of the two `JOBS`."""
        return heads_with(torch.tensor(getattr(self, job)))

    def summed(self, job: str) -> float:
        """The single effects of these heads, added up."""
        return sum(self.single[i] for i in self.heads(job))


def train_jobs(
    dropout: float = 0.0, *, seed: int = 0, steps: int = STEPS, progress: bool = True
) -> tuple[JobRun, JobModel]:
    """Train one model on batches of 32 fresh sequences, then measure it on others.

    Args:
        dropout: chance that a head is off in a training step.
        seed: fixes first weights, batches and which heads are off.

    Returns:
        The measured run, and the model.
    """
    model, generator = JobModel(seed), torch.Generator().manual_seed(1_000_000 + seed)
    untrained = look(model)

    def batch_loss() -> Tensor:
        batch = draw(BATCH, generator)
        on = (torch.rand(1, HEADS, generator=generator) >= dropout).float()
        return loss_of(model, *batch, on)

    training = train(
        model,
        batch_loss,
        steps=steps,
        learning_rate=LEARNING_RATE,
        label=f"heads off {dropout:.0%}",
        progress=progress,
    )
    return _measure(model, untrained, training, dropout, seed), model


@torch.no_grad()
def _measure(model: JobModel, untrained: Tensor, training, dropout: float, seed: int) -> JobRun:
    tokens, answers = fresh_batch()
    logits, weights = model(tokens)
    scores = [previous_weight(weights), first_weight(weights)]
    loss = loss_fn(model)

    def rounded(values) -> tuple[float, ...]:
        return tuple(round(float(value), 4) for value in values)

    return JobRun(
        dropout=dropout,
        seed=seed,
        steps=training.steps,
        planned=training.planned,
        accuracy=rounded((logits[:, 1:].argmax(-1) == answers).float().mean((0, 1))),
        chance=rounded([max(previous_weight(untrained).max(), first_weight(untrained).max())])[0],
        previous=rounded(scores[0]),
        first=rounded(scores[1]),
        single=rounded(rise_without(loss, [i]) for i in range(HEADS)),
        joint=rounded(rise_without(loss, heads_with(score)) for score in scores),
        seconds=training.seconds,
    )


# --------------------------------------------------------------------------------- recorded runs


def recorded_runs(path: Path = RECORDED) -> list[JobRun]:
    """The recorded runs."""
    return read_runs(path, JobRun)


def record(path: Path, seeds: int = 10) -> None:
    """Make the planned runs and write them to `path`; a stop writes those that are finished."""
    jobs = [{"dropout": dropout, "seed": seed} for dropout in DROPOUTS for seed in range(seeds)]
    runs = make_runs(jobs, lambda **job: train_jobs(**job)[0])
    write_runs(path, "python -m attention_lab.planted record", JobTask(), runs=runs)


def wrong_tables(loss: Callable[[Tensor], float]) -> dict[str, list[float]]:
    """Importance measured in four ways, of which one is right: letter -> six numbers in nats."""
    single = [rise_without(loss, [i]) for i in range(HEADS)]
    return {
        "A": [rise_without(loss, list(range(i + 1))) for i in range(HEADS)],
        "B": single,
        "C": [rise_without(loss, [j for j in range(HEADS) if j != i]) for i in range(HEADS)],
        "D": [-rise for rise in single],
    }


# --------------------------------------------------------------------------------------- figures


def plot_tables(tables: dict[str, list[float]]):
    """Draw `wrong_tables` side by side.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(9, 2.6, ncols=len(tables))
    for ax, (letter, values) in zip(axes, tables.items(), strict=True):
        ax.bar(range(HEADS), values, color=BLUE)
        ax.axhline(0, color=GREY, linewidth=1)
        ax.set(title=letter, xlabel="head", xticks=range(HEADS))
    axes[0].set_ylabel("importance (nats)")
    words = "; ".join(
        f"{letter}: " + ", ".join(f"{value:.2f}" for value in values)
        for letter, values in tables.items()
    )
    return figure, f"Importance of six heads in nats, measured in four ways. {words}."


def plot_scores(previous: Tensor, first: Tensor, chance: float):
    """Draw the two scores of each head (h,), with the highest score of an untrained model.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(6.4, 2.9)
    at = torch.arange(HEADS)
    ax.bar(at - 0.2, previous, width=0.38, color=BLUE, label="token before")
    ax.bar(at + 0.2, first, width=0.38, color=ORANGE, hatch="//", label="first token")
    ax.axhline(chance, color=GREY, linestyle="--", linewidth=1, label="highest before training")
    ax.set(xlabel="head", ylabel="score (mean weight)", ylim=(0, 1.02))
    figure.legend(loc="outside upper center", ncols=3)
    rows = [("token before", previous), ("first token", first)]
    words = "; ".join(f"{name}: " + ", ".join(f"{s:.2f}" for s in v.tolist()) for name, v in rows)
    return figure, f"Scores of heads 0 to 5. {words}. Highest before training: {chance:.2f}."


def plot_effects(runs: list[JobRun]):
    """Draw single effects, added up, against the joint effect, for both trainings and both jobs.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(8, 3.4, ncols=2, sharey=True)
    words = []
    for ax, dropout in zip(axes, DROPOUTS, strict=True):
        group = select(runs, dropout=dropout)
        for place, job in enumerate(JOBS):
            at = beside(place, len(group))
            summed = [run.summed(job) for run in group]
            joint = [run.joint[place] for run in group]
            ax.vlines(at, summed, joint, color=GREY, linewidth=0.8)
            one = ax.scatter(at, summed, s=20, color=VERMILION, marker="s", zorder=3)
            all_off = ax.scatter(at, joint, s=20, color=GREEN, zorder=3)
            words.append(
                f"heads off {dropout:.0%} of the steps, {job}: singly {min(summed):.2f} to "
                f"{max(summed):.2f}, at once {min(joint):.2f} to {max(joint):.2f}"
            )
        ax.set_xticks(range(2), ["heads for\nthe token before", "heads for\nthe first token"])
        ax.set_title("all heads on in training" if not dropout else "each head off in 30% of steps")
        ax.grid(True, axis="y")
    axes[0].set(ylabel="rise of the loss (nats)", ylim=(-0.1, None))
    figure.legend(
        [one, all_off],
        ["heads off one at a time, added up", "all these heads off at once"],
        loc="outside upper center",
        ncols=2,
    )
    return figure, "Rise of the loss in nats over ten seeds. " + "; ".join(words) + "."


# ---------------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> None:
    """Repeat the recorded runs, or make one run."""
    parser, commands, _ = command_line("attention_lab.planted", __doc__, RECORDED)
    one = commands.add_parser("train", help="train one model")
    one.add_argument("--dropout", type=float, default=0.0)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--steps", type=int, default=STEPS)
    chosen = parser.parse_args(arguments)
    if chosen.command == "record":
        record(chosen.out, chosen.seeds)
        return
    run, _ = train_jobs(chosen.dropout, seed=chosen.seed, steps=chosen.steps)
    print(json.dumps(asdict(run)))


if __name__ == "__main__":
    sys.exit(main())
