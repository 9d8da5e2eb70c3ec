"""Canvas and Moodle: their names for what they let an instructor download, their grade files.

Sources, as of 2026: Canvas, `lib/content_zipper.rb` (names) and `lib/gradebook_importer.rb`
(columns) of github.com/instructure/canvas-lms; Moodle, `mod/assign/locallib.php` (names) and
`grade/import/csv/classes/load_data.php` (columns) of github.com/moodle/moodle.
"""

import csv
import re
import unicodedata
from collections import defaultdict
from functools import cached_property
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.plugins import ExportPlugin, FileNameCollectorPlugin
from traitlets import Dict

from autograde.loading import PACKAGE

from .notebooks import course_directory

# Below extracted/: what `PackageExtractor` makes of one learner's zip.
_FILE = rf"(?:/.*?)??/(?P<file_id>(?:{PACKAGE}/)?[^/]+\.(?:ipynb|py))$"
PATTERNS = {
    # learnerann_LATE_4567_98765_work-1.zip; without names: anon_x1Y2z_98765_work.zip
    "canvas": r".*/extracted/(?:[^/]+?_(?:LATE_)?(?=\d)|(?:LATE_)?(?=anon_))"
    r"(?P<number>\d+|anon_[^/_]+)_(?P<upload>\d+)_[^/]*" + _FILE,
    # "Ann Learner_4567_assignsubmission_file/work.zip", or "…_file_work.zip" without folders
    "moodle": r".*/extracted/(?P<name>[^/_]+)_(?P<number>\d+)_assignsubmission_file[^/]*" + _FILE,
}


class _Collector(FileNameCollectorPlugin):
    """Finds out whose a file is; of several uploads of one learner, the newest counts.

    nbgrader's own stops the whole class where a learner has uploaded two archives.
    """

    def collect(self, submitted_file):
        found = super().collect(submitted_file)
        if found is None:
            return None
        newest = self._newest(submitted_file)[self._key(found)]
        if newest != submitted_file:
            self.log.warning("%s is left out: %s counts", submitted_file, newest)
            return None
        return {"student_id": self.student(found), "file_id": found["file_id"]}

    def student(self, found: dict[str, str]) -> str:
        """The learner's id in the gradebook."""
        raise NotImplementedError

    @staticmethod
    def _key(found: dict[str, str]) -> tuple:
        return found.get("name"), found["number"], found["file_id"]

    def _newest(self, submitted_file: str) -> dict[tuple, str]:
        """For each file of each learner, the path that counts."""
        if not hasattr(self, "_chosen"):
            extracted = Path(submitted_file[: submitted_file.index("/extracted/")]) / "extracted"
            matches = [
                match
                for path in extracted.rglob("*")
                if (match := re.match(self.named_regexp, str(path)))
            ]
            matches.sort(key=lambda match: self._rank(extracted, match))
            self._chosen = {self._key(match.groupdict()): match.string for match in matches}
        return self._chosen

    @staticmethod
    def _rank(extracted: Path, match: re.Match) -> tuple:
        """An upload with functions before one without, then by its number, then by its name."""
        path = Path(match.string)
        upload = extracted / path.relative_to(extracted).parts[0]
        number = int(match.groupdict().get("upload") or 0)
        return any(upload.rglob(f"{PACKAGE}/*.py")), number, match.string

    @cached_property
    def students(self) -> list:
        """The learners in the gradebook, as nbgrader's `Student`."""
        coursedir = course_directory(self)
        with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
            return gradebook.students


class CanvasCollector(_Collector):
    """Canvas's number for a learner is the same in all assignments.

    It is looked up among the gradebook's `lms_user_id`, and is the learner's id where none has it.
    """

    def student(self, found):
        known = {student.lms_user_id: student.id for student in self.students}
        return known.get(found["number"], found["number"])


class MoodleCollector(_Collector):
    """Moodle's number for a learner is another one in each assignment; the name is all there is.

    Where exactly one learner in the gradebook has that name, it is that one. Otherwise name and
    number together are the id, so that no two people are taken for one.
    """

    def student(self, found):
        same = self._by_name.get(_plain(found["name"]), set())
        if len(same) == 1:
            return next(iter(same))
        student = f"{found['name']} {found['number']}"
        self.log.warning(
            "%r is the name of %d learners in the gradebook: taken as %r",
            found["name"],
            len(same),
            student,
        )
        return student

    @cached_property
    def _by_name(self) -> dict[str, set[str]]:
        names = defaultdict(set)
        for student in self.students:
            first, last = student.first_name or "", student.last_name or ""
            for name in (f"{first} {last}", f"{last} {first}"):
                names[_plain(name)].add(student.id)
        return names


def _plain(name: str) -> str:
    """The name without what differs between two systems: accents' encoding, case, spaces, "_"."""
    name = unicodedata.normalize("NFC", name).casefold().replace("_", " ")
    return " ".join(name.split())


COLLECTORS = {"canvas": CanvasCollector, "moodle": MoodleCollector}


class _Exporter(ExportPlugin):
    """One row a learner, one column an assignment; empty where nothing was submitted."""

    titles = Dict(
        help="assignment -> what the LMS calls it, e.g. {'01_one_lookup': 'One look-up (1234)'}; "
        "by default the same as here."
    ).tag(config=True)
    default_file: str

    def export(self, gradebook):
        wanted = [str(name) for name in self.assignment]
        assignments = [a for a in gradebook.assignments if not wanted or a.name in wanted]
        chosen = [str(student) for student in self.student]
        students = [s for s in gradebook.students if not chosen or s.id in chosen]
        path = self.to or self.default_file
        self.log.info("Exporting grades to %s", path)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerows(self.head([(self.titles.get(a.name, a.name), a) for a in assignments]))
            for student in students:
                grades = [self._grade(gradebook, a.name, student.id) for a in assignments]
                writer.writerow([*self.person(student), *grades])

    def head(self, columns: list[tuple]) -> list[list[str]]:
        """The rows above the learners', from (title, assignment)."""
        raise NotImplementedError

    def person(self, student) -> list[str]:
        """The columns that say who it is."""
        raise NotImplementedError

    def _grade(self, gradebook, assignment: str, student: str) -> str:
        try:
            submission = gradebook.find_submission(assignment, student)
        except MissingEntry:
            return ""
        if submission.needs_manual_grade:
            self.log.warning("%s, %s: not all is graded by hand yet", student, assignment)
        return f"{max(0.0, submission.score - submission.late_submission_penalty):.2f}"


class CanvasExporter(_Exporter):
    """The layout of Canvas's gradebook import.

    Canvas finds a learner by ID, else by login, else by name; and an assignment by the number in
    brackets at the end of its title, else by the title, else it offers to make a new one.
    """

    default_file = "canvas.csv"

    def head(self, columns):
        who = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
        possible = ["    Points Possible", "", "", "", ""]
        return [
            [*who, *(title for title, _ in columns)],
            [*possible, *(f"{assignment.max_score:.2f}" for _, assignment in columns)],
        ]

    def person(self, student):
        name = ", ".join(filter(None, [student.last_name, student.first_name])) or student.id
        number = student.lms_user_id or (student.id if student.id.isdecimal() else "")
        return [name, number, "", "" if number == student.id else student.id, ""]


class MoodleExporter(_Exporter):
    """The columns of Moodle's grade export, which are those of its import.

    Moodle asks which column says who it is (ID number, username or email address) and which grade
    item each of the others belongs to; a row whose learner it does not find stops its import.
    """

    default_file = "moodle.csv"

    def head(self, columns):
        who = ["First name", "Last name", "ID number", "Username", "Email address"]
        return [[*who, *(title for title, _ in columns)]]

    def person(self, student):
        names = (student.first_name, student.last_name, student.lms_user_id)
        return [*(name or "" for name in names), student.id, student.email or ""]
