"""Read a learner's source without running it."""

import ast
import re
from functools import lru_cache
from pathlib import Path

from .loading import LARGEST_MODULE, PACKAGE


def function_source(directory: Path, exercise: str) -> str | None:
    """The learner's text of one function, decorators and all; None where there is none to show.

    Args:
        directory: the folder that holds `mha_lib/`.
        exercise: "module.function".
    """
    module, function = exercise.split(".")
    text = module_text(directory, module)
    if text is None:
        return None
    tree = _parse(text)
    if tree is None:
        return text
    node = _definition(tree, function)
    if node is None:
        return None
    first = min([node.lineno, *[d.lineno for d in node.decorator_list]])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


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
    called = _library_calls(node, names) if node else []
    if not called:
        return None
    return f"Remark: this calls the library's own {', '.join(called)}; the exercise is to build it."


def _library_calls(function: ast.FunctionDef, names: tuple[str, ...]) -> list[str]:
    called = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called.add(node.func.attr)
    return [name for name in names if name in called]
