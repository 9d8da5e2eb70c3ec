"""Make a learner's notebook from a lesson (a percent-format script in `solutions/lessons/`)."""

import hashlib
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from autograde.errors import AutogradeError
from autograde.exercises import EXERCISES

from .hints import unfold_hints
from .strip import strip_solutions

ANSWER_STUB = "*Write your answer here.*"
CODE_STUB = "..."


def notebook_from_lesson(lesson: Path, *, solved: bool = False) -> NotebookNode:
    """Read a lesson and return the notebook: nbgrader's metadata complete, ids fixed, no outputs.

    Args:
        lesson: path of the percent script.
        solved: keep model answers (for the instructor's answer key).

    Raises:
        AutogradeError: if a graded cell names no exercise, or a marker is wrong.
    """
    notebook = jupytext.read(lesson, fmt="py:percent")
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        if not solved:
            stub = CODE_STUB if cell.cell_type == "code" else ANSWER_STUB
            cell.source = strip_solutions(cell.source, stub)
        cell.source = unfold_hints(cell.source)
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader = _complete(cell, lesson)
        cell.id = _cell_id(cell, seen)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return notebook


def notebook_text(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook) + "\n"


def exercise_of(grade_id: str) -> str:
    """The exercise a graded cell asks about: nbgrader allows no dots in its ids."""
    return grade_id.replace("-", ".")


def graded_exercises(notebook: NotebookNode) -> list[str]:
    """The exercises that a notebook's graded cells ask about, in its order."""
    marks = [cell.metadata.nbgrader for cell in notebook.cells if "nbgrader" in cell.metadata]
    return [exercise_of(m.grade_id) for m in marks if m.grade and m.cell_type == "code"]


def _complete(cell: NotebookNode, lesson: Path) -> dict:
    """Fill in what follows: an author writes grade_id, grade and, for a written answer, points."""
    written = dict(cell.metadata.nbgrader)
    grade_id = written["grade_id"]
    graded = written.get("grade", False)
    if graded and cell.cell_type == "code":
        exercise = EXERCISES.get(exercise_of(grade_id))
        if exercise is None:
            raise AutogradeError(f"{lesson.name}: no exercise for the graded cell {grade_id!r}")
        if cell.source != f'check("{exercise.name}")':
            raise AutogradeError(f'{lesson.name}: cell {grade_id} must be check("{exercise.name}")')
        written["points"] = exercise.points
    solution = written.get("solution", False)
    return {
        "cell_type": cell.cell_type,
        "grade": graded,
        "grade_id": grade_id,
        "locked": not solution,
        **({"points": written["points"]} if graded else {}),
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }


def _cell_id(cell: NotebookNode, seen: dict[str, int]) -> str:
    """An id that depends on the cell alone, so that a rebuild changes nothing."""
    name = cell.metadata.get("nbgrader", {}).get("grade_id", cell.cell_type + cell.source)
    seen[name] = seen.get(name, 0) + 1
    return hashlib.sha256(f"{name}#{seen[name]}".encode()).hexdigest()[:12]
