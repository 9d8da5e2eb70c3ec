"""Item statistics as one HTML file: no scripts, nothing loaded, for the screen and for paper."""

from collections.abc import Sequence
from html import escape
from itertools import accumulate

from attention_lab.figures import BLUE, GREY, VERMILION

from .items import Item
from .similar import Alike
from .tables import HINT, MOST_SHOWN, attempts, percent, points

STYLE = f"""
:root {{ color-scheme: light dark; --line: {GREY}80; }}
body {{ font: 1rem/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  background: Canvas; color: CanvasText; }}
table {{ border-collapse: collapse; width: 100%; margin: 0 0 2rem; }}
caption, th, td {{ text-align: left; padding: .3rem .6rem .3rem 0; vertical-align: top; }}
tr {{ border-bottom: 1px solid var(--line); break-inside: avoid; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
.learners {{ overflow-wrap: anywhere; }}
svg {{ display: block; width: 100%; min-width: 8rem; height: 1.3rem; }}
.key svg {{ display: inline; width: 2rem; min-width: 0; height: 1rem; vertical-align: middle; }}
.passed {{ fill: {BLUE}; }} .failed {{ fill: url(#stripes); }}
.unfinished {{ fill: {GREY}40; }}
rect {{ stroke: {GREY}; stroke-width: .3; vector-effect: non-scaling-stroke; }}
"""
# Stripes, so that a print without colours shows the difference.
STRIPES = f"""<svg style="position:absolute;width:0;height:0;min-width:0" aria-hidden="true"><defs>
<pattern id="stripes" width="3" height="3" patternUnits="userSpaceOnUse">
<rect width="3" height="3" style="fill:{VERMILION};stroke:none"/>
<rect width="1" height="3" style="fill:#fff;fill-opacity:.6;stroke:none"/></pattern></defs></svg>"""
RESULTS = ("passed", "failed", "unfinished")


def page(
    title: str, items: Sequence[Item], similar: Sequence[Alike], notes: Sequence[str] = ()
) -> str:
    """The page. Everything that came from learners or files is escaped."""
    parts = [
        _exercises(items),
        _mistakes(items),
        _similar(similar),
        *(f"<p>{escape(note)}</p>" for note in notes),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Item statistics: {escape(title)}</title>\n<style>{STYLE}</style></head>\n"
        f"<body><main>{STRIPES}<h1>Item statistics: {escape(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _exercises(items: Sequence[Item]) -> str:
    key = ", ".join(f"{_bar([(name, 1)], name, 16)} {name}" for name in RESULTS)
    rows = []
    for item in items:
        counts = [(name, getattr(item, name)) for name in RESULTS]
        alt = f"{item.exercise}: " + ", ".join(f"{count} {name}" for name, count in counts)
        numbers = [str(item.submitted), *(str(n) for _, n in counts), points(item), attempts(item)]
        name = escape(" ".join(filter(None, (item.assignment, item.exercise))))
        cells = "".join(f'<td class="number">{escape(number)}</td>' for number in numbers)
        rows.append(f"<tr><th scope=row>{name}</th><td>{_bar(counts, alt)}</td>{cells}</tr>")
    heads = ("submitted", *RESULTS, "mean points", "attempts")
    return (
        f'<h2>Exercises</h2><table><caption class="key">Learners: {key}. Points are the mean over '
        "all who submitted, attempts the mean number of submissions in the exchange.</caption>"
        "<tr><th scope=col>exercise</th><th scope=col>share of learners, 0 to 100 %</th>"
        + "".join(f'<th scope=col class="number">{name}</th>' for name in heads)
        + "</tr>\n"
        + "\n".join(rows)
        + "</table>"
    )


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
                f"<tr><th scope=row>{escape(item.exercise)}</th><td>{escape(says)} "
                f"<code>{escape(name)}</code></td><td>{bar}</td>"
                f'<td class="number">{count} ({share:.0%})</td></tr>'
            )
    if not rows:
        return "<h2>Known mistakes</h2><p>Nobody made one.</p>"
    return (
        "<h2>Known mistakes</h2><table><caption>Striped: the share of those who submitted the "
        "exercise.</caption><tr><th scope=col>exercise</th>"
        "<th scope=col>what happened</th><th scope=col>share, 0 to 100 %</th>"
        '<th scope=col class="number">learners</th></tr>\n' + "\n".join(rows) + "</table>"
    )


def _similar(similar: Sequence[Alike]) -> str:
    rows = [
        f"<tr><th scope=row>{escape(pair.exercise)}</th>"
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
    table = (
        '<table><tr><th scope=col>exercise</th><th scope=col class="number">similarity</th>'
        "<th scope=col>learners</th><th scope=col>and</th></tr>\n" + "\n".join(rows) + "</table>"
    )
    found = table if rows else "<p>None were found.</p>"
    return f"<h2>Similar functions</h2><p>{escape(HINT)}</p>{found}{more}"
