"""What was tried for the fused path, beside what it does: each choice measured, kept or left out.

python benchmarks/choices.py            measure and print; some minutes
python benchmarks/choices.py --write    put the tables into docs/benchmarks.md

A ratio below 1 means that what was tried is the faster one. Both take turns in each row.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated

import attention as one_layer
import torch
import torch.nn.functional as F
import typer
from attention import FUSED, KINDS, LAYERS, Run, Size, measure
from tables import machine, table, write_section
from torch import Tensor
from tqdm import tqdm

from attention_lab import fused
from attention_lab.device import best_device

DTYPES = (torch.float32, torch.bfloat16)
PLACES = ((16, 128), (4, 512))  # B, T
Row = tuple[str, Run, Run]  # what it is, what was tried, what the fused path does


def sizes(layers: Iterable[str], device: str) -> list[Size]:
    """Layers, batches, dtypes and kinds to try a whole layer on."""
    return [
        replace(LAYERS[one], batch=B, num_tokens=T, dtype=dtype, kind=kind, device=device)
        for one in layers
        for dtype in DTYPES
        for kind in KINDS
        for B, T in PLACES
    ]


def name_of(size: Size) -> str:
    dtype = str(size.dtype).removeprefix("torch.")
    return f"{size.num_heads} heads, {dtype}, {size.kind}, {size.name}"


def laid_out(weights: list[Tensor], size: Size) -> list[Tensor]:
    """The weights as the fused path's lie in memory."""
    return [w.T.contiguous().T for w in weights] if size.out_in else weights


def packed(size: Size) -> Run:
    """The fused path with one product for queries, keys and values."""
    heads, kv, d = size.num_heads, size.num_kv_heads, size.head_dim
    _, before, new, weights = one_layer.inputs(size)
    cache = one_layer.cache_before(size, before, weights)
    mine = laid_out([torch.cat(weights[:3], 1), weights[3]], size)

    def layer(x: Tensor, w_qkv: Tensor, w_o: Tensor) -> Tensor:
        packed = (x.flatten(0, 1) @ w_qkv).view(*x.shape[:2], -1, d).transpose(1, 2)
        q, k, v = packed.split([heads, kv, kv], 1)
        if cache:
            cache.length = size.num_tokens - 1
            k, v = cache.append(k, v)
        out, _ = fused.attend(q, k, v, causal=True)
        return (out.transpose(1, 2).reshape(-1, heads * d) @ w_o).view(x.shape)

    return one_layer.as_run(layer, new, mine, size)


def compiled(size: Size) -> Run:
    """The fused path through torch.compile. (A decode step's cache counts in Python: left out.)"""
    x, _, _, weights = one_layer.inputs(size)
    how = {"num_kv_heads": size.num_kv_heads, "causal": True}

    def layer(x: Tensor, *weights: Tensor) -> Tensor:
        return fused.multi_head_attention(x, *weights, size.num_heads, **how)[0]

    mine = laid_out(weights, size)
    return one_layer.as_run(torch.compile(layer, dynamic=False), x, mine, size)


def packed_rows(layers: Iterable[str], device: str) -> Iterator[Row]:
    for size in sizes(layers, device):
        yield name_of(size), packed(size), one_layer.contenders(size, [FUSED])[FUSED]


def compiled_rows(layers: Iterable[str], device: str) -> Iterator[Row]:
    """One batch of each: the compiler takes longer than the measurement."""
    for size in sizes(layers, device):
        if size.kind != KINDS[2] and (size.batch, size.num_tokens) == PLACES[-1]:
            yield name_of(size), compiled(size), one_layer.contenders(size, [FUSED])[FUSED]


def draw(size: Size, T_q: int) -> tuple[Tensor, Tensor, Tensor]:
    """q (B, h, T_q, d), k and v (B, h_kv, T, d), as projections leave them in memory."""
    g = torch.Generator().manual_seed(0)

    def one(tokens: int, heads: int) -> Tensor:
        x = torch.randn(size.batch, tokens, heads * size.head_dim, generator=g)
        return x.to(size.device, size.dtype).unflatten(-1, (heads, -1)).transpose(1, 2)

    T, kv = size.num_tokens, size.num_kv_heads
    return one(T_q, size.num_heads), one(T, kv), one(T, kv)


def training_rows(layers: Iterable[str], device: str) -> Iterator[Row]:
    """Plain products against the kernel, forward and backward, in half precision."""
    for name in layers:
        for T in (64, 128, 192, 256, 384, 512):
            size = replace(LAYERS[name], batch=max(1, 1024 // T), num_tokens=T)
            size = replace(size, dtype=torch.bfloat16, device=device)
            inputs = [one.detach().requires_grad_() for one in draw(size, T)]

            def products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                return fused.attend(q, k, v, causal=True, need_weights=True)[0]

            def kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                grouped = k.shape[1] < q.shape[1]
                return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)

            runs = [
                lambda f=f, given=inputs: torch.autograd.grad(f(*given).sum(), given)[0]
                for f in (products, kernel)
            ]
            yield f"{size.num_heads} heads, {size.name}", *runs


def decoding_rows(_: Iterable[str], device: str) -> Iterator[Row]:
    """One query a head: PyTorch's groups against a group's queries as rows of one look-up."""
    for dtype in DTYPES:
        for B, T in (*PLACES, (1, 2048)):
            size = replace(LAYERS["llama"], batch=B, num_tokens=T, dtype=dtype, device=device)
            q, k, v = draw(size, 1)

            def groups(q: Tensor = q, k: Tensor = k, v: Tensor = v) -> Tensor:
                return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)

            def rows(q: Tensor = q, k: Tensor = k, v: Tensor = v) -> Tensor:
                return fused.attend(q, k, v)[0]

            yield f"{str(dtype).removeprefix('torch.')}, {size.name}", groups, rows


CHOICES = {
    "packed": ("one packed product for Q, K and V", packed_rows),
    "compile": ("torch.compile", compiled_rows),
    "products": ("plain products, bfloat16, forward + backward", training_rows),
    "groups": ("a decode step with enable_gqa", decoding_rows),
}


def as_table(rows: Iterable[Row], head: str, seconds: float) -> str:
    lines = []
    for name, tried, mine in tqdm(rows, desc=head, unit="row"):
        times = measure({"tried": tried, "fused": mine}, seconds)
        ratio = times["tried"] / times["fused"]
        lines.append([name, f"{times['tried']:.3g}", f"{times['fused']:.3g}", f"{ratio:.2f}"])
    return table([head, "tried, ms", "fused path, ms", "ratio"], lines)


def compiler() -> str | None:
    """The C++ compiler that torch.compile needs on a CPU, if there is one."""
    return os.environ.get("CXX") or next(filter(shutil.which, ("g++", "clang++", "cl")), None)


def main(
    choices: Annotated[str, typer.Option(help="comma-separated")] = ",".join(CHOICES),
    seconds: Annotated[float, typer.Option(help="for a row, roughly")] = 3.0,
    layers: Annotated[str, typer.Option(help="comma-separated: bert, llama")] = "bert,llama",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    write: Annotated[bool, typer.Option("--write", help="into docs/benchmarks.md")] = False,
) -> None:
    """Measure what was tried for the fused path."""
    names, device = layers.split(","), best_device(device)
    parts = [f"`python {' '.join(['benchmarks/choices.py', *options()])}` on {machine(device)}."]
    print(parts[0])
    for choice in choices.split(","):
        head, rows = CHOICES[choice]
        if choice == "compile" and device == "cpu" and not compiler():
            parts.append("torch.compile needs a C++ compiler, and none was found: not measured.")
        else:
            parts.append(as_table(rows(names, device), head, seconds))
        print(f"\n{parts[-1]}", flush=True)
    if write:
        write_section(f"choices on {device}", "\n\n".join(parts))


def options() -> list[str]:
    return [one for one in sys.argv[1:] if one != "--write"]


if __name__ == "__main__":
    typer.run(main)
