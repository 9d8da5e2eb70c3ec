"""Show results to people: as text, as HTML, as a table in the terminal."""

from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path

from rich.markup import escape as escape_markup
from rich.table import Table

from .kept import COUNTS
from .results import ExerciseResult
from .source import Excerpt

WORDS = {
    "passed": "passed",
    "failed": "not right yet",
    "error": "raised an error",
    "timeout": "took too long",
    "missing": "not written yet",
}
# Shape as well as colour: a tick and a cross read the same without red and green.
SIGNS = {"passed": "✓", "failed": "✗", "error": "✗", "timeout": "✗", "missing": "○"}
COLOURS = {"passed": "#0072B2", "missing": "#808080"}  # the rest: vermilion
WRONG = "#D55E00"

# Of a failed message: where the explanation begins, which of its lines say what to do, and the
# lines that are details of a fault.
EXPLAINED = ("What happened: ", "No case can tell these apart", "This case alone looks like")
TOLD = (*EXPLAINED, "Hint: ", "  - ")
DETAILS = (*COUNTS, "Called with ", "  File ", "    ", "(The reference answered")

# Lines and indentation stay, words do not break.
MESSAGE_STYLE = "white-space:pre-wrap;word-break:normal;font-family:inherit;margin:4px 0"


def headline(result: ExerciseResult) -> str:
    points = f"{result.score:g} of {result.max_score:g} points"
    return f"{SIGNS[result.status]} {result.exercise}: {WORDS[result.status]} ({points})"


def result_text(result: ExerciseResult) -> str:
    return f"{headline(result)}\n{result.message}"


def result_html(result: ExerciseResult, source: Excerpt | None = None) -> str:
    """The message as HTML without scripts; everything that came from a submission is escaped.

    Args:
        source: the learner's own function, shown beneath.
    """
    colour = COLOURS.get(result.status, WRONG)
    shown = ""
    if source:
        summary = f"Your <code>{escape(result.exercise)}</code>"
        shown = f"<details open><summary>{summary}</summary>{source_html(source)}</details>"
    mistake = ""
    if result.misconception:
        mistake = f"<p>Known mistake: <code>{escape(result.misconception)}</code></p>"
    return (
        f'<div role="status" style="border-left:4px solid {colour};padding:0 0 0 12px">'
        f'<p style="margin:0"><strong>{escape(headline(result))}</strong></p>'
        f'<pre style="{MESSAGE_STYLE}">{escape(result.message)}</pre>'
        f"{mistake}{shown}</div>"
    )


def source_html(source: Excerpt) -> str:
    """Numbered lines; below a marked one stands, in words, what is known of it."""
    width = len(str(source.lines[-1].number))
    below, parts, expected = " " * (width + 2), [], source.lines[0].number
    for number, text, why in source.lines:
        if number != expected:
            parts.append(f"{below}⋮\n")
        line = f"{number:>{width}}  {escape(text)}\n"
        parts.append(f"<mark>{line}{below}↑ {escape(why)}\n</mark>" if why else line)
        expected = number + 1
    return f"<pre>{''.join(parts)}</pre>"


def in_short(status: str, message: str) -> list[str]:
    """What went wrong and the hint, in a line each: the message of a result without its details.

    Of a passed exercise, the remarks.
    """
    lines = [line for line in message.splitlines() if line.strip()]
    if status == "passed":
        return [line for line in lines if line.startswith("Remark: ")]
    explained = [i for i, line in enumerate(lines) if line.startswith(EXPLAINED)]
    if explained:  # the last one: before it a learner's own error may say anything
        return [line.strip() for line in lines[explained[-1] :] if line.startswith(TOLD)]
    return [line.strip() for line in lines if not line.startswith(DETAILS)][:3]


def results_table(results: dict[str, ExerciseResult], title: str) -> Table:
    """A line an exercise, for a terminal of 80 columns; a known mistake has a line of its own."""
    table = Table(title=title, title_justify="left")
    table.add_column("exercise", no_wrap=True)
    table.add_column("points", justify="right")
    table.add_column("outcome", overflow="fold")
    for result in results.values():
        outcome = f"{SIGNS[result.status]} {WORDS[result.status]}"
        if result.misconception:
            outcome += f":\n{result.misconception}"
        table.add_row(result.exercise, f"{result.score:g}/{result.max_score:g}", outcome)
    return table


def class_table(graded: dict[Path, dict[str, ExerciseResult]]) -> Table:
    """A line a submission: points, and what went wrong."""
    table = Table(title="Grades", title_justify="left")
    for column in ("submission", "points", "not passed"):
        table.add_column(column, justify="right" if column == "points" else "left", overflow="fold")
    for path, results in graded.items():
        score, total = (
            sum(getattr(r, f) for r in results.values()) for f in ("score", "max_score")
        )
        wrong = [
            f"{r.exercise}: {r.misconception or WORDS[r.status]}"
            for r in results.values()
            if r.status not in ("passed", "missing")
        ]
        if missing := sum(r.status == "missing" for r in results.values()):
            wrong.append(f"{missing} {WORDS['missing']}")
        name = repr(str(path))[1:-1]  # which may hold anything, line breaks and brackets too
        table.add_row(escape_markup(name), f"{score:g}/{total:g}", "\n".join(wrong))
    return table


def summary_tables(graded: dict[Path, dict[str, ExerciseResult]], faults: int) -> Iterator[Table]:
    """What became of a class's submissions; and its known mistakes, the most frequent first.

    Args:
        faults: submissions that could not be graded.
    """
    statuses = [{result.status for result in results.values()} for results in graded.values()]
    lines = {
        "graded": len(graded),
        "… all exercises passed": sum(found == {"passed"} for found in statuses),
        "… with an exercise that is not right": sum("failed" in found for found in statuses),
        "… with one that raised an error": sum("error" in found for found in statuses),
        "… with one that took too long": sum("timeout" in found for found in statuses),
        "… with one not written yet": sum("missing" in found for found in statuses),
        "not graded": faults,
    }
    table = Table("", "submissions", title="Summary", title_justify="left")
    table.columns[1].justify = "right"
    for line, count in lines.items():
        table.add_row(line, str(count))
    yield table
    outcomes = (result for results in graded.values() for result in results.values())
    mistakes = Counter((r.exercise, r.misconception) for r in outcomes if r.misconception)
    if mistakes:
        table = Table("exercise", "known mistake", "submissions", title="Known mistakes")
        table.title_justify, table.columns[2].justify = "left", "right"
        for (exercise, name), count in mistakes.most_common():
            table.add_row(exercise, name, str(count))
        yield table
