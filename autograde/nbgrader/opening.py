"""A course directory with its configuration, for our own commands."""

import logging
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from nbgrader.apps.baseapp import NbGrader

from autograde.errors import AutogradeError


@contextmanager
def opened(course: Path) -> Iterator[NbGrader]:
    """Work in a course directory, where nbgrader looks for its configuration.

    Yields an application that has read it, the parent for nbgrader's other parts.

    Raises:
        AutogradeError: if it is no course directory.
    """
    if not (course / "nbgrader_config.py").is_file():
        raise AutogradeError(f"{course} is no course directory: it has no nbgrader_config.py.")
    with chdir(course):
        app = NbGrader(log_level=logging.ERROR)
        app.load_config_file()
        yield app
