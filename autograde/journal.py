"""What `autograde grade` has done so far, on disk: a killed run goes on where it stopped.

The first line holds the seed of the hidden cases, so that all of a class get the same ones, however
often its grading is interrupted. Then comes a line of JSON for each graded submission, written and
synced when it is graded. Its key is a digest of everything else that the grade depends on: the
submission's place and content, the exercises, the sandbox, and the course itself; so an edited
submission is graded anew. The last line may be torn; it counts as not written.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from .errors import AutogradeError

HERE = Path(__file__).parent


class Journal:
    """The journal beside a file of results.

    Attributes:
        done: key -> what `add` was given for it, by this run or one before.
        seed: of the hidden cases; drawn by the first run, and secret.
    """

    def __init__(self, results: Path):
        self.path = results.with_name(results.name + ".journal")
        self.done: dict[str, dict] = {}
        self.seed: int | None = None
        try:
            self.file = open(self.path, "a+b", opener=_open_for_me)  # noqa: SIM115
            lock(self.file)
            self.file.seek(0)
            whole = self._read()
            self.file.truncate(whole)
            if self.seed is None:
                self.seed = secrets.randbits(63)
                self._write({"seed": self.seed})
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
                if not line.endswith(b"\n"):
                    break
                if not whole:
                    self.seed = int(entry["seed"])
                else:
                    self.done[entry["key"]] = entry["graded"]
            except (ValueError, KeyError, TypeError):
                break
            whole += len(line)
        return whole

    def _write(self, entry: dict) -> None:
        self.file.write(json.dumps(entry).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def add(self, key: str, graded: dict) -> None:
        """Write one graded submission, for good.

        Raises:
            AutogradeError: if the disk is full, say.
        """
        try:
            self._write({"key": key, "graded": graded})
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


def key(
    submission: Path,
    library: Mapping[str, bytes],
    exercises: Sequence[str] | None,
    sandbox: str | None,
) -> str:
    """Name everything that a grade depends on, but for the seed.

    Args:
        library: what `loading.read_package` read of the submission.
    """
    digest = hashlib.sha256(course_version().encode())
    digest.update(json.dumps([str(submission.resolve()), exercises, sandbox]).encode())
    for name, content in sorted(library.items()):
        digest.update(os.fsencode(f"{name}\0{len(content)}\0") + content)
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


def _open_for_me(path: str, flags: int) -> int:
    """Nobody else may read the seed."""
    return os.open(path, flags, 0o600)


def lock(file) -> None:
    """Keep a second run out; the lock goes with the process."""
    with suppress(ImportError):  # Windows has no such locks
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
