"""Links that open a notebook in Colab or Binder, and its first cell, which sets Colab up.

They need the repository's public address. It stands in pyproject.toml alone, as `Repository` under
`[project.urls]`; as long as it doesn't, notebooks have neither. (Binder needs no cell: it installs
environment.yml.) The links are text: a badge's picture would be loaded from elsewhere.
"""

import re
import tomllib
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograde.errors import AutogradeError

ROOT = Path(__file__).resolve().parents[2]
BRANCH = "main"
FOLDER = "multi-head-attention"  # of the copy in a Colab runtime

LINKS = """\
[Open in Colab](https://colab.research.google.com/github/{name}/blob/{branch}/{path}) ·
[Open in Binder](https://mybinder.org/v2/gh/{name}/{branch}?urlpath=lab/tree/{path})

What you write there is lost when the session ends: in Colab unless it lies in your Google Drive
(the next cell says how), in Binder unless you download `mha_lib`.
"""
SET_UP = """\
# In Colab this fetches the course, which takes a minute; elsewhere it does nothing.
import sys

if "google.colab" in sys.modules and "autograde" not in sys.modules:
    !test -d {folder} || git clone --quiet --depth 1 --branch {branch} {address} {folder}
    %run {folder}/colab.py"""


def public_address() -> str | None:
    """The repository's address as pyproject.toml has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository")


def with_hosts(notebook: NotebookNode, path: str, address: str | None) -> NotebookNode:
    """A notebook whose title is followed by the links and the cell; the same without an address.

    Args:
        notebook: begins with its title; left as it is.
        path: of the notebook in the repository.
        address: https://github.com/OWNER/NAME.

    Raises:
        AutogradeError: if Colab cannot open a notebook from that address.
    """
    if address is None:
        return notebook
    links = nbformat.v4.new_markdown_cell(_links(path, address), id="hosts")
    set_up = nbformat.v4.new_code_cell(set_up_cell(address), id="set-up")
    title, *rest = notebook.cells
    return nbformat.from_dict({**notebook, "cells": [title, links, set_up, *rest]})


def set_up_cell(address: str) -> str:
    """The source of the first code cell; `address` is one that git can clone."""
    return SET_UP.format(folder=FOLDER, branch=BRANCH, address=address)


def _links(path: str, address: str) -> str:
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(\.git)?/?", address)
    if not found:
        raise AutogradeError(
            f"Colab opens notebooks from GitHub: {address!r} is not https://github.com/OWNER/NAME."
        )
    return LINKS.format(name=found.group(1), branch=BRANCH, path=path).rstrip()
