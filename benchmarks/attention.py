"""How fast one attention layer is: the reference, the fused path, PyTorch's own, and the floor.

python benchmarks/attention.py            everything, within the minutes given (10)
python benchmarks/attention.py --quick    small sizes, in seconds
python benchmarks/attention.py --write    put the tables into docs/benchmarks.md

Each row is one size. Its contenders take turns, round by round, so that all of them see the same
state of the machine, and the median over the rounds counts. The floor is the layer's matrix
products alone: four torch.mm and two torch.bmm over all T × T pairs. (A causal kernel skips half of
the pairs, so it can lie below the floor.)
"""

import os
import re
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from tables import ROOT, machine, table, write_section
from torch import Tensor, nn
from torch.utils.benchmark import timer
from tqdm import tqdm

sys.path.insert(0, str(ROOT))
from attention_lab import fused
from attention_lab.device import best_device
from solutions.attention import causal_mask, scaled_dot_product_attention
from solutions.heads import merge_heads, split_heads

Run = Callable[[], Tensor]

READABLE, FUSED, PLAIN = "reference", "fused", "SDPA + projections"
MODULE, FAST_PATH, FLOOR = "nn.MultiheadAttention", "… its fast path", "floor"
CONTENDERS = (READABLE, FUSED, PLAIN, MODULE, FAST_PATH)
KINDS = ("forward", "forward + backward", "one decode step")
ROUNDS = (3, 25)  # at least, at most
SHORTEST = 0.03  # seconds of one measurement: short calls are repeated


@dataclass(frozen=True)
class Size:
    """One row: a layer, a batch and what is done with it, all of it causal."""

    d_model: int
    num_heads: int
    num_kv_heads: int
    batch: int
    num_tokens: int
    dtype: torch.dtype = torch.float32
    kind: str = KINDS[0]
    device: str = "cpu"
    head_dim: int = 64
    out_in: bool = False  # how the fused path's weights lie in memory; w stays (in, out)

    @property
    def name(self) -> str:
        return f"B = {self.batch}, T = {self.num_tokens}"

    @property
    def layer(self) -> str:
        groups = f" ({self.num_kv_heads} for keys)" if self.num_kv_heads < self.num_heads else ""
        return f"{self.num_heads} heads{groups}, D = {self.d_model}"


LAYERS = {
    "bert": Size(768, 12, 12, 1, 1),
    "llama": Size(4096, 32, 8, 1, 1, head_dim=128, out_in=True),
}


# -------------------------------------------------------------------------------- what takes turns


def contenders(size: Size, names: Sequence[str] = (*CONTENDERS, FLOOR)) -> dict[str, Run]:
    """What computes this row; all but the floor give the same."""
    g = torch.Generator().manual_seed(0)

    def normal(*shape: int, std: float = 1.0) -> Tensor:
        return (torch.randn(*shape, generator=g) * std).to(size.device, size.dtype)

    heads, kv, d, D = size.num_heads, size.num_kv_heads, size.head_dim, size.d_model
    shapes = [(D, heads * d), (D, kv * d), (D, kv * d), (heads * d, D)]
    weights = [normal(*shape, std=shape[0] ** -0.5) for shape in shapes]
    turned = [w.T.contiguous() for w in weights]  # (out, in), as nn.Linear keeps them
    mine = [w.T for w in turned] if size.out_in else weights
    x = normal(size.batch, size.num_tokens, D)
    before, new = x[:, :0], x
    if size.kind == KINDS[2]:  # the new token's memory is its own, as that of a layer's output is
        before, new = x[:, :-1], x[:, -1:].clone(memory_format=torch.contiguous_format)
    make = {
        READABLE: lambda: _run(_readable(size, before, weights), new, weights, size),
        FUSED: lambda: _run(_fused(size, before, weights), new, mine, size),
        PLAIN: lambda: _run(_plain(size, before, weights), new, turned, size),
        MODULE: lambda: _module(size, x, new, turned, training=True),
        FAST_PATH: lambda: _module(size, x, new, turned, training=False),
        FLOOR: lambda: _floor(size, new, x, weights),
    }
    return {name: make[name]() for name in names if applies(size, name) and fits(size, name)}


def applies(size: Size, name: str) -> bool:
    """nn.MultiheadAttention has no groups, and its fast path no backward pass."""
    if name not in (MODULE, FAST_PATH):
        return True
    usual = size.num_kv_heads == size.num_heads and size.num_heads * size.head_dim == size.d_model
    return usual and (name == MODULE or size.kind == KINDS[0])


def _cache(size: Size, before: Tensor, weights: list[Tensor]) -> fused.KVCache | None:
    """The keys and values of the tokens before the new one."""
    if size.kind != KINDS[2]:
        return None
    kv = size.num_kv_heads
    shape = (size.batch, kv, size.num_tokens, size.head_dim)
    cache = fused.KVCache(*shape, size.dtype, size.device)
    cache.append(*(split_heads(before @ w, kv) for w in weights[1:3]))
    return cache


def _with_cached(cache: fused.KVCache | None, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    if cache is None:
        return k, v
    cache.length = cache.stored.shape[3] - 1  # the same step every time
    return cache.append(k, v)


def _readable(size: Size, before: Tensor, weights: list[Tensor]) -> Callable:
    """The reference's own functions, one after the other."""
    cache, heads, kv = _cache(size, before, weights), size.num_heads, size.num_kv_heads
    mask = None if cache else causal_mask(size.num_tokens).to(size.device)

    def layer(x, w_q, w_k, w_v, w_o):
        q, k, v = split_heads(x @ w_q, heads), split_heads(x @ w_k, kv), split_heads(x @ w_v, kv)
        k, v = _with_cached(cache, k, v)
        if kv < heads:
            k, v = (one.repeat_interleave(heads // kv, 1) for one in (k, v))
        return merge_heads(scaled_dot_product_attention(q, k, v, mask)[0]) @ w_o

    return layer


def _fused(size: Size, before: Tensor, weights: list[Tensor]) -> Callable:
    cache = _cache(size, before, weights)
    how = {"num_kv_heads": size.num_kv_heads, "causal": True, "cache": cache}

    def layer(x, *weights):
        if cache:
            cache.length = size.num_tokens - 1
        return fused.multi_head_attention(x, *weights, size.num_heads, **how)[0]

    return layer


def _plain(size: Size, before: Tensor, weights: list[Tensor]) -> Callable:
    """Four linear layers and PyTorch's function, as most people write it today."""
    cache, heads, kv = _cache(size, before, weights), size.num_heads, size.num_kv_heads
    how = {"is_causal": cache is None, "enable_gqa": kv < heads}

    def layer(x, w_q, w_k, w_v, w_o):
        q = F.linear(x, w_q).unflatten(-1, (heads, -1)).transpose(1, 2)
        k, v = (F.linear(x, w).unflatten(-1, (kv, -1)).transpose(1, 2) for w in (w_k, w_v))
        out = F.scaled_dot_product_attention(q, *_with_cached(cache, k, v), **how)
        return F.linear(out.transpose(1, 2).flatten(2), w_o)

    return layer


def _module(size: Size, x: Tensor, new: Tensor, turned: list[Tensor], training: bool) -> Run:
    """nn.MultiheadAttention; its fast path is taken in eval mode. It keeps no keys: to decode, it
    projects those of all tokens again."""
    module = nn.MultiheadAttention(size.d_model, size.num_heads, bias=False, batch_first=True)
    module = module.to(size.device, size.dtype).train(training)
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat(turned[:3]))
        module.out_proj.weight.copy_(turned[3])
    how = {"need_weights": False}
    if size.kind != KINDS[2]:
        how |= {"attn_mask": ~causal_mask(size.num_tokens).to(size.device), "is_causal": True}

    def layer(new, *_):
        memory = x if size.kind == KINDS[2] else new
        return module(new, memory, memory, **how)[0]

    return _run(layer, new, list(module.parameters()), size)


def _run(layer: Callable, x: Tensor, weights: list[Tensor], size: Size) -> Run:
    if size.kind != KINDS[1]:

        def forward() -> Tensor:
            with torch.no_grad():
                return layer(x, *weights)

        return forward
    # A module uses its own parameters, whatever it is given.
    inputs = [w if w.requires_grad else w.clone().requires_grad_() for w in (x, *weights)]
    upstream = torch.ones_like(x)

    def both() -> Tensor:
        out = layer(*inputs)
        torch.autograd.grad(out, inputs, upstream)
        return out.detach()

    return both


def _floor(size: Size, new: Tensor, x: Tensor, weights: list[Tensor]) -> Run:
    """The matrix products alone; backward, each has two more of its size."""
    kv, group = size.num_kv_heads, size.num_heads // size.num_kv_heads
    w_q, w_k, w_v, w_o = weights
    flat = new.flatten(0, 1)
    # The queries of a group side by side: (B·h_kv, h / h_kv · T_q, d).
    q = split_heads(new @ w_q, size.num_heads).unflatten(1, (kv, group)).flatten(2, 3).flatten(0, 1)
    k, v = (split_heads(x @ w, kv).flatten(0, 1).contiguous() for w in (w_k, w_v))
    products = [(flat, w_q), (flat, w_k), (flat, w_v), (flat @ w_q, w_o), (q, k.mT), (q @ k.mT, v)]
    if size.kind == KINDS[1]:
        for a, b in list(products):
            grad = torch.zeros_like(a @ b)
            products += [(grad, b.mT), (a.mT, grad)]

    def run() -> Tensor:
        with torch.no_grad():
            for a, b in products:
                out = torch.mm(a, b) if a.ndim == 2 else torch.bmm(a, b)
        return out

    return run


# ------------------------------------------------------------------------------------- taking turns


def measure(runs: dict[str, Run], seconds: float) -> dict[str, float]:
    """Median milliseconds of each, taking turns; without those that would take too long.

    Args:
        seconds: to spend on all of them together, roughly.
    """
    once: dict[str, float] = {}
    for name in sorted(runs, key=lambda name: name != FUSED):
        if name != FUSED and FUSED in runs and FUSED not in once:
            return {}  # without it the row says nothing
        if _seconds(runs[name], 1) * ROUNDS[0] <= seconds:  # warms up, too
            once[name] = _seconds(runs[name], 1)
    repeats = {name: max(1, int(SHORTEST / one)) for name, one in once.items()}
    a_round = sum(one * repeats[name] for name, one in once.items())
    rounds = min(max(ROUNDS[0], int(seconds / max(a_round, 1e-9))), ROUNDS[1])
    times: dict[str, list[float]] = {name: [] for name in once}
    for _ in range(rounds):
        for name, all_times in times.items():
            all_times.append(_seconds(runs[name], repeats[name]))
    return {name: 1e3 * statistics.median(all_times) for name, all_times in times.items()}


def _seconds(run: Run, repeats: int) -> float:
    start = timer()  # waits for the GPU, if there is one
    for _ in range(repeats):
        run()
    return (timer() - start) / repeats


def fits(size: Size, name: str) -> bool:
    """Whether a contender's tables of T × T weights leave half of the memory free."""
    if name in (FUSED, PLAIN, FAST_PATH) or size.kind == KINDS[2]:
        return True
    copies = {READABLE: 5, MODULE: 2, FLOOR: 2}[name] * (2 if size.kind == KINDS[1] else 1)
    entries = size.batch * size.num_heads * size.num_tokens**2
    return copies * entries * size.dtype.itemsize < memory(size.device) / 2


def memory(device: str) -> int:
    """Bytes of memory in all."""
    if device == "cuda":
        return torch.cuda.get_device_properties(0).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def rows(
    layers: list[str], lengths: list[int], tokens: int, dtypes: list[str], device: str
) -> list[Size]:
    """All sizes: as many sequences in a batch as make `tokens` tokens, but one at least."""
    return [
        replace(
            LAYERS[layer],
            batch=max(1, tokens // length),
            num_tokens=length,
            dtype=getattr(torch, dtype),
            kind=kind,
            device=device,
        )
        for length in lengths  # the cheap rows first: what they leave over goes to the others
        for layer in layers
        for dtype in dtypes
        for kind in KINDS
    ]


def time_tables(measured: dict[Size, dict[str, float]]) -> str:
    """A table for each layer, dtype and kind: milliseconds, and how often the floor that is."""
    groups: dict[tuple, list] = {}
    for size, times in measured.items():
        dtype = str(size.dtype).removeprefix("torch.")
        head = f"{size.layer}, {dtype}, {size.kind}"
        groups.setdefault(head, []).append((size, times))
    parts = []
    for head, sizes in groups.items():
        names = [n for n in CONTENDERS if any(applies(size, n) for size, _ in sizes)]
        lines = [
            [size.name, *(_cell(times, n) for n in names), _milliseconds(times, FLOOR), _lag(times)]
            for size, times in sizes
        ]
        parts.append(f"**{head}**\n\n" + table(["", *names, FLOOR, "fused / fastest"], lines))
    return "\n\n".join(parts)


def _milliseconds(times: dict[str, float], name: str) -> str:
    return f"{times[name]:.3g}" if name in times else "–"


def _cell(times: dict[str, float], name: str) -> str:
    ratio = f" ({times[name] / times[FLOOR]:.2f})" if name in times and FLOOR in times else ""
    return _milliseconds(times, name) + ratio


def lag(times: dict[str, float]) -> float | None:
    """The fused path's time over that of the fastest correct one, itself included."""
    if FUSED not in times:
        return None
    return times[FUSED] / min(t for name, t in times.items() if name != FLOOR)


def _lag(times: dict[str, float]) -> str:
    found = lag(times)
    return "–" if found is None else f"{found:.2f}"


def verdict(measured: dict[Size, dict[str, float]]) -> str:
    """How the rows stand to the goals."""
    lags = {size: found for size, times in measured.items() if (found := lag(times))}
    if not lags:
        return "No row was measured."
    within = sum(one <= 1.05 for one in lags.values())
    worst = max(lags, key=lags.get)
    beaten = [
        size
        for size, times in measured.items()
        if any(times.get(name, 1e99) < times.get(FUSED, 0) for name in (MODULE, FAST_PATH))
    ]
    dtype = str(worst.dtype).removeprefix("torch.")
    where = f"{worst.layer}, {dtype}, {worst.kind}, {worst.name}"
    return (
        f"Within 1.05 of the fastest in {within} of {len(lags)} rows; worst {lags[worst]:.2f} "
        f"({where}). Slower than nn.MultiheadAttention in {len(beaten)} rows."
    )


# ------------------------------------------------------------------------------------- peak memory

PEAK_LENGTHS = (1024, 2048, 4096, 8192)


def memory_growth(name: str, num_tokens: int, kind: str) -> float:
    """MiB by which this process's peak grows in one call; meant for a process of its own."""
    small = replace(LAYERS["bert"], batch=1, num_tokens=64, kind=kind)
    contenders(small, [name])[name]()  # libraries and thread pools are there now
    run = contenders(replace(small, num_tokens=num_tokens), [name])[name]
    before = _peak()
    run()
    return _peak() - before


def _peak() -> float:
    """The most memory that this process has used, in MiB."""
    if sys.platform == "linux":  # getrusage would count what the process was before its exec, too
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def memory_table(lengths: list[int]) -> str:
    """Growth of the peak for the reference and the fused path, each in a fresh process."""
    columns = [(name, kind) for kind in KINDS[:2] for name in (READABLE, FUSED)]
    found: dict[tuple, str] = {}
    jobs = [(*column, length) for length in lengths for column in columns]
    for name, kind, length in tqdm(jobs, desc="memory", unit="run"):
        size = replace(LAYERS["bert"], batch=1, num_tokens=length, kind=kind)
        found[name, kind, length] = _in_a_process(name, length, kind) if fits(size, name) else "–"
    lines = [[f"T = {n}", *(found[(*column, n)] for column in columns)] for n in lengths]
    return table(["MiB", *(f"{name}, {kind}" for name, kind in columns)], lines)


def _in_a_process(name: str, length: int, kind: str) -> str:
    code = f"from attention import memory_growth as m; print(m({name!r}, {length}, {kind!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        check=True,
        capture_output=True,
        text=True,
    )
    return f"{float(done.stdout):.0f}"


# ------------------------------------------------------------------------------------ command line


def main(
    layers: Annotated[str, typer.Option(help="comma-separated: bert, llama")] = "bert,llama",
    lengths: Annotated[str, typer.Option(help="T, comma-separated")] = "128,512,2048,8192",
    tokens: Annotated[int, typer.Option(help="B · T, where T allows it")] = 2048,
    dtypes: Annotated[str, typer.Option(help="comma-separated")] = "float32,bfloat16",
    minutes: Annotated[float, typer.Option(help="to spend in all, roughly")] = 9.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    quick: Annotated[bool, typer.Option("--quick", help="small sizes, in seconds")] = False,
    write: Annotated[bool, typer.Option("--write", help="into docs/benchmarks.md")] = False,
) -> None:
    """Time one attention layer in several ways, and look at its peak memory."""
    if quick:
        layers, lengths, tokens, minutes = "bert", "16,64", 64, 0.2
    sizes = rows(
        layers.split(","),
        [int(n) for n in lengths.split(",")],
        tokens,
        dtypes.split(","),
        best_device(device),
    )
    measured: dict[Size, dict[str, float]] = {}
    end, bar = perf_counter() + 60 * minutes, tqdm(sizes, unit="row")
    for size in bar:
        bar.set_description(f"{size.layer}, {size.name}")
        left = max(0.0, end - perf_counter()) / (len(sizes) - len(measured))
        measured[size] = measure(contenders(size), left)
    device = sizes[0].device
    parts = [
        f"`python benchmarks/attention.py{_options()}` on {machine(device)}.",
        "Milliseconds, medians; in brackets how often the floor that is; – does not fit or does "
        "not exist. The weights of the layer with 32 heads lie in memory as (out, in) for the "
        "fused path, as models are stored.",
        verdict(measured),
        time_tables(measured),
    ]
    if device == "cpu":
        peaks = [64, 128] if quick else list(PEAK_LENGTHS)
        parts.append("**Growth of the peak memory, 12 heads, D = 768, B = 1, float32**")
        parts.append(memory_table(peaks))
    text = "\n\n".join(parts)
    print(text)
    if write:
        write_section(f"attention on {device}", text)


def _options() -> str:
    options = [one for one in sys.argv[1:] if one != "--write"]
    return "".join(f" {one}" for one in options)


if __name__ == "__main__":
    typer.run(main)
