"""Prove the sandbox: a submission that tries a small escape of each class, in a real runner."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from .calls import Outcome
from .confine import ROOT
from .limits import Limits
from .loading import PACKAGE, read_package
from .session import Session

LIMITS = Limits(call_seconds=5.0)

# Each function tries something and returns if it worked.
ESCAPES = """
import os, socket, threading

def read_the_home_folder(home):
    return len(os.listdir(home))

def read_the_reference(repository):
    with open(repository + "/autograde/exercises/entry.py") as file:
        return len(file.read())

def write_a_file(folder):
    with open(folder + "/written", "w") as file:
        return file.write("x")

def change_the_mode_of_a_file(folder):
    os.chmod(folder, 0o700)

def open_a_socket():
    socket.socket().close()

def see_the_grader(grader):
    with open(f"/proc/{grader}/status") as file:
        return len(file.read())

def signal_the_grader(grader):
    os.kill(grader, 0)

def signal_the_parent():
    os.kill(os.getppid(), 0)

def start_a_process():
    if os.fork() == 0:
        os._exit(0)

def start_a_thread():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()

def start_a_program():
    os.posix_spawn("/bin/sh", ["sh", "-c", "true"], {})

def use_too_much_memory(limit):
    return len(bytearray(limit))

def take_too_long():
    while True:
        pass

def answer_too_much():
    return "x" * 100_000_000
"""


BOUNDS = {"use_too_much_memory", "take_too_long", "answer_too_much"}  # to be stopped is right


@dataclass(frozen=True)
class Finding:
    """What came of one attempt: whether the sandbox held, and what the attempt was told."""

    attempt: str
    held: bool
    told: str


def examine(mode: str) -> Iterator[Finding]:
    """Try one escape after the other in a runner of the given mode.

    Raises:
        GraderFault: if no runner starts.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / PACKAGE).mkdir()
        (folder / PACKAGE / "doctor.py").write_text(ESCAPES)
        known = {
            "home": str(Path.home()),
            "repository": str(ROOT),
            "folder": name,
            "grader": os.getpid(),
            "limit": LIMITS.memory_bytes,
        }
        space: dict = {}
        exec(ESCAPES, space)  # our own text above: for the names and arguments of the functions
        with Session(read_package(folder / PACKAGE), ["doctor.attempts"], LIMITS, mode) as session:
            for attempt, function in space.items():
                if code := getattr(function, "__code__", None):
                    args = {key: known[key] for key in code.co_varnames[: code.co_argcount]}
                    yield _finding(attempt, session.call(f"doctor.{attempt}", args))


def _finding(attempt: str, outcome: Outcome) -> Finding:
    words = attempt.replace("_", " ")
    if outcome.stopped:
        return Finding(words, attempt in BOUNDS, outcome.stopped)
    refused = outcome.error and {"OSError", "RuntimeError"} & set(outcome.error.types)
    told = f"{outcome.error.type_name}: {outcome.error.message}" if outcome.error else "it worked"
    return Finding(words, bool(refused), told)


def findings_table(findings: list[Finding]) -> Table:
    """A line an attempt, for the terminal."""
    table = Table(title="Escapes tried in a runner", title_justify="left")
    for column in ("attempt", "sandbox", "what the attempt was told"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        held = "[green]✓ held[/]" if finding.held else "[red]✗ open[/]"
        table.add_row(finding.attempt, held, escape(finding.told))
    return table
