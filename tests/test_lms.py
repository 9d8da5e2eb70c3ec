"""Canvas and Moodle: their downloads are collected, and what is exported has their columns."""

import csv
import shutil
import unicodedata
import zipfile

import pytest
from nbgrader.api import Gradebook
from nbgrader_classroom import ATTENTION, LOOKUP, School
from traitlets.config import Config

from autograde.course import create_course
from autograde.errors import AutogradeError
from autograde.nbgrader import configure

NFD = unicodedata.normalize("NFD", "Zoë Åström")  # as macOS writes accents
PEOPLE = {  # id -> first name, last name, email, Canvas's number
    "ann": ("Ann", "Learner", "ann@example.org", "4567"),
    "zoe": ("Zoë", "Åström", "zoe@example.org", "4568"),
    "pat": ("Pat", "O'Brien", "pat@example.org", "4569"),
    "twin1": ("Kim", "Lee", "kim1@example.org", "4570"),
    "twin2": ("Kim", "Lee", "kim2@example.org", "4571"),
    "idle": ("=1+1", 'Quo"te, the', None, None),
}


@pytest.fixture(scope="module")
def school(tmp_path_factory) -> School:
    school = School(tmp_path_factory.mktemp("lms"))
    create_course(school.course, exchange=None, course_id=school.course_id, lms="canvas")
    school.instructor.work = school.course
    shutil.copytree(school.course / "source" / LOOKUP, school.course / "release" / LOOKUP)
    configure(Config(), school.course)  # a new gradebook calls alembic
    with Gradebook(f"sqlite:///{school.course}/gradebook.db", school.course_id) as gradebook:
        for name, (first, last, email, number) in PEOPLE.items():
            who = {"first_name": first, "last_name": last, "email": email, "lms_user_id": number}
            gradebook.add_student(name, **who)
    return school


def _put(school: School, uploads: dict[str, str | None]) -> str:
    """Lay the uploads out as unpacked from the LMS's zip; each holds a text of its own, or none."""
    downloaded = school.course / "downloaded" / LOOKUP
    for folder in (downloaded, school.course / "submitted"):
        shutil.rmtree(folder, ignore_errors=True)
    notebook = (school.course / "release" / LOOKUP / f"{LOOKUP}.ipynb").read_text()
    for name, text in uploads.items():
        path = downloaded / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.write_text("no archive")
            continue
        with zipfile.ZipFile(path, "w") as archive:
            if text:
                archive.writestr(f"{LOOKUP}.ipynb", notebook)
                archive.writestr("mha_lib/attention.py", text)
            else:
                archive.writestr("holiday.png", "")
    return school.instructor.nbgrader("zip_collect", LOOKUP)


def _collected(school: School) -> dict[str, str]:
    """Learner -> the text that was collected."""
    submitted = (school.course / "submitted").glob(f"*/{LOOKUP}/mha_lib/attention.py")
    return {path.parents[2].name: path.read_text() for path in submitted}


def test_a_download_from_canvas_is_collected(school):
    printed = _put(
        school,
        {
            f"learnerann_4567_98765_ann_{LOOKUP}.zip": ATTENTION,
            f"åströmzoë_LATE_4568_98766_zoë_{LOOKUP}-1.zip": "# zoe",
            "obrienpat_4569_98767_my work (final) it's_12_34_.zip": "# pat, first",
            "obrienpat_4569_98768_my work (final) it's-1.zip": "# pat, second",
            "obrienpat_4569_98769_photos.zip": "",
            "leekim_4570_98770_work.zip": "# twin 1",
            "leekim_4571_98771_work.zip": "# twin 2",
            "42_4599_98772_work.zip": "# unknown",
            "anon_x1Y2z_98773_work.zip": "# anonymous",
            "LATE_anon_Q9_98774_work.zip": "# late and anonymous",
            "learnerann_4567_98790_text.html": None,
        },
    )
    assert _collected(school) == {
        "ann": ATTENTION,
        "zoe": "# zoe",
        "pat": "# pat, second",
        "twin1": "# twin 1",
        "twin2": "# twin 2",
        "4599": "# unknown",
        "anon_x1Y2z": "# anonymous",
        "anon_Q9": "# late and anonymous",
    }
    for learner in (school.course / "submitted").iterdir():
        assert (learner / LOOKUP / f"{LOOKUP}.ipynb").is_file(), learner
    assert "it's_12_34_/mha_lib/attention.py is left out" in printed


def test_a_download_from_moodle_is_collected(school):
    config = school.course / "nbgrader_config.py"
    before = config.read_text()
    config.write_text(
        before.replace('lms="canvas"', 'lms="moodle"').replace("'canvas'", "'moodle'")
    )
    assert "moodle" in config.read_text()
    file = "_assignsubmission_file"
    try:
        printed = _put(
            school,
            {
                f"Ann Learner_10045{file}/ann_{LOOKUP}.zip": ATTENTION,
                f"{NFD}_10046{file}_/my work.zip": "# zoe",
                f"Pat O'Brien_10047{file}_pat_1_2_{LOOKUP}.zip": "# pat",
                f"Kim Lee_10048{file}/work.zip": "# one Kim Lee",
                f"Kim Lee_10049{file}/work.zip": "# the other Kim Lee",
                f"Participant_10050{file}/work.zip": "# anonymous",
                "Ann Learner_10045_assignsubmission_onlinetext/onlinetext.html": None,
            },
        )
    finally:
        config.write_text(before)
    assert _collected(school) == {
        "ann": ATTENTION,
        "zoe": "# zoe",
        "pat": "# pat",
        "Kim Lee 10048": "# one Kim Lee",
        "Kim Lee 10049": "# the other Kim Lee",
        "Participant 10050": "# anonymous",
    }
    assert "'Kim Lee' is the name of 2 learners in the gradebook" in printed


def test_an_unknown_lms_is_refused(tmp_path):
    with pytest.raises(AutogradeError, match="'blackboard' is not known; there are canvas and"):
        create_course(tmp_path / "course", exchange=None, course_id="mha", lms="blackboard")


# --- export -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graded(school) -> School:
    """Two assignments; ann has 3.5 of 5 points and 1 off for being late, pat has all, in both."""
    with Gradebook(f"sqlite:///{school.course}/gradebook.db", school.course_id) as gradebook:
        for name in ("one", "two"):
            gradebook.add_assignment(name)
            gradebook.add_notebook("work", name)
            cell = {"max_score": 5, "cell_type": "code"}
            gradebook.add_grade_cell("cell", "work", name, **cell)
            for learner, points in {"ann": 3.5, "pat": 5}.items():
                gradebook.add_submission(name, learner)
                grade = gradebook.find_grade("cell", "work", name, learner)
                grade.manual_score, grade.needs_manual_grade = points, False
        late = gradebook.find_submission_notebook("work", "one", "ann")
        late.late_submission_penalty = 1
        gradebook.db.commit()
    with (school.course / "nbgrader_config.py").open("a") as config:
        config.write('\nc.CanvasExporter.titles = {"one": "One look-up (1234)"}\n')
    return school


def _export(school: School, exporter: str, *words: str) -> list[list[str]]:
    path = f"autograde.nbgrader.lms.{exporter}"
    school.instructor.nbgrader("export", f"--exporter={path}", "--to", "out.csv", *words)
    with (school.course / "out.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_canvas_can_import_the_grades(graded):
    head, possible, *rows = _export(graded, "CanvasExporter")
    assert head[:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert head[5:] == ["One look-up (1234)", "two"]
    assert possible == ["    Points Possible", "", "", "", "", "5.00", "5.00"]
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["Learner, Ann"] == ["4567", "", "ann", "", "2.50", "3.50"]
    assert by_name["O'Brien, Pat"] == ["4569", "", "pat", "", "5.00", "5.00"]
    assert by_name["Åström, Zoë"] == ["4568", "", "zoe", "", "", ""]  # submitted nothing
    assert by_name['Quo"te, the, =1+1'] == ["", "", "idle", "", "", ""]
    assert len(rows) == len(PEOPLE)  # both Kim Lees


def test_moodle_can_import_the_grades(graded):
    head, *rows = _export(
        graded, "MoodleExporter", '--assignment=["one"]', '--student=["ann", "zoe"]'
    )
    assert head == ["First name", "Last name", "ID number", "Username", "Email address", "one"]
    assert sorted(rows) == [
        ["Ann", "Learner", "4567", "ann", "ann@example.org", "2.50"],
        ["Zoë", "Åström", "4568", "zoe", "zoe@example.org", ""],
    ]
