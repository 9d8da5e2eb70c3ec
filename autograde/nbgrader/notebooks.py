"""Notebooks as the instructor's side meets them: submitted ones, which may be anything, and the
released ones, which are the truth.
"""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode, from_dict
from nbformat.corpus.words import generate_corpus_id
from nbformat.v4 import new_markdown_cell, new_notebook

from autograde.errors import AutogradeError
from autograde.values import writable

LARGEST_NOTEBOOK = 20_000_000  # bytes; a lesson with all of its figures has well under 2 MB
LONGEST_CELL = 100_000  # characters
NOTES = "autograder_notes"  # in a notebook's metadata: what was done to the submission
MISSING = "it is missing in the submission"
EMPTY = {"code": {"execution_count": None, "outputs": []}, "markdown": {}, "raw": {}}

# "<" begins a tag, and "](" or "]:" a link, only when nothing stands between the two.
_LIVE = re.compile(r"<(?=[A-Za-z/!?])|\](?=[(:])")


class UnreadableNotebook(Exception):
    """A submitted file is not a notebook; the message says why, for its learner."""


def read_submitted(path: Path) -> NotebookNode:
    """Read a submitted notebook, and of each cell only its type, source, id and grade_id.

    Outputs, attachments and other metadata are not graded and could hold anything.

    Raises:
        UnreadableNotebook: if the file is no notebook, whatever is the matter with it.
    """
    text = _read_text(path)
    try:
        notebook = nbformat.reads(text, as_version=4)
        return new_notebook(cells=[_bare_cell(cell) for cell in notebook.cells])
    except Exception as error:  # a damaged file makes nbformat raise almost anything
        raise UnreadableNotebook("it is damaged: its content is not that of a notebook") from error


def released_notebook(coursedir, assignment: str, notebook: str) -> NotebookNode:
    """Read the notebook that learners were given.

    Args:
        coursedir: nbgrader's `CourseDirectory`.

    Raises:
        AutogradeError: if it was not generated, or cannot be read.
    """
    path = release_directory(coursedir, assignment) / f"{notebook}.ipynb"
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError) as error:
        raise AutogradeError(
            f"{path} is missing or damaged: run nbgrader generate_assignment {assignment} --force"
        ) from error


def release_directory(coursedir, assignment: str) -> Path:
    return Path(coursedir.format_path(coursedir.release_directory, ".", assignment))


def converter_of(part):
    """The nbgrader converter or application that a preprocessor, exporter or plugin is in."""
    while not hasattr(part, "coursedir"):
        part = part.parent
    return part


def course_directory(part):
    """The `CourseDirectory` of the nbgrader application that a preprocessor or exporter is in."""
    return converter_of(part).coursedir


def grade_id(cell: NotebookNode) -> str | None:
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def new_cell(kind: str, source: str) -> NotebookNode:
    """A cell with this text and nothing else.

    nbformat's own makers compare each cell with the schema, a sixth of all that the grader does.

    Args:
        kind: "code", "markdown" or "raw"; KeyError for another.
    """
    fields = {"id": generate_corpus_id(), "cell_type": kind, "metadata": {}, "source": source}
    return from_dict(fields | EMPTY[kind])


def note_cell(notes: list[str]) -> NotebookNode:
    """A cell that tells the learner and the instructor what was done to a submission."""
    return new_markdown_cell(
        "\n".join(["**Notes of the autograder**", "", *map("- {}".format, notes)])
    )


def released_with_note(coursedir, assignment: str, notebook: str, why: str) -> NotebookNode:
    """The released notebook, to stand in for a submitted one; a note on top says why."""
    released = released_notebook(coursedir, assignment, notebook)
    released.metadata[NOTES] = _not_used(notebook, why)
    released.cells.insert(0, note_cell(released.metadata[NOTES]))
    return released


def _not_used(notebook: str, why: str) -> list[str]:
    return [
        f"The submitted notebook {notebook}.ipynb was not used: {why}.",
        "The released notebook stands in for it: written answers are missing; "
        "the functions in mha_lib are graded as submitted.",
    ]


def take_notes(notebook: NotebookNode, name: str) -> list[str]:
    """Take the notes off a notebook that stands in for the submitted one.

    One that was missing comes as a file like any submission, without trusted metadata: its note is
    known by its text.
    """
    for notes in (notebook.metadata.get(NOTES), _not_used(name, MISSING)):
        if notes and notebook.cells and notebook.cells[0].source == note_cell(notes).source:
            del notebook.cells[0]
            return notes
    return []


def defuse(markdown: str) -> str:
    """Take the life out of a learner's markdown: no HTML, links or images, the text unharmed.

    nbgrader's pages render markdown as it comes, with scripts and `javascript:` links. One space
    after "<" or "]" is enough to make either of them plain text.
    """
    return _LIVE.sub(lambda match: match.group() + " ", markdown)


def _read_text(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        raise UnreadableNotebook("it is not a file")
    if path.stat().st_size > LARGEST_NOTEBOOK:
        limit = LARGEST_NOTEBOOK // 10**6
        raise UnreadableNotebook(
            f"it is larger than {limit} MB; clear its outputs and submit again"
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableNotebook("it is damaged: it cannot be read as text") from error


def _bare_cell(cell: NotebookNode) -> NotebookNode:
    text = writable(cell.source)
    if len(text) > LONGEST_CELL:
        text = text[:LONGEST_CELL] + "\n[cut here: the cell is too long]"
    bare = new_cell(cell.cell_type, text)
    if isinstance(cell.get("id"), str):
        bare.id = cell.id
    metadata = cell.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    if isinstance(marks, dict) and isinstance(marks.get("grade_id"), str):
        bare.metadata.nbgrader = {"grade_id": marks["grade_id"]}
    return bare
