"""Model cards: 44 configurations with their sources, measured caches, figures of notebook 11.

`model_cards.json` holds what stands in published configurations, in their own field names. A row
has a source; "fields renamed" means that the source has the numbers under names of its own.

    python -m attention_lab.model_cards record     measures the caches again (needs `transformers`)
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

from .figures import BLUE, GREEN, GREY, ORANGE, PALETTE, PURPLE, VERMILION, new_figure
from .recordings import FOLDER, read_runs, write_runs

DATA = Path(__file__).with_suffix(".json")
RECORDED = FOLDER / "model_cards.json"
KIB = 1024
KINDS = {"MHA": (BLUE, "o"), "GQA": (ORANGE, "s"), "MQA": (GREEN, "^"), "MLA": (PURPLE, "D")}

Read = Callable[[dict], dict]  # `read_head_layout`
Row = TypeVar("Row", bound=NamedTuple)


@dataclass(frozen=True)
class ModelCard:
    """One published configuration.

    Attributes:
        name: of the model.
        source: repository, file and commit, or the class of a package whose default it is.
        generates: False for encoders, which keep no cache.
        billions: of parameters, as the model's name says; None when it does not.
        config: the fields about attention and experts, as published.
        layout: what `read_head_layout` should find in it.
    """

    name: str
    source: str
    generates: bool
    billions: float | None
    config: dict
    layout: dict


@dataclass(frozen=True)
class ClassDefault:
    """What a configuration class says when it is given nothing.

    Attributes:
        name: of the class, in transformers.
        names: the checkpoint that the class's documentation names.
        card: the name of that model's row.
        config: the default's fields.
    """

    name: str
    names: str
    card: str
    config: dict


def model_cards() -> list[ModelCard]:
    """All rows of the data."""
    return [ModelCard(**row) for row in _data()["cards"]]


def card(name: str) -> ModelCard:
    """One row.

    Raises:
        ValueError: if there is none of that name; the message names those there are.
    """
    found = {one.name: one for one in model_cards()}
    if name not in found:
        raise ValueError(f"no card of {name!r}; there are {', '.join(found)}")
    return found[name]


def pick(make: type[Row], names: Iterable[str]) -> tuple[Row, ...]:
    """Rows with fewer fields.

    Args:
        make: a NamedTuple; its fields are `name`, `source` and keys of the layout.
        names: of models.
    """
    known = ({"name": one.name, "source": one.source, **one.layout} for one in map(card, names))
    return tuple(make(*map(row.__getitem__, make._fields)) for row in known)


def class_defaults() -> list[ClassDefault]:
    """Classes whose default is not the checkpoint that their documentation names."""
    return [ClassDefault(**row) for row in _data()["class_defaults"]]


def _data() -> dict:
    return json.loads(DATA.read_text(encoding="utf-8"))


def cache_kib(layout: dict) -> float:
    """KiB that one more token adds to the cache."""
    return layout["kv_cache_bytes_per_token"] / KIB


def table(names: list[str], read: Read) -> str:
    """Some models' layouts in plain text, a line each; encoders get no cache."""
    head = f"{'':18}{'kind':>5}{'layers':>8}{'D':>7}{'h':>5}{'h_kv':>6}{'d':>5}{'h·d':>7}"
    lines = [head + f"{'KiB a token':>13}{'experts':>9}"]
    for name in names:
        one = card(name)
        x = read(one.config)
        kept = f"{cache_kib(x):.4g}" if one.generates else "-"
        experts = f"{x['experts_per_token']}/{x['num_experts']}" if x["num_experts"] else "-"
        lines.append(
            f"{name:18}{x['kind']:>5}{x['num_layers']:8}{x['d_model']:7}{x['num_heads']:5}"
            f"{x['num_kv_heads']:6}{x['head_dim']:5}{x['num_heads'] * x['head_dim']:7}"
            f"{kept:>13}{experts:>9}"
        )
    return "\n".join(lines)


def factors(names: list[str], read: Read) -> str:
    """What the cache of a token is a product of, for models that keep keys and values."""
    lines = []
    for name in names:
        x = read(card(name).config)
        lines.append(
            f"{name:12}{x['num_layers']:3} layers x {x['num_kv_heads']:2} heads x "
            f"{x['head_dim']:3} wide x 2 (key, value) x 2 bytes = "
            f"{x['kv_cache_bytes_per_token']:7,} bytes"
        )
    return "\n".join(lines)


# --------------------------------------------------------------------------------------- measured


@dataclass(frozen=True)
class Measured:
    """The cache of one tiny model of transformers, with random weights.

    Attributes:
        family: whose classes were used.
        config: what the model was made from.
        bytes_per_token: how much larger the cache is after 6 tokens than after 5, in bfloat16.
    """

    family: str
    config: dict
    bytes_per_token: int


@dataclass(frozen=True)
class Library:
    """What the measuring was done with."""

    transformers: str


_STACK = {"num_hidden_layers": 3, "hidden_size": 48, "num_attention_heads": 6}
_GPT = {"n_layer": 3, "n_embd": 48, "n_head": 6}
_LATENT = {"kv_lora_rank": 20, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8, "v_head_dim": 12}
# family -> the fields about attention, and fields that only keep the model small
FAMILIES: dict[str, tuple[dict, dict]] = {
    "GPT2": (_GPT, {}),
    "GPTBigCode": ({**_GPT, "multi_query": True}, {}),
    "Llama": ({**_STACK, "num_key_value_heads": 2}, {"intermediate_size": 32}),
    "Gemma": ({**_STACK, "num_key_value_heads": 6, "head_dim": 20}, {"intermediate_size": 32}),
    "Mixtral": (
        {**_STACK, "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2},
        {"intermediate_size": 32},
    ),
    "Falcon": ({**_STACK, "multi_query": True, "new_decoder_architecture": False}, {}),
    "Falcon, new": (
        {**_STACK, "multi_query": True, "new_decoder_architecture": True, "num_kv_heads": 2},
        {},
    ),
    "T5": (
        {"num_layers": 2, "num_decoder_layers": 3, "d_model": 48, "num_heads": 6, "d_kv": 10},
        {"d_ff": 32},
    ),
    "Bart": (
        {
            "encoder_layers": 2,
            "decoder_layers": 3,
            "d_model": 48,
            "encoder_attention_heads": 6,
            "decoder_attention_heads": 6,
        },
        {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32},
    ),
    "DeepseekV3": (
        {
            **_STACK,
            **_LATENT,
            "num_key_value_heads": 6,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
        },
        {
            "intermediate_size": 32,
            "moe_intermediate_size": 16,
            "q_lora_rank": 16,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
        },
    ),
}


def measure(family: str) -> Measured:
    """Run one tiny model on 5 and on 6 tokens, and take the difference of its caches."""
    import transformers

    config, small = FAMILIES[family]
    prefix = family.split(",")[0]
    made = getattr(transformers, f"{prefix}Config")(**config, **small, vocab_size=31)
    ends = (
        ("ForConditionalGeneration",) if made.is_encoder_decoder else ("ForCausalLM", "LMHeadModel")
    )
    classes = [getattr(transformers, prefix + end, None) for end in ends]
    model = next(filter(None, classes))(made).to(torch.bfloat16).eval()
    sizes = [_cache_bytes(model, num_tokens) for num_tokens in (5, 6)]
    return Measured(family, config, sizes[1] - sizes[0])


@torch.no_grad()
def _cache_bytes(model, num_tokens: int) -> int:
    text = torch.ones(1, num_tokens, dtype=torch.long)
    read_first = torch.ones(1, 7, dtype=torch.long)  # what an encoder reads
    inputs = (
        {"input_ids": read_first, "decoder_input_ids": text}
        if model.config.is_encoder_decoder
        else {"input_ids": text}
    )
    cache = model(**inputs, use_cache=True).past_key_values
    cache = getattr(cache, "self_attention_cache", cache)
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)


def measured_caches(path: Path = RECORDED) -> list[Measured]:
    """The recorded measurements."""
    return read_runs(path, Measured)


def record(path: Path) -> None:
    """Measure every family and write what came out to `path`."""
    import transformers

    runs = [measure(family) for family in FAMILIES]
    library = Library(transformers.__version__)
    write_runs(path, "python -m attention_lab.model_cards record", library, runs=runs)


# --------------------------------------------------------------------------------- wrong readings


def wrong_readings(read: Read) -> dict[str, dict[str, float]]:
    """Four readings of the same cards, as cache / right cache: which mistake made which?

    Args:
        read: `read_head_layout`; the mistakes are made in what it is given.

    Returns:
        letter -> model -> factor.
    """
    names = (
        "GPT-2 XL",
        "Llama-2-7B",
        "Llama-3.1-8B",
        "Mixtral-8x7B",
        "Falcon-7B",
        "Gemma-7B",
        "Qwen3-0.6B",
        "DeepSeek-V3",
    )
    cards = [card(name) for name in names]

    def without(*fields: str, **put: int):
        return lambda config: read({**{k: v for k, v in config.items() if k not in fields}, **put})[
            "kv_cache_bytes_per_token"
        ]

    def times_experts(config: dict) -> int:
        layout = read(config)
        return layout["kv_cache_bytes_per_token"] * (layout["num_experts"] or 1)

    def full_heads(config: dict) -> int:
        if "kv_lora_rank" not in config:
            return read(config)["kv_cache_bytes_per_token"]
        return without("kv_lora_rank", head_dim=read(config)["head_dim"])(config)

    mistakes = {
        "A": without("num_key_value_heads", "num_kv_heads", "multi_query"),
        "B": without("head_dim"),
        "C": full_heads,
        "D": times_experts,
    }
    return {
        letter: {
            one.name: mistake(one.config) / read(one.config)["kv_cache_bytes_per_token"]
            for one in cards
        }
        for letter, mistake in mistakes.items()
    }


# --------------------------------------------------------------------------------------- figures


def plot_widths(cards: list[ModelCard], read: Read):
    """Draw h·d against D for every card; those off the line have their names.

    Returns:
        (figure, alt text).
    """
    layouts = {one.name: read(one.config) for one in cards}
    product = {name: x["num_heads"] * x["head_dim"] for name, x in layouts.items()}
    off = [name for name, x in layouts.items() if product[name] != x["d_model"]]
    figure, ax = new_figure(8.4, 5.2)
    ends = (300, 30_000)
    ax.plot(ends, ends, "--", color=GREY, linewidth=1, label="h·d = D")
    for names, colour, marker, label in (
        ([n for n in layouts if n not in off], BLUE, "o", "on the line"),
        (off, VERMILION, "s", "off the line"),
    ):
        spots = [layouts[n]["d_model"] for n in names], [product[n] for n in names]
        ax.scatter(*spots, s=28, color=colour, marker=marker, label=f"{label} ({len(names)})")
    places = {  # so that no two names meet
        "Ministral-3-3B": (-4, 20, "left"),
        "gpt-oss-120b": (-6, -12, "right"),
        "Gemma-7B": (-4, 8, "left"),
        "Qwen3-30B-A3B": (-7, 4, "right"),
        "DeepSeek-V2-Lite": (-7, -3, "right"),
        "Gemma-2-27B": (7, -8, "left"),
        "DeepSeek-V2": (-7, -3, "right"),
    }
    for name in off:
        right, up, side = places.get(name, (7, -3, "left"))
        spot = (layouts[name]["d_model"], product[name])
        style = {"textcoords": "offset points", "ha": side, "size": 8}
        ax.annotate(name, spot, xytext=(right, up), **style)
    ticks = [512, 1024, 2048, 4096, 8192, 16384]
    ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    ax.set_xticks(ticks, [str(t) for t in ticks])
    ax.set_yticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.set(xlabel="D, width of a token (numbers)", ylabel="h·d, width of all heads (numbers)")
    ax.grid(True)
    ax.legend(loc="upper left")
    words = "; ".join(f"{n}: {product[n]} against D = {layouts[n]['d_model']}" for n in off)
    return figure, (
        f"Width of all query heads against the width of a token, {len(cards)} models. "
        f"{len(cards) - len(off)} lie on the line h·d = D. The others: {words}."
    )


def plot_caches(cards: list[ModelCard], read: Read):
    """Draw the cache of a token against the parameters in the model's name, by kind of attention.

    Returns:
        (figure, alt text).
    """
    shown = [one for one in cards if one.generates and one.billions]
    layouts = {one.name: read(one.config) for one in shown}
    figure, ax = new_figure(8.4, 5.4)
    words = []
    for kind, (colour, marker) in KINDS.items():
        group = [one for one in shown if layouts[one.name]["kind"] == kind]
        kib = [cache_kib(layouts[one.name]) for one in group]
        ax.scatter(
            [one.billions for one in group], kib, s=34, color=colour, marker=marker, label=kind
        )
        words.append(
            f"{kind}: " + ", ".join(f"{o.name} {k:.4g}" for o, k in zip(group, kib, strict=True))
        )
    places = {  # so that no two names meet
        "Qwen3-0.6B": (-6, 5, "right"),
        "Gemma-3-1B": (-6, -9, "right"),
        "Llama-2-7B": (6, 5, "left"),
        "Llama-2-70B": (6, 4, "left"),
        "GPT-J-6B": (-6, 3, "right"),
        "GPT-2 XL": (-7, -3, "right"),
        "DeepSeek-V2": (0, -13, "center"),
        "DeepSeek-V3": (0, 7, "center"),
        "Llama-3.1-405B": (-6, 6, "right"),
    }
    named = {*places, "T5-11B", "GPT-NeoX-20B", "Falcon-7B", "Gemma-2B", "Falcon-180B"}
    named |= {"Falcon-40B", "Gemma-7B", "SmolLM2-135M", "Qwen2.5-7B"}
    for one in shown:
        if one.name in named:
            right, up, side = places.get(one.name, (6, -9, "left"))
            spot = (one.billions, cache_kib(layouts[one.name]))
            style = {"textcoords": "offset points", "ha": side, "size": 8}
            ax.annotate(one.name, spot, xytext=(right, up), **style)
    ax.set(xscale="log", yscale="log", xlim=(0.08, 1500), ylim=(5, 3000))
    ticks = [0.1, 1, 10, 100, 1000]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ticks = [8, 32, 128, 512, 2048]
    ax.set_yticks(ticks, [str(t) for t in ticks])
    ax.minorticks_off()
    ax.set(
        xlabel="parameters, as the model's name says (billions)",
        ylabel="cache of one token (KiB at 2 bytes a number)",
    )
    ax.grid(True)
    ax.legend(loc="lower right")
    return figure, (
        f"Cache of one token against the size of {len(shown)} models; larger models do not "
        f"always keep more. KiB a token: {'; '.join(words)}."
    )


def plot_card(read: Read, name: str):
    """Draw one card: its query heads by the key and value head they read, and its two widths.

    Returns:
        (figure, alt text).
    """
    one = card(name)
    x = read(one.config)
    figure, (left, right) = new_figure(9.6, 2.2, ncols=2, width_ratios=(3, 1))
    # MLA keeps one compressed row for all heads: no head has keys of its own
    group = 1 if x["kind"] == "MLA" else x["num_heads"] // x["num_kv_heads"]
    for head in range(x["num_heads"]):
        colour = GREY if x["kind"] == "MLA" else PALETTE[head // group % 3]
        left.barh(0, 0.8, left=head - 0.4, color=colour)
    left.set(yticks=[], xlim=(-0.7, x["num_heads"] - 0.3), ylim=(-1, 1))
    left.set_xlabel("query head (neighbours of one colour share keys and values)")
    left.set_title(f"{x['kind']}: h = {x['num_heads']}, h_kv = {x['num_kv_heads']}")
    product = x["num_heads"] * x["head_dim"]
    bars = right.barh(["h·d", "D"], [product, x["d_model"]], color=[ORANGE, BLUE])
    right.bar_label(bars, padding=3, color=GREY, size=8)
    right.set(xlim=(0, 1.35 * max(product, x["d_model"])), xlabel="width (numbers)")
    experts = (
        f"{x['experts_per_token']} of {x['num_experts']} experts a token"
        if x["num_experts"]
        else "no experts"
    )
    kept = f"{cache_kib(x):.4g} KiB a token" if one.generates else "none, it is an encoder"
    return figure, (
        f"{name}: {x['num_layers']} layers, width D = {x['d_model']}, {x['kind']} with "
        f"{x['num_heads']} query heads of {x['head_dim']} (h·d = {product}) and "
        f"{x['num_kv_heads']} key and value heads; {x['attention_computations']} attention "
        f"patterns; cache: {kept}; {experts}. Source: {one.source}."
    )


def plot_readings(readings: dict[str, dict[str, float]]):
    """Draw wrong readings as bars: cache / right cache, a picture for each letter.

    Returns:
        (figure, alt text).
    """
    figure, axes = new_figure(9.6, 3.2, ncols=len(readings), sharey=True)
    words = []
    for ax, (letter, found) in zip(axes, readings.items(), strict=True):
        rows = range(len(found))
        values = list(found.values())
        ax.barh(rows, [v - 1 for v in values], left=1, color=BLUE)
        ax.axvline(1, color=GREY, linewidth=1)
        for row, value in zip(rows, values, strict=True):
            at = max(value, 1) * 1.15
            ax.text(at, row, f"{value:.3g}", va="center", size=8)
        ax.set(xscale="log", xlim=(0.3, 1500), title=letter, xlabel="wrong / right")
        ax.set_xticks([1, 10, 100], ["1", "10", "100"])
        ax.minorticks_off()
        ax.set_yticks(rows, list(found))
        ax.tick_params(axis="y", length=0)
        words.append(f"{letter}: " + ", ".join(f"{n} {v:.3g}" for n, v in found.items()))
    axes[0].invert_yaxis()
    return figure, "Cache of a token, wrong reading / right one. " + "; ".join(words) + "."


# ------------------------------------------------------------------------------------ the command


def main(arguments: list[str] | None = None) -> None:
    """Repeat the measurements."""
    name = "python -m attention_lab.model_cards"
    parser = argparse.ArgumentParser(prog=name, description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=["record"])
    parser.add_argument("--out", type=Path, default=RECORDED)
    record(parser.parse_args(arguments).out)


if __name__ == "__main__":
    sys.exit(main())
