"""What `autograde grade` has done so far, on disk: a killed run goes on where it stopped.

One line of JSON for each graded submission, written and synced when it is graded. Its key is a
digest of everything that the grade depends on: the submission's place and content, the exercises,
the sandbox, and the course itself; so an edited submission is graded anew. The last line may be
torn; it counts as not written.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from .errors import AutogradeError
from .loading import PACKAGE, read_package

HERE = Path(__file__).parent


class Journal:
    """The journal beside a file of results.

    Attributes:
        done: key -> what `add` was given for it, by this run or one before.
    """

    def __init__(self, results: Path):
        self.path = results.with_name(results.name + ".journal")
        self.done: dict[str, dict] = {}
        try:
            self.file = self.path.open("a+b")
            _lock(self.file)
            self.file.seek(0)
            whole = self._read()
            self.file.truncate(whole)
        except BlockingIOError:
            raise AutogradeError(f"Another run is writing {results}.") from None
        except OSError as error:
            raise AutogradeError(f"Cannot write {self.path}: {error.strerror}.") from None

    def _read(self) -> int:
        """Fill `done`; returns how many bytes are whole lines."""
        whole = 0
        for line in self.file:
            try:
                entry = json.loads(line)
                self.done[entry["key"]] = entry["graded"]
            except (ValueError, KeyError, TypeError):
                break
            if not line.endswith(b"\n"):
                break
            whole += len(line)
        return whole

    def add(self, key: str, graded: dict) -> None:
        """Write one graded submission, for good.

        Raises:
            AutogradeError: if the disk is full, say.
        """
        line = json.dumps({"key": key, "graded": graded}).encode() + b"\n"
        try:
            self.file.write(line)
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            with suppress(OSError):
                self.file.close()
            raise AutogradeError(f"Cannot write {self.path}: {error.strerror}.") from None
        self.done[key] = graded

    def close(self, *, remove: bool) -> None:
        """End the journal; `remove` it when the results are on disk."""
        if remove:
            self.path.unlink(missing_ok=True)
        with suppress(OSError):
            self.file.close()


def key(submission: Path, exercises: Sequence[str] | None, sandbox: str | None) -> str:
    """Name everything that a grade depends on."""
    digest = hashlib.sha256(course_version().encode())
    digest.update(json.dumps([str(submission.resolve()), exercises, sandbox]).encode())
    for name, content in sorted(read_package(submission / PACKAGE).items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


@cache
def course_version() -> str:
    """A digest of the grader, the exercises and the reference."""
    files = [*HERE.glob("*.py"), *HERE.glob("exercises/*.py"), *HERE.parent.glob("solutions/*.py")]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or as it was before, whenever the process dies.

    Raises:
        AutogradeError: if it can't be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise AutogradeError(f"Cannot write {path}: {error.strerror}.") from None


def _lock(file) -> None:
    """Keep a second run out; the lock goes with the process."""
    with suppress(ImportError):  # Windows has no such locks
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
