"""Which exercises an assignment holds. An assignment is one lesson, under the same name."""

from .build.files import lessons
from .build.lessons import graded_exercises, notebook_from_lesson
from .errors import AutogradeError
from .exercises import EXERCISES


def assignments() -> list[str]:
    """All assignments, in course order."""
    return [lesson.stem for lesson in lessons()]


def exercises_of(assignment: str) -> list[str]:
    """The names of an assignment's exercises, in order.

    Raises:
        AutogradeError: if there is no such assignment.
    """
    for lesson in lessons():
        if lesson.stem == assignment:
            named = graded_exercises(notebook_from_lesson(lesson))
            return [name for name in EXERCISES if name in named]
    raise AutogradeError(
        f"There is no assignment {assignment!r}; there are {', '.join(assignments())}."
    )
