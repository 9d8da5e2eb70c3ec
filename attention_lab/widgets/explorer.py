"""The attention explorer: every head of a model as a lens on the same sentence.

A widget for JupyterLab that needs no network: a map of each head, one of them large, and several
heads laid over the sentence. Mouse, keyboard and screen reader reach all of it. Where there are no
widgets (an exported page), a picture of all heads with a description stands in its place.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

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
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    grid_of_maps,
    image_html,
)

HERE = Path(__file__).parent
LENS_COLOURS = [BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY]
SHADES = 64  # of the colour map; more cannot be told apart
NO_MASK, CAUSAL = "none", "causal"
MOST_TOKENS = 64  # a larger map has cells too small to point at

Recompute = Callable[["Explorer"], tuple[Sequence[str], Tensor]]


class Explorer(anywidget.AnyWidget):
    """Weights (L, h, T, T) of one sentence, to look through.

    Attributes:
        tokens: T words.
        weights: float32, rows sum to 1 (or to 0 where a query may look nowhere).
        layer, head, query: what is shown large.
        lenses: pairs (layer, head) that are laid over the sentence.
        sentence: what can be typed over; "" where the sentence is fixed.
        masks, mask: names to choose from, and the chosen one; "" without a choice.
        head_counts, num_heads: numbers of heads to choose from, and the chosen one.
        can_silence, silenced: whether heads can be switched off, and pairs of those that are.
    """

    _esm = HERE / "explorer.js"
    _css = HERE / "explorer.css"

    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)
    data = traitlets.Bytes().tag(sync=True)
    layer = traitlets.Int().tag(sync=True)
    head = traitlets.Int().tag(sync=True)
    query = traitlets.Int().tag(sync=True)
    lenses = traitlets.List().tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)
    masks = traitlets.List(traitlets.Unicode()).tag(sync=True)
    mask = traitlets.Unicode().tag(sync=True)
    head_counts = traitlets.List(traitlets.Int()).tag(sync=True)
    num_heads = traitlets.Int().tag(sync=True)
    can_silence = traitlets.Bool(False).tag(sync=True)
    silenced = traitlets.List().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    shades = traitlets.List(traitlets.Unicode()).tag(sync=True)
    lens_colours = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, recompute: Recompute | None = None, **traits):
        colours = colormaps[MAP](np.linspace(0, 1, SHADES))
        fixed = {"shades": [to_hex(c) for c in colours], "lens_colours": LENS_COLOURS}
        super().__init__(**fixed, **traits)
        self._recompute = recompute
        if recompute:
            self.observe(self._choose, ["sentence", "mask", "num_heads", "silenced"])

    def show(self, tokens: Sequence[str], weights: Tensor) -> None:
        """Put other weights in place: (L, h, T, T), or (h, T, T) of a single layer.

        Raises:
            ValueError: if the shapes do not fit, or there are more than 64 tokens.
        """
        tokens, weights = _checked(tokens, weights)
        layers, heads = weights.shape[:2]
        with self.hold_sync():
            self.layer, self.head = min(self.layer, layers - 1), min(self.head, heads - 1)
            self.query = min(self.query, len(tokens) - 1)
            self.lenses = [[i, j] for i, j in self.lenses if i < layers and j < heads]
            self.shape = list(weights.shape)
            self.data = weights.numpy().tobytes()
            self.tokens = tokens

    @property
    def weights(self) -> Tensor:
        """What is shown: (L, h, T, T)."""
        return torch.frombuffer(bytearray(self.data), dtype=torch.float32).reshape(self.shape)

    def _choose(self, change: dict) -> None:
        there = [[i, j] for i, j in self.silenced if j < self.num_heads]
        if there != self.silenced:  # heads that a smaller number of heads does not have
            self.silenced = there  # comes back here
            return
        try:
            self.show(*self._recompute(self))
            self.message = ""
        except Exception as error:  # the learner's own functions run here: say it, stay usable
            self.message = f"{type(error).__name__}: {error}"

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data, *rest = bundle if isinstance(bundle, tuple) else (bundle,)
        alt = _alt(self.tokens, self.weights)
        figure = grid_of_maps(self.weights)
        data |= {"text/html": image_html(figure, alt), "text/plain": f"[Attention explorer: {alt}]"}
        return (data, *rest) if rest else data


def explore(
    tokens: Sequence[str],
    weights: Tensor,
    recompute: Recompute | None = None,
    *,
    sentence: str = "",
    masks: Sequence[str] = (),
    head_counts: Sequence[int] = (),
    can_silence: bool = False,
    lenses: Sequence[tuple[int, int]] = (),
) -> Explorer:
    """Open the explorer on one sentence.

    Args:
        tokens: T words, 64 at most.
        weights: (L, h, T, T), or (h, T, T) of a single layer.
        recompute: gives tokens and weights for what is chosen in the explorer: its `sentence`,
            `mask`, `num_heads`, `silenced`. Nothing can be chosen without it.
        sentence: the text that the tokens come from, if it can be typed over.
        masks: names of masks to choose from, the first is in force.
        head_counts: numbers of heads to choose from; the one that `weights` has is in force.
        can_silence: whether single heads can be switched off.
        lenses: pairs (layer, head) to begin with.

    Raises:
        ValueError: if the shapes do not fit, or there are too many tokens.
    """
    tokens, weights = _checked(tokens, weights)
    explorer = Explorer(
        recompute,
        sentence=sentence,
        masks=list(masks),
        mask=masks[0] if masks else "",
        head_counts=list(head_counts),
        num_heads=weights.shape[1],
        can_silence=can_silence,
        lenses=[list(pair) for pair in lenses],
    )
    explorer.show(tokens, weights)
    return explorer


def explore_encoder(
    sentence: str, lenses: Sequence[tuple[int, int]] = (), asking: str = "[CLS]"
) -> Explorer:
    """Open the explorer on a sentence and all 72 heads of the pretrained encoder.

    The sentence can be typed over, and heads can be silenced: what later layers look at changes.

    Args:
        lenses: pairs (layer, head) to begin with; the last is shown large.
        asking: the token to begin with.

    Raises:
        ModuleNotFoundError: if the encoder is not installed.
        ValueError: if the sentence has more than 64 tokens, or no such token.
    """
    from attention_lab.encoder import load_encoder

    encoder = load_encoder()

    def run(sentence: str, silenced: Sequence[Sequence[int]] = ()) -> tuple[list[str], Tensor]:
        on = torch.ones(len(encoder.layers), encoder.num_heads)
        for layer, head in silenced:
            on[layer, head] = 0
        ids, lengths, tokens = encoder.tokenize([sentence])
        return tokens[0], encoder.run(ids, lengths, on)[1][:, 0]

    explorer = explore(
        *run(sentence),
        lambda explorer: run(explorer.sentence, explorer.silenced),
        sentence=sentence,
        can_silence=True,
        lenses=lenses,
    )
    if asking not in explorer.tokens:
        raise ValueError(f"{asking!r} is none of the tokens {explorer.tokens}")
    explorer.query = explorer.tokens.index(asking)
    if lenses:
        explorer.layer, explorer.head = lenses[-1]
    return explorer


def explore_cuts(
    attend: Callable, causal_mask: Callable, sentence: str, head_counts: Sequence[int]
) -> Explorer:
    """Open the explorer on the encoder's first layer, its width cut into more or fewer heads.

    Args:
        attend: a multi-head attention, `attend(x, w_q, w_k, w_v, w_o, num_heads, mask)`.
        causal_mask: `causal_mask(num_tokens)`, for the choice of a mask.
        head_counts: numbers of heads to choose from. The encoder's own is shown first, or the last.

    Raises:
        ModuleNotFoundError: if the encoder is not installed.
        ValueError: if the sentence has more than 64 tokens, or whatever `attend` raises.
    """
    from attention_lab.encoder import load_encoder

    encoder = load_encoder()
    layer = encoder.layers[0]
    # A coordinate that is always 1 lets a bias be one more row of its matrix.
    w_q, w_k, w_v = (torch.cat([layer[f"w_{n}"], layer[f"b_{n}"][None]]) for n in "qkv")

    first = encoder.num_heads if encoder.num_heads in head_counts else head_counts[-1]

    def run(sentence: str, num_heads: int, mask: str) -> tuple[list[str], Tensor]:
        ids, _, tokens = encoder.tokenize([sentence])
        x = encoder.embed_tokens(ids)
        x = torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)  # (1, T, D + 1)
        allowed = causal_mask(x.shape[1]) if mask == CAUSAL else None
        return tokens[0], attend(x, w_q, w_k, w_v, layer["w_o"], num_heads, allowed)[1][0]

    return explore(
        *run(sentence, first, NO_MASK),
        lambda explorer: run(explorer.sentence, explorer.num_heads, explorer.mask),
        sentence=sentence,
        masks=(NO_MASK, CAUSAL),
        head_counts=head_counts,
    )


def _checked(tokens: Sequence[str], weights: Tensor) -> tuple[list[str], Tensor]:
    weights = weights.detach().cpu().float()
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
