"""Reading submissions: one learner's damaged notebook costs that notebook's text and no more."""

import os
from pathlib import Path

from nbconvert.exporters import NotebookExporter

from .notebooks import (
    UnreadableNotebook,
    course_directory,
    read_submitted,
    released_with_note,
)


class SubmissionExporter(NotebookExporter):
    """Reads a submitted notebook, or the released one in its place when that cannot be read."""

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
