"""Set-up: one list of dependencies, one lock, and a sentence for an old Python."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions, version
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import bootstrap

ROOT = Path(__file__).resolve().parents[1]


def test_environment_yml_is_thin():
    """Python, pip and this project, with the lock: pyproject.toml alone lists dependencies."""
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    python, pip, inside = dependencies
    assert re.fullmatch(r"python=3\.\d+", python) and pip == "pip"
    cpu_wheel = f"--extra-index-url {bootstrap.CPU_INDEX}"
    assert inside == {"pip": ["--constraint requirements.lock", cpu_wheel, "-e ."]}


def test_the_lock_pins_every_dependency_and_is_what_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.lock").read_text()
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", lock, re.MULTILINE))
    pins = {name.lower().replace("_", "-"): pin for name, pin in pins.items()}
    wanted = [*project["dependencies"], *project["optional-dependencies"]["author"]]
    for name in (Requirement(w).name for w in wanted):
        assert version(name).split("+")[0] == pins[name.lower()], name


def test_every_pin_admits_the_oldest_python_that_is_promised():
    """Debian 12 has 3.11.2; a pin that wants 3.11.5 makes the set-up fail there."""
    for distribution in distributions():
        wanted = SpecifierSet(distribution.metadata.get("Requires-Python", ""))
        assert wanted.contains("3.11.0"), f"{distribution.metadata['Name']} wants {wanted}"


def test_an_old_python_gets_a_sentence():
    code = "import sys; sys.version_info = (3, 8); import bootstrap; bootstrap.main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer; this is Python 3.8" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_index_is_given_up_at_once():
    assert bootstrap.reachable("http://127.0.0.1:9/whl/cpu/torch/") is False
