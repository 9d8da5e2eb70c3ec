"""Formulas on the feedback and formgrader pages: drawn without network, and harmless."""

import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from autograde.nbgrader.formulas import ATTRIBUTES, TAGS, markdown_with_formulas, to_mathml
from autograde.nbgrader.notebooks import defuse

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_formulas_become_mathml_and_code_stays():
    html = markdown_with_formulas(
        "Divide by $\\sqrt d$, not `$x$`:\n\n$$\\frac{a}{b}$$\n\n    $y$\n"
    )
    assert html.count("<math") == 2
    assert "<msqrt>" in html and 'display="block"' in html
    assert "<code>$x$</code>" in html and "$y$" in html


def test_money_is_no_formula():
    assert "<math" not in markdown_with_formulas("It costs 5$ and then 6$ more, or $ 7 $.")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_formula_of_the_course_is_drawn(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            html = markdown_with_formulas(cell.source)
            left = re.sub(r"<(pre|code|math).*?</\1>", "", html, flags=re.DOTALL)
            assert "$" not in left, left


@pytest.mark.parametrize(
    "tex",
    [
        r"\text{<script>alert(1)</script>}",
        r"\text{&lt;img src=x onerror=alert(1)&gt;}",
        r"\href{javascript:alert(1)}{x}",
        r"\style{background:url(http://a)}{x}",
        r"\class{x}{y}",
        r"x</math><script>alert(1)</script>",
        r"\unknown{",
    ],
)
def test_nothing_but_mathml_comes_out(tex):
    found = Elements()
    found.feed(to_mathml(tex, "inline") or "")
    assert {tag for tag, _ in found.elements} <= TAGS
    assert {name for _, names in found.elements for name in names} <= ATTRIBUTES | {"xmlns"}
    page = Elements()
    page.feed(markdown_with_formulas(f"an answer: `code` ${defuse(tex)}$"))
    assert {tag for tag, _ in page.elements} <= TAGS | {"p", "code"}


class Elements(HTMLParser):
    """The elements of a page, as a browser would see them: name and names of attributes."""

    def __init__(self):
        super().__init__()
        self.elements = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, [name for name, _ in attrs]))
