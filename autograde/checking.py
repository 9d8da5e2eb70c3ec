"""The learner's own check: the visible cases, called in this very process."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import isfunction, ismodule
from pathlib import Path
from types import CodeType

from .calls import Outcome, call_error, invoke
from .judge import judge
from .loading import PACKAGE, LibraryFinder, TextFinder, library, load_module
from .records import RecordedExercise, visible
from .results import ExerciseResult
from .source import library_remark, module_text


def check_library(
    folder: Path, exercises: Iterable[str] | None = None
) -> dict[str, ExerciseResult]:
    """Check a learner's functions against the recorded cases.

    Args:
        folder: the `mha_lib` folder.
        exercises: names; by default all of the modules that are there.
    """
    known = visible()
    names = exercises or [n for n, e in known.items() if (folder / f"{e.module}.py").is_file()]
    finder = LibraryFinder(folder)
    with library(finder):
        return {name: _check(known[name], finder) for name in names}


def _check(exercise: RecordedExercise, finder: LibraryFinder) -> ExerciseResult:
    function, folder = find_function(exercise.name, finder), finder.folder
    if isinstance(function, Outcome):
        return judge(exercise, lambda case: function)
    result = judge(exercise, lambda case: invoke(function, case.args, folder))
    if result.passed:
        text = module_text(folder.parent, exercise.module)
        return result.with_remark(library_remark(text, exercise.name, exercise.library_calls))
    if unfinished := _unfinished(function, folder):
        return _waiting(result, unfinished)
    if result.status == "missing":
        return result.with_remark("Written already? Save the file (Ctrl + S), then check again.")
    return result


def _unfinished(function: Callable, folder: Path) -> list[str]:
    """The exercises that a learner's function calls and that do not pass themselves."""
    called = called_exercises(function)
    return [
        name
        for name, exercise in visible().items()
        if name in called
        and not judge(exercise, lambda case, f=called[name]: invoke(f, case.args, folder)).passed
    ]


def _waiting(result: ExerciseResult, unfinished: list[str]) -> ExerciseResult:
    """A result that may be no fault of the function itself: say what to finish first."""
    first = f"{result.exercise} calls {' and '.join(unfinished)}, not right yet: finish that first."
    if result.status == "missing":  # the NotImplementedError is that of another function
        return replace(result, status="error", message=first)
    return result.with_remark(first)


def called_exercises(function: Callable) -> dict[str, Callable]:
    """Name -> function of the exercises that a learner's function calls, directly or not."""
    found: dict[str, Callable] = {}
    todo, seen = [function] if isfunction(function) else [], {function}
    while todo:
        caller = todo.pop()
        names = _names(caller.__code__)
        known = [caller.__globals__.get(name) for name in names]
        inside = [getattr(v, name, None) for v in known if ismodule(v) for name in names]
        for value in known + inside:
            if (
                isfunction(value)
                and value.__module__.startswith(f"{PACKAGE}.")
                and value not in seen
            ):
                seen.add(value)
                todo.append(value)
                name = f"{value.__module__.removeprefix(PACKAGE + '.')}.{value.__name__}"
                if name in visible():
                    found[name] = value
    return found


def _names(code: CodeType) -> set[str]:
    """Global names and attributes that a function uses, inside its comprehensions as well."""
    inner = [_names(part) for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*inner)


def find_function(exercise: str, finder: LibraryFinder | TextFinder) -> Callable | Outcome:
    """Import a learner's function, or say as an outcome why it can't be called.

    Call it within `library(finder)`.
    """
    module, name = exercise.split(".")
    if not finder.has(module):
        return Outcome(absent=f"The file mha_lib/{module}.py is missing.")
    try:
        function = getattr(load_module(module), name, None)
    except Exception as error:
        return Outcome(unloadable=call_error(error, finder.folder))
    if not callable(function):
        return Outcome(absent=f"mha_lib/{module}.py has no function {name}.")
    return function
