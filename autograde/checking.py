"""The learner's own check: the visible cases, called in this very process."""

from collections.abc import Callable, Iterable
from pathlib import Path

from .calls import Outcome, call_error, invoke
from .judge import judge
from .loading import LibraryFinder, TextFinder, library, load_module
from .records import RecordedExercise, visible
from .results import ExerciseResult
from .source import library_remark


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
    if result.status == "missing":
        return result.with_remark("Written already? Save the file (Ctrl + S), then check again.")
    if not result.passed:
        return result
    return result.with_remark(library_remark(folder.parent, exercise.name, exercise.library_calls))


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
