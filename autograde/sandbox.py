"""What holds the untrusted runner: the one place for every bound on submitted code.

Today: a process and session of its own, an empty environment, a scratch folder, rlimits, and wall
time kept by the trusted side. These bound what a submission uses up, not what it may read: a file
that the grader's user can open, a submission can open too. Isolation of files, processes and the
network belongs here, in `start` (how the process starts) and `confine` (what it gives up before
it loads submitted code).
"""

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import warm


@dataclass(frozen=True)
class Limits:
    """Bounds on one runner process; seconds and bytes."""

    call_seconds: float = 10.0
    load_seconds: float = 20.0
    cpu_seconds: int = 60
    memory_bytes: int = 4 * 2**30
    file_bytes: int = 2**20


START_SECONDS = 60.0  # importing PyTorch on a busy machine: the grader's time, not the learner's


Process = subprocess.Popen | warm.Child


def start(scratch: Path) -> Process:
    """Start a runner; it speaks over its stdin and stdout.

    Raises:
        OSError: if no process can be started.
    """
    if warm.supported():
        return warm.nursery(_environment(Path("/"))).fork(scratch)
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "autograde.runner"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=scratch,
        env=_environment(scratch),
        start_new_session=True,
    )


def stop(process: Process) -> None:
    """Kill a runner and whatever it started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):  # what was left to write has nowhere to go
            stream.close()


def confine(limits: Limits) -> None:
    """Give up, inside the runner, what submitted code must not have."""
    # An editable installation puts the whole repository, with the reference, on the path.
    root = Path(__file__).resolve().parent.parent
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != root]
    _die_with_the_parent()
    if hasattr(os, "register_at_fork"):  # a copy of this process would answer a second time
        os.register_at_fork(after_in_child=lambda: os._exit(1))
    try:
        import resource
    except ImportError:  # Windows: only wall time is bounded there
        return
    bounds = {
        "RLIMIT_CPU": limits.cpu_seconds,
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NPROC": 0,  # no new process or thread
        "RLIMIT_CORE": 0,
    }
    for name, bound in bounds.items():
        if hasattr(resource, name):
            resource.setrlimit(getattr(resource, name), (bound, bound))


def _die_with_the_parent() -> None:
    """Ask Linux to kill this process when the one that made it goes, however it goes."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def death(process: Process, limits: Limits) -> str:
    """Say in a sentence why a runner is gone."""
    try:
        code = process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return "it closed the pipe to the grader and was stopped."
    if hasattr(signal, "SIGXCPU") and code == -signal.SIGXCPU:
        return f"it used more than {limits.cpu_seconds} s of processor time and was stopped."
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}."
    return f"the process ended itself (exit code {code}): a function should return or raise."


def _environment(scratch: Path) -> dict[str, str]:
    kept = {
        name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ
    }
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**kept, **threads, "HOME": str(scratch), "TMPDIR": str(scratch), "LC_ALL": "C.UTF-8"}
