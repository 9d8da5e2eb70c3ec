"""Reading submissions: one learner's damaged notebook costs that notebook's text and no more."""

import os
from pathlib import Path

from nbconvert.exporters import NotebookExporter
from nbgrader.converters import NbGraderException

from autograde import sandbox
from autograde.errors import AutogradeError

from .grade import GradeExercises
from .notebooks import (
    UnreadableNotebook,
    course_directory,
    read_submitted,
    released_with_note,
)
from .whole import WholeAutograde


class SubmissionExporter(NotebookExporter):
    """Reads a submitted notebook, or the released one in its place when that cannot be read.

    nbgrader makes one when `nbgrader autograde` starts, before anything is in the gradebook: the
    moment to refuse if submitted code can't be held. A refusal later would leave a row without
    grades, which is exported as 0. It is also the moment to make the converter a `WholeAutograde`.
    """

    def __init__(self, **keywords):
        super().__init__(**keywords)
        try:
            mode = sandbox.choose(GradeExercises(parent=self.parent).sandbox)
        except AutogradeError as error:
            self.log.error("Nothing is graded. %s", error)
            raise NbGraderException(str(error)) from None
        self.log.info(sandbox.describe(mode))
        self.parent.__class__ = WholeAutograde

    def from_filename(self, filename, resources=None, **kw):
        coursedir, about = course_directory(self), resources["nbgrader"]
        submitted = coursedir.format_path(
            coursedir.submitted_directory, about["student"], about["assignment"]
        )
        if not os.path.samefile(os.path.dirname(filename), submitted):
            return super().from_filename(filename, resources=resources, **kw)
        try:
            notebook = read_submitted(Path(filename))
        except UnreadableNotebook as error:
            self.log.warning("%s is not used: %s", filename, error)
            notebook = released_with_note(
                coursedir, about["assignment"], about["notebook"], str(error)
            )
        return self.from_notebook_node(notebook, resources=resources, **kw)
