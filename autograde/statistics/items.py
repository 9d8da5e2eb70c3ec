"""From answers to numbers, one line an exercise, and to the functions that look alike."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from autograde.exercises import EXERCISES
from autograde.source import module_text

from .answers import Answer
from .similar import Alike, alike, normalise


@dataclass(frozen=True)
class Item:
    """What a class did with one exercise.

    Attributes:
        submitted: learners; passed + failed + unfinished of them.
        failed: gave a wrong answer, raised an error or took too long.
        mean_points: over all who submitted, 0 … max_points.
        mean_attempts: submissions a learner, from the exchange; None where that is unknown.
        misconceptions: id -> learners, the most frequent first.
    """

    assignment: str
    exercise: str
    submitted: int
    passed: int
    failed: int
    unfinished: int
    mean_points: float
    max_points: float
    mean_attempts: float | None
    misconceptions: dict[str, int]

    def explanation(self, misconception: str) -> str:
        """What happens in a known mistake, in one sentence."""
        known = {m.name: m.says for m in EXERCISES[self.exercise].misconceptions}
        return known.get(misconception, "")


def items(answers: Sequence[Answer]) -> list[Item]:
    """Count, in course order within each assignment."""
    grouped = _by_exercise(answers)
    order = list(EXERCISES)
    return [
        _item(assignment, exercise, grouped[assignment, exercise])
        for assignment, exercise in sorted(grouped, key=lambda key: (key[0], order.index(key[1])))
    ]


def _by_exercise(answers: Sequence[Answer]) -> dict[tuple[str, str], list[Answer]]:
    grouped = defaultdict(list)
    for answer in answers:
        grouped[answer.assignment, answer.exercise].append(answer)
    return grouped


def _item(assignment: str, exercise: str, answers: list[Answer]) -> Item:
    results = Counter(answer.result for answer in answers)
    mistakes = Counter(answer.misconception for answer in answers if answer.misconception)
    attempts = [answer.attempts for answer in answers if answer.attempts]
    return Item(
        assignment=assignment,
        exercise=exercise,
        submitted=len(answers),
        passed=results["passed"],
        failed=results["failed"],
        unfinished=results["unfinished"],
        mean_points=sum(answer.score for answer in answers) / len(answers),
        max_points=max(answer.max_score for answer in answers),
        mean_attempts=sum(attempts) / len(attempts) if attempts else None,
        misconceptions=dict(sorted(mistakes.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


def similar_answers(answers: Sequence[Answer]) -> list[Alike]:
    """Compare what the learners wrote, exercise by exercise. Nothing of it is run."""
    found = []
    for (_, exercise), group in _by_exercise(answers).items():
        module, function = exercise.split(".")
        texts = {
            answer.learner: module_text(answer.directory, module)
            for answer in group
            if answer.result != "unfinished"
        }
        rows = {learner: normalise(text, function) for learner, text in texts.items() if text}
        found += alike(exercise, rows)
    return found
