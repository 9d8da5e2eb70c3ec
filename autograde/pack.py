"""A learner's `mha_lib` on its way out: which files belong to it, and the zip for an LMS."""

import io
import zipfile
from getpass import getuser
from pathlib import Path

from .errors import AutogradeError
from .loading import PACKAGE

LARGEST_FILE = 200_000  # bytes; a solved module has about 10 000
MOST_FILES = 100
THEN = (1980, 1, 1, 0, 0, 0)  # the date of every file in a zip: the same work gives the same bytes


def package_files(lib: Path) -> tuple[list[Path], list[str]]:
    """List the Python files of a learner's package.

    Args:
        lib: the `mha_lib` folder.

    Returns:
        paths relative to `lib`, sorted, and a sentence for each Python file that is left out.
        Links, hidden files and caches are no part of the package.
    """
    taken, left_out = [], []
    for file in sorted(lib.rglob("*.py")):
        path = file.relative_to(lib)
        if not file.is_file() or file.is_symlink() or _is_hidden(path):
            continue
        if file.stat().st_size > LARGEST_FILE:
            left_out.append(f"{path} is larger than {LARGEST_FILE // 1000} kB")
        elif len(taken) == MOST_FILES:
            left_out.append(f"{path} is one file too many (at most {MOST_FILES})")
        else:
            taken.append(path)
    return taken, left_out


def pack(assignment: str, lib: Path, destination: Path) -> Path:
    """Write the zip that a learner hands in through an LMS: the notebook and `mha_lib/*.py`.

    Args:
        assignment: name of the notebook without its ending, e.g. "01_one_lookup".
        lib: the learner's `mha_lib` folder; the notebook is looked for beside it.
        destination: a folder, where the zip is named after the account and the assignment, or
            the path of the zip (its name ends in .zip).

    Returns:
        the path of the zip. The same work gives the same bytes.

    Raises:
        AutogradeError: if the notebook or the package is not there, or the zip cannot be written.
    """
    notebook = _find_notebook(assignment, lib.resolve().parent)
    files, left_out = package_files(lib)
    if not files:
        raise AutogradeError(f"There is no {PACKAGE} with Python files at {lib}.")
    if left_out:
        raise AutogradeError(f"{lib} cannot be packed: {'; '.join(left_out)}.")
    target = (
        destination
        if destination.suffix == ".zip"
        else destination / f"{getuser()}_{assignment}.zip"
    )
    try:
        content = {f"{assignment}.ipynb": notebook.read_bytes()}
        content |= {f"{PACKAGE}/{file.as_posix()}": (lib / file).read_bytes() for file in files}
        target.write_bytes(_zip(content))
    except OSError as error:
        raise AutogradeError(f"Cannot pack {assignment} to {target}: {error.strerror}.") from error
    return target


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _find_notebook(assignment: str, folder: Path) -> Path:
    """Look where nbgrader puts an assignment, and where the course's repository has it."""
    found = {
        path.stem: path
        for pattern in ("notebooks/*.ipynb", "*/*.ipynb")
        for path in sorted(folder.glob(pattern))
        if path.parent.name in ("notebooks", path.stem)
    }
    if assignment not in found:
        known = ", ".join(sorted(found)) or "none"
        raise AutogradeError(
            f"There is no notebook {assignment!r} in {folder}; there are: {known}."
        )
    return found[assignment]


def _zip(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            member = zipfile.ZipInfo(name, THEN)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            archive.writestr(member, data)
    return buffer.getvalue()
