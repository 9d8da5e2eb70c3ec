"""Grading that is killed at any moment, and run again: every submission is graded exactly once.

The coordinators killed here do everything a real one does with files and the gradebook; only the
grading of a submission itself is replaced by a canned result, so that hundreds of runs are cheap.
"""

import errno
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from nbgrader.apps import AutogradeApp
from nbgrader_classroom import LOOKUP, School
from tqdm import tqdm

from autograde import batch, landlock, sandbox
from autograde.errors import AutogradeError, GraderFault
from autograde.journal import Journal, write_whole
from autograde.nbgrader import exporter, whole
from autograde.results import ExerciseResult

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks the coordinator")

KILLS = 160
NAME = "heads.split_heads"


def canned(path: Path) -> batch.Graded:
    score = int(path.name) / 10
    result = ExerciseResult(NAME, score, 2.0, "failed", None, f"of {path.name}")
    return batch.Graded({NAME: result}, "landlock")


@contextmanager
def threads(workers, scheduler):
    with ThreadPoolExecutor(2) as pool:
        yield pool, lambda: 3


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Twelve submissions, and a coordinator whose work is quick and counted."""
    tally = tmp_path / "tally"

    def grade(task):
        time.sleep(0.001)
        with tally.open("a") as file:
            file.write(task.submission.name + "\n")
        return canned(task.submission)

    monkeypatch.setattr(batch, "_grade", grade)
    monkeypatch.setattr(batch, "executor", threads)
    monkeypatch.setattr(batch, "tqdm", partial(tqdm, disable=True))
    submissions = [tmp_path / str(number) for number in range(10, 22)]
    for path in submissions:
        (path / "mha_lib").mkdir(parents=True)
        (path / "mha_lib/heads.py").write_text(f"# {path.name}\n")
    return submissions, tmp_path / "grades.json", tally


def coordinate(submissions, target):
    """What the command does."""
    journal = Journal(target)
    graded, faults = batch.grade_all(submissions, sandbox="off", journal=journal)
    listing = [{"submission": str(path), **one.to_json()} for path, one in graded.items()]
    write_whole(target, json.dumps(listing))
    journal.close(remove=not faults)
    return faults


def killed_after(seconds, work) -> bool:
    """Run `work` in a fork and kill it after a while; False if it came to its end before."""
    child = os.fork()
    if child == 0:
        code = 1
        tqdm.set_lock(threading.RLock())  # its own is shared with the parent, and may die locked
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return status != 0


def journaled(target) -> set[str]:
    path = target.with_name("grades.json.journal")
    if not path.exists():
        return set()
    # The seed comes first, and after the last newline nothing, or a torn line.
    lines = path.read_bytes().split(b"\n")[1:-1]
    return {json.loads(line)["graded"]["exercises"][NAME]["message"][3:] for line in lines}


def test_a_coordinator_killed_at_any_moment_loses_and_repeats_nothing(course):
    submissions, target, tally = course
    wanted = [{"submission": str(path), **canned(path).to_json()} for path in submissions]
    dice, kills, ends = random.Random(7), 0, 0
    while kills < KILLS:
        before = journaled(target)
        tally.write_text("")
        kills += killed_after(dice.uniform(0, 0.06), lambda: coordinate(submissions, target))
        again = set(tally.read_text().split()) & before
        assert not again, "graded although it was in the journal"
        if target.exists():
            assert json.loads(target.read_text()) == wanted  # whole, always
            target.unlink()
            ends += 1
            Path(f"{target}.journal").unlink(missing_ok=True)
    coordinate(submissions, target)
    assert json.loads(target.read_text()) == wanted
    assert not Path(f"{target}.journal").exists()
    assert ends, "no run came to its end: the kills come too early to say anything"


def test_a_torn_line_is_graded_again(course):
    submissions, target, tally = course
    journal = Journal(target)
    batch.grade_all(submissions[:3], sandbox="off", journal=journal)
    journal.close(remove=False)
    path = Path(f"{target}.journal")
    path.write_bytes(path.read_bytes()[:-20])
    tally.write_text("")
    coordinate(submissions[:3], target)
    assert len(tally.read_text().split()) == 1
    assert len(json.loads(target.read_text())) == 3


def test_an_edited_submission_is_graded_again(course):
    submissions, target, tally = course
    journal = Journal(target)
    batch.grade_all(submissions, sandbox="off", journal=journal)
    journal.close(remove=False)
    (submissions[4] / "mha_lib/heads.py").write_text("# better\n")
    tally.write_text("")
    coordinate(submissions, target)
    assert tally.read_text().split() == [submissions[4].name]


def test_one_fault_of_the_grader_costs_no_other_submission(course, monkeypatch):
    submissions, target, tally = course
    grade = batch._grade

    def faulty(task):
        if task.submission == submissions[0].resolve():
            raise GraderFault("no process")
        return grade(task)

    monkeypatch.setattr(batch, "_grade", faulty)
    assert coordinate(submissions, target) == {submissions[0]: "no process"}
    assert len(journaled(target)) == len(json.loads(target.read_text())) == 11
    monkeypatch.setattr(batch, "_grade", grade)
    tally.write_text("")
    assert coordinate(submissions, target) == {}
    assert tally.read_text().split() == [submissions[0].name]
    assert len(json.loads(target.read_text())) == 12


def test_a_full_disk_keeps_the_results_that_were_there(tmp_path, monkeypatch):
    target = tmp_path / "grades.json"
    target.write_text("[]")
    journal = Journal(target)
    journal.file.close()
    journal.file = open("/dev/full", "ab")  # noqa: SIM115
    with pytest.raises(AutogradeError, match="No space left"):
        journal.add("key", {})

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AutogradeError, match=r"Cannot write .*grades.json: No space left"):
        write_whole(target, "new")
    assert target.read_text() == "[]"
    assert sorted(path.name for path in tmp_path.iterdir()) == [target.name, journal.path.name]


def test_two_runs_do_not_write_the_same_results(tmp_path):
    first = Journal(tmp_path / "grades.json")
    with pytest.raises(AutogradeError, match="Another run is writing"):
        Journal(tmp_path / "grades.json")
    first.close(remove=True)
    Journal(tmp_path / "grades.json").close(remove=True)


# --- nbgrader -----------------------------------------------------------------------------------

FULL = {"softmax": 2.0, "causal_mask": 1.0, "padding_mask": 1.0}
FULL["scaled_dot_product_attention"] = 4.0
LEARNERS = ("ann", "bea")
NBGRADER_KILLS = 40


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """A course with two submissions."""
    school = School(tmp_path_factory.mktemp("crashes"))
    school.open()
    school.instructor.nbgrader("generate_assignment", LOOKUP)
    for learner in LEARNERS:
        shutil.copytree(school.course / "release" / LOOKUP, _folder(school, "submitted", learner))
    return school


@pytest.fixture
def gradebook(school, monkeypatch):
    """The course before anything is graded; the grading is canned."""
    _forget(school)
    monkeypatch.setattr(whole, "grade_assignment", canned_assignment)
    monkeypatch.setattr(warnings, "showwarning", lambda *_, **__: None)
    monkeypatch.chdir(school.course)
    return school


def _folder(school, step, learner) -> Path:
    return school.course / step / learner / LOOKUP


def canned_assignment(converter, student, assignment):
    results = {
        f"attention.{name}": ExerciseResult(f"attention.{name}", score, score, "passed", None, "")
        for name, score in FULL.items()
    }
    return Path("submitted") / student / assignment, results


def autograde_all(*words: str) -> None:
    AutogradeApp.clear_instance()
    app = AutogradeApp(log_level=50)
    app.initialize([LOOKUP, *words])
    app.start()


def rows(school) -> dict[str, dict[str, float | None]]:
    """What is in the gradebook: learner -> automatic scores by cell."""
    with Gradebook(f"sqlite:///{school.course}/gradebook.db", school.course_id) as book:
        found = {}
        for row in book.assignment_submissions(LOOKUP):
            grades = [grade for notebook in row.notebooks for grade in notebook.grades]
            found[row.student.id] = {grade.name: grade.auto_score for grade in grades}
        return found


WHOLE = {f"attention-{name}": score for name, score in FULL.items()} | {
    "one-lookup-why-scale": 0.0  # nobody has answered the written question
}


def test_a_row_is_whole_or_absent_whenever_nbgrader_is_killed(gradebook):
    started = time.monotonic()
    autograde_all()
    long = time.monotonic() - started
    assert rows(gradebook) == dict.fromkeys(LEARNERS, WHOLE)
    dice, kills, partly = random.Random(8), 0, 0
    while kills < NBGRADER_KILLS:
        if rows(gradebook) == dict.fromkeys(LEARNERS, WHOLE):
            _forget(gradebook)
        kills += killed_after(dice.uniform(0, long), autograde_all)
        found = rows(gradebook)
        assert all(row == WHOLE for row in found.values()), found
        partly += len(found) == 1
    assert partly, "no kill fell between two submissions"
    autograde_all()
    assert rows(gradebook) == dict.fromkeys(LEARNERS, WHOLE)
    assert not list(gradebook.course.glob(f"autograded/*/*/{whole.UNFINISHED}"))


@pytest.mark.parametrize("step", ["mkdir", "touch", "rename", "rmtree"])
def test_a_folder_without_its_mark_is_never_left_behind(gradebook, monkeypatch, step):
    """A run breaks off in the middle of making a folder, or of removing an unfinished one."""
    place = _folder(gradebook, "autograded", "ann")
    if step == "rmtree":
        place.mkdir(parents=True)
        (place / "half.ipynb").touch()
        (place / whole.UNFINISHED).touch()

    def breaks_off(path, *_, **__):
        if step == "rmtree":
            (Path(path) / whole.UNFINISHED).unlink()
        raise InterruptedError

    with monkeypatch.context() as patches:
        patches.setattr(whole.shutil if step == "rmtree" else whole.Path, step, breaks_off)
        with suppress(InterruptedError, SystemExit):
            autograde_all()
    autograde_all()
    assert rows(gradebook) == dict.fromkeys(LEARNERS, WHOLE)
    assert not (place / "half.ipynb").exists()


def _forget(school) -> None:
    """All is as it was before the first run."""
    shutil.rmtree(school.course / "autograded", ignore_errors=True)
    with Gradebook(f"sqlite:///{school.course}/gradebook.db", school.course_id) as book:
        for row in book.assignment_submissions(LOOKUP):
            book.remove_submission(LOOKUP, row.student.id)


def test_without_a_sandbox_nbgrader_refuses_before_it_writes(gradebook, monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    sandbox.available.cache_clear()
    said = []
    monkeypatch.setattr(exporter.SubmissionExporter, "log", _Log(said), raising=False)
    try:
        with pytest.raises(SystemExit):
            autograde_all()
        assert "Landlock missing" in said[0] and "--GradeExercises.sandbox=off" in said[0]
        assert rows(gradebook) == {}
        assert not (gradebook.course / "autograded").exists()
        autograde_all("--GradeExercises.sandbox=off")
    finally:
        sandbox.available.cache_clear()
    assert rows(gradebook) == dict.fromkeys(LEARNERS, WHOLE)


class _Log:
    def __init__(self, said: list[str]):
        self.error = lambda template, *words: said.append(template % words)
        self.warning = self.info = self.debug = lambda *_: None


def test_a_locked_gradebook_leaves_nothing_half_done(gradebook):
    with closing(sqlite3.connect(gradebook.course / "gradebook.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SystemExit):
            autograde_all()
    assert rows(gradebook) == {}
    autograde_all()
    assert rows(gradebook) == dict.fromkeys(LEARNERS, WHOLE)


def test_a_fault_of_the_grader_leaves_no_row(gradebook, monkeypatch):
    def fails(converter, student, assignment):
        if student == "ann":
            raise GraderFault("no process")
        return canned_assignment(converter, student, assignment)

    monkeypatch.setattr(whole, "grade_assignment", fails)
    with pytest.raises(SystemExit):
        autograde_all()
    assert rows(gradebook) == {"bea": WHOLE}
    assert not _folder(gradebook, "autograded", "ann").exists()
    monkeypatch.setattr(whole, "grade_assignment", canned_assignment)
    autograde_all()
    assert rows(gradebook) == dict.fromkeys(LEARNERS, WHOLE)
