"""Train a small model: a progress bar, a seed, and a stop button that keeps what there is."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm


@dataclass
class Training:
    """What a training left behind; the model itself was changed in place.

    Attributes:
        losses: the loss of every step that was made.
        planned: how many steps were asked for.
        seconds: of wall time.
    """

    losses: list[float] = field(default_factory=list)
    planned: int = 0
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return len(self.losses)

    @property
    def stopped(self) -> bool:
        """Whether somebody pressed stop before the end."""
        return self.steps < self.planned


def train(
    model: nn.Module,
    batch_loss: Callable[[], Tensor],
    *,
    steps: int,
    learning_rate: float = 1e-2,
    warm_up: float = 0.1,
    label: str = "training",
    progress: bool = True,
) -> Training:
    """Train with Adam; the learning rate rises over the first steps, then falls as a half cosine.

    Press stop (Kernel > Interrupt) at any time: the model keeps what it has learned so far.

    Args:
        model: changed in place.
        batch_loss: draws a batch and returns the model's loss on it, a scalar.
        steps: 1 or more.
        learning_rate: the highest one.
        warm_up: share of the steps in which the rate rises.
        label: stands beside the progress bar.
        progress: False shows no bar.

    Raises:
        ValueError: if `steps` is below 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more, got {steps}")
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: _schedule(n, steps, warm_up))
    done, start = Training(planned=steps), perf_counter()
    bar = tqdm(total=steps, desc=label, unit="step", disable=not progress, leave=False)
    with one_thread(), bar:
        try:
            for step in range(steps):
                loss = batch_loss()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rate.step()
                done.losses.append(loss.item())
                if step % 25 == 0:
                    bar.set_postfix(loss=f"{done.losses[-1]:.3f}", refresh=False)
                bar.update()
        except KeyboardInterrupt:
            print(f"Stopped after {done.steps} of {steps} steps; what was learned is kept.")
    done.seconds = round(perf_counter() - start, 2)
    return done


def _schedule(step: int, steps: int, warm_up: float) -> float:
    rising = max(1, round(steps * warm_up))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Run on one CPU thread inside: for models this small, handing out work costs more than it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
