"""The untrusted side: a process that loads one submission and calls its functions when asked.

Started by `sandbox.start`. Nothing in this process is secret and nothing it says is believed: it
answers with values, and the trusted grader compares them. It begins with two messages:

    {"limits": …, "sandboxed": bool, "device": name}
                                          -> {"ready": True} or {"fault": why}, once it is confined
    {"library": {path: text}}             the submission, so that no file of it need be in reach

Then come requests, all plain values:

    {"load": module}                      -> {"loaded": True} or {"error": …}
    {"stand_in": ["module.function", …]}  -> {"loaded": True}; these functions now ask the grader
    {"call": "module.function", "cases": [args, …]}
                                          -> {"value": …, "changed": […]} or {"error": …} for each,
                                          up to the first that says the same of all others

While it works on a call, it may send {"ask": "module.function", "args", "kwargs"} for a function
that the grader stands in for, and gets {"value": …} or {"error": …} back.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from .calls import Outcome, copied, invoke
from .checking import find_function
from .confine import confine, open_doors
from .limits import Limits
from .loading import PACKAGE, TextFinder, library
from .pipe import receive, send
from .values import plain

FOLDER = Path("/submission") / PACKAGE  # where the submission's files are said to lie


def main() -> None:
    """Answer requests until the pipe closes."""
    source, sink = _take_over_pipes()
    torch.set_num_threads(1)
    start = receive(source)
    fault = _open_device(start["device"]) or _confine(start)
    send(sink, {"fault": fault} if fault else {"ready": True})
    texts = {name: text.encode("latin-1") for name, text in receive(source)["library"].items()}
    finder = TextFinder(FOLDER, texts)
    with library(finder):
        while True:
            for answer in _answers(receive(source), finder, source, sink, start["device"]):
                send(sink, answer)


def _open_device(device: str) -> str | None:
    """Start a GPU's driver, in time that is not the submission's; say what is wrong."""
    try:
        torch.ones(1, device=device).item()
    except (AssertionError, RuntimeError) as error:
        return f"PyTorch cannot compute on {device}: {error}"
    return None


def _confine(start: dict) -> str | None:
    """Put the layers on and try them; say what is wrong, if anything is."""
    try:
        bounds = Limits(**start["limits"])
        confine(bounds, sandboxed=start["sandboxed"], on_gpu=start["device"] != "cpu")
    except OSError as error:
        return str(error)
    doors = open_doors() if start["sandboxed"] else []
    return f"the sandbox does not hold against {', '.join(doors)}" if doors else None


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipe for ourselves; what submitted code prints or reads goes nowhere."""
    mine = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.closerange(max(*mine, 2) + 1, 4096)
    for descriptor in range(3, max(mine)):  # whatever else came along
        if descriptor not in mine:
            with suppress(OSError):
                os.close(descriptor)
    return os.fdopen(mine[0], "rb"), os.fdopen(mine[1], "wb")


def _answers(
    request: dict, finder: TextFinder, source: BinaryIO, sink: BinaryIO, device: str
) -> Iterator[dict[str, Any]]:
    match request:
        case {"load": str(exercise)}:
            found = find_function(exercise, finder)
            yield _describe(found) if isinstance(found, Outcome) else {"loaded": True}
        case {"stand_in": list(names)}:
            for name in names:
                _stand_in(name, source, sink)
            yield {"loaded": True}
        case {"call": str(exercise), "cases": list(cases)}:
            found = find_function(exercise, finder)
            for args in cases:
                known = isinstance(found, Outcome)
                outcome = found if known else invoke(found, args, FOLDER, device)
                yield _describe(outcome)
                if outcome.final:
                    return
        case _:
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
        given = tree_leaves([args, kwargs])
        send(sink, {"ask": name, "args": plain(list(args)), "kwargs": plain(kwargs)})
        match receive(source):
            case {"value": value}:
                return copied(
                    value, next((t.device for t in given if isinstance(t, Tensor)), "cpu")
                )
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
