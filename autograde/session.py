"""The trusted side of the pipe: one submission in one runner, started again when it breaks."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

from torch import Tensor

from . import sandbox
from .calls import CallError, Outcome
from .errors import GraderFault
from .limits import Limits
from .pipe import receive, send
from .values import BadMessage, pack, parts

LARGEST_QUESTION = 20_000  # numbers in what a runner asks about: no case of the course needs more
LONGEST = 256  # of each of its dimensions
MOST_VALUES = 1_000  # in one message: each is looked at again and again
LONGEST_TEXT = 4_000  # characters of an error that are kept


class Stopped(Exception):
    """The runner is gone, or was stopped: why, in a sentence."""

    def __init__(self, why: str, timed_out: bool = False):
        super().__init__(why)
        self.outcome = Outcome(stopped=why, timed_out=timed_out)


class Watchdog:
    """Ends a process whose time is up: then whoever waits for its pipe finds that closed.

    One thread for all exchanges with a process: to hand each to a thread of its own, which could be
    left waiting, takes longer than the exchange.
    """

    def __init__(self, end: Callable[[], None]):
        self.end, self.late, self.over = end, False, False
        self.deadline = self.asleep_until = math.inf
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        with self.changed:
            while not self.over and not self.late:
                self.asleep_until = self.deadline
                pause = self.deadline - time.monotonic()
                self.late = pause <= 0
                if not self.late:
                    self.changed.wait(min(pause, threading.TIMEOUT_MAX))
        if self.late:
            self.end()

    def allow(self, seconds: float) -> None:
        """From now on the process has so much time, up to `relax`."""
        with self.changed:
            self.deadline = time.monotonic() + seconds
            if self.deadline < self.asleep_until:
                self.changed.notify()

    def relax(self) -> None:
        self.deadline = math.inf

    def close(self) -> None:
        """End the watch; afterwards `late` tells whether time was up."""
        with self.changed:
            self.over = True
            self.changed.notify()
        self.thread.join()


class Runner:
    """One runner process, up to the moment it breaks a bound."""

    def __init__(
        self, library: Mapping[str, bytes], limits: Limits, mode: str, device: str = "cpu"
    ):
        self.limits = limits
        try:
            self.process = sandbox.start(mode)
        except OSError as error:
            raise GraderFault(f"No process for submitted code could be started: {error}") from None
        self.watchdog = Watchdog(lambda: sandbox.kill(self.process))
        self._hand_shake(mode != sandbox.OFF, device)
        texts = {name: text.decode("latin-1") for name, text in library.items()}  # any bytes
        self.send(pack({"library": texts}), sandbox.START_SECONDS)

    def _hand_shake(self, sandboxed: bool, device: str) -> None:
        """Make sure that the sandbox holds before the runner gets a line of the submission."""
        start = {"limits": asdict(self.limits), "sandboxed": sandboxed, "device": device}
        try:
            with self._bounded(sandbox.START_SECONDS):
                send(self.process.stdin, start)
                answer = receive(self.process.stdout)
            match answer:
                case {"ready": True}:
                    return
                case {"fault": str(why)}:
                    self.close()
                    raise GraderFault(f"The runner for submitted code failed: {why}.")
            raise Stopped("it answered wrongly.")
        except Stopped as stopped:
            self.close()
            raise GraderFault(f"The runner for submitted code did not start: {stopped}") from None

    def ask(self, request: dict, seconds: float, answers: Mapping[str, Callable]) -> Outcome:
        """Send one request and read its reply: see `reply`."""
        self.send(pack(request), seconds)
        return self.reply(seconds, answers)

    def send(self, message: bytes, seconds: float) -> None:
        """Send a packed request.

        Raises:
            Stopped: if the runner breaks a bound; it is closed then.
        """
        with self._bounded(seconds):
            self.process.stdin.write(message)
            self.process.stdin.flush()

    def reply(self, seconds: float, answers: Mapping[str, Callable]) -> Outcome:
        """Read the next reply.

        Args:
            seconds: wall time for all of it.
            answers: functions that the runner may ask about meanwhile.

        Raises:
            Stopped: if the runner breaks a bound; it is closed then.
        """
        asked = set()
        with self._bounded(seconds):
            while True:
                message = receive(self.process.stdout)
                if sum(1 for _ in islice(parts(message), MOST_VALUES + 1)) > MOST_VALUES:
                    raise BadMessage(f"more than {MOST_VALUES:,} values are too many")
                match message:
                    case {"ask": str(name), "args": list(args), "kwargs": dict(kwargs)} if (
                        name in answers
                    ):
                        asked.add(name)
                        send(self.process.stdin, answer(answers[name], args, kwargs))
                    case dict(reply):
                        outcome = read_reply(reply)
                        return replace(outcome, asked=frozenset(asked)) if asked else outcome
                    case _:
                        raise BadMessage("no reply")

    @contextmanager
    def _bounded(self, seconds: float) -> Iterator[None]:
        """Say of an exchange that fails why: a killed process ends the read that waits for it."""
        self.watchdog.allow(seconds)
        try:
            yield
            if self.watchdog.late:
                raise EOFError
        except (EOFError, OSError):
            self.watchdog.close()
            if self.watchdog.late:
                self.close()
                why = f"it did not finish within {seconds:g} s and was stopped."
                raise Stopped(why, timed_out=True) from None
            try:
                why = sandbox.death(self.process, self.limits)
            except OSError as error:
                raise GraderFault(f"The process behind the runner is gone: {error}") from None
            finally:
                self.close()
            raise Stopped(why) from None
        except BadMessage as bad:
            self.close()
            raise Stopped(f"what came back is no result ({str(bad)[:200]}).") from None
        finally:
            self.watchdog.relax()

    def close(self) -> None:
        self.watchdog.close()
        sandbox.stop(self.process)


def answer(function: Callable, args: list, kwargs: dict) -> dict:
    """Answer for an earlier function that did not pass: a value, or a ValueError's message."""
    try:
        if not _small([args, kwargs]):
            raise ValueError("the arguments are larger than any that this course uses")
        return {"value": function(*args, **kwargs)}
    except Exception as error:  # whatever a submission may have passed
        return {"error": f"{type(error).__name__}: {error}"[:LONGEST_TEXT]}


def _small(value: Any) -> bool:
    """Whether the reference can be asked about it without using up the grader's memory."""
    match value:
        case Tensor():
            # Both: the weights of 20,000 tokens of one number each would be 400,000,000 numbers.
            return value.numel() <= LARGEST_QUESTION and max(value.shape, default=0) <= LONGEST
        case list() | tuple():
            return len(value) < 100 and all(_small(item) for item in value)
        case dict():
            return all(_small(item) for item in value.values())
        case int() | float():
            return abs(value) <= 1_000
    return value is None or isinstance(value, str)


def read_reply(reply: dict) -> Outcome:
    """Read what a runner says of a call; nothing but values is taken from it.

    Raises:
        BadMessage: if it is no such reply.
    """
    match reply:
        case {"loaded": True}:
            return Outcome()
        case {"value": value, "changed": list(changed)} if all(isinstance(c, str) for c in changed):
            return Outcome(value=value, changed=tuple(changed))
        case {"absent": str(why)}:
            return Outcome(absent=why[:LONGEST_TEXT])
        case {"error": [list(types), str(message), str(where)]}:
            error = _error(types, message, where)
            if "MemoryError" in error.types or "allocate memory" in error.message:
                return Outcome(stopped="it needed more memory than it may have.")
            return Outcome(error=error)
        case {"unloadable": [list(types), str(message), str(where)]}:
            return Outcome(unloadable=_error(types, message, where))
    raise BadMessage("no reply")


def _error(types: list, message: str, where: str) -> CallError:
    if not types or not all(isinstance(t, str) for t in types):
        raise BadMessage("no exception")
    names = tuple(t[:100] for t in types[:20])
    return CallError(names, message[:LONGEST_TEXT], where[:LONGEST_TEXT])


def pack_calls(exercise: str, cases: Sequence[dict[str, Any]]) -> bytes:
    """A request to call one function with each of these arguments."""
    return pack({"call": exercise, "cases": list(cases)})


class Session:
    """A submission as a set of functions to call, whatever happens to its runners.

    Args:
        library: what `loading.read_package` read of the submission.
        mode: of the sandbox.
        device: what the functions' arguments lie on.

    Attributes:
        answers: reference functions that stand in for those of the submission that did not pass.
    """

    def __init__(
        self,
        library: Mapping[str, bytes],
        exercises: list[str],
        limits: Limits,
        mode: str,
        device: str = "cpu",
    ):
        self.library, self.exercises, self.limits = library, exercises, limits
        self.mode, self.device = mode, device
        self.left = limits.total_seconds  # of wall time, for all that the submission does
        self.answers: dict[str, Callable] = {}
        self.broken: dict[str, Outcome] = {}  # module -> why it can't be loaded
        self.runner: Runner | None = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc) -> None:
        self._drop()

    def call(self, exercise: str, args: dict[str, Any]) -> Outcome:
        """Call one function of the submission."""
        return self.calls(exercise, pack_calls(exercise, [args]), 1)[0]

    def calls(self, exercise: str, request: bytes, number: int) -> list[Outcome]:
        """Call one function of the submission several times, until an outcome is final.

        Args:
            request, number: what `pack_calls` made of so many calls.
        """
        outcomes: list[Outcome] = []
        try:
            runner = self._running()
            if broken := self.broken.get(exercise.split(".")[0]):
                return [broken]
            seconds = self.limits.call_seconds
            self._spend(seconds, lambda left: runner.send(request, left))
            while len(outcomes) < number and not (outcomes and outcomes[-1].final):
                reply = self._spend(seconds, lambda left: runner.reply(left, self.answers))
                outcomes.append(reply)
        except Stopped as stopped:
            outcomes.append(stopped.outcome)
        if outcomes[-1].stopped:
            self._drop()
        return outcomes

    def stand_in(self, exercise: str, reference: Callable) -> None:
        """From now on the reference answers when the submission calls `exercise`."""
        self.answers[exercise] = reference
        if self.runner:
            try:
                self._ask(self.runner, {"stand_in": [exercise]}, self.limits.load_seconds)
            except Stopped:
                self._drop()

    def _ask(self, runner: Runner, request: dict, seconds: float) -> Outcome:
        """Ask one thing.

        Raises:
            Stopped: if the runner breaks a bound, or no time is left.
        """
        return self._spend(seconds, lambda left: runner.ask(request, left, self.answers))

    def _spend(self, seconds: float, exchange: Callable[[float], Any]) -> Any:
        """Take the time that an exchange needs off what is left for the whole submission."""
        self._check_time()
        started = time.monotonic()
        try:
            return exchange(min(seconds, self.left))
        finally:
            self.left -= time.monotonic() - started

    def _check_time(self) -> None:
        if self.left <= 0:
            total = self.limits.total_seconds
            why = f"the submission as a whole may take {total:g} s, and they were used up before."
            raise Stopped(why, timed_out=True)

    def _running(self) -> Runner:
        """The runner with all modules loaded; modules that can't be are replaced by stand-ins.

        Raises:
            Stopped: if it breaks a bound although no further module is to blame.
        """
        while self.runner is None:
            self._check_time()
            runner = Runner(self.library, self.limits, self.mode, self.device)
            blamed = len(self.broken)
            try:
                self._load(runner)
            except Stopped:
                runner.close()
                if len(self.broken) == blamed:
                    raise
                continue  # one more module is in `broken` now; start again without it
            self.runner = runner
        return self.runner

    def _load(self, runner: Runner) -> None:
        for module in dict.fromkeys(name.split(".")[0] for name in self.exercises):
            mine = [name for name in self.exercises if name.startswith(module + ".")]
            if module not in self.broken:
                self._load_module(runner, module, mine[0])
            names = mine if module in self.broken else [n for n in mine if n in self.answers]
            if names:
                self._ask(runner, {"stand_in": names}, self.limits.load_seconds)

    def _load_module(self, runner: Runner, module: str, any_function: str) -> None:
        try:
            request = {"load": any_function}
            outcome = self._ask(runner, request, self.limits.load_seconds)
        except Stopped as stopped:
            self.broken[module] = stopped.outcome
            raise
        missing_file = outcome.absent and f"{module}.py" not in self.library
        if outcome.unloadable or missing_file:
            self.broken[module] = outcome

    def _drop(self) -> None:
        if self.runner:
            self.runner.close()
        self.runner = None
