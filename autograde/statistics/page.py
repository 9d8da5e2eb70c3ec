"""Item statistics as one HTML file: no scripts, nothing loaded, for the screen and for paper."""

from collections.abc import Sequence
from html import escape
from itertools import accumulate, groupby
from pathlib import Path

from attention_lab.figures import BLUE, GREY, VERMILION
from autograde.build.site.page import MADE_BY, STYLE, breakable, wide
from autograde.errors import AutogradeError
from autograde.journal import write_whole

from .items import Item
from .similar import Alike
from .tables import HINT, MOST_SHOWN, attempts, percent, points

OURS = f"""
main {{ max-width: 72rem; }}
main table {{ width: 100%; }}
.wide table {{ min-width: calc(var(--columns) * 5.5rem); }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
td.number {{ white-space: nowrap; }}
.learners {{ overflow-wrap: anywhere; }}
svg {{ display: block; width: 100%; min-width: 8rem; height: 1.3rem; }}
.key svg {{ display: inline; width: 2rem; min-width: 0; height: 1rem; vertical-align: middle; }}
.passed {{ fill: {BLUE}; }} .failed {{ fill: url(#stripes); }}
.unfinished {{ fill: {GREY}40; }}
rect {{ stroke: {GREY}; stroke-width: .3; vector-effect: non-scaling-stroke; }}
@media print {{
  table {{ font-size: .8rem; }} th, td {{ padding-right: .4rem; }} svg {{ min-width: 5rem; }}
}}
"""
# Stripes, so that a print without colours shows the difference.
STRIPES = f"""<svg style="position:absolute;width:0;height:0;min-width:0" aria-hidden="true"><defs>
<pattern id="stripes" width="3" height="3" patternUnits="userSpaceOnUse">
<rect width="3" height="3" style="fill:{VERMILION};stroke:none"/>
<rect width="1" height="3" style="fill:#fff;fill-opacity:.6;stroke:none"/></pattern></defs></svg>"""
RESULTS = ("passed", "failed", "unfinished")


def write_page(path: Path, text: str) -> None:
    """Write the page, but never among the pages that learners get.

    Raises:
        AutogradeError: if it would lie there, or can't be written.
    """
    for folder in path.resolve().parents:
        front = folder / "index.html"
        if front.is_file() and MADE_BY in front.read_text(encoding="utf-8", errors="replace"):
            raise AutogradeError(
                f"{folder} is the site for learners, and this page names them: write it elsewhere."
            )
    write_whole(path, text)


def page(
    title: str, items: Sequence[Item], similar: Sequence[Alike], notes: Sequence[str] = ()
) -> str:
    """The page, in the look of the site. All that came from learners or files is escaped."""
    assignments = {
        name: list(group) for name, group in groupby(items, key=lambda item: item.assignment)
    }
    parts = [
        f"<h1>Item statistics: {escape(title)}</h1>",
        '<p class="note">For instructors: this page names learners.</p>',
        *(f"<p>{escape(note)}</p>" for note in notes),
        _index(assignments) if len(assignments) > 1 else "",
        *(_assignment(number, *pair) for number, pair in enumerate(assignments.items())),
        _similar(similar),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Item statistics: {escape(title)}</title>\n<style>{STYLE}{OURS}</style></head>\n"
        f'<body>{STRIPES}<main id="content">' + "\n".join(parts) + "\n</main></body></html>\n"
    )


def _index(assignments: dict[str, list[Item]]) -> str:
    """A line an assignment, which leads to its section."""
    rows = []
    for number, (name, items) in enumerate(assignments.items()):
        counts = [(result, sum(getattr(item, result) for item in items)) for result in RESULTS]
        alt = f"{name}: " + ", ".join(f"{count} {result}" for result, count in counts)
        learners = max(item.submitted for item in items)
        mean, most = (sum(getattr(i, f) for i in items) for f in ("mean_points", "max_points"))
        rows.append(
            f'<tr><th scope=row><a href="#assignment-{number}">{escape(name)}</a></th>'
            f'<td>{_bar(counts, alt)}</td><td class="number">{learners}</td>'
            f'<td class="number">{mean:.2f} of {most:g}</td></tr>'
        )
    return "<h2>Assignments</h2>" + _table(
        f"{_key('Functions of all learners')} Points are for functions.",
        ("assignment", "share, 0 to 100 %", "learners", "mean points"),
        rows,
    )


def _assignment(number: int, name: str, items: list[Item]) -> str:
    heading = f'<h2 id="assignment-{number}">{escape(name or "Exercises")}</h2>'
    return heading + _exercises(items) + _mistakes(items)


def _exercises(items: Sequence[Item]) -> str:
    rows = []
    for item in items:
        counts = [(name, getattr(item, name)) for name in RESULTS]
        alt = f"{item.exercise}: " + ", ".join(f"{count} {name}" for name, count in counts)
        numbers = [str(item.submitted), *(str(n) for _, n in counts), points(item), attempts(item)]
        cells = "".join(f'<td class="number">{escape(number)}</td>' for number in numbers)
        rows.append(f"<tr>{_named(item.exercise)}<td>{_bar(counts, alt)}</td>{cells}</tr>")
    return "<h3>Exercises</h3>" + _table(
        f"{_key('Learners')} Points are the mean over all who submitted, attempts the mean number "
        "of submissions of the assignment in the exchange.",
        ("exercise", "share, 0 to 100 %", "submitted", *RESULTS, "mean points", "attempts"),
        rows,
    )


def _key(what: str) -> str:
    bars = ", ".join(f"{_bar([(name, 1)], name, 16)} {name}" for name in RESULTS)
    return f'<span class="key">{what}: {bars}.</span>'


def _table(caption: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    """One with room of its own: on a narrow screen it scrolls."""
    numbers = ("submitted", *RESULTS, "learners", "mean points", "attempts", "similarity")
    cells = "".join(
        f"<th scope=col{' class=number' if head in numbers else ''}>{head}</th>" for head in heads
    )
    table = f"<table><tr>{cells}</tr>\n" + "\n".join(rows) + "</table>"
    return f"<p>{caption}</p>{wide(table, len(heads))}"


def _named(exercise: str) -> str:
    """The head of a row; a long name may break where its words end."""
    return f"<th scope=row>{breakable(escape(exercise))}</th>"


def _bar(counts: list[tuple[str, int]], alt: str, length: int = 100) -> str:
    """A bar whose parts are the shares of the counts."""
    total = sum(count for _, count in counts)
    widths = [length * count / total for _, count in counts]
    parts = "".join(
        f'<rect class="{name}" x="{end - width:.2f}" width="{width:.2f}" height="10"/>'
        for (name, _), width, end in zip(counts, widths, accumulate(widths), strict=True)
        if width
    )
    return (
        f'<svg viewBox="0 0 {length} 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(alt)}">{parts}</svg>'
    )


def _mistakes(items: Sequence[Item]) -> str:
    rows = []
    for item in items:
        for name, count in item.misconceptions.items():
            says, share = item.explanation(name), count / item.submitted
            alt = f"{count} of {item.submitted} learners"
            bar = _bar([("failed", count), ("unfinished", item.submitted - count)], alt)
            rows.append(
                f"<tr>{_named(item.exercise)}<td>{escape(says)} "
                f"<code>{escape(name)}</code></td><td>{bar}</td>"
                f'<td class="number">{count} ({share:.0%})</td></tr>'
            )
    if not rows:
        return "<h3>Known mistakes</h3><p>Nobody made one.</p>"
    return "<h3>Known mistakes</h3>" + _table(
        "Striped: the share of those who submitted the exercise.",
        ("exercise", "what happened", "share, 0 to 100 %", "learners"),
        rows,
    )


def _similar(similar: Sequence[Alike]) -> str:
    rows = [
        f"<tr>{_named(pair.exercise)}"
        f'<td class="number">{percent(pair.similarity)}</td>'
        + "".join(
            f'<td class="learners">{escape(", ".join(side))}</td>'
            for side in (pair.one, pair.other)
        )
        + "</tr>"
        for pair in similar[:MOST_SHOWN]
    ]
    left = len(similar) - MOST_SHOWN
    more = f"<p>{left} more are not shown.</p>" if left > 0 else ""
    heads = ("exercise", "similarity", "written by", "and by")
    found = _table(escape(HINT), heads, rows) if rows else "<p>None were found.</p>"
    return f"<h2>Similar functions</h2>{found}{more}"
