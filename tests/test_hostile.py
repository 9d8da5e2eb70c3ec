"""Hostile submissions gain nothing, in every mode of the sandbox that this machine offers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_stage import Attack, Stage, can, delete, read_corpus

from autograde import sandbox
from autograde.grading import grade_submission
from autograde.limits import Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the attacks are Linux's")

ATTACKS = read_corpus()
LIMITS = Limits(call_seconds=10.0, load_seconds=10.0, cpu_seconds=20, memory_bytes=2**30)
IMPATIENT = Limits(call_seconds=1.5, load_seconds=2.0, cpu_seconds=8, memory_bytes=2**30)
HONEST = Attack("honest", "Nothing.", "inert", deserves={"attention.softmax": 2.0})


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with Stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture(scope="module")
def honest(stage):
    return stage.submission()


def grade(submission: Path, attack: Attack, mode: str):
    limits = IMPATIENT if attack.slow else LIMITS
    return grade_submission(submission, exercises=attack.exercises, limits=limits, sandbox=mode)


def unearned(attack: Attack, results) -> list[str]:
    """Points above what the honest part deserves."""
    return [
        f"{name}: {result.score} points"
        for name, result in results.items()
        if result.score > attack.deserves.get(name, 0.0)
    ]


def loot(stage: Stage, results) -> list[str]:
    """What an attack brought home in its feedback."""
    told = [result.message for result in results.values()]
    return [text for text in told if "GOT" in text or stage.secret in text]


@pytest.mark.parametrize("mode", sandbox.available())
@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_an_attack_gains_nothing(stage, honest, attack, mode):
    submission, damage = stage.submission(attack), ["not graded"]
    try:
        with stage.watched(submission) as damage:
            results = grade(submission, attack, mode)
        next_one = grade_submission(
            honest, exercises=["attention.softmax"], limits=LIMITS, sandbox=mode
        )
        assert next_one["attention.softmax"].passed, next_one
        assert not unearned(attack, results)
        assert not loot(stage, results)
        assert not damage
        if attack.proof == "says":
            told = "\n".join(result.message for result in results.values())
            assert any(words in told for words in attack.says.split("|")), told
        if attack.deserves:
            assert {n: r.score for n, r in results.items() if r.score} == attack.deserves
    finally:
        delete(submission)
        if damage:
            stage.clean_up()


@pytest.mark.parametrize(
    "attack",
    [attack for attack in ATTACKS if attack.proof in ("off", "inert")],
    ids=lambda attack: attack.name,
)
def test_an_attack_has_a_target(stage, attack):
    """With the sandbox off it reaches what it is after, unless it says that there is nothing."""
    if not can(attack.needs):
        pytest.skip(f"inert for this user, who has no {attack.needs}")
    submission = stage.submission(attack)
    try:
        with stage.watched(submission) as damage:
            try:
                results = grade(submission, attack, sandbox.OFF)
            except Exception as error:  # the grader itself was hit
                results, damage = {}, [f"{type(error).__name__}: {error}"]
        effects = [*unearned(attack, results), *loot(stage, results), *damage]
        if attack.proof == "inert":
            assert attack.why and not effects
        else:
            told = [result.message for result in results.values()]
            assert effects, told
    finally:
        delete(submission)
        stage.clean_up()


def test_python_tricks_work_where_there_is_no_split(stage):
    """One process that runs and judges is fooled by them: the split is what keeps them off."""
    attacks = {str(stage.submission(a)): a for a in ATTACKS if a.proof == "check"}
    script = Path(__file__).parent / "hostile_stage.py"
    done = subprocess.run(
        [sys.executable, str(script), *attacks],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    points = json.loads(done.stdout)
    assert [attacks[folder].name for folder, got in points.items() if not got] == []


@pytest.mark.parametrize("mode", sandbox.available())
def test_the_command_grades_a_class_of_attackers(stage, tmp_path, mode):
    """Attacks through `autograde grade`, shared out among the modes, and an honest submission."""
    share, modes = sandbox.available().index(mode), len(sandbox.available())
    attacks = [attack for attack in ATTACKS if not attack.slow][share::modes]
    folders = [stage.submission(attack) for attack in attacks]
    last, target = stage.submission(), tmp_path / "grades.json"
    code = "from autograde.cli import main; main()"
    words = ["grade", *folders, last, "--assignment", "01_one_lookup", "--json", target]
    words += ["--sandbox", mode]
    with stage.watched(stage.precious) as damage:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            capture_output=True,
            text=True,
            env={**os.environ, "TOKEN": stage.secret},
        )
    assert done.returncode == 0, done.stderr
    printed = done.stdout + done.stderr + target.read_text()
    assert stage.secret not in printed and "GOT" not in printed and "\x1b[2J" not in printed
    assert not damage
    *graded, honest = [entry["exercises"] for entry in json.loads(target.read_text())]
    assert all(result["status"] == "passed" for result in honest.values())
    for attack, exercises in zip(attacks, graded, strict=True):
        for name in set(attack.exercises) & set(exercises):
            assert exercises[name]["score"] <= attack.deserves.get(name, 0.0), attack.name


def test_the_corpus_is_as_large_as_it_should_be():
    assert len(ATTACKS) >= 60
    assert all(len(attack.tries) > 20 and attack.proof in PROOFS for attack in ATTACKS)
    assert len({attack.tries for attack in ATTACKS}) == len(ATTACKS)


PROOFS = ("off", "check", "says", "inert")
