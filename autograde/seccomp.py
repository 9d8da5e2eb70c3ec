"""The system calls a runner may make: an allow list, as a filter in the kernel (Linux seccomp).

What is not listed fails with "Operation not permitted": sockets, new processes and threads, execve,
ptrace, signals to others, changes to any file's name, mode, owner or times, mounts, namespaces,
shared memory, keys, io_uring, bpf and whatever a later kernel adds. Which files may be opened is
Landlock's part. The filter is a classic BPF program made here: it needs no library.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Iterator
from errno import EPERM

# name: number on x86-64, number on aarch64 (None where that architecture has no such call)
SYSCALLS: dict[str, tuple[int, int | None]] = {
    "brk": (12, 214),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "mincore": (27, 232),
    "membarrier": (324, 283),
    "read": (0, 63),
    "readv": (19, 65),
    "pread64": (17, 67),
    "preadv": (295, 69),
    "write": (1, 64),
    "writev": (20, 66),
    "pwrite64": (18, 68),
    "lseek": (8, 62),
    "close": (3, 57),
    "close_range": (436, 436),
    "open": (2, None),
    "openat": (257, 56),
    "stat": (4, None),
    "lstat": (6, None),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "fcntl": (72, 25),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "pipe": (22, None),
    "pipe2": (293, 59),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getpgrp": (111, None),
    "getpgid": (121, 155),
    "getsid": (124, 156),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getresuid": (118, 148),
    "getresgid": (120, 150),
    "getgroups": (115, 158),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "getcpu": (309, 168),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "futex": (202, 98),
    "getrandom": (318, 278),
    "getrlimit": (97, 163),
    "prlimit64": (302, 261),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "ioctl": (16, 29),
}
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # audit's name, column

TCGETS, FIONCLEX, FIOCLEX = 0x5401, 0x5450, 0x5451  # ioctl: is it a terminal, close on exec
FCNTL = (0, 1, 2, 3, 4, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC

LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | EPERM, 0x80000000
PR_SET_SECCOMP, FILTER = 22, 2


def supported() -> bool:
    """Whether this machine has a table here; the kernel's part shows when the filter is set."""
    return platform.system() == "Linux" and platform.machine() in ARCHITECTURES


def apply() -> None:
    """Put the filter on this process, for good.

    Raises:
        OSError: if the kernel takes no filter.
    """
    code = program(platform.machine(), os.getpid())
    buffer = ctypes.create_string_buffer(code)
    header = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))  # struct sock_fprog
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, FILTER, header, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def program(machine: str, pid: int) -> bytes:
    """The filter for a process on a machine, as an array of struct sock_filter."""
    audit, column = ARCHITECTURES[machine]
    lines = [_load(ARCHITECTURE), _jump(audit, 1, 0), _return(KILL), _load(NUMBER)]
    for name, numbers in SYSCALLS.items():
        number = numbers[column]
        if number is not None:
            body = list(_verdict(name, pid))
            lines += [_jump(number, 0, len(body)), *body]
    return b"".join([*lines, _return(REFUSE)])


def _verdict(name: str, pid: int) -> Iterator[bytes]:
    """What to do with a listed call: allow it, or only with these values of an argument."""
    only = {
        "kill": (0, (pid,)),
        "tgkill": (0, (pid,)),
        "sched_getaffinity": (0, (0, pid)),
        "ioctl": (1, (TCGETS, FIONCLEX, FIOCLEX)),
        "fcntl": (1, FCNTL),  # F_SETOWN would let the kernel send a signal in our name
    }
    if name == "prlimit64":  # reading limits only: no new ones, whose address is the third argument
        yield from (_load(ARGUMENTS + 16), _jump(0, 1, 0), _return(REFUSE))
        yield from (_load(ARGUMENTS + 20), _jump(0, 1, 0), _return(REFUSE))
    elif name in only:
        argument, values = only[name]
        yield _load(ARGUMENTS + 8 * argument)
        for value in values:
            yield from (_jump(value, 0, 1), _return(ALLOW))
        yield _return(REFUSE)
        return
    yield _return(ALLOW)


def _load(offset: int) -> bytes:
    return struct.pack("HBBI", LOAD, 0, 0, offset)


def _jump(value: int, if_equal: int, if_not: int) -> bytes:
    return struct.pack("HBBI", JUMP_IF_EQUAL, if_equal, if_not, value)


def _return(action: int) -> bytes:
    return struct.pack("HBBI", RETURN, 0, 0, action)
