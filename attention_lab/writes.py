"""What notebook 05 shows of W_O: writes as blocks, reach, joint ablations, norms, mistakes."""

from collections.abc import Callable
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from matplotlib.colors import PowerNorm
from matplotlib.patches import Rectangle
from torch import Tensor

from .figures import BLUE, GREEN, GREY, MAP, ORANGE, SKY, VERMILION, heat_map, new_figure

HEAD_COLOURS = (SKY, ORANGE, GREEN)  # black text is readable on all three
Ablate = Callable[[Tensor, Tensor, list[int]], Tensor]


def random_layer(
    num_heads: int,
    head_dim: int,
    d_model: int,
    *,
    batch: int = 2,
    num_tokens: int = 16,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> SimpleNamespace:
    """Run h heads on random tokens, all weights N(0, 1/rows).

    Returns:
        x (B, T, D), head_out (B, h, T, d) and w_o (h·d, D), untouched by training.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, width = normal(batch, num_tokens, d_model), num_heads * head_dim
    projections = [normal(d_model, width) / d_model**0.5 for _ in range(3)]
    w_o = normal(width, d_model) / width**0.5
    q, k, v = ((x @ w).unflatten(-1, (num_heads, head_dim)).transpose(1, 2) for w in projections)
    head_out = F.scaled_dot_product_attention(3 * q, k, v)  # sharper than random weights give
    return SimpleNamespace(x=x.to(dtype), head_out=head_out.to(dtype), w_o=w_o.to(dtype))


# --------------------------------------------------------------------------------- the block view


def plot_blocks(num_heads: int = 3, head_dim: int = 4, d_model: int = 12):
    """Draw one token's way through W_O, to scale: side by side, times rows, as a sum of writes.

    Args:
        num_heads: three at most.

    Returns:
        (figure, alt text).
    """
    width = num_heads * head_dim
    figure, ax = new_figure(9, 2.9)
    middle = width / 2
    left = 0.0
    for i in range(num_heads):
        _box(ax, left + i * head_dim, middle - 0.5, head_dim, 1, HEAD_COLOURS[i], f"z{i}")
    _label(ax, left + middle, middle - 1, f"concatenation\n1 × {width}")
    left += width
    _sign(ax, left + 1.5, middle, "×")
    left += 3
    for i in range(num_heads):
        bottom = width - (i + 1) * head_dim
        _box(ax, left, bottom, d_model, head_dim, HEAD_COLOURS[i], f"rows of head {i}")
    _label(ax, left + d_model / 2, -0.5, f"W_O\n{width} × {d_model}")
    left += d_model
    _sign(ax, left + 1.5, middle, "=")
    left += 3
    for i in range(num_heads):
        at = width - (i + 0.5) * head_dim
        _box(ax, left, at - 0.5, d_model, 1, HEAD_COLOURS[i], f"write of head {i}")
        if i:
            _sign(ax, left + d_model / 2, at + head_dim / 2, "+")
    _label(ax, left + d_model / 2, -0.5, f"{num_heads} writes\n1 × {d_model} each")
    left += d_model
    _sign(ax, left + 1.5, middle, "=")
    left += 3
    _box(ax, left, middle - 0.5, d_model, 1, GREY, "sum of the writes")
    _label(ax, left + d_model / 2, middle - 1, f"out\n1 × {d_model}")
    ax.set(xlim=(-0.5, left + d_model + 0.5), ylim=(-3.4, width + 0.5))
    ax.set_aspect("equal")
    ax.axis("off")
    alt = (
        f"One token. A row of {num_heads} slices of {head_dim} numbers times W_O, whose {width} "
        f"rows are cut into {num_heads} blocks of {head_dim}, one colour a head, equals "
        f"{num_heads} writes of {d_model} numbers, each from the slice and the block of one "
        "colour. Their sum is the output."
    )
    return figure, alt


def _box(ax, left, bottom, width, height, colour, text) -> None:
    patch = Rectangle((left, bottom), width, height, facecolor=colour, edgecolor="white", lw=1)
    ax.add_patch(patch)
    at = (left + width / 2, bottom + height / 2)
    ax.text(*at, text, ha="center", va="center", color="black", size=8)


def _label(ax, x, y, text) -> None:
    ax.text(x, y, text, ha="center", va="top", size=9)


def _sign(ax, x, y, text) -> None:
    ax.text(x, y, text, ha="center", va="center", size=14)


# ----------------------------------------------------------------------------------------- reach


def three_w_o(num_heads: int, head_dim: int, seed: int = 0) -> dict[str, Tensor]:
    """Make three matrices (h·d, h·d): none (the identity), block-diagonal and dense."""
    width = num_heads * head_dim
    generator = torch.Generator().manual_seed(seed)
    dense = torch.randn(width, width, generator=generator, dtype=torch.float64) / width**0.5
    ones = torch.ones(head_dim, head_dim, dtype=torch.float64)
    blocks = torch.block_diag(*[ones] * num_heads)
    return {
        "without W_O": torch.eye(width, dtype=torch.float64),
        "block-diagonal W_O": dense * blocks * num_heads**0.5,
        "dense W_O": dense,
    }


def plot_reach(writes: dict[str, Tensor]):
    """Draw how strongly each head writes to each coordinate.

    Args:
        writes: title -> (B, T, h, D).

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(10, 2.6, ncols=len(writes), sharey=True)
    pictures = {title: one.pow(2).mean((0, 1)).sqrt() for title, one in writes.items()}
    top = max(picture.max().item() for picture in pictures.values())
    words = []
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        # Colours by the root, so that small writes differ from none.
        image = ax.imshow(picture, cmap=MAP, norm=PowerNorm(0.5, 0, top), aspect="auto")
        ax.set(title=title, xlabel="coordinate of the output")
        ax.set_yticks(range(len(picture)))
        ax.spines[:].set_visible(False)
        reached = [(row > 1e-9).nonzero().flatten().tolist() for row in picture]
        spans = "; ".join(
            f"head {i} {r[0]} to {r[-1]} ({len(r)} coordinates)" for i, r in enumerate(reached)
        )
        words.append(f"{title}: {spans}")
    axes[0].set_ylabel("head")
    figure.colorbar(image, ax=axes, label="size of the write (RMS)")
    return figure, "Maps of each head's write by coordinate. " + ". ".join(words) + "."


def plot_sum(parts: Tensor, **on: bool):
    """Draw one token's output as the sum of the writes of the heads that are switched on.

    Args:
        parts: (h, D), the writes of each head to one token.
        **on: for each head, by any name, in order.

    Returns:
        (figure, alt text).
    """
    chosen = torch.tensor(list(on.values()))
    shown, at = parts * chosen[:, None], range(parts.shape[1])
    figure, ax = new_figure(8.4, 3.2)
    above, below = torch.zeros(2, parts.shape[1], dtype=parts.dtype)
    for number, (write, colour) in enumerate(zip(shown, HEAD_COLOURS, strict=True)):
        start = torch.where(write > 0, above, below)
        ax.bar(at, write, bottom=start, color=colour, width=0.7, label=f"head {number}'s write")
        above, below = above + write.clamp(min=0), below + write.clamp(max=0)
    for values, style, label in (
        (parts.sum(0), {"color": GREY, "lw": 4, "alpha": 0.5}, "the whole layer's output"),
        (shown.sum(0), {"color": VERMILION, "lw": 2}, "sum of what is switched on"),
    ):
        ends = [place - 0.45 for place in at], [place + 0.45 for place in at]
        ax.hlines(values, *ends, label=label, **style)
    limit = 1.1 * parts.abs().sum(0).max().item()
    ax.set(xlabel="coordinate of the output", ylabel="value", ylim=(-limit, limit))
    ax.set_xticks(at)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right upper")
    names = ", ".join(str(i) for i in chosen.nonzero().flatten().tolist()) or "none"
    left = (parts.sum(0) - shown.sum(0)).norm() / parts.sum(0).norm()
    return figure, (
        f"One token's output over {parts.shape[1]} coordinates as stacked bars, one colour a head. "
        f"Heads switched on: {names}. Their sum is {left:.0%} of the output's length away from the "
        "whole layer's output."
    )


# ---------------------------------------------------------------------------------- interactions


def what_follows(x: Tensor, num_heads: int, seed: int = 1) -> dict[str, Callable[[Tensor], Tensor]]:
    """Things that may read a layer's output (B, T, D), with random weights.

    Args:
        x: the layer's input, for the residual connection.
        num_heads: of the attention layer that follows.
    """
    width = x.shape[-1]
    generator = torch.Generator().manual_seed(seed)

    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator, dtype=x.dtype) / rows**0.5

    dense, w_in, w_out = matrix(width, width), matrix(width, 4 * width), matrix(4 * width, width)
    projections = [matrix(width, width) for _ in range(3)]

    def attention(y: Tensor) -> Tensor:
        q, k, v = ((y @ w).unflatten(-1, (num_heads, -1)).transpose(1, 2) for w in projections)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    return {
        "nothing (the output itself)": lambda out: out,
        "the residual: x + output": lambda out: x + out,
        "a dense matrix": lambda out: out @ dense,
        "layer norm of x + output": lambda out: F.layer_norm(x + out, (width,)),
        "feed-forward network (GELU)": lambda out: F.gelu((x + out) @ w_in) @ w_out,
        "another attention layer": lambda out: attention(x + out),
    }


def joint_against_single(
    layer: SimpleNamespace, ablate: Ablate, heads: tuple[int, int] = (0, 1)
) -> dict[str, float]:
    """Compare leaving out two heads at once with the sum of leaving out each.

    Args:
        layer: as made by `random_layer`.
        ablate: (head_out, w_o, heads) -> output without them.

    Returns:
        what follows -> norm of (joint effect - sum of single effects) / norm of the joint effect.
    """
    one, other = heads
    outs = [ablate(layer.head_out, layer.w_o, gone) for gone in ([], [one], [other], [one, other])]
    found = {}
    for name, reader in what_follows(layer.x, layer.head_out.shape[1]).items():
        whole, without_one, without_other, without_both = (reader(out) for out in outs)
        joint = whole - without_both
        single = (whole - without_one) + (whole - without_other)
        found[name] = ((joint - single).norm() / joint.norm()).item()
    return found


def plot_interactions(found: dict[str, float]):
    """Draw the result of `joint_against_single` as bars.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(8.4, 2.8)
    names = list(found)[::-1]
    values = [found[name] for name in names]
    colours = [ORANGE if value > 1e-9 else BLUE for value in values]
    bars = ax.barh(names, values, color=colours)
    labels = [f"{value:.0e}" if value < 1e-3 else f"{value:.3f}" for value in values]
    ax.bar_label(bars, labels, padding=4, color=GREY, size=9)
    ax.set(
        xlabel="joint effect differs from the sum of single effects by (share of the joint effect)",
        xlim=(0, 1.25 * max(values)),
        ylabel="what reads the output",
    )
    words = ", ".join(
        f"{name}: {label}" for name, label in zip(names[::-1], labels[::-1], strict=True)
    )
    return figure, f"Bars, by what follows the layer. {words}."


# ------------------------------------------------------------------------------------------ norms


def plot_norms(z: dict[str, Tensor], writes: dict[str, Tensor]):
    """Draw mean norms a head, of z and of the write, for several versions of one layer.

    Args:
        z: version -> head outputs (B, h, T, d).
        writes: version -> writes (B, T, h, D).

    Returns:
        (figure, alt text).
    """
    figure, (left, right) = new_figure(8.6, 3.2, ncols=2)
    colours, words = (BLUE, ORANGE, GREEN), []
    for ax, title, norms in (
        (
            left,
            "norm of the head's output z",
            {n: a.norm(dim=-1).mean((0, 2)) for n, a in z.items()},
        ),
        (
            right,
            "norm of the head's write",
            {n: a.norm(dim=-1).mean((0, 1)) for n, a in writes.items()},
        ),
    ):
        for number, (name, values) in enumerate(norms.items()):
            share = 0.8 / len(norms)
            at = torch.arange(len(values)) + (number - (len(norms) - 1) / 2) * share
            hatch = "//" if number else None
            bars = ax.bar(at, values, width=share, color=colours[number], label=name, hatch=hatch)
            ax.bar_label(bars, [f"{v:.2f}" for v in values], size=8, color=GREY, padding=2)
            words.append(f"{title}, {name}: " + ", ".join(f"{v:.2f}" for v in values))
        ax.set_xticks(range(len(values)), [f"head {i}" for i in range(len(values))])
        ax.set(title=title, ylabel="mean over tokens")
        ax.set_ylim(0, 1.15 * max(v.max().item() for v in norms.values()))
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(z))
    return figure, "Mean norms by head. " + "; ".join(words) + "."


def plot_write_norms(writes: Tensor):
    """Draw the norm of every head's write at every token of one sequence.

    Args:
        writes: (T, h, D).

    Returns:
        (figure, alt text).
    """
    norms = writes.norm(dim=-1).T  # (h, T)
    figure, ax = new_figure(8.4, 2.2)
    image = heat_map(
        ax,
        norms,
        row_labels=[f"head {i}" for i in range(len(norms))],
        column_labels=[str(t) for t in range(norms.shape[1])],
        x_label="token",
        vmax=norms.max().item(),
        digits=1,
    )
    ax.tick_params(axis="x", rotation=0)
    figure.colorbar(image, ax=ax, label="norm of the write")
    rows = "; ".join(
        f"head {i} from {row.min():.1f} to {row.max():.1f}" for i, row in enumerate(norms)
    )
    return figure, f"Norm of each head's write at each token of one sequence: {rows}."


@torch.no_grad()
def look_inside(layer, factors: tuple[float, ...] | None = None, size: int = 50):
    """Run a trained `SlicedLayer` on fresh sequences, its heads' values rescaled if asked for.

    Args:
        layer: a `without_w_o.SlicedLayer`.
        factors: one a head; W_V is multiplied by it and the head's rows of W_O are divided by it.

    Returns:
        head_out (B, h, T, d) and w_o (h·d, D).
    """
    batch = layer.task.draw(size, torch.Generator().manual_seed(8))
    w_o, before = layer.w_o.detach().clone(), layer.w_v.detach().clone()
    if factors is not None:
        scale = torch.tensor(factors)
        layer.w_v.mul_(scale[:, None, None])
        w_o /= scale.repeat_interleave(layer.w_v.shape[-1])[:, None]
    head_out = layer.head_outputs(batch.x)
    layer.w_v.copy_(before)
    return head_out, w_o


# --------------------------------------------------------------------------------- wrong versions

HEADS, HEAD_DIM, TOKENS = 3, 4, 6


def ablation_pictures(ablate: Ablate) -> dict[str, Tensor]:
    """Find what is left of the output, in four versions of "head 1 is left out".

    The W_O is made to be seen: head i's slice goes to the next head's coordinates, the last head's
    to the first.

    Args:
        ablate: a right one.

    Returns:
        letter -> boolean (T, D), True where the output is not zero.
    """
    layer = random_layer(HEADS, HEAD_DIM, HEADS * HEAD_DIM, num_tokens=TOKENS)
    z, slot = layer.head_out, torch.arange(HEADS * HEAD_DIM) // HEAD_DIM
    w_o = layer.w_o * (slot[None, :] == (slot[:, None] + 1) % HEADS)

    def join(heads: Tensor) -> Tensor:
        return heads.transpose(1, 2).flatten(2)

    renumbered = join(z[:, [0, 2]]) @ w_o[: 2 * HEAD_DIM]
    coordinates = join(z) @ w_o * (slot != 1)
    tokens = join(z * (torch.arange(TOKENS) != 1)[:, None]) @ w_o
    versions = {"A": renumbered, "B": coordinates, "C": ablate(z, w_o, [1]), "D": tokens}
    return {letter: (out.abs() > 1e-9).any(0) for letter, out in versions.items()}
