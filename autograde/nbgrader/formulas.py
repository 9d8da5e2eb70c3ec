"""Formulas on nbgrader's pages without network: TeX in markdown becomes MathML.

Browsers draw MathML themselves. nbgrader's own pages load MathJax from elsewhere, and so fail
offline. What a learner writes goes through here too, so nothing leaves that is not plain MathML.
"""

import re
from html import unescape
from xml.etree import ElementTree

from latex2mathml.converter import convert
from nbconvert.filters import markdown2html

MATHML = "http://www.w3.org/1998/Math/MathML"
# fmt: off
TAGS = {
    "math", "mrow", "mi", "mo", "mn", "mtext", "mspace", "msup", "msub", "msubsup", "mfrac",
    "msqrt", "mroot", "mtable", "mtr", "mtd", "munder", "mover", "munderover", "mstyle", "mpadded",
    "mphantom",
}
ATTRIBUTES = {
    "display", "displaystyle", "scriptlevel", "mathvariant", "stretchy", "fence", "form", "accent",
    "accentunder", "separator", "symmetric", "movablelimits", "minsize", "maxsize", "lspace",
    "rspace", "width", "height", "depth", "linethickness", "columnalign", "columnlines",
    "columnspacing", "rowspacing", "rowlines",
}
# fmt: on

_CODE = re.compile(r"(<pre.*?</pre>|<code.*?</code>)", re.DOTALL)
_FORMULA = re.compile(
    r"\$\$(.+?)\$\$|(?<![\\$])\$(?!\s)((?:[^$\n]|\n(?!\n))+?)(?<!\s)\$(?!\d)", re.DOTALL
)

ElementTree.register_namespace("", MATHML)


def markdown_with_formulas(source: str) -> str:
    """Render markdown as nbconvert does, and its formulas as MathML."""
    parts = _CODE.split(markdown2html(source))
    parts[::2] = [_FORMULA.sub(_draw, part) for part in parts[::2]]
    return "".join(parts)


def _draw(match: re.Match) -> str:
    block, inline = match.groups()
    mathml = to_mathml(unescape(block or inline), "block" if block else "inline")
    return mathml or match.group()


def to_mathml(tex: str, display: str) -> str | None:
    """Turn TeX into MathML, or None when it can't be, or would be more than a formula."""
    try:
        root = ElementTree.fromstring(convert(tex, display=display))
    except Exception:  # the converter raises whatever it stumbles over
        return None
    for element in root.iter():
        name = element.tag.removeprefix(f"{{{MATHML}}}")
        if name not in TAGS or not ATTRIBUTES.issuperset(element.attrib):
            return None
    return ElementTree.tostring(root, encoding="unicode")


def unchanged(html: str) -> str:
    """A filter that does nothing, in place of one that should not run."""
    return html
