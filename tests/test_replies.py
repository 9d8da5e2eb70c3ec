"""What a hostile runner may answer: to the grader it is a value or no result, and it goes on."""

import os
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autograde.exercises import EXERCISES
from autograde.exercises.entry import record
from autograde.grading import grade_submission
from autograde.judge import judge
from autograde.limits import Limits
from autograde.loading import read_package
from autograde.nbgrader.archives import unpack as unpack_archive
from autograde.session import read_reply
from autograde.values import BadMessage, pack, unpack

SOFTMAX = "attention.softmax"
HIDDEN = [record(exercise, 5) for exercise in EXERCISES.values()]

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["\x1b[2J", "\ud800", "</pre><script>", "9" * 5000]),
    st.sampled_from(
        [
            torch.full((2, 5, 7), float("nan")),
            torch.zeros(0, 3),
            torch.tensor(1 + 2j),
            torch.ones(3, dtype=torch.bfloat16),
            torch.ones((1,) * 40),
            torch.tensor([2**63 - 1]),
        ]
    ),
)
answers = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(exercise=st.sampled_from(HIDDEN), value=answers)
def test_any_answer_gets_a_grade(exercise, value):
    """A reply with any value is judged, and is no right answer: the message can be shown."""
    try:
        message = unpack_message(pack({"value": value, "changed": []}))
    except BadMessage:
        return
    result = judge(exercise, lambda case: read_reply(message))
    assert result.score < result.max_score
    assert result.message.encode() and "\x1b" not in result.message
    assert len(result.message) <= 8_000


def unpack_message(message: bytes):
    size = int.from_bytes(message[:4], "little")
    return unpack(message[8 : 8 + size], message[8 + size :])


@settings(max_examples=200, deadline=None)
@given(tree=st.binary(max_size=60), blob=st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_bad_message(tree, blob):
    for text in (tree, b'{"$tensor": "0"}', b"[" * 100_000, b"9" * 5_000):
        with pytest.raises(BadMessage):
            unpack(text, blob)
            raise BadMessage  # a value is fine too


def forging(solution, body: str) -> str:
    """The solved module with a softmax that can write to every descriptor before it answers."""
    return solution("attention").replace(
        "    exps = torch.exp(scores",
        "    import json, os\n"
        "    def say(message):\n"
        "        tree = json.dumps(message).encode()\n"
        "        blob = (2).to_bytes(8, 'little') + b'{}'\n"
        "        data = len(tree).to_bytes(4, 'little') + len(blob).to_bytes(4, 'little')\n"
        "        for fd in range(3, 64):\n"
        "            try: os.write(fd, data + tree + blob)\n"
        "            except OSError: pass\n"
        f"    {body}\n"
        "    exps = torch.exp(scores",
    )


def ask(name: str) -> str:
    question = {"ask": name, "args": [[]], "kwargs": {"$dict": {}}}
    return f"say({{'$dict': {question!r}}})"


def test_a_forged_question_about_the_function_being_graded_gets_no_answer(
    make_submission, solution
):
    """Only functions that failed their own exercise are answered for, and never before it ended."""
    folder = make_submission(attention=forging(solution, ask(SOFTMAX)))
    result = grade_submission(folder, exercises=[SOFTMAX])[SOFTMAX]
    assert (result.status, result.score) == ("error", 0)
    assert "what came back is no result" in result.message


def test_forged_replies_earn_nothing_and_cost_others_nothing(make_submission, solution):
    body = "say({'$dict': {'value': 1.0, 'changed': []}})\n    os._exit(0)"
    results = grade_submission(make_submission(attention=forging(solution, body)))
    assert results[SOFTMAX].score == 0
    assert results["heads.split_heads"].passed


def test_time_for_the_whole_submission_is_bounded(make_submission, solution):
    """Every call sleeps below its own bound; the sum is bounded too."""
    slow = solution("attention").replace(
        "    exps = torch.exp(scores", "    import time; time.sleep(1)\n    exps = torch.exp(scores"
    )
    names = [SOFTMAX, "attention.scaled_dot_product_attention"]
    limits = Limits(total_seconds=3.0)
    results = grade_submission(make_submission(attention=slow), exercises=names, limits=limits)
    assert results[names[1]].status == "timeout"
    assert "as a whole may take 3 s" in results[names[1]].message


def test_the_reference_is_not_asked_for_huge_answers(make_submission, solution):
    """A question of 1,500 numbers would have an answer of 2,250,000."""
    question = "long = torch.zeros(1_500, 1)\n    scaled_dot_product_attention(long, long, long)\n"
    greedy = solution("heads").replace(
        "    head_out, weights = scaled_dot", f"    {question}    head_out, weights = scaled_dot"
    )
    assert greedy != solution("heads")
    wrong = solution("attention").replace("/ q.shape[-1] ** 0.5", "")
    name = "heads.multi_head_attention"
    folder = make_submission(attention=wrong, heads=greedy)
    message = grade_submission(folder, exercises=[name])[name].message
    assert "the arguments are larger than any that this course uses" in message


def test_a_crowd_of_files_beside_the_module_changes_nothing(make_submission):
    folder = make_submission()
    for number in range(3_000):
        (folder / f"mha_lib/{number}.py").touch()
    assert grade_submission(folder, exercises=[SOFTMAX])[SOFTMAX].passed


def test_a_tower_in_the_source_costs_its_module_only(make_submission, solution):
    """Deeper than the parser goes, in a function that is right and calls a library's own."""
    tower = "\n\ndef unused():\n    return " + "-" * 3_000 + "1\n"
    folder = make_submission(heads=solution("heads") + tower)
    results = grade_submission(folder, exercises=[SOFTMAX, "heads.split_heads"])
    assert results[SOFTMAX].passed
    assert results["heads.split_heads"].status in ("error", "passed")


def test_patching_what_notices_an_edit_in_place_gains_nothing(make_submission, solution):
    careless = solution("attention").replace(
        "    exps = torch.exp(scores - scores.amax(dim=dim, keepdim=True))\n",
        "    torch.equal, torch.Tensor.clone = (lambda *_: True), (lambda one: one)\n"
        "    exps = scores.sub_(scores.amax(dim=dim, keepdim=True)).exp_()\n",
    )
    folder = make_submission(attention=careless)
    result = grade_submission(folder, exercises=[SOFTMAX])[SOFTMAX]
    assert 0 < result.score < result.max_score
    assert "in place" in result.message


# --- files --------------------------------------------------------------------------------------


def test_only_plain_small_files_are_read(tmp_path):
    library = tmp_path / "mha_lib"
    (library / "inner").mkdir(parents=True)
    (library / "heads.py").write_text("x = 1\n")
    (library / "inner/more.py").write_bytes(b"\xff\x00")
    (library / "big.py").write_bytes(b"#" * 200_001)
    (tmp_path / "secret.py").write_text("secret")
    (library / "link.py").symlink_to(tmp_path / "secret.py")
    (library / "folder").symlink_to(tmp_path)
    os.mkfifo(library / "pipe.py")
    (library / "folder.py").mkdir()
    deep = library
    for _ in range(50):
        deep = deep / "d"
        deep.mkdir()
    (deep / "deep.py").write_text("")
    assert read_package(library) == {"heads.py": b"x = 1\n", "inner/more.py": b"\xff\x00"}
    (tmp_path / "other").symlink_to(library)
    assert read_package(tmp_path / "other") == {}


ARCHIVES = {
    "leads out": ({"../../evil.py": b""}, "leads out of the archive"),
    "absolute": ({"/etc/evil.py": b""}, "leads out of the archive"),
    "line break": ({"mha_lib/a\nb.py": b""}, "has the name"),
    "many": ({f"{number}.py": b"" for number in range(1_001)}, "more than 1000 files"),
    "bomb": ({"bomb.ipynb": b"0" * 60_000_000}, "more than 40 MB"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_hostile_archives_are_refused(kind, tmp_path):
    members, words = ARCHIVES[kind]
    archive = tmp_path / "work.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    target = tmp_path / "inside"
    target.mkdir()
    with pytest.raises(ValueError, match=words):
        unpack_archive(archive, target)
    assert {path.name for path in tmp_path.iterdir()} == {"work.zip", "inside"}


def test_a_link_in_an_archive_becomes_a_plain_file(tmp_path):
    archive = tmp_path / "work.zip"
    with zipfile.ZipFile(archive, "w") as file:
        link = zipfile.ZipInfo("mha_lib/heads.py")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    unpack_archive(archive, tmp_path)
    unpacked = tmp_path / "mha_lib/heads.py"
    assert not unpacked.is_symlink() and unpacked.read_text() == "/etc/passwd"
