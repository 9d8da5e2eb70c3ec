"""Unpack what an LMS hands out: learners' zips as `autograde pack` makes them."""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from nbgrader.plugins import ExtractorPlugin

from .exchange import missing_notebooks, put_released
from .notebooks import LARGEST_NOTEBOOK, course_directory

LARGEST_ARCHIVE = 2 * LARGEST_NOTEBOOK  # bytes, unpacked
MOST_MEMBERS = 1_000
WANTED = (".ipynb", ".py")


class PackageExtractor(ExtractorPlugin):
    """Unpacks archives one by one: a damaged or oversized one costs its learner, not the class."""

    def extract(self, archive_path, extracted_path):
        archives, extracted = Path(archive_path), Path(extracted_path)
        for file in sorted(archives.rglob("*")):
            target = extracted / file.relative_to(archives)
            if file.is_symlink() or not file.is_file():  # a folder, or a pipe that never ends
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".zip":
                self._unpack(file, target.with_suffix(""))
            else:
                shutil.copyfile(file, target)
        self._complete(extracted)

    def _unpack(self, archive: Path, target: Path) -> None:
        target.mkdir()
        try:
            unpack(archive, target)
        except Exception as error:  # a damaged archive makes zipfile raise almost anything
            self.log.error("%s is not unpacked: %s", archive, error)

    def _complete(self, extracted: Path) -> None:
        coursedir = course_directory(self)
        assignment = coursedir.assignment_id
        for folder in (path for path in extracted.iterdir() if path.is_dir()):
            for name in missing_notebooks(coursedir, assignment, folder):
                if not any(folder.rglob(f"{name}.ipynb")):
                    self.log.warning("%s lacks %s.ipynb; the released one stands in", folder, name)
                    put_released(coursedir, assignment, name, folder)


def unpack(archive: Path, target: Path) -> None:
    """Unpack the notebooks and modules of an archive, and nothing outside of `target`.

    Raises:
        ValueError: if they are larger or more than the limit, or a name leads elsewhere.
    """
    room = LARGEST_ARCHIVE
    with zipfile.ZipFile(archive) as members:
        if len(members.infolist()) > MOST_MEMBERS:
            raise ValueError(f"it holds more than {MOST_MEMBERS} files")
        for member in members.infolist():
            path = PurePosixPath(member.filename)
            if not member.filename.isprintable():
                raise ValueError(f"a file has the name {member.filename[:60]!r}")
            if member.is_dir() or path.suffix not in WANTED:
                continue
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{member.filename} leads out of the archive")
            with members.open(member) as file:
                content = file.read(room + 1)
            room -= len(content)
            if room < 0:
                raise ValueError(f"it holds more than {LARGEST_ARCHIVE // 10**6} MB")
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_bytes(content)
