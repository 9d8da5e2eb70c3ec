"""What holds the untrusted runner: which layers this machine has, and how a runner starts.

Every runner is a fresh fork that gives up what it must not have (`confine`): Landlock and seccomp
are required, another user comes on top for root. The process that it is forked from lives in
namespaces of its own where the machine allows it, so that other processes, the network and all
files but Python's own are not there at all. The modes, the strongest first:

    bubblewrap   namespaces made by bubblewrap, with a file system of Python's own files only
    namespaces   namespaces made by util-linux's unshare: processes, network, host name, IPC
    landlock     no namespaces: what containers allow in which user namespaces are closed
    off          bounds on resources and nothing else: for people you trust

"auto" is the strongest that works here.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from shutil import which

import torch

from attention_lab.device import best_device

from . import confine, landlock, seccomp, warm
from .errors import AutogradeError
from .limits import Limits

MODES = ("bubblewrap", "namespaces", "landlock", "off")
OFF = "off"
DEVICES = ("auto", "cpu", "cuda", "mps")
START_SECONDS = 60.0  # importing PyTorch on a busy machine: the grader's time, not the learner's

WORDS = {
    "bubblewrap": "bubblewrap, Landlock and seccomp",
    "namespaces": "namespaces, Landlock and seccomp",
    "landlock": "Landlock and seccomp",
    "off": "none: submitted code can read and change what you can",
}

Process = subprocess.Popen | warm.Child


def choose(mode: str | None = None) -> str:
    """The mode to grade in.

    Args:
        mode: one of MODES; None or "auto" for the strongest that works on this machine.

    Raises:
        AutogradeError: if there is no such mode, or it does not work here; the message says what to
            install, and how to grade without.
    """
    if mode in (None, "auto"):
        if not (working := available()):
            raise AutogradeError(refusal())
        return working[0]
    if mode not in MODES:
        raise AutogradeError(f"There is no sandbox {mode!r}; there are auto, {', '.join(MODES)}.")
    if mode != OFF and mode not in available():
        raise AutogradeError(f"The sandbox {mode!r} does not work here. {refusal()}")
    return mode


@cache
def available() -> tuple[str, ...]:
    """The sandboxes that work on this machine, the strongest first; found out by trying."""
    if missing_layers():
        return ()
    return tuple(mode for mode in MODES if mode != OFF and _wrapper(mode) is not None)


def missing_layers() -> list[str]:
    """What is required and not here."""
    if sys.platform != "linux":
        return ["Linux"]
    layers = {"Landlock": landlock.version() > 0, "seccomp": seccomp.supported()}
    return [name for name, here in layers.items() if not here]


def refusal() -> str:
    """Why no sandbox works here, what would help, and how to do without."""
    missing = missing_layers()
    if missing:
        why = (
            f"Submitted code can't be held here: {' and '.join(missing)} missing. Grade on Linux "
            "5.13 or later, on x86-64 or aarch64, with Landlock enabled (a container or virtual "
            "machine will do)."
        )
    else:
        why = f"What works: {', '.join(available())}. For bubblewrap: apt install bubblewrap."
    return (
        f"{why} To grade people you trust without a sandbox: autograde grade --no-sandbox, or "
        "nbgrader autograde --GradeExercises.sandbox=off."
    )


def choose_device(wanted: str, mode: str) -> str:
    """The device to call submitted functions on.

    No sandbox opens the way to a GPU: its driver takes whatever orders reach it, and needs threads
    and address space without bound.

    Args:
        wanted: "auto" (a GPU where there is one and no sandbox, or else the CPU), "cpu", "cuda" or
            "mps".
        mode: the sandbox.

    Raises:
        AutogradeError: if there is no such device, or the sandbox does not let it be used.
    """
    if wanted not in DEVICES:
        raise AutogradeError(f"There is no device {wanted!r}; there are {', '.join(DEVICES)}.")
    if mode != OFF:
        if wanted in ("auto", "cpu"):
            return "cpu"
        raise AutogradeError(
            f"The sandbox keeps submitted code away from a GPU: --device {wanted} needs "
            "--no-sandbox, for submissions of people you trust. Scores are the same on the CPU."
        )
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": best_device() == "mps"}
    if not here.get(wanted, True):
        raise AutogradeError(f"PyTorch finds no device {wanted!r} here.")
    return best_device(wanted)


def describe(mode: str) -> str:
    """The sandbox in one line."""
    return f"Sandbox: {WORDS[mode]}."


def start(mode: str) -> Process:
    """Start a runner; it speaks over its stdin and stdout.

    Raises:
        OSError: if no process can be started.
    """
    if sys.platform == "linux":
        return _nursery(mode).fork()
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "autograde.runner"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,
    )


_nurseries: dict[str, warm.Nursery] = {}


def _nursery(mode: str) -> warm.Nursery:
    """This process's warm process for a mode, started when it is first needed or has died.

    Forking a process with PyTorch loaded is sound on Linux; elsewhere runners start cold.
    """
    if mode not in _nurseries or not _nurseries[mode].alive:
        _nurseries[mode] = warm.Nursery(_wrapper(mode) or [], _environment())
    return _nurseries[mode]


def kill(process: Process) -> None:
    """Kill a runner and whatever it started."""
    if isinstance(process, subprocess.Popen) and hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(OSError):  # a warm process that is gone took its runners with it
        process.kill()
        process.wait()


def stop(process: Process) -> None:
    """Kill a runner and close its pipes."""
    kill(process)
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):  # what was left to write has nowhere to go
            stream.close()


def death(process: Process, limits: Limits) -> str:
    """Say in a sentence why a runner is gone."""
    try:
        code = process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return "it closed the pipe to the grader and was stopped."
    if hasattr(signal, "SIGXCPU") and code == -signal.SIGXCPU:
        return f"it used more than {limits.cpu_seconds} s of processor time and was stopped."
    if code < 0:
        names = {int(one): one.name for one in signal.Signals}
        return f"the process was ended by {names.get(-code, f'signal {-code}')}."
    return f"the process ended itself (exit code {code}): a function should return or raise."


@cache
def _wrapper(mode: str) -> list[str] | None:
    """The command that a mode's warm process is started with; None if it does not work here."""
    if mode in ("landlock", OFF):
        return []
    candidates = {"bubblewrap": _bubblewrap, "namespaces": _unshare}[mode]()
    return next((command for command in candidates if _runs(command)), None)


def _runs(command: list[str]) -> bool:
    probe = [*command, sys.executable, "-I", "-S", "-c", ""]
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "cwd": "/"}
    with suppress(OSError, subprocess.TimeoutExpired):
        return (
            subprocess.run(probe, env=_environment(), timeout=START_SECONDS, **quiet).returncode
            == 0
        )
    return False


def _bubblewrap() -> list[list[str]]:
    """Commands to try: as root, so that a runner can become another user, or else without."""
    program = which("bwrap")
    if not program:
        return []
    seen = [*confine.readable_paths(_search_path()), *_interpreter(), *_runner_files()]
    binds = [word for path in seen for word in ("--ro-bind", str(path), str(path))]
    common = ["--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev", *binds]
    common += ["--remount-ro", "/", "--chdir", "/", "--"]
    namespaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    as_root = [[program, *namespaces, *common]] if os.getuid() == 0 else []
    return [*as_root, [program, "--unshare-all", *common]]


def _unshare() -> list[list[str]]:
    program = which("unshare")
    if not program:
        return []
    common = ["--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    as_root = [[program, *common]] if os.getuid() == 0 else []
    return [*as_root, [program, "--user", "--map-current-user", *common]]


def _search_path() -> tuple[str, ...]:
    """`sys.path` as the warm process has it; ours may hold the working directory and more."""
    code = "import json, sys; print(json.dumps(sys.path))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    return tuple(json.loads(done.stdout))


def _interpreter() -> list[Path]:
    """What the interpreter needs in order to start, besides its libraries."""
    program = Path(sys.executable)
    settings = program.parent.parent / "pyvenv.cfg"
    found = [program, program.resolve(), *([settings] if settings.exists() else [])]
    return list(dict.fromkeys(found))


def _runner_files() -> list[Path]:
    """The modules of this package, and none of its folders: no exercises, no recorded cases."""
    return sorted(Path(__file__).parent.glob("*.py")) if not confine.is_installed() else []


def _environment() -> dict[str, str]:
    names = ("SYSTEMROOT", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**kept, **threads, "HOME": "/", "LC_ALL": "C.UTF-8"}
