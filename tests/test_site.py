"""The static site: what it shows, what it must not show, and that everybody can read it."""

import json
import os
import posixpath
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import ALL, CONTRAST, headless_browser, page_on, screenshot
from test_build import secrets

from autograde.build import running, site
from autograde.build.files import learners_notebook, lessons
from autograde.build.site.links import with_links
from autograde.build.site.notebook import notebook_body
from autograde.build.site.page import page as whole_page
from autograde.errors import AutogradeError
from autograde.exercises import EXERCISES
from autograde.records import visible

RUN = ("00_start_here", "11_read_a_model_card")  # light ones; the rest is shown without outputs
RAN = f"notebooks/{RUN[1]}.html"
NOTEBOOKS = [f"notebooks/{lesson.stem}.html" for lesson in lessons()]
OTHERS = ["index.html", "concept_map.html", "mha_lib.html"]
VOID = {"br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """Elements, headings, ids and links of a page; elements that are not closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.text = text
        self.elements: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)
        self.unbalanced += self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(f"/{tag} at {self.getpos()}")

    @property
    def ids(self):
        return [a["id"] for _, a in self.elements if "id" in a]

    @property
    def levels(self):
        return [int(tag[1]) for tag, _ in self.elements if re.fullmatch("h[1-6]", tag)]

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site, written once; `pages` are its files, parsed."""
    folder, cache = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("cache")
    written = site.write_site(folder, run=RUN, cache=cache)
    pages = {path: Page((folder / path).read_text()) for path in written}
    return SimpleNamespace(folder=folder, cache=cache, pages=pages)


def test_every_notebook_has_a_page_that_is_linked_from_the_front(built):
    assert sorted(built.pages) == sorted(NOTEBOOKS + OTHERS)
    front = [a["href"] for a in built.pages["index.html"].all("a")]
    assert set(NOTEBOOKS) <= set(front)
    assert "make lab" in built.pages["index.html"].text


def test_every_link_leads_to_a_page_and_a_place_on_it(built):
    """Links to elsewhere are there to be clicked; nothing is loaded from there."""
    inside = 0
    for path, page in built.pages.items():
        for link in (a["href"] for a in page.all("a")):
            if re.match("https?://", link):
                continue
            target, _, place = link.partition("#")
            assert not target.endswith((".ipynb", ".md", ".py")), f"{path}: {link}"
            there = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            there = there if target else path
            assert there in built.pages, f"{path}: {link}"
            assert not place or place in built.pages[there].ids, f"{path}: {link}"
            inside += 1
    assert inside > 200


def test_a_link_that_leads_nowhere_stops_the_build():
    pages = {"docs/map.md": "map.html", "lib/a.py": "lib.html#a"}
    html = '<a href="../lib/a.py">a</a> <a href="https://example.org">b</a> <a href="#c">c</a>'
    assert with_links(html, "notebooks/1.ipynb", "notebooks/1.html", pages) == html.replace(
        "../lib/a.py", "../lib.html#a"
    )
    with pytest.raises(AutogradeError, match=r"notebooks/1\.ipynb links to \.\./lib/b\.py"):
        with_links('<a href="../lib/b.py">', "notebooks/1.ipynb", "notebooks/1.html", pages)


def test_no_page_holds_a_solution_or_a_folder_of_this_machine(built):
    forbidden = secrets()
    assert len(forbidden) > 20
    for path, page in built.pages.items():
        plain = re.sub("<[^>]+>", "", page.text)  # highlighted code is in pieces
        for text in (page.text, plain, unescaped(plain)):
            assert not [line for line in forbidden if line in text], path
        assert "BEGIN SOLUTION" not in plain
        assert tempfile.gettempdir() + "/" not in plain and str(running.ROOT) not in plain, path


def unescaped(text):
    for code, sign in (("&quot;", '"'), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">")):
        text = text.replace(code, sign)
    return text.replace("&amp;", "&")


def test_pages_are_sound_html_with_headings_in_order_and_pictures_in_words(built):
    pictures = 0
    for path, page in built.pages.items():
        assert not page.unbalanced, (path, page.unbalanced[:3])
        assert page.levels[0] == 1 and page.levels.count(1) == 1, path
        steps = zip(page.levels, page.levels[1:], strict=False)
        assert all(after <= before + 1 for before, after in steps), path
        assert len(set(page.ids)) == len(page.ids), path
        assert all(image.get("alt", "").strip() for image in page.all("img")), path
        pictures += len(page.all("img"))
        assert page.all("html") == [{"lang": "en"}] and len(page.all("main")) == 1
        assert len(page.all("title")) == 1
    assert pictures > 4


def test_pages_hold_no_script_and_load_nothing(built):
    for path, page in built.pages.items():
        names = {tag for tag, _ in page.elements}
        assert not names & {"script", "iframe", "object", "embed", "link", "base", "form"}, path
        for tag, attributes in page.elements:
            assert not [name for name in attributes if name.startswith("on")], (path, tag)
            assert (attributes.get("src") or "data:").startswith("data:"), path
        assert "url(" not in page.text.partition("<body")[0] and "@import" not in page.text


def test_outputs_stand_in_for_widgets_and_answers_stay_folded(built):
    for name in RUN:
        text = built.pages[f"notebooks/{name}.html"].text
        assert 'class="output"' in text and "model_id" not in text and "VBox(" not in text
        assert "<details open" not in text
        folded = re.findall(r"<details>.*?</details>", text, re.DOTALL)
        assert any("<summary>Answer</summary>" in one for one in folded)
        outside = re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)
        assert ">because<" in text and ">because<" not in outside  # the argument of quiz
    assert "not right yet" in built.pages["notebooks/00_start_here.html"].text  # a check, shown
    assert "<math" in built.pages[RAN].text
    unrun = built.pages["notebooks/01_one_lookup.html"].text
    assert 'class="output"' not in unrun and site.NOT_RUN in unrun


def test_hints_stay_folded(built):
    page = built.pages["notebooks/03_split_run_concatenate_project.html"]
    folded = re.findall(r"<details><summary>Hint \d", page.text)
    assert len(folded) >= 9 and "<details open" not in page.text


def test_every_function_is_documented_without_its_body(built):
    page = built.pages["mha_lib.html"]
    assert {*EXERCISES} <= set(page.ids)
    assert "NotImplementedError" not in page.text
    assert "def split_heads(x: Tensor, num_heads: int) -&gt; Tensor:" in page.text
    assert "Raises:\n    ValueError: if h does not divide the width" in page.text
    assert page.text.count('class="signature"') == len(EXERCISES) == len(visible())


def test_the_same_content_is_not_run_again_and_other_content_is(built, monkeypatch):
    monkeypatch.setattr(running, "run_notebook", lambda *_, **__: pytest.fail("it ran again"))
    notebooks = {path.stem: learners_notebook(path) for path in lessons() if path.stem in RUN}
    again = site.solved_runs(notebooks, built.cache)
    assert all(any(cell.get("outputs") for cell in again[name].cells) for name in RUN)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("a", id="1")])
    kept = running.kept_run("a", notebook, built.cache)
    notebook.cells[0].source = "b"
    assert running.kept_run("a", notebook, built.cache) != kept
    changed = running.kept_run("a", notebook, built.cache)
    monkeypatch.setattr(running, "SHOWN_BY", running.SHOWN_BY[1:])
    assert running.kept_run("a", notebook, built.cache) != changed


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_run_can_be_interrupted_and_leaves_no_kernel(tmp_path):
    code = f"""import os, signal, time
with open({str(tmp_path / "pid")!r}, "w") as file: print(os.getpid(), file=file)
os.kill(os.getppid(), signal.SIGINT)
time.sleep(60)"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code, id="stop")])
    with pytest.raises(KeyboardInterrupt):
        running.run_notebook(notebook, tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_pages_of_an_earlier_build_go_and_other_files_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "site_pages", lambda **_: {"a/new.html": "new"})
    old = whole_page("a/old.html", "Old", "<h1>Old</h1>")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/old.html").write_text(old)
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    assert site.write_site(tmp_path) == ["a/new.html"]
    left = sorted(str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*.html"))
    assert left == ["a/new.html", "mine.html"]


def test_an_unknown_notebook_is_refused(tmp_path):
    with pytest.raises(AutogradeError, match="no notebook 99_nothing"):
        site.write_site(tmp_path, run=["99_nothing"])


def test_an_empty_corner_of_a_table_is_no_header():
    table = "<table><tr><th></th><th>a</th></tr><tr><td>b</td><td>1</td></tr></table>"
    text = whole_page("a.html", "A", f"<h1>A</h1>{table}")
    assert "<td></td><th>a</th>" in text and "<th></th>" not in text


def test_a_widget_is_shown_by_what_stands_in_and_a_progress_bar_not_at_all():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}
    cell = nbformat.v4.new_code_cell("f()")
    for data in ({"text/html": "<b>in words</b>", "text/plain": "p"}, {"text/plain": "0%"}):
        cell.outputs.append(nbformat.v4.new_output("display_data", data=data | view))
    value = {"text/html": "<i>its value</i>", "text/plain": "p"}
    cell.outputs.append(nbformat.v4.new_output("execute_result", data=value | view))
    body = notebook_body(nbformat.v4.new_notebook(cells=[cell]))
    assert "<i>its value</i>" in body
    assert "<b>in words</b>" in body and "0%" not in body and "model_id" not in body


@pytest.mark.browser
def test_axe_finds_nothing_serious(built):
    """All rules in light; in dark, what differs: the colours."""
    light, dark = [*OTHERS, *(f"notebooks/{name}.html" for name in RUN)], ["mha_lib.html", RAN]
    root = built.folder.as_uri()
    with headless_browser() as browser:
        for scheme, paths, rules in (("light", light, ALL), ("dark", dark, CONTRAST)):
            tab = page_on(root, browser, color_scheme=scheme)
            for path in paths:
                tab.goto(f"{root}/{path}")
                found = Axe().run(tab, options=rules).response
                bad = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
                assert not bad, f"{path}, {scheme}: {json.dumps(bad, indent=1)[:3000]}"
                assert found["passes"]
            assert not tab.outside and not tab.errors


@pytest.mark.browser
def test_a_narrow_screen_shows_all_and_the_keyboard_reaches_all(built):
    root, long = built.folder.as_uri(), "long.html"
    body = f"<h1>Long</h1><p><b>{'long_' * 20}</b></p><pre>{' ' * 200}</pre>"
    (built.folder / long).write_text(whole_page(long, "Long", body))
    with headless_browser() as browser:
        tab = page_on(root, browser, viewport={"width": 390, "height": 800})
        for path in (*NOTEBOOKS, *OTHERS, long, RAN):
            tab.goto(f"{root}/{path}")
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390, path
            screenshot(tab, f"site/{Path(path).stem}")
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
        tab.locator("summary", has_text="Answer").first.focus()
        tab.keyboard.press("Enter")
        assert tab.locator("details[open]").count() == 1
