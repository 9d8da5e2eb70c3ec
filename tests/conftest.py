"""Shared fixtures: libraries to grade, and a machine that is not oversubscribed."""

import os
import shutil
from pathlib import Path

# Tests run side by side, one process a core: one thread each. Before torch is imported.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import pytest  # noqa: E402
import torch  # noqa: E402

from autograde.build.files import MODULE_NAMES  # noqa: E402

torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def make_submission(tmp_path):
    """Make submission folders: solved by default, with modules replaced by the text given."""
    count = 0

    def make(solved: bool = True, **modules: str | None) -> Path:
        nonlocal count
        count += 1
        folder = tmp_path / f"submission-{count}"
        library = folder / "mha_lib"
        source = ROOT / ("solutions" if solved else "mha_lib")
        library.mkdir(parents=True)
        (library / "__init__.py").write_text("")
        for module in MODULE_NAMES:
            shutil.copy(source / f"{module}.py", library)
        for module, text in modules.items():
            path = library / f"{module}.py"
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text)
        return folder

    return make


@pytest.fixture
def solution():
    """The solved text of one module, for a test to spoil."""
    return lambda module: (ROOT / "solutions" / f"{module}.py").read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A worker takes a whole file; of the notebooks, one after another, so that none lies idle."""
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrNotebook(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if "notebooks.py" in nodeid else super()._split_scope(nodeid)

    return ByFileOrNotebook(config, log) if config.option.dist == "loadfile" else None


def pytest_collection_modifyitems(items):
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))
