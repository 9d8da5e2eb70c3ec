"""What notebook 04 shows: sizes drawn to scale, packed projections, operations and times."""

from collections.abc import Callable
from itertools import cycle, islice
from time import perf_counter

import torch
from matplotlib.patches import FancyArrowPatch, Rectangle
from torch import Tensor, nn
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from attention_lab.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, new_figure
from attention_lab.splitting import random_weights

Trail = dict[str, tuple[int, ...]]
Unpacked = tuple[Tensor, Tensor, Tensor]

ROLE_COLOURS = (SKY, ORANGE, GREEN)  # q, k, v; black text is readable on all three
FOLLOWED = 3  # the head that is drawn in orange

# --- the dimension flow ---------------------------------------------------------------------------


def plot_flow(trail: Trail):
    """Draw the trail of one sequence and the matrices on its way, all to one scale.

    Args:
        trail: as made by `shape_trail`, with at least four heads.

    Returns:
        (figure, alt text).
    """
    _, num_heads, num_tokens, head_dim = trail["split_q"]
    width, inner = trail["x"][-1], trail["q"][-1]
    steps = [  # name, label, rows and columns of a box, number of boxes, cut along
        ("x", trail["x"], trail["x"][-2:], 1, None),
        ("W_Q\n(W_K, W_V alike)", (width, inner), (width, inner), 1, "columns"),
        ("q", trail["q"], trail["q"][-2:], 1, "columns"),
        ("split q", trail["split_q"], trail["split_q"][-2:], num_heads, None),
        ("weights", trail["weights"], trail["weights"][-2:], num_heads, None),
        ("head\noutputs", trail["head_out"], trail["head_out"][-2:], num_heads, None),
        ("concat", trail["concat"], trail["concat"][-2:], 1, "columns"),
        ("W_O", (inner, width), (inner, width), 1, "rows"),
        ("out", trail["out"], trail["out"][-2:], 1, None),
    ]
    figure, ax = new_figure(11, 3.9)
    gap, between = 0.45 * width, num_tokens // 5
    tall = num_heads * num_tokens + (num_heads - 1) * between
    colours = _head_colours(num_heads)
    left = 0.0
    for number, (name, shape, (rows, columns), boxes, cut) in enumerate(steps):
        if boxes > 1:
            for i, colour in enumerate(colours):
                top = tall - i * (rows + between)
                _box(ax, left, top - rows, columns, rows, colour)
        else:
            bottom = (tall - rows) / 2
            _box(ax, left, bottom, columns, rows, GREY)
            for i, colour in enumerate(colours if cut else []):
                if cut == "columns":
                    _box(ax, left + i * head_dim, bottom, head_dim, rows, colour)
                else:
                    _box(ax, left, bottom + rows - (i + 1) * head_dim, columns, head_dim, colour)
        centre = left + columns / 2
        ax.text(centre, tall + 50, name, ha="center", va="bottom", size=9, weight="bold")
        ax.text(centre, -60, _in_two_lines(shape), ha="center", va="top", size=8)
        if number < len(steps) - 1:
            ends = (left + columns + 0.2 * gap, tall / 2), (left + columns + 0.8 * gap, tall / 2)
            ax.add_patch(
                FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=8, color=GREY, lw=1.2)
            )
        left += columns + gap
    ax.set(xlim=(-60, left - gap + 60), ylim=(-330, tall + 330))
    ax.set_aspect("equal")
    ax.axis("off")
    way = ", ".join(f"{name.split(chr(10))[0]} {shape}" for name, shape, *_ in steps)
    return figure, (
        f"The way of one sequence of {num_tokens} tokens through a layer of {num_heads} heads, to "
        f"scale: {way}. W_Q is cut into {num_heads} strips of {head_dim} columns, W_O into strips "
        f"of {head_dim} rows, one a head; head {FOLLOWED} is orange all the way."
    )


def plot_layer(
    trail_of: Callable[[int, int, int, int], Trail],
    parameters_of: Callable[[int, int, int], int],
    d_model: int,
    num_heads: int,
    num_kv_heads: int,
):
    """Draw the flow through a layer of any size, with what its matrices hold.

    Args:
        trail_of: `shape_trail(batch, num_tokens, d_model, num_heads)`.
        parameters_of: `count_attention_parameters(d_model, num_heads, num_kv_heads)`.

    Returns:
        (figure, alt text).

    Raises:
        ValueError: whatever the two functions refuse.
    """
    parameters = parameters_of(d_model, num_heads, num_kv_heads)
    figure, alt = plot_flow(trail_of(1, 128, d_model, num_heads))
    return figure, (
        f"D = {d_model}, {num_heads} heads of {d_model // num_heads}, keys and values for "
        f"{num_kv_heads}: {parameters:,} parameters in the four matrices. {alt}"
    )


def _head_colours(num_heads: int) -> list[str]:
    colours = list(islice(cycle((SKY, BLUE)), num_heads))
    if num_heads > FOLLOWED:
        colours[FOLLOWED] = ORANGE
    return colours


def _in_two_lines(shape: tuple[int, ...]) -> str:
    numbers = [str(size) for size in shape]
    if len(numbers) < 4:
        return f"({', '.join(numbers)})"
    return f"({', '.join(numbers[:2])},\n{', '.join(numbers[2:])})"


def _box(ax, left: float, bottom: float, width: float, height: float, colour: str) -> None:
    ax.add_patch(
        Rectangle((left, bottom), width, height, facecolor=colour, edgecolor="white", lw=0.4)
    )


def wrong_trails(right: Trail) -> dict[str, Trail]:
    """Make four trails, one of them right.

    Args:
        right: as made by `shape_trail`.

    Returns:
        letter -> trail.
    """
    batch, num_heads, num_tokens, head_dim = right["split_q"]
    width = right["x"][-1]
    wide = (batch, num_heads, num_tokens, width)
    unmoved = (batch, num_tokens, num_heads, head_dim)
    mixed = (batch, num_tokens, num_heads, num_heads)
    table = (batch, num_tokens, num_tokens)
    return {
        "E": {
            **right,
            "split_q": wide,
            "head_out": wide,
            "concat": (batch, num_tokens, num_heads * width),
        },
        "F": {
            **right,
            "split_q": unmoved,
            "scores": mixed,
            "weights": mixed,
            "head_out": unmoved,
        },
        "G": right,
        "H": {
            **right,
            "q": (batch, num_tokens, head_dim),
            "split_q": (batch, num_tokens, head_dim),
            "scores": table,
            "weights": table,
            "head_out": (batch, num_tokens, head_dim),
            "concat": (batch, num_tokens, head_dim),
        },
    }


TRAIL_PARTS = ("x", "q", "split_q", "weights", "head_out", "concat", "out")


def plot_trails(trails: dict[str, Trail]):
    """Draw trails of one sequence to scale, without their numbers.

    Args:
        trails: letter -> trail; a shape of four sizes is drawn as a stack of tables.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(11, 3.6, nrows=2, ncols=2, sharex=True, sharey=True)
    for ax, (letter, trail) in zip(axes.flat, trails.items(), strict=True):
        left = 0.0
        for name in TRAIL_PARTS:
            *stack, rows, columns = trail[name][1:]
            boxes = stack[0] if stack else 1
            tall = boxes * rows + (boxes - 1) * 1.5
            for i in range(boxes):
                bottom = tall / 2 - i * (rows + 1.5) - rows
                _cells(ax, left, bottom, columns, rows, SKY if boxes > 1 else GREY)
            ax.text(left + columns / 2, -14, name, ha="center", va="top", size=8)
            left += max(columns, 9) + 5
        ax.set_title(letter, loc="left", weight="bold", pad=2)
        ax.set(xlim=(-3, 138), ylim=(-19, 14))
        ax.set_aspect("equal")
        ax.axis("off")
    shapes = "; ".join(
        f"{letter}: " + ", ".join(f"{name} {trail[name]}" for name in TRAIL_PARTS)
        for letter, trail in trails.items()
    )
    return figure, f"Four ways of a sequence through a layer, to scale. {shapes}."


def _cells(ax, left: float, bottom: float, width: int, height: int, colour: str) -> None:
    _box(ax, left, bottom, width, height, colour)
    for column in range(1, width):
        ax.plot([left + column] * 2, [bottom, bottom + height], color="white", lw=0.4)
    for row in range(1, height):
        ax.plot([left, left + width], [bottom + row] * 2, color="white", lw=0.4)


# --- the packed projection ------------------------------------------------------------------------


def columns_of_packed(batch: int, num_tokens: int, width: int) -> Tensor:
    """Make a packed projection in which every number is that of its column (B, T, 3·D), int64."""
    return torch.arange(3 * width).expand(batch, num_tokens, -1)


def read_per_head(packed: Tensor, num_heads: int) -> Unpacked:
    """Read a packed row in GPT-NeoX's and BLOOM's order: [q | k | v] of head 0, then of head 1, …

    Args:
        packed: (B, T, 3·h·d).

    Returns:
        q, k, v, each (B, h, T, d).
    """
    rows = packed.unflatten(-1, (num_heads, 3, -1))  # (B, T, h, 3, d)
    return tuple(rows.permute(3, 0, 2, 1, 4))


def same_slices(one: Unpacked, other: Unpacked) -> Tensor:
    """Find the slices in which two readings agree: boolean (3, h), rows q, k, v."""
    return torch.stack([(a == b).all(-1).all(-1).all(0) for a, b in zip(one, other, strict=True)])


def plot_packing(num_heads: int, same: Tensor):
    """Draw one packed row as it is read in two orders, and mark the slices read alike.

    Args:
        num_heads: h.
        same: as made by `same_slices` (3, h).

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(11, 1.9)
    grouped = [(role, head) for role in range(3) for head in range(num_heads)]
    per_head = [(role, head) for head in range(num_heads) for role in range(3)]
    for row, order in enumerate((grouped, per_head)):
        for place, (role, head) in enumerate(order):
            _box(ax, place, 2 - 1.5 * row, 1, 1, ROLE_COLOURS[role])
            label = f"{'qkv'[role]}{head}"
            ax.text(
                place + 0.5, 2.5 - 1.5 * row, label, ha="center", va="center", size=8, color="k"
            )
    alike = [i for i, (role, head) in enumerate(grouped) if same[role, head]]
    for place in alike:
        ax.text(place + 0.5, 0.35, "same", ha="center", va="top", size=8)
    names = ("[q | k | v], GPT-2", "heads × [q | k | v]")
    ax.set_yticks([2.5, 1], names)
    ax.set(xlim=(-0.2, 3 * num_heads + 0.2), ylim=(-0.3, 3.2))
    ax.set_xticks([])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    found = ", ".join(f"{'qkv'[grouped[i][0]]} of head {grouped[i][1]}" for i in alike)
    return figure, (
        f"One packed row of {3 * num_heads} slices, labelled as GPT-2's order reads it (all "
        "queries, all keys, all values) and, below, as an order head by head does. Both give a "
        f"slice the same label in {len(alike)} places: {found or 'none'}."
    )


def readings(unpack: Callable[[Tensor, int], Unpacked]) -> dict[str, Unpacked]:
    """Unpack numbered columns in four ways, 3 heads of 4.

    Args:
        unpack: the right way.

    Returns:
        letter -> q, k, v, each (1, 3, 1, 4): which column of the packed row a number came from.
    """
    packed, h = columns_of_packed(1, 1, 12), 3
    triples = packed.unflatten(-1, (h, -1, 3)).permute(4, 0, 2, 1, 3)
    dealt = [x.unflatten(-1, (-1, h)).permute(0, 3, 1, 2) for x in packed.chunk(3, dim=-1)]
    return {
        "A": tuple(dealt),
        "B": read_per_head(packed, h),
        "C": unpack(packed, h),
        "D": tuple(triples),
    }


def plot_readings(pictures: dict[str, Unpacked]):
    """Draw what each head was given: colour = role of the column, digit = the head it belongs to.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(11, 3.6, nrows=2, ncols=2)
    told = []
    for ax, (letter, parts) in zip(axes.flat, pictures.items(), strict=True):
        _, num_heads, _, head_dim = parts[0].shape
        width, rows = num_heads * head_dim, []
        for row, part in enumerate(parts):
            labels = []
            for head in range(num_heads):
                for column, source in enumerate(part[0, head, 0].tolist()):
                    role, owner = source // width, source % width // head_dim
                    left = head * (head_dim + 0.6) + column
                    _box(ax, left, -row, 1, 1, ROLE_COLOURS[role])
                    ax.text(
                        left + 0.5, 0.5 - row, owner, ha="center", va="center", color="k", size=8
                    )
                    labels.append(f"{'qkv'[role]}{owner}")
            rows.append(f"row {'qkv'[row]}: {' '.join(labels)}")
        ax.set_title(letter, loc="left", weight="bold")
        ax.set_yticks([0.5, -0.5, -1.5], ["q", "k", "v"])
        middles = [i * (head_dim + 0.6) + head_dim / 2 for i in range(num_heads)]
        ax.set_xticks(middles, [f"head {i}" for i in range(num_heads)])
        ax.set(xlim=(-0.2, num_heads * (head_dim + 0.6)), ylim=(-2.1, 1.1))
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        told.append(f"{letter}: {', '.join(rows)}")
    named = zip(("queries", "keys", "values"), ROLE_COLOURS, strict=True)
    handles = [Rectangle((0, 0), 1, 1, facecolor=colour, label=name) for name, colour in named]
    figure.legend(handles=handles, loc="outside upper right", ncols=3)
    return figure, "What four readings of a packed row give to each head. " + ". ".join(told) + "."


# --- operations -----------------------------------------------------------------------------------


def counted_flops(function: Callable, *args) -> int:
    """Count the operations of a call with PyTorch's own counter.

    It adds up the shapes of those operators that it has a formula for: matrix products and
    convolutions among them, softmax and additions not.
    """
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        function(*args)
    return counter.get_total_flops()


def plot_flops(count: Callable[[int, int, int, int], int], d_model: int, num_heads: int):
    """Draw the operations of a layer over the length of the text, with its two terms.

    Args:
        count: `count_attention_flops`.

    Returns:
        (figure, alt text).
    """
    lengths = [2**n for n in range(5, 16)]
    totals = [count(1, length, d_model, num_heads) for length in lengths]
    figure, ax = new_figure(6.8, 3.8)
    ax.plot(lengths, totals, "o-", color=BLUE, label="your count", ms=4)
    ax.plot(
        lengths,
        [8 * length * d_model**2 for length in lengths],
        "--",
        color=ORANGE,
        label="projections, 8·T·D²",
    )
    ax.plot(
        lengths,
        [4 * length**2 * d_model for length in lengths],
        ":",
        color=GREEN,
        label="look-ups, 4·T²·D",
    )
    ax.axvline(2 * d_model, color=GREY, lw=1)
    ax.text(2 * d_model * 1.1, totals[0], f"T = 2·D = {2 * d_model}", size=9)
    ax.set_xscale("log", base=2)
    ax.set_xticks(lengths[::2], [str(length) for length in lengths[::2]])
    ax.set_yscale("log")
    ax.set(xlabel="T, tokens in the text", ylabel="floating-point operations")
    ax.legend()
    return figure, (
        f"Operations of a layer of width {d_model} over the length of the text, both on a log "
        f"scale, from {totals[0]:.1e} at {lengths[0]} tokens to {totals[-1]:.1e} at {lengths[-1]}. "
        f"Below {2 * d_model} tokens the projections, which grow with T, are the larger part; "
        "above it the look-ups, which grow with T²."
    )


# --- three ways to one layer, with biases ---------------------------------------------------------


def biased_layer(d_model: int, num_heads: int, device: str) -> nn.MultiheadAttention:
    """Make PyTorch's layer with random weights and biases (its own biases start at 0)."""
    torch.manual_seed(4)
    module = nn.MultiheadAttention(d_model, num_heads, batch_first=True)
    for bias in (module.in_proj_bias, module.out_proj.bias):
        nn.init.normal_(bias)
    return module.eval().to(device)


def with_one(x: Tensor) -> Tensor:
    """Give every token a 1 more: (B, T, D) -> (B, T, D + 1)."""
    return torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)


def fold_biases(module: nn.MultiheadAttention) -> tuple[list[Tensor], Tensor]:
    """Write the biases of the projections as one more row, since [x, 1] [W; b] = x W + b.

    Returns:
        ([w_q, w_k, w_v (D + 1, h·d), w_o (h·d, D)], the bias of the output (D))
    """
    weights = module.in_proj_weight.detach().chunk(3)  # PyTorch keeps matrices as (out, in)
    biases = module.in_proj_bias.detach().chunk(3)
    rows = [torch.cat([w.T, b[None]]) for w, b in zip(weights, biases, strict=True)]
    return [*rows, module.out_proj.weight.detach().T], module.out_proj.bias.detach()


def times_on_device(
    versions: dict[str, Callable[[Tensor], Tensor]], x: Tensor, rounds: int = 15
) -> dict[str, float]:
    """Time versions of a layer where x lies, with all the threads that PyTorch uses there.

    They take turns. Reading one number of the result makes a GPU finish before the clock stops.

    Returns:
        name -> median time of a call in milliseconds.
    """
    times = {name: [] for name in versions}
    with torch.inference_mode():
        for turn in tqdm(range(rounds), desc="timing", leave=False):
            for name, version in versions.items():
                start = perf_counter()
                version(x).flatten()[0].item()
                if turn:  # the first one warms up
                    times[name].append(perf_counter() - start)
    return {name: 1e3 * torch.tensor(runs).median().item() for name, runs in times.items()}


# --- time -----------------------------------------------------------------------------------------

WHOLE = "your whole layer"


def measure_parts(
    layer: Callable,
    split: Callable[[Tensor, int], Tensor],
    softmax: Callable[[Tensor], Tensor],
    head_counts: list[int],
    num_tokens: int,
    d_model: int,
    rounds: int = 5,
) -> dict[int, dict[str, float]]:
    """Time a layer and its parts at several numbers of heads, side by side, on one thread.

    All take turns, so that a busy moment of the machine hits all of them.

    Args:
        layer: `multi_head_attention`.
        split, softmax: the learner's own.
        head_counts: each divides `d_model`.
        rounds: how often everything has its turn.

    Returns:
        h -> part -> median time of a call in milliseconds.
    """
    weights = random_weights(d_model, d_model)
    x = torch.randn(1, num_tokens, d_model, generator=torch.Generator().manual_seed(3))
    jobs = {}
    with torch.inference_mode():
        for h in head_counts:
            q, k, v = (split(x @ w, h) for w in weights[:3])
            scores = q @ k.mT / q.shape[-1] ** 0.5
            blend = softmax(scores)
            jobs |= {
                (h, "4 projections"): lambda: [x @ w for w in weights],
                (h, "scores q·kᵀ"): lambda q=q, k=k: q @ k.mT,
                (h, "softmax"): lambda scores=scores: softmax(scores),
                (h, "weights · v"): lambda blend=blend, v=v: blend @ v,
                (h, WHOLE): lambda h=h: layer(x, *weights, h),
            }
        times = {key: [] for key in jobs}
        turns = [key for _ in range(rounds) for key in jobs]
        for key in tqdm(turns, desc="timing", leave=False):
            timer = Timer("f()", globals={"f": jobs[key]}, num_threads=1)
            times[key] += timer.blocked_autorange(min_run_time=0.03).times
    medians = {key: 1e3 * torch.tensor(runs).median().item() for key, runs in times.items()}
    return {h: {part: medians[h, part] for count, part in jobs if count == h} for h in head_counts}


def plot_parts(times: dict[int, dict[str, float]], d_model: int):
    """Draw times over the number of heads, a line a part, both on a log scale.

    Returns:
        (figure, alt text).
    """
    figure, ax = new_figure(7.4, 4.2)
    counts = list(times)
    looks = {
        "4 projections": (ORANGE, "s--"),
        "scores q·kᵀ": (GREEN, "v:"),
        "softmax": (VERMILION, "D-."),
        "weights · v": (PURPLE, "^:"),
        WHOLE: (BLUE, "o-"),
    }
    for part, (colour, style) in looks.items():
        ax.plot(counts, [times[h][part] for h in counts], style, color=colour, label=part, ms=5)
    base = times[counts[0]][WHOLE]
    ratios = [f"{h}\nd = {d_model // h}\n{times[h][WHOLE] / base:.1f} x" for h in counts]
    ax.set(xscale="log", yscale="log", ylabel="median time of one call (ms)")
    ax.set_xlabel(f"h, number of heads; d = {d_model} / h; the whole layer's time against h = 1")
    ax.set_xticks(counts, ratios)
    ax.minorticks_off()
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    told = "; ".join(
        f"{part}: " + ", ".join(f"{times[h][part]:.2g} ms at {h}" for h in counts) for part in looks
    )
    return figure, f"Times of a layer and its parts over the number of heads. {told}."
