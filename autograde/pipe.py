"""The pipe between the trusted grader and the untrusted runner: one message after another.

A message is a plain value (see `values`). The reader decides how large it may be before it reads.
"""

from typing import Any, BinaryIO

from .values import HEADER, BadMessage, pack, unpack

# Bytes of one message. A case of this course needs some thousands; a tree of JSON takes up to
# a hundred times its size as Python objects.
LARGEST_TREE, LARGEST_TENSORS = 2**22, 2**26


def send(stream: BinaryIO, message: Any) -> None:
    stream.write(pack(message))
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message.

    Raises:
        EOFError: if the other side is gone.
        BadMessage: if the bytes are no message, or one that is too large.
    """
    tree_size, blob_size = HEADER.unpack(_exactly(stream, HEADER.size))
    if tree_size > LARGEST_TREE or blob_size > LARGEST_TENSORS:
        raise BadMessage(f"a message of {tree_size + blob_size:,} bytes is too large")
    return unpack(_exactly(stream, tree_size), _exactly(stream, blob_size))


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the other side is gone")
    return data
