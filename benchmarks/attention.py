"""How fast one attention layer is: the reference, the fused path, PyTorch's own, and the floor.

python benchmarks/attention.py            everything, within the minutes given, roughly
python benchmarks/attention.py --quick    small sizes, in seconds
python benchmarks/attention.py --write    put the tables into docs/benchmarks.md

Each row is one size. Its contenders take turns, round by round, so that all of them see the same
state of the machine, and the median over the rounds counts. What takes over ten seconds is run
once. The floor is the layer's matrix products alone: four torch.mm and two torch.bmm over all T × T
pairs. (A causal kernel skips half of the pairs, so it can lie below the floor.)

On a CUDA device PyTorch's kernels take part one by one, and the goals for a GPU are computed.
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
from torch.nn.attention import SDPBackend, sdpa_kernel
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
KERNELS = {  # "SDPA + projections" with one of them in place of PyTorch's choice; on CUDA only
    "… cuDNN": SDPBackend.CUDNN_ATTENTION,
    "… flash": SDPBackend.FLASH_ATTENTION,
    "… memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
}
CONTENDERS = (READABLE, FUSED, PLAIN, *KERNELS, MODULE, FAST_PATH)
KINDS = ("forward", "forward + backward", "one decode step")
ROUNDS = (3, 25)  # at least, at most
SLOW = 10.0  # seconds: what takes longer is run once
GOAL, SHARE = 1.05, 0.6  # of the fastest one's time; of a GPU's peak in bfloat16
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


def inputs(size: Size) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """The whole sequence (B, T, D), the tokens before the new ones, those; w_q, w_k, w_v, w_o."""
    g = torch.Generator().manual_seed(0)

    def normal(*shape: int, std: float = 1.0) -> Tensor:
        return (torch.randn(*shape, generator=g) * std).to(size.device, size.dtype)

    heads, kv, d, D = size.num_heads, size.num_kv_heads, size.head_dim, size.d_model
    shapes = [(D, heads * d), (D, kv * d), (D, kv * d), (heads * d, D)]
    weights = [normal(*shape, std=shape[0] ** -0.5) for shape in shapes]
    x = normal(size.batch, size.num_tokens, D)
    if size.kind != KINDS[2]:
        return x, x[:, :0], x, weights
    # The new token's memory is its own, as that of a layer's output is.
    return x, x[:, :-1], x[:, -1:].clone(memory_format=torch.contiguous_format), weights


def contenders(size: Size, names: Sequence[str] = (*CONTENDERS, FLOOR)) -> dict[str, Run]:
    """What computes this row; all but the floor give the same."""
    x, before, new, weights = inputs(size)
    turned = [w.T.contiguous() for w in weights]  # (out, in), as nn.Linear keeps them
    mine = [w.T for w in turned] if size.out_in else weights
    make = {
        READABLE: lambda: as_run(_readable(size, before, weights), new, weights, size),
        FUSED: lambda: as_run(_fused(size, before, weights), new, mine, size),
        PLAIN: lambda: as_run(_plain(size, before, weights), new, turned, size),
        **{
            name: lambda n=name: as_run(_kernel(n, size, before, weights), new, turned, size)
            for name in KERNELS
        },
        MODULE: lambda: _module(size, x, new, turned, training=True),
        FAST_PATH: lambda: _module(size, x, new, turned, training=False),
        FLOOR: lambda: _floor(size, new, x, weights),
    }
    made = {name: make[name]() for name in names if applies(size, name) and fits(size, name)}
    return {name: run for name, run in made.items() if name not in KERNELS or _works(run)}


def _works(run: Run) -> bool:
    """Whether a kernel takes this dtype, these groups and this card."""
    try:
        run()
    except RuntimeError:
        return False
    return True


def applies(size: Size, name: str) -> bool:
    """nn.MultiheadAttention has no groups, and its fast path no backward pass."""
    if name in KERNELS:
        return size.device == "cuda"
    if name not in (MODULE, FAST_PATH):
        return True
    usual = size.num_kv_heads == size.num_heads and size.num_heads * size.head_dim == size.d_model
    return usual and (name == MODULE or size.kind == KINDS[0])


def cache_before(size: Size, before: Tensor, weights: list[Tensor]) -> fused.KVCache | None:
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
    cache, heads, kv = cache_before(size, before, weights), size.num_heads, size.num_kv_heads
    mask = None if cache else causal_mask(size.num_tokens).to(size.device)

    def layer(x, w_q, w_k, w_v, w_o):
        q, k, v = split_heads(x @ w_q, heads), split_heads(x @ w_k, kv), split_heads(x @ w_v, kv)
        k, v = _with_cached(cache, k, v)
        if kv < heads:
            k, v = (one.repeat_interleave(heads // kv, 1) for one in (k, v))
        return merge_heads(scaled_dot_product_attention(q, k, v, mask)[0]) @ w_o

    return layer


def _fused(size: Size, before: Tensor, weights: list[Tensor]) -> Callable:
    cache = cache_before(size, before, weights)
    how = {"num_kv_heads": size.num_kv_heads, "causal": True, "cache": cache}

    def layer(x, *weights):
        if cache:
            cache.length = size.num_tokens - 1
        return fused.multi_head_attention(x, *weights, size.num_heads, **how)[0]

    return layer


def _plain(size: Size, before: Tensor, weights: list[Tensor]) -> Callable:
    """Four linear layers and PyTorch's function, as most people write it today."""
    cache, heads, kv = cache_before(size, before, weights), size.num_heads, size.num_kv_heads
    how = {"is_causal": cache is None, "enable_gqa": kv < heads}

    def layer(x, w_q, w_k, w_v, w_o):
        q = F.linear(x, w_q).unflatten(-1, (heads, -1)).transpose(1, 2)
        k, v = (F.linear(x, w).unflatten(-1, (kv, -1)).transpose(1, 2) for w in (w_k, w_v))
        out = F.scaled_dot_product_attention(q, *_with_cached(cache, k, v), **how)
        return F.linear(out.transpose(1, 2).flatten(2), w_o)

    return layer


def _kernel(name: str, size: Size, before: Tensor, weights: list[Tensor]) -> Callable:
    plain = _plain(size, before, weights)

    def layer(*given):
        with sdpa_kernel(KERNELS[name]):
            return plain(*given)

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

    return as_run(layer, new, list(module.parameters()), size)


def as_run(layer: Callable, x: Tensor, weights: list[Tensor], size: Size) -> Run:
    """One call of a layer with these inputs; with its backward pass, if the row has one."""
    if size.kind != KINDS[1]:

        def forward() -> Tensor:
            with torch.no_grad():
                return layer(x, *weights)

        return forward
    # A module uses its own parameters, whatever it is given.
    given = [w if w.requires_grad else w.clone().requires_grad_() for w in (x, *weights)]
    upstream = torch.ones_like(x)

    def both() -> Tensor:
        out = layer(*given)
        torch.autograd.grad(out, given, upstream)
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
    """Median milliseconds of each, taking turns.

    What takes longer than `SLOW` is run once. If a whole round does, it is run once after a first
    call of each that is not counted.

    Args:
        seconds: to spend on all of them together, where the smallest number of rounds allows it.
    """
    first = {name: _seconds(run, 1) for name, run in runs.items()}  # warms up, too
    once = {name: _seconds(runs[name], 1) for name, one in first.items() if one <= SLOW}
    times = {name: [once.get(name, one)] for name, one in first.items()}
    repeats = {name: max(1, int(SHORTEST / one)) for name, one in once.items()}
    a_round = sum(one * repeats[name] for name, one in once.items())
    least = 1 if a_round > SLOW else ROUNDS[0]
    rounds = min(max(least, int(seconds / max(a_round, 1e-9))), ROUNDS[1])
    for _ in range(rounds - 1):
        for name, count in repeats.items():
            times[name].append(_seconds(runs[name], count))
    return {name: 1e3 * statistics.median(all_times) for name, all_times in times.items()}


def _seconds(run: Run, repeats: int) -> float:
    start = _now()
    for _ in range(repeats):
        run()
    return (_now() - start) / repeats


def _now() -> float:
    """Seconds, once the GPU is done with what it was given."""
    if torch.backends.mps.is_available():  # the timer waits for CUDA only
        torch.mps.synchronize()
    return timer()


def fits(size: Size, name: str) -> bool:
    """Whether a contender's tables of T × T weights leave half of the memory free."""
    if name in (FUSED, PLAIN, FAST_PATH, *KERNELS) or size.kind == KINDS[2]:
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


def lag(times: dict[str, float], names: Sequence[str] = CONTENDERS) -> float | None:
    """The fused path's time over that of the fastest correct one, itself included.

    Args:
        names: those to compare it with.
    """
    if FUSED not in times:
        return None
    return times[FUSED] / min(t for name, t in times.items() if name in (FUSED, *names))


def _lag(times: dict[str, float]) -> str:
    found = lag(times)
    return "–" if found is None else f"{found:.2f}"


def verdict(measured: dict[Size, dict[str, float]]) -> str:
    """How the rows stand to the goals."""
    lags = {size: found for size, times in measured.items() if (found := lag(times))}
    if not lags:
        return "No row was measured."
    within = sum(one <= GOAL for one in lags.values())
    worst = max(lags, key=lags.get)
    beaten = [
        size
        for size, times in measured.items()
        if any(times.get(name, 1e99) < times.get(FUSED, 0) for name in (MODULE, FAST_PATH))
    ]
    dtype = str(worst.dtype).removeprefix("torch.")
    where = f"{worst.layer}, {dtype}, {worst.kind}, {worst.name}"
    return (
        f"Within {GOAL} of the fastest in {within} of {len(lags)} rows; worst {lags[worst]:.2f} "
        f"({where}). Slower than nn.MultiheadAttention in {len(beaten)} rows."
    )


# --------------------------------------------------------------------------------- goals for a GPU


def flops(size: Size) -> int:
    """Multiplications and additions of one forward pass; of the T × T pairs, those that causality
    leaves."""
    h, kv, d = size.num_heads, size.num_kv_heads, size.head_dim
    tokens, T = size.batch * size.num_tokens, size.num_tokens
    projections = 2 * tokens * size.d_model * (2 * h + 2 * kv) * d
    return projections + 4 * size.batch * h * d * T * (T + 1) // 2


def measured_peak(device: str, width: int = 8192) -> float:
    """TFLOPS of one large matrix product in bfloat16: what the card does at best."""
    a, b = (torch.randn(width, width, device=device, dtype=torch.bfloat16) for _ in range(2))
    milliseconds = measure({"mm": lambda: torch.mm(a, b)}, 1.0)["mm"]
    return 2 * width**3 / milliseconds / 1e9


def gpu_goals(measured: dict[Size, dict[str, float]], peak: float, given: bool) -> str:
    """How the rows stand to the goals for a GPU.

    Args:
        peak: of the card in bfloat16, in TFLOPS.
        given: it is from a data sheet, not from `measured_peak`.
    """
    lags = [found for t in measured.values() if (found := lag(t, (PLAIN, *KERNELS)))]
    within = sum(one <= GOAL for one in lags)
    lines = [f"Within {GOAL} of kernel and projections in {within} of {len(lags)} rows."]
    for size, times in measured.items():
        half, forward = size.dtype == torch.bfloat16, size.kind == KINDS[0]
        if half and forward and size.num_tokens == 4096 and FUSED in times:
            rate = flops(size) / times[FUSED] / 1e9
            lines.append(
                f"{size.layer}, {size.name}, bfloat16, forward: {rate:.0f} TFLOPS, "
                f"{rate / peak:.0%} of {peak:.0f} (goal {SHARE:.0%})."
            )
    source = "from the card's data sheet" if given else "measured: one product of 8192 × 8192"
    return "\n".join(f"- {line}" for line in [*lines, f"The peak is {source}."])


# ------------------------------------------------------------------------------------- peak memory

PEAK_LENGTHS = (1024, 2048, 4096, 8192)


def memory_growth(name: str, num_tokens: int, kind: str, device: str) -> float:
    """MiB by which the peak grows in one call; on a CPU, meant for a process of its own."""
    small = replace(LAYERS["bert"], batch=1, num_tokens=64, kind=kind, device=device)
    contenders(small, [name])[name]()  # libraries and thread pools are there now
    run = contenders(replace(small, num_tokens=num_tokens), [name])[name]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
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


def memory_table(lengths: list[int], device: str = "cpu") -> str:
    """Growth of the peak for the reference and the fused path; on a CPU, in fresh processes."""
    columns = [(name, kind) for kind in KINDS[:2] for name in (READABLE, FUSED)]
    found: dict[tuple, float] = {}
    jobs = [(*column, length) for length in lengths for column in columns]
    grow = memory_growth if device == "cuda" else _in_a_process
    for name, kind, length in tqdm(jobs, desc="memory", unit="run"):
        size = replace(LAYERS["bert"], batch=1, num_tokens=length, kind=kind, device=device)
        if fits(size, name):
            found[name, kind, length] = grow(name, length, kind, device)
    lines = [
        [f"T = {n}", *(f"{found[(*c, n)]:.0f}" if (*c, n) in found else "–" for c in columns)]
        for n in lengths
    ]
    times = [
        found[FUSED, kind, lengths[-1]] / found[FUSED, kind, lengths[-2]] for kind in KINDS[:2]
    ]
    text = (
        f"From T = {lengths[-2]} to {lengths[-1]} the fused path's growth becomes "
        f"{times[0]:.1f} times as large forward, {times[1]:.1f} times forward and backward."
    )
    head = ["MiB", *(f"{name}, {kind}" for name, kind in columns)]
    return f"{table(head, lines)}\n\n{text}"


def _in_a_process(name: str, length: int, kind: str, device: str = "cpu") -> float:
    arguments = f"{name!r}, {length}, {kind!r}, {device!r}"
    code = f"from attention import memory_growth as m; print(m({arguments}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


# ------------------------------------------------------------------------------------ command line


def main(
    layers: Annotated[str, typer.Option(help="comma-separated: bert, llama")] = "bert,llama",
    lengths: Annotated[
        str, typer.Option(help="T, comma-separated; 4096 by default on a GPU only")
    ] = "",
    tokens: Annotated[int, typer.Option(help="B · T, where T allows it; 2048, on a GPU 16384")] = 0,
    dtypes: Annotated[str, typer.Option(help="comma-separated")] = "float32,bfloat16",
    minutes: Annotated[float, typer.Option(help="to spend on the rows, roughly")] = 7.0,
    peak: Annotated[
        float, typer.Option(help="TFLOPS in bfloat16 by the card's data sheet; 0: measure")
    ] = 0.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    quick: Annotated[bool, typer.Option("--quick", help="small sizes, in seconds")] = False,
    write: Annotated[bool, typer.Option("--write", help="into docs/benchmarks.md")] = False,
) -> None:
    """Time one attention layer in several ways, and look at its peak memory."""
    device = best_device(device)
    usual = ("128,512,2048,8192", 2048) if device == "cpu" else ("128,512,2048,4096,8192", 16384)
    if quick:
        layers, usual, minutes = "bert", ("16,64", 64), 0.2
    lengths = [int(n) for n in (lengths or usual[0]).split(",")]
    sizes = rows(layers.split(","), lengths, tokens or usual[1], dtypes.split(","), device)
    measured: dict[Size, dict[str, float]] = {}
    end, bar = perf_counter() + 60 * minutes, tqdm(sizes, unit="row")
    for size in bar:
        bar.set_description(f"{size.layer}, {size.name}")
        left = max(0.0, end - perf_counter()) / (len(sizes) - len(measured))
        measured[size] = measure(contenders(size), left)
    parts = [
        f"`python benchmarks/attention.py{_options()}` on {machine(device)}.",
        "Milliseconds, medians; in brackets how often the floor that is; – does not fit or does "
        "not exist. The weights of the layer with 32 heads lie in memory as (out, in) for the "
        "fused path, as models are stored.",
        verdict(measured),
    ]
    if device == "cuda":
        parts.append(gpu_goals(measured, peak or measured_peak(device), bool(peak)))
    parts.append(time_tables(measured))
    if device != "mps":  # it does not say what its peak was
        peaks = list(PEAK_LENGTHS[:2] if quick else PEAK_LENGTHS)
        parts.append("**Growth of the peak memory, 12 heads, D = 768, B = 1, float32**")
        parts.append(memory_table(peaks, device))
    text = "\n\n".join(parts)
    print(text)
    if write:
        write_section(f"attention on {device}", text)


def _options() -> str:
    options = [one for one in sys.argv[1:] if one != "--write"]
    return "".join(f" {one}" for one in options)


if __name__ == "__main__":
    typer.run(main)
