"""The concept map: core idea → notebook → exercise → known mistake, from the lessons' own words.

A lesson begins with its core idea, as metadata that no learner sees:

    # ---
    # jupyter:
    #   core_idea:
    #     says: >-
    #       The idea in a sentence.
    #     explained: "the heading below which it is explained"
    #     measured: "the heading of its experiment"
    #     drawn: "the heading of its picture"
    # ---
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jupytext
from nbformat import NotebookNode

from autograde.exercises import EXERCISES
from autograde.habits import HABITS

from .lessons import graded_exercises, notebook_from_lesson

HEAD = """\
# Concept map

Core idea → notebook → exercise → known mistake. Made by `autograde build` from the lessons (each
begins with its core idea) and `autograde/exercises/`; edit those.

{ideas} core ideas, {exercises} exercises, {mistakes} named mistakes.

| core idea | notebook | explained | measured | drawn | exercises | named mistakes |
|---|---|---|---|---|---|---|
"""
EVERYWHERE = "\nTwo mistakes are recognised in every exercise:\n\n"
PLACES = ("explained", "measured", "drawn")
HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
CUT = re.compile(r"^(?=#{1,6} )", re.MULTILINE)


@dataclass(frozen=True)
class CoreIdea:
    """One row of the map.

    Attributes:
        lesson: the file's name without its ending.
        title: of the notebook.
        says: the idea in a sentence; "" if the lesson names none.
        places: "explained", "measured", "drawn" -> a heading of the notebook.
        exercises: names of the graded exercises.
    """

    lesson: str
    title: str
    says: str
    places: dict[str, str]
    exercises: list[str]

    @property
    def mistakes(self) -> int:
        return sum(len(EXERCISES[name].misconceptions) for name in self.exercises)


def core_idea(lesson: Path) -> CoreIdea:
    """The row that a lesson makes."""
    notebook = notebook_from_lesson(lesson)
    written = jupytext.read(lesson, fmt="py:percent").metadata.get("core_idea", {})
    return CoreIdea(
        lesson=lesson.stem,
        title=HEADING.search(notebook.cells[0].source).group(2),
        says=written.get("says", ""),
        places={place: written.get(place, "") for place in PLACES},
        exercises=graded_exercises(notebook),
    )


def section(notebook: NotebookNode, heading: str) -> tuple[str, list[str]]:
    """What stands below a heading, up to the next one of its level or above.

    Returns:
        (text, code cells); ("", []) if there is no such heading.
    """
    text, code, level = "", [], 0
    for kind, source in _pieces(notebook):
        found = HEADING.match(source) if kind == "markdown" else None
        if level and found and len(found.group(1)) <= level:
            break
        if not level and found and found.group(2) == heading:
            level = len(found.group(1))
        if level and kind == "code":
            code.append(source)
        elif level:
            text += source
    return text, code


def _pieces(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """(cell type, source), with markdown cut before every heading."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            yield "code", cell.source
        else:
            yield from (("markdown", part) for part in CUT.split(cell.source + "\n"))


def concept_map(lessons: list[Path]) -> str:
    """Markdown: a table with a row a core idea, then a section a notebook."""
    ideas = [core_idea(lesson) for lesson in lessons]
    everywhere = "".join(f"- `{name}`: {habit.says}\n" for name, habit in HABITS.items())
    counts = {
        "ideas": len(ideas),
        "exercises": sum(len(idea.exercises) for idea in ideas),
        "mistakes": sum(idea.mistakes for idea in ideas),
    }
    table = HEAD.format(**counts) + "".join(map(_row, ideas)) + EVERYWHERE + everywhere
    return table + "".join(map(_section, lessons, ideas))


def _row(idea: CoreIdea) -> str:
    link = f"[{idea.title}](../notebooks/{idea.lesson}.ipynb)"
    exercises = ", ".join(f"`{name}`" for name in idea.exercises) or "–"
    cells = [idea.says, link, *idea.places.values(), exercises, str(idea.mistakes or "–")]
    return "| " + " | ".join(cells) + " |\n"


def _section(lesson: Path, idea: CoreIdea) -> str:
    first = notebook_from_lesson(lesson).cells[0].source
    question = re.search(r"\*\*(.+?)\*\*", first, re.DOTALL).group(1)
    lines = [f"\n## {idea.title}\n", " ".join(question.split()) + "\n"]
    for name in idea.exercises:
        lines += _exercise(name)
    return "\n".join(lines) + "\n"


def _exercise(name: str) -> list[str]:
    exercise = EXERCISES[name]
    rows = [f"| `{m.name}` | {m.says} |" for m in exercise.misconceptions]
    head = f"### `{name}` ({exercise.points:g} points, {len(exercise.cases)} cases)"
    return [head, "", "| known mistake | what it does |", "|---|---|", *rows, ""]
