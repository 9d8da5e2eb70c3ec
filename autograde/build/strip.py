"""The one function that takes solutions out; every path to a learner goes through it."""

import re

from autograde.errors import AutogradeError

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


def strip_solutions(text: str, stub: str) -> str:
    """Replace each solution region by `stub`, indented like the region.

    Args:
        text: a module, or the source of one notebook cell.
        stub: what a learner finds in the region's place.

    Raises:
        AutogradeError: if a region is not closed, not opened, or nested.
    """
    kept, inside = [], False
    for number, line in enumerate(text.split("\n"), 1):
        marker = line.strip()
        if marker == BEGIN:
            if inside:
                raise AutogradeError(f"line {number}: a solution region inside another one")
            inside = True
            kept.append(re.match(r"\s*", line).group() + stub)
        elif marker == END:
            if not inside:
                raise AutogradeError(f"line {number}: {END} without {BEGIN}")
            inside = False
        elif "BEGIN SOLUTION" in line or "END SOLUTION" in line:
            raise AutogradeError(
                f"line {number}: write the marker as {BEGIN} or {END}, alone on a line"
            )
        elif not inside:
            kept.append(line)
    if inside:
        raise AutogradeError(f"{BEGIN} without {END}")
    return "\n".join(kept)


def strip_module(text: str) -> str:
    """Make a learner's module from a solved one."""
    return strip_solutions(text, "raise NotImplementedError")


def solution_lines(text: str) -> list[str]:
    """List the lines inside of solution regions: what no learner's file may hold."""
    inside, lines = False, []
    for line in text.split("\n"):
        if line.strip() in (BEGIN, END):
            inside = line.strip() == BEGIN
        elif inside:
            lines.append(line)
    return lines
