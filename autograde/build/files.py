"""Everything that is made from `solutions/`, as a table of path -> content, and its drift check."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from nbformat import NotebookNode
from safetensors.torch import load

from autograde import hints
from autograde.exercises import EXERCISES

from .concept_map import concept_map
from .hints import recorded_hints
from .hosted import public_address, with_hosts
from .lessons import notebook_from_lesson, notebook_text
from .records import recorded_files
from .strip import strip_module

ROOT = Path(__file__).resolve().parents[2]
MODULE_NAMES = list(dict.fromkeys(exercise.module for exercise in EXERCISES.values()))
LESSONS = ROOT / "solutions" / "lessons"

PACKAGE_DOCSTRING = (
    '"""Your attention library: fill in the functions, one notebook after another."""\n'
)


def lessons() -> list[Path]:
    return sorted(LESSONS.glob("[0-9][0-9]_*.py"))


def notebook_path(lesson: Path) -> str:
    """Where a lesson's notebook lies in the repository."""
    return f"notebooks/{lesson.stem}.ipynb"


def learners_notebook(lesson: Path) -> NotebookNode:
    """The notebook that lies in the repository and on the site."""
    return with_hosts(notebook_from_lesson(lesson), notebook_path(lesson), public_address())


def stub(module: str) -> str:
    """The learner's version of one module."""
    return strip_module((ROOT / "solutions" / f"{module}.py").read_text(encoding="utf-8"))


def built_files() -> dict[str, str | bytes]:
    """Path below the repository -> content, of every file that `autograde build` writes."""
    files: dict[str, str | bytes] = {"mha_lib/__init__.py": PACKAGE_DOCSTRING}
    for module in MODULE_NAMES:
        files[f"mha_lib/{module}.py"] = stub(module)
    for lesson in lessons():
        files[notebook_path(lesson)] = notebook_text(learners_notebook(lesson))
    files["docs/concept_map.md"] = concept_map(lessons())
    recorded = {**recorded_files(), hints.FILE: recorded_hints()}
    for name, content in recorded.items():
        files[f"autograde/recorded/{name}"] = content
    return files


def drift(root: Path = ROOT) -> dict[str, str | bytes]:
    """The built files that are missing below `root` or differ there, with what they should be."""
    return {path: made for path, made in built_files().items() if not _same(root / path, made)}


def write_built(root: Path = ROOT) -> list[str]:
    """Write what differs, and nothing else; returns the paths written."""
    changed = drift(root)
    for path, content in changed.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(changed)


def _same(path: Path, made: str | bytes) -> bool:
    """Equal text; recorded numbers may differ in the last digits from one processor to another."""
    if not path.is_file():
        return False
    if isinstance(made, bytes):
        return _same_tensors(load(path.read_bytes()), load(made))
    there = path.read_text(encoding="utf-8")
    if path.parent.name == "recorded":
        return _same_numbers(json.loads(there), json.loads(made))
    return there == made


def _same_tensors(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and np.allclose(one[name].double(), other[name].double(), rtol=1e-9, atol=1e-12)
        for name in one
    )


def _same_numbers(one: Any, other: Any) -> bool:
    if float in (type(one), type(other)) and {type(one), type(other)} <= {int, float}:
        return bool(np.isclose(one, other, rtol=1e-4, atol=1e-5))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same_numbers, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same_numbers(one[k], other[k]) for k in one)
    return one == other
