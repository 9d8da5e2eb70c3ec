"""Import a learner's `mha_lib` from a folder, and nothing else from beside it.

A `torch.py` next to the notebook must not stand in for PyTorch, so the folder never goes on
`sys.path`: only the name `mha_lib` is looked up there. Source is compiled afresh each time, since a
cached `.pyc` misses an edit made within the same second.
"""

import importlib
import linecache
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import decode_source
from itertools import islice
from pathlib import Path
from types import ModuleType

PACKAGE = "mha_lib"
LARGEST_MODULE = 200_000  # bytes; a module of this course has about 5,000
LARGEST_PACKAGE = 600_000  # with its names
MOST_FILES = 100_000  # that are looked at


class _FreshLoader(SourceFileLoader):
    def get_code(self, fullname):
        return self.source_to_code(self.get_data(self.path), self.path)


class LibraryFinder(MetaPathFinder):
    """Finds `mha_lib` and its modules in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def has(self, module: str) -> bool:
        return (self.folder / f"{module}.py").is_file()

    def find_spec(self, name, path=None, target=None):
        if name == PACKAGE:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(self.folder)]
            return spec
        if not name.startswith(PACKAGE + "."):
            return None
        spec = PathFinder.find_spec(name, path)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _FreshLoader(spec.loader.name, spec.loader.path)
        return spec


class _TextLoader(InspectLoader):
    """Runs a module from text that is already here; tracebacks find its lines through it."""

    def __init__(self, path: str, text: bytes):
        self.path, self.text = path, text

    def get_source(self, fullname):
        return decode_source(self.text)

    def get_code(self, fullname):
        return self.source_to_code(self.text, self.path)


class TextFinder(MetaPathFinder):
    """Finds `mha_lib` and its modules in memory.

    Args:
        folder: where the files are said to lie.
        texts: path below the folder -> the file's bytes.
    """

    def __init__(self, folder: Path, texts: Mapping[str, bytes]):
        self.folder, self.texts = folder, texts

    def has(self, module: str) -> bool:
        return f"{module}.py" in self.texts

    def find_spec(self, name, path=None, target=None):
        package, *rest = name.split(".")
        if package != PACKAGE:
            return None
        if not rest:
            return ModuleSpec(name, None, is_package=True)
        for file in ("/".join(rest) + ".py", "/".join(rest) + "/__init__.py"):
            if file in self.texts:
                where = str(self.folder / file)
                loader = _TextLoader(where, self.texts[file])
                is_package = file.endswith("/__init__.py")
                spec = ModuleSpec(name, loader, origin=where, is_package=is_package)
                spec.has_location = True  # gives the module its __file__
                return spec
        folder = "/".join(rest) + "/"
        if any(file.startswith(folder) for file in self.texts):
            return ModuleSpec(name, None, is_package=True)
        return None


def read_package(folder: Path) -> dict[str, bytes]:
    """Read the modules of a package that somebody handed in: path below the folder -> bytes.

    Links, pipes, devices and what is too large are left out: then the module is not there.
    """
    texts, room = {}, LARGEST_PACKAGE
    for path in _modules(folder, MOST_FILES, depth=3):
        content = _plain_file(path)
        name = path.relative_to(folder).as_posix()
        if content is not None and len(content) + len(name) <= room:
            room -= len(content) + len(name)
            texts[name] = content
    return texts


def _modules(folder: Path, most: int, depth: int) -> list[Path]:
    """The Python files of a folder and of folders in it; links are not followed."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, most))
    except OSError:
        return []
    found = [folder / name for name in names if name.endswith(".py")]
    for inner in (folder / name for name in names if depth and not name.endswith(".py")):
        found += _modules(inner, most - len(found), depth - 1)
    return found[:most]


def _plain_file(path: Path) -> bytes | None:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_size > LARGEST_MODULE:
                return None
            return file.read(LARGEST_MODULE)
    except OSError:
        return None


@contextmanager
def library(finder: "LibraryFinder | TextFinder") -> Iterator[None]:
    """Within the block, `import mha_lib` means what `finder` finds; afterwards all is as before."""
    before = _take_out()
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
    if PACKAGE not in sys.modules:  # and so no module of it; a look at a thousand names is not free
        return {}
    names = [name for name in sys.modules if name == PACKAGE or name.startswith(PACKAGE + ".")]
    return {name: sys.modules.pop(name) for name in names}
