"""How long each notebook takes from top to bottom with the solutions, and its slowest cells.

python benchmarks/notebooks.py [NAME …]    measure and print
python benchmarks/notebooks.py --write     put the table into docs/benchmarks.md
"""

import ast
import shutil
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Annotated

import nbformat
import typer
from nbclient import NotebookClient
from tables import ROOT, machine, table, write_section
from tqdm import tqdm

GOAL = 6 * 60  # seconds for the whole course
SLOWEST = 3


def cell_times(path: Path) -> list[tuple[float, str]]:
    """Seconds and telling line of each code cell, run in a fresh learner's folder."""
    with tempfile.TemporaryDirectory() as home:
        shutil.copytree(ROOT / "solutions", Path(home) / "mha_lib", ignore=lambda *_: ["lessons"])
        folder = Path(home) / path.stem
        folder.mkdir()
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}})
        times = []
        with client.setup_kernel():
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    started = perf_counter()
                    client.execute_cell(cell, index)
                    times.append((perf_counter() - started, telling_line(cell.source)))
    return times


def telling_line(source: str) -> str:
    """The first statement of a cell that says what it does; its last line, if none does.

    Comments, imports, magics and what only asks for earlier functions say nothing.
    """
    lines = source.split("\n")
    text = "\n".join("" if line.startswith(("%", "!")) else line for line in lines)
    for statement in ast.parse(text).body:
        words = " ".join(ast.get_source_segment(text, statement).split())
        silent = isinstance(statement, ast.Import | ast.ImportFrom) or words.startswith("needs(")
        if not silent:
            return words
    return lines[-1]


def summary(measured: dict[str, list[tuple[float, str]]]) -> str:
    """A table: seconds of each notebook and its slowest cells, each named by a line of it."""
    rows = []
    for name, times in measured.items():
        slowest = sorted(times, reverse=True)[:SLOWEST]
        cells = [f"{seconds:.1f} s `{_short(line)}`" for seconds, line in slowest]
        rows.append([name, f"{_total(times):.1f}", "<br>".join(cells)])
    whole = sum(map(_total, measured.values()))
    rows.append(["all", f"{whole:.1f}", ""])
    verdict = f"{whole / 60:.1f} minutes in all; the goal is {GOAL / 60:g}."
    return f"{verdict}\n\n{table(['notebook', 'seconds', 'slowest cells'], rows)}"


def _total(times: list[tuple[float, str]]) -> float:
    return sum(seconds for seconds, _ in times)


def _short(line: str) -> str:
    """A line of code that fits into a cell of a Markdown table."""
    return line.strip().replace("|", "¦").replace("`", "'")[:60]


def main(
    names: Annotated[list[str] | None, typer.Argument(help="e.g. 01_one_lookup; all")] = None,
    write: Annotated[bool, typer.Option("--write", help="into docs/benchmarks.md")] = False,
) -> None:
    """Time the notebooks, cell by cell."""
    paths = [
        p for p in sorted((ROOT / "notebooks").glob("*.ipynb")) if not names or p.stem in names
    ]
    if write and names:
        raise typer.BadParameter("--write is for the whole course, without names")
    measured = {}
    for path in (bar := tqdm(paths, unit="notebook")):
        bar.set_description(path.stem)
        measured[path.stem] = cell_times(path)
    text = f"`python benchmarks/notebooks.py` on {machine()}.\n\n{summary(measured)}"
    print(text)
    if write:
        write_section("notebooks", text)


if __name__ == "__main__":
    typer.run(main)
