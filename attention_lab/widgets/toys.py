"""The attention explorer on models that a notebook has just trained."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from attention_lab import depth, planted
from attention_lab.partitions import Trained
from attention_lab.training import one_thread

from .explorer import Explorer, Seen, explore

SEQUENCES = 100  # that scores and accuracies are measured on
LOOKUPS = ("first look-up", "second look-up", "third look-up", "fourth look-up")


@one_thread()
def explore_stacks(
    models: Mapping[str, depth.DeepStack], induction_score: Callable[..., Tensor]
) -> Explorer:
    """Open the explorer on stacks of notebook 9, on 12 tokens and the same 12 again.

    Heads are marked by two scores. Silencing one runs the stack anew, with the function that the
    model was trained with, and says how often the answer is right then.

    Args:
        models: name -> trained stack; the first is shown.
        induction_score: as in `layers`.
    """

    @torch.no_grad()
    def run(name: str, silenced: Sequence[Sequence[int]]) -> Seen:
        model = models[name]
        layers = depth.without_heads(model, silenced)
        tokens, weights = depth.look(model, SEQUENCES, layers)
        scores = {
            "token before": depth.previous_weight(weights),
            "behind the copy": induction_score(weights, depth.FIRST),
        }
        right = depth.accuracy(model, layers=layers, size=SEQUENCES)
        note = f"Answers right, on {SEQUENCES} sequences of copied pairs: {right:.0%}"
        return Seen(_letters(tokens[0]), weights[:, 0], scores, note)

    first = next(iter(models))
    return _explore(
        run(first, []),
        lambda chosen: run(chosen.model, chosen.silenced),
        title="two trained stacks",
        models=list(models),
        can_silence=True,
    )


@one_thread()
def explore_jobs(
    models: Mapping[str, planted.JobModel],
    previous: Callable[[Tensor], Tensor],
    first: Callable[[Tensor], Tensor],
) -> Explorer:
    """Open the explorer on the models of notebook 7 that share two jobs out among six heads.

    Args:
        models: name -> trained model; the first is shown.
        previous, first: scores, (B, h, T, T) -> (h,).
    """

    @torch.no_grad()
    def run(name: str, silenced: Sequence[Sequence[int]]) -> Seen:
        model, on = models[name], torch.ones(1, planted.HEADS)
        for _, head in silenced:
            on[0, head] = 0
        weights = planted.look(model)
        scores = {"token before": previous(weights)[None], "first token": first(weights)[None]}
        note = f"Loss on fresh sequences, in nats: {planted.loss_fn(model)(on):.3f}"
        return Seen(_letters(planted.fresh_batch()[0][0]), weights[0], scores, note)

    return _explore(
        run(next(iter(models)), []),
        lambda chosen: run(chosen.model, chosen.silenced),
        title="two jobs, six heads",
        models=list(models),
        can_silence=True,
    )


@one_thread()
def explore_readers(trained: Sequence[Trained]) -> Explorer:
    """Open the explorer on readers of notebook 6, equally wide, with different numbers of heads.

    A token is written with the names that it asks for: C:AFHK is token C, which asks for A first. A
    head is marked with the look-up that it gives most of its weight to.

    Args:
        trained: readers whose `heads` return weights, such as `single.independent_heads`.
    """
    readers = {one.run.num_heads: one.reader for one in trained}

    @torch.no_grad()
    def run(num_heads: int) -> Seen:
        reader = readers[num_heads]
        batch = reader.task.draw(SEQUENCES, torch.Generator().manual_seed(8))
        weights = reader.attend(batch.x)[1]  # (B, h, T, T)
        asked = batch.asked[:, None].expand(-1, num_heads, -1, -1)  # (B, h, T, m)
        scores = weights.gather(-1, asked).mean((0, 2))  # (h, m)
        rows = [_letters(row) for row in batch.asked[0]]
        names = _letters(torch.arange(reader.task.num_tokens))
        return Seen(
            [f"{name}:{''.join(row)}" for name, row in zip(names, rows, strict=True)],
            weights[0],
            {name: row[None] for name, row in zip(LOOKUPS, scores.T, strict=True)},
        )

    return _explore(
        run(next(iter(readers))),
        lambda chosen: run(chosen.num_heads),
        title="trained readers",
        head_counts=list(readers),
    )


def _explore(seen: Seen, recompute: Callable[[Explorer], Seen], **settings) -> Explorer:
    return explore(
        seen.tokens, seen.weights, recompute, scores=seen.scores, note=seen.note, **settings
    )


def _letters(numbers: Tensor) -> list[str]:
    return [chr(ord("A") + number) for number in numbers.tolist()]
