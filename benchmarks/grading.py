"""How fast grading is: ours beside stock nbgrader, on the same submissions, on this machine.

python benchmarks/grading.py                      1, 10 and 100 submissions; stock nbgrader: 1 and 3
python benchmarks/grading.py --ours 1000          other numbers of submissions
python benchmarks/grading.py --write              put the table into docs/benchmarks.md

A submission is the whole course: all exercises, in one notebook, so that stock nbgrader starts one
kernel a submission rather than twelve. Three ways to grade it:

- stock nbgrader: its own configuration and its own Execute; the graded cells hold the same checks.
- nbgrader autograde: the same course directory with our preprocessors.
- autograde grade: our own command, one process a core.

Each run is a process of its own and begins with nothing loaded. Processor time counts all of its
processes, whoever their parent; memory is the largest sum, looked at twice a second, of what they
have to themselves and their part of what they share.
"""

import ctypes
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import nbformat
import psutil
import typer
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.api import Gradebook
from tables import ROOT, machine, table, write_section
from tqdm import tqdm

sys.path.insert(0, str(ROOT))
from autograde.exercises import EXERCISES

WHOLE = "whole"  # the assignment
STOCK, PLUGIN, OURS = "stock nbgrader", "nbgrader autograde", "autograde grade"
PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.5

# Known mistakes, as edits of the solved text.
MISTAKES = (
    ("attention", " / q.shape[-1] ** 0.5", ""),
    ("heads", "return x.transpose(1, 2)  # (B, h, T, d)", "return x"),
    ("heads", "merge_heads(head_out) @ w_o, weights", "merge_heads(head_out), weights"),
    ("sharing", "kv.repeat_interleave(num_heads // num_kv_heads, dim=1)",
     "kv.repeat(1, num_heads // num_kv_heads, 1, 1)"),
    ("layers", "(num_layers + 2 * decoder_layers) * num_heads",
     "(num_layers + decoder_layers) * num_heads"),
    ("block", "F.gelu(x @ w_in + b_in)", "F.relu(x @ w_in + b_in)"),
    ("sizing", "batch * (projections + num_heads * look_up)", "projections + num_heads * look_up"),
    ("roles", "weights[..., 0].mean(-1).mean(-2)", "weights[..., 0, :].mean(-1).mean(-2)"),
)  # fmt: skip


def write_library(folder: Path, number: int) -> None:
    """The `mha_lib` of one learner: of ten, four are right, three have mistakes, three stopped."""
    dice, kind = random.Random(number), number % 10
    modules = list(dict.fromkeys(exercise.module for exercise in EXERCISES.values()))
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    solved = len(modules) if kind < 7 else dice.randrange(3, len(modules))
    for position, module in enumerate(modules):
        source = ROOT / ("solutions" if position < solved else "mha_lib")
        shutil.copy(source / f"{module}.py", folder)
    for module, right, wrong in dice.sample(MISTAKES, dice.randint(1, 4)) if kind > 3 else ():
        path = folder / f"{module}.py"
        path.write_text(path.read_text().replace(right, wrong))


def whole_course() -> nbformat.NotebookNode:
    """A notebook with a graded cell for every exercise: nbgrader's metadata, our checks."""
    cells = [new_code_cell("from autograde import check", id="imports")]
    for name, exercise in EXERCISES.items():
        grade_id = name.replace(".", "-")
        cell = new_code_cell(f'check("{name}")', id=grade_id)
        cell.metadata.nbgrader = {
            "grade": True, "grade_id": grade_id, "locked": True, "points": exercise.points,
            "schema_version": 3, "solution": False, "task": False, "cell_type": "code",
        }  # fmt: skip
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


CONFIG = {
    STOCK: "c = get_config()\nc.CourseDirectory.course_id = 'bench'\n",
    PLUGIN: "from autograde.nbgrader import configure\nc = get_config()\n"
    "c.CourseDirectory.course_id = 'bench'\nconfigure(c, __file__)\n",
}


def prepare(way: str, submissions: int, folder: Path) -> list[str]:
    """Make what one run grades, and return its command; `folder` becomes its directory."""
    script = f"{sysconfig.get_path('scripts')}/"
    if way == OURS:
        for number in range(submissions):
            write_library(folder / f"learner{number}" / "mha_lib", number)
        names = [f"learner{number}" for number in range(submissions)]
        return [f"{script}autograde", "grade", *names, "--json", "grades.json"]
    notebook = whole_course()
    (folder / "source" / WHOLE).mkdir(parents=True)
    (folder / "nbgrader_config.py").write_text(CONFIG[way])
    nbformat.write(notebook, folder / "source" / WHOLE / f"{WHOLE}.ipynb")
    nbgrader = [sys.executable, "-m", "nbgrader"]
    subprocess.run(
        [*nbgrader, "generate_assignment", WHOLE], cwd=folder, check=True, capture_output=True,
        env=environment(),
    )  # fmt: skip
    for number in range(submissions):
        handed_in = folder / "submitted" / f"learner{number}" / WHOLE
        shutil.copytree(folder / "release" / WHOLE, handed_in)
        write_library(handed_in / "mha_lib", number)
    return [*nbgrader, "autograde", WHOLE]


def environment() -> dict[str, str]:
    """One thread a process, as all three ways would have it on a busy server."""
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    scripts = sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")
    return os.environ | threads | {"PATH": scripts, "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Measured:
    """What a run took: seconds of wall and processor time, bytes at its peak."""

    wall: float
    cpu: float
    memory: int


def measure(command: Sequence[str], folder: Path) -> Measured:
    """Run a command to its end, with all processes that it leaves behind.

    Raises:
        RuntimeError: with what it said, if it fails.
    """
    before, started, peak = _processor_seconds(), time.monotonic(), 0
    with (folder / "said.txt").open("w+") as said:
        run = subprocess.Popen(command, cwd=folder, env=environment(), stdout=said, stderr=said)
        while run.poll() is None:
            peak = max(peak, _memory())
            with suppress(subprocess.TimeoutExpired):
                run.wait(SAMPLE_SECONDS)
        wall = time.monotonic() - started
        if run.returncode:
            said.seek(0)
            raise RuntimeError(said.read()[-3000:])
    with suppress(ChildProcessError):  # until nobody is left; their times count only then
        while True:
            os.wait()
    return Measured(wall, _processor_seconds() - before, peak)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory() -> int:
    """Bytes of all processes below this one; a shared page counts once in all."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def check_grades(way: str, folder: Path, submissions: int) -> None:
    """All that was handed in must have been graded, and learner 0, who is right, in full.

    Raises:
        RuntimeError: if it was not: then the time means nothing.
    """
    if way == OURS:
        listing = json.loads((folder / "grades.json").read_text())
        points = [sum(r["score"] for r in one["exercises"].values()) for one in listing]
    else:
        with Gradebook(f"sqlite:///{folder}/gradebook.db", "bench") as book:
            rows = sorted(
                book.assignment_submissions(WHOLE), key=lambda row: int(row.student.id[7:])
            )
            points = [row.score for row in rows]
    full = sum(exercise.points for exercise in EXERCISES.values())
    if len(points) != submissions or points[0] != full:
        raise RuntimeError(f"{way}: {submissions} submissions, the first for {full}: got {points}")


def runs(stock: Sequence[int], ours: Sequence[int]) -> Iterator[tuple[str, int]]:
    for way, numbers in ((STOCK, stock), (PLUGIN, [n for n in ours if n <= 10]), (OURS, ours)):
        yield from ((way, number) for number in numbers)


def summary(measured: dict[tuple[str, int], Measured]) -> str:
    """The table, and in words what each further submission takes, and the ratios to stock."""
    stock = each(measured, STOCK)
    rows = []
    for (way, number), one in measured.items():
        ratio = stock.cpu / (one.cpu / number)
        rows.append(
            [
                way,
                f"{number:,}",
                f"{one.wall:.1f}",
                f"{60 * number / one.wall:.1f}",
                f"{one.cpu / number:.2f}",
                f"{one.memory / 2**20:.0f}",
                f"{ratio:.1f}",
            ]
        )
    head = ["way", "submissions", "seconds", "a minute", "CPU s each", "peak MiB", "times stock"]
    lines = [table(head, rows), ""]
    for way in dict.fromkeys(way for way, _ in measured):
        more = each(measured, way)
        lines.append(
            f"- {way}: {1000 * more.cpu:.0f} ms of processor time and {1000 * more.wall:.0f} ms of "
            f"wall time for each submission more; {stock.cpu / more.cpu:.1f} times stock per core."
        )
    return "\n".join(lines)


def each(measured: dict[tuple[str, int], Measured], way: str) -> Measured:
    """What one submission more takes: between the two largest runs of one way.

    With one run only, its start is counted in.
    """
    sizes = sorted(number for one, number in measured if one == way)
    few, many = sizes[-2:] if len(sizes) > 1 else sizes * 2
    last = measured[way, many]
    if few == many:
        return Measured(last.wall / many, last.cpu / many, last.memory)
    first = measured[way, few]
    wall, cpu = ((getattr(last, f) - getattr(first, f)) / (many - few) for f in ("wall", "cpu"))
    return Measured(wall, cpu, last.memory - first.memory)


def main(
    ours: Annotated[list[int] | None, typer.Option(help="numbers of submissions")] = None,
    stock: Annotated[list[int] | None, typer.Option(help="the same for stock nbgrader")] = None,
    write: Annotated[bool, typer.Option("--write", help="into docs/benchmarks.md")] = False,
) -> None:
    """Grade the same submissions in three ways, and time it."""
    if sys.platform != "linux":
        raise typer.BadParameter("needs Linux, to count the time of all processes")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans become ours
    measured = {}
    bar = tqdm(list(runs(sorted(stock or [1, 3]), sorted(ours or [1, 10, 100]))), unit="run")
    for way, number in bar:
        bar.set_description(f"{way}, {number}")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            command = prepare(way, number, folder)
            measured[way, number] = measure(command, folder)
            check_grades(way, folder, number)
    text = f"`python benchmarks/grading.py` on {machine()}.\n\n{summary(measured)}"
    print(text)
    if write:
        write_section("grading", text)


if __name__ == "__main__":
    typer.run(main)
