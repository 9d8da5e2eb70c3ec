"""How long each notebook takes from top to bottom with the solutions, and its slowest cells.

python benchmarks/notebooks.py [NAME …]
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]


def cell_times(path: Path) -> list[tuple[float, str]]:
    """Seconds and first line of each code cell, run in a fresh learner's folder."""
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
                    started = time.perf_counter()
                    client.execute_cell(cell, index)
                    times.append((time.perf_counter() - started, cell.source.split("\n")[-1]))
    return times


def main() -> None:
    wanted = sys.argv[1:]
    paths = [
        p for p in sorted((ROOT / "notebooks").glob("*.ipynb")) if not wanted or p.stem in wanted
    ]
    table = Table("notebook", "seconds", "slowest cells")
    total = 0.0
    for path in tqdm(paths, unit="notebook"):
        times = cell_times(path)
        seconds = sum(t for t, _ in times)
        total += seconds
        slowest = "\n".join(f"{t:5.1f} s  {line[:60]}" for t, line in sorted(times)[:-4:-1])
        table.add_row(path.stem, f"{seconds:.1f}", slowest)
    table.add_row("all", f"{total:.1f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
