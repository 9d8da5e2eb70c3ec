"""Where the grader's tolerance comes from: how right answers scatter, how near wrong ones get.

python benchmarks/tolerance.py            measure and print (half a minute)
python benchmarks/tolerance.py --write    write docs/tolerance.md

Errors are those of the comparison: relative, in the Frobenius norm, against the reference in
float64, the larger one where a function returns two things.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Annotated, Any

import numpy as np
import torch
import typer
from tables import ROOT, machine, table, write_section
from torch import Tensor
from tqdm import tqdm

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from oracles import CHECKED, cast, einsum_heads, layer_weights, module, normal  # noqa: E402

from attention_lab import fused  # noqa: E402
from autograde.calls import invoke  # noqa: E402
from autograde.compare import TOLERANCE, as_array, kind  # noqa: E402
from autograde.exercises import EXERCISES  # noqa: E402
from autograde.exercises.entry import NOWHERE, Exercise, record  # noqa: E402
from solutions.attention import causal_mask  # noqa: E402
from solutions.heads import multi_head_attention  # noqa: E402

PAGE = ROOT / "docs" / "tolerance.md"
SEEDS = range(10)
SCALES = (0.1, 1.0, 3.0)
SIZES = ((5, 12, 3), (17, 60, 4), (64, 768, 12))  # T, D, h
LAYER = EXERCISES["heads.multi_head_attention"]
RIGHT_LAYERS = {
    "the reference": multi_head_attention,
    "the fused path": lambda *args: fused.multi_head_attention(*args, need_weights=True),
    "nn.MultiheadAttention": module,
    "einsum": einsum_heads,
    **LAYER.equivalents,
}


def distance(truth: Any, found: Any) -> float:
    """The smallest tolerance that would let `found` pass for `truth`; inf if none does."""
    if isinstance(truth, tuple | list):
        if not isinstance(found, tuple | list) or len(found) != len(truth):
            return inf
        return max((distance(*pair) for pair in zip(truth, found, strict=True)), default=0.0)
    if isinstance(truth, dict):
        same = isinstance(found, dict) and found.keys() == truth.keys()
        return max((distance(truth[k], found[k]) for k in truth), default=0.0) if same else inf
    if isinstance(truth, float) and isinstance(found, int | float):
        truth, found = (torch.tensor(float(one), dtype=torch.float64) for one in (truth, found))
    if not isinstance(truth, Tensor):
        return 0.0 if truth == found else inf
    if not isinstance(found, Tensor) or found.shape != truth.shape or kind(found) != kind(truth):
        return inf
    return _relative(as_array(truth), as_array(found), exact=kind(truth) != "float")


def _relative(truth: np.ndarray, found: np.ndarray, exact: bool) -> float:
    if exact or not np.isfinite(found).all():
        return 0.0 if np.array_equal(truth, found) else inf
    error, size = np.linalg.norm(found - truth), np.linalg.norm(truth)
    return float(error / size if size else error**0.5)  # where all is 0, the limit is squared


# ------------------------------------------------------------------ the exercises, as they are gr


def graded(exercise: Exercise, seeds: Sequence[int]) -> tuple[float, float, str]:
    """Worst error of a right version, and the smallest by which a wrong one fails.

    A wrong version is as far off as in the case that gives it away most; what counts is the draw
    in which that is least. Versions that fail by an exception, a shape, a sign or a count are
    infinitely far off.

    Returns:
        worst right, smallest wrong, and the name of that wrong version.
    """
    right = [exercise.reference, *exercise.equivalents.values()]
    worst, nearest = 0.0, dict.fromkeys([m.name for m in exercise.misconceptions], inf)
    for seed in seeds:
        cases = [
            case
            for case in record(exercise, seed).cases
            if case.kind == "value" and case.tolerance == TOLERANCE
        ]

        def off(function: Callable, cases=cases) -> float:
            return max(_off(function, case) for case in cases)

        worst = max([worst, *map(off, right)])
        for m in exercise.misconceptions:
            # One that passes every case breaks a promise only: it raises nothing, say.
            nearest[m.name] = min(nearest[m.name], off(m.function) or inf)
    nearest = {name: far for name, far in nearest.items() if far > TOLERANCE}
    name = min(nearest, key=nearest.get, default="")
    return worst, nearest.get(name, inf), name


def _off(function: Callable, case) -> float:
    outcome = invoke(function, case.args, NOWHERE)
    return inf if outcome.error else distance(case.expected, outcome.value)


def oracle_error(name: str) -> float:
    """Worst error of the oracles that keep to float32, on the cases of the tests."""
    exercise, worst = EXERCISES[name], 0.0
    for args in CHECKED[name].cases():
        args = cast(args, torch.float32)
        truth = exercise.reference(**cast(args, torch.float64))
        if any(map(_is_float, _parts(truth))):
            oracles = [one for kind, one in CHECKED[name].oracles.items() if kind != "loop"]
            found = [oracle(**args) for oracle in oracles]  # the loops are in float64
            worst = max([worst, *(distance(truth, one) for one in found if not _holes(one))])
    return worst


def _holes(found: Any) -> bool:
    """Whether an oracle has no answer for some entries: see `oracles.module`."""
    return any(_is_float(one) and one.isnan().any() for one in _parts(found))


def _parts(value: Any) -> Sequence:
    return value if isinstance(value, tuple | list) else [value]


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


# --------------------------------------------------------------------- one layer, sizes and scales


def layer(size: tuple[int, int, int], scale: float, seed: int) -> tuple[float, float, str]:
    """The same for one layer with a causal mask, at any size and scale of its inputs."""
    num_tokens, width, heads = size
    weights = layer_weights(width, heads, width // heads, 10 * seed).values()
    args = cast((scale * normal(2, num_tokens, width, seed=seed), *weights), torch.float32)
    rest = (heads, causal_mask(num_tokens))
    truth = multi_head_attention(*cast(args, torch.float64), *rest)
    worst = max(distance(truth, right(*args, *rest)) for right in RIGHT_LAYERS.values())
    wrong = {m.name: _wrong(m.function, args, rest, truth) for m in LAYER.misconceptions}
    wrong = {name: far for name, far in wrong.items() if far > worst}  # the others break promises
    name = min(wrong, key=wrong.get)
    return worst, wrong[name], name


def _wrong(function: Callable, args: tuple, rest: tuple, truth: tuple) -> float:
    try:
        return distance(truth, function(*args, *rest))
    except (RuntimeError, ValueError):
        return inf


def layer_rows(seeds: Sequence[int]) -> Iterator[tuple[str, float, float, str]]:
    for size in SIZES:
        for scale in SCALES:
            found = [layer(size, scale, seed) for seed in seeds]
            worst, nearest = max(f[0] for f in found), min(found, key=lambda f: f[1])
            yield "T = {}, D = {}, h = {}".format(*size) + f", x · {scale:g}", worst, *nearest[1:]


def exercise_rows(seeds: Sequence[int]) -> Iterator[tuple[str, float, float, str]]:
    for name, exercise in EXERCISES.items():
        worst, nearest, wrong = graded(exercise, seeds)
        if name in CHECKED:
            worst = max(worst, oracle_error(name))
        if worst or nearest < inf:  # counts and shapes are compared exactly
            yield name, worst, nearest, wrong


def as_table(first: str, rows: Sequence[tuple[str, float, float, str]]) -> str:
    head = (first, "worst right", "nearest wrong", "which")
    lines = [
        (
            f"`{n}`" if "." in n and "=" not in n else n,
            _number(w),
            _number(f),
            f"`{m}`" if m else "–",
        )
        for n, w, f, m in rows
    ]
    return table(head, lines)


def _number(value: float) -> str:
    return "–" if value == inf else f"{value:.1e}"


def read(name: str) -> list[tuple[str, float, float]]:
    """The rows of a table on the page: name, worst right, nearest wrong."""
    text = PAGE.read_text(encoding="utf-8")
    part = text.split(f"<!-- {name}: begin -->")[1].split(f"<!-- {name}: end -->")[0]
    cells = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("|")]
    number = {"–": inf}
    return [
        (row[0].strip("`"), float(row[1]), number.get(row[2]) or float(row[2])) for row in cells[2:]
    ]


def main(
    write: Annotated[bool, typer.Option("--write", help="into docs/tolerance.md")] = False,
) -> None:
    """Measure how far right answers scatter and how near wrong ones get."""
    found = {
        "exercises": list(tqdm(exercise_rows(SEEDS), total=len(EXERCISES), unit="exercise")),
        "layer": list(tqdm(layer_rows(SEEDS[:3]), total=len(SIZES) * len(SCALES), unit="row")),
    }
    for name, rows in found.items():
        text = as_table({"exercises": "exercise", "layer": "size and scale"}[name], rows)
        text = f"`python benchmarks/tolerance.py --write` on {machine()}.\n\n{text}"
        print(text)
        if write:
            write_section(name, text, PAGE)


if __name__ == "__main__":
    typer.run(main)
