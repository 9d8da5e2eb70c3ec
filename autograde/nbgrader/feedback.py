"""What a learner's feedback page shows: results first, then the learner's own work."""

import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.api import MissingEntry
from nbgrader.preprocessors import GetGrades
from traitlets import Bool

from autograde.build.lessons import exercise_of
from autograde.build.strip import solution_lines
from autograde.report import SIGNS, WORDS, in_short, source_html
from autograde.source import Excerpt, Line

from .formulas import markdown_with_formulas
from .grade import outcome_in
from .notebooks import NOTES, course_directory, grade_id, released_notebook

KEYS = "answer_keys"  # beside source/ in a course directory

_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1>", re.DOTALL)
_PILCROW = re.compile(r'<a class="anchor-link".*?</a>', re.DOTALL)
_FORMULA = re.compile(r'<math\b[^>]*display="block".*?</math>', re.DOTALL)
_TITLE = re.compile(r"#+ +(.+)\n?")


@dataclass
class Result:
    """One line of the results, and the section of the page that it leads to.

    Attributes:
        place: the section's id.
        status: of `ExerciseResult`; of a written answer: "graded", "waiting" or "missing".
        told: what went wrong and the hint.
        comment: of the instructor, as HTML.
    """

    place: str
    title: str
    status: str
    words: str
    score: float
    points: float
    told: list[str] = field(default_factory=list)
    comment: str = ""

    @property
    def sign(self) -> str:
        if self.status == "graded":
            return "✓" if self.score >= self.points else "◐"
        return SIGNS.get(self.status, "○")


@dataclass
class Function(Result):
    """An exercise, with the message, the learner's source as HTML and whether a line is marked."""

    file: str = ""
    message: str = ""
    misconception: str | None = None
    source: str = ""
    marked: bool = False


@dataclass
class Written(Result):
    """A written answer, with the question and, where the course shows it, a model answer."""

    question: str = ""
    answer: str = ""
    model: str = ""


class FeedbackPage(GetGrades):
    """Puts the grades into the notebook, as nbgrader does, and the results into `resources`."""

    model_answers = Bool(
        False,
        help="Show the course's model answer below each written answer. Learners who have not "
        "handed in yet may get to see it.",
    ).tag(config=True)

    def preprocess(self, nb, resources):
        nb, resources = super().preprocess(nb, resources)
        about = resources["nbgrader"]
        course = course_directory(self)
        released = released_notebook(course, about["assignment"], about["notebook"]).cells
        models = self._model_answers(Path(course.root) / KEYS / f"{about['notebook']}.ipynb")
        functions = [_function(cell) for cell in nb.cells if outcome_in(cell)]
        written = [_written(cell, released, models) for cell in nb.cells if _is_written(cell)]
        resources["feedback"] = {
            "functions": functions,
            "written": written,
            "results": [*functions, *written],
            "notes": nb.metadata.get(NOTES, []),
        }
        return nb, resources

    def _model_answers(self, path: Path) -> dict[str, str]:
        if not self.model_answers:
            return {}
        cells = nbformat.read(path, as_version=4).cells
        return {grade_id(cell): "\n".join(solution_lines(cell.source)) for cell in cells}

    def _get_score(self, cell, resources):
        super()._get_score(cell, resources)
        marks = cell.metadata.nbgrader
        key = (marks.grade_id, self.notebook_id, self.assignment_id, self.student_id)
        grade = self.gradebook.find_grade(*key)
        marks.by_hand, marks.waiting = grade.manual_score is not None, grade.needs_manual_grade
        try:
            marks.comment = self.gradebook.find_comment(*key).comment
        except MissingEntry:  # a function, in a gradebook made before these had comments
            marks.comment = None


def _function(cell: NotebookNode) -> Function:
    marks, outcome = cell.metadata.nbgrader, outcome_in(cell)
    exercise, status = exercise_of(marks.grade_id), outcome["status"]
    changed = "; points changed by your instructor" if marks.by_hand else ""
    source = outcome["source"]
    excerpt = (
        Excerpt(source["file"], tuple(Line(*one) for one in source["lines"])) if source else None
    )
    return Function(
        place=marks.grade_id,
        title=exercise,
        status=status,
        words=WORDS[status] + changed,
        score=marks.score,
        points=marks.points,
        told=in_short(status, outcome["message"]),
        comment=_quoted(marks.comment),
        file=f"mha_lib/{exercise.split('.')[0]}.py",
        message=outcome["message"],
        misconception=outcome["misconception"],
        source=source_html(excerpt) if excerpt else "",
        marked=bool(excerpt) and excerpt.marked,
    )


def _is_written(cell: NotebookNode) -> bool:
    """Whether a person grades it: a written answer or one of nbgrader's tasks."""
    marks = cell.metadata.get("nbgrader", {})
    return not outcome_in(cell) and bool(marks.get("grade") or marks.get("task"))


def _written(cell: NotebookNode, released: list[NotebookNode], models: dict) -> Written:
    marks = cell.metadata.nbgrader
    stub, question = _as_released(marks.grade_id, released)
    title = _TITLE.match(question)
    answered = cell.source != stub
    status, words = _state(marks, answered)
    return Written(
        place=marks.grade_id,
        title=title[1] if title else "Written answer",
        status=status,
        words=words,
        score=marks.score,
        points=marks.points,
        comment=_quoted(marks.comment),
        question=_quoted(question[title.end() :] if title else question),
        answer=_quoted(cell.source) if answered else "",
        model=_quoted(models.get(marks.grade_id)),
    )


def _state(marks: NotebookNode, answered: bool) -> tuple[str, str]:
    if marks.by_hand:
        return "graded", "graded before you handed in again" if marks.waiting else "graded"
    if marks.waiting:
        return "waiting", "not graded yet"
    return ("graded", "graded") if answered else ("missing", "no answer")


def _as_released(name: str, released: list[NotebookNode]) -> tuple[str, str]:
    """The text that a learner found in the cell, and the question above it."""
    for before, cell in itertools.pairwise(released):
        if grade_id(cell) == name:
            return cell.source, before.source if before.cell_type == "markdown" else ""
    return "", ""


def _quoted(markdown: str | None) -> str:
    """Markdown within a section of the page: its headings have neither rank nor id there."""
    html = _PILCROW.sub("", markdown_with_formulas(markdown or ""))
    html = _HEADING.sub(r"<p><strong>\2</strong></p>", html)
    return _FORMULA.sub(r'<span class="formula" tabindex="0">\g<0></span>', html)
