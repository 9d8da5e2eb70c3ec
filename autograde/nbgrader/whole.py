"""`nbgrader autograde`, submission by submission: whole in gradebook and folder, or not at all.

Stock nbgrader makes a submission's row before it grades, and saves grade by grade. What breaks off
in between leaves a row without grades, which is exported as 0, and a folder that the next run takes
for done. Here the code is graded first, all writing to the gradebook is one transaction, and a
folder bears a mark until that is through. However a run ends, the next one finds each submission
either graded or still to be graded.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from unittest.mock import patch

from nbgrader.converters import Autograde
from nbgrader.utils import find_all_files
from sqlalchemy import Connection, create_engine

from .folders import aside
from .grade import grade_assignment

UNFINISHED = ".unfinished"  # the mark: a file in a folder below autograded/


class WholeAutograde(Autograde):
    """Makes all steps of one submission a single one.

    nbgrader has no setting for the class of its converter: `SubmissionExporter` puts this one in
    place of the class of the converter that it belongs to.

    Attributes:
        graded: outcomes of the submission that is being written.
        connection: the gradebook, in the middle of a transaction; None between submissions.
    """

    graded = None
    connection: Connection | None = None

    def convert_notebooks(self):
        self._remove_unfinished()
        try:
            super().convert_notebooks()
        finally:
            self._end(commit=False)

    def init_assignment(self, assignment_id, student_id):
        """The first step. Grades, so that what can fail fails before anything is written."""
        self._end(commit=False)  # the submission before may have failed
        self.graded = grade_assignment(self, student_id, assignment_id)
        _make_marked(Path(self._format_dest(assignment_id, student_id)))
        with self._part_of_the_whole():
            super().init_assignment(assignment_id, student_id)

    def convert_single_notebook(self, notebook_filename):
        with self._part_of_the_whole():
            super().convert_single_notebook(notebook_filename)

    def set_permissions(self, assignment_id, student_id):
        """The last step."""
        super().set_permissions(assignment_id, student_id)
        self._end(commit=True)
        (Path(self._format_dest(assignment_id, student_id)) / UNFINISHED).unlink()

    @contextmanager
    def _part_of_the_whole(self) -> Iterator[None]:
        """Within the block, every `Gradebook` writes into the one transaction.

        SQLAlchemy's sessions leave committing to whoever began the transaction of a connection.
        """
        if self.connection is None:
            self.connection = create_engine(self.coursedir.db_url, future=True).connect()
            self.connection.begin()
            self.connection.dispose = lambda: None  # what `Gradebook.close` calls on an engine
        with (
            patch("nbgrader.api.create_engine", lambda *_, **__: self.connection),
            patch("nbgrader.converters.base.find_all_files", _plain_files),
        ):
            yield

    def _end(self, *, commit: bool) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            try:
                if commit:
                    connection.commit()
            finally:
                connection.close()  # takes back what is not committed
                connection.engine.dispose()

    def _remove_unfinished(self) -> None:
        """A run before this one was stopped in the middle of these: they are graded anew."""
        folders = self._format_dest(self.coursedir.assignment_id, self.coursedir.student_id)
        for mark in glob(f"{folders}/{UNFINISHED}"):
            self.log.warning("%s is unfinished and is graded anew", Path(mark).parent)
            _remove_at_once(Path(mark).parent)


def _make_marked(folder: Path) -> None:
    """Make a folder that bears the mark, and never stands there without it."""
    if folder.exists():
        (folder / UNFINISHED).touch()
        return
    draft = aside(folder)
    draft.mkdir(parents=True)
    (draft / UNFINISHED).touch()
    draft.rename(folder)


def _remove_at_once(folder: Path) -> None:
    """Remove a folder that bears the mark; what is left of it never stands there without."""
    place = aside(folder)
    folder.rename(place)
    shutil.rmtree(place)


def _plain_files(path: str, exclude: list[str] | None = None) -> list[str]:
    """The files that nbgrader copies from a submission, without links, pipes and devices."""
    files = find_all_files(path, exclude)
    return [file for file in files if stat.S_ISREG(os.lstat(file).st_mode)]
