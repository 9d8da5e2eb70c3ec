"""Plain values: what goes into a function and what comes out, as data and nothing else.

A value is None, a bool, a number, a string, a tensor, or a list, tuple or dictionary (with string
keys) of values. It is written as a JSON tree beside a table of tensors in the safetensors format:
nothing executable is ever encoded or decoded.
"""

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

HEADER = struct.Struct("<II")  # bytes of JSON, bytes of tensors


class BadMessage(Exception):
    """The bytes do not hold a plain value."""


@dataclass(frozen=True)
class Other:
    """Stands for a result that is no plain value; only the name of its type travels."""

    type_name: str


def plain(value: Any) -> Any:
    """Reduce what a function returned to a plain value: detached, on the CPU, no subclass."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Tensor():
            return _plain_tensor(value)
        case np.generic():
            return value.item()
        case np.ndarray():
            return _plain_array(value)
        case list():
            return [plain(item) for item in value]
        case tuple():
            return tuple(plain(item) for item in value)
        case dict() if all(isinstance(key, str) for key in value):
            return {key: plain(item) for key, item in value.items()}
    return Other(type(value).__name__)


def _plain_tensor(value: Tensor) -> Tensor | Other:
    try:
        return value.detach().as_subclass(Tensor).to("cpu").resolve_conj().contiguous().clone()
    except (RuntimeError, NotImplementedError):  # a sparse, nested or meta tensor
        return Other(f"{value.layout} tensor")


def _plain_array(value: np.ndarray) -> Tensor | Other:
    try:
        return torch.from_numpy(np.array(value))
    except TypeError:
        return Other(f"array of {value.dtype}")


def flatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Write a plain value as a JSON tree; its tensors go into `tensors`, referred to by number."""
    match value:
        case Tensor():
            name = str(len(tensors))
            tensors[name] = value
            return {"$tensor": name}
        case tuple():
            return {"$tuple": [flatten(item, tensors) for item in value]}
        case list():
            return [flatten(item, tensors) for item in value]
        case dict():
            return {"$dict": {key: flatten(item, tensors) for key, item in value.items()}}
        case Other():
            return {"$other": value.type_name}
    return value


def restore(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo `flatten`.

    Raises:
        BadMessage: if the tree is not one that `flatten` writes.
    """
    match tree:
        case None | bool() | int() | float() | str():
            return tree
        case list():
            return [restore(item, tensors) for item in tree]
        case {"$tensor": str(name)} if name in tensors:
            return tensors[name]
        case {"$tuple": list(items)}:
            return tuple(restore(item, tensors) for item in items)
        case {"$dict": dict(items)}:
            return {key: restore(item, tensors) for key, item in items.items()}
        case {"$other": str(name)}:
            return Other(name)
    raise BadMessage("not a plain value")


def tensor_bytes(tensors: dict[str, Tensor]) -> bytes:
    """Write a table of tensors."""
    # Copies: safetensors refuses tensors that share memory or don't lie in reading order.
    return save({name: tensor.contiguous().clone() for name, tensor in tensors.items()})


def pack(value: Any) -> bytes:
    """Write a plain value as one message: header, JSON tree, tensors."""
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(flatten(value, tensors)).encode()
    blob = tensor_bytes(tensors)
    return HEADER.pack(len(tree), len(blob)) + tree + blob


def unpack(tree: bytes, blob: bytes) -> Any:
    """Read the two parts of a message.

    Raises:
        BadMessage: whatever is wrong with the bytes.
    """
    try:
        return restore(json.loads(tree), load(blob))
    except (ValueError, KeyError, RecursionError, SafetensorError, AttributeError) as error:
        raise BadMessage(f"{type(error).__name__}: {error}") from None
