"""Item statistics in the terminal and as CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields

from rich.markup import escape
from rich.table import Table

from .items import Item
from .similar import FEWEST_TOKENS, THRESHOLD, Alike

# Said wherever similar functions are listed.
HINT = (
    "A hint for you to look at, not a verdict: learners who work together, follow the same text or "
    "think alike write alike. Compared without names, words, comments and layout; functions of "
    f"fewer than {FEWEST_TOKENS} tokens and similarities below {THRESHOLD:.0%} are left out."
)
MOST_SHOWN = 100


def items_table(items: Sequence[Item]) -> Table:
    """A line an exercise."""
    table = Table(title="Exercises", title_justify="left")
    named = any(item.assignment for item in items)
    for column in ("assignment", "exercise") if named else ("exercise",):
        table.add_column(column, overflow="fold")
    for column in ("submitted", "passed", "failed", "unfinished", "mean points", "attempts"):
        table.add_column(column, justify="right")
    for item in items:
        counts = (item.submitted, item.passed, item.failed, item.unfinished)
        names = [escape(item.assignment), item.exercise] if named else [item.exercise]
        table.add_row(*names, *map(str, counts), points(item), attempts(item))
    return table


def points(item: Item) -> str:
    return f"{item.mean_points:.2f} of {item.max_points:g}"


def attempts(item: Item) -> str:
    return "" if item.mean_attempts is None else f"{item.mean_attempts:.1f}"


def mistakes_table(items: Sequence[Item]) -> Table:
    """A line a known mistake that somebody made."""
    table = Table(title="Known mistakes", title_justify="left")
    for column in ("exercise", "learners", "what happened"):
        table.add_column(column, justify="right" if column == "learners" else "left")
    for item in items:
        for name, count in item.misconceptions.items():
            says = item.explanation(name)
            table.add_row(item.exercise, str(count), escape(f"{says} ({printable(name)})"))
    return table


def similar_table(similar: Sequence[Alike]) -> Table:
    """A line for each two groups of learners whose functions resemble each other."""
    left = len(similar) - MOST_SHOWN
    more = f" {left} more are not shown." if left > 0 else ""
    table = Table(title="Similar functions", caption=HINT + more, caption_justify="left")
    table.title_justify = "left"
    for column in ("exercise", "similarity", "learners", "and"):
        table.add_column(column, justify="right" if column == "similarity" else "left")
    for pair in similar[:MOST_SHOWN]:
        one, other = (escape(printable(", ".join(side))) for side in (pair.one, pair.other))
        table.add_row(pair.exercise, percent(pair.similarity), one, other)
    return table


def percent(similarity: float) -> str:
    """Rounded down: 100 % means equal."""
    return f"{int(100 * similarity)} %"


def printable(text: str) -> str:
    """What learners named, without line breaks, control characters and the like."""
    return repr(text)[1:-1]


def as_csv(items: Sequence[Item]) -> str:
    """A line an exercise; `misconceptions` holds "id: learners", separated by semicolons."""
    columns = [field.name for field in fields(Item)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for item in items:
        mistakes = "; ".join(f"{name}: {count}" for name, count in item.misconceptions.items())
        rounded = {"mean_points": round(item.mean_points, 4), "mean_attempts": attempts(item)}
        writer.writerow(asdict(item) | rounded | {"misconceptions": mistakes})
    return text.getvalue()
