"""What notebook 03 shows: tagged numbers, the four steps as a picture, wrong layers, timings."""

import weakref
from collections.abc import Callable

import torch
import torch.nn.functional as F
from matplotlib.patches import FancyArrowPatch, Rectangle
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.benchmark import Timer
from tqdm.auto import tqdm

from attention_lab.figures import GREEN, GREY, MAP, ORANGE, SKY, new_figure

HEAD_COLOURS = (SKY, ORANGE, GREEN)  # black text is readable on all three

Layer = Callable[[Tensor], Tensor]
Rearrange = Callable[[Tensor, int], Tensor]


def tagged(batch: int, num_tokens: int, width: int) -> Tensor:
    """Make numbers that say where they come from: x[b, t, c] = b·10000 + t·100 + c.

    Returns:
        (B, T, width), int64.
    """
    b, t, c = (torch.arange(size) for size in (batch, num_tokens, width))
    return b[:, None, None] * 10_000 + t[:, None] * 100 + c


def plot_trail(batch: int, num_tokens: int, d_model: int, num_heads: int):
    """Draw the four steps for one sequence of a batch, every box to scale, shapes written below.

    Args:
        batch, num_tokens, d_model, num_heads: B, T, D, h (three at most); here h·d = D.

    Returns:
        (figure, alt text).
    """
    head_dim = d_model // num_heads
    whole, parts = (batch, num_tokens, d_model), (batch, num_heads, num_tokens, head_dim)
    square = (batch, num_heads, num_tokens, num_tokens)
    stages = [  # name, its symbols, its shape, what leads to the next one
        ("x", "(B, T, D)", whole, "project"),
        ("q, k, v", "(B, T, h·d)", whole, "1 split"),
        ("q, k, v", "(B, h, T, d)", parts, "2 run"),
        ("weights", "(B, h, T, T)", square, ""),
        ("outputs", "(B, h, T, d)", parts, "3 concat"),
        ("side by side", "(B, T, h·d)", whole, "4 project"),
        ("out", "(B, T, D)", whole, None),
    ]
    figure, ax = new_figure(9, 3.4)
    left, height, gap = 0.0, num_heads * num_tokens + (num_heads - 1) * 1.5, 8.5
    for number, (name, symbols, shape, step) in enumerate(stages):
        width = shape[-1]
        if len(shape) == 4:
            for i in range(num_heads):
                top = height - i * (num_tokens + 1.5)
                _box(ax, left, top - num_tokens, width, num_tokens, HEAD_COLOURS[i])
        else:
            middle = (height - num_tokens) / 2
            inside = 0 < number < len(stages) - 1  # its columns belong to heads
            colours = HEAD_COLOURS[:num_heads] if inside else [GREY]
            for i, colour in enumerate(colours):
                share = width / len(colours)
                _box(ax, left + i * share, middle, share, num_tokens, colour)
        centre = left + width / 2
        ax.text(centre, height + 1.2, name, ha="center", va="bottom", size=10, weight="bold")
        ax.text(centre, -1.2, f"{symbols}\n{shape}", ha="center", va="top", size=9)
        if step is not None:
            ends = (left + width + 0.6, height / 2), (left + width + gap - 0.6, height / 2)
            ax.add_patch(
                FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=10, color=GREY, lw=1.5)
            )
            ax.text(left + width + gap / 2, height / 2 + 1, step, ha="center", va="bottom", size=9)
        left += width + gap
    ax.set(xlim=(-1, left - gap + 1), ylim=(-5.5, height + 4))
    ax.axis("off")
    trail = ", ".join(f"{name} {shape}" for name, _, shape, _ in stages)
    alt = (
        f"The way of one sequence through a layer of {num_heads} heads, left to right: {trail}. "
        "Split cuts the columns into one colour a head; each head runs alone; concatenate puts the "
        "colours side by side; the last projection makes one grey box as large as x."
    )
    return figure, alt


def _box(ax, left: float, bottom: float, width: float, height: float, colour: str) -> None:
    ax.add_patch(Rectangle((left, bottom), width, height, facecolor=colour, edgecolor="none"))
    for column in range(1, round(width)):
        ax.plot([left + column] * 2, [bottom, bottom + height], color="white", lw=0.4)
    for row in range(1, round(height)):
        ax.plot([left, left + width], [bottom + row] * 2, color="white", lw=0.4)


def plot_split(x: Tensor, splits: dict[str, Tensor]):
    """Draw tagged numbers before and after a split, the first sequence of the batch.

    Args:
        x: as made by `tagged` (B, T, D).
        splits: title -> (B, h, T, d), each made from `x`. A number keeps the colour of the head
            that its column belongs to.

    Returns:
        (figure, alt text).
    """
    width, (_, num_heads, _, head_dim) = x.shape[-1], next(iter(splits.values())).shape
    figure, axes = new_figure(8, 2.6 * (1 + len(splits)), nrows=1 + len(splits))
    _numbers(axes[0], x[0], 0, head_dim)
    axes[0].set_title(f"x[0]: row = token, column = 0 … {width - 1}", loc="left")
    for ax, (title, heads) in zip(axes[1:], splits.items(), strict=True):
        for i in range(num_heads):
            _numbers(ax, heads[0, i], i * (head_dim + 1), head_dim)
            ax.text(i * (head_dim + 1) + head_dim / 2, -0.2, f"head {i}", ha="center", size=8)
        ax.set_title(title, loc="left", pad=18)
    for ax in axes:
        ax.set(xlim=(0, width + num_heads - 1), ylim=(x.shape[1], 0))
        ax.axis("off")
    rows = "; ".join(
        f"{title}: head 0 starts with the rows {heads[0, 0, 0].tolist()} and "
        f"{heads[0, 0, 1].tolist()}, its last row is {heads[0, 0, -1].tolist()}"
        for title, heads in splits.items()
    )
    return (
        figure,
        f"Tables of tagged numbers, coloured by the head their column belongs to. {rows}.",
    )


def _numbers(ax, table: Tensor, left: int, head_dim: int) -> None:
    for row, numbers in enumerate(table.tolist()):
        for column, number in enumerate(numbers):
            colour = HEAD_COLOURS[number % 100 // head_dim % len(HEAD_COLOURS)]
            ax.add_patch(
                Rectangle((left + column, row), 1, 1, facecolor=colour, edgecolor="white", lw=0.8)
            )
            place = (left + column + 0.5, row + 0.5)
            ax.text(*place, str(number), ha="center", va="center", color="black", size=8)


def random_weights(d_model: int, width: int, seed: int = 0, dtype=torch.float32) -> list[Tensor]:
    """Make w_q, w_k, w_v (D, h·d) and w_o (h·d, D), drawn from N(0, 1/rows)."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(d_model, width)] * 3 + [(width, d_model)]
    return [
        torch.randn(shape, generator=generator, dtype=dtype) / shape[0] ** 0.5 for shape in shapes
    ]


# --- three ways to compute the same ---------------------------------------------------------------


def loop_over_heads(single_head: Callable, x: Tensor, weights: list[Tensor], num_heads: int):
    """Run a layer's heads one after the other.

    Args:
        single_head: (x, w_q, w_k, w_v) -> (out, weights), one head.
        x: (B, T, D).
        weights: w_q, w_k, w_v, w_o of the whole layer.

    Returns:
        (B, T, D)
    """
    *projections, w_o = weights
    one_a_head = zip(*(w.chunk(num_heads, dim=1) for w in projections), strict=True)
    return torch.cat([single_head(x, *ws)[0] for ws in one_a_head], dim=-1) @ w_o


def torch_layer(weights: list[Tensor], num_heads: int) -> Callable[[Tensor], Tensor]:
    """Load a layer's weights into PyTorch's `nn.MultiheadAttention`, which wants h·d = D.

    Asked for no weights, it computes with the fused `F.scaled_dot_product_attention`.
    """
    *projections, w_o = weights
    module = nn.MultiheadAttention(
        w_o.shape[1], num_heads, bias=False, batch_first=True, dtype=w_o.dtype
    )
    with torch.no_grad():  # PyTorch keeps matrices as (out, in)
        module.in_proj_weight.copy_(torch.cat([w.T for w in projections]))
        module.out_proj.weight.copy_(w_o.T)
    module.eval()
    return lambda x: module(x, x, x, need_weights=False)[0]


def measure_times(versions: dict[str, Layer], inputs: list[Tensor], rounds: int = 5):
    """Time versions of a layer side by side, on one thread.

    The versions take turns, so that a busy moment of the machine hits all of them.

    Args:
        versions: name -> function of x.
        inputs: the x to time them on.

    Returns:
        For each input, name -> median time of a call in milliseconds.
    """
    times = [{name: [] for name in versions} for _ in inputs]
    jobs = [(i, name) for _ in range(rounds) for i in range(len(inputs)) for name in versions]
    with torch.inference_mode():
        for i, name in tqdm(jobs, desc="timing", leave=False):
            timer = Timer("f(x)", globals={"f": versions[name], "x": inputs[i]}, num_threads=1)
            run = timer.blocked_autorange(min_run_time=0.1)
            times[i][name] += run.times
    return [
        {name: 1e3 * torch.tensor(runs).median().item() for name, runs in one.items()}
        for one in times
    ]


class _Alive(TorchDispatchMode):
    """Counts the bytes of all tensors that operations make, until they are gone again."""

    def __init__(self):
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        for storage in _storages((args, kwargs)):
            self._count(storage, 0)  # was there before, or is counted already
        out = operation(*args, **(kwargs or {}))
        for storage in _storages(out):
            self._count(storage, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return out

    def _count(self, storage, nbytes: int) -> None:
        if storage._cdata not in self.sizes:  # views share their memory
            self.sizes[storage._cdata] = nbytes
            self.now += nbytes
            weakref.finalize(storage, self._forget, storage._cdata)

    def _forget(self, key: int) -> None:
        self.now -= self.sizes.pop(key)


def _storages(values) -> list[torch.UntypedStorage]:
    return [one.untyped_storage() for one in tree_leaves(values) if isinstance(one, Tensor)]


def peak_memory(function: Layer, x: Tensor) -> float:
    """MiB that a call holds at most at a time, besides what was there before.

    All tensors count that PyTorch's operations return, on the way to the result as well; what an
    operation uses inside does not.
    """
    with torch.no_grad(), _Alive() as alive:
        function(x)
    return alive.peak / 2**20


def plot_times(times: list[dict[str, float]], titles: list[str]):
    """Draw medians as bars, one panel an input, with ratios to the version named last.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(11, 2.4, ncols=len(times))
    readings = []
    for ax, title, medians in zip(axes, titles, times, strict=True):
        names, base = list(medians), list(medians.values())[-1]
        bars = ax.barh(names, list(medians.values()), color=HEAD_COLOURS[: len(names)])
        labels = [f"{value:.1f} ms = {value / base:.2f} x" for value in medians.values()]
        ax.bar_label(bars, labels, padding=3, color=GREY, size=9)
        ax.set(title=title, xlabel="median time of one call (ms)")
        ax.set_xlim(0, 1.6 * max(medians.values()))
        readings.append(f"{title}: " + ", ".join(map(" ".join, zip(names, labels, strict=True))))
    for ax in axes[1:]:
        ax.set_yticklabels([])
    return figure, "Bars of median times. " + "; ".join(readings) + "."


# --- wrong versions -------------------------------------------------------------------------------

BATCH, TOKENS, HEADS, HEAD_DIM = 2, 6, 3, 4
WIDTH = HEADS * HEAD_DIM


def _view(x: Tensor, num_heads: int) -> Tensor:
    return x.reshape(BATCH, num_heads, TOKENS, HEAD_DIM)


def _flat(x: Tensor) -> Tensor:
    return x.reshape(BATCH, TOKENS, WIDTH)


def token_pictures(split: Rearrange, merge: Layer) -> dict[str, Tensor]:
    """Find which tokens reach which rows of the output, in four versions of a causal layer.

    Args:
        split, merge: right ones.

    Returns:
        letter -> boolean (T, T); row = token of the output, column = token that was changed.
    """
    versions = {"A": (split, _flat), "B": (_view, _flat), "C": (split, merge), "D": (_view, merge)}
    weights = random_weights(WIDTH, WIDTH, dtype=torch.float64)
    x = torch.randn(
        BATCH, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    pictures = {}
    for letter, (cut, join) in versions.items():

        def layer(x, cut=cut, join=join):
            q, k, v = (cut(x @ w, HEADS) for w in weights[:3])
            return join(F.scaled_dot_product_attention(q, k, v, is_causal=True)) @ weights[3]

        columns = []
        for token in range(TOKENS):
            other = x.clone()
            other[:, token] += 1
            columns.append(_differs(layer(x), layer(other)).any(dim=-1).any(dim=0))  # (T)
        pictures[letter] = torch.stack(columns, dim=1)
    return pictures


def write_pictures(split: Rearrange, merge: Layer) -> dict[str, Tensor]:
    """Find which head reaches which coordinates of the output, in four versions of a layer.

    Its W_O is made to be seen: head i's slice goes to the next head's coordinates, the last head's
    to the first.

    Args:
        split, merge: right ones.

    Returns:
        letter -> boolean (h, D); row = head whose values were changed.
    """
    w_q, w_k, w_v, dense = random_weights(WIDTH, WIDTH, dtype=torch.float64)
    slot = torch.arange(WIDTH) // HEAD_DIM
    w_o = dense * (slot[None, :] == (slot[:, None] + 1) % HEADS)  # (h·d, D), one block a head
    versions: dict[str, Layer] = {
        "E": lambda heads: merge(heads) @ w_o.T,
        "F": lambda heads: merge(heads.mean(1, keepdim=True).expand_as(heads)) @ w_o,
        "G": merge,
        "H": lambda heads: merge(heads) @ w_o,
    }
    x = torch.randn(
        BATCH, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    q, k, v = (split(x @ w, HEADS) for w in (w_q, w_k, w_v))
    pictures = {}
    for letter, finish in versions.items():
        rows = []
        for head in range(HEADS):
            other = v.clone()
            other[:, head] += 1
            before, after = (F.scaled_dot_product_attention(q, k, one) for one in (v, other))
            rows.append(_differs(finish(before), finish(after)).any(dim=0).any(dim=0))  # (D)
        pictures[letter] = torch.stack(rows)
    return pictures


def _differs(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs() > 1e-9  # float64: rounding stays far below, a real change far above


def plot_pictures(pictures: dict[str, Tensor], x_label: str, y_label: str):
    """Draw boolean maps in a row, yellow where something arrives.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(11, 3.1, ncols=len(pictures), sharey=True)
    for ax, (letter, picture) in zip(axes, pictures.items(), strict=True):
        rows, columns = picture.shape
        ax.imshow(picture, cmap=MAP, vmin=0, vmax=1, aspect="auto")
        ax.set_xticks(range(columns))
        ax.set_yticks(range(rows))
        ax.set_xticks([c + 0.5 for c in range(columns - 1)], minor=True)
        ax.set_yticks([r + 0.5 for r in range(rows - 1)], minor=True)
        ax.grid(which="minor", color=GREY, alpha=1, lw=0.8)
        ax.tick_params(which="minor", length=0)
        ax.tick_params(labelsize=8)
        ax.set(title=letter, xlabel=x_label)
        ax.spines[:].set_visible(False)
    axes[0].set_ylabel(y_label)
    readings = [
        f"{letter}: "
        + "; ".join(f"{r}: {row.nonzero().flatten().tolist()}" for r, row in enumerate(picture))
        for letter, picture in pictures.items()
    ]
    lit = f"Four maps; for each {y_label} the {x_label} that is yellow. "
    return figure, lit + ". ".join(readings) + "."
