"""Checks for learners, trusted grades for instructors.

In a notebook: `%load_ext autograde`, then `check("heads.split_heads")`.
"""

from .errors import AutogradeError
from .notebook import CheckFailed, check, load_ipython_extension, needs, progress

__all__ = ["AutogradeError", "CheckFailed", "check", "load_ipython_extension", "needs", "progress"]
