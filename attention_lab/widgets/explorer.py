"""The attention explorer: every head of a model as a lens on the same sentence.

A widget for JupyterLab that needs no network: a map of each head, one of them large, and several
heads laid over the sentence. Mouse, keyboard and screen reader reach all of it. Where there are no
widgets (an exported page), a picture of all heads with a description stands in its place.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import anywidget
import numpy as np
import torch
import traitlets
from matplotlib import colormaps
from matplotlib.colors import to_hex
from torch import Tensor

from attention_lab.figures import (
    BLUE,
    GREEN,
    MAP,
    MARKS,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    grid_of_maps,
    image_html,
)
from attention_lab.training import one_thread

HERE = Path(__file__).parent
LENS_COLOURS = [BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY]
SHADES = 64  # of the colour map; more cannot be told apart
MOST_TOKENS = 64  # a larger map has cells too small to point at


class Seen(NamedTuple):
    """What the explorer shows for one choice.

    Attributes:
        tokens: T words, 64 at most.
        weights: (L, h, T, T), or (h, T, T) of a single layer.
        scores: role -> (L, h), between 0 and 1: how well each head fits it.
        note: in words, what the choice did besides.
    """

    tokens: Sequence[str]
    weights: Tensor
    scores: Mapping[str, Tensor] = MappingProxyType({})
    note: str = ""


Recompute = Callable[["Explorer"], Seen | tuple[Sequence[str], Tensor]]


class Explorer(anywidget.AnyWidget):
    """Weights (L, h, T, T) of one sentence, to look through.

    Attributes:
        title: names the explorer on the page.
        tokens: T words.
        weights: float32, rows sum to 1 (or to 0 where a query may look nowhere).
        roles, scores: names, and for each of them a table (L, h); a head is marked with the role
            that fits it best, if its score is at least `threshold`.
        note: in words, what the last choice did besides.
        layer, head, query: what is shown large.
        lenses: pairs (layer, head) that are laid over the sentence.
        sentence: what can be typed over; "" where the sentence is fixed.
        models, model: names to choose from, and the chosen one; "" without a choice.
        masks, mask: names to choose from, and the chosen one; "" without a choice.
        head_counts, num_heads: numbers of heads to choose from, and the chosen one.
        can_silence, silenced: whether heads can be switched off, and pairs of those that are.
    """

    _esm = HERE / "explorer.js"
    _css = HERE / "explorer.css"

    title = traitlets.Unicode("Attention explorer").tag(sync=True)
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    roles = traitlets.List(traitlets.Unicode()).tag(sync=True)
    scores = traitlets.List().tag(sync=True)
    threshold = traitlets.Float(0.5).tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)
    data = traitlets.Bytes().tag(sync=True)
    layer = traitlets.Int().tag(sync=True)
    head = traitlets.Int().tag(sync=True)
    query = traitlets.Int().tag(sync=True)
    lenses = traitlets.List().tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)
    models = traitlets.List(traitlets.Unicode()).tag(sync=True)
    model = traitlets.Unicode().tag(sync=True)
    masks = traitlets.List(traitlets.Unicode()).tag(sync=True)
    mask = traitlets.Unicode().tag(sync=True)
    head_counts = traitlets.List(traitlets.Int()).tag(sync=True)
    num_heads = traitlets.Int().tag(sync=True)
    can_silence = traitlets.Bool(False).tag(sync=True)
    silenced = traitlets.List().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    shades = traitlets.List(traitlets.Unicode()).tag(sync=True)
    mark_colours = traitlets.List(traitlets.Unicode()).tag(sync=True)
    lens_colours = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, recompute: Recompute | None = None, **traits):
        colours = colormaps[MAP](np.linspace(0, 1, SHADES))
        fixed = {
            "shades": [to_hex(c) for c in colours],
            "lens_colours": LENS_COLOURS,
            "mark_colours": list(MARKS),
        }
        super().__init__(**fixed, **traits)
        self._recompute = recompute
        if recompute:
            self.observe(self._choose, ["sentence", "model", "mask", "num_heads", "silenced"])

    def show(self, seen: Seen) -> None:
        """Put something else in place.

        Raises:
            ValueError: if the shapes do not fit, or there are more than 64 tokens.
        """
        tokens, weights = _checked(seen)
        layers, heads = weights.shape[:2]
        with self.hold_sync():
            self.layer, self.head = min(self.layer, layers - 1), min(self.head, heads - 1)
            self.query = min(self.query, len(tokens) - 1)
            self.lenses = [[i, j] for i, j in self.lenses if i < layers and j < heads]
            self.roles, self.note = list(seen.scores), seen.note
            self.scores = [table.detach().cpu().tolist() for table in seen.scores.values()]
            self.shape = list(weights.shape)
            self.data = weights.numpy().tobytes()
            self.tokens = tokens

    @property
    def weights(self) -> Tensor:
        """What is shown: (L, h, T, T)."""
        return torch.frombuffer(bytearray(self.data), dtype=torch.float32).reshape(self.shape)

    def _choose(self, change: dict) -> None:
        there = self.silenced
        if change["name"] == "model":  # its heads are others
            there = []
        elif change["name"] == "num_heads":
            there = [[i, j] for i, j in there if j < self.num_heads]
        if there != self.silenced:
            self.silenced = there  # comes back here
            return
        try:
            with one_thread():
                seen = Seen(*self._recompute(self))
            self.show(seen)
            self.message = ""
        except Exception as error:  # the learner's own functions run here: say it, stay usable
            self.message = f"{type(error).__name__}: {error}"

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data, *rest = bundle if isinstance(bundle, tuple) else (bundle,)
        marks = best_roles(self)
        alt = " ".join(filter(None, [_alt(self.tokens, self.weights), _counted(marks), self.note]))
        figure = grid_of_maps(self.weights, marks)
        data |= {"text/html": image_html(figure, alt), "text/plain": f"[Attention explorer: {alt}]"}
        return (data, *rest) if rest else data


def explore(
    tokens: Sequence[str],
    weights: Tensor,
    recompute: Recompute | None = None,
    *,
    scores: Mapping[str, Tensor] = MappingProxyType({}),
    note: str = "",
    title: str = "",
    sentence: str = "",
    models: Sequence[str] = (),
    masks: Sequence[str] = (),
    head_counts: Sequence[int] = (),
    can_silence: bool = False,
    lenses: Sequence[tuple[int, int]] = (),
) -> Explorer:
    """Open the explorer on one sentence.

    Args:
        tokens, weights, scores, note: as in `Seen`.
        recompute: gives the same for what is chosen in the explorer: its `sentence`, `model`,
            `mask`, `num_heads`, `silenced`. Nothing can be chosen without it.
        title: what this explorer shows, as its name on the page.
        sentence: the text that the tokens come from, if it can be typed over.
        models, masks: names to choose from, the first is in force.
        head_counts: numbers of heads to choose from; the one that `weights` has is in force.
        can_silence: whether single heads can be switched off.
        lenses: pairs (layer, head) to begin with.

    Raises:
        ValueError: if the shapes do not fit, or there are too many tokens.
    """
    seen = Seen(*_checked(Seen(tokens, weights)), scores, note)
    explorer = Explorer(
        recompute,
        title=f"Attention explorer: {title}" if title else "Attention explorer",
        sentence=sentence,
        models=list(models),
        model=models[0] if models else "",
        masks=list(masks),
        mask=masks[0] if masks else "",
        head_counts=list(head_counts),
        num_heads=seen.weights.shape[1],
        can_silence=can_silence,
        lenses=[list(pair) for pair in lenses],
    )
    explorer.show(seen)
    return explorer


def best_roles(explorer: Explorer) -> dict[str, list[tuple[int, int]]]:
    """The heads (layer, head) that each role fits best, with at least the threshold's score."""
    if not explorer.roles:
        return {}
    best, which = torch.tensor(explorer.scores).max(0)  # (roles, L, h) -> (L, h)
    found = best >= explorer.threshold
    return {
        role: [tuple(pair) for pair in (found & (which == number)).nonzero().tolist()]
        for number, role in enumerate(explorer.roles)
    }


def _counted(marks: dict[str, list[tuple[int, int]]]) -> str:
    return "; ".join(f"heads marked “{role}”: {len(heads)}" for role, heads in marks.items())


def _checked(seen: Seen) -> tuple[list[str], Tensor]:
    tokens, weights = seen.tokens, seen.weights.detach().cpu().float()
    if weights.dim() == 3:
        weights = weights[None]
    size = len(tokens)
    if weights.dim() != 4 or weights.shape[2:] != (size, size):
        shape = tuple(weights.shape)
        raise ValueError(f"{size} tokens need weights (L, h, {size}, {size}), got {shape}")
    if not 0 < size <= MOST_TOKENS:
        raise ValueError(f"the explorer shows 1 to {MOST_TOKENS} tokens, got {size}")
    return list(tokens), weights.contiguous()


def _alt(tokens: list[str], weights: Tensor) -> str:
    """What each head looks at most, averaged over the queries, in a sentence."""
    layers, heads = weights.shape[:2]
    mean = weights.mean(2)  # (L, h, T)
    most = [
        f"layer {i} head {j}: “{tokens[mean[i, j].argmax()]}”"
        for i in range(layers)
        for j in range(heads)
    ]
    shown = "; ".join(most[:12]) + ("; …" if len(most) > 12 else "")
    return (
        f"attention weights of {layers} × {heads} heads on the sentence “{' '.join(tokens)}”. "
        f"Read most, on average over the queries: {shown}"
    )
