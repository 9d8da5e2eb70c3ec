"""Hints that unfold in steps: the idea, the shape, almost code."""

import json
from dataclasses import dataclass

from .records import RECORDED

FILE = "hints.json"


@dataclass(frozen=True)
class Hint:
    """One step: what it is about, and Markdown."""

    title: str
    text: str


def hints_of(exercise: str) -> list[Hint]:
    """The steps for one exercise, the least telling first.

    Args:
        exercise: a name that is known to exist.
    """
    recorded = json.loads((RECORDED / FILE).read_text(encoding="utf-8"))
    return [Hint(**step) for step in recorded[exercise]]
