"""The whole way of a submission, with nbgrader's own commands, and all that can go wrong on it.

One class hands in once (`classroom`); each test looks at one thing that should have come of it.
"""

import csv
import json
import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import ALL, CONTRAST, headless_browser, page_on, screenshot
from nbgrader.api import Gradebook
from nbgrader_classroom import (
    ATTENTION,
    HEADS,
    LOOKUP,
    SPLIT,
    Person,
    School,
    edit_notebook,
    find_cell,
)

from autograde.build.strip import solution_lines

ROOT = Path(__file__).parent.parent
SDPA = "attention-scaled_dot_product_attention"
WHY = "one-lookup-why-scale"
FULL = {"attention-softmax": 2, "attention-causal_mask": 1, "attention-padding_mask": 1, SDPA: 4}

# bob forgets to scale, and turns the causal mask round
MISTAKEN = ATTENTION.replace(" / math.sqrt(q.size(-1))", "").replace(".tril()", ".triu()")

PARTS = ("results", "functions", "written")  # of a feedback page
HOSTILE_ANSWER = """\
Because the dot product grows: <script>alert(1)</script> <img src=x onerror="alert(2)">
[press](javascript:alert(3)) ![](attachment:gone.png) <svg/onload=alert(4)>

```mermaid
</pre><script>alert(5)</script>
```

[ref]: javascript:alert(6)
"""


class Classroom:
    """What happened: the school, and what each command printed."""

    def __init__(self, school: School):
        self.school = school
        self.printed: dict[str, str] = {}

    def score(self, learner: str, assignment: str = LOOKUP) -> dict[str, float | None]:
        with self.gradebook() as gradebook:
            notebook = gradebook.find_submission_notebook(assignment, assignment, learner)
            return {grade.name: grade.auto_score for grade in notebook.grades}

    def gradebook(self) -> Gradebook:
        return Gradebook(f"sqlite:///{self.school.course}/gradebook.db", self.school.course_id)

    def page(self, learner: str, assignment: str = LOOKUP) -> str:
        path = self.school.course / "feedback" / learner / assignment / f"{assignment}.html"
        return path.read_text(encoding="utf-8")

    def text(self, learner: str, assignment: str = LOOKUP) -> str:
        """The words on a feedback page."""
        reader = _Words()
        reader.feed(self.page(learner, assignment))
        return re.sub(r"\s+", " ", " ".join(reader.words))


class _Words(HTMLParser):
    def __init__(self):
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="session")
def classroom(tmp_path_factory) -> Classroom:
    room = Classroom(School(tmp_path_factory.mktemp("school")))
    school = room.school
    school.open()
    for assignment in (LOOKUP, SPLIT):
        school.instructor.nbgrader("generate_assignment", assignment)
        school.instructor.nbgrader("release_assignment", assignment)
    alice = _alice(room)
    learners = _class(room, alice)
    for assignment, name in ((LOOKUP, "nolib"), (LOOKUP, "nonotebook"), (SPLIT, "alice")):
        room.printed[f"submit {name}"] = learners[name].submit(assignment)
    for name in SPOILS.keys() - {"nolib", "nonotebook"} | {"alice"}:
        learners[name].submit_in_jupyterlab(LOOKUP)
    learners["syntax"].submit_in_jupyterlab(SPLIT)
    _deadline_passes(room)
    school.learner("late", like=alice).submit_in_jupyterlab(LOOKUP)
    _vandalise(room)
    for assignment in (LOOKUP, SPLIT):
        room.printed[f"collect {assignment}"] = school.instructor.nbgrader("collect", assignment)
        _link_out_of(school.course / "submitted" / "alice" / assignment)
        room.printed[f"autograde {assignment}"] = school.instructor.nbgrader(
            "autograde", assignment
        )
    _grade_by_hand(room, "late")
    school.instructor.nbgrader("generate_feedback", LOOKUP)
    school.instructor.nbgrader("release_feedback", LOOKUP)
    return room


def _alice(room: Classroom) -> Person:
    """Does everything right, with every command a learner has."""
    alice = room.school.learner("alice")
    room.printed["first fetch"] = alice.fetch(LOOKUP)
    alice.write("mha_lib/attention.py", ATTENTION)
    room.printed["second fetch"] = alice.fetch(SPLIT)
    alice.write("mha_lib/heads.py", HEADS)
    edit_notebook(alice.notebook(LOOKUP), lambda cells: _answer(cells, "It keeps them level."))
    return alice


def _class(room: Classroom, alice: Person) -> dict[str, Person]:
    """Everybody starts from alice's right work; what sets each one apart is in a function below."""
    people = {"alice": alice}
    for name, spoil in SPOILS.items():
        people[name] = room.school.learner(name, like=alice)
        spoil(people[name])
    return people


def _answer(cells: list[dict], text: str) -> None:
    find_cell(cells, WHY)["source"] = text


def _bob(bob: Person) -> None:
    bob.write("mha_lib/attention.py", MISTAKEN)


def _no_notebook(person: Person) -> None:
    person.notebook(LOOKUP).unlink()


def _broken_module(person: Person) -> None:
    person.write("mha_lib/heads.py", HEADS.replace("def merge_heads(x):", "def merge_heads(x:"))


def _no_lib(person: Person) -> None:
    shutil.rmtree(person.work / "mha_lib")


def _duplicated(person: Person) -> None:
    def change(cells):
        cells.insert(0, json.loads(json.dumps(find_cell(cells, SDPA))))
        cells.append(json.loads(json.dumps(find_cell(cells, WHY))))
        find_cell(cells, WHY)["source"] = "*Write your answer here.*"

    edit_notebook(person.notebook(LOOKUP), change)


def _deleted(person: Person) -> None:
    def change(cells):
        cells.remove(find_cell(cells, SDPA))
        cells.remove(find_cell(cells, "attention-softmax"))

    edit_notebook(person.notebook(LOOKUP), change)


def _edited(person: Person) -> None:
    def change(cells):
        cell = find_cell(cells, SDPA)
        cell["source"] = "100.0"
        cell["metadata"]["nbgrader"] |= {"points": 100, "schema_version": 99, "locked": False}
        cell["outputs"] = [
            {
                "output_type": "execute_result",
                "data": {"text/plain": "100.0"},
                "execution_count": 1,
                "metadata": {},
            }
        ]
        find_cell(cells, "attention-softmax")["metadata"]["nbgrader"] = {"grade_id": "forged"}

    edit_notebook(person.notebook(LOOKUP), change)
    person.write("mha_lib/attention.py", MISTAKEN)


def _torch_beside(person: Person) -> None:
    fake = "raise SystemExit('not PyTorch')\n"
    person.write(f"{LOOKUP}/torch.py", fake)
    person.write("torch.py", fake)
    person.write("mha_lib/torch.py", fake)


def _stderr(person: Person) -> None:
    noise = "import sys, warnings\nwarnings.warn('beware')\nprint('noise', file=sys.stderr)\n"
    loud = ATTENTION.replace(
        "    return torch.softmax", "    print('more')\n    return torch.softmax"
    )
    person.write("mha_lib/attention.py", noise + loud)


def _corrupt(person: Person) -> None:
    path = person.notebook(LOOKUP)
    path.write_text(path.read_text()[:500])


def _hostile(person: Person) -> None:
    def change(cells):
        _answer(cells, HOSTILE_ANSWER)
        cells.insert(0, {"cell_type": "markdown", "metadata": {}, "source": HOSTILE_ANSWER})
        cells.insert(0, {"cell_type": "raw", "metadata": {"raw_mimetype": "text/html"},
                         "source": HOSTILE_ANSWER})  # fmt: skip

    edit_notebook(person.notebook(LOOKUP), change)
    harm = "    raise ArithmeticError('</pre><script>alert(7)</script>')  # <b onclick=alert(8)>\n"
    first = "    lengths = [int(length)"
    person.write("mha_lib/attention.py", MISTAKEN.replace(first, harm + first))


SPOILS = {
    "bob": _bob,
    "nonotebook": _no_notebook,
    "syntax": _broken_module,
    "nolib": _no_lib,
    "duplicated": _duplicated,
    "deleted": _deleted,
    "edited": _edited,
    "torchpy": _torch_beside,
    "stderr": _stderr,
    "corrupt": _corrupt,
    "hostile": _hostile,
    "link": lambda person: None,
}


def _deadline_passes(room: Classroom) -> None:
    with room.gradebook() as gradebook:
        now = datetime.now(UTC).replace(tzinfo=None)
        gradebook.update_or_create_assignment(LOOKUP, duedate=now)


def _vandalise(room: Classroom) -> None:
    """Learners own what they put into the exchange: a link to the answers, a wrong date."""
    submission = room.school.inbound("link")[0]
    (submission / f"{LOOKUP}.ipynb").unlink()
    (submission / f"{LOOKUP}.ipynb").symlink_to(room.school.course / f"answer_keys/{LOOKUP}.ipynb")
    (submission / "gradebook.txt").symlink_to(room.school.course / "gradebook.db")
    (submission / "timestamp.txt").write_text("yesterday, honestly")


def _link_out_of(submission: Path) -> None:
    """What no collect brings, but a copy by hand: links to what never ends, or is not theirs."""
    (submission / "mha_lib" / "endless.py").symlink_to("/dev/zero")
    (submission / "again").symlink_to(submission)
    (submission / "grades.txt").symlink_to(submission.parents[2] / "gradebook.db")


def _grade_by_hand(room: Classroom, learner: str) -> None:
    """What the formgrader saves: points for the written answer, comments on it and a function."""
    with room.gradebook() as gradebook:
        submission = (LOOKUP, LOOKUP, learner)
        grade = gradebook.find_grade(WHY, *submission)
        grade.manual_score, grade.needs_manual_grade = 2.5, False
        gradebook.find_comment(WHY, *submission).manual_comment = "# So\nAnd what is *measured*?"
        gradebook.find_comment("attention-softmax", *submission).manual_comment = "Short, right."
        gradebook.db.commit()


# --- fetch and submit -------------------------------------------------------------------------


def test_fetch_brings_the_stubs_to_one_shared_package(classroom):
    assert "added __init__.py, attention.py" in classroom.printed["first fetch"]
    work = classroom.school.root / "work/alice"
    assert not (work / LOOKUP / "mha_lib").exists()
    assert (work / LOOKUP / f"{LOOKUP}.ipynb").exists()


def test_fetch_keeps_what_the_learner_wrote(classroom):
    printed = classroom.printed["second fetch"]
    assert "added heads.py" in printed
    assert "left as you changed it: attention.py" in printed
    assert (classroom.school.root / "work/alice/mha_lib/attention.py").read_text() == ATTENTION


def test_submission_holds_a_snapshot_of_the_package(classroom):
    submission = classroom.school.inbound("alice")[0]
    names = sorted(path.name for path in (submission / "mha_lib").iterdir())
    assert names == ["__init__.py", "attention.py", "heads.py"]
    assert (submission / "mha_lib/attention.py").read_text() == ATTENTION


def test_submitting_without_the_package_or_the_notebook_warns(classroom):
    assert "There is no mha_lib at" in classroom.printed["submit nolib"]
    assert "Possible missing notebooks" in classroom.printed["submit nonotebook"]
    assert "WARNING" not in classroom.printed["submit alice"]


def test_validate_passes_right_work_and_names_the_mistake_in_wrong_work(classroom):
    school = classroom.school
    name = f"{LOOKUP}/{LOOKUP}.ipynb"
    passes = "Success! Your notebook passes all the tests."
    assert passes in school.person("alice").nbgrader("validate", name)
    printed = school.person("bob").nbgrader("validate", name)
    assert "VALIDATION FAILED" in printed.upper()
    assert "The scores were not divided by sqrt(d)." in printed


# --- grades -----------------------------------------------------------------------------------


def test_right_work_gets_all_points_and_waits_for_the_written_answer(classroom):
    assert classroom.score("alice") == FULL | {WHY: None}
    split = classroom.score("alice", SPLIT)
    code = {"heads-split_heads": 2, "heads-merge_heads": 1, "heads-multi_head_attention": 5}
    assert {name: split[name] for name in code} == code


def test_the_learners_files_are_not_overwritten_by_the_stubs(classroom):
    graded = classroom.school.course / "autograded/bob" / LOOKUP / "mha_lib/attention.py"
    assert graded.read_text() == MISTAKEN


def test_known_mistakes_cost_their_exercise_and_no_other(classroom):
    expected = FULL | {WHY: None, "attention-causal_mask": 0, SDPA: 0}
    assert classroom.score("bob") == expected


@pytest.mark.parametrize(
    "learner",
    ["nonotebook", "corrupt", "torchpy", "stderr", "duplicated", "deleted", "late", "link"],
)
def test_oddities_of_the_notebook_cost_no_points_for_code(classroom, learner):
    score = classroom.score(learner)
    assert {name: score[name] for name in FULL} == FULL


def test_lost_answers_count_as_no_answer(classroom):
    assert classroom.score("corrupt")[WHY] == 0
    assert classroom.score("nonotebook")[WHY] == 0


def test_the_copy_with_the_answer_counts(classroom):
    assert classroom.score("duplicated")[WHY] is None
    assert "It keeps them level." in classroom.text("duplicated")


def test_edited_cells_and_forged_metadata_gain_nothing(classroom):
    assert classroom.score("edited") == classroom.score("bob")
    with classroom.gradebook() as gradebook:
        assert gradebook.find_submission(LOOKUP, "edited").max_score == sum(FULL.values()) + 3


def test_no_package_is_no_points_and_says_so(classroom):
    assert classroom.score("nolib") == dict.fromkeys(FULL, 0) | {WHY: None}
    assert "mha_lib" in classroom.text("nolib")


def test_a_syntax_error_costs_its_module_only(classroom):
    assert classroom.score("syntax") == FULL | {WHY: None}
    split = classroom.score("syntax", SPLIT)
    assert all(split[name] == 0 for name in split if name.startswith("heads-"))
    with_error = (
        classroom.school.course / "autograded/syntax" / SPLIT / f"{SPLIT}.ipynb"
    ).read_text()
    assert "SyntaxError" in with_error


def test_late_work_is_marked_late(classroom):
    with classroom.gradebook() as gradebook:
        assert gradebook.find_submission(LOOKUP, "late").total_seconds_late > 0
        assert gradebook.find_submission(LOOKUP, "alice").total_seconds_late == 0
    assert re.search(r"late>? is [\d.]+ seconds late", classroom.printed[f"autograde {LOOKUP}"])


def test_collect_and_autograde_tell_what_was_wrong(classroom):
    collected = classroom.printed[f"collect {LOOKUP}"]
    assert f"submitted/nonotebook/{LOOKUP} lacks {LOOKUP}.ipynb" in collected
    assert "no readable timestamp.txt" in collected
    graded = classroom.printed[f"autograde {LOOKUP}"]
    assert "corrupt" in graded and "is not used: it is damaged" in graded
    assert "There were 2 copies of the cell attention-scaled_dot_product_attention" in graded
    assert "The cell attention-softmax was missing; it is back." in graded
    assert "Traceback" not in graded


def test_links_in_the_exchange_are_not_followed(classroom):
    submitted = classroom.school.course / "submitted/link" / LOOKUP
    assert not (submitted / "gradebook.txt").exists()
    assert "The submitted notebook" in classroom.text("link")


# --- feedback ---------------------------------------------------------------------------------


def test_links_in_a_submission_are_not_followed(classroom):
    graded = classroom.school.course / "autograded" / "alice" / LOOKUP
    files = {path.relative_to(graded).as_posix() for path in graded.rglob("*")}
    assert "mha_lib/attention.py" in files
    assert not files & {"mha_lib/endless.py", "again", "grades.txt"}


def test_feedback_names_the_mistake_and_shows_the_learners_own_source(classroom):
    words = classroom.text("bob")
    assert "The scores were not divided by sqrt(d)." in words
    assert "attention_not_scaled" in words
    assert "causal_mask_reversed" in words
    assert '"...qd,...kd->...qk"' in words
    assert "3 of 11 points so far, for bob. 3 more points wait" in words
    assert "2 of 4 functions pass. Begin with attention.causal_mask" in words
    assert words.count("not graded yet") == 2  # in the results, and above the answer


def test_feedback_begins_with_the_results_and_each_leads_to_its_place(classroom):
    for path in classroom.school.course.glob("feedback/*/*/*.html"):
        page = path.read_text(encoding="utf-8")
        reader = _Words()
        reader.feed(page)
        levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
        assert levels[:2] == [1, 2] and levels.count(1) == 1, path
        assert all(b <= a + 1 for a, b in pairwise(levels)), path
        ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
        assert len(set(ids)) == len(ids), path
        links = [attributes["href"] for tag, attributes in reader.tags if tag == "a"]
        assert {link.removeprefix("#") for link in links} <= set(ids), path
        assert {f"#{name}" for name in (*FULL, WHY)} <= set(links), path
        results, functions, written = (page.index(f'<h2 id="{name}"') for name in PARTS)
        assert results < page.index(f'href="#{SDPA}"') < functions < page.index(f'id="{SDPA}"')
        assert functions < written, path
        if "def softmax" in page:
            assert functions < page.index("def softmax") < written, path
    page = classroom.page("bob")
    told = [match.start() for match in re.finditer("The scores were not divided", page)]
    assert told[0] < page.index('<h2 id="functions"') < told[1]


def test_feedback_says_what_the_instructor_gave_and_wrote(classroom):
    words = classroom.text("late")
    assert "10.5 of 11 points for late." in words and "not graded yet" not in words
    assert "All 4 functions pass." in words
    assert words.count("2.5 of 3 points") == 2
    assert words.count("Your instructor's comment So And what is measured ?") == 2
    assert words.count("Your instructor's comment Short, right.") == 2
    assert "Your instructor's comment" not in classroom.text("bob")


def test_feedback_marks_the_line_that_raised_and_no_line_of_a_wrong_value(classroom):
    functions = classroom.page("hostile").split("<article")
    marked = {name: re.findall("<mark>.*?</mark>", part, re.DOTALL)
              for part in functions for name in FULL if f'id="{name}"' in part}  # fmt: skip
    assert len(marked["attention-padding_mask"]) == 1
    assert "raise ArithmeticError('&lt;/pre&gt;" in marked["attention-padding_mask"][0]
    assert "the error comes from this line" in marked["attention-padding_mask"][0]
    assert "calls the library's own softmax" in marked["attention-softmax"][0]
    assert marked["attention-causal_mask"] == marked[SDPA] == []
    assert "Answers do not tell which line is to blame" in classroom.text("bob")


def test_a_model_answer_is_shown_where_the_course_says_so(classroom):
    school = classroom.school
    words = ("generate_feedback", LOOKUP, "--student", "late", "--FeedbackPage.model_answers=True")
    school.instructor.nbgrader(*words, "--CourseDirectory.feedback_directory=with_models")
    page = next(school.course.glob(f"with_models/late/{LOOKUP}/*.html")).read_text()
    assert page.index("Your answer") < page.index("A model answer") < page.index("variance d")
    assert "A model answer" not in classroom.page("late")


def test_feedback_draws_formulas_and_shows_no_quiz_with_its_answers(classroom):
    page = classroom.page("alice")
    assert "<math" in page and "<msqrt>" in page
    assert "answer=" not in page


def test_feedback_pages_run_no_scripts_and_need_no_network(classroom):
    for path in classroom.school.course.glob("feedback/*/*/*.html"):
        reader = _Words()
        reader.feed(path.read_text(encoding="utf-8"))
        for tag, attributes in reader.tags:
            assert tag not in ("script", "iframe", "object", "embed", "svg"), path
            assert not any(name.startswith("on") for name in attributes), path
            assert not str(attributes.get("href", "#")).startswith("javascript"), path
            assert str(attributes.get("src", "data:")).startswith("data:"), path
        policies = [a["content"] for tag, a in reader.tags if tag == "meta" and "http-equiv" in a]
        assert len(policies) == 1 and policies[0].startswith("default-src 'none'"), path


def test_a_hostile_answer_can_still_be_read(classroom):
    words = classroom.text("hostile")
    assert "Because the dot product grows" in words
    assert "alert(1)" in words


@pytest.mark.browser
def test_axe_finds_nothing_serious_on_feedback_pages(classroom):
    """All rules in light; in dark, what differs: the colours. Nothing is loaded, nothing runs."""
    with headless_browser() as browser:
        for scheme, rules in (("light", ALL), ("dark", CONTRAST)):
            tab = page_on("file:", browser, color_scheme=scheme)
            for learner in ("bob", "late", "hostile"):
                path = classroom.school.course / "feedback" / learner / LOOKUP / f"{LOOKUP}.html"
                tab.goto(path.as_uri())
                screenshot(tab, f"feedback/{learner}-{scheme}", full_page=True)
                found = Axe().run(tab, options=rules).response
                bad = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
                assert not bad, f"{learner}, {scheme}: {json.dumps(bad, indent=1)[:3000]}"
                assert found["passes"]
            assert not tab.outside and not tab.errors
        tab.set_viewport_size({"width": 400, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 400
        screenshot(tab, "feedback/phone", full_page=True)
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")  # the first link, to the function to begin with
        assert tab.evaluate("location.hash") == "#attention-causal_mask"
        assert 1 <= tab.pdf(format="A4").count(b"/Type /Page\n") <= 4
        tab.emulate_media(media="print")
        screenshot(tab, "feedback/print", full_page=True)


def test_learners_fetch_their_feedback(classroom):
    school = classroom.school
    bob = school.person("bob")
    bob.nbgrader("fetch_feedback", LOOKUP)
    pages = list((bob.work / LOOKUP / "feedback").rglob("*.html"))
    assert len(pages) == 1
    assert pages[0].read_text(encoding="utf-8") == classroom.page("bob")


# --- what learners must not see ---------------------------------------------------------------


def _secrets(school: School) -> set[str]:
    """Lines of solutions, model answers and the graders' own entries, long enough to tell."""
    modules = (ROOT / "solutions").glob("*.py")
    texts = [path.read_text(encoding="utf-8") for path in modules]
    for path in school.course.glob("answer_keys/*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        texts += ["".join(cell["source"]) for cell in notebook["cells"]]
    lines = [line for text in texts for line in solution_lines(text)]
    entries = (ROOT / "autograde/exercises").glob("*.py")
    lines += [line for path in entries for line in path.read_text(encoding="utf-8").splitlines()]
    stripped = {line.strip() for line in lines}
    told = ('"', "import", "from")  # messages are in quotes, and they are for learners
    return {line for line in stripped if len(line) > 25 and not line.startswith(told)}


def _readable_by_learners(school: School) -> list[Path]:
    places = [
        school.course / "release",
        school.exchange,
        *school.course.glob("feedback/*/*/*.html"),
    ]
    files = [path for place in places for path in (place.rglob("*") if place.is_dir() else [place])]
    return [path for path in files if path.is_file() and not path.is_symlink()]


def test_nothing_a_learner_receives_holds_a_solution(classroom):
    secrets = _secrets(classroom.school)
    assert "return weights @ v, weights" in secrets  # the search looks for the right things
    assert any("variance" in secret for secret in secrets)
    files = _readable_by_learners(classroom.school)
    assert len(files) > 50
    for path in files:
        text = path.read_text(encoding="utf-8")
        found = [secret for secret in secrets if secret in text]
        assert not found, (path, found)


def test_feedback_holds_no_inputs_of_hidden_cases(classroom):
    """A message names one differing entry; a run of decimals would be a case's tensor."""
    for path in classroom.school.course.glob("feedback/*/*/*.html"):
        assert not re.search(r"(-?\d+\.\d{3,}[,\s]+){4}", path.read_text(encoding="utf-8")), path


# --- afterwards -------------------------------------------------------------------------------


def test_grades_are_exported(classroom):
    school = classroom.school
    school.instructor.nbgrader("export", "--to", "grades.csv")
    with open(school.course / "grades.csv", newline="") as file:
        rows = {(row["assignment"], row["student_id"]): row for row in csv.DictReader(file)}
    assert float(rows[LOOKUP, "alice"]["raw_score"]) == 8
    assert float(rows[LOOKUP, "bob"]["raw_score"]) == 3
    assert float(rows[LOOKUP, "alice"]["max_score"]) == 11


def test_statistics_of_a_course_come_from_the_gradebook(classroom):
    school = classroom.school
    printed = school.instructor.autograde("stats", ".", LOOKUP, "--csv", "stats.csv")
    with open(school.course / "stats.csv", newline="") as file:
        rows = {row["exercise"]: row for row in csv.DictReader(file)}
    assert len(rows) == 4  # the written answer is no exercise
    for row in rows.values():
        assert row["assignment"] == LOOKUP and row["submitted"] == "14"
        assert row["unfinished"] == "1"  # nolib
    mistaken = rows["attention.scaled_dot_product_attention"]
    assert (mistaken["passed"], mistaken["failed"]) == ("10", "3")
    assert mistaken["misconceptions"] == "attention_not_scaled: 3"  # bob, edited, hostile
    assert float(mistaken["mean_points"]) == pytest.approx(40 / 14, abs=1e-4)
    assert mistaken["mean_attempts"] == "1.0"
    assert "no recorded outcome" not in printed
    assert "alice" in printed  # everybody has alice's functions


def test_a_resubmission_replaces_the_grade(classroom):
    school = classroom.school
    bob = school.person("bob")
    before = classroom.score("bob")
    bob.write("mha_lib/attention.py", ATTENTION.replace(".tril()", ".triu()"))
    try:
        bob.submit(LOOKUP)
        school.instructor.nbgrader("collect", LOOKUP, "--update")
        printed = school.instructor.nbgrader("autograde", LOOKUP)
        assert "Skipping existing assignment" in printed  # the others are not graded again
        assert classroom.score("bob") == before | {SDPA: 4}
        assert classroom.score("alice") == FULL | {WHY: None}
        school.instructor.autograde("stats", ".", LOOKUP, "--csv", "stats.csv")
        assert ",1.1," in (school.course / "stats.csv").read_text()  # 15 submissions of 14 learners
    finally:
        bob.write("mha_lib/attention.py", MISTAKEN)


def test_an_lms_zip_is_graded_like_a_submission(classroom):
    school = classroom.school
    archive = school.course / "downloaded" / SPLIT / "archive"
    archive.mkdir(parents=True)
    alice = school.person("alice")
    alice.autograde("pack", SPLIT)
    packed = next(alice.work.glob(f"*_{SPLIT}.zip"))
    shutil.copy(packed, archive / "zoe_12345_work.zip")
    (archive / "zack_999.zip").write_bytes(packed.read_bytes()[:300])
    packed.unlink()
    printed = school.instructor.nbgrader("zip_collect", SPLIT)
    assert "zack_999.zip is not unpacked" in printed
    school.instructor.nbgrader("autograde", SPLIT)
    assert classroom.score("zoe", SPLIT) == classroom.score("alice", SPLIT)
    assert classroom.score("zack", SPLIT)["heads-split_heads"] == 0
