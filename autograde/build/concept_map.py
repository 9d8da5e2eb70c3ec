"""The concept map: each notebook's question, its exercises, and the mistakes they recognise."""

import re
from pathlib import Path

from autograde.exercises import EXERCISES

from .lessons import graded_exercises, notebook_from_lesson

HEAD = """\
# Concept map

Core idea → notebook → exercise → known mistake. Made by `autograde build` from the lessons and
`autograde/exercises/`; edit those.
"""


def concept_map(lessons: list[Path]) -> str:
    """Markdown with a section a notebook."""
    return HEAD + "".join(_section(lesson) for lesson in lessons)


def _section(lesson: Path) -> str:
    notebook = notebook_from_lesson(lesson)
    cells = notebook.cells
    title = re.search(r"^# (.+)$", cells[0].source, re.MULTILINE).group(1)
    question = re.search(r"\*\*(.+?)\*\*", cells[0].source, re.DOTALL).group(1)
    lines = [f"\n## {title}\n", " ".join(question.split()) + "\n"]
    for name in graded_exercises(notebook):
        lines += _exercise(name)
    return "\n".join(lines) + "\n"


def _exercise(name: str) -> list[str]:
    exercise = EXERCISES[name]
    rows = [f"| `{m.name}` | {m.says} |" for m in exercise.misconceptions]
    head = f"### `{name}` ({exercise.points:g} points, {len(exercise.cases)} cases)"
    return [head, "", "| known mistake | what it does |", "|---|---|", *rows, ""]
