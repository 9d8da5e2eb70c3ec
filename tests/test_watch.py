"""`autograde watch`: every submission is answered, soon and once, whatever happens meanwhile."""

import io
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.server_extensions.assignment_list.handlers import AssignmentList
from nbgrader_classroom import ATTENTION, LOOKUP, Person, School, edit_notebook, find_cell
from rich.console import Console
from test_crashes import canned_assignment, killed_after

from autograde import sandbox
from autograde.course import create_course
from autograde.errors import AutogradeError, GraderFault
from autograde.grading import secret_seed
from autograde.nbgrader import exchange, watch, whole
from autograde.nbgrader.opening import opened

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and needs an exchange")

WHY = "one-lookup-why-scale"
NOT_SCALED = ATTENTION.replace(" / math.sqrt(q.size(-1))", "")
KILLS = 12


class Room:
    """A course with one assignment, released; learners with their files."""

    def __init__(self, root: Path):
        self.school = School(root)
        self.course = self.school.course
        course_id = self.school.course_id
        create_course(self.course, exchange=self.school.exchange, course_id=course_id)
        self.allow("*")
        with self.api() as api:
            assert api.generate_assignment(LOOKUP)["success"]
            assert api.release_assignment(LOOKUP)["success"]

    def allow(self, *assignments: str) -> None:
        with (self.course / "nbgrader_config.py").open("a") as file:
            file.write(f"c.Watch.release_feedback = {list(assignments)}\n")

    @contextmanager
    def api(self):
        home = self.school.instructor.environment()
        with patch.dict(os.environ, home), opened(self.course) as app:
            yield NbGraderAPI(parent=app)

    def learner(self, name: str, attention: str = ATTENTION) -> Person:
        person = self.school.learner(name)
        stubs = self.course / "release" / LOOKUP
        shutil.copytree(stubs, person.work / LOOKUP, ignore=lambda *_: ["mha_lib"])
        shutil.copytree(stubs / "mha_lib", person.work / "mha_lib")
        person.write("mha_lib/attention.py", attention)
        edit_notebook(
            person.notebook(LOOKUP), lambda cells: find_cell(cells, WHY).update(source="Level.")
        )
        return person

    def watch(self, **options) -> str:
        """Watch until all is done; returns what is printed."""
        said = io.StringIO()
        with patch.dict(os.environ, self.school.instructor.environment()):
            console = Console(file=said, width=200)
            try:
                watch.watch(self.course, once=True, interval=0.1, console=console, **options)
            except GraderFault as fault:
                said.write(f"fault: {fault}")
        return said.getvalue()

    def graded(self) -> dict[str, tuple[float, str]]:
        """Learner -> points for functions and the time of the submission they are for."""
        with Gradebook(f"sqlite:///{self.course}/gradebook.db", School.course_id) as gradebook:
            return {
                one.student.id: (one.score, str(one.timestamp))
                for one in gradebook.assignment_submissions(LOOKUP)
                if not (
                    self.course / "autograded" / one.student.id / LOOKUP / ".unfinished"
                ).exists()
            }

    def newest(self) -> dict[str, str]:
        names = sorted(os.listdir(self.school.exchange / School.course_id / "inbound"))
        return {name.split("+")[0]: name.split("+")[2].removesuffix(" UTC") for name in names}


def fetched(person: Person) -> list[str]:
    """The feedback pages that a learner gets with the button in JupyterLab, the newest last."""
    with chdir(person.work), patch.dict(os.environ, person.environment()):
        assignments = AssignmentList()
        assignments.root_dir = str(person.work)
        assert assignments.fetch_feedback(School.course_id, LOOKUP)["success"]
    pages = sorted((person.work / LOOKUP).glob("feedback/*/*.html"))
    return [page.read_text(encoding="utf-8") for page in pages]


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Room:
    sandbox.choose("auto")  # what works here is found out before anything is forked
    return Room(tmp_path_factory.mktemp("room"))


@pytest.fixture
def room(released, monkeypatch):
    """The course as it was before anybody submitted, with a grading that costs nothing."""
    monkeypatch.setattr(whole, "grade_assignment", canned_assignment)
    yield released
    shutil.rmtree(released.school.root / "work", ignore_errors=True)
    shutil.rmtree(released.school.root / "homes", ignore_errors=True)
    for folder in ("submitted", "autograded", "feedback"):
        shutil.rmtree(released.course / folder, ignore_errors=True)
    for folder in ("inbound", "feedback"):
        for path in (released.school.exchange / School.course_id / folder).glob("*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with Gradebook(f"sqlite:///{released.course}/gradebook.db", School.course_id) as book:
        for row in book.assignment_submissions(LOOKUP):
            book.remove_submission(LOOKUP, row.student.id)


def put(room: Room, name: str) -> Path:
    """A submission that no command of nbgrader's made."""
    folder = room.school.exchange / School.course_id / "inbound" / name
    folder.mkdir()
    shutil.copy(room.course / "release" / LOOKUP / f"{LOOKUP}.ipynb", folder)
    (folder / "submission_secret.txt").write_text("s")
    folder.chmod(0o777)
    return folder


# --- the command --------------------------------------------------------------------------------


def start(room: Room) -> subprocess.Popen:
    command = [f"{sysconfig.get_path('scripts')}/autograde", "watch", ".", "--interval", "0.2"]
    env = os.environ | room.school.instructor.environment() | {"COLUMNS": "200"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=room.course, env=env, start_new_session=True, **pipes)


def said_by(run: subprocess.Popen, what: str) -> str:
    """Read what a watcher prints until that is in it."""
    said = ""
    while what not in said:
        line = run.stdout.readline()
        assert line, said
        said += line
    return said


def test_learners_are_answered_although_the_watcher_is_killed_and_started_again(room):
    ann, bob = room.learner("ann"), room.learner("bob", NOT_SCALED)
    run = start(room)
    try:
        said_by(run, "Feedback is released for: *.")
        ann.submit_in_jupyterlab(LOOKUP)
        said = said_by(run, "feedback released")
        assert re.search(
            r"ann  01_one_lookup  8 of 11 points, 3 of them yet to be graded by hand, "
            r"feedback released \d+\.\d s after submitting",
            said,
        )
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    [page] = fetched(ann)
    assert "attention.softmax" in page
    assert "3 more points wait for your instructor, who has not graded" in " ".join(page.split())
    bob.submit_in_jupyterlab(LOOKUP)
    ann.write("mha_lib/attention.py", NOT_SCALED)
    ann.submit_in_jupyterlab(LOOKUP)
    run = start(room)
    try:
        said = said_by(run, "bob  ") + said_by(run, "ann  ")
        os.killpg(run.pid, signal.SIGINT)  # what a terminal does
        end = run.communicate(timeout=60)[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 130 and "Traceback" not in end
    assert end.endswith("Stopped. The same command goes on from here.\n")
    assert said.count("feedback released") == 2
    assert {name: score for name, (score, _) in room.graded().items()} == {"ann": 4, "bob": 4}
    assert "attention_not_scaled" in fetched(bob)[-1]
    first, second = fetched(ann)
    assert first == page and "attention_not_scaled" in second


def test_a_second_watcher_and_a_course_without_exchange_are_refused(room, monkeypatch):
    with watch._only_one(room.course), pytest.raises(AutogradeError, match="Another watcher"):
        room.watch()
    monkeypatch.setattr(watch.sys, "platform", "win32")
    with pytest.raises(AutogradeError, match="no exchange on Windows"):
        room.watch()


# --- whatever happens ---------------------------------------------------------------------------


def test_killed_at_any_moment_it_loses_nothing_and_grades_nothing_twice(room, tmp_path):
    tally, learners = tmp_path / "tally", [room.learner(name) for name in ("ann", "bob", "cid")]

    def counted(converter, student, assignment):
        with tally.open("a") as file:
            file.write(student + "\n")
        return canned_assignment(converter, student, assignment)

    def submit(some):
        for learner in some:
            learner.submit_in_jupyterlab(LOOKUP)

    dice, ends = random.Random(5), 0
    submit(learners)
    began = time.monotonic()
    room.watch()
    long = time.monotonic() - began
    with patch.object(whole, "grade_assignment", counted):
        for _ in range(KILLS):
            submit(learners[: dice.choice((0, 1, 3))])
            done = {n for n, (_, when) in room.graded().items() if when == room.newest()[n]}
            tally.write_text("")
            ends += not killed_after(dice.uniform(0, long), room.watch)
            assert not done & set(tally.read_text().split()), "graded although it was before"
        room.watch()
    assert ends < KILLS
    assert {name: when for name, (_, when) in room.graded().items()} == room.newest()
    for learner in learners:
        assert fetched(learner)[-1].rstrip().endswith("</html>")


def test_what_cannot_be_graded_is_named_and_does_not_stop_the_others(room, monkeypatch):
    seeds = set()

    def fails(converter, student, assignment):
        seeds.add(secret_seed())
        if student == "ann":
            raise GraderFault("no process could be started")
        return canned_assignment(converter, student, assignment)

    for name in ("ann", "bob"):
        room.learner(name).submit_in_jupyterlab(LOOKUP)
    put(room, f"eve+{LOOKUP}+yesterday")
    put(room, f"*+{LOOKUP}+2026-01-01 00:00:00 UTC")
    put(room, "unknown")
    monkeypatch.setattr(whole, "grade_assignment", fails)
    said = room.watch()
    assert "ann, 01_one_lookup: no process could be started. Tried again in 5 s." in said
    assert "bob  01_one_lookup" in said
    assert re.search("eve.* is left out: no submission has such a name", said)
    fault = said.partition("fault: Not done, see above: ")[2]
    assert all(f"{name}, {LOOKUP}" in fault for name in ("ann", "eve", "*"))
    assert set(room.graded()) == {"bob"}
    assert len(seeds) == 2, "who submits again and again would learn the hidden cases"
    monkeypatch.setattr(whole, "grade_assignment", canned_assignment)
    said = room.watch()
    assert "ann  01_one_lookup" in said and "bob  " not in said


def test_pauses_grow_until_it_works(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock[0])
    pauses = watch.Pauses()
    assert [pauses.lengthen("x") for _ in range(9)] == [5, 10, 20, 40, 80, 160, 320, 600, 600]
    clock[0] = 599
    assert not pauses.are_over("x") and pauses.are_over("y")
    clock[0] = 600
    assert pauses.are_over("x")
    pauses.end("x")
    assert pauses.lengthen("x") == 5


def test_feedback_is_released_where_the_instructor_allows_it(room):
    ann = room.learner("ann")
    ann.submit_in_jupyterlab(LOOKUP)
    room.allow()
    said = room.watch()
    assert "no assignment." in said and re.search(r"by hand, graded \d", said)
    assert fetched(ann) == []
    room.allow("0?_*")
    room.watch()
    assert len(fetched(ann)) == 1


# --- collecting ---------------------------------------------------------------------------------


def collect(room: Room) -> str:
    with room.api() as api:
        return api.collect(LOOKUP)["log"]


def test_a_submission_is_collected_when_all_of_it_is_there(room):
    ann, submitted = room.learner("ann"), room.course / "submitted/ann" / LOOKUP
    ann.submit_in_jupyterlab(LOOKUP)
    first = room.newest()["ann"]
    ann.submit_in_jupyterlab(LOOKUP)
    newest = room.school.inbound("ann")[-1]
    newest.chmod(0o755)
    assert "is being submitted just now" in collect(room)
    assert (submitted / "timestamp.txt").read_text().startswith(first)
    (newest / exchange.SECRET).unlink()
    newest.chmod(0o777)
    assert "is being submitted just now" in collect(room)
    os.utime(newest, (0, time.time() - exchange.SETTLED_SECONDS - 1))
    collect(room)
    assert (submitted / "timestamp.txt").read_text().startswith(room.newest()["ann"])
    assert len((submitted / exchange.SECRET).read_text()) == 128  # so releasing does not stop


def test_a_copy_that_breaks_off_is_no_submission(room, monkeypatch):
    room.learner("ann").submit_in_jupyterlab(LOOKUP)
    with monkeypatch.context() as patches:
        patches.setattr(exchange.PackageCollect, "_complete", lambda *_: os._exit(9))
        child = os.fork()
        if child == 0:
            collect(room)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    with room.api() as api:
        assert api.get_submitted_students(LOOKUP) == set()
    assert "ann  01_one_lookup" in room.watch()
    assert [path.name for path in (room.course / "submitted/ann").iterdir()] == [LOOKUP]
