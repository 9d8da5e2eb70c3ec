"""The pieces of a feedback page that need no class: lines that are marked, and the short words."""

import re
from pathlib import Path

import pytest

from attention_lab.figures import BLUE, GREY, VERMILION
from autograde.checking import check_library
from autograde.nbgrader import TEMPLATES
from autograde.report import in_short, result_html, source_html
from autograde.results import ExerciseResult
from autograde.source import Excerpt, Line, function_source

SOFTMAX = "attention.softmax"


@pytest.fixture
def source_of(tmp_path):
    """Writes a module of attention; gives what is shown of softmax with a result's message."""

    def source_of(text: str, message: str = "", calls: tuple[str, ...] = ()) -> Excerpt | None:
        (tmp_path / "mha_lib").mkdir(exist_ok=True)
        (tmp_path / "mha_lib/attention.py").write_text(text, encoding="utf-8")
        return function_source(tmp_path, SOFTMAX, message, calls)

    return source_of


def marks(source: Excerpt) -> dict[int, str]:
    return {line.number: line.why for line in source.lines if line.why}


HELPED = """\
import torch

OTHER = 1


def helper(x):
    return x.summ()


@torch.no_grad()
def softmax(scores, dim=-1):
    return helper(scores)
"""


def test_the_line_of_an_error_is_marked_and_the_helper_it_is_in_is_shown(source_of, tmp_path):
    source_of(HELPED)
    result = check_library(tmp_path / "mha_lib", [SOFTMAX])[SOFTMAX]
    assert result.status == "error" and "has no attribute 'summ'" in result.message
    source = source_of(HELPED, result.message)
    assert marks(source) == {7: "the error comes from this line", 12: "on the way to the error"}
    assert [line.number for line in source.lines] == [6, 7, 10, 11, 12]
    assert "⋮" in source_html(source)


def test_without_a_traceback_no_line_is_marked(source_of):
    source = source_of(HELPED, "0 of 6 cases pass.\nout: expected 1, got 2")
    assert [line.number for line in source.lines] == [10, 11, 12]
    assert not source.marked and "<mark>" not in source_html(source)


def test_of_a_file_that_is_no_python_the_place_is_shown(source_of):
    text = "\n" * 50 + "def softmax(scores:\n" + "x = 1\n" * 50
    message = 'It broke.\n  File "mha_lib/attention.py", line 51\n    def softmax(\nSyntaxError'
    source = source_of(text, message)
    assert (source.lines[0].number, source.lines[-1].number) == (43, 59)
    assert marks(source) == {51: "the error comes from this line"}
    assert len(source_of(text, message.replace("51", "5" * 5000)).lines) == 102


def test_a_frame_of_another_file_marks_nothing_here(source_of):
    assert not source_of(HELPED, '  File "mha_lib/heads.py", line 7, in f').marked


def test_calls_of_the_library_are_marked(source_of):
    text = "import torch\ndef softmax(x, dim):\n    return (\n        torch.softmax(x))\n"
    assert marks(source_of(text, calls=("softmax",))) == {4: "calls the library's own softmax"}
    assert not source_of(text).marked


def test_lines_are_those_that_python_counts_and_turn_no_writing_round(source_of):
    text = '# a\x0cb\u2028c\r\ndef softmax(scores):\n    return "\u202e"\n'
    source = source_of(text)
    assert [line.number for line in source.lines] == [2, 3]
    assert [line.text for line in source.lines] == ["def softmax(scores):", '    return "�"']


def test_source_is_escaped():
    line = Line(9, "x = '</pre><script>'", "<b>")
    html = source_html(Excerpt("mha_lib/a.py", (line, Line(10, "<i>"))))
    assert re.findall("<[^>]+>", html) == ["<pre>", "<mark>", "</mark>", "</pre>"]
    result = ExerciseResult(SOFTMAX, 0, 2, "failed", None, "<u>")
    assert "<u>" not in result_html(result, Excerpt("mha_lib/a.py", (line,)))


@pytest.mark.parametrize(
    ("status", "message", "short"),
    [
        ("passed", "All 6 cases pass.", []),
        ("passed", "All 6 cases pass.\nRemark: slow.", ["Remark: slow."]),
        (
            "failed",
            "2 of 6 cases pass.\nOut: first difference\nCalled with x.\nWhat happened: a\nHint: b",
            ["What happened: a", "Hint: b"],
        ),
        (
            "failed",
            "2 of 6 cases pass.\nNo case can tell these apart; one happened:\n  - a Hint: b",
            ["No case can tell these apart; one happened:", "- a Hint: b"],
        ),
        ("failed", "2 of 6 cases pass.\nOut: shape\nCalled with x.", ["Out: shape"]),
        (
            "error",
            '0 of 6 cases pass.\nIt raised\n  File "a", line 1\n    x = y\nNameError: y\n'
            "Called with x.",
            ["It raised", "NameError: y"],
        ),
        (
            "failed",
            "What happened: said by a learner's error\nWhat happened: true\nHint: b",
            ["What happened: true", "Hint: b"],
        ),
        ("missing", "It is not written yet.", ["It is not written yet."]),
    ],
)
def test_a_message_in_short(status, message, short):
    assert in_short(status, message) == short


def test_the_page_has_the_colours_of_the_figures():
    css = (Path(TEMPLATES) / "feedback/feedback.css").read_text(encoding="utf-8")
    for name, colour in (("good", BLUE), ("bad", VERMILION), ("open", GREY)):
        assert f"--{name}: {colour};" in css
