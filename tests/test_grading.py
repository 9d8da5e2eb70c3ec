"""Grading through the real runner process: right, wrong, broken and unruly submissions."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from autograde.calls import invoke
from autograde.errors import AutogradeError
from autograde.exercises import EXERCISES
from autograde.grading import grade_submission
from autograde.limits import Limits

SPLIT = "heads.split_heads"
QUICK = Limits(call_seconds=2.0, load_seconds=3.0)


def scores(results):
    return {name: result.score for name, result in results.items()}


FULL = {name: exercise.points for name, exercise in EXERCISES.items()}


def test_the_solved_library_gets_full_marks(make_submission):
    results = grade_submission(make_submission())
    assert scores(results) == FULL
    assert all(result.passed for result in results.values())


def test_untouched_stubs_get_nothing_and_a_kind_word(make_submission):
    results = grade_submission(make_submission(solved=False))
    assert set(scores(results).values()) == {0}
    for name, result in results.items():
        assert result.status == "missing"
        assert result.message == f"{name} is not written yet: it still raises NotImplementedError."


def test_a_known_mistake_is_named(make_submission, solution):
    wrong = solution("heads").replace(
        "x = x.reshape(batch, num_tokens, num_heads, width // num_heads)  # (B, T, h, d)\n"
        "    return x.transpose(1, 2)  # (B, h, T, d)",
        "return x.reshape(batch, num_heads, num_tokens, width // num_heads)",
    )
    result = grade_submission(make_submission(heads=wrong), exercises=[SPLIT])[SPLIT]
    assert (result.status, result.score) == ("failed", 0)
    assert result.misconception == "split_by_view_alone"
    assert EXERCISES[SPLIT].misconceptions[0].hint in result.message


def test_one_mistake_is_not_punished_twice(make_submission, solution):
    """A wrong split_heads costs its own points; multi_head_attention is graded on its own."""
    wrong = solution("heads").replace("return x.transpose(1, 2)  # (B, h, T, d)", "return x")
    results = grade_submission(make_submission(heads=wrong))
    assert results[SPLIT].misconception == "split_without_transpose"
    assert scores(results) == {**FULL, SPLIT: 0}


def test_the_message_says_when_the_reference_answered(make_submission, solution):
    wrong = (
        solution("heads")
        .replace("return x.transpose(1, 2)  # (B, h, T, d)", "return x")
        .replace(
            "return merge_heads(head_out) @ w_o, weights", "return merge_heads(head_out), weights"
        )
    )
    result = grade_submission(make_submission(heads=wrong))["heads.multi_head_attention"]
    assert result.misconception == "mha_without_w_o"
    assert "The reference answered for heads.split_heads, which did not pass." in result.message


def test_a_syntax_error_costs_its_module_only(make_submission, solution):
    broken = solution("attention") + "\ndef oops(:\n"
    results = grade_submission(make_submission(attention=broken))
    for name, result in results.items():
        if name.startswith("attention."):
            assert (result.status, result.score) == ("error", 0)
            assert "mha_lib/attention.py could not be loaded" in result.message
            assert "def oops(:" in result.message
        else:
            assert result.passed, result.message


def test_a_missing_module_costs_its_exercises_only(make_submission):
    results = grade_submission(make_submission(attention=None))
    assert results["attention.softmax"].status == "missing"
    assert results["attention.softmax"].message == "The file mha_lib/attention.py is missing."
    assert all(r.passed for name, r in results.items() if not name.startswith("attention."))


def test_a_missing_library_is_said_so(tmp_path):
    results = grade_submission(tmp_path)
    assert {r.status for r in results.values()} == {"missing"}


def test_an_error_keeps_its_traceback_cut_to_the_learners_file(make_submission, solution):
    wrong = solution("heads").replace(
        "batch, num_heads, num_tokens, head_dim = x.shape", "raise KeyError('lost')", 1
    )
    result = grade_submission(make_submission(heads=wrong), exercises=["heads.merge_heads"])
    message = result["heads.merge_heads"].message
    assert result["heads.merge_heads"].status == "error"
    assert 'File "mha_lib/heads.py"' in message and "KeyError: 'lost'" in message
    assert "runner.py" not in message and "calls.py" not in message


UNRULY = {
    "hangs": ("while True: pass", "timeout", "did not finish within 2 s"),
    "exits": ("import os; os._exit(3)", "error", "ended itself (exit code 3)"),
    "leaves": ("raise SystemExit", "error", "SystemExit"),
    "dies": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "error", "SIGKILL"),
    "hoards": ("torch.ones(10**10)", "error", "memory"),
    "recurses": ("return merge_heads(x)", "error", "RecursionError"),
    "floods": (
        "import sys\n    for _ in range(10**5): print('x' * 1000)",
        "failed",
        "returned None",
    ),
    "returns too much": ("return 'x' * 100_000_000", "error", "too large"),
}


@pytest.mark.parametrize("kind", UNRULY)
def test_what_breaks_a_bound_loses_that_exercise_only(make_submission, solution, kind):
    body, status, words = UNRULY[kind]
    unruly = solution("heads").replace(
        "batch, num_heads, num_tokens, head_dim = x.shape", f"import torch\n    {body}", 1
    )
    if kind == "floods":
        unruly = unruly.replace(
            "    return x.transpose(1, 2).reshape(batch,", "    return None\n    ("
        )
    limits = QUICK if kind == "hangs" else Limits()
    results = grade_submission(make_submission(heads=unruly), limits=limits)
    merge = results["heads.merge_heads"]
    assert (merge.status, merge.score) == (status, 0), merge.message
    assert words in merge.message
    assert scores(results) == {**FULL, "heads.merge_heads": 0}


def test_a_fork_does_not_answer_in_its_parents_name(make_submission, solution):
    forking = solution("heads").replace(
        "batch, num_heads, num_tokens, head_dim = x.shape",
        "import contextlib, os\n"
        "    with contextlib.suppress(OSError):\n"
        "        os.fork()\n"
        "    batch, num_heads, num_tokens, head_dim = x.shape",
        1,
    )
    assert scores(grade_submission(make_submission(heads=forking), limits=QUICK)) == FULL


def test_a_module_that_hangs_on_import_costs_its_exercises_only(make_submission, solution):
    slow = solution("single") + "\nwhile True: pass\n"
    started = time.monotonic()
    results = grade_submission(make_submission(single=slow), limits=QUICK)
    assert time.monotonic() - started < 60
    assert results["single.independent_heads"].status == "timeout"
    assert all(r.passed for name, r in results.items() if not name.startswith("single."))


def test_a_submission_that_keeps_dying_does_not_keep_the_grader(make_submission, solution):
    """It loads, and ends its process as soon as the reference is to stand in for a function."""
    wrong = solution("attention").replace("exps / exps.sum(dim=dim, keepdim=True)", "exps", 1)
    trap = (
        "\nimport os, sys, types\n"
        "class Trap(types.ModuleType):\n"
        "    def __setattr__(self, name, value):\n"
        "        os._exit(5)\n"
        "sys.modules[__name__].__class__ = Trap\n"
    )
    results = grade_submission(make_submission(attention=wrong + trap), limits=QUICK)
    assert results["attention.softmax"].misconception == "softmax_not_normalised"
    others = [r for name, r in results.items() if name != "attention.softmax"]
    assert {(r.status, r.score) for r in others} == {("error", 0)}
    assert all("ended itself (exit code 5)" in r.message for r in others)


def test_a_torch_py_beside_the_notebook_changes_nothing(make_submission):
    submission = make_submission()
    (submission / "torch.py").write_text("raise RuntimeError('not PyTorch')")
    assert scores(grade_submission(submission)) == FULL


def test_memorised_visible_answers_fail(make_submission, solution):
    """Answering the recorded cases from a table does not answer the hidden ones."""
    cheat = solution("attention").replace(
        "    exps = torch.exp(scores - scores.amax(dim=dim, keepdim=True))\n",
        "    from autograde.records import visible\n"
        "    for case in visible()['attention.softmax'].cases:\n"
        "        if case.args['scores'].equal(scores):\n"
        "            return case.expected\n"
        "    return scores\n",
    )
    result = grade_submission(make_submission(attention=cheat), exercises=["attention.softmax"])
    assert result["attention.softmax"].score == 0


def test_calling_the_library_is_remarked_on_and_not_punished(make_submission, solution):
    lazy = solution("attention").replace(
        "    exps = torch.exp(scores - scores.amax(dim=dim, keepdim=True))\n"
        "    return exps / exps.sum(dim=dim, keepdim=True)",
        "    return torch.softmax(scores, dim)",
    )
    result = grade_submission(make_submission(attention=lazy), exercises=["attention.softmax"])
    assert result["attention.softmax"].passed
    assert "calls the library's own softmax" in result["attention.softmax"].message


def test_the_same_seed_gives_the_same_message(make_submission, solution):
    wrong = solution("attention").replace("/ q.shape[-1] ** 0.5", "")
    folder = make_submission(attention=wrong)
    name = "attention.scaled_dot_product_attention"
    one, other = (grade_submission(folder, exercises=[name], seed=7) for _ in range(2))
    assert one == other
    assert one[name].misconception == "attention_not_scaled"


def test_an_unknown_exercise_is_refused(make_submission):
    with pytest.raises(AutogradeError, match=r"no exercise 'heads\.nope'"):
        grade_submission(make_submission(), exercises=["heads.nope"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_nothing_survives_a_grader_that_is_killed(make_submission, solution):
    """kill -9 at the worst moment: in the middle of a submission that never ends."""
    hanging = solution("attention").replace(
        "    exps = torch.exp(scores", "    while True: pass\n    exps = torch.exp(scores"
    )
    folder = make_submission(attention=hanging)
    code = f"from autograde.grading import *; grade_submission(Path({str(folder)!r}))"
    grader = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: _busy_runner(grader.pid))
    family = descendants(grader.pid)
    grader.kill()
    grader.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))


def _busy_runner(grader: int) -> bool:
    """Whether a fork of a warm process below `grader` has worked for a while."""
    parents, family = _parents(), descendants(grader)
    runners = [pid for pid in family if _is_python(pid) and _is_python(parents.get(pid, 0))]
    return any(_ticks(pid) > 20 for pid in runners if parents[pid] != grader)


def _is_python(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().startswith("python")
    return False


def _ticks(pid: int) -> int:
    """Processor time in hundredths of a second."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().split()[13])
    return 0


def descendants(pid: int) -> set[int]:
    parents, found = _parents(), {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def _parents() -> dict[int, int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
    return parents


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_weight_changed_inside_a_list_of_dicts_is_noticed():
    """Arguments are copied and compared to the bottom: a case serves many calls."""
    args = {"x": torch.ones(2), "layers": [{"w": torch.ones(3)}]}

    def careless(x, layers):
        layers[0]["w"] += 1
        return x

    assert invoke(careless, args, Path("/")).changed == ("layers",)
    assert args["layers"][0]["w"].equal(torch.ones(3))
