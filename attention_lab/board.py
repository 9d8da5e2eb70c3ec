"""The progress board: what passes, what does not and why, predictions, and what comes next.

It reads the results that checks keep in `.progress/`, so it survives a kernel restart.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import anywidget
import IPython.display
import traitlets
from sidecar import Sidecar

from autograde.kept import CHECKS
from autograde.notebook import find_library
from autograde.records import RecordedExercise, visible
from autograde.report import SIGNS, WORDS

from .questions import PREDICTIONS, verdict_of

UNCHECKED = {"status": "missing", "score": 0.0, "why": "", "when": 0.0}


class Board(anywidget.AnyWidget):
    """A page in the side bar, which closes itself when the kernel goes."""

    _esm = Path(__file__).parent / "widgets" / "board.js"
    page = traitlets.Unicode().tag(sync=True)


@dataclass(frozen=True)
class Line:
    """One exercise on the board."""

    exercise: str
    score: float
    max_score: float
    state: str
    why: str

    @property
    def passed(self) -> bool:
        return self.score == self.max_score


def show_board() -> None:
    """Show the whole course's board as a cell's output."""
    bundle = {"text/html": page_of(None), "text/plain": "\n".join(_text(None))}
    IPython.display.display(bundle, raw=True)


def open_board(notebook: str) -> None:
    """Open one notebook's board at the side of JupyterLab; checks and predictions move it.

    Args:
        notebook: its name, e.g. "03_split_run_concatenate_project".
    """
    board = Board(page=page_of(notebook))

    def refresh() -> None:
        board.page = page_of(notebook)

    for kept in (CHECKS, PREDICTIONS):
        kept.listeners.append(refresh)
    with Sidecar(title=f"Progress {notebook[:2]}", anchor="right"):
        IPython.display.display(board)


def page_of(notebook: str | None) -> str:
    """One notebook's board as HTML; the whole course's without a name."""
    lines = _lines(notebook)
    about = "This notebook" if notebook else "Your progress, on the visible cases"
    title = f"<p><strong>{about}: {_sums(lines)}</strong></p>" if lines else ""
    items = "".join(
        f"<li><code>{escape(line.exercise)}</code> {escape(line.state)} "
        f"({line.score:g}/{line.max_score:g})"
        + (f"<br><small>{escape(line.why)}</small>" if line.why else "")
        + "</li>"
        for line in lines
    )
    below = "".join(f"<p>{escape(line)}</p>" for line in _below(lines, notebook))
    entries = _predicted(notebook)
    if entries:
        each = "".join(f"<li>{escape(_comparison(entry))}</li>" for entry in entries)
        where = "of this notebook " if notebook else ""
        below += f"<details><summary>Predictions {where}against outcomes</summary>"
        below += f"<ul>{each}</ul></details>"
    style = "line-height:1.4;white-space:normal;overflow-wrap:anywhere;padding:4px 8px"
    return f'<div role="status" style="{style}">{title}<ul>{items}</ul>{below}</div>'


def _lines(notebook: str | None) -> list[Line]:
    known, kept = visible(), CHECKS.load()[0]
    wanted = [e for e in known.values() if notebook is None or e.module == _module(notebook)]
    return [_line(exercise, kept.get(exercise.name, UNCHECKED)) for exercise in wanted]


def _module(notebook: str) -> str | None:
    """Notebook NN builds the course's NN-th module; notebook 00 builds none."""
    modules = list(dict.fromkeys(exercise.module for exercise in visible().values()))
    number = notebook[:2]
    return dict(enumerate(modules, 1)).get(int(number)) if number.isdecimal() else None


def _line(exercise: RecordedExercise, entry: dict) -> Line:
    status = entry["status"] if entry["status"] in WORDS else "missing"
    state = f"{SIGNS[status]} {WORDS[status]}"
    if not entry["when"]:
        state = "○ not checked yet"
    elif entry["when"] < _changed(exercise.module):
        state += " (file changed since)"
    return Line(exercise.name, entry["score"], exercise.points, state, entry["why"])


def _changed(module: str) -> float:
    path = find_library(Path.cwd()) / f"{module}.py"
    return path.stat().st_mtime if path.is_file() else 0.0


def _predictions() -> str:
    entries = PREDICTIONS.load()[0].values()
    known = [e for e in entries if e["choice"] is not None and e["outcome"] is not None]
    true = sum(e["choice"] == e["outcome"] for e in known if not e["late"])
    waiting = sum(e["outcome"] is None for e in entries)
    return f"Predictions: {true} of {len(known)} came true, {waiting} wait for their outcome."


def _predicted(notebook: str | None) -> list[dict]:
    """One notebook's recorded predictions; all of them without a name."""
    entries = PREDICTIONS.load()[0].values()
    return [e for e in entries if notebook in (None, e.get("notebook"))]


def _comparison(entry: dict) -> str:
    """A prediction and its outcome in a few words."""

    def words(number: int | None, without: str) -> str:
        return without if number is None else entry["options"][number].replace("`", "")

    said, came = words(entry["choice"], "nothing"), words(entry["outcome"], "not shown yet")
    question = entry["question"].replace("`", "")
    return f"{question} You said: {said}. It came: {came}. ({verdict_of(entry)})"


def _next(lines: list[Line]) -> str:
    for line in lines:
        if not line.passed:
            module = line.exercise.split(".")[0]
            return (
                f"Next: {line.exercise}, in mha_lib/{module}.py. Stuck? In a terminal: "
                f"autograde hint {line.exercise}"
            )
    if not lines:
        return "Next: notebook 01."
    if all(line.passed for line in _lines(None)):
        return "Every exercise of the course passes."
    return "Next: on to the following notebook."


def _sums(lines: list[Line]) -> str:
    passed, score = sum(line.passed for line in lines), sum(line.score for line in lines)
    total = sum(line.max_score for line in lines)
    return f"{passed} of {len(lines)} exercises pass, {score:g} of {total:g} points"


def _below(lines: list[Line], notebook: str | None) -> list[str]:
    course = [f"Whole course: {_sums(_lines(None))}."] if notebook else []
    return [_next(lines), _predictions(), *course]


def _text(notebook: str | None) -> list[str]:
    lines = _lines(notebook)
    rows = [
        f"{line.exercise}: {line.state} ({line.score:g} of {line.max_score:g} points) {line.why}"
        for line in lines
    ]
    compared = [_comparison(entry) for entry in _predicted(notebook)]
    return [_sums(lines), *(row.rstrip() for row in rows), *_below(lines, notebook), *compared]
