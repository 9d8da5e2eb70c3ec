"""Bounds on what a submission may use up."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on submitted code; seconds and bytes.

    Attributes:
        call_seconds: wall time of one call.
        load_seconds: wall time of importing one module.
        total_seconds: wall time of everything that one submission does.
        cpu_seconds: processor time of one runner process.
        memory_bytes: address space of one runner process.
        file_bytes: size of a file, where files can be written at all (without a sandbox).
    """

    call_seconds: float = 10.0
    load_seconds: float = 20.0
    total_seconds: float = 300.0
    cpu_seconds: int = 60
    memory_bytes: int = 4 * 2**30
    file_bytes: int = 2**20
