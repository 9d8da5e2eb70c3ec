"""The course inside nbgrader: what its configuration has to say, kept light and free of torch."""

import os
import shutil
import sysconfig
import warnings
from pathlib import Path

import nbgrader

from autograde.loading import PACKAGE

TEMPLATES = Path(__file__).parent / "templates"
NBGRADER_TEMPLATES = Path(nbgrader.__file__).parent / "server_extensions/formgrader/templates"

# A learner's archive or folder, its name up to the first "_", then the files as `autograde pack`
# lays them out: <assignment>.ipynb and mha_lib/*.py.
ARCHIVE_MEMBER = (
    r".*/extracted/(?P<student_id>[^/_]+)[^/]*/(?:.*?/)??"
    rf"(?P<file_id>(?:{PACKAGE}/)?[^/]+\.(?:ipynb|py))$"
)


def configure(c, course: str | Path, lms: str | None = None) -> None:
    """Set what nbgrader needs to grade this course; call it from `nbgrader_config.py`.

    Whatever the file sets afterwards wins, e.g. a `named_regexp` for the archives of your LMS.

    Args:
        c: the configuration object (`get_config()`).
        course: the course directory, or the path of the configuration file in it.
        lms: "canvas" or "moodle", for `nbgrader zip_collect` to understand its names.
    """
    course = Path(course).resolve()
    if course.is_file():
        course = course.parent
    _make_alembic_findable()
    # nbgrader's own, and harmless; between two lines of its log it looks as if something broke.
    warnings.filterwarnings("ignore", message=".*not in session.*")
    _configure_release(c)
    _configure_grading(c, course)
    c.GenerateFeedback.preprocessors = ["autograde.nbgrader.feedback.FeedbackPage"]
    c.HTMLExporter.extra_template_basedirs = [str(TEMPLATES), str(NBGRADER_TEMPLATES)]
    c.HTMLExporter.extra_template_paths = [str(NBGRADER_TEMPLATES)]  # what ours are made from
    c.HTMLExporter.filters = {
        "markdown2html": "autograde.nbgrader.formulas.markdown_with_formulas",
        # The stock one looks for links to /files/, in time that grows with a cell squared.
        "strip_files_prefix": "autograde.nbgrader.formulas.unchanged",
    }
    c.ExchangeFactory.collect = "autograde.nbgrader.exchange.PackageCollect"
    c.ZipCollectApp.extractor_plugin = "autograde.nbgrader.archives.PackageExtractor"
    c.FileNameCollectorPlugin.valid_ext = [".ipynb", ".py"]
    c.FileNameCollectorPlugin.named_regexp = ARCHIVE_MEMBER
    if lms:
        from .lms import COLLECTORS, PATTERNS

        c.ZipCollectApp.collector_plugin = COLLECTORS[lms]
        c.FileNameCollectorPlugin.named_regexp = PATTERNS[lms]


def _make_alembic_findable() -> None:
    """nbgrader calls `alembic` by name, which fails in an environment that is not activated."""
    if not shutil.which("alembic"):
        os.environ["PATH"] = sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")


def _configure_release(c) -> None:
    """Stock order, with the course's own strip function and cells that can be commented on.

    The lessons come stripped; a notebook that an instructor adds to source/ is stripped here.
    """
    c.GenerateAssignment.preprocessors = [
        "nbgrader.preprocessors.IncludeHeaderFooter",
        "nbgrader.preprocessors.LockCells",
        "autograde.nbgrader.release.StripSolutions",
        "nbgrader.preprocessors.ClearOutput",
        "nbgrader.preprocessors.CheckCellMetadata",
        "nbgrader.preprocessors.ComputeChecksums",
        "autograde.nbgrader.release.SaveCells",
        "nbgrader.preprocessors.ClearHiddenTests",
        "nbgrader.preprocessors.ClearMarkScheme",
        "nbgrader.preprocessors.ComputeChecksums",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]


def _configure_grading(c, course: Path) -> None:
    c.Autograde.exporter_class = "autograde.nbgrader.exporter.SubmissionExporter"
    c.Autograde.sanitize_preprocessors = [
        "autograde.nbgrader.reconcile.ReconcileCells",
        "nbgrader.preprocessors.OverwriteKernelspec",
        "nbgrader.preprocessors.OverwriteCells",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
    c.Autograde.autograde_preprocessors = [
        "autograde.nbgrader.grade.GradeExercises",
        "nbgrader.preprocessors.LimitOutput",
        "nbgrader.preprocessors.SaveAutoGrades",
        "nbgrader.preprocessors.AssignLatePenalties",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
    c.Autograde.exclude_overwriting = learners_files(course / "source")


def learners_files(source: Path) -> dict[str, list[str]]:
    """List, for each assignment, the files under source/ that are the learner's to write.

    nbgrader overwrites a submitted file with the one of the same name in source/, and takes exact
    names only; a learner's `mha_lib` would be graded as the empty stub.
    """
    return {
        assignment.name: sorted(
            str(file.relative_to(assignment)) for file in assignment.glob(f"{PACKAGE}/**/*.py")
        )
        for assignment in source.glob("*")
        if assignment.is_dir()
    }
