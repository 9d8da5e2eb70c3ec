"""The progress board: real results, kept over a restart, with the next step."""

import json
import os
from dataclasses import replace

import pytest
from IPython.utils.capture import capture_output

from attention_lab import board, questions
from autograde.build.files import lessons
from autograde.build.lessons import graded_exercises, notebook_from_lesson
from autograde.exercises import EXERCISES
from autograde.kept import CHECKS
from autograde.notebook import CheckFailed, check, progress

NOTEBOOK = "03_split_run_concatenate_project"
WRONG = (
    "def split_heads(x, num_heads):\n"
    "    B, T, W = x.shape\n"
    "    return x.reshape(B, num_heads, T, W // num_heads)\n"
)


@pytest.fixture
def learner(make_submission, monkeypatch):
    """In a learner's notebook folder, with a wrong split_heads that has been checked."""
    folder = make_submission(heads=WRONG)
    (folder / NOTEBOOK).mkdir()
    monkeypatch.chdir(folder / NOTEBOOK)
    with capture_output(), pytest.raises(CheckFailed):
        check("heads.split_heads")
    return folder


def test_a_check_is_on_the_board_with_what_happened_and_the_next_step(learner):
    page = board.page_of(NOTEBOOK)
    assert "0 of 3 exercises pass, 0 of 8 points" in page
    assert "✗ not right yet" in page and "reshaped straight into (B, h, T, d)" in page
    assert page.count("○ not checked yet") == 2
    assert "Next: heads.split_heads, in mha_lib/heads.py" in page
    assert "autograde hint heads.split_heads" in page


def test_results_survive_a_restart_of_the_kernel(learner):
    kept = json.loads((learner / ".progress/checks.json").read_text())
    assert kept["heads.split_heads"]["status"] == "failed"
    assert not CHECKS.unsaved  # the next line reads the file, as a new kernel would
    assert "✗ not right yet" in board.page_of(NOTEBOOK)


def test_a_file_that_changed_after_its_check_is_marked(learner, solution):
    module = learner / "mha_lib/heads.py"
    module.write_text(solution("heads"))
    later = CHECKS.load()[0]["heads.split_heads"]["when"] + 60
    os.utime(module, (later, later))
    assert "(file changed since)" in board.page_of(NOTEBOOK)


def test_the_following_notebook_is_named_until_everything_passes(learner, monkeypatch):
    lines = board._lines
    done = [replace(line, score=line.max_score) for line in lines(NOTEBOOK)]
    monkeypatch.setattr(board, "_lines", lambda notebook: done if notebook else lines(None))
    assert "Next: on to the following notebook." in board.page_of(NOTEBOOK)
    monkeypatch.setattr(board, "_lines", lambda notebook: done)
    page = board.page_of(None)
    assert "Every exercise of the course passes." in page and "Next:" not in page


def test_progress_checks_everything_and_counts_predictions(learner, monkeypatch):
    with capture_output():
        questions.predict("board-demo", "Up or down?", ["up", "down"])
        questions.choose("board-demo", 1)
        questions.outcome("board-demo", 0, "It went up.")
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    progress()
    (data,) = shown
    assert "attention.softmax: ✓ passed (2 of 2 points)" in data["text/plain"]
    assert "Predictions: 1 of 1 came true" in data["text/plain"]
    assert "<code>attention.softmax</code> ✓ passed" in data["text/html"]


def test_each_prediction_stands_against_its_outcome_in_its_own_notebook(learner, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", f"/home/learner/{NOTEBOOK}.ipynb")
    with capture_output():
        questions.predict("board-one", "Up or `down`?", ["up", "down"])
        questions.choose("board-one", 2)
    assert "Up or down? You said: down. It came: not shown yet. (open)" in board.page_of(NOTEBOOK)
    with capture_output():
        questions.outcome("board-one", 0, "It went up.")
    said = "Up or down? You said: down. It came: up. (came out differently)"
    assert said in board.page_of(NOTEBOOK) and said in board.page_of(None)
    assert said not in board.page_of("01_one_lookup")


def test_what_a_learner_wrote_is_shown_as_text(learner):
    module = learner / "mha_lib/heads.py"
    module.write_text("def merge_heads(x):\n    raise ValueError('<script>alert(1)</script>')\n")
    with capture_output(), pytest.raises(CheckFailed):
        check("heads.merge_heads")
    assert "<script>" not in board.page_of(NOTEBOOK)


def test_a_damaged_record_is_set_aside_and_the_board_starts_afresh(learner):
    (learner / ".progress/checks.json").write_text('{"heads.split_heads": {"status": 1}}')
    assert board.page_of(NOTEBOOK).count("○ not checked yet") == 3
    (learner / ".progress/checks.json").write_text("not JSON")
    assert board.page_of(NOTEBOOK).count("○ not checked yet") == 3
    assert (learner / ".progress/checks-unreadable.json").read_text() == "not JSON"
    assert "Notebook" not in board.page_of("00_start_here") and board.page_of("notes")


def test_each_notebooks_board_lists_the_exercises_of_that_notebook(learner):
    for lesson in lessons():
        asked = graded_exercises(notebook_from_lesson(lesson))
        page = board.page_of(lesson.stem)
        listed = [name for name in EXERCISES if f"<code>{name}</code>" in page]
        assert listed == sorted(asked, key=list(EXERCISES).index), lesson.stem
