"""`make lab` brings a learner to the first explorer: right notebook, ready kernel, no dialog."""

import shutil
import sys
from pathlib import Path

import pytest
from browser import headless_browser, page_on, screenshot

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import first_insight  # noqa: E402

LOCAL = ("http://localhost:", "file://")  # a file sends the browser to the server


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("make"), reason="no make on this machine")
def test_what_make_lab_opens_leads_to_the_explorer(tmp_path):
    course = first_insight.learners_copy(tmp_path)
    with headless_browser() as browser, first_insight.make_lab(course) as address:
        page = page_on(LOCAL, browser)
        stages = first_insight.look(page, address)
        next(stages)
        next(stages)
        opened = page.locator("#jp-main-dock-panel .lm-TabBar-tabLabel").all_inner_texts()
        assert opened == ["00_start_here.ipynb"]
        assert page.locator(".jp-KernelName").inner_text().startswith("Python 3")
        assert [None for _ in stages] == [None, None]
        assert page.locator(".jp-Dialog, .Toastify__toast").count() == 0
        screenshot(page, "first-insight")
        assert page.outside == [] and page.errors == []


def test_stages_are_added_up_and_later_starts_are_a_median():
    first, later = [2.0, 1.0, 1.0, 1.0, 1.0], [[1.0] * 5, [3.0] * 5, [8.0] * 5]
    text = first_insight.summary(first, later)
    assert "| notebook 00 is on screen | 1.0 | 3.0 |" in text
    assert "| all | 6.0 | 15.0 |" in text
