"""What a runner gives up before it sees submitted code, and the proof that it is gone.

`confine` runs in the runner itself, a fresh fork. What it takes away cannot be taken back:
resources beyond a limit, root's rights, all files but Python's own (Landlock), and all system calls
but those that arithmetic needs (seccomp). `open_doors` then tries a small escape of each class, so
that the grader learns of a sandbox that does not hold before a learner's code is loaded.
"""

import ctypes
import os
import signal
import socket
import struct
import sys
import sysconfig
from contextlib import suppress
from functools import cache
from pathlib import Path

from . import landlock, seccomp
from .limits import Limits

ROOT = Path(__file__).resolve().parent.parent  # the repository, or site-packages
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CAPABILITY_VERSION = 0x20080522
SPARE_USERS = range(61184, 65520)  # numbers that systemd keeps for services without an account


# A GPU's driver reserves address space far beyond the memory there is, starts threads, opens a
# file for everything, and maps large ones.
NOT_WITH_A_GPU = ("RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_FSIZE")


def confine(limits: Limits, *, sandboxed: bool, on_gpu: bool = False) -> None:
    """Give up what submitted code must not have.

    Args:
        sandboxed: False leaves files, processes and the network open: only resources are bounded.
        on_gpu: leave out the bounds that a GPU's driver breaks.

    Raises:
        OSError: if a layer cannot be put on.
    """
    prepare()
    if hasattr(os, "register_at_fork"):  # a copy of this process would answer a second time
        os.register_at_fork(after_in_child=lambda: os._exit(1))
    _bound(limits, NOT_WITH_A_GPU if on_gpu else ())
    if not sandboxed:
        die_with_the_parent()
        return
    readable = readable_paths(tuple(sys.path))
    _become_somebody_else(readable)
    die_with_the_parent()  # changing the user would undo it
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(struct.pack("=Ii", CAPABILITY_VERSION, 0), bytes(24)):  # none of any kind
        raise OSError(ctypes.get_errno(), "root's capabilities stay")
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) or libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError("not dumpable and no new privileges: refused by the kernel")
    landlock.apply([*readable, Path("/dev/urandom")], [Path("/dev/null")])
    seccomp.apply()


def prepare() -> None:
    """Take the repository, with the reference, off the places that `import` looks at.

    The warm process does it once, so that there is next to nothing left to do in its forks.
    """
    package = sys.modules[__package__]
    if not is_installed():
        sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != ROOT]
        package.__path__ = []
    sys.path_importer_cache.clear()
    os.environ.clear()
    readable_paths(tuple(sys.path))


def is_installed() -> bool:
    """In site-packages, that is: a wheel, which has no reference, and other packages beside it."""
    return ROOT.name in ("site-packages", "dist-packages")


@cache
def readable_paths(search: tuple[str, ...]) -> list[Path]:
    """What Python and PyTorch may still want to read after they are imported.

    Args:
        search: `sys.path` of an interpreter that was started with -I.
    """
    entries = [Path(entry) for entry in search]
    entries += [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib")]
    entries += [Path(prefix) / "lib" for prefix in (sys.base_prefix, sys.prefix)]
    entries += [Path(entry) for entry in os.environ.get("LD_LIBRARY_PATH", "").split(":") if entry]
    entries += [Path(p) for p in ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache")]
    mine = set() if is_installed() else {ROOT, *ROOT.parents}
    kept = (path for path in entries if path.resolve() not in mine and path.exists())
    return list(dict.fromkeys(kept))


def _bound(limits: Limits, without: tuple[str, ...]) -> None:
    try:
        import resource
    except ImportError:  # Windows: only wall time is bounded there
        return
    bounds = {
        "RLIMIT_CPU": (limits.cpu_seconds, limits.cpu_seconds + 1),  # a signal, then the end
        "RLIMIT_AS": (limits.memory_bytes,) * 2,
        "RLIMIT_FSIZE": (limits.file_bytes,) * 2,
        "RLIMIT_NOFILE": (64, 64),
        "RLIMIT_NPROC": (0, 0),  # no new process or thread
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_MSGQUEUE": (0, 0),
    }
    for name, bound in bounds.items():
        if hasattr(resource, name) and name not in without:
            resource.setrlimit(getattr(resource, name), bound)


def _become_somebody_else(needed: list[Path]) -> None:
    """As root, turn into a user who owns nothing, if that user can read what is needed."""
    if os.getuid() != 0:
        return
    user = SPARE_USERS[os.getpid() % len(SPARE_USERS)]
    try:
        os.seteuid(user)
    except OSError:  # in a user namespace that has no such number: it owns nothing outside anyway
        return
    reachable = all(os.access(path, os.R_OK, effective_ids=True) for path in needed)
    os.seteuid(0)
    if reachable:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def die_with_the_parent() -> None:
    """Ask Linux to kill this process when the one that made it goes, however it goes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def open_doors() -> list[str]:
    """Try a small escape of each class and name those that work: none, in a sandbox that holds."""
    return [name for name, attempt in ESCAPES.items() if _works(attempt)]


def _works(attempt) -> bool:
    with suppress(OSError):
        return attempt() is not False
    return False


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def _write_file() -> None:
    path = f"/tmp/autograde-{os.getpid()}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.unlink(path)


def _network() -> None:
    socket.socket().close()


ESCAPES = {
    "reading the users of this machine": lambda: os.close(os.open("/etc/passwd", os.O_RDONLY)),
    "listing files": lambda: os.listdir("/"),
    "writing a file": _write_file,
    "changing a file's mode": lambda: os.chmod("/tmp", os.stat("/tmp").st_mode),
    "a socket": _network,
    "seeing other processes": lambda: os.close(os.open("/proc/1/status", os.O_RDONLY)),
    "a new process": _fork,
    "a signal to the parent": lambda: os.kill(os.getppid(), 0),
}
