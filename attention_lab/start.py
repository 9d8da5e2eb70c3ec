"""What notebook 00 shows: the state of the machine, a first look at attention, a failed check."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import torch
import torch.nn.functional as F
from IPython.display import display
from torch import Tensor

from .device import best_device

NEEDED = ("torch", "numpy", "matplotlib", "ipywidgets")
PACKAGES = (*NEEDED, "jupyterlab", "nbgrader")  # the last two are not there in every kernel
COURSE = "multi-head-attention-course"
SENTENCE = "the bird flew home because it was tired"
STRENGTH = 4.0  # the score of a match; no match scores 0


def machine_report() -> str:
    """List what a bug report needs; no name of a person, a machine or a folder is in it."""
    lines = {
        "course": _version(COURSE),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "CPU": f"{os.cpu_count()} logical cores; PyTorch uses {torch.get_num_threads()}",
        "device": best_device(),
    }
    if lines["device"] == "cuda":
        lines["GPU"] = torch.cuda.get_device_name()
    return "\n".join(f"{name:<12}{text}" for name, text in lines.items())


def machine_problems(library: Path) -> list[str]:
    """Look for what would get in a learner's way.

    Args:
        library: the `mha_lib` folder.

    Returns:
        One sentence a problem, with its cure; empty if all is well.
    """
    problems = []
    q, k, v = torch.eye(2)[None].repeat(3, 1, 1).unbind()
    expected = torch.softmax(torch.tensor([2**-0.5, 0.0]), dim=0)
    if not torch.allclose(F.scaled_dot_product_attention(q, k, v)[0], expected, atol=1e-5):
        problems.append("PyTorch computes a look-up wrongly: reinstall it and report the block.")
    for folder, use in ((library, "your code"), (library.parent, "your predictions")):
        if not os.access(folder, os.W_OK):
            problems.append(
                f"The folder {folder.name} cannot be written, so {use} cannot be saved."
            )
    missing = [name for name in NEEDED if _version(name) == "missing"]
    if missing:
        problems.append(
            f"Not installed: {', '.join(missing)}. Install the course's packages again."
        )
    return problems


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package" if package == COURSE else "missing"


def two_lenses() -> tuple[list[str], dict[str, Tensor]]:
    """Look at one sentence in two ways, with queries and keys written by hand.

    Returns:
        The T = 8 words, and title -> weights (T, T), rows sum to 1.
    """
    words = SENTENCE.split()
    place = torch.eye(len(words))  # a place in the sentence, as a vector
    before = place[[0, *range(len(words) - 1)]]  # the place before; the first word has only its own
    being = torch.tensor([[float(word == "bird")] for word in words])  # (T, 1)
    lenses = {
        "lens 1: which being is it about?": (torch.ones_like(being), being),
        "lens 2: which word came before?": (before, place),
    }
    return words, {
        title: torch.softmax(STRENGTH * q @ k.T, dim=-1) for title, (q, k) in lenses.items()
    }


def show_failed_check() -> None:
    """Show what a check says of a wrong `causal_mask`, one that lets tokens see the future only."""
    from autograde.checking import check_library
    from autograde.report import result_html, result_text

    wrong = """
        import torch

        def causal_mask(num_tokens):
            return torch.ones(num_tokens, num_tokens).triu().bool()
    """
    with TemporaryDirectory() as folder:
        library = Path(folder) / "mha_lib"
        library.mkdir()
        (library / "attention.py").write_text(dedent(wrong), encoding="utf-8")
        result = check_library(library, ["attention.causal_mask"])["attention.causal_mask"]
    display({"text/html": result_html(result), "text/plain": result_text(result)}, raw=True)
