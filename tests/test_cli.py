"""The command line as a person uses it: clear results, one sentence for every bad input."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autograde.exercises import EXERCISES

ROOT = Path(__file__).resolve().parents[1]
ENV = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}


def autograde(*arguments, cwd=ROOT):
    command = [sys.executable, "-c", "from autograde.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=ENV)


def test_check_passes_the_solution_and_says_so(make_submission):
    done = autograde("check", "--lib", make_submission() / "mha_lib")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("✓ passed") == len(EXERCISES)


def test_check_finds_the_library_from_a_notebook_folder(make_submission):
    folder = make_submission(solved=False)
    (folder / "01_one_lookup").mkdir()
    done = autograde("check", "heads.split_heads", cwd=folder / "01_one_lookup")
    assert done.returncode == 1
    assert "heads.split_heads is not written yet" in done.stdout


def test_grade_writes_the_promised_json(make_submission, solution, tmp_path):
    wrong = solution("attention").replace("/ q.shape[-1] ** 0.5", "")
    right, mistaken = make_submission(), make_submission(attention=wrong)
    target = tmp_path / "grades.json"
    done = autograde("grade", right, mistaken, "--assignment", "01_one_lookup", "--json", target)
    assert done.returncode == 0, done.stderr
    listing = json.loads(target.read_text())
    assert [entry["submission"] for entry in listing] == [str(right), str(mistaken)]
    for entry in listing:
        assert list(entry["exercises"]) == [n for n in EXERCISES if n.startswith("attention.")]
        for result in entry["exercises"].values():
            fields = {"score", "max_score", "status", "misconception", "message"}
            assert set(result) == fields
    attention = listing[1]["exercises"]["attention.scaled_dot_product_attention"]
    assert attention["score"] == 0.0 and attention["max_score"] == 4.0
    assert attention["status"] == "failed"
    assert attention["misconception"] == "attention_not_scaled"


def test_grade_json_to_stdout_is_only_json(make_submission):
    done = autograde("grade", make_submission(), "--json", "-", "--workers", 1)
    assert len(json.loads(done.stdout)[0]["exercises"]) == len(EXERCISES)


def test_a_table_breaks_no_name_in_a_terminal_of_80_columns(make_submission, monkeypatch):
    monkeypatch.setitem(ENV, "COLUMNS", "80")
    done = autograde("check", "--lib", make_submission(solved=False) / "mha_lib")
    assert {*EXERCISES} <= {*re.findall(r"[a-z]+\.\w+", done.stdout)}


def test_what_is_not_written_is_listed_in_one_sentence(make_submission):
    done = autograde("grade", make_submission(solved=False))
    assert done.stdout.count("Not written yet:") == 1 and "NotImplementedError" not in done.stdout
    assert done.stdout.count("heads.split_heads") == 1


def test_hints_unfold_one_after_another():
    first, all_of_them = (autograde("hint", "heads.split_heads", *n) for n in ((), ("--steps", 9)))
    assert "Hint 1 of 3: The idea" in first.stdout and "Hint 2" not in first.stdout
    assert "autograde hint heads.split_heads --steps 2" in first.stdout
    assert "Hint 3 of 3: Almost code" in all_of_them.stdout and "--steps" not in all_of_them.stdout


def test_build_check_passes_on_what_is_committed():
    done = autograde("build", "--check")
    assert done.returncode == 0, done.stdout


BAD = {
    "unknown exercise": (["check", "heads.nope"], "There is no exercise 'heads.nope'"),
    "unknown hint": (["hint", "heads.nope"], "There is no exercise 'heads.nope'"),
    "no library": (["check", "--lib", "/nowhere"], "There is no folder"),
    "no submission": (["grade", "/nowhere"], "There is no submission folder /nowhere"),
    "sandbox and GPU": (["grade", ".", "--device", "cuda"], "needs --no-sandbox"),
    "unknown assignment": (["grade", ".", "--assignment", "99"], "There is no assignment '99'"),
    "unwritable json": (
        ["grade", ".", "--json", "/nowhere/x.json"],
        "Cannot write /nowhere/x.json",
    ),
    "course exists": (["course", "."], "."),
    "unwritable course": (["course", "/proc/course"], "/proc/course"),
    "unwritable exchange": (["course", "TMP", "--exchange", "/proc/exchange"], "/proc/exchange"),
    "unknown assignment to pack": (["pack", "99"], "'99'"),
    "no scheduler": (["grade", ".", "--scheduler", "tcp://127.0.0.1:1"], "Dask"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence(case, tmp_path):
    arguments, words = BAD[case]
    done = autograde(*[str(tmp_path / "course") if a == "TMP" else a for a in arguments])
    assert done.returncode not in (0, 1), done.stdout
    assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not (tmp_path / "course").exists()


def test_help_is_quick_because_it_imports_no_torch():
    code = "import sys; sys.argv = ['autograde', '--help']; from autograde.cli import main\n"
    code += "try: main()\nfinally: assert 'torch' not in sys.modules, 'torch was imported'"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("check", "hint", "grade", "doctor", "build", "course", "pack"):
        assert command in done.stdout
