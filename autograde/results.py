"""What a check or a grading run says of one exercise."""

from dataclasses import asdict, dataclass, replace
from typing import Literal

Status = Literal["passed", "failed", "error", "timeout", "missing"]


@dataclass(frozen=True)
class ExerciseResult:
    """The outcome of one exercise of one submission.

    Attributes:
        exercise: its name, e.g. "heads.split_heads".
        score, max_score: points.
        status: passed; failed (ran, but is wrong); error (raised or broke a bound); timeout;
            missing (not written yet, or not there).
        misconception: id of the known mistake that gives the same answers, or None.
        message: plain text, a screenful at most, for the learner.
    """

    exercise: str
    score: float
    max_score: float
    status: Status
    misconception: str | None
    message: str

    @property
    def passed(self) -> bool:
        return self.status == "passed"

    def with_remark(self, remark: str | None) -> "ExerciseResult":
        """The same result with one more line in its message."""
        return replace(self, message=f"{self.message}\n{remark}") if remark else self

    def to_json(self) -> dict:
        """The fields that `autograde grade --json` promises."""
        fields = asdict(self)
        del fields["exercise"]
        return fields
