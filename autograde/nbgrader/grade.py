"""Grade the exercises of a submission, in place of running its notebook."""

import json
from dataclasses import asdict
from pathlib import Path

from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Unicode

from autograde import sandbox as sandboxes
from autograde.build.lessons import exercise_of
from autograde.errors import AutogradeError
from autograde.exercises import EXERCISES
from autograde.grading import grade_submission
from autograde.report import result_html
from autograde.results import ExerciseResult
from autograde.source import Excerpt, function_source
from autograde.values import writable

from .notebooks import converter_of, grade_id, release_directory, released_notebook

# The outcome as data, in the output beside what people see: for the feedback page and `autograde
# stats`.
OUTCOME = "application/vnd.multi-head-attention.outcome+json"
Graded = tuple[Path, dict[str, ExerciseResult]]  # the submission's folder, and its outcomes


class GradeExercises(NbGraderPreprocessor):
    """Asks the trusted grader about each graded code cell and writes its answer into the cell.

    Nothing in a submitted notebook is executed; what counts is the submitted `mha_lib`. nbgrader
    reads the score from the cell's output.
    """

    sandbox = Unicode(
        "auto",
        help="What holds submitted code: auto (the strongest that works on this machine), "
        "bubblewrap, namespaces, landlock, or off (only for submissions of people you trust).",
    ).tag(config=True)

    def preprocess(self, nb, resources):
        graded = {_exercise(cell): cell for cell in nb.cells if _is_graded_code(cell)}
        student = resources["nbgrader"]["student"]
        directory, results = converter_of(self).graded
        for exercise, cell in graded.items():
            result = results[exercise]
            self.log.info("%s %s: %s, %s", student, exercise, result.status, result.score)
            calls = EXERCISES[exercise].library_calls if result.passed else ()
            source = function_source(directory, exercise, result.message, calls)
            cell.outputs = [_output(result, source, cell.metadata.nbgrader.points)]
        return nb, resources


def grade_assignment(converter, student: str, assignment: str) -> Graded:
    """Grade the code of one submission, for all graded cells of the released notebooks.

    Args:
        converter: nbgrader's `Autograde`.

    Raises:
        AutogradeError: if a graded cell belongs to no exercise, or the sandbox does not work here.
        GraderFault: if the sandbox fails.
    """
    coursedir = converter.coursedir
    directory = Path(coursedir.format_path(coursedir.submitted_directory, student, assignment))
    notebooks = sorted(release_directory(coursedir, assignment).glob("*.ipynb"))
    cells = [
        cell
        for path in notebooks
        for cell in released_notebook(coursedir, assignment, path.stem).cells
        if _is_graded_code(cell)
    ]
    mode = sandboxes.choose(GradeExercises(parent=converter).sandbox)
    exercises = list(dict.fromkeys(_exercise(cell) for cell in cells))
    results = grade_submission(directory, exercises=exercises, sandbox=mode)
    if mode == sandboxes.OFF:
        remark = "Remark: graded without a sandbox."
        results = {name: result.with_remark(remark) for name, result in results.items()}
    return directory, results


def _is_graded_code(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade", False)


def _exercise(cell: NotebookNode) -> str:
    exercise = exercise_of(grade_id(cell))
    if exercise not in EXERCISES:
        # nbgrader gives a cell without output full marks
        raise AutogradeError(f"the graded cell {grade_id(cell)} belongs to no exercise")
    return exercise


def _output(result: ExerciseResult, source: Excerpt | None, points: float) -> NotebookNode:
    """One output for all: people see the HTML, nbgrader reads the score from the text."""
    score = points * result.score / result.max_score
    outcome = {
        "status": result.status,
        "misconception": result.misconception,
        "message": writable(result.message),
        "source": asdict(source) if source else None,
    }
    data = {
        "text/html": writable(result_html(result, source)),
        "text/plain": str(score),
        OUTCOME: outcome,
    }
    return new_output("execute_result", data=data)


def outcomes(autograded: Path) -> dict[str, dict]:
    """What was graded in a notebook that `nbgrader autograde` wrote: exercise -> its outcome.

    An outcome has the status, misconception and message of `ExerciseResult`, and the learner's
    source as an `Excerpt`. Only the grader writes outputs into these notebooks: what a learner
    submits loses its own before it is graded.
    """
    try:
        cells = json.loads(autograded.read_text(encoding="utf-8"))["cells"]
    except OSError:
        return {}
    graded = ((cell, outcome_in(cell)) for cell in from_dict(cells))
    return {exercise_of(grade_id(cell)): outcome for cell, outcome in graded if outcome}


def outcome_in(cell: NotebookNode) -> dict | None:
    """The outcome that a graded cell of such a notebook holds; None for other cells."""
    outputs = cell.outputs if _is_graded_code(cell) else []
    return next((o.data[OUTCOME] for o in outputs if OUTCOME in o.get("data", {})), None)
