"""Item statistics: the numbers, the page, and which functions count as alike."""

import csv
import inspect
import io
import json
import textwrap
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from types import FunctionType

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import headless_browser, page_on, screenshot
from nbgrader_classroom import ATTENTION
from test_cli import autograde

from autograde.build.site.page import page as site_page
from autograde.errors import AutogradeError
from autograde.exercises import EXERCISES
from autograde.statistics.answers import read_answers
from autograde.statistics.items import items, similar_answers
from autograde.statistics.page import page, write_page
from autograde.statistics.similar import (
    FEWEST_TOKENS,
    THRESHOLD,
    Alike,
    alike,
    normalise,
    similarity,
)
from autograde.statistics.tables import as_csv

SDPA = "attention.scaled_dot_product_attention"
EVIL = '<img src=x onerror="alert(1)">\x1b[31m'


def _result(status, score, misconception=None):
    words = {"message": "…", "misconception": misconception}
    return {"status": status, "score": score, "max_score": 4.0, **words}


@pytest.fixture
def grades(tmp_path):
    """Five learners: right, right in the same words, two with known mistakes, one unfinished."""
    texts = {"ann": ATTENTION, "ben": _disguised(ATTENTION), EVIL: "def ", "cat": "", "dan": ""}
    results = [
        _result("passed", 4.0),
        _result("passed", 3.5),
        _result("failed", 0.0, "attention_not_scaled"),
        _result("timeout", 0.0, "attention_not_scaled"),
        _result("missing", 0.0),
    ]
    listing = []
    for (name, text), result in zip(texts.items(), results, strict=True):
        library = tmp_path / name / "mha_lib"
        library.mkdir(parents=True)
        (library / "attention.py").write_text(text)
        entry = {"submission": str(tmp_path / name), "sandbox": "off", "exercises": {SDPA: result}}
        listing.append(entry)
    path = tmp_path / "grades.json"
    path.write_text(json.dumps(listing))
    return path


def _disguised(text: str) -> str:
    """The same work under other names, with comments, other words and another layout."""
    text = text.replace("scores", "logits").replace("shares", "w").replace("widths differ", "no")
    text = text.replace("    if mask is not None:\n", "\n    # my own\n    if mask is not None :\n")
    return text.replace("(q, k, v, mask=None):", '(q, k, v, mask=None) -> "mine":\n    "My way."')


def test_the_numbers_of_an_exercise(grades):
    [item] = items(read_answers(grades)[0])
    assert (item.submitted, item.passed, item.failed, item.unfinished) == (5, 2, 2, 1)
    assert item.mean_points == pytest.approx(7.5 / 5) and item.max_points == 4
    assert item.misconceptions == {"attention_not_scaled": 2}
    assert item.explanation("attention_not_scaled") == "The scores were not divided by sqrt(d)."
    assert item.mean_attempts is None


def test_an_assignment_is_picked_out(grades):
    assert len(items(read_answers(grades, "01_one_lookup")[0])) == 1
    with pytest.raises(AutogradeError, match=r"Nothing is graded in .*, 09_"):
        read_answers(grades, "09_heads_are_not_layers")


def test_csv_has_a_line_an_exercise(grades):
    [row] = csv.DictReader(io.StringIO(as_csv(items(read_answers(grades)[0]))))
    assert row["exercise"] == SDPA and row["mean_points"] == "1.5"
    assert row["misconceptions"] == "attention_not_scaled: 2"


def test_the_command_writes_table_csv_and_page(grades):
    target = grades.with_name("stats.html")
    done = autograde("stats", grades, "--csv", grades.with_name("stats.csv"), "--html", target)
    assert done.returncode == 0, done.stderr
    assert "1.50 of 4" in done.stdout and "not divided by sqrt(d)" in done.stdout
    assert "not a verdict" in done.stdout and "\x1b" not in done.stdout
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "exercise,submitted" in grades.with_name("stats.csv").read_text()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"submission": "a"}]', "[]"])
def test_what_is_no_list_of_grades_is_told_in_a_sentence(tmp_path, text):
    path = tmp_path / "grades.json"
    path.write_text(text)
    with pytest.raises(AutogradeError, match=r"is not what|Nothing is graded"):
        read_answers(path)
    with pytest.raises(AutogradeError, match="Cannot read"):
        read_answers(tmp_path / "nothing.json")
    with pytest.raises(AutogradeError, match="no course directory"):
        read_answers(tmp_path)


# --- the page ---------------------------------------------------------------------------------


def test_the_page_stands_alone_and_escapes_what_learners_named(grades):
    answers, _ = read_answers(grades)
    text = page(EVIL, items(answers), [Alike(SDPA, (EVIL,), ("ann",), 0.9)], [EVIL])
    reader = _Tags()
    reader.feed(text)
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "a"}
    assert not any(name in ("src", "href") or name.startswith("on") for name in reader.names)
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("&lt;img src=x") == 4  # title, heading, learner, note


def test_every_bar_is_told_in_words_and_is_as_long_as_it_says(grades):
    reader = _Tags()
    reader.feed(page("class", items(read_answers(grades)[0]), []))
    bars = [attributes for tag, attributes in reader.tags if attributes.get("role") == "img"]
    labels = [attributes["aria-label"] for attributes in bars]
    assert f"{SDPA}: 2 passed, 2 failed, 1 unfinished" in labels
    assert "2 of 5 learners" in labels
    drawn = [a for tag, a in reader.tags if tag == "rect" and a.get("class") == "failed"]
    assert [a["width"] for a in drawn] == ["16.00", "40.00", "40.00"]  # key, exercise, mistake


def test_an_index_leads_to_each_of_several_assignments(grades):
    [item] = items(read_answers(grades)[0])
    reader = _Tags()
    reader.feed(page("class", [replace(item, assignment=name) for name in ("01_one", EVIL)], []))
    ids = [attributes["id"] for tag, attributes in reader.tags if tag == "h2" and attributes]
    assert [attributes["href"] for tag, attributes in reader.tags if tag == "a"] == [
        f"#{place}" for place in ids
    ]
    assert len(ids) == 2


def test_it_is_never_written_among_the_pages_for_learners(tmp_path):
    site = tmp_path / "site"
    (site / "notebooks").mkdir(parents=True)
    (site / "index.html").write_text(site_page("index.html", "Start", "<h1>Start</h1>"))
    with pytest.raises(AutogradeError, match="is the site for learners"):
        write_page(site / "notebooks/stats.html", "")
    assert list(site.rglob("*.html")) == [site / "index.html"]


@pytest.mark.browser
def test_everybody_can_read_the_page(grades, tmp_path):
    [item] = items(read_answers(grades)[0])
    several = [replace(item, assignment=name) for name in ("01_one_lookup", "02_again")]
    path = tmp_path / "stats.html"
    path.write_text(page("class", several, [Alike(SDPA, ("ann",), ("ben",), 0.9)]))
    with headless_browser() as browser:
        for scheme, width in (("light", 1100), ("dark", 390)):
            settings = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
            tab = page_on(path.as_uri(), browser, **settings)
            tab.goto(path.as_uri())
            screenshot(tab, f"statistics/{scheme}", full_page=True)
            assert not Axe().run(tab).response["violations"]
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert not tab.outside and not tab.errors


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    @property
    def names(self) -> set[str]:
        return {name for _, attributes in self.tags for name in attributes}


# --- similar functions ------------------------------------------------------------------------


def test_a_copy_in_disguise_is_found_and_nobody_else(grades):
    [found] = similar_answers(read_answers(grades)[0])
    folder = grades.parent
    assert found == Alike(SDPA, (str(folder / "ann"),), (str(folder / "ben"),), 1.0)


def test_moving_a_part_into_a_helper_hides_nothing():
    start, rest = ATTENTION.split("    scores = torch.einsum")
    head, body = start.rsplit("def scaled", 1)
    moved = (
        f"{head}def scaled{body}    return _rest(q, k, v, mask)\n\n\n"
        f"def _rest(q, k, v, mask):\n    scores = torch.einsum{rest}"
    )
    function = SDPA.split(".")[1]
    whole, parted = normalise(ATTENTION, function), normalise(moved, function)
    assert THRESHOLD <= similarity(whole, parted) < 1


@pytest.mark.parametrize("text", ["def f(:", "def g(): pass", "", "\0", "def f():\n" + "(" * 500])
def test_what_cannot_be_read_is_compared_with_nothing(text):
    assert normalise(text, "f") == ()


def test_names_words_and_annotations_do_not_count():
    one = 'def f(a: int) -> str:\n    """Doc."""\n    b: int = a + 1\n    return f"{b} is"\n'
    other = "def f(x):\n    y = x + 1  # so\n\n    return 'was'\n"
    assert normalise(one, "f") == normalise(other, "f") != ()
    assert normalise(one, "f") != normalise(other.replace("+ 1", "- 1"), "f")
    assert normalise("def f(x):\n    return g(x)", "f") != normalise(
        "def f(x):\n    return h(x)", "f"
    )


def test_equal_functions_are_one_group_and_short_ones_none():
    long, near = ("a",) * 60, ("a",) * 59 + ("b",)
    rows = {"e": ("a",) * (FEWEST_TOKENS - 1), "d": near, "c": long, "b": long, "a": long}
    assert alike("x", rows) == [
        Alike("x", ("a",), ("b", "c"), 1.0),
        Alike("x", ("a", "b", "c"), ("d",), pytest.approx(118 / 120)),
    ]
    with pytest.raises(ValueError, match=r"1\.5"):
        alike("x", rows, threshold=1.5)


def test_a_large_class_is_compared_block_by_block():
    rows = {f"{i:04}": tuple(f"{i}.{k}" for k in range(FEWEST_TOKENS)) for i in range(1_200)}
    rows["copy"] = (*rows["1150"][:-1], "other")
    [found] = alike("x", rows)
    assert {*found.one, *found.other} == {"1150", "copy"}


def test_right_versions_written_independently_stay_below_the_threshold():
    """The largest similarity of any two is 0.63 (two ways to route tokens, 76 and 109 tokens)."""
    scores = [
        similarity(one, other)
        for exercise in EXERCISES.values()
        for one, other in combinations(_versions(exercise), 2)
        if min(len(one), len(other)) >= FEWEST_TOKENS
    ]
    assert len(scores) > 60
    assert max(scores) < THRESHOLD - 0.1


def _versions(exercise) -> list[tuple[str, ...]]:
    """The reference and the right versions that are functions with a text of their own."""
    texts = {}
    for function in (exercise.reference, *exercise.equivalents.values()):
        inner = [cell.cell_contents for cell in function.__closure__ or ()]
        wrapped = [part for part in inner if isinstance(part, FunctionType)]
        for one in wrapped if function.__name__ == "guarded" else [function]:
            if one.__name__ != "<lambda>":  # versions of one closure share a text: once is enough
                texts[textwrap.dedent(inspect.getsource(one))] = one.__name__
    return [normalise(text, name) for text, name in texts.items()]
