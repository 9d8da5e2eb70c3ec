"""Import a learner's `mha_lib` from a folder, and nothing else from beside it.

A `torch.py` next to the notebook must not stand in for PyTorch, so the folder never goes on
`sys.path`: only the name `mha_lib` is looked up there. Source is compiled afresh each time, since a
cached `.pyc` misses an edit made within the same second.
"""

import importlib
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

PACKAGE = "mha_lib"


class _FreshLoader(SourceFileLoader):
    def get_code(self, fullname):
        return self.source_to_code(self.get_data(self.path), self.path)


class LibraryFinder(MetaPathFinder):
    """Finds `mha_lib` and its modules in one folder."""

    def __init__(self, library: Path):
        self.library = library

    def find_spec(self, name, path=None, target=None):
        if name == PACKAGE:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(self.library)]
            return spec
        if not name.startswith(PACKAGE + "."):
            return None
        spec = PathFinder.find_spec(name, path)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _FreshLoader(spec.loader.name, spec.loader.path)
        return spec


@contextmanager
def library(folder: Path) -> Iterator[None]:
    """Within the block, `import mha_lib` means `folder`; afterwards all is as it was before."""
    before = _take_out()
    finder = LibraryFinder(folder)
    sys.meta_path.insert(0, finder)
    linecache.checkcache()
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _take_out()
        sys.modules.update(before)


def load_module(module: str) -> ModuleType:
    """Import one module of the library; raises whatever its code raises."""
    return importlib.import_module(f"{PACKAGE}.{module}")


def _take_out() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name == PACKAGE or name.startswith(PACKAGE + ".")]
    return {name: sys.modules.pop(name) for name in names}
