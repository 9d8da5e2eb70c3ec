"""`autograde watch`: answer submissions as they arrive in nbgrader's exchange.

All steps are nbgrader's own, called through its `NbGraderAPI`, in one process that stays warm. What
is still to be done is read from what these steps leave behind, never from notes of our own, so the
watcher can be killed at any moment and started again:

- a submission is collected when `submitted/` has its timestamp (see `PackageCollect`),
- graded when `autograded/` has the same and bears no mark (see `whole`),
- answered when its feedback, named after the secret of this very submission, is in the exchange.

It looks again and again: folders that several machines share tell nobody of a change.
"""

import logging
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from nbgrader.apps.api import NbGraderAPI
from nbgrader.utils import notebook_hash, temp_attrs
from rich.console import Console
from traitlets import List, Unicode
from traitlets.config import LoggingConfigurable

from autograde import sandbox
from autograde.errors import AutogradeError, GraderFault
from autograde.grading import draw_new_cases
from autograde.journal import lock

from .exchange import SECRET, is_whole
from .grade import GradeExercises
from .notebooks import release_directory
from .opening import opened
from .whole import UNFINISHED

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0  # seconds until what failed is tried again
LONG_AGO = 600.0  # seconds; a submission that is older was waiting for the watcher to start
LOCK = ".watch.lock"

Work = tuple[str, str]  # assignment, learner


class Watch(LoggingConfigurable):
    """What an instructor sets in nbgrader_config.py.

    A setting and no option of the command: it is decided once for each assignment, stands beside
    the course's other settings, and is the same however often the watcher is started, and by whom.
    """

    release_feedback = List(
        Unicode(),
        help="Assignments whose feedback `autograde watch` releases as soon as the functions are "
        "graded, before anybody has graded the written answers; '*' stands for any name.",
    ).tag(config=True)

    def releases(self, assignment: str) -> bool:
        return any(fnmatch(assignment, pattern) for pattern in self.release_feedback)


class NotDone(Exception):
    """A step of nbgrader's failed; the message says why."""


@dataclass
class Pauses:
    """When to try again what failed: later each time.

    Attributes:
        until: what -> the time, and the seconds that it was put off for.
    """

    until: dict = field(default_factory=dict)

    def are_over(self, what) -> bool:
        return time.monotonic() >= self.until.get(what, (0.0, 0.0))[0]

    def lengthen(self, what) -> float:
        """Put off what failed, and return for how many seconds."""
        before = self.until.get(what, (0.0, FIRST_PAUSE / 2))[1]
        pause = min(2 * before, LONGEST_PAUSE)
        self.until[what] = time.monotonic() + pause, pause
        return pause

    def end(self, what) -> None:
        self.until.pop(what, None)


def watch(course: Path, *, once: bool, interval: float, console: Console) -> None:
    """Collect and grade new submissions, and release feedback where the course allows it.

    Runs until it is interrupted.

    Args:
        once: end when nothing is left to do.
        interval: seconds between two looks into the exchange.

    Raises:
        AutogradeError: if the course or the exchange is not there, the sandbox does not work here,
            or another watcher is at work.
        GraderFault: with `once`, if something could not be done.
    """
    if sys.platform == "win32":
        raise AutogradeError(
            "nbgrader has no exchange on Windows, so nothing can arrive: collect through an LMS."
        )
    with opened(course) as app, _only_one(course), _interruptible() as interrupted:
        sandbox.choose(GradeExercises(parent=app).sandbox)  # refuse now, not at each submission
        for handler in app.log.handlers:  # we tell what matters of each step
            handler.setLevel(logging.CRITICAL + 1)
        watcher = Watcher(NbGraderAPI(parent=app), Watch(parent=app), console, interrupted)
        watcher.run(once=once, interval=interval)


@contextmanager
def _only_one(course: Path):
    with open(course.resolve() / LOCK, "w") as file:
        try:
            lock(file)
        except BlockingIOError:
            raise AutogradeError(f"Another watcher is at work on {course}.") from None
        yield


@contextmanager
def _interruptible():
    """Notice Ctrl-C although nbgrader takes what it raises for a step that failed."""
    seen = []

    def notice(number, frame):
        seen.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, notice)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


class Watcher:
    """One run.

    Attributes:
        seen: names in the exchange that were collected, or that there is no use in collecting.
        waiting: submissions that are to be graded or answered, the first come first.
    """

    def __init__(self, api: NbGraderAPI, settings: Watch, console: Console, interrupted: list):
        if not api.exchange_is_functional:
            raise AutogradeError(f"There is no exchange that works at {api.exchange_root}.")
        self.api, self.settings, self.console = api, settings, console
        self.interrupted = interrupted
        self.exchange = Path(api.exchange_root) / api.course_id
        self.seen: set[str] = set()
        self.known: set[str] = set()  # assignments
        self.waiting: dict[Work, None] = {}
        self.pauses = Pauses()
        self.answered = 0

    def run(self, *, once: bool, interval: float) -> None:
        allowed = ", ".join(self.settings.release_feedback) or "no assignment"
        self._say(f"Watching {self.exchange}. Feedback is released for: {allowed}.")
        with self.console.status("") as status:
            next_look = 0.0
            while True:
                if time.monotonic() >= next_look:
                    self._try("looking into the exchange", self.look)
                    next_look = time.monotonic() + interval
                work = next(filter(self.pauses.are_over, self.waiting), None)
                if work:
                    self._try(work, self.answer, *work)
                elif once:
                    break
                else:
                    status.update(f"{self.answered} answered, {len(self.waiting)} to try again")
                    time.sleep(max(0.0, next_look - time.monotonic()))
        if self.pauses.until:
            raise GraderFault(f"Not done, see above: {', '.join(map(_name, self.pauses.until))}.")

    def _try(self, what: str | Work, step: Callable, *arguments) -> None:
        if not self.pauses.are_over(what):
            return
        try:
            step(*arguments)
        except Exception as error:  # whatever it is, it is for the others no reason to wait
            why = str(error) if isinstance(error, NotDone) else f"{type(error).__name__}: {error}."
            self._put_off(what, why)
        else:
            self.pauses.end(what)

    def _put_off(self, what: str | Work, why: str) -> None:
        pause = self.pauses.lengthen(what)
        self._say(f"{_name(what)}: {_printable(why)} Tried again in {pause:g} s.", style="red")

    # --- what there is to do ------------------------------------------------------------------

    def look(self) -> None:
        """Collect what is new, and put it on the list of what is to be done."""
        released = self.api.get_released_assignments()
        works = {  # what a run before this one may have left undone
            (assignment, learner)
            for assignment in released - self.known
            for learner in self.api.get_submitted_students(assignment)
        }
        names = {path.name for path in (self.exchange / "inbound").iterdir()}
        new = {name: _work(name) for name in names - self.seen if _work(name)[0] in released}
        new = {
            name: work
            for name, work in new.items()
            if self.pauses.are_over(work) and is_whole(self.exchange / "inbound" / name)
        }
        for assignment in {assignment for assignment, _ in new.values()}:
            self._collect(assignment, {work[1] for work in new.values() if work[0] == assignment})
        lost = {work for work in new.values() if not self._folder("submitted", *work).is_dir()}
        for work in lost:
            self.waiting.pop(work, None)
            self._put_off(work, "it could not be collected.")
        for work in set(new.values()) - lost:
            self.pauses.end(work)
        works |= set(new.values()) - lost
        self.waiting |= dict.fromkeys(sorted(works, key=self._submitted_at))
        done = {name for name, work in new.items() if work not in lost}
        self.seen, self.known = (self.seen | done) & names, released

    def _collect(self, assignment: str, learners: set[str]) -> None:
        learner = learners.pop() if len(learners) == 1 else "*"
        with temp_attrs(self.api.coursedir, student_id=learner):
            log = self._step(self.api.collect, assignment)
        for line in map(str.strip, log.splitlines()):
            if line not in ("", "[WARNING]") and not line.startswith("[INFO]"):
                self._say(_printable(line), style="yellow")

    def _submitted_at(self, work: Work) -> datetime:
        try:
            return self.api.get_submitted_timestamp(*work) or datetime.min
        except ValueError:  # collected by other means
            return datetime.min

    def _graded(self, assignment: str, learner: str) -> bool:
        folder = self._folder("autograded", assignment, learner)
        if not folder.is_dir() or (folder / UNFINISHED).exists():
            return False
        graded = self.api.coursedir.get_existing_timestamp(str(folder))
        return graded == self.api.get_submitted_timestamp(assignment, learner)

    def _released(self, assignment: str, learner: str) -> bool:
        """Whether its feedback is in the exchange, or must or can not be there."""
        secret = self._folder("submitted", assignment, learner) / SECRET
        if not self.settings.releases(assignment) or not secret.exists():
            return True
        text = secret.read_text()
        notebooks = release_directory(self.api.coursedir, assignment).glob("*.ipynb")
        hashes = [notebook_hash(secret=text, notebook_id=path.stem) for path in notebooks]
        return all((self.exchange / "feedback" / f"{name}.html").exists() for name in hashes)

    def _folder(self, kind: str, assignment: str, learner: str) -> Path:
        coursedir = self.api.coursedir
        directory = getattr(coursedir, f"{kind}_directory")
        return Path(coursedir.format_path(directory, learner, assignment))

    # --- doing it -----------------------------------------------------------------------------

    def answer(self, assignment: str, learner: str) -> None:
        """Take one submission all the way that the instructor allows."""
        graded, released = self._graded(assignment, learner), self._released(assignment, learner)
        if not graded:
            draw_new_cases()
            self._step(self.api.autograde, assignment, learner)
        if not released:
            self._step(self.api.generate_feedback, assignment, learner)
            self._step(self.api.release_feedback, assignment, learner)
        if not (graded and released):
            done = "graded" if released else "feedback released"
            when = _after(self._submitted_at((assignment, learner)))
            points = self._points(assignment, learner)
            self._say(f"{_printable(learner)}  {assignment}  {points}, {done} {when}")
            self.answered += 1
        self.waiting.pop((assignment, learner))

    def _points(self, assignment: str, learner: str) -> str:
        with self.api.gradebook as gradebook:
            submission = gradebook.find_submission(assignment, learner)
            grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
            by_hand = sum(grade.max_score for grade in grades if grade.needs_manual_grade)
            told = f"{submission.score:g} of {submission.max_score:g} points"
        return f"{told}, {by_hand:g} of them yet to be graded by hand" if by_hand else told

    def _step(self, step: Callable, *arguments) -> str:
        """Call a step of nbgrader's and return its log.

        Raises:
            NotDone: if it failed.
        """
        result = step(*arguments)
        if self.interrupted:
            raise KeyboardInterrupt
        if not result["success"]:
            raise NotDone(_why(result))
        return result.get("log", "")

    def _say(self, line: str, style: str | None = None) -> None:
        line = f"{datetime.now():%H:%M:%S}  {line}"
        self.console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _work(name: str) -> Work:
    """Whose submission of what a folder in the exchange is, by its name."""
    learner, assignment, *_ = [*name.rsplit("+", 3), ""]
    return assignment, learner


def _name(what: str | Work) -> str:
    return what if isinstance(what, str) else _printable(f"{what[1]}, {what[0]}")


def _printable(text: str) -> str:
    return repr(text)[1:-1]


def _after(submitted: datetime) -> str:
    seconds = max(0.0, (datetime.now(UTC).replace(tzinfo=None) - submitted).total_seconds())
    if seconds > LONG_AGO:
        return f"(submitted {submitted:%Y-%m-%d %H:%M} UTC)"
    return f"{seconds:.1f} s after submitting"


_RAISED = re.compile(r"^ +.*\n(?:[\w.]+\.)?(\w+(?:: .*)?)$", re.MULTILINE)


def _why(result: dict) -> str:
    """In one line: the last exception in the log, or else the one that ended the step."""
    log = result.get("log", "").replace("\n    ", "\n")  # how its formatter indents further lines
    raised = _RAISED.findall(log) or _RAISED.findall(result["error"])
    line = raised[-1] if raised else result["error"].strip().splitlines()[-1]
    line = _printable(re.sub(r"^\w*(?:Fault|NbGraderException): ", "", line))
    return line if line.endswith(".") else line + "."
