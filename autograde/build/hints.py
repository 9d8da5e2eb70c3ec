"""Hints have one source, `solutions/hints/<module>.md`: a heading an exercise, one a step below it.

The build unfolds them in the notebooks, where a lesson says `[hints: module.function]`, and records
them for `autograde hint`.
"""

import json
import re
from dataclasses import asdict
from functools import cache
from html import escape
from pathlib import Path

from autograde.errors import AutogradeError
from autograde.hints import Hint

FOLDER = Path(__file__).resolve().parents[2] / "solutions" / "hints"
MARKER = re.compile(r"^\[hints: (.+)\]$", re.MULTILINE)


@cache
def written_hints() -> dict[str, list[Hint]]:
    """Exercise -> its hints, of all modules."""
    found = {}
    for path in sorted(FOLDER.glob("*.md")):
        for function, text in _sections(path.read_text(encoding="utf-8"), "## "):
            found[f"{path.stem}.{function}"] = [Hint(*step) for step in _sections(text, "### ")]
    return found


def recorded_hints() -> str:
    """The same as JSON, for the learner's installation."""
    listed = {name: [asdict(hint) for hint in hints] for name, hints in written_hints().items()}
    return json.dumps(listed, indent=1) + "\n"


def unfold_hints(source: str) -> str:
    """Put folded hints in place of each marker in a lesson's text.

    Raises:
        AutogradeError: if a marker names an exercise without hints.
    """
    return MARKER.sub(lambda marker: _folded(marker.group(1)), source)


def _folded(exercise: str) -> str:
    hints = written_hints().get(exercise)
    if not hints:
        raise AutogradeError(f"solutions/hints has no hints for {exercise!r}")
    return "\n".join(_details(number, hint) for number, hint in enumerate(hints, 1))


def _details(number: int, hint: Hint) -> str:
    title = escape(hint.title[0].lower() + hint.title[1:], quote=False)
    return f"<details><summary>Hint {number}: {title}</summary>\n\n{hint.text}\n\n</details>"


def _sections(text: str, mark: str) -> list[tuple[str, str]]:
    """(heading, text below it) of each section that begins with `mark`."""
    parts = re.split(rf"^{mark}(.+)$", text, flags=re.MULTILINE)[1:]
    return [(parts[i].strip(), parts[i + 1].strip()) for i in range(0, len(parts), 2)]
