"""Every solved notebook runs from top to bottom, and every control in it does something.

Where there is a Chromium, in a real JupyterLab, as a learner sees it; where there is none, without.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from browser import chromium, jupyter_server, offline_page, open_file, screenshot

from autograde.build.files import MODULE_NAMES
from autograde.build.lessons import graded_exercises
from autograde.build.running import CELL_SECONDS, NETWORK_OFF, run_notebook

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"

# All code cells have run and the kernel rests, or one has failed.
DONE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const codes = panel.content.widgets.filter(cell => cell.model.type === 'code');
    const failed = codes.some(({model: {outputs}}) =>
        [...Array(outputs.length).keys()].some(i => outputs.get(i).type === 'error'));
    const ran = codes.every(cell => cell.model.executionCount && !cell.model.isDirty);
    return failed || (ran && panel.sessionContext.session.kernel.status === 'idle');
}"""
NOTEBOOK = "() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON())"
# Scrolls to a cell and gives its place on the page a name.
SHOW = """async index => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    await notebook.scrollToItem(index, 'start');
    notebook.widgets[index].node.dataset.cell = index;
}"""
CLOSE = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.sessionContext.shutdown();
    panel.context.model.dirty = false;
    panel.dispose();
}"""
# What an output says and shows, without what its controls say of themselves.
SHOWN = """element => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll('.widget-readout, output, option').forEach(node => node.remove());
    const pictures = [...element.querySelectorAll('canvas')].map(canvas => canvas.toDataURL());
    const images = [...copy.querySelectorAll('img')].map(image => image.src);
    const marks = [...copy.querySelectorAll('.explorer [class]')].map(node => node.className);
    return JSON.stringify([copy.textContent, pictures, images, marks]);
}"""
# As many widgets as there should be, none in trouble, and all images loaded and described.
DRAWN = """([element, widgets]) => {
    const views = [...element.querySelectorAll('.lm-Panel.jp-OutputArea-output')]
        .filter(view => view.firstElementChild && !view.classList.contains('lm-mod-hidden'));
    const trouble = /Error (displaying|creating) widget|Loading widget/.test(element.textContent);
    const images = [...element.querySelectorAll('img')];
    return views.length >= widgets && !trouble
        && images.every(image => image.complete && image.naturalWidth && image.alt);
}"""
CHANGED = f"""([element, before]) =>
    window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'
    && ({SHOWN})(element) !== before"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A learner's copy of the course, solved, whose kernels reach this machine only."""
    home = tmp_path_factory.mktemp("solved")
    shutil.copytree(ROOT / "notebooks", home / "notebooks")
    (home / "mha_lib").mkdir()
    (home / "mha_lib/__init__.py").touch()
    for module in MODULE_NAMES:
        shutil.copy(ROOT / f"solutions/{module}.py", home / "mha_lib")
    startup = home / ".ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "network_off.py").write_text(NETWORK_OFF)
    return home


@pytest.fixture(scope="module")
def page(home) -> Iterator:
    """JupyterLab in that folder; None where there is no browser."""
    if not chromium():
        yield None
        return
    places = {"IPYTHONDIR": str(home / ".ipython"), "JUPYTER_CONFIG_DIR": str(home / ".jupyter")}
    with (
        jupyter_server(home, home / "server.log", places) as server,
        offline_page(server) as page,
    ):
        page.set_viewport_size({"width": 1400, "height": 1800})  # a whole output fits
        page.wait_for_function("window.jupyterapp")
        yield page


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_solved_notebook_runs_without_an_error_and_its_controls_work(path, home, page):
    if page is None:
        notebook = nbformat.read(path, as_version=4)
        return check_outputs(run_notebook(notebook, home / "notebooks", allow_errors=True))
    open_file(page, f"notebooks/{path.name}")
    try:
        check_in_jupyterlab(page, path.stem)
    finally:
        page.evaluate(CLOSE)
    assert page.outside == [] and page.errors == []


def check_in_jupyterlab(page, name: str) -> None:
    """The open notebook runs, is drawn, can be moved, and stands on its progress board."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(DONE, polling=200, timeout=CELL_SECONDS * 1000)
    notebook = nbformat.reads(page.evaluate(NOTEBOOK), as_version=4)
    check_outputs(notebook)
    for index, cell in enumerate(notebook.cells):
        if cell.get("outputs"):
            check_on_screen(page, name, index, cell)
    board = page.locator(".progress-board:visible")
    for exercise in graded_exercises(notebook):
        board.get_by_text(f"{exercise} ✓ passed").wait_for()
    board.get_by_text("Predictions of this notebook against outcomes").click()
    board.get_by_text("You said: ").first.wait_for()
    screenshot(page, f"{name}-board")


def check_outputs(notebook) -> None:
    """No error, no warning, and no picture without a description."""
    figures = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", (cell.source, output.traceback)
            assert not (output.output_type == "stream" and output.name == "stderr"), output.text
            html = output.get("data", {}).get("text/html", "")
            figures += html.count("<img ")
            assert html.count("<img ") == html.count("<img alt="), "a picture without alt text"
            assert "image/png" not in output.get("data", {}), "a figure without alt text"
    assert figures >= 1


def check_on_screen(page, name: str, index: int, cell) -> None:
    """A cell's pictures and widgets are drawn; each control among them changes what is shown."""
    # A widget without HTML in its place is a progress bar, and gone by now.
    widgets = sum({WIDGET, "text/html"} <= output.get("data", {}).keys() for output in cell.outputs)
    if not widgets and "<img " not in json.dumps(cell.outputs):
        return
    page.evaluate(SHOW, index)
    here = page.locator(f'[data-cell="{index}"] .jp-Cell-outputArea')
    page.wait_for_function(DRAWN, arg=[here.element_handle(), widgets])
    moved = move_controls(page, here)
    if moved != ["radio"] or "<img " in json.dumps(cell.outputs):
        screenshot(here, f"{name}-{index}")


def move_controls(page, here) -> list[str]:
    """Move each control of an output once, by mouse or keyboard; gives their kinds."""
    moved = []
    for kind, selector, move in CONTROLS:
        for number in range(here.locator(selector).count()):
            before = here.evaluate(SHOWN)
            move(here.locator(selector).nth(number))
            page.wait_for_function(
                CHANGED, arg=[here.element_handle(), before], polling=50, timeout=30_000
            )
            moved.append(kind)
    return moved


def choose_last(box) -> None:
    box.get_by_role("radio").last.check()


def step(handle) -> None:
    """One step up with the keyboard; down where it is at the top."""
    at_top = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
    handle.press("ArrowLeft" if at_top else "ArrowRight")


def step_back(slider) -> None:
    slider.press("ArrowLeft" if int(slider.input_value()) else "ArrowRight")


def choose_another(menu) -> None:
    values = menu.locator("option").evaluate_all("options => options.map(o => o.value)")
    menu.select_option(next(value for value in values if value != menu.input_value()))


def write(box) -> None:
    box.fill("Many lenses.")
    box.press("Enter")


CONTROLS = [
    ("radio", ".widget-radio-box", choose_last),
    ("slider", ".noUi-handle", step),
    ("slider", "input[type=range]", step_back),
    ("menu", "select", choose_another),
    ("box", "input[type=checkbox]", lambda box: box.click()),
    ("head", "[role=radio][aria-checked=true]", lambda head: head.press("ArrowRight")),
    ("button", "button[aria-pressed]:not(tr *)", lambda button: button.click()),
    ("text", "input[type=text]", write),
]
