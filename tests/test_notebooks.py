"""Every notebook runs untouched, with kind words; test_solved_notebooks.py runs them solved."""

import shutil
from pathlib import Path

import nbformat
import pytest

from autograde.build.running import run_notebook

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def run(make_submission):
    """Run a notebook in a new learner's folder; returns it with its outputs."""

    def run(path: Path):
        home = make_submission(solved=False)
        folder = home / path.stem
        folder.mkdir()
        shutil.copy(path, folder)
        notebook = nbformat.read(path, as_version=4)
        return run_notebook(notebook, folder, allow_errors=True)

    return run


def errors(notebook):
    return [
        (cell.source, output)
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "error"
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_an_untouched_notebook_says_what_to_do(run, path):
    """Each graded cell fails kindly; experiments either run or name what to finish first."""
    notebook = run(path)
    for source, output in errors(notebook):
        assert output.ename in ("CheckFailed", "FinishFirst"), (source, output.traceback)
        assert len(output.traceback) == 1 and "Traceback" not in output.traceback[0]
        if output.ename == "CheckFailed":
            assert source.startswith("check(") and "not written yet" in output.evalue
        else:
            assert "finish" in output.evalue
    graded = [c for c in notebook.cells if c.source.startswith("check(")]
    failed = [source for source, _ in errors(notebook) if source.startswith("check(")]
    assert len(failed) == len(graded)
