"""What all pages have in common: one file each, no scripts, nothing loaded from anywhere."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from .links import relative

COURSE = "Multi-head attention: many lenses on the same sentence"
MADE_BY = '<meta name="generator" content="autograde site">'
STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
PLACES = {
    "index.html": "Start",
    "concept_map.html": "Concept map",
    "mha_lib.html": "Functions of mha_lib",
}

_PILCROW = re.compile(r'<a class="anchor-link".*?</a>', re.DOTALL)
_TABLE = re.compile(r"<table.*?</table>", re.DOTALL)
_HEAD = re.compile(r"<th\b")
_NAME = re.compile(r"<code>[^<]*</code>")
_FORMULA = re.compile(r'<math\b[^>]*display="block".*?</math>', re.DOTALL)
_PLACE = re.compile(r'(<h[1-6] id=")([^"]+)')
_SECTION = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>', re.DOTALL)


@dataclass(frozen=True)
class Neighbour:
    """A page that comes before or after, with its title."""

    page: str
    title: str


def page(
    path: str,
    title: str,
    body: str,
    *,
    note: str = "",
    contents: bool = False,
    before: Neighbour | None = None,
    after: Neighbour | None = None,
) -> str:
    """A whole page.

    Args:
        path: where it goes on the site.
        title, note: plain text; the note stands above the body.
        body: HTML that begins with an <h1>.
        contents: list the body's sections.
        before, after: linked below the body.
    """
    body = _TABLE.sub(_with_room, _PILCROW.sub("", body))
    body = _FORMULA.sub(r'<span class="formula" tabindex="0">\g<0></span>', body)
    body = _PLACE.sub(_Numbered(), body)
    sections = _sections(body) if contents else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{MADE_BY}\n<title>{escape(_title(path, title))}</title>\n<style>{STYLE}</style></head>\n"
        f'<body><a class="skip" href="#content">Skip to the content</a>\n<header>{_places(path)}'
        f'</header>\n<main id="content">\n'
        + (f'<p class="note">{escape(note)}</p>\n' if note else "")
        + f"{sections}{body}\n</main>\n<footer>{_neighbours(path, before, after)}"
        f"<p>{COURSE}. MIT licence.</p></footer></body></html>\n"
    )


class _Numbered:
    """Gives a second heading of the same words another id: Measure, Measure-2."""

    def __init__(self):
        self.seen: Counter[str] = Counter()

    def __call__(self, match: re.Match) -> str:
        before, place = match.groups()
        self.seen[place] += 1
        return f"{before}{place}" + (f"-{self.seen[place]}" if self.seen[place] > 1 else "")


def breakable(name: str) -> str:
    """A name, as HTML, that may break where its words end."""
    return re.sub(r"(?<=[._])(?=\w)", "<wbr>", name)


def wide(table: str, columns: int) -> str:
    """A table that scrolls on a narrow screen, so it can be reached with the keyboard."""
    return f'<div class="wide" style="--columns:{columns}" tabindex="0">{table}</div>'


def _with_room(match: re.Match) -> str:
    """A table whose names may break, and that scrolls if it has many columns."""
    table = _NAME.sub(lambda name: breakable(name.group()), match.group())
    columns = len(_HEAD.findall(table.partition("</tr>")[0]))
    table = table.replace("<th></th>", "<td></td>")  # a header must name something
    return wide(table, columns) if columns > 2 else table


def _title(path: str, title: str) -> str:
    return title if path == "index.html" else f"{title} · Multi-head attention"


def _places(path: str) -> str:
    here = ' aria-current="page"'
    links = "".join(
        f'<li><a href="{relative(place, path)}"{here if place == path else ""}>{name}</a></li>'
        for place, name in PLACES.items()
    )
    return f'<nav aria-label="Site"><ul>{links}</ul></nav>'


def _sections(body: str) -> str:
    found: Sequence[tuple[str, str]] = _SECTION.findall(body)
    items = "".join(f'<li><a href="#{place}">{title}</a></li>' for place, title in found)
    return (
        f'<nav aria-label="On this page"><details><summary>On this page</summary><ul>{items}</ul>'
        "</details></nav>\n"
    )


def _neighbours(path: str, before: Neighbour | None, after: Neighbour | None) -> str:
    links = [
        f'<a rel="{rel}" href="{relative(to.page, path)}">{way}: {escape(to.title)}</a>'
        for rel, way, to in (("prev", "Before", before), ("next", "Next", after))
        if to
    ]
    return f'<nav aria-label="Notebooks">{" ".join(links)}</nav>' if links else ""
