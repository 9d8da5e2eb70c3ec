"""Finds what the course cites: papers in running text, and the figures that stand beside them."""

import ast
import calendar
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from autograde.build.lessons import notebook_from_lesson

NAME = r"\b[A-ZÀ-Þ][\w-]*[a-zß-ÿ]"
AUTHORS = rf"{NAME}(?: et al\.|(?:, {NAME})*,? (?:&|and) {NAME})"
YEAR = r"(?:19|20)\d\d"
CITATION = re.compile(rf"({AUTHORS}|{NAME})(?:’s|'s)? \(?({YEAR})\b|({NAME} et al\.)")
ARXIV = re.compile(r"\b(\d{4}\.\d{5})\b")
QUOTED = re.compile(r"[\"“]([^\"”]+)[\"”]")
NOT_AUTHORS = {"In", "Since", "Until", "Before", "After", "By", *calendar.month_name}

# Numbers that say where something stands, not what was found.
PLACES = re.compile(
    r"\b(?:sections?|chapters?|tables?|figures?|equations?|footnotes?|appendix|notebooks?|pages?|"
    r"issues?|number|versions?|arXiv:?)\s+\d[\d.]*(?:(?:,| and|,? to|–)\s+\d[\d.]*)*",
    re.IGNORECASE,
)
# After a full stop; after one inside quotation marks unless a bracket follows ("Title?" (2019)).
SENTENCE_END = re.compile(
    r"(?:(?<=[.!?:])|(?<=[.!?:][*)])|(?<=[.!?:][\"”])(?! \()|(?<=[.!?:]\*\*))(?<!al\.) (?=[^a-z])"
)
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`", re.DOTALL)
LINK = re.compile(r"\]\([^)]*\)")
NUMBER = re.compile(r"(?<![\w.])(?<!\w-)(\d+(?:,\d{3})*(?:\.\d+)?)(?=%|×|B\b|-|(?!\w|\.\d))")


@dataclass(frozen=True)
class Citation:
    """One mention of a paper: authors as written, the year if there is one, the sentence."""

    where: str
    authors: str
    year: int | None
    sentence: str

    def __str__(self):
        return f"{self.where}: “{self.authors}{f' {self.year}' if self.year else ''}”"


@cache
def texts_of_lesson(lesson: Path) -> list[str]:
    """The passages a learner reads: markdown, and the strings of code cells."""
    texts = []
    for cell in notebook_from_lesson(lesson, solved=True).cells:
        if cell.cell_type == "markdown":
            texts.append(cell.source)
        else:
            texts += _strings(cell.source)
    return texts


@cache
def texts_of_module(path: Path) -> list[str]:
    """The strings of a Python file, docstrings included, or the text of any other file."""
    text = path.read_text(encoding="utf-8")
    return _strings(text) if path.suffix == ".py" else [text]


def sentences(text: str) -> list[str]:
    """Sentences of markdown: a row of a table and an item of a list stand for themselves."""
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:\||[-*] |\d+\. ))", text)
    joined = [" ".join(block.split()) for block in blocks]
    return [sentence for block in joined for sentence in SENTENCE_END.split(block)]


def citations(where: str, texts: list[str]) -> list[Citation]:
    """Every mention of a paper: "Author et al. 2017", "One & Other (2019, …)", "Author et al."."""
    found = []
    for sentence in [s for text in texts for s in sentences(text)]:
        for match in CITATION.finditer(sentence):
            authors = match.group(1) or match.group(3)
            if authors not in NOT_AUTHORS:
                year = int(match.group(2)) if match.group(2) else None
                found.append(Citation(where, authors, year, sentence))
    return found


def arxiv_ids(text: str) -> list[str]:
    return ARXIV.findall(text)


def figures(sentence: str) -> list[str]:
    """The numbers of a sentence, without years, places, formulas, code and links."""
    text = LINK.sub("]", FORMULA.sub(" ", sentence))
    text = ARXIV.sub(" ", PLACES.sub(" ", CITATION.sub(" ", text)))
    text = re.sub(rf"\b{YEAR}\b", " ", text)
    return [number.replace(",", "") for number in NUMBER.findall(text)]


def _strings(source: str) -> list[str]:
    """String constants; what an f-string computes is left out, being no quotation."""
    source = re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE)
    nodes = list(ast.walk(ast.parse(source)))
    templates = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for template in templates for part in ast.walk(template)}
    return [
        "".join(part.value if _is_text(part) else "…" for part in template.values)
        for template in templates
    ] + [node.value for node in nodes if _is_text(node) and id(node) not in inside]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
