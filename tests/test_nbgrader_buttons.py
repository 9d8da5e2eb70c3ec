"""The formgrader's slow buttons in a process of their own; test_round.py presses them."""

import asyncio
import json
import sys
from pathlib import Path

import autograde.nbgrader
from autograde.nbgrader.buttons import BUTTONS, Worker

SETTINGS = Path(autograde.nbgrader.__file__).parent / "jupyter_server_config.json"


def test_the_extension_is_switched_on_where_jupyter_looks():
    installed = Path(sys.prefix) / "etc/jupyter/jupyter_server_config.d/autograde.json"
    assert installed.exists(), "install the course with pip install -e ."
    assert installed.read_text() == SETTINGS.read_text()
    extensions = json.loads(SETTINGS.read_text())["ServerApp"]["jpserver_extensions"]
    assert extensions == {"autograde.nbgrader.buttons": True}


def test_the_extension_comes_before_nbgraders_own():
    """Jupyter Server loads extensions by name, and the handler that was added first answers."""
    from nbgrader.server_extensions.formgrader import apihandlers

    assert apihandlers.__name__ > "autograde.nbgrader.buttons"
    addresses = {address for address, _ in apihandlers.default_handlers}
    assert set(BUTTONS) <= addresses, "nbgrader's own handlers have other addresses now"


def test_a_process_that_dies_is_told_of_and_replaced(tmp_path):
    async def twice():
        worker = Worker()
        dies = await worker.do("autograde", ("a", "b"), None)  # no place
        works = await worker.do("generate_assignment", ("absent",), place)
        worker.stop()
        return dies, works

    place = {"config_dir": str(tmp_path), "load_cwd_config": False, "root": str(tmp_path)}
    dies, works = asyncio.run(twice())
    assert not dies["success"] and "died" in dies["error"]
    assert "died" not in works["error"]
    assert "absent" in works["log"]
