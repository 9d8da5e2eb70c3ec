"""The attackers' common tools. Each hostile submission gets a copy, as `mha_lib/kit.py`.

Below this text the stage (tests/hostile_stage.py) writes where everything is: an attacker is
assumed to know every path, process and port. What he does not know is what they hold.
"""

import ctypes
import os


class Got(Exception):
    """An attack has reached what it was after; the message goes into the feedback."""


def got(what):
    raise Got(f"GOT {what}")


def call(number, *arguments):
    """A system call by its number, past whatever the C library or Python would say to it."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(ctypes.c_long(number), *map(word, arguments))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def word(value):
    """What goes into a register."""
    if isinstance(value, int):
        return ctypes.c_long(value)
    return ctypes.c_char_p(value) if isinstance(value, bytes) else value


def parent():
    """The warm process that this one was forked from."""
    if os.getppid() < 2:
        raise ProcessLookupError("no parent within sight")
    return os.getppid()


def pipes():
    """Descriptors of the pipe to the grader: (to read from, to write to)."""
    import fcntl

    found = {}
    for number in range(3, 256):
        try:
            flags = fcntl.fcntl(number, fcntl.F_GETFL)
            if os.readlink(f"/proc/self/fd/{number}").startswith(("pipe:", "socket:")):
                found[flags & os.O_ACCMODE] = number
        except OSError:
            continue
    return found.get(os.O_RDONLY, 3), found.get(os.O_WRONLY, 4)


def wanted(scores, dim):
    """The right answer, for attacks that attack something else."""
    import torch

    return torch.softmax(scores, dim)
