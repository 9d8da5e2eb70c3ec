"""Run notebooks from top to bottom, as a learner does: in a folder of their own, network off.

What a solved run showed is kept under a digest of everything that it depends on, so that the same
content is run once.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from autograde.errors import AutogradeError
from autograde.journal import write_whole
from autograde.loading import PACKAGE

ROOT = Path(__file__).resolve().parents[2]
CELL_SECONDS = 300  # a stuck cell fails; how long notebooks take is for benchmarks/notebooks.py
SHOWN_BY = (  # what the outputs come from, beside the notebook itself
    "attention_lab/**/*.*",
    "autograde/*.py",
    "autograde/recorded/*.*",
    "solutions/*.py",
    "requirements.lock",
)

NETWORK_OFF = """
import socket
_connect = socket.socket.connect
def _local_only(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"the network is off: {address}")
    return _connect(self, address)
socket.socket.connect = _local_only
"""


def run_notebook(
    notebook: NotebookNode,
    folder: Path,
    *,
    allow_errors: bool = False,
    on_cell: Callable[[], None] | None = None,
) -> NotebookNode:
    """Fill in the outputs of a notebook's cells.

    Args:
        notebook: changed in place.
        folder: where it runs, below a folder that holds `mha_lib`.
        allow_errors: go on after a cell that raises.
        on_cell: called after each code cell.
    """
    notebook.cells.insert(0, nbformat.v4.new_code_cell(NETWORK_OFF, id="network-off"))
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        allow_errors=allow_errors,
        store_widget_state=False,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--log-level=ERROR"],
        on_cell_executed=lambda cell_index, **_: on_cell() if on_cell and cell_index else None,
    )
    try:
        client.execute()
    except AssertionError:  # an interrupted nbclient stops its kernel, and stumbles doing it again
        if client.km is not None:
            raise
        raise KeyboardInterrupt from None
    del notebook.cells[0]
    return notebook


def solved_run(
    name: str, notebook: NotebookNode, cache: Path, on_cell: Callable[[], None] | None = None
) -> NotebookNode:
    """A notebook with the outputs that the solutions give; from `cache` if it ran before.

    Args:
        name: of the notebook, without ".ipynb".
        notebook: without outputs; left as it is.
        cache: a folder; it keeps one run a notebook.

    Raises:
        AutogradeError: if a cell fails.
    """
    kept = kept_run(name, notebook, cache)
    if kept.is_file():
        return nbformat.read(kept, as_version=4)
    run = nbformat.from_dict(notebook)
    with TemporaryDirectory() as home:
        shutil.copytree(ROOT / "solutions", Path(home, PACKAGE), ignore=_modules_only)
        folder = Path(home, name)
        folder.mkdir()
        try:
            run_notebook(run, folder, on_cell=on_cell)
        except (CellExecutionError, DeadKernelError) as error:
            raise AutogradeError(f"{name} does not run with the solutions. {error}") from None
    cache.mkdir(parents=True, exist_ok=True)
    for older in cache.glob(f"{name}.*.ipynb"):
        older.unlink()
    write_whole(kept, nbformat.writes(run))
    return run


def kept_run(name: str, notebook: NotebookNode, cache: Path) -> Path:
    """Where `solved_run` keeps a run of this content."""
    digest = hashlib.sha256(nbformat.writes(notebook).encode())
    for file in sorted(file for pattern in SHOWN_BY for file in ROOT.glob(pattern)):
        if file.suffix != ".pyc":
            digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return cache / f"{name}.{digest.hexdigest()[:16]}.ipynb"


def _modules_only(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".py")]
