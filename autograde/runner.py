"""The untrusted side: a process that loads one submission and calls its functions when asked.

Started by `sandbox.start`. Nothing in this process is secret and nothing it says is believed: it
answers with values, and the trusted grader compares them. Requests, all plain values:

    {"load": module}                      -> {"loaded": True} or {"error": …}
    {"stand_in": ["module.function", …]}  -> {"loaded": True}; these functions now ask the grader
    {"call": "module.function", "args"}   -> {"value": …, "changed": […]} or {"error": …}

While it works on a call, it may send {"ask": "module.function", "args", "kwargs"} for a function
that the grader stands in for, and gets {"value": …} or {"error": …} back.
"""

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import torch

from .calls import Outcome, invoke
from .checking import find_function
from .loading import PACKAGE, library
from .pipe import receive, send
from .sandbox import Limits, confine
from .values import plain


def main() -> None:
    """Answer requests until the pipe closes."""
    source, sink = _take_over_pipes()
    torch.set_num_threads(1)
    send(sink, {"ready": True})
    start = receive(source)
    confine(Limits(**start["limits"]))
    folder = Path(start["library"])
    with library(folder):
        while True:
            send(sink, _answer(receive(source), folder, source, sink))


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipe for ourselves; what submitted code prints or reads goes nowhere."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    return source, sink


def _answer(request: dict, folder: Path, source: BinaryIO, sink: BinaryIO) -> dict:
    match request:
        case {"load": str(exercise)}:
            found = find_function(exercise, folder)
            return _describe(found) if isinstance(found, Outcome) else {"loaded": True}
        case {"stand_in": list(names)}:
            for name in names:
                _stand_in(name, source, sink)
            return {"loaded": True}
        case {"call": str(exercise), "args": dict(args)}:
            found = find_function(exercise, folder)
            outcome = found if isinstance(found, Outcome) else invoke(found, args, folder)
            return _describe(outcome)
    raise ValueError("no such request")


def _describe(outcome: Outcome) -> dict[str, Any]:
    for key in ("error", "unloadable"):
        if error := getattr(outcome, key):
            return {key: [list(error.types), error.message, error.where]}
    if outcome.absent:
        return {"absent": outcome.absent}
    return {"value": outcome.value, "changed": list(outcome.changed)}


def _stand_in(name: str, source: BinaryIO, sink: BinaryIO) -> None:
    """Let a function ask the grader, under every name the submission knows it by."""
    module_name, function_name = f"{PACKAGE}.{name.split('.')[0]}", name.split(".")[1]

    def ask(*args, **kwargs):
        send(sink, {"ask": name, "args": plain(list(args)), "kwargs": plain(kwargs)})
        match receive(source):
            case {"value": value}:
                return value
            case {"error": str(message)}:
                raise ValueError(message)

    module = sys.modules.setdefault(module_name, ModuleType(module_name))
    original = getattr(module, function_name, None)
    setattr(module, function_name, ask)
    for other in [m for n, m in sys.modules.items() if n.startswith(PACKAGE + ".")]:
        for key, value in list(vars(other).items()):
            if original is not None and value is original:
                setattr(other, key, ask)


if __name__ == "__main__":
    try:
        main()
    except (EOFError, BrokenPipeError):  # the grader is done with us
        sys.exit(0)
