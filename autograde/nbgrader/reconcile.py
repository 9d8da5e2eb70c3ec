"""Make a submitted notebook whole again, with the released one as the truth."""

from copy import deepcopy

from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from nbgrader.preprocessors import NbGraderPreprocessor

from .notebooks import (
    NOTES,
    course_directory,
    defuse,
    grade_id,
    new_cell,
    note_cell,
    released_notebook,
    take_notes,
)


class ReconcileCells(NbGraderPreprocessor):
    """Puts the released graded cells where the learner has them, and says what had to be mended.

    Stock nbgrader stops grading the whole class at one learner's duplicated cell.
    """

    def preprocess(self, nb, resources):
        about = resources["nbgrader"]
        released = released_notebook(course_directory(self), about["assignment"], about["notebook"])
        notes = take_notes(nb, about["notebook"])
        cells, repairs = reconcile(released.cells, nb.cells)
        if notes := notes + repairs:
            cells.insert(0, note_cell(notes))
        for repair in repairs:
            self.log.warning("%s, %s: %s", about["student"], about["notebook"], repair)
        return new_notebook(metadata=released.metadata | {NOTES: notes}, cells=cells), resources


def reconcile(
    released: list[NotebookNode], submitted: list[NotebookNode]
) -> tuple[list[NotebookNode], list[str]]:
    """Join a submission's cells with the released ones.

    Each released cell that nbgrader knows is in the result exactly once, with the released
    metadata; one that is locked has the released source too. All else is the learner's: it keeps
    its text and nothing more, and text that differs from the released has its HTML taken out.
    Quizzes and outcomes, whose source is folded in the lesson because it holds the answers, are
    left out: nbgrader's pages would show them open.

    Returns:
        the cells, and a sentence for each repair.
    """
    truths = {grade_id(cell): cell for cell in released if grade_id(cell)}
    folded = {cell.source for cell in released if _is_folded(cell)}
    submitted = [cell for cell in submitted if cell.source not in folded]
    copies, strangers = _find_copies(truths, submitted)
    repairs = _tell_strangers(strangers)
    standing = {}  # position in the submission: the graded cell that stands there
    for name, truth in truths.items():
        if copies[name]:
            position = _choose(truth, copies[name], submitted)
            standing[position] = _restore(truth, submitted[position])
        repairs += _tell(name, truth, [submitted[position] for position in copies[name]])
    texts = {(cell.cell_type, cell.source) for cell in released}
    cells = [
        standing[position] if position in standing else _plain(cell, texts)
        for position, cell in enumerate(submitted)
    ]
    _put_back(truths, cells)
    return cells, repairs


def _is_folded(cell: NotebookNode) -> bool:
    return cell.metadata.get("jupyter", {}).get("source_hidden", False)


def _find_copies(truths: dict, submitted: list[NotebookNode]) -> tuple[dict[str, list[int]], int]:
    """Where each graded cell stands in the submission, by its grade_id or else by its cell id."""
    names = {cell.id: name for name, cell in truths.items()}
    copies: dict[str, list[int]] = {name: [] for name in truths}
    strangers = 0
    for position, cell in enumerate(submitted):
        name = grade_id(cell) or names.get(cell.id)
        if name in truths:
            copies[name].append(position)
        elif name is not None:
            strangers += 1
    return copies, strangers


def _choose(truth: NotebookNode, positions: list[int], submitted: list[NotebookNode]) -> int:
    """The copy that counts: the last one with an answer in it, or the first."""
    if truth.metadata.nbgrader.solution:
        answered = [p for p in positions if submitted[p].source != truth.source]
        return answered[-1] if answered else positions[0]
    return positions[0]


def _restore(truth: NotebookNode, cell: NotebookNode) -> NotebookNode:
    whole = deepcopy(truth)
    if truth.metadata.nbgrader.solution and cell.source != truth.source:
        whole.source = defuse(cell.source) if truth.cell_type == "markdown" else cell.source
    return whole


def _plain(cell: NotebookNode, texts: set[tuple[str, str]]) -> NotebookNode:
    """A cell of the learner's own, or one of the lesson's: its text without any metadata."""
    known = cell.cell_type == "code" or (cell.cell_type, cell.source) in texts
    return new_cell(cell.cell_type, cell.source if known else defuse(cell.source))


def _put_back(truths: dict[str, NotebookNode], cells: list[NotebookNode]) -> None:
    """Insert the graded cells that are missing, each after the one it follows in the lesson."""
    end = 0
    for name, truth in truths.items():
        here = [position for position, cell in enumerate(cells) if grade_id(cell) == name]
        if here:
            end = here[0] + 1
        else:
            cells.insert(end, deepcopy(truth))
            end += 1


def _tell(name: str, truth: NotebookNode, copies: list[NotebookNode]) -> list[str]:
    solution = truth.metadata.nbgrader.solution
    if not copies:
        return [f"The cell {name} was missing; it is back."]
    told = []
    if len(copies) > 1:
        counts = "the last one with an answer counts" if solution else "one counts"
        told.append(f"There were {len(copies)} copies of the cell {name}; {counts}.")
    if not solution and any(copy.source != truth.source for copy in copies):
        told.append(f"The cell {name} had been changed; it is as released again.")
    return told


def _tell_strangers(strangers: int) -> list[str]:
    if not strangers:
        return []
    return [f"{strangers} cell(s) bore the mark of a graded cell that this notebook does not have."]
