"""From `make lab` on a set-up machine to the first explorer on screen, in a real browser.

python benchmarks/first_insight.py            measure and print
python benchmarks/first_insight.py --write    put the table into docs/benchmarks.md
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Annotated

import nbformat
import typer
from playwright.sync_api import sync_playwright
from tables import ROOT, machine, table, write_section
from tqdm import tqdm

NOTEBOOK = Path("notebooks/00_start_here.ipynb")
GOAL = 15  # seconds
STAGES = (
    "the server gives its address to the browser",
    "notebook 00 is on screen",
    "its kernel is ready",
    "the first cell has run (imports)",
    "the explorer is drawn",
)
LONGEST = 120  # seconds for one stage, on however busy a machine


def learners_copy(home: Path) -> Path:
    """A folder in which `make lab` works, with this environment and nothing of a learner's yet."""
    course = home / "course"
    for name in ("notebooks", "mha_lib"):
        shutil.copytree(ROOT / name, course / name, ignore=lambda *_: ["__pycache__"])
    shutil.copy(ROOT / "Makefile", course)
    (course / ".venv").symlink_to(sys.prefix)
    return course


@contextmanager
def make_lab(course: Path) -> Iterator[str]:
    """Run `make lab` there; gives the address that it opens, in place of the system's browser.

    Raises:
        RuntimeError: if it ends, or has not given an address after two minutes.
    """
    told, log = course.parent / "address", course.parent / "lab.log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    browser = course.parent / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {told}.part && mv {told}.part {told}\n')
    browser.chmod(0o700)
    flags = f"--port={port} --browser='{browser} %s'"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", "--old-file=.venv/.ready", "lab", f"LAB_FLAGS={flags}"],
            cwd=course,
            env=os.environ | {"HOME": str(course.parent)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = monotonic() + LONGEST
        while not told.exists():
            if process.poll() is not None or monotonic() > deadline:
                raise RuntimeError(f"make lab opened nothing:\n{log.read_text()}")
            sleep(0.02)
        yield told.read_text().strip()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        told.unlink(missing_ok=True)


def look(page, address: str) -> Iterator[None]:
    """Open the address, click the first cell, press Shift + Enter until the explorer is drawn.

    Yields after each stage.

    Args:
        page: of Playwright.
        address: as `make_lab` gives it.
    """
    cells = nbformat.read(ROOT / NOTEBOOK, as_version=4).cells
    last = next(i for i, cell in enumerate(cells) if cell.source.startswith("explore_encoder("))
    first = next(i for i, cell in enumerate(cells) if cell.source.startswith("%load_ext"))
    page.set_default_timeout(LONGEST * 1000)
    page.goto(address)
    page.get_by_role("heading", name="0 · Start here").wait_for()
    yield
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]:visible").wait_for()
    yield
    page.get_by_role("heading", name="0 · Start here").click()
    for index in range(last + 1):
        page.keyboard.press("Shift+Enter")
        if index == first:
            page.locator(".jp-InputPrompt", has_text="[1]:").wait_for()
            yield
    page.locator(".explorer canvas").first.wait_for()
    yield


def times(course: Path, browser) -> list[float]:
    """Seconds of each stage, with a browser that runs already."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    moments = [monotonic()]
    with make_lab(course) as address:
        moments.append(monotonic())
        for _ in look(page, address):
            moments.append(monotonic())
        page.close()
    return [later - earlier for earlier, later in pairwise(moments)]


def summary(first: list[float], later: list[list[float]]) -> str:
    """A table of stages: the first start in a new home folder, and the median of later ones."""
    usual = [median(stage) for stage in zip(*later, strict=True)]
    rows = [
        [name, f"{one:.1f}", f"{other:.1f}"]
        for name, one, other in zip(STAGES, first, usual, strict=True)
    ]
    rows.append(["all", f"{sum(first):.1f}", f"{sum(usual):.1f}"])
    head = ["seconds until", "first start", f"later (median of {len(later)})"]
    return f"The goal is {GOAL}.\n\n{table(head, rows)}"


def main(
    runs: Annotated[int, typer.Option(help="after the first one")] = 3,
    write: Annotated[bool, typer.Option("--write", help="into docs/benchmarks.md")] = False,
) -> None:
    """Time a learner's first minute."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        course = learners_copy(Path(home))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        measured = [times(course, browser) for _ in tqdm(range(runs + 1), unit="start")]
        browser.close()
    text = f"`python benchmarks/first_insight.py` on {machine()}"
    text += f"; load average {os.getloadavg()[0]:.0f}, run at niceness {os.nice(0)}.\n\n"
    text += summary(measured[0], measured[1:])
    print(text)
    if write:
        write_section("first insight", text)


if __name__ == "__main__":
    typer.run(main)
