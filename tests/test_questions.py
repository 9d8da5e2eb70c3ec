"""Predictions and quizzes, through what a cell shows and what lands in the file."""

import importlib
import json
import sys

import ipywidgets
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from attention_lab import questions

WIDGET = "application/vnd.jupyter.widget-view+json"
OPTIONS = ["it rises", "it falls", "it stays"]
ASK = ("demo-curve", "Where does the curve go?", OPTIONS)


@pytest.fixture
def shell(monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # IPython has its own
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.fixture
def learner(tmp_path, monkeypatch, shell):
    """A learner's folder with a notebook folder in it; the session has just started."""
    (tmp_path / "mha_lib").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    new_session()
    return tmp_path


def new_session():
    importlib.reload(questions)


def shown(function, *arguments, **named):
    with capture_output() as captured:
        function(*arguments, **named)
    return [output.data for output in captured.outputs]


def plain(outputs):
    return "\n".join(data["text/plain"] for data in outputs)


def html(outputs):
    return "\n".join(data["text/html"] for data in outputs)


def ask(*arguments):
    """Ask, and return the buttons and the line below them."""
    outputs = shown(questions.predict, *(arguments or ASK))
    box = ipywidgets.widgets.widget._instances[outputs[-1][WIDGET]["model_id"]]
    return box.children


def ask_quiz(**named):
    outputs = shown(questions.quiz, "demo-card", "Which?", ["one", "two"], 1, **named)
    box = ipywidgets.widgets.widget._instances[outputs[-1][WIDGET]["model_id"]]
    return outputs, *box.children


def record(learner):
    return json.loads((learner / ".progress" / "predictions.json").read_text(encoding="utf-8"))


def test_a_choice_is_recorded_in_the_folder_that_holds_mha_lib(learner):
    radio, status = ask()
    assert radio.value is None and "Nothing recorded yet" in status.value
    radio.value = 1
    assert record(learner)["demo-curve"]["choice"] == 1
    assert "Recorded: it falls" in status.value
    assert sorted(path.name for path in (learner / ".progress").iterdir()) == ["predictions.json"]


def test_without_mha_lib_the_working_directory_is_the_learners_folder(tmp_path, monkeypatch, shell):
    monkeypatch.chdir(tmp_path)
    new_session()
    ask()[0].value = 0
    assert record(tmp_path)["demo-curve"]["choice"] == 0


def test_choosing_again_counts_until_the_outcome_is_shown(learner):
    radio, status = ask()
    radio.value = 0
    radio.value = 2
    assert record(learner)["demo-curve"]["choice"] == 2
    text = plain(shown(questions.outcome, "demo-curve", 2, "The curve stayed at 0.50."))
    assert "Your prediction: it stays." in text and "came true" in text and "0.50" in text
    assert radio.disabled
    radio.value = 1
    assert radio.value == 2 and record(learner)["demo-curve"]["choice"] == 2
    assert "Kept as you predicted it: it stays" in status.value


def test_a_prediction_outlives_the_session_and_stays_closed(learner):
    ask()[0].value = 0
    shown(questions.outcome, "demo-curve", 1, "It fell.")
    new_session()
    radio, _ = ask()
    assert radio.value == 0 and radio.disabled
    questions.choose("demo-curve", 2)
    assert record(learner)["demo-curve"]["choice"] == 0
    text = plain(shown(questions.outcome, "demo-curve", 1, "It fell."))
    assert "it rises" in text and "came out differently" in text


def test_an_open_prediction_can_be_changed_in_a_later_session(learner):
    ask()[0].value = 0
    new_session()
    radio, _ = ask()
    assert radio.value == 0 and not radio.disabled
    radio.value = 1
    assert record(learner)["demo-curve"]["choice"] == 1


def test_without_a_prediction_the_outcome_says_so_and_a_late_choice_is_called_late(learner):
    radio, status = ask()
    text = plain(shown(questions.outcome, "demo-curve", 1, "It fell."))
    assert "none was recorded" in text and "it falls. It fell." in text
    assert not radio.disabled and "late" in status.value
    radio.value = 1
    assert record(learner)["demo-curve"]["late"] and radio.disabled
    assert "after the outcome" in plain(shown(questions.outcome, "demo-curve", 1, "It fell."))
    assert "0 of" not in plain(shown(questions.predictions_table))
    assert "chosen after the outcome" in plain(shown(questions.predictions_table))


def test_an_outcome_without_its_question_still_tells_what_was_measured(learner):
    assert "It fell." in plain(shown(questions.outcome, "demo-curve", 1, "It fell."))


def test_an_outcome_that_is_no_option_is_refused(learner):
    ask()
    with pytest.raises(ValueError, match="outcome 3 of 3 options"):
        questions.outcome("demo-curve", 3, "")


def test_a_question_with_new_options_is_asked_afresh(learner):
    ask()[0].value = 0
    radio, _ = ask("demo-curve", "Where does the curve go?", ["up", "down"])
    assert radio.value is None


def test_choose_works_without_buttons(learner):
    ask()
    assert "Recorded: it stays" in plain(shown(questions.choose, "demo-curve", 3))
    assert record(learner)["demo-curve"]["choice"] == 2
    with pytest.raises(ValueError, match="1 to 3, got 0"):
        questions.choose("demo-curve", 0)
    with pytest.raises(ValueError, match="run the cell"):
        questions.choose("demo-other", 1)


@pytest.mark.parametrize("content", [b"{oops", b"[1, 2]", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_set_aside_and_the_choice_is_recorded(learner, content):
    folder = learner / ".progress"
    folder.mkdir()
    (folder / "predictions.json").write_bytes(content)
    radio, status = ask()
    assert status.value.count("was damaged") == 1
    radio.value = 1
    assert record(learner)["demo-curve"]["choice"] == 1
    assert (folder / "predictions-unreadable.json").read_bytes() == content


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {"choice": 0},
        {"question": "?", "options": OPTIONS, "choice": 7, "late": False, "outcome": None},
        {"question": "?", "options": OPTIONS, "choice": [0], "late": False, "outcome": None},
        {"question": "?", "options": [1, 2, 3], "choice": 0, "late": False, "outcome": None},
    ],
)
def test_an_entry_that_makes_no_sense_counts_as_none(learner, entry):
    (learner / ".progress").mkdir()
    (learner / ".progress" / "predictions.json").write_text(json.dumps({"demo-curve": entry}))
    radio, _ = ask()
    assert radio.value is None
    assert "none was recorded" in plain(shown(questions.outcome, "demo-curve", 1, "It fell."))


def test_an_unwritable_folder_keeps_the_choice_for_the_session(learner):
    (learner / ".progress").write_text("a file where the folder should be")
    radio, status = ask()
    radio.value = 1
    assert status.value.count("cannot be written") == 1
    text = plain(shown(questions.outcome, "demo-curve", 1, "It fell."))
    assert "Your prediction: it falls." in text and text.count("cannot be written") == 1


def test_a_read_only_file_is_left_alone(learner):
    ask()[0].value = 0
    path = learner / ".progress" / "predictions.json"
    path.chmod(0o444)
    before = path.read_bytes()
    radio, status = ask()
    radio.value = 1
    assert "read-only" in status.value and path.read_bytes() == before
    path.chmod(0o644)
    radio.value = 2
    assert record(learner)["demo-curve"]["choice"] == 2


def test_two_notebooks_do_not_lose_each_others_predictions(learner):
    radio, _ = ask()
    radio.value = 0
    new_session()
    ask("other-key", "And this?", ["yes", "no"])[0].value = 1
    radio.value = 2  # the first notebook is still open
    assert {key: entry["choice"] for key, entry in record(learner).items()} == {
        "demo-curve": 2,
        "other-key": 1,
    }


def test_text_is_escaped_everywhere(learner):
    evil = "<script>alert(1)</script>"
    options = [evil, "`a<b`"]
    outputs = shown(questions.predict, "demo-evil", evil, options)
    radio, status = ask("demo-evil", evil, options)
    radio.value = 0
    outputs += shown(questions.outcome, "demo-evil", 1, evil)
    outputs += shown(questions.predictions_table)
    outputs += shown(questions.quiz, "demo-card", evil, options, 0, because=evil)
    everything = html(outputs) + status.value
    assert "<script" not in everything and "&lt;script&gt;" in everything
    assert "<code>a&lt;b</code>" in everything


def test_the_table_counts_what_came_true(learner):
    ask()[0].value = 0
    ask("demo-two", "And `this`?", ["yes", "no"])[0].value = 0
    ask("other-key", "Unanswered?", ["yes", "no"])
    shown(questions.outcome, "demo-curve", 0, "It rose.")
    shown(questions.outcome, "demo-two", 1, "It did not.")
    text = plain(shown(questions.predictions_table))
    assert "1 of 2 came true" in text and "Unanswered?" in text and "open" in text
    assert "Unanswered?" not in plain(shown(questions.predictions_table, "demo"))
    new_session()
    assert "No predictions yet" in plain(shown(questions.predictions_table))
    table = html(shown(questions.predictions_table, "demo"))
    assert "1 of 2 came true" in table and table.count('<th scope="col"') == 4


def test_a_quiz_tells_the_answer_only_after_a_choice(learner):
    outputs, radio, verdict = ask_quiz(because="Source: `config.json`.")
    assert verdict.value == "" and "Source" not in plain(outputs)
    radio.value = 0
    assert "The answer is: two." in verdict.value and "<code>config.json</code>" in verdict.value
    radio.value = 1
    assert "Right." in verdict.value
    assert not (learner / ".progress").exists()


def test_without_widgets_the_text_still_says_everything(learner):
    outputs, *_ = ask_quiz(because="Source: a card.")
    assert "<details><summary>Answer</summary>" in html(outputs)
    assert "two" in html(outputs).split("<details>")[1]
    outputs = shown(questions.predict, *ASK)
    for text in (plain(outputs), html(outputs)):
        assert "Where does the curve go?" in text and all(option in text for option in OPTIONS)
        assert "choose(" in text and "Nothing recorded yet" in text


@pytest.mark.parametrize("options", [["only"], ["same", "same"], ["`same`", "same"]])
def test_questions_need_different_options(learner, options):
    with pytest.raises(ValueError, match="two or more different"):
        questions.predict("demo", "?", options)
    with pytest.raises(ValueError, match="two or more different"):
        questions.quiz("demo", "?", options, 0, "")


def test_a_quiz_without_its_answer_is_refused(learner):
    with pytest.raises(ValueError, match="answer 2 of 2"):
        questions.quiz("demo", "?", ["a", "b"], 2, "")
