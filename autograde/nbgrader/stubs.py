"""Bring new stubs into a learner's `mha_lib` without touching their work."""

import hashlib
import json
import shutil
from pathlib import Path

MANIFEST = ".stubs.json"


def merge_stubs(stubs: Path, lib: Path) -> dict[str, list[str]]:
    """Copy released modules into the learner's package; a changed file is left alone.

    The package keeps a small manifest of the stubs that were put there, so that a stub nobody has
    touched can be replaced by a newer one.

    Returns:
        the names of the files "added", "updated" and "kept" (the learner changed them).

    Raises:
        OSError: if the package cannot be written.
    """
    lib.mkdir(exist_ok=True)
    manifest = _read_manifest(lib / MANIFEST)
    done: dict[str, list[str]] = {"added": [], "updated": [], "kept": []}
    for stub in sorted(stubs.rglob("*.py")):
        name = stub.relative_to(stubs).as_posix()
        target = lib / name
        new, present = _digest(stub), _digest(target)
        if present not in (None, new, manifest.get(name)):
            done["kept"].append(name)
            continue
        if present != new:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(stub, target)
            done["added" if present is None else "updated"].append(name)
        manifest[name] = new
    (lib / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return done


def summary(done: dict[str, list[str]]) -> str:
    """One line about a merge, for the learner."""
    words = {"added": "added", "updated": "updated", "kept": "left as you changed it:"}
    parts = [f"{words[what]} {', '.join(names)}" for what, names in done.items() if names]
    return "; ".join(parts) or "up to date"


def _digest(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None


def _read_manifest(path: Path) -> dict[str, str]:
    """A manifest that is missing or damaged counts as empty: then nothing is replaced."""
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}
