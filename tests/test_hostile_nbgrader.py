"""Hostile notebooks, archives and modules in one class, graded by nbgrader's own commands.

A hostile notebook is a folder in tests/hostile_notebooks/ with a line that says what it tries, and
a `make.py` that changes the cells (`edit`), the file (`spoil`) or the zip (`pack`) of a submission
whose softmax is wrong and whose other functions are right. Whatever the notebook says, that is what
its learner gets.
"""

import json
import re
import resource
import runpy
import shutil
import tomllib
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hostile_stage import Stage, delete, read_corpus
from nbconvert.exporters import HTMLExporter
from nbgrader.api import Gradebook
from nbgrader_classroom import ATTENTION, HEADS, LOOKUP, School
from traitlets.config import Config

from autograde.nbgrader import configure

CORPUS = Path(__file__).parent / "hostile_notebooks"
WRONG = ATTENTION.replace("    return torch.softmax(scores, dim)\n", "    return scores\n", 1)
HONEST = {
    "attention-softmax": 0,
    "attention-causal_mask": 1,
    "attention-padding_mask": 1,
    "attention-scaled_dot_product_attention": 4,
}
FULL = HONEST | {"attention-softmax": 2}
LAST = "zz-honest"  # graded after everybody else


INBOUND = "{learner}+" + LOOKUP + "+2026-01-01 00:00:00.000000 UTC+" + "0" * 16
LARGEST_FILE = 500 * 2**20  # bytes, for all that this class's commands write: if a copy never ends


def _makers() -> dict[str, dict]:
    return {path.parent.name: runpy.run_path(str(path)) for path in CORPUS.glob("*/make.py")}


MAKERS = _makers()
NOTEBOOKS = sorted(name for name, maker in MAKERS.items() if "pack" not in maker)
ARCHIVES = sorted(name for name, maker in MAKERS.items() if "pack" in maker)
# Those that try to bring a page to life.
LIVELY = [n for n in NOTEBOOKS if n.startswith(("breaks_", "hides_", "links_", "loads_", "puts_"))]
# Of the modules, those that no time limit need end: all that are odd files, and some of the others.
QUICK = [attack for attack in read_corpus() if not attack.slow]
FILES = [attack for attack in QUICK if (attack.folder / "make.py").exists()]
MODULES = [*FILES, *[attack for attack in QUICK if attack not in FILES][::20]]


def learner(name: str) -> str:
    """The learner who hands something in; "zz-" comes last, "nb-" has a notebook to look at."""
    kind = "nb-" if name in NOTEBOOKS else ""
    return kind + name.replace("_", "-")


class Classroom:
    def __init__(self, root: Path, stage: Stage):
        self.school, self.stage = School(root), stage
        self.school.open()
        self.course = self.school.course
        self.printed: dict[str, str] = {}

    def submitted(self, name: str, attention: str = WRONG) -> Path:
        """Put a submission into the exchange, and return its notebook."""
        inbound = self.school.exchange / School.course_id / "inbound"
        folder = inbound / INBOUND.format(learner=learner(name))
        (folder / "mha_lib").mkdir(parents=True)
        (folder / "timestamp.txt").write_text("2026-01-01 00:00:00.000000 UTC")
        (folder / "mha_lib/attention.py").write_text(attention)
        (folder / "mha_lib/heads.py").write_text(HEADS)
        (folder / "submission_secret.txt").write_text(folder.name)
        folder.chmod(0o777)
        return Path(shutil.copy(self.released, folder))

    @property
    def released(self) -> Path:
        return self.course / "release" / LOOKUP / f"{LOOKUP}.ipynb"

    def gradebook(self) -> Gradebook:
        return Gradebook(f"sqlite:///{self.course}/gradebook.db", School.course_id)

    def page(self, name: str) -> str:
        path = self.course / "feedback" / learner(name) / LOOKUP / f"{LOOKUP}.html"
        return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    with Stage(tmp_path_factory.mktemp("stage")) as stage, no_endless_files():
        room = Classroom(tmp_path_factory.mktemp("school"), stage)
        room.school.instructor.nbgrader("generate_assignment", LOOKUP)
        room.school.instructor.nbgrader("release_assignment", LOOKUP)
        _hand_in(room)
        before = _outside(room)
        room.printed["collect"] = room.school.instructor.nbgrader("collect", LOOKUP)
        room.printed["zip_collect"] = room.school.instructor.nbgrader("zip_collect", LOOKUP)
        with stage.watched(stage.precious) as room.damage:
            room.printed["autograde"] = room.school.instructor.nbgrader("autograde", LOOKUP)
        room.damage += sorted(map(str, _outside(room) - before))
        room.scores = _scores(room)
        yield room
        delete(room.school.root)


@pytest.fixture(scope="module")
def feedback(room):
    room.printed["feedback"] = room.school.instructor.nbgrader(
        "generate_feedback", LOOKUP, "--student", "nb-*"
    )
    return room


@contextmanager
def no_endless_files():
    """Within the block, no file that this process or a command of it writes grows without end."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _hand_in(room: Classroom) -> None:
    room.submitted(LAST, ATTENTION)
    for name in NOTEBOOKS:
        path, maker = room.submitted(name), MAKERS[name]
        if "edit" in maker:
            notebook = json.loads(path.read_text(encoding="utf-8"))
            maker["edit"](notebook["cells"])
            path.write_text(json.dumps(notebook))
        else:
            maker["spoil"](path)
    archives = room.course / "downloaded" / LOOKUP / "archive"
    archives.mkdir(parents=True)
    members = {
        f"{LOOKUP}.ipynb": room.released.read_bytes(),
        "mha_lib/attention.py": WRONG.encode(),
        "mha_lib/heads.py": HEADS.encode(),
    }
    for number, name in enumerate(ARCHIVES):
        MAKERS[name]["pack"](archives / f"{learner(name)}_{number}_work.zip", members)
    for attack in MODULES:
        folder = room.submitted(f"module-{attack.name}").parent
        room.stage.submission(attack, folder / "made")
        delete(folder / "mha_lib")
        for path in (folder / "made").iterdir():
            path.rename(folder / path.name)


def _outside(room: Classroom) -> set[Path]:
    """What lies where no submission has a right to put anything."""
    found = set(Path("/tmp").glob("hostile-*")) | set(Path("/tmp").glob("climbed*"))
    places = [room.school.root, room.course, room.course / "downloaded"]
    return found | {path for place in places for path in place.iterdir() if path.suffix}


def _scores(room: Classroom) -> dict[str, dict[str, float]]:
    with room.gradebook() as gradebook:
        return {
            student.id: {grade.name: grade.auto_score for grade in notebook.grades}
            for student in gradebook.students
            for submission in student.submissions
            for notebook in submission.notebooks
        }


def code(scores: dict[str, float]) -> dict[str, float]:
    return {name: scores.get(name, 0) for name in HONEST}


def deserves(name: str) -> dict[str, float]:
    """What a learner gets: nothing for what is too large or too damaged to be collected."""
    about = tomllib.loads((CORPUS / name / "about.toml").read_text(encoding="utf-8"))
    return dict.fromkeys(HONEST, 0) if about.get("nothing") else HONEST


def collected(name: str) -> bool:
    return any(deserves(name).values())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_hostile_notebook_gets_what_its_code_deserves(room, name):
    assert code(room.scores.get(learner(name), {})) == deserves(name)


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive_gets_no_more_than_its_code_deserves(room, name):
    assert code(room.scores.get(learner(name), {})) == deserves(name)


@pytest.mark.parametrize("attack", MODULES, ids=lambda attack: attack.name)
def test_a_hostile_module_gains_nothing(room, attack):
    scores = code(room.scores.get(learner(f"module-{attack.name}"), {}))
    for name, score in scores.items():
        exercise = name.replace("-", ".", 1)
        limit = 0 if exercise in attack.exercises else FULL[name]
        assert score <= attack.deserves.get(exercise, limit), scores


def test_whoever_comes_last_is_graded_as_if_nothing_had_happened(room):
    assert code(room.scores[LAST]) == FULL


def test_nothing_was_changed_left_or_called(room):
    assert room.damage == []


def test_no_secret_is_in_what_learners_or_the_gradebook_get(feedback):
    room = feedback
    files = [*room.course.glob("autograded/*/*/*.ipynb"), *room.course.glob("feedback/*/*/*.html")]
    assert len(files) > 50
    for path in [*files, room.course / "gradebook.db"]:
        content = path.read_bytes()
        assert room.stage.secret.encode() not in content, path
        assert b"GOT " not in content, path


def test_a_hostile_notebook_has_a_feedback_page_of_a_decent_size(feedback):
    for name in filter(collected, NOTEBOOKS):
        assert len(feedback.page(name)) < 5_000_000, name


def test_nobody_has_more_than_the_assignment_gives(room):
    with room.gradebook() as gradebook:
        for submission in gradebook.assignment_submissions(LOOKUP):
            assert submission.max_score == sum(FULL.values()) + 3, submission.student_id
            assert submission.score <= sum(FULL.values())


class _Live(HTMLParser):
    """Collects what would run, load or send something when a page is looked at."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []
        self.style = False

    def handle_data(self, data):
        if self.style and "evil" in data:
            self.found.append(f"<style> {data[:40]}")

    def handle_endtag(self, tag):
        self.style = self.style and tag != "style"

    def handle_starttag(self, tag, attributes):
        self.style = self.style or tag == "style"
        alive = ("script", "iframe", "object", "embed", "svg", "form", "base", "link")
        if tag in alive or (tag == "meta" and "refresh" in str(attributes)):
            self.found.append(f"<{tag}>")
        for name, value in attributes:
            value = re.sub(r"\s", "", value or "").lower()
            if name.startswith("on") or value.startswith(("javascript:", "data:text", "vbscript:")):
                self.found.append(f"<{tag} {name}={value[:40]}>")
            if name in ("src", "srcset") and "evil" in value:
                self.found.append(f"<{tag} {name}={value[:40]}>")


@pytest.mark.parametrize("name", filter(collected, NOTEBOOKS))
def test_feedback_pages_of_hostile_notebooks_are_dead(feedback, name):
    page = feedback.page(name)
    reader = _Live()
    reader.feed(page)
    assert reader.found == []


def instructors_page(room: Classroom, exporter: HTMLExporter, name: str) -> str:
    path = room.course / "autograded" / learner(name) / LOOKUP / f"{LOOKUP}.ipynb"
    about = {"base_url": "", "notebook_id": LOOKUP, "assignment_id": LOOKUP, "index": 0, "total": 1}
    return exporter.from_filename(str(path), resources=about | {"student": learner(name)})[0]


def test_the_instructors_pages_of_hostile_notebooks_are_no_livelier_than_an_honest_one(room):
    """They have scripts of nbgrader's own."""
    settings = Config()
    configure(settings, room.course)
    exporter = HTMLExporter(config=settings, template_name="formgrade")
    found = {}
    for name in (LAST, *LIVELY):
        reader = _Live()
        reader.feed(instructors_page(room, exporter, name))
        found[name] = sorted(reader.found)
    assert len(LIVELY) > 8 and "<script>" in found[LAST]
    assert {name: live for name, live in found.items() if live != found[LAST]} == {}


def test_the_commands_say_in_a_line_what_was_wrong(room):
    printed = "\n".join(room.printed.values())
    assert "Traceback" not in printed
    assert "\x1b[2J" not in printed
    for name in ("cuts-its-zip", "hands-in-no-zip", "zips-a-bomb", "locks-its-zip"):
        assert f"{name}_" in room.printed["zip_collect"], name
    assert "is-two-hundred-megabytes" in room.printed["collect"]
    for name in ("is-no-notebook", "is-deep-json"):
        assert f"nb-{name}" in room.printed["autograde"], name
