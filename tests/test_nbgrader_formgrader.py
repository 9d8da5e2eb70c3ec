"""The instructor's page: a real Jupyter server, a real browser, no network."""

import re
import shutil

import pytest
from browser import jupyter_server, offline_page, screenshot
from nbgrader_classroom import ATTENTION, LOOKUP, School

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def school(tmp_path_factory) -> School:
    """A course with one collected submission that has a known mistake and a hostile answer."""
    school = School(tmp_path_factory.mktemp("school"))
    school.open()
    school.instructor.nbgrader("generate_assignment", LOOKUP)
    submitted = school.course / "submitted/bob" / LOOKUP
    shutil.copytree(school.course / "release" / LOOKUP, submitted)
    mistaken = ATTENTION.replace(" / math.sqrt(q.size(-1))", "")
    (submitted / "mha_lib/attention.py").write_text(mistaken, encoding="utf-8")
    notebook = submitted / f"{LOOKUP}.ipynb"
    hostile = "<script>window.harmed = 1</script><img src=x onerror='window.harmed = 2'>"
    stub = "*Write your answer here.*"
    notebook.write_text(notebook.read_text(encoding="utf-8").replace(stub, hostile, 1))
    return school


@pytest.fixture(scope="module")
def server(school):
    """The address of a Jupyter server with the formgrader, in the course directory."""
    log = school.root / "server.log"
    with jupyter_server(school.course, log, school.instructor.environment()) as address:
        yield address


@pytest.fixture(scope="module")
def page(server):
    with offline_page(server) as page:
        page.goto(f"{server}/formgrader/manage_submissions/{LOOKUP}")
        yield page


def test_the_autograde_button_grades_and_the_page_tells_why(page, server, school):
    row = page.locator("tr", has_text="bob")
    row.locator(".autograde a").click()
    page.get_by_text(f"Successfully autograded '{LOOKUP}' for student 'bob'.").wait_for(
        timeout=60_000
    )
    page.keyboard.press("Escape")
    row = page.locator("tr", has_text="bob")
    assert row.locator(".score").inner_text() == "4 / 11"

    page.goto(f"{server}/formgrader/gradebook/{LOOKUP}/{LOOKUP}")
    page.get_by_role("link", name=re.compile("Submission #1|bob")).first.click()
    message = page.get_by_text("The scores were not divided by sqrt(d).")
    message.wait_for(timeout=20_000)
    assert page.get_by_text("def scaled_dot_product_attention").is_visible()
    score = page.locator("#attention-scaled_dot_product_attention")
    page.wait_for_function("input => input.placeholder || input.value", arg=score.element_handle())
    assert (score.input_value() or score.get_attribute("placeholder")) == "0"
    message.scroll_into_view_if_needed()
    screenshot(page, "formgrader/submission")


def test_the_page_works_without_network_and_runs_no_script_of_a_learner(page):
    """After the page above: nothing was asked of the network, and its own scripts all ran."""
    assert page.outside == []
    assert page.errors == []
    assert page.get_by_text("window.harmed = 1").is_visible()
    assert page.evaluate("window.harmed") is None


def test_keyboard_shortcuts_work_offline(page):
    """They are set up in the last step of the page's start, which stock nbgrader does not reach
    when MathJax cannot be loaded."""
    page.locator("body").press("Control+Shift+F")
    page.get_by_text("Submission flagged").wait_for(timeout=10_000)


def test_a_comment_on_a_function_is_kept(page):
    """nbgrader has a box for written answers only. Each box is tied to the gradebook."""
    boxes = page.locator(".comment")
    assert boxes.count() == 5  # four functions and the written answer
    for box in boxes.all():
        assert box.is_visible() and box.get_attribute("placeholder")
    name = "attention-scaled_dot_product_attention"
    page.locator(f"#{name}").focus()
    for _ in range(2):  # past the extra credit
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == f"{name}-comment"
    page.keyboard.type("See **section 3.2**.")
    with page.expect_response(re.compile("/api/comment/")) as saved:
        page.keyboard.press("Escape")
    assert saved.value.ok
    page.reload()
    box = page.get_by_label("Your comment on this function").last
    page.wait_for_function("box => box.value == 'See **section 3.2**.'", arg=box.element_handle())


def test_formulas_are_drawn_and_the_code_stands_below_its_grade(page):
    formula = page.locator("math").first
    assert formula.is_visible() and formula.bounding_box()["height"] > 5
    assert "$\\sqrt" not in page.locator("body").inner_text()
    places = [
        page.locator("#attention-scaled_dot_product_attention"),
        page.get_by_text("The scores were not divided by sqrt(d)."),
        page.get_by_text("def scaled_dot_product_attention"),
    ]
    # All at once: the page scrolls by itself.
    score, message, code = page.evaluate(
        "places => places.map(place => place.getBoundingClientRect().top)",
        [place.element_handle() for place in places],
    )
    assert score < message < code < score + 500  # pixels
