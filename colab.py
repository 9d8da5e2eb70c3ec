"""Set the course up in a Colab runtime; the first cell of a notebook runs this.

Colab's own PyTorch, NumPy and IPython stay as they are: only what notebooks import and Colab lacks
is fetched, in the versions of requirements.lock.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).resolve().parent
DRIVE = Path("/content/drive/MyDrive")  # where Colab mounts a learner's Google Drive
NOT_IMPORTED = {"jupyterlab", "jupytext", "latex2mathml", "nbclient", "nbformat", "nbgrader"}
LOST = """\
Colab deletes them when the runtime ends. To keep them: mount your Google Drive (the list of files
has a button for it), restart the session and run the notebook again from its first cell. Then they
lie in your Drive, with what you have written so far."""
KEPT = "They lie in your Google Drive, and outlive the runtime there."


def main():
    if pins := missing():
        install(pins)
    folder = working_folder()
    sys.path.append(str(HERE))
    os.chdir(folder)
    print(f"The files to fill in are in {folder / 'mha_lib'}: a double click in the list of files")
    print("(the folder at the left) opens one, and Ctrl + S saves it.")
    print(KEPT if folder != HERE else LOST)


def missing():
    """List the packages that notebooks import and that are not there or too old: name==version."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (HERE / "requirements.lock").read_text(encoding="utf-8")
    pins = {pin.partition("==")[0].lower(): pin for pin in re.findall(r"^\S+==\S+$", lock, re.M)}
    needs = map(Requirement, project["dependencies"])
    wanted = [need for need in needs if need.name not in NOT_IMPORTED and not satisfied(need)]
    return [pins[need.name] for need in wanted]


def satisfied(requirement):
    try:
        return version(requirement.name) in requirement.specifier
    except PackageNotFoundError:
        return False


def install(pins):
    """Fetch packages without their dependencies, so that nothing of Colab's is replaced."""
    print(f"Fetching {', '.join(pins)} …")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *pins], check=True
    )


def working_folder():
    """Find the folder for `mha_lib` and the records of progress: in the Drive where there is one.

    What lies there already is the learner's and stays; the rest is copied there.
    """
    if not DRIVE.is_dir():
        return HERE
    kept = DRIVE / HERE.name
    for file in [*HERE.glob("mha_lib/*.py"), *HERE.glob(".progress/*.json")]:
        target = kept / file.relative_to(HERE)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return kept


if __name__ == "__main__":
    main()
