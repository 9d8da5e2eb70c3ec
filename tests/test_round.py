"""One whole round in real browsers: released, fetched, worked on, submitted, graded, read.

An instructor and a learner, each in a JupyterLab of their own, press what there is to press. The
tests are the acts of one play: each goes on where the one before ended.
"""

import time
from dataclasses import dataclass
from typing import Any

import pytest
from browser import (
    TOKEN,
    headless_browser,
    jupyter_server,
    open_file,
    page_on,
    pulse,
    screenshot,
)
from nbgrader_classroom import LOOKUP, Person, School
from test_lab import RUN, plain_text

pytestmark = pytest.mark.browser

PATIENCE = 120_000  # ms, for a busy machine
REVERSED = "The mask lets tokens see the future and hides the past."
ANSWER = "It keeps the scores level, whatever the width."
COMMENT = "True. And what would the softmax do without it?"
WHY = "one-lookup-why-scale"

# Starts to edit the cell whose source starts with the word.
EDIT = """async start => {
    const app = window.jupyterapp, notebook = app.shell.currentWidget.content;
    const sources = notebook.widgets.map(cell => cell.model.sharedModel.getSource());
    notebook.activeCellIndex = sources.findIndex(source => source.startsWith(start));
    await app.commands.execute('notebook:enter-edit-mode');
}"""


@dataclass
class Desk:
    """Somebody's JupyterLab: the address of the server, and the page."""

    server: str
    page: Any

    def open(self, entry: str) -> None:
        """Choose an entry of the menu Nbgrader."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text="Nbgrader").click()
        self.page.get_by_role("menuitem", name=entry).click()

    def turn_to(self, tab: str) -> None:
        self.page.locator(".lm-DockPanel .lm-TabBar-tab", has_text=tab).click()

    def save(self, tab: str) -> None:
        """Save what the open tab shows."""
        self.page.keyboard.press("Control+s")
        dirty = self.page.locator(".lm-TabBar-tab.jp-mod-dirty", has_text=tab)
        dirty.wait_for(state="detached")

    @property
    def formgrader(self):
        return self.page.frame_locator("#formgrader-iframe iframe")

    def press(self, row: str, button: str, says: str) -> None:
        """Press a button in a row of the formgrader and close the box that says how it went."""
        self.formgrader.locator("tr", has_text=row).locator(f".{button} a").click()
        box = self.formgrader.locator(".modal", has_text=says)
        box.get_by_role("button", name="OK").click()
        box.wait_for(state="detached")

    def saved(self, what: str):
        """A context in which the formgrader saves a grade or a comment."""
        address = f"{self.server}/formgrader/api/{what}/"
        return self.page.expect_response(
            lambda answer: answer.url.startswith(address) and answer.request.method == "PUT"
        )


@pytest.fixture(scope="module")
def browser():
    with headless_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def school(tmp_path_factory) -> School:
    school = School(tmp_path_factory.mktemp("school"))
    school.open()
    return school


@pytest.fixture(scope="module")
def instructor(school, browser):
    yield from _desk(school.instructor, browser)


@pytest.fixture(scope="module")
def learner(school, browser):
    yield from _desk(school.learner("ann"), browser)


def _desk(person: Person, browser):
    log = person.home.parent / f"{person.name}.log"
    with jupyter_server(person.work, log, person.environment()) as server:
        page = page_on(server, browser, viewport={"width": 1600, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.goto(f"{server}/lab?token={TOKEN}")
        page.wait_for_function("window.jupyterapp")
        yield Desk(server, page)
        page.close()


def test_the_instructor_releases_an_assignment(instructor):
    instructor.open("Formgrader")
    instructor.press(LOOKUP, "assign", "Successfully created the student version")
    instructor.press(LOOKUP, "release", "Successfully released")
    screenshot(instructor.page, "round/01_released")


def test_the_learner_fetches_it_and_opens_the_notebook(learner):
    learner.open("Assignment List")
    page = learner.page
    page.locator("#released_assignments_list").get_by_role("button", name="Fetch").click()
    fetched = page.locator("#fetched_assignments_list")
    fetched.get_by_role("button", name=LOOKUP).click()
    notebook = fetched.get_by_role("link", name=LOOKUP)
    notebook.wait_for()
    screenshot(page, "round/02_fetched")
    notebook.click()
    page.get_by_role("heading", name="One look-up").wait_for()


def test_the_learner_writes_functions_and_the_checks_judge_them(learner):
    page = learner.page
    page.get_by_role("link", name="mha_lib/attention.py").first.click()
    _write(page, "softmax", "return torch.softmax(scores, dim)")
    _write(page, "causal_mask", "return torch.ones(num_tokens, num_tokens).triu().bool()")
    screenshot(page, "round/03_written")
    learner.save("attention.py")
    open_file(page, f"{LOOKUP}/{LOOKUP}.ipynb")
    green = page.evaluate(RUN, ["%load_ext", 'check("attention.softmax")'])
    assert "✓ attention.softmax: passed (2 of 2 points)" in plain_text(green)
    red = page.evaluate(RUN, ['check("attention.causal_mask")'])
    assert "✗ attention.causal_mask: not right yet (0 of 1 points)" in plain_text(red)
    said = page.locator(".jp-Notebook:visible").get_by_text(REVERSED).first
    said.scroll_into_view_if_needed()
    screenshot(page, "round/04_checked")


def _write(page, function: str, body: str) -> None:
    """Replace the first line that says that a function is not written."""
    editor = page.locator(".jp-FileEditor:visible")
    editor.locator(".cm-line", has_text=f"def {function}(").wait_for()
    unwritten = editor.locator(".cm-line", has_text="raise NotImplementedError").first
    unwritten.scroll_into_view_if_needed()
    unwritten.click(click_count=3)
    page.keyboard.insert_text(f"    {body}\n")


def test_the_learner_answers_in_words_and_submits(learner):
    page = learner.page
    page.evaluate(EDIT, "*Write your answer here.*")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(ANSWER)
    page.keyboard.press("Shift+Enter")
    page.locator(".jp-MarkdownOutput:visible", has_text=ANSWER).wait_for()
    screenshot(page, "round/05_answered")
    learner.save(LOOKUP)
    learner.turn_to("Assignments")
    page.locator("#fetched_assignments_list").get_by_role("button", name="Submit").click()
    page.locator("#submitted_assignments_list .list_item", has_text=LOOKUP).wait_for()
    screenshot(page, "round/06_submitted")


def test_the_instructor_grades_and_the_server_stays_free(instructor):
    instructor.press(LOOKUP, "collect", "Successfully collected submissions")
    page, formgrader = instructor.page, instructor.formgrader
    formgrader.locator("tr", has_text=LOOKUP).locator(".num-submissions a").click()
    started = time.monotonic()
    with pulse(instructor.server) as waits:
        instructor.press("ann", "autograde", "Successfully autograded")
    seconds = time.monotonic() - started
    measured = f"no answer for {max(waits):.2f} of {seconds:.1f} s"
    print(measured)
    assert max(waits) < seconds / 3, measured
    row = formgrader.locator("tr", has_text="ann")
    row.get_by_text("2 / 11").wait_for()
    screenshot(page, "round/07_graded")


def test_the_instructor_reads_the_submission_and_grades_the_answer(instructor):
    page, formgrader = instructor.page, instructor.formgrader
    formgrader.get_by_role("link", name="Manual Grading").click()
    for table, link in (
        ("Assignment ID", LOOKUP),
        ("Notebook ID", LOOKUP),
        ("Submission ID", "Submission #1"),
    ):
        formgrader.locator("table", has_text=table).get_by_role("link", name=link).click()
    message = formgrader.get_by_text(REVERSED)
    message.scroll_into_view_if_needed()
    assert formgrader.get_by_text(".triu().bool()").is_visible()
    assert formgrader.get_by_text(ANSWER).count()
    formgrader.locator("#attention-causal_mask[placeholder='0']").wait_for()
    assert formgrader.locator("#attention-softmax").get_attribute("placeholder") == "2"
    screenshot(page, "round/08_submission")

    formgrader.locator("body").press("Tab")
    while formgrader.locator(":focus").get_attribute("id") != WHY:
        page.keyboard.press("Tab")
    with instructor.saved("grade"):
        page.keyboard.type("2")
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    with instructor.saved("comment"):
        page.keyboard.type(COMMENT)
        page.keyboard.press("Escape")
    screenshot(page, "round/09_answer_graded")


def test_the_instructor_releases_feedback(instructor):
    formgrader = instructor.formgrader
    formgrader.get_by_role("link", name="Manual Grading").click()
    formgrader.get_by_role("link", name="Manage Assignments").click()
    instructor.press(LOOKUP, "generate-feedback", "Successfully generated feedback")
    instructor.press(LOOKUP, "release-feedback", "Successfully released feedback")
    screenshot(instructor.page, "round/10_feedback_released")
    formgrader.get_by_role("link", name="Manage Students").click()
    formgrader.locator("tr", has_text="ann").get_by_text("4 / 11").wait_for()


def test_the_learner_reads_the_feedback(learner):
    page = learner.page
    page.get_by_role("button", name="Fetch Feedback").click()
    page.get_by_text("(view feedback)").click()
    page.locator(".jp-DirListing-item", has_text=f"{LOOKUP}.html").dblclick()
    feedback = page.frame_locator(".jp-HTMLViewer iframe")
    feedback.get_by_text(REVERSED).first.wait_for()
    screenshot(page, "round/11_feedback")
    feedback.get_by_text(".triu().bool()").first.scroll_into_view_if_needed()
    screenshot(page, "round/12_feedback_mistake")
    assert feedback.get_by_text(COMMENT).count()


def test_nothing_was_asked_of_other_hosts_and_no_script_failed(instructor, learner):
    for desk in (instructor, learner):
        assert desk.page.outside == []
        assert desk.page.errors == []
