"""An nbgrader course directory, made from the author's sources."""

import ast
import os
import re
from pathlib import Path

from .errors import AutogradeError
from .loading import PACKAGE

LMS = ("canvas", "moodle")
CONFIG = """\
\"\"\"nbgrader's configuration for this course. What you set after `configure` wins.\"\"\"

from autograde.nbgrader import configure

c = get_config()
c.CourseDirectory.course_id = {course_id!r}
{exchange}configure(c, __file__{lms})
"""

README = """\
# {course_id}: the instructor's directory

Made by `autograde course`; learners never get this directory. `answer_keys/` holds the notebooks
with model answers, `source/` what is released. Run every command here.

The assignments are {assignments}. For each of them:

    # make release/ and the gradebook's entries, then let learners fetch it
    nbgrader generate_assignment {first}
    nbgrader release_assignment {first}
    # after the deadline; with --update it takes newer submissions
    nbgrader collect {first}
    # the functions; then grade the written answers in JupyterLab: nbgrader > Formgrader
    nbgrader autograde {first}
    jupyter lab
    nbgrader generate_feedback {first}
    nbgrader release_feedback {first}
    # all grades so far; a written answer that nobody has graded counts 0
    nbgrader export --to grades.csv
    # what the class did with each exercise: passed, known mistakes, attempts, similar functions;
    # without an assignment's name a page of all, with an index
    autograde stats . {first} --html stats.html

Instead of collecting and grading by hand, `autograde watch .` answers submissions as they arrive,
until Ctrl-C, or with `--once` all that are there (for cron). While it runs, leave `collect` and
`autograde` to it; grade written answers in the formgrader meanwhile. It can be stopped, or killed,
and started again at any time. Feedback is released where you allow it in nbgrader_config.py, by
`c.Watch.release_feedback = ["{first}"]` (`["*"]`: all assignments). Learners then see what their
functions earned seconds after they submit, and that nobody has graded their written answers yet;
when you have, `generate_feedback --force` and `release_feedback` bring the final page. What cannot
be graded is named, and tried again later.

Good to know:

- `autograde` and `generate_feedback` skip what is already there. After a new submission
  (`collect --update`) they notice by its time; after you changed points or a comment, run
  `nbgrader generate_feedback {first} --force` and release it again.
- In the formgrader each function and each written answer has a box for a comment. A learner's
  feedback begins with the results and your comments; the code and the answers follow.
  `c.FeedbackPage.model_answers = True` in nbgrader_config.py adds the model answers to it: whoever
  has not handed in yet may get to see them.
- A resubmission is graded anew; points that you gave for a written answer stay and are flagged.
- Learners' names: `nbgrader db student import students.csv` (id, first_name, last_name, email).
  A due date: on the formgrader's page *Manage Assignments*; late work is marked as late, and costs
  points only if you configure nbgrader's `LateSubmissionPlugin`.
- A function earns its points when all core cases pass, less the share of each promise of its
  docstring that it breaks (an error for impossible arguments, inputs left as they were, …).
- Submitted code runs in a sandbox: `autograde doctor` shows which, and tries to get out of it.
  Where none works, `nbgrader autograde` refuses before it writes anything; for people you trust,
  `--GradeExercises.sandbox=off` grades all the same, and the feedback says so.
- A run that was killed is started again by the same command: each submission is graded once.
- The gradebook is the file `gradebook.db`. For several graders at once PostgreSQL holds up better:
  install a driver (`python -m pip install "psycopg[binary]"`) and, before the first assignment, set
  `c.CourseDirectory.db_url = "postgresql://USER@HOST/DATABASE"` in nbgrader_config.py (the password
  belongs in `~/.pgpass`).
- As root, `jupyter lab` wants `--allow-root`.

Learners, in their own Jupyter directory (or with JupyterLab's Assignment List):

    nbgrader fetch_assignment {first} --course {course_id}
    nbgrader submit {first} --course {course_id}
    nbgrader fetch_feedback {first} --course {course_id}

Their nbgrader has to know the exchange: give them the line `c.Exchange.root = …` of this
directory's nbgrader_config.py, in a `~/.jupyter/nbgrader_config.py` or for the whole machine.

Submissions from an LMS: learners run `autograde pack {first}` and upload the zip. Download all
submissions, unpack the LMS's own zip into `downloaded/{first}/archive/` (the learners' zips and
folders stay as they are), and run `nbgrader zip_collect {first}` in place of `collect`.

- Canvas or Moodle: `configure(c, __file__, lms="canvas")` or `lms="moodle"` in nbgrader_config.py
  (`autograde course --lms` writes it) makes `zip_collect` understand their names. Canvas: a learner
  whose `lms_user_id` the gradebook has is found by it, others get Canvas's number as their id.
  Moodle: the download has names only, so import the list of learners first; where two have the same
  name, name and number stay their id and `zip_collect` says so.
- Any other: the archives' names have to begin with the learner's id, up to the first `_`. (`pack`
  names a zip after the learner's account on their machine.)

Grades for an LMS:

    nbgrader export --exporter=autograde.nbgrader.lms.CanvasExporter --to canvas.csv
    nbgrader export --exporter=autograde.nbgrader.lms.MoodleExporter --to moodle.csv

- Who submitted nothing has an empty field, not 0. `--assignment '["{first}"]'` exports one alone.
- What the LMS calls an assignment goes into nbgrader_config.py, for Canvas with its number:
  `c.CanvasExporter.titles = {{"{first}": "One look-up (1234)"}}` (`MoodleExporter` likewise).
- Canvas: Gradebook > Import; it shows what would change before it does. Moodle: Grades > Import >
  CSV; choose *Email address* or *Username* to find the learners by.
"""


def create_course(
    directory: Path, *, exchange: Path | None, course_id: str, lms: str | None = None
) -> None:
    """Create an nbgrader course directory, ready for the `nbgrader` commands and the formgrader.

    Args:
        directory: where; it must not exist or be empty.
        exchange: the exchange directory, created if need be; None leaves nbgrader's default.
        course_id: letters, digits, ".", "_" and "-".
        lms: "canvas" or "moodle", where submissions come from one.

    Raises:
        AutogradeError: if the directory is not empty, a place cannot be written, or the name is
            not allowed. Then nothing has been touched.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", course_id):
        raise AutogradeError(
            f"The course's name {course_id!r} may only have letters, digits, '.', '_' and '-'."
        )
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise AutogradeError(f"{directory} exists and is not empty; name a new directory.")
    if lms not in (None, *LMS):
        raise AutogradeError(f"The LMS {lms!r} is not known; there are {' and '.join(LMS)}.")
    exchange = exchange and exchange.resolve()
    files = _course_files(exchange, course_id, lms)
    try:
        if exchange:
            _ensure_exchange(exchange)
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AutogradeError(f"Cannot write {error.filename}: {error.strerror}.") from error


def _course_files(exchange: Path | None, course_id: str, lms: str | None) -> dict[str, str]:
    """Path below the course directory -> text."""
    from .build.files import lessons
    from .build.lessons import graded_exercises, notebook_from_lesson, notebook_text

    files, assignments = {}, []
    for lesson in lessons():
        notebook = notebook_from_lesson(lesson)
        stubs = _stubs({name.split(".")[0] for name in graded_exercises(notebook)})
        if not stubs:
            continue
        name = lesson.stem
        assignments.append(name)
        files[f"source/{name}/{name}.ipynb"] = notebook_text(notebook)
        files |= {f"source/{name}/{PACKAGE}/{file}": text for file, text in stubs.items()}
        solved = notebook_from_lesson(lesson, solved=True)
        files[f"answer_keys/{name}.ipynb"] = notebook_text(solved)
    if not assignments:
        raise AutogradeError("No lesson in solutions/lessons has an exercise: nothing to grade.")
    setting = f"c.Exchange.root = {str(exchange)!r}\n" if exchange else ""
    files["nbgrader_config.py"] = CONFIG.format(
        course_id=course_id, exchange=setting, lms=f", lms={lms!r}" if lms else ""
    )
    files["README.md"] = README.format(
        course_id=course_id, first=assignments[0], assignments=", ".join(assignments)
    )
    return files


def _stubs(modules: set[str]) -> dict[str, str]:
    """Stubs of modules and of those they import, so that one assignment works on its own."""
    from .build.files import PACKAGE_DOCSTRING, stub

    stubs = {"__init__.py": PACKAGE_DOCSTRING} if modules else {}
    waiting = set(modules)
    while waiting:
        module = waiting.pop()
        stubs[f"{module}.py"] = stub(module)
        waiting |= {name for name in _imported(stub(module)) if f"{name}.py" not in stubs}
    return stubs


def _imported(text: str) -> set[str]:
    """The modules that a module imports from its own package."""
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    relative = [node for node in imports if node.level == 1]
    named = {node.module for node in relative if node.module}
    return named | {alias.name for node in relative if not node.module for alias in node.names}


def _ensure_exchange(exchange: Path) -> None:
    """nbgrader wants an exchange that everybody can write to."""
    if not exchange.exists():
        exchange.mkdir(parents=True)
        exchange.chmod(0o777)
    if not exchange.is_dir() or not os.access(exchange, os.W_OK | os.X_OK):
        raise AutogradeError(f"The exchange {exchange} is not a directory that you can write to.")
