"""What a learner's notebook calls: check, needs, progress, the extension."""

import shutil
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell

import autograde
from autograde import AutogradeError, CheckFailed, check, needs, progress
from autograde.exercises import EXERCISES


@pytest.fixture
def shown(monkeypatch):
    """Collects what is displayed."""
    outputs = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: outputs.append(data))
    return outputs


@pytest.fixture
def learner(make_submission, monkeypatch):
    """A learner's folder with the notebook's folder as the working directory."""

    def enter(**modules):
        folder = make_submission(**modules)
        (folder / "01_one_lookup").mkdir()
        monkeypatch.chdir(folder / "01_one_lookup")
        return folder / "mha_lib"

    return enter


def test_check_passes_a_right_function(learner, shown):
    learner()
    check("heads.split_heads")
    assert "✓ heads.split_heads: passed (2 of 2 points)" in shown[0]["text/plain"]
    assert "All" in shown[0]["text/html"]


def test_check_names_the_mistake_and_raises(learner, shown, solution):
    learner(attention=solution("attention").replace("/ q.shape[-1] ** 0.5", ""))
    with pytest.raises(CheckFailed) as raised:
        check("attention.scaled_dot_product_attention")
    assert "The scores were not divided by sqrt(d)." in shown[0]["text/plain"]
    assert "attention_not_scaled" in shown[0]["text/html"]
    assert raised.value._render_traceback_() == [f"CheckFailed: {raised.value}"]
    assert "not divided by sqrt(d)" in str(raised.value)


def test_a_check_says_which_earlier_function_to_finish_first(learner, shown, solution):
    """Only the third notebook was done, or the first one badly: the fault lies elsewhere."""
    library = learner(solved=False, heads=solution("heads"))
    check("heads.split_heads")
    with pytest.raises(CheckFailed, match="raised an error"):
        check("heads.multi_head_attention")
    text = shown[-1]["text/plain"]
    assert "calls attention.scaled_dot_product_attention, not right yet: finish that first" in text
    assert "not written yet" not in text and "Written already" not in text

    (library / "block.py").write_text(solution("block"))
    with pytest.raises(CheckFailed, match="raised an error"):
        check("block.transformer_block")  # it calls split_heads in a comprehension

    unscaled = solution("attention").replace("/ q.shape[-1] ** 0.5", "")
    (library / "attention.py").write_text(unscaled)
    with pytest.raises(CheckFailed):
        check("heads.multi_head_attention")
    text = shown[-1]["text/plain"]
    assert "attention.scaled_dot_product_attention, not right yet: finish that first" in text

    (library / "attention.py").write_text(solution("attention"))
    (library / "heads.py").write_text(solution("heads").replace(" @ w_o", "", 1))
    with pytest.raises(CheckFailed):
        check("heads.multi_head_attention")
    assert "finish that first" not in shown[-1]["text/plain"]


def test_check_sees_an_edit_at_once(learner, shown, solution):
    """Red to green without a restart, even when the edits fall into the same second."""
    library = learner(solved=False)
    with pytest.raises(CheckFailed):
        check("heads.merge_heads")
    (library / "heads.py").write_text(solution("heads"))
    shutil.copy(library / "heads.py", library / "copy.py")
    (library / "attention.py").write_text(solution("attention"))
    check("heads.merge_heads")
    (library / "heads.py").write_text(solution("heads").replace("x.transpose(1, 2).re", "x.re"))
    with pytest.raises(CheckFailed):
        check("heads.merge_heads")


def test_a_stopped_check_says_where_it_was(learner, shown, solution):
    """The learner interrupts the kernel while their function runs."""
    endless = solution("heads").replace(
        "batch, num_heads, num_tokens, head_dim = x.shape", "raise KeyboardInterrupt", 1
    )
    learner(heads=endless)
    with pytest.raises(CheckFailed, match=r"you stopped the check of heads\.merge_heads") as raised:
        check("heads.merge_heads")
    assert "raise KeyboardInterrupt" in str(raised.value)


def test_a_library_call_is_remarked_on(learner, shown, solution):
    body = "exps = torch.exp(scores - scores.amax(dim=dim, keepdim=True))"
    learner(attention=solution("attention").replace(body, "return torch.softmax(scores, dim)"))
    check("attention.softmax")
    assert "calls the library's own softmax" in shown[0]["text/plain"]


def test_markup_in_a_learners_error_is_escaped(learner, shown, solution):
    bad = solution("heads").replace(
        "batch, num_heads, num_tokens, head_dim = x.shape",
        "raise ValueError('<script>x</script>')",
        1,
    )
    learner(heads=bad)
    with pytest.raises(CheckFailed):
        check("heads.merge_heads")
    assert "<script>" not in shown[0]["text/html"]
    assert "&lt;script&gt;" in shown[0]["text/html"]


def test_needs_says_what_to_finish_first(learner, solution):
    learner(solved=False, attention=solution("attention"))
    needs("attention.softmax")
    with pytest.raises(
        CheckFailed, match=r"finish heads\.split_heads \(not written yet\), heads\.merge_heads"
    ):
        needs("attention.softmax", "heads.split_heads", "heads.merge_heads")


def test_progress_shows_every_exercise_and_the_sum(learner, shown, solution):
    learner(solved=False, attention=solution("attention"))
    progress()
    total = sum(exercise.points for exercise in EXERCISES.values())
    done = [e for e in EXERCISES.values() if e.module == "attention"]
    assert f"{sum(e.points for e in done)} of {total} points" in shown[0]["text/html"]
    assert shown[0]["text/plain"].count("not written yet") == len(EXERCISES) - len(done)


def test_check_outside_of_a_course_folder_says_where_to_look(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AutogradeError, match="There is no mha_lib folder"):
        check("heads.split_heads")


def test_an_unknown_exercise_lists_near_names(learner):
    learner()
    with pytest.raises(AutogradeError, match=r"heads\.split_heads"):
        check("heads.split_head")


@pytest.fixture
def shell(monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # IPython has its own
    shell = InteractiveShell()
    yield shell
    shell.reset(new_session=False)


def test_the_extension_finds_the_library_and_reloads_it(learner, shell, solution, monkeypatch):
    monkeypatch.setattr("sys.meta_path", [*sys.meta_path])
    library = learner()
    assert not shell.run_line_magic("load_ext", "autograde")
    done = shell.run_cell("from mha_lib import heads; heads.__file__")
    assert done.result == str(library / "heads.py")
    (library / "heads.py").write_text(solution("heads") + "\nADDED = 1\n")
    assert shell.run_cell("heads.ADDED").result == 1


def test_the_extension_names_a_file_that_hides_pytorch(learner, shell, monkeypatch):
    library = learner()
    (library.parent / "01_one_lookup" / "torch.py").write_text("")
    with pytest.raises(AutogradeError, match=r"torch\.py lies beside this notebook"):
        autograde.load_ipython_extension(shell)
