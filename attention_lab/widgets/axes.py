"""A grid of heads, layers and experts to click: what must wait for what, and what runs at once."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import anywidget
import traitlets
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from attention_lab.figures import BLUE, GREY, ORANGE, SKY, VERMILION, image_html, new_figure

HERE = Path(__file__).parent
CHOSEN, BEFORE, AFTER, BESIDE = "cbas"
LOOKS = {  # what a cell says, its colour, and that of its text
    CHOSEN: ("this", VERMILION, "black"),
    BEFORE: ("before", ORANGE, "black"),
    BESIDE: ("at once", SKY, "black"),
    AFTER: ("after", BLUE, "white"),
}


class Part(NamedTuple):
    """One head, expert or layer of a model.

    Attributes:
        kind: "head", "expert" or "layer".
        layer, number: counted from 0; a layer's number is 0.
    """

    kind: str
    layer: int
    number: int = 0

    @property
    def name(self) -> str:
        """In words."""
        one = f"layer {self.layer}"
        return one if self.kind == "layer" else f"{one}, {self.kind} {self.number}"


class Axes(anywidget.AnyWidget):
    """Parts of a model to choose from, and what each has to do with the others.

    Attributes:
        parts: heads and experts, then layers.
        relations: for each part a letter for each head and expert: chosen, before, after, beside.
        words: for each part the same in a sentence.
        chosen: number of the part that is shown.
    """

    _esm = HERE / "axes.js"
    _css = HERE / "axes.css"

    title = traitlets.Unicode().tag(sync=True)
    parts = traitlets.List().tag(sync=True)
    relations = traitlets.List(traitlets.Unicode()).tag(sync=True)
    words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    looks = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Int().tag(sync=True)

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data, *rest = bundle if isinstance(bundle, tuple) else (bundle,)
        alt = f"{self.title}. {self.words[self.chosen]}"
        html = image_html(self._picture(), alt)
        data |= {"text/html": html, "text/plain": f"[{alt}]"}
        return (data, *rest) if rest else data

    def _picture(self) -> Figure:
        cells = [Part(*part) for part in self.parts if part[0] != "layer"]
        rows = sorted({(cell.layer, cell.kind == "expert") for cell in cells})
        width = 1 + max(cell.number for cell in cells)
        figure, ax = new_figure(1.6 + 0.75 * width, 0.6 + 0.5 * len(rows))
        for cell, letter in zip(cells, self.relations[self.chosen], strict=True):
            word, colour, text = LOOKS[letter]
            at = cell.number, rows.index((cell.layer, cell.kind == "expert"))
            ax.add_patch(Rectangle(at, 0.94, 0.86, color=colour))
            ax.text(at[0] + 0.47, at[1] + 0.43, word, ha="center", va="center", color=text, size=8)
        names = [f"layer {layer}, {'experts' if e else 'heads'}" for layer, e in rows]
        ax.set(xlim=(0, width), ylim=(0, len(rows)), xlabel="number of the head or expert")
        ax.set_xticks([i + 0.47 for i in range(width)], range(width))
        ax.set_yticks([i + 0.43 for i in range(len(rows))], names, color=GREY)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        return figure


def click_axes(cells: Sequence[Part], reach: Tensor, title: str, chosen: Part) -> Axes:
    """Open a grid of heads and experts to click.

    Args:
        cells: n heads and experts.
        reach: boolean (n, n), True where a change in the cell of the row changes the cell of the
            column.
        title: what is shown, as its name on the page.
        chosen: one of the cells, or a layer, to begin with.

    Raises:
        ValueError: if `reach` is not (n, n), or there is no such part.
    """
    if tuple(reach.shape) != (len(cells), len(cells)):
        raise ValueError(
            f"{len(cells)} cells need ({len(cells)}, {len(cells)}), not {tuple(reach.shape)}"
        )
    layers = [Part("layer", layer) for layer in sorted({cell.layer for cell in cells})]
    parts = [*cells, *layers]
    if chosen not in parts:
        raise ValueError(f"{chosen.name} is none of the {len(parts)} parts")
    relations = [_relations(part, cells, reach) for part in parts]
    return Axes(
        title=title,
        parts=[list(part) for part in parts],
        relations=relations,
        words=[
            _sentence(part, cells, letters) for part, letters in zip(parts, relations, strict=True)
        ],
        looks={letter: list(look) for letter, look in LOOKS.items()},
        chosen=parts.index(chosen),
    )


def _relations(part: Part, cells: Sequence[Part], reach: Tensor) -> str:
    mine = [cell == part or (part.kind, part.layer) == ("layer", cell.layer) for cell in cells]
    rows = [number for number, is_mine in enumerate(mine) if is_mine]
    after, before = reach[rows].any(0).tolist(), reach[:, rows].any(1).tolist()
    return "".join(
        CHOSEN if mine[n] else BEFORE if before[n] else AFTER if after[n] else BESIDE
        for n in range(len(cells))
    )


def _sentence(part: Part, cells: Sequence[Part], letters: str) -> str:
    groups = {
        letter: _listed([cell for cell, one in zip(cells, letters, strict=True) if one == letter])
        for letter in (BEFORE, BESIDE, AFTER)
    }
    return (
        f"{part.name.capitalize()} has to wait for {groups[BEFORE]}; can run at once with "
        f"{groups[BESIDE]}; has to be done before {groups[AFTER]}."
    )


def _listed(cells: Sequence[Part]) -> str:
    """E.g. "4 heads of layers 0, 1"; "nothing" if there are none."""
    words = []
    for kind, group in groupby(sorted(cells), key=lambda cell: cell.kind):
        found = list(group)
        layers = sorted({cell.layer for cell in found})
        several = "s" if len(layers) > 1 else ""
        count = f"{len(found)} {kind}{'s' if len(found) > 1 else ''}"
        words.append(f"{count} of layer{several} {', '.join(map(str, layers))}")
    return " and ".join(words) or "nothing"
