"""Folders that are there whole or not at all, whenever the process dies."""

import shutil
from pathlib import Path


def aside(folder: Path) -> Path:
    """A free place beside the folder, that nbgrader does not look at."""
    place = folder.with_name(f".{folder.name}")
    if place.exists():
        shutil.rmtree(place)
    return place
