"""The gradebook on PostgreSQL: the same commands, the same grades, several people at once."""

import csv
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from nbgrader import dbutil
from nbgrader.api import Gradebook
from nbgrader_classroom import ATTENTION, LOOKUP, School
from sqlalchemy import inspect
from traitlets.config import Config

from autograde.course import create_course
from autograde.nbgrader import configure
from autograde.statistics.answers import read_answers

LEARNERS = {"ann": ATTENTION, "bob": ATTENTION.replace(" / math.sqrt(q.size(-1))", "")}


def _program(name: str) -> str | None:
    """Debian keeps the server's programs out of the path."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(installed[-1]) if installed else None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a database cluster of our own, reached through a socket in its folder."""
    initdb, pg_ctl = _program("initdb"), _program("pg_ctl")
    if not (initdb and pg_ctl):
        assert "CI" not in os.environ, "PostgreSQL is missing: apt install postgresql"
        pytest.skip("no PostgreSQL on this machine (Debian: apt install postgresql)")
    folder = tempfile.mkdtemp()  # of a short name, for the socket
    other = {"user": "nobody"} if os.geteuid() == 0 else {}  # PostgreSQL refuses to run as root
    if other:
        shutil.chown(folder, **other)

    def run(*words: str) -> None:
        subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL, **other)

    data = f"{folder}/data"
    run(initdb, "-D", data, "-U", "grader", "--auth=trust", "--no-sync", "--encoding=UTF8")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run(pg_ctl, "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
    try:
        yield f"postgresql://grader@/postgres?host={folder}"
    finally:
        run(pg_ctl, "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def school(server, tmp_path_factory) -> School:
    """A class of two, graded and with feedback."""
    school = School(tmp_path_factory.mktemp("school"))
    create_course(school.course, exchange=None, course_id=school.course_id)
    school.instructor.work = school.course
    with (school.course / "nbgrader_config.py").open("a") as config:
        config.write(f"c.CourseDirectory.db_url = {server!r}\n")
    school.instructor.nbgrader("generate_assignment", LOOKUP)
    released = school.course / "release" / LOOKUP
    for learner, text in LEARNERS.items():
        submitted = school.course / "submitted" / learner / LOOKUP
        shutil.copytree(released, submitted)
        (submitted / "mha_lib/attention.py").write_text(text)
    school.instructor.nbgrader("autograde", LOOKUP)
    school.instructor.nbgrader("generate_feedback", LOOKUP)
    return school


def test_grades_are_exported(school):
    school.instructor.nbgrader("export", "--to", "grades.csv")
    with (school.course / "grades.csv").open(newline="") as file:
        scores = {row["student_id"]: float(row["raw_score"]) for row in csv.DictReader(file)}
    assert scores == {"ann": 8, "bob": 4}  # as with SQLite, in test_nbgrader_flow.py


def test_the_grades_are_in_postgresql_and_nowhere_else(school, server):
    assert not list(school.course.rglob("*.db"))
    with Gradebook(server, School.course_id) as gradebook:
        assert inspect(gradebook.engine).dialect.name == "postgresql"
        assert {row["student"] for row in gradebook.submission_dicts(LOOKUP)} == set(LEARNERS)


def test_feedback_is_written(school):
    page = school.course / "feedback/bob" / LOOKUP / f"{LOOKUP}.html"
    assert "not divided by sqrt(d)" in page.read_text(encoding="utf-8")


def test_statistics_come_from_it(school):
    answers, notes = read_answers(school.course, LOOKUP)
    mistakes = {(a.learner, a.misconception) for a in answers if a.misconception}
    assert mistakes == {("bob", "attention_not_scaled")} and notes == []


def test_the_schema_can_be_upgraded(school, server):
    configure(Config(), school.course)  # finds alembic
    dbutil.upgrade(server)  # what `nbgrader db upgrade` calls


def test_many_graders_write_at_once(school, server):
    def grade(number: int) -> None:
        with Gradebook(server, School.course_id) as gradebook:
            for learner in LEARNERS:
                for grade in gradebook.find_submission_notebook(LOOKUP, LOOKUP, learner).grades:
                    grade.extra_credit = number
            gradebook.add_student(f"learner-{number}")
            gradebook.db.commit()

    with ThreadPoolExecutor(8) as graders:
        list(graders.map(grade, range(8)))
    with Gradebook(server, School.course_id) as gradebook:
        assert len(gradebook.students) == 8 + len(LEARNERS)
