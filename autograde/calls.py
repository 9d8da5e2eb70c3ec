"""Call one learner's function and say what came of it."""

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .values import HeadLoss, plain

# As PyTorch has them, whatever a submission puts in their place later: they tell whether a call
# altered its arguments.
_clone, _cpu, _equal = Tensor.clone, Tensor.cpu, torch.equal

MESSAGE_CHARACTERS = 600  # of a learner's exception: the rest is cut


@dataclass(frozen=True)
class CallError:
    """An exception out of a learner's code: the names of its type and bases, message, place."""

    types: tuple[str, ...]
    message: str
    where: str = ""

    @property
    def type_name(self) -> str:
        return self.types[0]

    def __str__(self) -> str:
        last = f"{self.type_name}: {self.message}" if self.message else self.type_name
        return f"{self.where}\n{last}".strip("\n")


@dataclass(frozen=True)
class Outcome:
    """What one call gave: a value, or an error, or why there was no call to make.

    Attributes:
        value: what the function returned, as a plain value.
        error: the exception it raised.
        absent: a sentence, when there is no such function or module.
        unloadable: the exception its module raised on import.
        stopped: a sentence, when a bound was broken; `timed_out` when that bound was time.
        changed: names of the arguments that the call altered in place.
        asked: earlier functions that the trusted grader answered for meanwhile.
    """

    value: Any = None
    error: CallError | None = None
    absent: str | None = None
    unloadable: CallError | None = None
    stopped: str | None = None
    timed_out: bool = False
    changed: tuple[str, ...] = ()
    asked: frozenset[str] = frozenset()

    @property
    def final(self) -> bool:
        """Whether further cases would only tell the same."""
        return bool(self.absent or self.unloadable or self.stopped or self.not_written)

    @property
    def not_written(self) -> bool:
        return self.error is not None and self.error.type_name == "NotImplementedError"


def invoke(function: Callable, args: dict[str, Any], library: Path, device: str = "cpu") -> Outcome:
    """Call `function` with `args` in order.

    A score must not depend on the device: what raises on another one than the CPU is called again
    there, and that counts. So NumPy is as welcome as on a CPU, and errors read the same.

    Args:
        library: the folder whose files may show in a traceback.
        device: where the tensors among the arguments are copied to.
    """
    outcome = _invoke(function, args, library, device)
    if outcome.error and device != "cpu":
        return _invoke(function, args, library, "cpu")
    return outcome


def _invoke(function: Callable, args: dict[str, Any], library: Path, device: str) -> Outcome:
    try:
        mine = {name: copied(value, device) for name, value in args.items()}
        with torch.no_grad(), full_precision(device):
            value = plain(function(*mine.values()))
        changed = tuple(name for name in args if _differs(args[name], mine[name]))
    except (Exception, SystemExit) as error:
        return Outcome(error=call_error(error, library))
    return Outcome(value=value, changed=changed)


@contextmanager
def full_precision(device: str) -> Iterator[None]:
    """Multiply matrices in float32 as it is, whatever was set before.

    TF32 on a GPU, and bfloat16 on some processors, keep so few digits of a product that the
    comparison would call a right answer wrong.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    cudnn = torch.backends.cudnn  # its convolutions have a switch of their own
    exact = partial(cudnn.flags, cudnn.enabled, cudnn.benchmark, allow_tf32=False)
    try:
        with nullcontext() if device == "cpu" else exact():
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def call_error(error: BaseException, library: Path) -> CallError:
    """Describe an exception with the part of its traceback that lies in the learner's files."""
    lines = []
    mine = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename.startswith(f"{library}{os.sep}")
    ]
    for frame in traceback.StackSummary.extract(iter(mine)):
        place = Path(frame.filename).relative_to(library.parent).as_posix()
        lines.append(f'  File "{place}", line {frame.lineno}, in {frame.name}')
        lines.append(f"    {frame.line}")
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{library.name}/{Path(error.filename).name}"
        lines.append(f'  File "{place}", line {error.lineno}')
        lines.append(f"    {(error.text or '').strip()}")
    types = tuple(t.__name__ for t in type(error).__mro__ if issubclass(t, BaseException))
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return CallError(types, message[:MESSAGE_CHARACTERS], "\n".join(lines[-8:]))


def copied(value: Any, device: torch.device | str) -> Any:
    """A copy of a plain value, with its tensors on a device; a function is made of its data."""
    match value:
        case Tensor():
            return _clone(value).to(device)
        case list():
            return [copied(item, device) for item in value]
        case tuple():
            return tuple(copied(item, device) for item in value)
        case dict():
            return {key: copied(item, device) for key, item in value.items()}
        case HeadLoss():  # described as data up to here
            return value.function()
    return value


def _differs(before: Any, after: Any) -> bool:
    match before:
        case Tensor():
            return before.shape != after.shape or not _equal(before, _cpu(after))
        case list():
            return len(before) != len(after) or any(map(_differs, before, after))
        case dict():
            return before.keys() != after.keys() or any(
                _differs(before[k], after[k]) for k in before
            )
    return False
