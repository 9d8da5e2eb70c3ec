"""Small records that a learner keeps in `.progress/`, in the folder that holds `mha_lib/`.

They survive a kernel restart, are never handed in, and several notebooks may write to them.
"""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from .loading import PACKAGE
from .results import ExerciseResult

FOLDER = Path(".progress")


class Kept:
    """One file of entries by key; whatever happens to the file, a notebook goes on."""

    def __init__(self, name: str, what: str, is_sound: Callable[[object], bool]):
        """
        Args:
            name: of the file, without ".json".
            what: the entries, as in "your predictions".
            is_sound: whether an entry that was read can be used.
        """
        self.name, self.what, self.is_sound = name, what, is_sound
        self.file = FOLDER / f"{name}.json"
        self.unsaved: dict[str, dict] = {}  # what could not be written; kept for this session
        self.listeners: list[Callable[[], None]] = []  # called after each change

    def load(self) -> tuple[dict[str, dict], str]:
        """Read what is recorded; the second value is a sentence about what went wrong, or ""."""
        try:
            entries, trouble = self._read()
        except OSError as error:
            entries, trouble = {}, f"{self.file} cannot be read ({error.strerror})."
        return entries | self.unsaved, trouble

    def save(self, new: dict[str, dict]) -> str:
        """Write entries, all or nothing; gives a sentence about what went wrong, or ""."""
        self.unsaved |= new
        trouble = self._write()
        for listener in self.listeners:
            listener()
        return trouble

    def _write(self) -> str:
        path = self._path()
        try:
            entries, trouble = self._read()  # another notebook may have written since
            path.parent.mkdir(exist_ok=True)
            if path.exists() and not path.stat().st_mode & 0o222:
                raise PermissionError(13, "it is read-only")
            self._replace(path, entries | self.unsaved)
        except OSError as error:
            return (
                f"{self.file} cannot be written ({error.strerror}): kept until this kernel stops."
            )
        self.unsaved.clear()
        return trouble

    def _path(self) -> Path:
        """Beside `mha_lib/`; in the working directory if there is none."""
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / PACKAGE).is_dir():
                return folder / self.file
        return here / self.file

    def _read(self) -> tuple[dict[str, dict], str]:
        path = self._path()
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(entries, dict):
                raise ValueError("not a JSON object")
        except FileNotFoundError:
            return {}, ""
        except (ValueError, RecursionError):
            return {}, self._set_aside(path)
        return {key: entry for key, entry in entries.items() if self.is_sound(entry)}, ""

    def _set_aside(self, path: Path) -> str:
        aside = path.with_name(f"{self.name}-unreadable.json")
        try:
            os.replace(path, aside)
        except OSError:
            return f"{self.file} is damaged: {self.what} of earlier cannot be shown."
        return f"{self.file} was damaged; it is now {aside.name}, and {self.what} start afresh."

    def _replace(self, path: Path, entries: dict[str, dict]) -> None:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{self.name}-")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(entries, file, ensure_ascii=False, indent=1)
            os.replace(draft, path)
        except BaseException:
            os.unlink(draft)
            raise


def entry_of(result: ExerciseResult, when: float) -> dict:
    """What is kept of a check: the outcome, why in one line, and the time in Unix seconds."""
    return {
        "status": result.status,
        "score": result.score,
        "max_score": result.max_score,
        "why": "" if result.status in ("passed", "missing") else _why(result.message),
        "when": when,
    }


def _why(message: str) -> str:
    lines = message.splitlines()
    named = [line.removeprefix("What happened: ") for line in lines if "What happened: " in line]
    faults = [line for line in lines if not line.startswith(COUNTS)]
    return (named or faults or lines or [""])[0]


COUNTS = ("The main part is right", *(str(digit) for digit in range(10)))  # "2 of 5 cases pass …"


def _is_check(entry: object) -> bool:
    wanted = {"status": str, "score": float, "max_score": float, "why": str, "when": float}
    return isinstance(entry, dict) and all(
        isinstance(entry.get(name), kind) for name, kind in wanted.items()
    )


CHECKS = Kept("checks", "your results", _is_check)
