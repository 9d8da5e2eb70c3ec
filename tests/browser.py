"""A real Jupyter server and a real, headless browser that reaches nothing else."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TOKEN = "test"
ROOT = Path(__file__).resolve().parents[1]
# What axe-core looks for: all rules, or colours alone.
ALL = {"resultTypes": ["violations"]}  # others are counted, not listed: faster
CONTRAST = ALL | {"runOnly": {"type": "rule", "values": ["color-contrast"]}}

OPEN = """async path => {
    const app = window.jupyterapp;
    await app.restored;
    const widget = await app.commands.execute('docmanager:open', {path});
    await widget.context.ready;
    if (widget.sessionContext) {
        await widget.sessionContext.ready;
        await widget.sessionContext.session.kernel.info;
    }
    app.shell.activateById(widget.id);
}"""


@contextmanager
def jupyter_server(root: Path, log: Path, environment: dict[str, str]) -> Iterator[str]:
    """Serve `root` with JupyterLab; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    words = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}"]
    words += [f"--IdentityProvider.token={TOKEN}", "--LabApp.expose_app_in_browser=True"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--allow-root")
    with open(log, "wb") as output:
        process = subprocess.Popen(
            words,
            cwd=root,
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(f"{address}/api", log)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"the server did not start:\n{log.read_text()}")


@contextmanager
def offline_page(server: str) -> Iterator:
    """A page that is logged in to the server; see `page_on`."""
    with headless_browser() as browser:
        page = page_on(server, browser)
        page.goto(f"{server}/lab?token={TOKEN}")
        yield page


def chromium() -> str | None:
    """Where this machine's Chromium lies."""
    return shutil.which("chromium") or shutil.which("google-chrome")


@contextmanager
def headless_browser() -> Iterator:
    """Chromium. Without it the test is skipped, on a CI machine it fails."""
    program = chromium()
    if not program:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on this machine")
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def page_on(server: str | tuple[str, ...], browser, **settings):
    """A new page that reaches addresses below `server` only, or below one of several.

    `page.outside` collects what it asked of anybody else, `page.errors` its scripts' errors.
    """
    page = browser.new_page(**({"viewport": {"width": 1400, "height": 900}} | settings))
    page.outside, page.errors = [], []
    page.route(lambda url: not url.startswith(server), _refuse(page))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    return page


def _refuse(page):
    def refuse(route):
        page.outside.append(route.request.url)
        route.abort()

    return refuse


def open_file(page, path: str) -> None:
    """Open a file in JupyterLab; a notebook's kernel is ready afterwards."""
    page.evaluate(OPEN, path)


def screenshot(page, name: str, **settings) -> None:
    """Keep a picture of what the page shows, for people to look at: test-artefacts/<name>.png.

    The environment variable TEST_ARTEFACTS names another folder.
    """
    folder = Path(os.environ.get("TEST_ARTEFACTS", ROOT / "test-artefacts"))
    page.screenshot(path=folder / f"{name}.png", **settings)


@contextmanager
def pulse(server: str) -> Iterator[list[float]]:
    """Ask the server something light all the while; gives the seconds that each answer took."""
    waits, over = [], threading.Event()

    def ask():
        while not over.wait(0.02):
            started = time.monotonic()
            urllib.request.urlopen(f"{server}/api").close()
            waits.append(time.monotonic() - started)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield waits
    finally:
        over.set()
        asking.join()
