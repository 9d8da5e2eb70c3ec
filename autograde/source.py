"""Read a learner's source without running it."""

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from .loading import LARGEST_MODULE, PACKAGE

# What moves the cursor, clears the screen or turns writing round, in a learner's own words.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
AROUND = 8  # lines shown above and below one that Python cannot read

_FRAME = re.compile(rf'^  File "({PACKAGE}/[^"\n]+)", line (\d+)', re.MULTILINE)


class Line(NamedTuple):
    """One line of a learner's module; `why` says what is known of it, if anything is."""

    number: int
    text: str
    why: str = ""


@dataclass(frozen=True)
class Excerpt:
    """Lines of one file of a learner, e.g. of "mha_lib/heads.py"."""

    file: str
    lines: tuple[Line, ...]

    @property
    def marked(self) -> bool:
        return any(line.why for line in self.lines)


def function_source(
    directory: Path, exercise: str, message: str = "", library_calls: tuple[str, ...] = ()
) -> Excerpt | None:
    """The learner's text of one function, decorators and all; None where there is none to show.

    A line is marked when it is known to be the one concerned: it is in the learner's traceback, or
    calls the library's own version. A wrong value names no line. Statements of the same file that
    the traceback leads through, e.g. a helper, are shown too.

    Args:
        directory: the folder that holds `mha_lib/`.
        exercise: "module.function".
        message: of its result, with the learner's traceback if there is one.
        library_calls: spellings of the library's version that were remarked on.
    """
    module, function = exercise.split(".")
    text = module_text(directory, module)
    if text is None:
        return None
    file, tree, lines = f"{PACKAGE}/{module}.py", _parse(text), text.split("\n")
    whys = _in_traceback(message, file)
    if tree is None:
        spans = [_around(min(whys, default=None), len(lines))]
    elif node := _definition(tree, function):
        calls = _library_calls(node, library_calls)
        whys = {number: f"calls the library's own {name}" for number, name in calls} | whys
        spans = [_span(node), *(span for n in tree.body if (span := _span(n)) & whys.keys())]
    else:
        return None
    shown = sorted(set().union(*spans))
    return Excerpt(
        file, tuple(Line(n, CONTROL.sub("�", lines[n - 1]), whys.get(n, "")) for n in shown)
    )


def _in_traceback(message: str, file: str) -> dict[int, str]:
    """Numbers of the lines of a file that a traceback names -> what each has to do with it."""
    frames = [(name, int(number[:9])) for name, number in _FRAME.findall(message)]
    whys = {number: "on the way to the error" for name, number in frames if name == file}
    if frames and frames[-1][0] == file:
        whys[frames[-1][1]] = "the error comes from this line"
    return whys


def _around(line: int | None, number: int) -> set[int]:
    """The lines to show of a file that is no Python: all, if none is known to be the culprit."""
    if line is None or line > number:
        return set(range(1, number + 1))
    return set(range(max(line - AROUND, 1), min(line + AROUND, number) + 1))


def _span(node: ast.stmt) -> set[int]:
    """The lines of a statement with its decorators."""
    first = min([node.lineno, *[d.lineno for d in getattr(node, "decorator_list", [])]])
    return set(range(first, node.end_lineno + 1))


def _definition(tree: ast.Module, function: str) -> ast.FunctionDef | None:
    found = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
    return next(found, None)


@lru_cache(maxsize=4)  # the exercises of a module come one after another
def _parse(text: str) -> ast.Module | None:
    """The tree of a text; None if it is no Python, or nested deeper than the parser goes."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def module_text(directory: Path, module: str) -> str | None:
    """The text of one module; None if it is missing, a link, too large or no text."""
    path = directory / PACKAGE / f"{module}.py"
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        return None
    if path.stat().st_size > LARGEST_MODULE:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def library_remark(text: str | None, exercise: str, names: tuple[str, ...]) -> str | None:
    """Say that a function calls the library's own version of what was to be built, if it does.

    Advice, not a deduction, and a look at the text, not a proof.

    Args:
        text: of the learner's module.
        names: spellings of the library's version, e.g. "softmax" for torch.softmax.
    """
    spelled = rf"\.[\s\\]*({'|'.join(names)})\b"  # most modules need no parser
    tree = _parse(text) if text and names and re.search(spelled, text) else None
    node = _definition(tree, exercise.split(".")[1]) if tree else None
    called = {name for _, name in _library_calls(node, names)} if node else ()
    if not called:
        return None
    listed = ", ".join(name for name in names if name in called)
    return f"Remark: this calls the library's own {listed}; the exercise is to build it."


def _library_calls(function: ast.FunctionDef, names: tuple[str, ...]) -> list[tuple[int, str]]:
    """The calls of any of the names: number of the line, and the name."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    attributes = [node for node in calls if isinstance(node, ast.Attribute)]
    return [(node.end_lineno, node.attr) for node in attributes if node.attr in names]
