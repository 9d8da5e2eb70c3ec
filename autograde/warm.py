"""A warm process that has imported PyTorch once and forks a fresh runner for each submission.

Importing PyTorch takes a second and more; a fork takes milliseconds. The warm process holds nothing
secret: it knows the runner's modules and never sees a submission, a case or a result. It does no
arithmetic before a fork, because a copy of a process whose thread pools have started can hang.

Runners are named by the number that they have for the warm process, which may live in a process
namespace of its own: so it is the warm process that waits for them and kills them.
"""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

RUNNING = "running"  # in place of an exit code
ANSWER_SECONDS = 60.0  # PyTorch's import on a busy machine; afterwards an answer takes milliseconds


class Child:
    """A forked runner, with the part of `subprocess.Popen`'s interface that the grader uses."""

    def __init__(self, pid: int, nursery: "Nursery", stdin: int, stdout: int):
        self.pid, self.nursery = pid, nursery
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code, negative for a signal.

        Raises:
            subprocess.TimeoutExpired: if it still runs after `timeout` seconds.
        """
        started = time.monotonic()
        while self.returncode is None:
            answer = self.nursery.request({"wait": self.pid})
            if answer != RUNNING:
                self.returncode = answer
            elif timeout is not None and time.monotonic() - started > timeout:
                raise subprocess.TimeoutExpired("runner", timeout)
            else:
                time.sleep(0.002)
        return self.returncode

    def kill(self) -> None:
        """End it; it is gone when this returns."""
        if self.returncode is None:
            self.returncode = self.nursery.request({"kill": self.pid})


class Nursery:
    """The trusted side's handle on the warm process.

    Args:
        wrapper: a command to start it with, which puts it into namespaces of its own.
    """

    def __init__(self, wrapper: list[str], environment: dict[str, str]):
        self.control, theirs = socket.socketpair()
        self.control.settimeout(ANSWER_SECONDS)
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-I", "-m", "autograde.warm", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def fork(self) -> Child:
        """Fork a runner.

        Raises:
            OSError: if the warm process is gone, or does not answer.
        """
        their_in, my_out = os.pipe()
        my_in, their_out = os.pipe()
        try:
            pid = self.request({"fork": True}, [their_in, their_out])
        except OSError:
            os.close(my_in)
            os.close(my_out)
            raise
        finally:
            os.close(their_in)
            os.close(their_out)
        return Child(pid, self, my_out, my_in)

    def request(self, message: dict, descriptors: tuple | list = ()):
        with self.lock:
            try:
                socket.send_fds(self.control, [json.dumps(message).encode()], descriptors)
                answer = self.control.recv(4096)
            except TimeoutError:  # an answer that comes later would be taken for the next one
                self.process.kill()
                raise
        if not answer:
            raise ConnectionError("the warm process is gone")
        return json.loads(answer)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


def main() -> None:
    """The warm process: import, then fork on request until the grader is gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    from . import confine, runner

    confine.prepare()
    gc.freeze()  # a collection in a fork would copy all that is here, page by page

    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 4096, 2)
        if not data:
            return
        match json.loads(data):
            case {"fork": True}:
                answer = _fork(descriptors, control, runner.main)
            case {"wait": int(pid)}:
                answer = _exit_code(pid)
            case {"kill": int(pid)}:
                answer = _kill(pid)
        control.send(json.dumps(answer).encode())


def _fork(descriptors: list[int], control: socket.socket, run) -> int:
    threads = os.listdir("/proc/self/task")
    if len(threads) > 1:
        raise RuntimeError(f"{len(threads)} threads in the warm process: a fork could hang")
    pid = os.fork()
    if pid:
        for descriptor in descriptors:
            os.close(descriptor)
        return pid
    try:  # the child never returns from here
        control.close()
        os.setsid()
        for descriptor, place in zip(descriptors, (0, 1), strict=True):
            os.dup2(descriptor, place)
            os.close(descriptor)
        run()
    finally:
        os._exit(1)


def _exit_code(pid: int) -> int | str:
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # waited for before
        return 0
    return os.waitstatus_to_exitcode(status) if done else RUNNING


def _kill(pid: int) -> int:
    """Kill a runner and its process group; it is our child, so the number is still its own."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:  # waited for before
        return 0


if __name__ == "__main__":
    main()
