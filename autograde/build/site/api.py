"""The page about `mha_lib`: signatures and docstrings of the stubs, read and not run."""

import ast
import re
from html import escape

from ..concept_map import CoreIdea
from ..files import MODULE_NAMES, stub


def api_body(ideas: list[CoreIdea]) -> str:
    """HTML: a section a module, an article a function."""
    notebooks = {name.split(".")[0]: idea for idea in ideas for name in idea.exercises}
    contents = "".join(map(_contents, MODULE_NAMES, notebooks.values()))
    return (
        "<h1>The functions of <code>mha_lib</code></h1>\n"
        "<p>What you build, one module a notebook: signatures and docstrings of the files that "
        f"you fill in.</p>\n<dl>{contents}</dl>\n"
        + "".join(_module(name, notebooks[name]) for name in MODULE_NAMES)
    )


def _contents(module: str, idea: CoreIdea) -> str:
    mine = [name for name in idea.exercises if name.startswith(f"{module}.")]
    links = ", ".join(f'<a href="#{n}"><code>{n.split(".")[1]}</code></a>' for n in mine)
    return f'<dt><a href="#{module}"><code>{module}</code></a></dt><dd>{links}</dd>'


def _module(name: str, idea: CoreIdea) -> str:
    source = stub(name)
    tree = ast.parse(source)
    functions = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and f"{name}.{node.name}" in idea.exercises
    ]
    return (
        f'<section><h2 id="{name}"><code>mha_lib.{name}</code></h2>\n'
        f"<p>{_text(ast.get_docstring(tree))} Built in "
        f'<a href="notebooks/{idea.lesson}.ipynb">{escape(idea.title)}</a>.</p>\n'
        + "".join(_function(name, node, source.split("\n")) for node in functions)
        + "</section>\n"
    )


def _function(module: str, node: ast.FunctionDef, lines: list[str]) -> str:
    signature = "\n".join(lines[node.lineno - 1 : node.body[0].lineno - 1])
    summary, _, rest = ast.get_docstring(node).partition("\n\n")
    return (
        f'<article id="{module}.{node.name}"><h3><code>{node.name}</code></h3>\n'
        f'<pre class="signature">{escape(signature)}</pre>\n'
        f'<p>{_text(summary)}</p>\n<pre class="docstring">{_text(rest)}</pre></article>\n'
    )


def _text(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
