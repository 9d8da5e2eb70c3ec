"""The files a runner may open, as rules in the kernel (Linux Landlock): all others are closed.

Landlock also takes away TCP (from its fourth version on) and signals and abstract sockets across
the border (from its sixth). It asks for no privilege. It does not hide names: a process that knows
a path can still ask for a file's size and times.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every architecture
VERSION = 1  # a flag of create_ruleset
PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
READ = READ_FILE | READ_DIR
# All rights over files that a version knows: 13, REFER added by 2, TRUNCATE by 3, IOCTL_DEV by 5.
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
TCP = 0b11  # bind, connect
SCOPES = 0b11  # abstract sockets, signals

_libc = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


def version() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    if platform.system() != "Linux":
        return 0
    return max(_libc.syscall(CREATE_RULESET, None, 0, VERSION), 0)


def apply(read: Iterable[Path], write: Iterable[Path]) -> None:
    """Close all files to this process but those at or below `read`, and `write`, for good.

    Needs no_new_privs. Paths that do not exist are left out.

    Raises:
        OSError: if the kernel has no Landlock or refuses.
    """
    ruleset = _create_ruleset()
    try:
        for paths, rights in ((read, READ), (write, READ_FILE | WRITE_FILE)):
            for path in paths:
                if path.exists():
                    _allow(ruleset, path, rights if path.is_dir() else rights & ~READ_DIR)
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _create_ruleset() -> int:
    abi = version()
    if not abi:
        raise OSError("this kernel has no Landlock")
    fields = [(1 << RIGHTS[min(abi, 5)]) - 1]
    fields += [TCP] if abi >= 4 else []
    fields += [SCOPES] if abi >= 6 else []
    attributes = struct.pack(f"{len(fields)}Q", *fields)
    return _call(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _call(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments) -> int:
    answer = _libc.syscall(number, *arguments)
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return answer
