"""Figures that everybody can read: one style, colours that survive colour blindness, alt text.

The palette is Okabe & Ito's (2008); maps use cividis (Nuñez, Anderton & Renslow 2018). Faces are
transparent and text is a neutral grey, so that a figure works on JupyterLab's light and dark theme.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape

import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, GREY = "#56B4E9", "#CC79A7", "#F0E442", "#808080"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW, GREY)
MARKS = (ORANGE, SKY, GREEN, PURPLE, BLUE)  # for frames around maps
MAP = "cividis"

STYLE = {
    "axes.edgecolor": GREY,
    "axes.facecolor": "none",
    "axes.labelcolor": GREY,
    "axes.prop_cycle": plt.cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": GREY,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "font.size": 10,
    "grid.alpha": 0.3,
    "grid.color": GREY,
    "legend.frameon": False,
    "legend.labelcolor": GREY,
    "lines.linewidth": 2,
    "text.color": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
}


def new_figure(width: float = 6.4, height: float = 3.6, **subplots):
    """Open a figure in the course's style.

    The style holds from then on, so that what is added later (a legend, a colour bar) has it too.

    Args:
        width, height: in inches.
        **subplots: passed to `plt.subplots`, e.g. ncols=2, sharey=True.

    Returns:
        (figure, axes), as `plt.subplots` does.
    """
    plt.rcParams.update(STYLE)
    return plt.subplots(figsize=(width, height), **subplots)


def show(figure: Figure, alt: str) -> None:
    """Display a figure with a description for who cannot see it, and close it.

    Args:
        figure: as made by `new_figure`.
        alt: what the picture shows and what follows from it, in one or two sentences.

    Raises:
        ValueError: if `alt` is empty.
    """
    html = image_html(figure, alt)
    display({"text/html": html, "text/plain": f"[Figure: {alt}]"}, raw=True)


def image_html(figure: Figure, alt: str) -> str:
    """The figure as one `<img>` element that needs no file; the figure is closed.

    Raises:
        ValueError: if `alt` is empty.
    """
    if not alt.strip():
        raise ValueError("a figure needs an alt text: say what it shows")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=130, transparent=True)
    plt.close(figure)
    data = base64.b64encode(png.getvalue()).decode("ascii")
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}" style="max-width:100%">'


def heat_map(
    axes,
    values,
    *,
    row_labels,
    column_labels,
    title="",
    x_label="",
    y_label="",
    vmax=1.0,
    digits=2,
):
    """Draw a matrix of weights between 0 and 1 with its numbers, when they are few enough to read.

    Args:
        axes: matplotlib axes.
        values: (rows, columns), anything `numpy.asarray` takes; booleans become 0 and 1.
        row_labels, column_labels: one string each.
        vmax: the value that gets the brightest colour; 0 gets the darkest.
        digits: how many to print after the decimal point.

    Returns:
        The image, for a colour bar.
    """
    import numpy as np

    values = np.asarray(values, dtype=float)
    image = axes.imshow(values, cmap=MAP, vmin=0, vmax=vmax, aspect="auto")
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    axes.set_xticks(range(values.shape[1]), column_labels, rotation=45, ha="right")
    axes.set_yticks(range(values.shape[0]), row_labels)
    axes.spines[:].set_visible(False)
    if values.size <= 100:
        for (row, column), value in np.ndenumerate(values):
            red, green, blue, _ = image.cmap(image.norm(value))
            bright = 0.21 * red**2.2 + 0.72 * green**2.2 + 0.07 * blue**2.2 > 0.18
            colour = "black" if bright else "white"  # whichever has the higher contrast
            number = f"{value:.{digits}f}"
            axes.text(column, row, number, ha="center", va="center", color=colour, size=8)
    return image


def grid_of_maps(weights, marks: Mapping[str, Sequence[tuple[int, int]]] | None = None) -> Figure:
    """Draw every head's weights as one small map, a row of maps a layer.

    Args:
        weights: (L, h, T, T), between 0 and 1; in each map queries go down, keys to the right.
        marks: name -> heads (layer, head) to frame in the name's colour; five names at most.
    """
    import numpy as np

    values = np.pad(np.asarray(weights, dtype=float), 4 * ((0, 1),), constant_values=np.nan)
    layers, heads, size = weights.shape[0], weights.shape[1], values.shape[-1]
    picture = values[:layers, :heads].transpose(0, 2, 1, 3).reshape(layers * size, heads * size)
    # At least as large as its labels.
    figure, axes = new_figure(max(4.4, 1 + 0.55 * heads), max(2.4, 1 + 0.55 * layers))
    image = axes.imshow(picture, cmap=MAP, vmin=0, vmax=1, interpolation="nearest")
    axes.set(xlabel="head (in each map: keys to the right)", ylabel="layer (queries downwards)")
    axes.set_xticks((np.arange(heads) + 0.5) * size - 1, range(heads))
    axes.set_yticks((np.arange(layers) + 0.5) * size - 1, range(layers))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="attention weight", shrink=0.8)
    frames = []
    for (name, heads), colour in zip((marks or {}).items(), MARKS, strict=False):
        for layer, head in heads:
            at = (head * size - 0.7, layer * size - 0.7)
            style = {"fill": False, "edgecolor": colour, "lw": 2, "clip_on": False}
            axes.add_patch(Rectangle(at, size - 0.6, size - 0.6, **style))
        frames.append(Line2D([], [], color=colour, label=f"{name} ({len(heads)})"))
    if frames:
        figure.legend(handles=frames, loc="outside lower center", ncols=3)
    return figure
