"""What isolation costs: grading one submission in each sandbox, and bare.

python benchmarks/isolation.py [--rounds 30] [--json FILE]

Each round grades the same submission once in every mode, one after the other, so that a busy
machine slows all of them alike. What is told is the median of the rounds, and the median of each
round's difference to bare. Two things are timed: until the submission can be called (a runner is
forked, confined, and has the submission's text), and grading the whole library.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from autograde import sandbox
from autograde.exercises import EXERCISES
from autograde.grading import grade_submission, hidden, secret_seed
from autograde.limits import Limits
from autograde.loading import read_package
from autograde.session import Runner

ROOT = Path(__file__).resolve().parents[1]


def seconds_to_start(folder: Path, mode: str) -> float:
    """Until the runner has answered a first request, and is gone again."""
    library = read_package(folder / "mha_lib")
    started = time.perf_counter()
    runner = Runner(library, Limits(), mode)
    runner.ask({"stand_in": []}, 60.0, {})
    runner.close()
    return time.perf_counter() - started


def seconds_to_grade(folder: Path, mode: str) -> float:
    started = time.perf_counter()
    results = grade_submission(folder, sandbox=mode)
    if not all(result.passed for result in results.values()):
        raise SystemExit("The solved library did not pass: the timing would mean nothing.")
    return time.perf_counter() - started


MEASURED = {"until it can be called": seconds_to_start, "the whole library": seconds_to_grade}


def measure(folder: Path, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Measurement -> mode -> seconds of each round; the first round warms up and is left out."""
    modes = [*sandbox.available(), sandbox.OFF]
    for name in EXERCISES:
        hidden(name, secret_seed())  # made once by a grader, whatever the sandbox
    times: dict = {what: {mode: [] for mode in modes} for what in MEASURED}
    for number in tqdm(range(rounds + 1), unit="round"):
        for what, timed in MEASURED.items():
            for mode in modes:
                seconds = timed(folder, mode)
                if number:
                    times[what][mode].append(seconds)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(ROOT / "solutions", Path(name) / "mha_lib")
        times = measure(Path(name), options.rounds)
    table = Table("what", "mode", "median ms", "more than bare, ms", "ratio to bare")
    for what, by_mode in times.items():
        bare = by_mode[sandbox.OFF]
        for mode, seconds in by_mode.items():
            more = [one - other for one, other in zip(seconds, bare, strict=True)]
            ratio = [one / other for one, other in zip(seconds, bare, strict=True)]
            cells = (1e3 * statistics.median(seconds), 1e3 * statistics.median(more))
            table.add_row(
                what, mode, *(f"{c:.1f}" for c in cells), f"{statistics.median(ratio):.2f}"
            )
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(times, indent=1))


if __name__ == "__main__":
    main()
