"""The course directory, the zip for an LMS and the configuration: what needs no class to test."""

import importlib
import json
import sys
import zipfile
from getpass import getuser
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbconvert.exporters import HTMLExporter
from nbgrader.exchange.default import ExchangeCollect, ExchangeFetchAssignment, ExchangeSubmit
from nbgrader_classroom import ATTENTION, HEADS, LOOKUP, SPLIT
from traitlets.config import Config

import autograde.nbgrader
from autograde.build.strip import solution_lines
from autograde.course import create_course
from autograde.errors import AutogradeError
from autograde.nbgrader import configure
from autograde.nbgrader.archives import LARGEST_ARCHIVE, unpack
from autograde.nbgrader.notebooks import UnreadableNotebook, defuse, read_submitted
from autograde.nbgrader.stubs import merge_stubs, summary
from autograde.pack import LARGEST_FILE, pack

SETTINGS = Path(autograde.nbgrader.__file__).parent / "nbgrader_config.json"


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("course")
    create_course(root / "course", exchange=root / "exchange", course_id="mha")
    return root / "course"


# --- course -----------------------------------------------------------------------------------


def test_each_assignment_has_its_notebook_and_the_stubs_it_needs(course):
    split = course / "source" / SPLIT
    names = {path.relative_to(split).as_posix() for path in split.rglob("*") if path.is_file()}
    assert names == {
        f"{SPLIT}.ipynb",
        "mha_lib/__init__.py",
        "mha_lib/heads.py",
        "mha_lib/attention.py",  # heads imports it
    }
    assert not any(
        solution_lines(path.read_text()) for path in course.glob("source/*/mha_lib/*.py")
    )


def test_model_answers_are_in_the_answer_keys_only(course):
    key = (course / f"answer_keys/{LOOKUP}.ipynb").read_text(encoding="utf-8")
    released = (course / f"source/{LOOKUP}/{LOOKUP}.ipynb").read_text(encoding="utf-8")
    assert "BEGIN SOLUTION" in key and "Write your answer here" not in key
    assert "BEGIN SOLUTION" not in released and "Write your answer here" in released


def test_the_exchange_is_made_for_everybody(course):
    assert (course.parent / "exchange").stat().st_mode & 0o777 == 0o777


def test_a_directory_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(AutogradeError, match="is not empty"):
        create_course(tmp_path, exchange=None, course_id="mha")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("course_id", ["", "a/b", "two words", "x+y", "..'"])
def test_a_name_that_nbgrader_cannot_use_is_refused(tmp_path, course_id):
    with pytest.raises(AutogradeError, match="may only have"):
        create_course(tmp_path / "course", exchange=None, course_id=course_id)


def test_places_that_cannot_be_written_are_told_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AutogradeError, match=r"exchange .* is not a directory"):
        create_course(tmp_path / "a", exchange=tmp_path / "file", course_id="mha")
    with pytest.raises(AutogradeError, match="Cannot write"):
        create_course(tmp_path / "a", exchange=tmp_path / "file/below", course_id="mha")
    assert not (tmp_path / "a").exists()
    with pytest.raises(AutogradeError, match="Cannot write"):
        create_course(tmp_path / "file/course", exchange=None, course_id="mha")


# --- configuration ----------------------------------------------------------------------------


def test_the_plugins_are_installed_where_nbgrader_looks():
    installed = Path(sys.prefix) / "etc/jupyter/nbgrader_config.json"
    assert installed.read_text() == SETTINGS.read_text(), "install the course with pip install -e ."
    parents = {
        "submit": ExchangeSubmit,
        "fetch_assignment": ExchangeFetchAssignment,
        "collect": ExchangeCollect,
    }
    plugins = json.loads(SETTINGS.read_text())["ExchangeFactory"]
    assert plugins.keys() == parents.keys()
    for name, path in plugins.items():
        module, plugin = path.rsplit(".", 1)
        assert issubclass(getattr(importlib.import_module(module), plugin), parents[name])


def test_no_file_of_a_learners_package_is_overwritten(course):
    settings = Config()
    configure(settings, course / "nbgrader_config.py")
    assert settings.Autograde.exclude_overwriting[SPLIT] == [
        "mha_lib/__init__.py",
        "mha_lib/attention.py",
        "mha_lib/heads.py",
    ]


# --- stubs ------------------------------------------------------------------------------------


def test_a_new_stub_replaces_an_untouched_one_and_no_other(tmp_path):
    stubs, lib = tmp_path / "stubs", tmp_path / "mha_lib"
    stubs.mkdir()
    for name in ("attention.py", "heads.py"):
        (stubs / name).write_text("first\n")
    assert summary(merge_stubs(stubs, lib)) == "added attention.py, heads.py"
    (lib / "heads.py").write_text("mine\n")
    assert summary(merge_stubs(stubs, lib)) == "left as you changed it: heads.py"
    for name in ("attention.py", "heads.py"):
        (stubs / name).write_text("second\n")
    printed = summary(merge_stubs(stubs, lib))
    assert printed == "updated attention.py; left as you changed it: heads.py"
    assert (lib / "attention.py").read_text() == "second\n"
    assert (lib / "heads.py").read_text() == "mine\n"


@pytest.mark.parametrize("manifest", ["", "[]", "{", '"x"'])
def test_without_a_manifest_nothing_is_replaced(tmp_path, manifest):
    stubs, lib = tmp_path / "stubs", tmp_path / "mha_lib"
    stubs.mkdir()
    lib.mkdir()
    (stubs / "heads.py").write_text("new\n")
    (lib / "heads.py").write_text("old or mine\n")
    (lib / ".stubs.json").write_text(manifest)
    assert merge_stubs(stubs, lib)["kept"] == ["heads.py"]
    assert (lib / "heads.py").read_text() == "old or mine\n"


# --- pack -------------------------------------------------------------------------------------


@pytest.fixture
def work(tmp_path) -> Path:
    """A learner's folder as the fetch plugin leaves it, with the work done."""
    (tmp_path / SPLIT).mkdir()
    (tmp_path / SPLIT / f"{SPLIT}.ipynb").write_text("{}")
    (tmp_path / "mha_lib/__pycache__").mkdir(parents=True)
    for name, text in {"__init__": "", "attention": ATTENTION, "heads": HEADS}.items():
        (tmp_path / f"mha_lib/{name}.py").write_text(text)
    (tmp_path / "mha_lib/__pycache__/heads.py").write_text("")
    (tmp_path / "mha_lib/notes.txt").write_text("")
    (tmp_path / "mha_lib/link.py").symlink_to("/etc/hostname")
    return tmp_path


def test_a_zip_is_laid_out_like_a_submission(work):
    path = pack(SPLIT, work / "mha_lib", work)
    assert path == work / f"{getuser()}_{SPLIT}.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [
            f"{SPLIT}.ipynb",
            "mha_lib/__init__.py",
            "mha_lib/attention.py",
            "mha_lib/heads.py",
        ]
        assert archive.read("mha_lib/heads.py").decode() == HEADS


def test_the_same_work_gives_the_same_bytes(work):
    first = pack(SPLIT, work / "mha_lib", work / "one.zip").read_bytes()
    (work / "mha_lib/heads.py").touch()
    assert pack(SPLIT, work / "mha_lib", work / "two.zip").read_bytes() == first


def test_a_clone_of_the_course_has_its_notebooks_in_one_folder(work):
    (work / "notebooks").mkdir()
    (work / f"notebooks/{LOOKUP}.ipynb").write_text("{}")
    assert pack(LOOKUP, work / "mha_lib", work).exists()


def test_what_cannot_be_packed_is_told_in_a_sentence(work):
    with pytest.raises(AutogradeError, match=f"no notebook 'nothing' .* there are: {SPLIT}"):
        pack("nothing", work / "mha_lib", work)
    with pytest.raises(AutogradeError, match="no mha_lib"):
        pack(SPLIT, work / "elsewhere", work)
    with pytest.raises(AutogradeError, match="Cannot pack"):
        pack(SPLIT, work / "mha_lib", work / "no/such/folder")
    (work / "mha_lib/big.py").write_text("#" * (LARGEST_FILE + 1))
    with pytest.raises(AutogradeError, match=r"big\.py is larger"):
        pack(SPLIT, work / "mha_lib", work)


def test_archives_unpack_within_their_folder_and_within_bounds(tmp_path):
    bomb, climber = tmp_path / "bomb.zip", tmp_path / "climber.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mha_lib/heads.py", b"#" * (LARGEST_ARCHIVE + 1))
    with zipfile.ZipFile(climber, "w") as archive:
        archive.writestr("../outside.py", "")
    target = tmp_path / "target"
    with pytest.raises(ValueError, match="more than"):
        unpack(bomb, target)
    with pytest.raises(ValueError, match="leads out"):
        unpack(climber, target)
    assert not (tmp_path / "outside.py").exists()


# --- submitted notebooks ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b'{"cells": 5, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
        b'{"cells": [{"cell_type": "code"}], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
        b'{"cells": [{"cell_type": "spell", "source": ""}], "nbformat": 4, "metadata": {}}',
        b'{"cells": [{"cell_type": "raw", "source": {}}], "nbformat": 4, "metadata": {}}',
        b'{"nbformat": 99}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_notebook_is_told_apart(tmp_path, content):
    path = tmp_path / "it.ipynb"
    path.write_bytes(content)
    with pytest.raises(UnreadableNotebook):
        read_submitted(path)


def test_a_folder_or_a_link_in_the_place_of_a_notebook_is_no_notebook(tmp_path):
    (tmp_path / "folder.ipynb").mkdir()
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "real.ipynb")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "real.ipynb")
    for name in ("folder.ipynb", "link.ipynb", "nothing.ipynb"):
        with pytest.raises(UnreadableNotebook, match="not a file"):
            read_submitted(tmp_path / name)


def test_an_old_or_sloppy_notebook_is_read(tmp_path):
    """What other tools write is not always valid; what is not graded does not matter."""
    text = {
        "cell_type": "markdown",
        "source": ["half \ud83d", "of it"],
        "metadata": {"nbgrader": 5},
    }
    code = {"cell_type": "code", "source": "1", "metadata": {}, "outputs": [{"output_type": "?"}]}
    notebook = {"cells": [text, code], "nbformat": 4, "nbformat_minor": 4, "metadata": {"x": [1]}}
    (tmp_path / "sloppy.ipynb").write_text(json.dumps(notebook))
    cells = read_submitted(tmp_path / "sloppy.ipynb").cells
    assert [cell.source for cell in cells] == ["half ?of it", "1"]
    assert cells[1].outputs == []


@pytest.mark.parametrize(
    "text",
    [
        "<script>x</script>",
        "<ScRiPt src=//evil>",
        "<img src=x onerror=x>",
        "<!-- --><iframe src=x>",
        "</div><?php ?>",
        "[a](javascript:x)",
        "[a]( <javascript:x> )",
        "![a](http://evil/x.png)",
        "[a][b]\n\n[b]: javascript:x",
        "[b]:javascript:x\n\n[b]",
        "<javascript:x>",
        "![](attachment:x.png)",
        "```mermaid\n<img src=x onerror=x>\n```",
        "$<script>x</script>$",
        "# <svg onload=x>",
        "| a |\n|---|\n| <b onclick=x> |",
    ],
)
def test_a_learners_markdown_is_shown_as_text(text):
    cell = nbformat.v4.new_markdown_cell(defuse(text))
    page, _ = HTMLExporter(template_name="basic").from_notebook_node(
        nbformat.v4.new_notebook(cells=[cell])
    )
    reader = _Tags()
    reader.feed(page)
    assert reader.tags
    for tag, attributes in reader.tags:
        assert tag not in ("script", "img", "iframe", "svg", "b")
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith(("#", "http:"))


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_formulas_and_comparisons_stay_readable():
    assert defuse("$a_i < b$, 3<4, `x[0]`, **bold**") == "$a_i < b$, 3<4, `x[0]`, **bold**"
    assert defuse("i<j") == "i< j"
