"""The trusted side of the pipe: one submission in one runner, started again when it breaks."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

from torch import Tensor

from . import sandbox
from .calls import CallError, Outcome
from .errors import GraderFault
from .limits import Limits
from .pipe import receive, send
from .values import BadMessage, parts

LARGEST_QUESTION = 20_000  # numbers in what a runner asks about: no case of the course needs more
LONGEST = 256  # of each of its dimensions
MOST_VALUES = 1_000  # in one message: each is looked at again and again
LONGEST_TEXT = 4_000  # characters of an error that are kept


class Stopped(Exception):
    """The runner is gone, or was stopped: why, in a sentence."""

    def __init__(self, why: str, timed_out: bool = False):
        super().__init__(why)
        self.outcome = Outcome(stopped=why, timed_out=timed_out)


class Runner:
    """One runner process, up to the moment it breaks a bound."""

    def __init__(self, library: Mapping[str, bytes], limits: Limits, mode: str):
        self.limits = limits
        try:
            self.process = sandbox.start(mode)
        except OSError as error:
            raise GraderFault(f"No process for submitted code could be started: {error}") from None
        self.thread = ThreadPoolExecutor(max_workers=1)
        self._hand_shake(mode != sandbox.OFF)
        texts = {name: text.decode("latin-1") for name, text in library.items()}  # any bytes
        self._wait(lambda: send(self.process.stdin, {"library": texts}), sandbox.START_SECONDS)

    def _hand_shake(self, sandboxed: bool) -> None:
        """Make sure that the sandbox holds before the runner gets a line of the submission."""
        start = {"limits": asdict(self.limits), "sandboxed": sandboxed}

        def exchange():
            send(self.process.stdin, start)
            return receive(self.process.stdout)

        try:
            match self._wait(exchange, sandbox.START_SECONDS):
                case {"ready": True}:
                    return
                case {"fault": str(why)}:
                    self.close()
                    raise GraderFault(f"The sandbox for submitted code failed: {why}.")
            raise Stopped("it answered wrongly.")
        except Stopped as stopped:
            self.close()
            raise GraderFault(f"The runner for submitted code did not start: {stopped}") from None

    def ask(self, request: dict, seconds: float, answers: Mapping[str, Callable]) -> Outcome:
        """Send one request and read its answer.

        Args:
            seconds: wall time for all of it.
            answers: functions that the runner may ask about meanwhile.

        Raises:
            Stopped: if the runner breaks a bound; it is closed then.
        """
        return self._wait(lambda: self._exchange(request, answers), seconds)

    def _exchange(self, request: dict, answers: Mapping[str, Callable]) -> Outcome:
        asked = set()
        send(self.process.stdin, request)
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
                    return replace(read_reply(reply), asked=frozenset(asked))
                case _:
                    raise BadMessage("no reply")

    def _wait(self, work: Callable, seconds: float) -> Any:
        """Run one exchange with a deadline: a killed process ends the read that waits for it."""
        future = self.thread.submit(work)
        try:
            return future.result(timeout=seconds)
        except TooLate:
            self.close()
            why = f"it did not finish within {seconds:g} s and was stopped."
            raise Stopped(why, timed_out=True) from None
        except (EOFError, OSError):
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

    def close(self) -> None:
        sandbox.stop(self.process)
        self.thread.shutdown(wait=True)


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


class Session:
    """A submission as a set of functions to call, whatever happens to its runners.

    Args:
        library: what `loading.read_package` read of the submission.
        mode: of the sandbox.

    Attributes:
        answers: reference functions that stand in for those of the submission that did not pass.
    """

    def __init__(
        self, library: Mapping[str, bytes], exercises: list[str], limits: Limits, mode: str
    ):
        self.library, self.exercises, self.limits, self.mode = library, exercises, limits, mode
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
        module = exercise.split(".")[0]
        try:
            runner = self._running()
            if module in self.broken:
                return self.broken[module]
            request = {"call": exercise, "args": args}
            return self._ask(runner, request, self.limits.call_seconds)
        except Stopped as stopped:
            self._drop()
            return stopped.outcome

    def stand_in(self, exercise: str, reference: Callable) -> None:
        """From now on the reference answers when the submission calls `exercise`."""
        self.answers[exercise] = reference
        if self.runner:
            try:
                self._ask(self.runner, {"stand_in": [exercise]}, self.limits.load_seconds)
            except Stopped:
                self._drop()

    def _ask(self, runner: Runner, request: dict, seconds: float) -> Outcome:
        """Ask, and take the time that it needs off what is left for the whole submission.

        Raises:
            Stopped: if the runner breaks a bound, or no time is left.
        """
        self._check_time()
        started = time.monotonic()
        try:
            return runner.ask(request, min(seconds, self.left), self.answers)
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
            runner, blamed = Runner(self.library, self.limits, self.mode), len(self.broken)
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
