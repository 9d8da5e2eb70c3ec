"""How fast grading is: ours beside stock nbgrader, on the same submissions, on this machine.

python benchmarks/grading.py                    all of it; some minutes on a quiet machine
python benchmarks/grading.py --course 0 --plugin 0            without the twelve assignments
python benchmarks/grading.py --ours 100 --ours 1000           other numbers of submissions
python benchmarks/grading.py --write            put the table into docs/benchmarks.md

A submission is the whole course. Four ways to grade it:

- stock nbgrader, the notebooks: the twelve assignments as learners get them. Stock nbgrader grades
  by running each notebook from top to bottom, the experiments too.
- stock nbgrader, checks only: one notebook with the graded cells and nothing else, in one kernel.
  Nobody hands in such a thing: it is the least that stock nbgrader could have to do.
- nbgrader autograde: the twelve assignments again, with our preprocessors.
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
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

import nbformat
import psutil
import torch
import typer
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.api import Gradebook
from tables import ROOT, machine, table, write_section
from tqdm import tqdm

sys.path.insert(0, str(ROOT))
from autograde import sandbox
from autograde.course import create_course
from autograde.exercises import EXERCISES
from autograde.grading import grade_library, hidden
from autograde.limits import Limits
from autograde.loading import read_package
from autograde.session import Runner
from autograde.values import HeadLoss

WHOLE = "whole"  # the assignment that has all checks
COURSE, STOCK = "stock nbgrader, the notebooks", "stock nbgrader, checks only"
PLUGIN, OURS = "nbgrader autograde", "autograde grade"
NBGRADER = [sys.executable, "-m", "nbgrader"]
PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.5
TIMES, MILLISECONDS = 100, 150  # the goals

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


HEADER = "c = get_config()\nc.CourseDirectory.course_id = 'bench'\n"
OUR_CONFIG = HEADER + "from autograde.nbgrader import configure\nconfigure(c, __file__)\n"
# What an instructor has to say so that stock nbgrader does not put stubs in place of the modules
# that were handed in, and waits for a cell that trains a model.
STOCK_CONFIG = HEADER + (
    "from pathlib import Path\n"
    "from autograde.nbgrader import learners_files\n"
    "c.Autograde.exclude_overwriting = learners_files(Path(__file__).parent / 'source')\n"
    "c.Execute.timeout = 600\n"
)


def prepare(way: str, submissions: int, folder: Path) -> list[list[str]]:
    """Make what one run grades, and return its commands; `folder` becomes their directory."""
    if way == OURS:
        for number in range(submissions):
            write_library(folder / f"learner{number}" / "mha_lib", number)
        names = [f"learner{number}" for number in range(submissions)]
        script = f"{sysconfig.get_path('scripts')}/autograde"
        return [[script, "grade", *names, "--json", "grades.json"]]
    if way == STOCK:
        (folder / "source" / WHOLE).mkdir(parents=True)
        nbformat.write(whole_course(), folder / "source" / WHOLE / f"{WHOLE}.ipynb")
        (folder / "nbgrader_config.py").write_text(HEADER)
    else:
        create_course(folder, exchange=None, course_id="bench")
        (folder / "nbgrader_config.py").write_text(OUR_CONFIG)
    assignments = sorted(path.name for path in (folder / "source").iterdir())
    release(folder, assignments)
    for assignment, number in product(assignments, range(submissions)):
        handed_in = folder / "submitted" / f"learner{number}" / assignment
        shutil.copytree(folder / "release" / assignment, handed_in)
        shutil.rmtree(handed_in / "mha_lib", ignore_errors=True)
        write_library(handed_in / "mha_lib", number)
    if way == COURSE:
        (folder / "nbgrader_config.py").write_text(STOCK_CONFIG)
    return [[*NBGRADER, "autograde", assignment] for assignment in assignments]


def release(folder: Path, assignments: Sequence[str]) -> None:
    """Make what learners get, and the gradebook's entries, in one process."""
    code = (
        "import sys; from nbgrader.apps import NbGraderAPI, NbGrader\n"
        "app = NbGrader(); app.load_config_file()\n"
        "api = NbGraderAPI(config=app.config)\n"
        "done = [api.generate_assignment(name) for name in sys.argv[1:]]\n"
        "assert all(one['success'] for one in done), done\n"
    )
    _run([sys.executable, "-c", code, *assignments], folder)


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


def measure(commands: Sequence[Sequence[str]], folder: Path) -> Measured:
    """Run commands one after the other to their ends, with all processes that they leave behind.

    Raises:
        RuntimeError: with what one said, if it fails.
    """
    before, started, peak = _processor_seconds(), time.monotonic(), 0
    for command in commands:
        peak = max(peak, _run(command, folder))
    wall = time.monotonic() - started
    with suppress(ChildProcessError):  # until nobody is left; their times count only then
        while True:
            os.wait()
    return Measured(wall, _processor_seconds() - before, peak)


def _run(command: Sequence[str], folder: Path) -> int:
    """Run one command; returns the bytes at its peak."""
    peak = 0
    with (folder / "said.txt").open("w+") as said:
        run = subprocess.Popen(command, cwd=folder, env=environment(), stdout=said, stderr=said)
        while run.poll() is None:
            peak = max(peak, _memory())
            with suppress(subprocess.TimeoutExpired):
                run.wait(SAMPLE_SECONDS)
        if run.returncode:
            said.seek(0)
            raise RuntimeError(said.read()[-3000:])
    return peak


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
    points: dict[str, float] = dict.fromkeys((f"learner{n}" for n in range(submissions)), 0.0)
    rows = 0
    if way == OURS:
        for one in json.loads((folder / "grades.json").read_text()):
            points[one["submission"]] += sum(r["score"] for r in one["exercises"].values())
            rows += 1
    else:
        with Gradebook(f"sqlite:///{folder}/gradebook.db", "bench") as book:
            for row in (row for one in book.assignments for row in one.submissions):
                points[row.student.id] += row.score
                rows += 1
    full = sum(exercise.points for exercise in EXERCISES.values())
    due = submissions * (1 if way in (OURS, STOCK) else len(list((folder / "source").iterdir())))
    if rows != due or points["learner0"] != full:
        raise RuntimeError(f"{rows} of {due} graded, the first for {full}: got {points}")


def floor(rounds: int = 9) -> float:
    """Seconds of processor time for all calls of one submission: no sandbox, nothing compared.

    The calls are those of the reference, in this process; a median.
    """
    calls = [
        (exercise.reference, case.args)
        for exercise in EXERCISES.values()
        for case in hidden(exercise.name, 0).cases
    ]
    times = []
    for _ in range(rounds):
        started = time.process_time()
        for function, args in calls:
            ready = {n: v.function() if isinstance(v, HeadLoss) else v for n, v in args.items()}
            with torch.no_grad(), suppress(ValueError):
                function(*ready.values())
        times.append(time.process_time() - started)
    return statistics.median(times)


def profile(submissions: int = 10, rounds: int = 3) -> dict[str, float]:
    """Where the processor time of one submission goes, in seconds; the mixture of a class.

    All is graded in this process, so that the trusted side's part can be told from the runner's.
    """
    mode = sandbox.choose()
    with tempfile.TemporaryDirectory() as name:
        for number in range(submissions):
            write_library(Path(name, str(number)), number)
        libraries = [read_package(Path(name, str(number))) for number in range(submissions)]

    def grade() -> None:
        for library in libraries:
            grade_library(library, seed=0, sandbox=mode)

    def start() -> None:
        for library in libraries:
            Runner(library, Limits(), mode).close()

    grade()  # what is made once in a process
    took = {}
    for work in (start, grade):
        before = time.process_time(), _warm_seconds(mode)
        for _ in range(rounds):
            work()
        after = time.process_time(), _warm_seconds(mode)
        took[work] = [(b - a) / rounds / submissions for a, b in zip(before, after, strict=True)]
    return {
        "the calls alone, in one process, without a sandbox": floor(),
        "a runner's fork, its confinement, its end": took[start][1],
        "the runner: the rest": took[grade][1] - took[start][1],
        "the trusted side": took[grade][0],
        "all": sum(took[grade]),
    }


def _warm_seconds(mode: str) -> float:
    """Processor time of this process's warm process and of the runners that it has buried."""
    nursery = psutil.Process(sandbox._nursery(mode).process.pid)
    times = [one.cpu_times() for one in (nursery, *nursery.children(recursive=True))]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


def summary(measured: dict[tuple[str, int], Measured], spent: dict[str, float]) -> str:
    """The runs; what each further submission takes, and the ratios to stock; the profile."""
    ways = list(dict.fromkeys(way for way, _ in measured))
    stock = [way for way in (COURSE, STOCK) if way in ways]
    runs = [
        [
            way,
            f"{number:,}",
            f"{one.wall:.1f}",
            f"{60 * number / one.wall:.1f}",
            f"{one.cpu / number:.2f}",
            f"{one.memory / 2**20:.0f}",
        ]
        for (way, number), one in measured.items()
        if number
    ]
    more = {way: each(measured, way) for way in ways}
    further = [
        [
            way,
            f"{1000 * one.cpu:,.0f}",
            f"{1000 * one.wall:,.0f}",
            *[f"{more[other].cpu / one.cpu:.1f}" for other in stock],
        ]
        for way, one in more.items()
    ]
    head = ["way", "submissions", "seconds", "a minute", "CPU s each", "peak MiB"]
    ratios = [f"times {way}" for way in stock]
    parts = [[what, f"{1000 * seconds:.0f}"] for what, seconds in spent.items()]
    return "\n\n".join(
        [
            table(head, runs),
            "Each submission more, without the start; the ratios are those of processor time, so "
            "per core:",
            table(["way", "CPU ms", "wall ms", *ratios], further),
            "Where the processor time of one more submission goes in `autograde grade`:",
            table(["part", "CPU ms"], parts),
            "\n".join(goals(measured)),
        ]
    )


def goals(measured: dict[tuple[str, int], Measured]) -> list[str]:
    """Each goal that these runs can tell about, and whether it is reached."""
    ours = each(measured, OURS)
    found = []
    for way in (COURSE, STOCK):
        if any(one == way for one, _ in measured):
            ratio = each(measured, way).cpu / ours.cpu
            found.append((f"{TIMES} times {way} per core", f"{ratio:.0f} times", ratio >= TIMES))
    goal = f"under {MILLISECONDS} ms of processor time for one submission more"
    found.append((goal, f"{1000 * ours.cpu:.0f} ms", 1000 * ours.cpu < MILLISECONDS))
    if (OURS, 100) in measured:
        wall = measured[OURS, 100].wall
        found.append(("a class of 100 in under a minute", f"{wall:.0f} s", wall < 60))
    return [
        f"- Goal: {goal}. {'Reached' if reached else 'Missed'}: {what}."
        for goal, what, reached in found
    ]


def each(measured: dict[tuple[str, int], Measured], way: str) -> Measured:
    """What one submission more takes: between the two largest runs of one way.

    A run of 0 submissions is a start alone. With one run only, its start is counted in.
    """
    sizes = sorted(number for one, number in measured if one == way)
    few, many = sizes[-2:] if len(sizes) > 1 else (0, *sizes)
    last = measured[way, many]
    first = measured.get((way, few), Measured(0.0, 0.0, 0))
    wall, cpu = ((getattr(last, f) - getattr(first, f)) / (many - few) for f in ("wall", "cpu"))
    return Measured(wall, cpu, last.memory - first.memory)


def run(way: str, submissions: int) -> dict[int, Measured]:
    """Grade so many submissions in one way.

    The twelve assignments are run for one number of submissions only. There the start is measured
    too, as a run of 0: the first command once more, with nothing left to grade, times twelve.

    Raises:
        RuntimeError: if it fails, or the grades are not right.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = prepare(way, submissions, folder)
        done = {submissions: measure(commands, folder)}
        check_grades(way, folder, submissions)
        if way in (COURSE, PLUGIN):
            one = measure(commands[:1], folder)
            wall, cpu = (len(commands) * seconds for seconds in (one.wall, one.cpu))
            done[0] = Measured(wall, cpu, one.memory)
    return done


def run_all(
    plan: Sequence[tuple[str, int]],
) -> tuple[dict[tuple[str, int], Measured], list[str]]:
    """Run one after the other; returns what was measured, and what failed and why."""
    measured, failed = {}, []
    for way, number in (bar := tqdm(plan, unit="run")):
        bar.set_description(f"{way}, {number}")
        try:
            measured |= {(way, n): one for n, one in run(way, number).items()}
        except RuntimeError as error:
            failed.append(f"Failed: {way}, {number} submissions.\n{error}")
    return measured, failed


def main(
    ours: Annotated[list[int] | None, typer.Option(help="numbers of submissions")] = None,
    stock: Annotated[list[int] | None, typer.Option(help="for stock, checks only")] = None,
    course: Annotated[int, typer.Option(help="for stock, the notebooks; 0: not at all")] = 1,
    plugin: Annotated[int, typer.Option(help="for nbgrader autograde; 0: not at all")] = 3,
    write: Annotated[bool, typer.Option("--write", help="into docs/benchmarks.md")] = False,
) -> None:
    """Grade the same submissions in four ways, and time it."""
    if sys.platform != "linux":
        raise typer.BadParameter("needs Linux, to count the time of all processes")
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans become ours
    torch.set_num_threads(1)
    plan = [(OURS, n) for n in sorted(ours or [1, 10, 100, 1000])]
    plan += [(STOCK, n) for n in sorted(stock or [1, 3])]
    plan += [(way, n) for way, n in ((PLUGIN, plugin), (COURSE, course)) if n]
    measured, failed = run_all(plan)
    print(*failed, sep="\n", file=sys.stderr)
    if any(way == OURS for way, _ in measured):
        text = f"`python benchmarks/grading.py` on {machine()}.\n\n{summary(measured, profile())}"
        print(text)
    if failed:
        raise typer.Exit(1)
    if write:
        write_section("grading", text)


if __name__ == "__main__":
    typer.run(main)
