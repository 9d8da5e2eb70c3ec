"""Exchange plugins: a learner has one `mha_lib/` beside the assignment folders.

Submit puts a snapshot of it into the submission, fetch brings new stubs, and collect hands the
instructor plain files only, with a notebook in each place where one is due. An assignment that is
released without `mha_lib` goes through all three as in stock nbgrader.
"""

import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from glob import glob
from pathlib import Path
from unittest.mock import patch

import nbformat
from nbgrader.exchange.default import ExchangeCollect, ExchangeFetchAssignment, ExchangeSubmit
from nbgrader.utils import parse_utc

from autograde.loading import PACKAGE
from autograde.pack import package_files

from .folders import aside
from .notebooks import MISSING, release_directory, released_with_note
from .stubs import merge_stubs, summary

SECRET = "submission_secret.txt"
SETTLED_SECONDS = 60


class PackageSubmit(ExchangeSubmit):
    """Submits a snapshot of the learner's `mha_lib` together with the assignment."""

    def copy_files(self):
        self.init_release()
        self.lib = self._find_package()
        super().copy_files()

    def do_copy(self, src, dest, log=None):
        super().do_copy(src, dest)
        if self.lib:
            target = Path(dest) / PACKAGE
            shutil.rmtree(target, ignore_errors=True)  # one in the assignment's own folder
            _copy_package(self.lib, target)

    def _find_package(self) -> Path | None:
        """The folder to take the snapshot of, or None if there is none or none is asked for."""
        if not (Path(self.release_path) / PACKAGE).is_dir():
            return None
        beside = Path(self.src_path).parent / PACKAGE
        for lib in (beside, Path(self.src_path) / PACKAGE):
            files, left_out = package_files(lib)
            if files:
                self.log.info("Submitting with %s: %s", lib, ", ".join(map(str, files)))
                for sentence in left_out:
                    self.log.warning("%s: %s; it is not submitted", lib, sentence)
                return lib
        self.log.warning(
            "There is no %s at %s: this submission holds no functions and its exercises "
            "will get no points. Put the folder back and submit again.",
            PACKAGE,
            beside,
        )
        return None


def _copy_package(lib: Path, target: Path) -> None:
    for file in package_files(lib)[0]:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(lib / file, target / file)


class PackageFetchAssignment(ExchangeFetchAssignment):
    """Fetches an assignment; its stubs go to the shared `mha_lib` beside the assignment folders."""

    def do_copy(self, src, dest):
        stubs = Path(src) / PACKAGE
        if not stubs.is_dir():
            super().do_copy(src, dest)
            return
        ignored = self.coursedir.ignore
        self.coursedir.ignore = [*ignored, PACKAGE]
        try:
            super().do_copy(src, dest)
        finally:
            self.coursedir.ignore = ignored
        self._merge(stubs, Path(dest).parent / PACKAGE)

    def _merge(self, stubs: Path, lib: Path) -> None:
        try:
            done = merge_stubs(stubs, lib)
        except OSError as error:
            self.fail(f"Cannot write the stubs to {lib}: {error.strerror}")
        self.log.info("%s: %s", lib, summary(done))


class PackageCollect(ExchangeCollect):
    """Collects submissions one by one: what is wrong with one does not stop the others."""

    def init_src(self):
        with patch("nbgrader.exchange.default.collect.glob", self):
            super().init_src()

    def glob(self, pattern: str) -> list[str]:
        """List the submissions that can be collected now."""
        found = []
        for path in glob(pattern):
            if not self._is_named_well(path):
                self.log.warning("%r is left out: no submission has such a name", path)
            elif not is_whole(Path(path)):
                self.log.warning("%s is being submitted just now; collect again", path)
            else:
                found.append(path)
        return found

    def _is_named_well(self, path: str) -> bool:
        """Whether its name holds a time, and a learner who is no pattern and no other folder."""
        try:
            learner = self._path_to_record(path)["username"]
        except (ValueError, OverflowError):
            return False
        return bool(re.fullmatch(r"[^./*?\[\]][^/*?\[\]]*", learner)) and learner.isprintable()

    def do_copy(self, src, dest, log=None):
        """Copy a submission so that it is there as a whole, or not at all."""
        draft = aside(Path(dest))
        try:
            with tempfile.TemporaryDirectory() as scratch:
                plain = Path(scratch) / "submission"
                self._copy_plain_files(Path(src), plain)
                super().do_copy(plain, draft)
            self._check_timestamp(Path(src), draft)
            _check_secret(draft)
            self._complete(draft, dest)
            draft.rename(dest)
        except (OSError, RuntimeError) as error:
            self.log.error("Cannot collect %s: %s", src, error)
            shutil.rmtree(draft, ignore_errors=True)

    def _copy_plain_files(self, src: Path, dest: Path) -> None:
        """Copy regular files: what a link points at is not the learner's, a pipe never ends.

        A name with control characters could write on the instructor's terminal: it is left out.

        Raises:
            RuntimeError: if there is more than `CourseDirectory.max_dir_size`.
        """
        room = 1000 * self.coursedir.max_dir_size
        for folder, folders, names, folder_fd in os.fwalk(src, follow_symlinks=False):
            folders[:] = filter(str.isprintable, folders)
            target = dest / Path(folder).relative_to(src)
            target.mkdir(parents=True)
            for name in filter(str.isprintable, names):
                try:
                    content = _read_plain_file(name, folder_fd, room + 1)
                except OSError as error:
                    self.log.warning("%s/%s is left out: %s", folder, name, error.strerror)
                    continue
                room -= len(content)
                if room < 0:
                    raise RuntimeError(f"larger than {self.coursedir.max_dir_size} kB")
                (target / name).write_bytes(content)

    def _check_timestamp(self, src: Path, dest: Path) -> None:
        """nbgrader stops at a timestamp that it cannot read; the folder's name has it too."""
        timestamp = dest / "timestamp.txt"
        try:
            parse_utc(timestamp.read_text().strip())
        except (OSError, ValueError, OverflowError):
            recorded = self._path_to_record(str(src))["timestamp"]
            self.log.warning("%s has no readable timestamp.txt; its name says %s", src, recorded)
            timestamp.write_text(f"{recorded} UTC")

    def _complete(self, draft: Path, dest: str) -> None:
        assignment = self.coursedir.assignment_id
        for name in missing_notebooks(self.coursedir, assignment, draft):
            self.log.warning("%s lacks %s.ipynb; the released one stands in for it", dest, name)
            put_released(self.coursedir, assignment, name, draft)


def is_whole(submission: Path) -> bool:
    """Whether all of a submission is in the exchange.

    The last that `nbgrader submit` does is to write the secret and then to open the folder for all.
    Whoever put it there by other means has to leave it alone for a while.
    """
    try:
        folder = submission.lstat()
        if time.time() - folder.st_mtime > SETTLED_SECONDS:
            return True
        return folder.st_mode & 0o777 == 0o777 and (submission / SECRET).lstat().st_size > 0
    except OSError:
        return False


def _check_secret(submission: Path) -> None:
    """nbgrader names feedback after the secret, and stops releasing a class's where one is missing.

    A new one keeps the others' coming; for this submission nobody can fetch any.
    """
    secret = submission / SECRET
    try:
        if secret.read_text():
            return
    except (OSError, ValueError):
        pass
    secret.write_text(secrets.token_hex(64))


def _read_plain_file(name: str, folder_fd: int, most: int) -> bytes:
    """Read a regular file of an open folder.

    Raises:
        OSError: if it is anything else, or cannot be read.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(name, flags, dir_fd=folder_fd), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(most)


def missing_notebooks(coursedir, assignment: str, submission: Path) -> list[str]:
    """List the released notebooks that a submission lacks."""
    released = release_directory(coursedir, assignment).glob("*.ipynb")
    return [path.stem for path in sorted(released) if not (submission / path.name).exists()]


def put_released(coursedir, assignment: str, name: str, submission: Path) -> None:
    """Put the released notebook where the learner submitted none; the note in it says so."""
    notebook = released_with_note(coursedir, assignment, name, MISSING)
    nbformat.write(notebook, submission / f"{name}.ipynb")
