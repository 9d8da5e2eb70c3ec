"""Make .venv and install the course into it: `python3 bootstrap.py`.

Needs nothing but Python. Versions come from requirements.lock. On Linux without an NVIDIA driver,
PyTorch's CPU wheel (0.2 GB) is fetched from PyTorch's own index where that can be reached; the
default wheel brings CUDA along (2.7 GB).
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
LOCK = os.path.join(HERE, "requirements.lock")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def main():
    # Old syntax on purpose: an old Python must get as far as this sentence.
    if sys.version_info < (3, 11):
        sys.exit(
            "This course needs Python 3.11 or newer; this is Python %d.%d. Name another one, "
            "for example: make PYTHON=python3.12 lab" % sys.version_info[:2]
        )
    make_venv()
    if wants_cpu_wheel():
        install_cpu_torch()
    pip("install", "--constraint", LOCK, "--editable", HERE + "[author]")
    keep_jupyterlab_quiet()
    with open(os.path.join(VENV, ".ready"), "w"):
        pass


def make_venv():
    if os.path.isfile(python()):
        return
    made = subprocess.run([sys.executable, "-m", "venv", VENV])
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit("Python could not make a virtual environment. On Debian: apt install python3-venv")


def python():
    folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return os.path.join(VENV, folder, name)


def pip(*arguments, check=True):
    command = [python(), "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command)
    if check and done.returncode:
        sys.exit(
            "Installing failed; pip says why above. If it was the network, run the command again."
        )
    return done.returncode == 0


def keep_jupyterlab_quiet():
    """No question about news and updates in front of the first notebook, in this .venv only."""
    folder = os.path.join(VENV, "share", "jupyter", "lab", "settings")
    os.makedirs(folder, exist_ok=True)
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    with open(os.path.join(folder, "overrides.json"), "w") as settings:
        json.dump({"@jupyterlab/apputils-extension:notification": quiet}, settings)


def wants_cpu_wheel():
    """Only Linux's default wheel brings CUDA along."""
    no_card = platform.system() == "Linux" and not shutil.which("nvidia-smi")
    here = subprocess.run([python(), "-c", "import torch"], stderr=subprocess.DEVNULL)
    return no_card and here.returncode != 0 and reachable(CPU_INDEX + "/torch/")


def reachable(address):
    try:
        with urllib.request.urlopen(address, timeout=3) as answer:
            return answer.status == 200
    except OSError:
        return False


def install_cpu_torch():
    with open(LOCK) as lock:
        pin = re.search(r"^torch==\S+", lock.read(), re.MULTILINE).group()
    if not pip(
        "install", "--index-url", CPU_INDEX, "--retries", "0", "--no-deps", pin, check=False
    ):
        print("PyTorch's own index did not deliver: fetching the default wheel instead.")


if __name__ == "__main__":
    main()
