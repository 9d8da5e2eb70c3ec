"""Write what was measured: tables in Markdown, each between its own markers, with the machine."""

import os
import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "docs" / "benchmarks.md"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    rule = [":--", *["--:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def machine(device: str = "cpu") -> str:
    """Processor, cores and versions in a sentence; nothing that names a person or a machine."""
    parts = [f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"]
    if device == "cuda":
        parts.append(torch.cuda.get_device_name())
    parts += [f"PyTorch {torch.__version__}", f"Python {platform.python_version()}"]
    return "; ".join(parts)


def _processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = re.findall(r"^model name\s*: (.*)$", info, re.MULTILINE)
    return names[0] if names else platform.machine()


def write_section(name: str, text: str, path: Path = BENCHMARKS) -> None:
    """Put `text` between the markers of section `name`, in place of what was there.

    Raises:
        ValueError: if the file has no such markers.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{path.name} has no markers {begin} … {end}")
    path.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}", encoding="utf-8")
