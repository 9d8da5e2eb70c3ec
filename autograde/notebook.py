"""What a learner's notebook calls: `%load_ext autograde`, `check`, `needs`, `progress`."""

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import AutogradeError
from .kept import CHECKS, entry_of
from .loading import PACKAGE, LibraryFinder

if TYPE_CHECKING:
    from .results import ExerciseResult

SESSION = "JPY_SESSION_NAME"

# `check`, `needs` and `progress` import the checks, and with them PyTorch, when they are called:
# loading the extension must work first, to say that a file named torch.py is in PyTorch's way.


class CheckFailed(AutogradeError):
    """The exercise is not right yet. The message above the error says why."""


class FinishFirst(CheckFailed):
    """The next cell runs on functions that are not right yet."""


def check(exercise: str) -> None:
    """Check one of your functions against the recorded cases, and say what is right or wrong.

    Args:
        exercise: its name, e.g. "heads.split_heads".

    Raises:
        CheckFailed: if it is not right yet.
        AutogradeError: if there is no such exercise or no `mha_lib` folder.
    """
    from IPython.display import display

    from .report import headline, result_html, result_text

    result = _check(exercise)
    _remember([result])
    display({"text/html": result_html(result), "text/plain": result_text(result)}, raw=True)
    if not result.passed:
        about = [line for line in result.message.splitlines() if line.startswith("What happened")]
        raise CheckFailed("\n".join([headline(result), *about]))


def needs(*exercises: str) -> None:
    """Stop here with one sentence unless these exercises pass.

    Raises:
        FinishFirst: names the ones to finish first.
    """
    from .report import WORDS

    open_ones = [result for result in map(_check, exercises) if not result.passed]
    if open_ones:
        what = ", ".join(f"{r.exercise} ({WORDS[r.status]})" for r in open_ones)
        raise FinishFirst(
            f"this cell runs on your own code; finish {what} first, then run it again."
        )


def progress() -> None:
    """Check everything, and show where you are in the whole course."""
    from attention_lab.board import show_board

    from .checking import check_library

    _remember(check_library(find_library(Path.cwd())).values())
    show_board()


def _remember(results: Iterable["ExerciseResult"]) -> None:
    """Keep what a check said, for the progress board."""
    now = time.time()
    CHECKS.save({result.exercise: entry_of(result, now) for result in results})


def _check(exercise: str):
    from .calls import call_error
    from .checking import check_library
    from .records import visible_exercise

    name, folder = visible_exercise(exercise).name, find_library(Path.cwd())
    try:
        return check_library(folder, [name])[name]
    except KeyboardInterrupt as stop:
        where = call_error(stop, folder).where
        raise CheckFailed(f"you stopped the check of {name}; it was here:\n{where}") from None


def find_library(start: Path) -> Path:
    """Find the learner's `mha_lib` folder: beside the notebook, or beside one of its parents.

    Raises:
        AutogradeError: if there is none.
    """
    for folder in (start, *start.parents):
        if (folder / PACKAGE).is_dir():
            return folder / PACKAGE
    raise AutogradeError(
        f"There is no {PACKAGE} folder in {start} or above it. It holds the files you fill in: "
        "it should lie beside the folder of this notebook."
    )


def this_notebook() -> str:
    """The notebook's name without ".ipynb", where JupyterLab is there and tells; else ""."""
    return Path(os.environ.get(SESSION, "")).stem


def load_ipython_extension(shell) -> None:
    """Let `import mha_lib` mean the learner's own, and reload it when a file changes."""
    _warn_of_shadows(Path.cwd())
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, LibraryFinder)]
    sys.meta_path.insert(0, LibraryFinder(find_library(Path.cwd())))
    shell.run_line_magic("load_ext", "autoreload")
    shell.run_line_magic("autoreload", "2")  # all that IPython 7 of Colab understands
    shell.run_line_magic("autoreload", "2 --hide-errors")  # the next check shows them
    if this_notebook():
        from attention_lab.board import open_board

        open_board(this_notebook())


def _warn_of_shadows(folder: Path) -> None:
    for name in ("torch", "numpy", "matplotlib", "autograde", "attention_lab"):
        for hiding in (folder / f"{name}.py", folder / name):
            if hiding.exists() and not (hiding.is_dir() and _is_ours(hiding)):
                raise AutogradeError(
                    f"{hiding.name} lies beside this notebook and hides the package {name}: "
                    "rename or move it, then restart the kernel."
                )


def _is_ours(folder: Path) -> bool:
    """The course's own packages lie beside a notebook that is opened at the repository's root."""
    return folder.resolve() == Path(__file__).parent.resolve() or folder.name == "attention_lab"
