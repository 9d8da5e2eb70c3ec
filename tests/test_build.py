"""One source: what learners get is what the build makes, and it holds no solution."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from autograde.build.files import built_files, drift, lessons, stub, write_built
from autograde.build.hints import written_hints
from autograde.build.lessons import notebook_from_lesson
from autograde.build.strip import solution_lines, strip_solutions
from autograde.errors import AutogradeError
from autograde.exercises import EXERCISES
from autograde.source import function_source

ROOT = Path(__file__).resolve().parents[1]


def secrets() -> set[str]:
    """Lines that only a solution holds (a trivial line may stand anywhere)."""
    sources = [*(ROOT / "solutions").glob("*.py"), *(ROOT / "solutions/lessons").glob("*.py")]
    lines = {
        line.strip().removeprefix("# ") for s in sources for line in solution_lines(s.read_text())
    }
    return {
        line
        for line in lines
        if len(line) > 25 and not line.startswith("raise ValueError") and not line.endswith(":")
    }


def test_committed_files_are_what_the_build_makes():
    assert list(drift()) == []


def test_a_changed_file_is_noticed_and_mended(tmp_path):
    written = write_built(tmp_path)
    assert "mha_lib/heads.py" in written and drift(tmp_path) == {}
    (tmp_path / "mha_lib/heads.py").write_text("edited")
    notebook = tmp_path / "notebooks/01_one_lookup.ipynb"
    notebook.write_text(notebook.read_text().replace("softmax", "softmin"))
    recorded = tmp_path / "autograde/recorded/heads.safetensors"
    data = bytearray(recorded.read_bytes())
    data[-1] ^= 1
    recorded.write_bytes(data)
    changed = {
        "mha_lib/heads.py",
        "notebooks/01_one_lookup.ipynb",
        "autograde/recorded/heads.safetensors",
    }
    assert set(drift(tmp_path)) == changed
    assert set(write_built(tmp_path)) == changed


def test_no_built_file_holds_a_line_of_a_solution():
    forbidden = secrets()
    assert len(forbidden) > 20
    for path, content in built_files().items():
        text = content if isinstance(content, str) else content.decode("latin-1")
        leaked = [line for line in forbidden if line in text]
        assert not leaked, f"{path}: {leaked}"
        assert "BEGIN SOLUTION" not in text


@pytest.mark.parametrize("name", EXERCISES)
def test_a_stub_keeps_signature_and_docstring(name):
    module, function = name.split(".")
    shown = function_source(ROOT / "tests" / "..", name)
    written = "\n".join(line.text for line in shown.lines)
    text = (ROOT / "solutions" / f"{module}.py").read_text()
    head = text[
        text.index(f"def {function}(") : text.index('"""', text.index(f"def {function}(")) + 3
    ]
    assert head in stub(module)
    assert head in written
    assert written.rstrip().endswith("raise NotImplementedError")


def test_strip_replaces_regions_with_their_indentation():
    text = "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\nx = 2"
    assert strip_solutions(text, "pass") == "def f():\n    pass\nx = 2"


@pytest.mark.parametrize(
    "text",
    [
        "### BEGIN SOLUTION\nx",
        "x\n### END SOLUTION",
        "### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION",
        "#BEGIN SOLUTION\nx\n#END SOLUTION",
        "y = 1  ### BEGIN SOLUTION\nx\n### END SOLUTION",
    ],
)
def test_strip_refuses_what_could_leak(text):
    with pytest.raises(AutogradeError):
        strip_solutions(text, "pass")


@pytest.mark.parametrize("lesson", lessons(), ids=lambda path: path.stem)
class TestLessons:
    def test_every_graded_cell_is_complete(self, lesson):
        notebook = notebook_from_lesson(lesson)
        for cell in notebook.cells:
            assert not cell.get("outputs") and not cell.get("execution_count")
            if "nbgrader" in cell.metadata:
                meta = cell.metadata.nbgrader
                assert meta.schema_version == 3 and meta.locked is not meta.solution
                if meta.grade and cell.cell_type == "code":
                    assert meta.points == EXERCISES[meta.grade_id.replace("-", ".")].points

    def test_ids_are_unique_and_a_rebuild_changes_nothing(self, lesson):
        one, other = (nbformat.writes(notebook_from_lesson(lesson)) for _ in range(2))
        assert one == other
        ids = [cell.id for cell in notebook_from_lesson(lesson).cells]
        assert len(ids) == len(set(ids))

    def test_the_answer_key_keeps_model_answers(self, lesson):
        answers = [
            c for c in notebook_from_lesson(lesson, solved=True).cells if "SOLUTION" in c.source
        ]
        written = [
            c
            for c in notebook_from_lesson(lesson).cells
            if c.metadata.get("nbgrader", {}).get("solution")
        ]
        assert len(answers) == len(written)

    def test_headings_are_in_order(self, lesson):
        level = 0
        for cell in notebook_from_lesson(lesson).cells:
            if cell.cell_type == "markdown":
                for line in cell.source.splitlines():
                    if line.startswith("#"):
                        depth = len(line) - len(line.lstrip("#"))
                        assert depth <= level + 1, f"{line} skips a level"
                        level = depth
        assert level


def test_every_exercise_is_in_exactly_one_notebook():
    asked = [
        cell.metadata.nbgrader.grade_id.replace("-", ".")
        for lesson in lessons()
        for cell in notebook_from_lesson(lesson).cells
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade")
    ]
    assert sorted(asked) == sorted(EXERCISES)


def test_the_concept_map_has_every_notebook_exercise_and_mistake():
    text = built_files()["docs/concept_map.md"]
    assert text.count("\n## ") == len(lessons())
    for name, exercise in EXERCISES.items():
        assert f"### `{name}`" in text
        assert all(mistake.says in text for mistake in exercise.misconceptions)


def test_a_graded_cell_without_an_exercise_is_refused(tmp_path):
    lesson = tmp_path / "99_wrong.py"
    lesson.write_text(
        '# %% nbgrader={"grade": true, "grade_id": "heads-nope"}\ncheck("heads.nope")\n'
    )
    with pytest.raises(AutogradeError, match="heads-nope"):
        notebook_from_lesson(lesson)


def test_the_wheel_holds_no_solution(tmp_path):
    """What `pip install` gives a learner: no reference, no right or wrong versions."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", tmp_path, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    forbidden = secrets()
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        for name in names:
            text = wheel.read(name).decode("latin-1")
            assert not [line for line in forbidden if line in text], name
    folders = {name.split("/")[0] for name in names}
    assert not folders & {"solutions", "mha_lib", "tests"}
    assert not [n for n in names if n.startswith(("autograde/exercises/", "autograde/build/"))]
    data = {"autograde/recorded/heads.json", "attention_lab/model_cards.json"}
    assert data | {"attention_lab/widgets/explorer.js"} <= set(names)
    for name in ("nbgrader_config.json", "jupyter_server_config.d/autograde.json"):
        assert any(n.endswith(f"etc/jupyter/{name}") for n in names)


def test_a_learners_installation_checks_and_says_what_it_cannot_do(tmp_path, make_submission):
    """The files of the wheel alone, as `pip install` would lay them out."""
    for package in ("autograde", "attention_lab"):
        left_out = shutil.ignore_patterns("exercises", "build", "__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=left_out)
    learner = make_submission()

    def run(*words):
        code = (
            "import sys\n"
            f"sys.path = [{str(tmp_path)!r}] + [p for p in sys.path if p != {str(ROOT)!r}]\n"
            "import autograde.nbgrader.exchange\n"
            "from autograde.cli import main; main()"
        )
        command = [sys.executable, "-c", code, *map(str, words)]
        return subprocess.run(command, cwd=learner, capture_output=True, text=True)

    assert run("check").returncode == 0
    assert run("check", "heads.nope").returncode == 2
    for command in (["grade", "."], ["build"], ["course", tmp_path / "course"]):
        done = run(*command)
        assert done.returncode == 2 and "only in the course's repository" in done.stderr.replace(
            "\n", " "
        ), done.stderr


def test_every_exercise_has_hints_in_three_steps_in_its_notebook():
    folded = {}
    for lesson in lessons():
        text = "\n".join(cell.source for cell in notebook_from_lesson(lesson).cells)
        assert "[hints:" not in text
        folded[lesson.stem] = text
    everything = "\n".join(folded.values())
    assert sorted(written_hints()) == sorted(EXERCISES)
    for name, steps in written_hints().items():
        assert len(steps) >= 3 and steps[0].title == "The idea", name
        assert all(everything.count(step.text) == 1 for step in steps), name


def test_hints_for_an_unknown_exercise_are_refused(tmp_path):
    lesson = tmp_path / "99_wrong.py"
    lesson.write_text("# %% [markdown]\n# [hints: heads.nope]\n")
    with pytest.raises(AutogradeError, match=r"heads\.nope"):
        notebook_from_lesson(lesson)
