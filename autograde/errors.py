"""Errors that a person reads: one clear sentence, never a traceback."""


class AutogradeError(Exception):
    """Something the person who gave the command can mend; the message says what."""

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class GraderFault(AutogradeError):
    """The grader itself could not do its work; never a learner's zero."""
