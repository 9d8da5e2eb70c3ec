"""Where to compute: one rule for notebooks, timings and benchmarks."""

import torch


def best_device(wanted: str = "auto") -> str:
    """Name the device to use; "auto" is the fastest PyTorch has here: "cuda", "mps" or "cpu"."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
