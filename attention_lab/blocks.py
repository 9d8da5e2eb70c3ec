"""What notebook 12 shows: a block and where its parameters are, norms over depth, a search."""

import math
import re
from collections.abc import Callable, Sequence

import torch
from matplotlib.patches import FancyArrowPatch, Rectangle
from torch import Tensor, nn
from tqdm.auto import tqdm

from .encoder import Encoder, pool
from .figures import BLUE, GREEN, GREY, ORANGE, SKY, heat_map, new_figure

Params = dict[str, Tensor]
Block = Callable[..., Tensor]  # (x, params, num_heads, mask, norm_first) -> x-shaped
Norm = Callable[..., Tensor]  # (x, weight, bias, eps) -> x-shaped
WAYS = {"pre-norm": True, "post-norm": False}  # name -> norm_first
WAY_COLOURS = {"pre-norm": BLUE, "post-norm": ORANGE}

# ------------------------------------------------------------------------------------- the block


def random_block(
    d_model: int = 64, num_heads: int = 4, generator: torch.Generator | None = None
) -> Params:
    """A block as it is before training: matrices N(0, 1/rows), biases 0, norms 1 and 0.

    Args:
        d_model: D; d = D / h and F = 4·D.

    Returns:
        The parameters under the names of `block.transformer_block`.

    Raises:
        ValueError: if h does not divide D.
    """
    if d_model % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {d_model}")
    sizes = {name: (d_model, d_model) for name in ("w_q", "w_k", "w_v", "w_o")}
    sizes |= {"w_in": (d_model, 4 * d_model), "w_out": (4 * d_model, d_model)}
    params = {}
    for name, (rows, columns) in sizes.items():
        params[name] = torch.randn(rows, columns, generator=generator) / rows**0.5
        params["b" + name[1:]] = torch.zeros(columns)
    for norm in ("norm1", "norm2"):
        params |= {f"{norm}_weight": torch.ones(d_model), f"{norm}_bias": torch.zeros(d_model)}
    return params


def count_parts(params: Params) -> dict[str, int]:
    """Count a block's parameters: in "attention", the "feed-forward" network and the "norms"."""
    counts = {"attention": 0, "feed-forward": 0, "norms": 0}
    for name, tensor in params.items():
        if name.startswith("norm"):
            part = "norms"
        else:
            part = "feed-forward" if name[2:] in ("in", "out") else "attention"
        counts[part] += tensor.numel()
    return counts


# ---------------------------------------------------------------------------------- norms in depth


def measure_stream(
    block: Block, depth: int = 24, seeds: Sequence[int] = range(10)
) -> dict[str, Tensor]:
    """Root mean square of the numbers in the stream, before the first block and behind each.

    Args:
        block: runs one block.
        depth: blocks.
        seeds: each draws new weights and tokens.

    Returns:
        For "pre-norm" and "post-norm": (seeds, depth + 1)
    """
    sizes = {way: [] for way in WAYS}
    for seed in tqdm(seeds, desc="seed", leave=False):
        for way, norm_first in WAYS.items():
            x, blocks = _untrained(depth, seed)
            with torch.no_grad():
                stream = _run(block, x, blocks, norm_first)
            sizes[way].append([x.square().mean().sqrt().item() for x in stream])
    return {way: torch.tensor(rows) for way, rows in sizes.items()}


def measure_last_gradient(
    block: Block,
    norm: Norm,
    depths: Sequence[int] = (3, 6, 12, 24, 48),
    seeds: Sequence[int] = range(10),
) -> dict[str, Tensor]:
    """Size of the gradient of the last block's feed-forward matrices, before any training.

    The loss is the product of the model's output with random numbers, so that the output's own
    gradient has the same size at every depth. Behind the last pre-norm block stands one more norm,
    as in models that are built so.

    Args:
        block, norm: run one block, and the norm at the end.
        depths: numbers of blocks.
        seeds: each draws new weights, tokens and loss.

    Returns:
        For "pre-norm" and "post-norm": (seeds, depths), Frobenius norms.
    """
    found = {way: torch.empty(len(seeds), len(depths)) for way in WAYS}
    for row, seed in enumerate(tqdm(seeds, desc="seed", leave=False)):
        for column, depth in enumerate(depths):
            for way, norm_first in WAYS.items():
                x, blocks = _untrained(depth, seed)
                wanted = [blocks[-1][name].requires_grad_() for name in ("w_in", "w_out")]
                out = _run(block, x, blocks, norm_first)[-1]
                if norm_first:
                    out = norm(out, torch.ones(out.shape[-1]), torch.zeros(out.shape[-1]))
                generator = torch.Generator().manual_seed(seed)
                loss = (out * torch.randn(out.shape, generator=generator)).sum()
                gradients = torch.autograd.grad(loss, wanted)
                size = math.hypot(*(g.norm().item() for g in gradients))
                found[way][row, column] = size
    return found


def _untrained(depth: int, seed: int) -> tuple[Tensor, list[Params]]:
    """Tokens N(0, 1), (4, 16, 64), and blocks of 4 heads."""
    generator = torch.Generator().manual_seed(seed)
    blocks = [random_block(generator=generator) for _ in range(depth)]
    return torch.randn(4, 16, 64, generator=generator), blocks


def _run(block: Block, x: Tensor, blocks: list[Params], norm_first: bool) -> list[Tensor]:
    stream = [x]
    for params in blocks:
        stream.append(block(stream[-1], params, 4, None, norm_first))
    return stream


# --------------------------------------------------------------------------------- the real model


def look_up(encoder: Encoder, ids: Tensor) -> Tensor:
    """Add up what the encoder's tables hold for each token: word, position and type.

    Args:
        ids: (B, T).

    Returns:
        (B, T, D), before the encoder's first norm.
    """
    table = encoder.embeddings
    return table["word"][ids] + table["position"][: ids.shape[1]] + table["type"][0]


def post_norm_block(attend: Callable, norm: Norm, feed: Callable) -> Block:
    """A post-norm block made of given parts, to be called like `block.transformer_block`.

    Args:
        attend: `heads.multi_head_attention`, without biases.
        norm: `block.layer_norm`, with an eps of its own if wanted.
        feed: `block.feed_forward`.
    """

    def function(x, params, num_heads, mask=None, norm_first=False):
        ones = torch.ones_like(x[..., :1])  # what the biases are multiplied with
        matrices = (torch.cat([params[f"w_{n}"], params[f"b_{n}"][None]]) for n in "qkv")
        wider = torch.cat([x, ones], -1)  # (B, T, D + 1)
        out, _ = attend(wider, *matrices, params["w_o"], num_heads, mask)
        x = norm(x + out + params["b_o"], params["norm1_weight"], params["norm1_bias"])
        out = feed(x, params["w_in"], params["b_in"], params["w_out"], params["b_out"])
        return norm(x + out, params["norm2_weight"], params["norm2_bias"])

    return function


def changed(encoder: Encoder, **changes) -> Encoder:
    """The same encoder with some fields replaced; the one given stays."""
    return Encoder(**{**vars(encoder), **changes})


def without(encoder: Encoder, name: str) -> Encoder:
    """The encoder with one parameter at 0 in every layer, e.g. "b_k"."""
    layers = [{**layer, name: torch.zeros_like(layer[name])} for layer in encoder.layers]
    return changed(encoder, layers=layers)


def torch_layers(encoder: Encoder, norm_first: bool = False) -> list[nn.TransformerEncoderLayer]:
    """The encoder's layers as PyTorch's own blocks, which run fused where they can.

    Args:
        norm_first: True puts the norms where this model was not trained to have them.
    """
    made = []
    for layer in encoder.layers:
        width, inner = layer["w_in"].shape
        block = nn.TransformerEncoderLayer(
            width,
            encoder.num_heads,
            inner,
            activation="gelu",
            layer_norm_eps=encoder.eps,
            batch_first=True,
            norm_first=norm_first,
        )
        state = {
            "self_attn.in_proj_weight": torch.cat([layer[f"w_{n}"].T for n in "qkv"]),
            "self_attn.in_proj_bias": torch.cat([layer[f"b_{n}"] for n in "qkv"]),
        }
        for theirs, mine in {"self_attn.out_proj": "o", "linear1": "in", "linear2": "out"}.items():
            state |= {
                f"{theirs}.weight": layer[f"w_{mine}"].T,
                f"{theirs}.bias": layer[f"b_{mine}"],
            }
        for name in ("norm1", "norm2"):
            state |= {f"{name}.{part}": layer[f"{name}_{part}"] for part in ("weight", "bias")}
        block.load_state_dict(state)
        made.append(block.to(layer["w_in"].device).eval().requires_grad_(False))
    return made


def run_torch(
    encoder: Encoder, layers: list[nn.TransformerEncoderLayer], ids: Tensor, lengths: Tensor
) -> Tensor:
    """Sentence embeddings (B, D) through PyTorch's own blocks.

    Args:
        ids, lengths: as `Encoder.tokenize` makes them.
    """
    x = encoder.embed_tokens(ids)
    hidden = torch.arange(ids.shape[1], device=ids.device) >= lengths[:, None]  # True: padding
    for layer in layers:
        x = layer(x, src_key_padding_mask=hidden)
    return pool(x, lengths)


# ------------------------------------------------------------------------------------- the search

SENTENCES = (
    "Refunds are paid within five working days.",
    "The old film showed a truck full of counterfeit money.",
    "Heavy rain is expected over the coast tonight.",
    "The river burst its banks after the storm.",
    "Her grandmother's soup simmered for three hours.",
    "Knead the dough until it no longer sticks to your hands.",
    "The striker missed a penalty in the last minute.",
    "Our team won the cup for the first time in forty years.",
    "The violinist tuned her instrument before the concert.",
    "He plays the drums in a jazz band at weekends.",
    "The vet gave the puppy an injection.",
    "A cat slept on the warm bonnet of the car.",
    "The engine would not start on the cold morning.",
    "Change the oil every fifteen thousand kilometres.",
    "The surgeon washed his hands before the operation.",
    "Take one tablet twice a day after meals.",
    "Parliament voted against the new tax.",
    "The mayor promised cheaper bus tickets before the election.",
    "Light from that star left it two thousand years ago.",
    "The probe sent pictures of the rings of Saturn.",
    "The lecture was so dull that half the students fell asleep.",
    "She passed the exam at her second attempt.",
    "The password must hold at least twelve characters.",
    "Restart the router if the connection drops.",
    "The train to the airport leaves every ten minutes.",
    "Passengers are asked to keep their luggage with them.",
    "The bank raised its interest rates again.",
    "They rowed to the bank of the lake and lit a fire.",
    "Wheat prices fell after a good harvest.",
    "The farmer milks the cows at five in the morning.",
    "Vines grow on the southern slope of the hill.",
    "The museum is closed on Mondays.",
    "The painter mixed blue and yellow to get green.",
    "A burglar broke the window and took the silver.",
    "The court found him not guilty.",
    "The kettle is too hot to touch.",
)
QUERIES = {  # query: the number of the sentence that is meant
    "How do I get my money back?": 0,
    "It is going to be wet by the sea.": 2,
    "Baking bread": 5,
    "The dog got a shot at the animal hospital.": 10,
    "The car broke down this winter.": 12,
    "How long does the doctor say I should take these pills?": 15,
    "The class was boring.": 20,
    "What is the minimum length of my login secret?": 22,
    "My Wi-Fi keeps disconnecting.": 23,
    "Loans have become more expensive.": 26,
    "Someone stole our valuables.": 33,
    "The judge set him free.": 34,
}


def shared_words(queries: Sequence[str], sentences: Sequence[str]) -> Tensor:
    """Count the words that a query has in common with a sentence, capital or not.

    Returns:
        (queries, sentences)
    """

    def words(text: str) -> set[str]:
        return set(re.findall(r"[a-z']+", text.lower()))

    rows = [[len(words(query) & words(sentence)) for sentence in sentences] for query in queries]
    return torch.tensor(rows)


def found(scores: Tensor, meant: Sequence[int]) -> Tensor:
    """Whether the sentence that is meant has a higher score than every other.

    Args:
        scores: (queries, sentences).
        meant: a sentence's number for each query.

    Returns:
        Boolean (queries,); a tie for the first place is not found.
    """
    best = scores.topk(2).values  # (queries, 2)
    at_meant = scores[torch.arange(len(scores)), torch.as_tensor(meant)]
    return (at_meant == best[:, 0]) & (best[:, 0] > best[:, 1])


PAIRS = (  # a short sentence and a longer one about the same, three times
    "My Wi-Fi keeps disconnecting.",
    "Restart the router if the connection drops, and then wait for about two minutes.",
    "The class was boring.",
    "The lecture was so dull that half the students in the room fell asleep.",
    "Baking bread",
    "Knead the dough until it no longer sticks to your hands.",
)


def wrong_pictures(encoder: Encoder) -> dict[str, Tensor]:
    """Similarities of `PAIRS` in four versions of the model, three of them wrong.

    Returns:
        letter -> (6, 6), between -1 and 1.
    """
    ids, lengths, _ = encoder.tokenize(PAIRS)
    with torch.inference_mode():
        hidden, _ = encoder.run(ids, lengths)
        embeddings = {
            "A": pool(hidden, torch.full_like(lengths, ids.shape[1])),
            "B": run_torch(encoder, torch_layers(encoder, norm_first=True), ids, lengths),
            "C": pool(hidden, lengths),
            "D": changed(encoder, num_heads=1).sentence_embeddings(PAIRS),
        }
    return {letter: rows @ rows.T for letter, rows in embeddings.items()}


# ---------------------------------------------------------------------------------------- figures


def plot_block():
    """Draw the two ways to build a block: the norm beside the stream, or on it.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(9, 4.6, ncols=2)
    for ax, (name, norm_first) in zip(axes, WAYS.items(), strict=True):
        _arrow(ax, (0, 0), (0, 10.6), WAY_COLOURS[name], width=3)
        for bottom, norm, layer, colour in (
            (0.6, "norm1", "multi-head\nattention", SKY),
            (5.6, "norm2", "feed-forward\nnetwork", ORANGE),
        ):
            if norm_first:
                _box(ax, 2.6, bottom + 0.5, norm, GREEN)
                _box(ax, 2.6, bottom + 2.0, layer, colour)
                _arrow(ax, (2.6, bottom + 1.4), (2.6, bottom + 2.0), GREY)
                first, top = bottom + 0.5, bottom + 3.6
            else:
                _box(ax, 2.6, bottom + 0.9, layer, colour)
                _box(ax, 0, bottom + 3.5, norm, GREEN)
                first, top = bottom + 0.9, bottom + 2.7
            ax.plot([0, 2.6], [bottom, bottom], color=GREY, lw=1.5)
            _arrow(ax, (2.6, bottom), (2.6, first), GREY)
            last = bottom + (3.0 if norm_first else 1.9)
            ax.plot([2.6, 2.6], [last, top], color=GREY, lw=1.5)
            _arrow(ax, (2.6, top), (0.3, top), GREY)
            ax.scatter([0], [top], s=260, facecolor="white", edgecolor=GREY, zorder=4)
            ax.text(0, top, "+", ha="center", va="center", size=13, color="black", zorder=5)
        ax.text(0, -0.3, "x", ha="center", va="top", size=12)
        ax.set(xlim=(-2, 4.6), ylim=(-1, 11), title=f"{name}: norm_first={norm_first}")
        ax.axis("off")
    return figure, (
        "Two wirings, read from the bottom. A vertical line, the stream, carries x; attention and "
        "feed-forward network stand beside it and add to it. Pre-norm: each has its norm in front, "
        "beside the stream, and nothing stands on the stream. Post-norm: the norms stand on the "
        "stream itself, behind each sum."
    )


def plot_depth(stream: dict[str, Tensor], gradient: dict[str, Tensor], depths: Sequence[int]):
    """Draw what was measured before training: the stream's size, and the last block's gradient.

    Args:
        stream: as made by `measure_stream`.
        gradient, depths: as made by, and given to, `measure_last_gradient`.

    Returns:
        (figure, alt text).
    """
    figure, (left, right) = new_figure(9.5, 3.5, ncols=2)
    at = torch.arange(stream["pre-norm"].shape[1])
    marks = {"pre-norm": "o", "post-norm": "s"}
    for way, colour in WAY_COLOURS.items():
        _band(left, at, stream[way], colour, way, marker="")
        _band(right, depths, gradient[way], colour, way, marker=marks[way])
    start, falling = gradient["pre-norm"].mean(0)[0].item(), torch.tensor(depths) / depths[0]
    right.plot(depths, start / falling.sqrt(), ":", color=GREY, label="∝ 1/√depth")
    left.set(xlabel="blocks passed", ylabel="root mean square of x", ylim=(0, None))
    left.set_title("the stream")
    right.set(xscale="log", yscale="log", xlabel="depth of the model (blocks)")
    right.set(ylabel="gradient norm", title="gradient of the last block's FFN")
    right.set_xticks(depths, depths)
    right.set_yticks(*(2 * [(100, 200, 400, 800)]))
    right.minorticks_off()
    for ax in (left, right):
        ax.grid(True)
        ax.legend()
    words = [
        f"{way}: stream {stream[way].mean(0)[-1]:.1f} after {len(at) - 1} blocks, gradient "
        f"{gradient[way].mean(0)[0]:.0f} at {depths[0]} blocks and "
        f"{gradient[way].mean(0)[-1]:.0f} at {depths[-1]}"
        for way in WAYS
    ]
    return figure, "Lines over depth, before training. " + "; ".join(words) + "."


def plot_similarities(pictures: dict[str, Tensor]):
    """Draw similarity matrices of six sentences in a row.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(11, 3.3, ncols=len(pictures), sharey=True)
    names = ["1 short", "1 long", "2 short", "2 long", "3 short", "3 long"]
    for ax, (letter, values) in zip(axes, pictures.items(), strict=True):
        rounded = values.round(decimals=1) + 0.0  # no -0.0
        heat_map(ax, rounded, row_labels=names, column_labels=names, title=letter, digits=1)
    readings = [
        f"{letter}: short and long of a pair {_mean(values, SAME):.2f}, two short ones "
        f"{_mean(values, SHORT):.2f}, two long ones {_mean(values, LONG):.2f}"
        for letter, values in pictures.items()
    ]
    return figure, "Mean similarities of different sentences. " + "; ".join(readings) + "."


SAME = [(0, 1), (2, 3), (4, 5)]
SHORT = [(0, 2), (0, 4), (2, 4)]
LONG = [(1, 3), (1, 5), (3, 5)]


def _mean(values: Tensor, places: list[tuple[int, int]]) -> float:
    return sum(values[place].item() for place in places) / len(places)


def _band(ax, x, values: Tensor, colour: str, label: str, marker: str) -> None:
    """Mean over the seeds (rows), with a band from the lowest to the highest."""
    ax.plot(x, values.mean(0), color=colour, label=label, marker=marker)
    ax.fill_between(x, values.amin(0), values.amax(0), color=colour, alpha=0.3)


def _box(ax, middle: float, bottom: float, text: str, colour: str) -> None:
    height = 0.9 if text.startswith("norm") else 1.0
    ax.add_patch(Rectangle((middle - 1.5, bottom), 3, height, color=colour, zorder=3))
    place = middle, bottom + height / 2
    ax.text(*place, text, ha="center", va="center", size=9, color="black", zorder=4)


def _arrow(ax, start, end, colour: str, width: float = 1.5) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": 8 * width**0.5, "shrinkA": 0, "shrinkB": 0}
    ax.add_patch(FancyArrowPatch(start, end, color=colour, lw=width, **style))
