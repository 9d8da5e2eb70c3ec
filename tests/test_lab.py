"""A learner's first minutes in JupyterLab, in a real browser: predict, check, edit, check again."""

import shutil
from pathlib import Path

import pytest
from browser import jupyter_server, offline_page, open_file, screenshot

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[1]

# Runs the cells whose source starts with one of the words; gives the outputs of the last.
RUN = """async starts => {
    const app = window.jupyterapp;
    const panel = app.shell.currentWidget, notebook = panel.content;
    let outputs = null;
    for (let i = 0; i < notebook.widgets.length; i++) {
        const source = notebook.widgets[i].model.sharedModel.getSource();
        if (!starts.some(start => source.startsWith(start))) continue;
        notebook.activeCellIndex = i;
        await app.commands.execute('notebook:run-cell');
        outputs = notebook.widgets[i].model.sharedModel.getOutputs();
    }
    return outputs;
}"""


RESTART = """async () => {
    const context = window.jupyterapp.shell.currentWidget.sessionContext;
    await context.session.kernel.restart();
    await context.ready;
    await context.session.kernel.info;
}"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A learner's copy of the course, untouched."""
    home = tmp_path_factory.mktemp("learner")
    for folder in ("notebooks", "mha_lib"):
        shutil.copytree(ROOT / folder, home / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return home


@pytest.fixture(scope="module")
def page(home):
    environment = {"HOME": str(home), "JUPYTER_CONFIG_DIR": str(home / ".jupyter")}
    with (
        jupyter_server(home, home / "server.log", environment) as server,
        offline_page(server) as p,
    ):
        p.wait_for_function("window.jupyterapp")
        yield p


def plain_text(outputs):
    return "\n".join(
        str(output.get("data", {}).get("text/plain", "")) + output.get("evalue", "")
        for output in outputs
    )


def test_the_first_notebook_opens_and_records_a_prediction(page, home):
    open_file(page, "notebooks/00_start_here.ipynb")
    page.evaluate(RUN, ["%load_ext", "predict("])
    choice = page.get_by_role("radio").nth(1)
    choice.focus()
    page.keyboard.press("Space")
    for _ in range(100):
        recorded = home / ".progress/predictions.json"
        if recorded.exists() and "8: one a word" in recorded.read_text():
            return
        page.wait_for_timeout(300)
    pytest.fail("the choice was not recorded")


def test_a_click_on_the_files_name_opens_it_in_the_editor(page):
    open_file(page, "notebooks/01_one_lookup.ipynb")
    page.get_by_role("link", name="mha_lib/attention.py").first.click()
    page.locator(".lm-TabBar-tabLabel", has_text="attention.py").wait_for(timeout=15_000)
    page.locator(".cm-content", has_text="One look-up: scaled dot-product").wait_for(timeout=15_000)


def test_a_check_turns_from_red_to_green_without_a_restart(page, home, solution):
    """The file is edited on disk while the kernel runs, as the editor does when it saves."""
    open_file(page, "notebooks/01_one_lookup.ipynb")
    red = page.evaluate(RUN, ["%load_ext", 'check("attention.softmax")'])
    assert "not written yet" in plain_text(red)

    stub = (home / "mha_lib/attention.py").read_text()
    naive = "exps = torch.exp(scores)\n    return exps / exps.sum(dim=dim, keepdim=True)"
    (home / "mha_lib/attention.py").write_text(stub.replace("raise NotImplementedError", naive, 1))
    named = page.evaluate(RUN, ['check("attention.softmax")'])
    assert "exp was taken of the raw scores" in plain_text(named)

    (home / "mha_lib/attention.py").write_text(solution("attention"))
    green = page.evaluate(RUN, ['check("attention.softmax")'])
    assert "✓ attention.softmax: passed (2 of 2 points)" in plain_text(green)
    assert all(output["output_type"] != "error" for output in green)
    assert page.locator("[role=status]", has_text="attention.softmax: passed").count()


def test_the_board_at_the_side_follows_checks_and_outlives_the_kernel(page):
    open_file(page, "notebooks/01_one_lookup.ipynb")
    board = page.locator(".progress-board:visible")
    board.get_by_text("attention.softmax ✓ passed").wait_for()
    page.evaluate(RUN, ['check("attention.causal_mask")'])
    board.get_by_text("attention.causal_mask ✓ passed").wait_for()
    page.evaluate(RESTART)
    page.evaluate(RUN, ["%load_ext"])
    board.get_by_text("attention.causal_mask ✓ passed").wait_for()
    opened = page.locator(".jp-SideBar.jp-mod-right .lm-TabBar-tab", has_text="Progress")
    assert opened.count() == len({"00", "01"})


def test_the_slider_of_notebook_two_redraws(page, home, solution):
    (home / "mha_lib/single.py").write_text(solution("single"))
    open_file(page, "notebooks/02_one_head_one_blend.ipynb")
    page.evaluate(RUN, ["%load_ext", "lookups.slide_the_blend"])
    handle = page.locator(".noUi-handle:visible").first
    handle.scroll_into_view_if_needed()
    drawn = "String([...document.querySelectorAll('.jp-OutputArea img')].map(image => image.src))"
    before = page.evaluate(drawn)
    assert before
    handle.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(f"before => ![before, ''].includes({drawn})", arg=before)


def test_the_explorer_answers_to_mouse_and_keys(page):
    open_file(page, "notebooks/00_start_here.ipynb")
    page.evaluate(RUN, ["%load_ext", "explore_encoder("])
    said = page.locator(".explorer-said:visible")
    said.filter(has_text="Layer 3, head 1. “it” reads “bird”").wait_for()
    page.get_by_role("radio", name="Layer 0, head 2").click()
    said.filter(has_text="Layer 0, head 2. “it” reads “because” 100 %").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    said.filter(has_text="Layer 1, head 3").wait_for()
    page.keyboard.press("l")
    page.locator(".explorer-legend:visible li", has_text="Layer 1, head 3").wait_for()
    assert page.locator(".explorer-legend:visible li").count() == 4
    page.get_by_role("button", name="tired", exact=True).focus()
    page.keyboard.press("ArrowDown")
    said.filter(has_text="“.” reads").wait_for()
    page.get_by_label("Sentence").fill("Many lenses.")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="lenses", exact=True).wait_for()
    screenshot(page, "lab/explorer")


def test_an_exercise_typed_into_the_editor_passes_without_a_restart(page):
    open_file(page, "notebooks/03_split_run_concatenate_project.ipynb")
    before = page.evaluate(RUN, ["%load_ext", 'check("heads.merge_heads")'])
    assert "not written yet" in plain_text(before)
    page.get_by_role("link", name="mha_lib/heads.py").first.click()
    editor = page.locator(".jp-FileEditor:visible")
    unwritten = editor.locator(".cm-line", has_text="raise NotImplementedError").nth(1)
    unwritten.scroll_into_view_if_needed()
    unwritten.click(click_count=3)
    page.keyboard.insert_text("    return x.transpose(1, 2).flatten(2)\n")
    page.keyboard.press("Control+s")
    page.locator(".lm-TabBar-tab.jp-mod-dirty", has_text="heads.py").wait_for(state="detached")
    open_file(page, "notebooks/03_split_run_concatenate_project.ipynb")
    after = page.evaluate(RUN, ['check("heads.merge_heads")'])
    assert "✓ heads.merge_heads: passed" in plain_text(after)
    page.locator("[role=status]", has_text="heads.merge_heads: passed").scroll_into_view_if_needed()
    screenshot(page, "lab/typed_exercise")


def test_nothing_was_asked_of_the_network_and_no_script_failed(page):
    assert page.outside == []
    assert page.errors == []
