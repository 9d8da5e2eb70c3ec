"""Read how a class answered: from a course directory, or from what `autograde grade` wrote."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from autograde.assignments import exercises_of
from autograde.build.lessons import exercise_of
from autograde.errors import AutogradeError
from autograde.exercises import EXERCISES
from autograde.nbgrader.grade import outcomes

PAST_TENSE = {"passed": "passed", "missing": "unfinished"}  # all other statuses: failed


@dataclass(frozen=True)
class Answer:
    """How one learner did one exercise.

    Attributes:
        assignment: "" where the source does not say.
        status: as in `ExerciseResult`.
        attempts: how often the learner submitted the assignment; None where nobody knows.
        directory: the folder that holds the `mha_lib` that was graded.
    """

    learner: str
    assignment: str
    exercise: str
    status: str
    misconception: str | None
    score: float
    max_score: float
    attempts: int | None
    directory: Path

    @property
    def result(self) -> str:
        """passed, failed or unfinished."""
        return PAST_TENSE.get(self.status, "failed")


def read_answers(source: Path, assignment: str | None = None) -> tuple[list[Answer], list[str]]:
    """Read from a course directory or a file of `autograde grade --json`.

    Args:
        assignment: this one only.

    Returns:
        the answers, and a sentence for everything that is left out.

    Raises:
        AutogradeError: if the source is neither, or has nothing of that assignment.
    """
    answers, notes = (_from_course if source.is_dir() else _from_grades)(source, assignment)
    if not answers:
        where = f"{source}, {assignment}" if assignment else str(source)
        raise AutogradeError(" ".join([f"Nothing is graded in {where}.", *notes]))
    return answers, notes


def _from_grades(path: Path, assignment: str | None) -> tuple[list[Answer], list[str]]:
    wanted = exercises_of(assignment) if assignment else list(EXERCISES)
    try:
        listing = json.loads(path.read_text(encoding="utf-8"))
        answers = [
            Answer(
                learner=entry["submission"],
                assignment=assignment or "",
                exercise=exercise,
                status=result["status"],
                misconception=result["misconception"],
                score=float(result["score"]),
                max_score=float(result["max_score"]),
                attempts=None,
                directory=Path(entry["submission"]),
            )
            for entry in listing
            for exercise, result in entry["exercises"].items()
            if exercise in wanted
        ]
    except OSError as error:
        raise AutogradeError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AutogradeError(f"{path} is not what `autograde grade --json` writes.") from error
    return answers, []


def _from_course(directory: Path, assignment: str | None) -> tuple[list[Answer], list[str]]:
    """Through nbgrader's own interfaces: its configuration, its gradebook, its exchange."""
    from nbgrader.api import Gradebook, MissingEntry
    from nbgrader.coursedir import CourseDirectory

    from autograde.nbgrader.opening import opened

    with opened(directory) as app:
        coursedir = CourseDirectory(parent=app)
        attempts = _attempts(app, coursedir)
        with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
            names = [assignment] if assignment else [one.name for one in gradebook.assignments]
            try:
                [gradebook.find_assignment(name) for name in names]
            except MissingEntry as error:
                raise AutogradeError(f"The gradebook has no assignment {assignment!r}.") from error
            answers, without = [], 0
            for name in names:
                submissions = gradebook.assignment_submissions(name)
                for submission in tqdm(submissions, name, disable=len(submissions) < 100):
                    found, lost = _answers_of(coursedir, submission, attempts)
                    answers += found
                    without += lost
    left_out = f"{without} graded functions have no recorded outcome and are left out: run "
    return answers, [left_out + "`nbgrader autograde ASSIGNMENT --force`."] if without else []


def _answers_of(coursedir, submission, attempts: Counter) -> tuple[list[Answer], int]:
    """The answers of one submission in the gradebook, and how many have no outcome on record."""
    learner, assignment = submission.student.id, submission.assignment.name
    submitted = coursedir.format_path(coursedir.submitted_directory, learner, assignment)
    autograded = coursedir.format_path(coursedir.autograded_directory, learner, assignment)
    answers, without = [], 0
    for notebook in submission.notebooks:
        recorded = outcomes(Path(autograded) / f"{notebook.name}.ipynb")
        for grade in notebook.grades:
            exercise = exercise_of(grade.name)
            if exercise not in EXERCISES:  # a written answer
                continue
            if exercise not in recorded:
                without += 1
                continue
            answers.append(
                Answer(
                    learner=learner,
                    assignment=assignment,
                    exercise=exercise,
                    status=recorded[exercise]["status"],
                    misconception=recorded[exercise]["misconception"],
                    score=grade.score,
                    max_score=grade.max_score,
                    attempts=attempts.get((learner, assignment)),
                    directory=Path(submitted).resolve(),
                )
            )
    return answers, without


def _attempts(app, coursedir) -> Counter:
    """(learner, assignment) -> how many submissions of it lie in the exchange."""
    from nbgrader.auth import Authenticator
    from nbgrader.exchange import ExchangeFactory

    listing = ExchangeFactory(parent=app).List(
        coursedir=coursedir, authenticator=Authenticator(parent=app), parent=app, inbound=True
    )
    listing.init_dest()
    found = [listing.parse_assignment(path) for path in listing.assignments]
    return Counter((one["student_id"], one["assignment_id"]) for one in found)
