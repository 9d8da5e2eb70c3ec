"""Plain values: what goes into a function and what comes out, as data and nothing else.

A value is None, a bool, a number, a string, a tensor, or a list, tuple or dictionary (with string
keys) of values. It is written as a JSON tree beside a table of tensors in the safetensors format:
nothing executable is ever encoded or decoded. A function to be called with travels as the numbers
that describe it (`HeadLoss`); who receives it makes the function.
"""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors import TensorSpec, serialize
from safetensors.torch import load
from torch import Tensor

HEADER = struct.Struct("<II")  # bytes of JSON, bytes of tensors
DEEPEST = 20  # levels of lists in lists; no value of the course has more than four
LARGEST_INTEGER = 1000  # bits: one that still fits into a float


class BadMessage(Exception):
    """The bytes do not hold a plain value."""


@dataclass(frozen=True)
class Other:
    """Stands for a result that is no plain value; only the name of its type travels."""

    type_name: str


@dataclass(frozen=True, eq=False, repr=False)
class HeadLoss:
    """Describes a loss that depends on which heads of a model are on.

    With off = 1 - head_mask, flattened: loss = base + alone · off + off · (together @ off). Heads
    act together, so that the effect of two is not the sum of their single effects.

    Attributes:
        alone: (L, h), float64.
        together: (L·h, L·h), float64.
        base: the loss with all heads on.
        spoils: whether the function clears the mask it was given, once it has read it.
    """

    alone: Tensor
    together: Tensor
    base: float = 1.0
    spoils: bool = False

    def function(self) -> Callable[[Tensor], float]:
        """The function itself, with numbers of its own."""
        alone = self.alone.double().flatten().clone()
        together = self.together.double().clone()
        shape, base, spoils = tuple(self.alone.shape), self.base, self.spoils

        def loss_fn(head_mask: Tensor) -> float:
            """The loss with the heads that the mask (L, h) has 1.0 for; 0.0 turns one off."""
            if not isinstance(head_mask, Tensor) or not head_mask.is_floating_point():
                raise ValueError(f"head_mask must be a float tensor of shape {shape}")
            if tuple(head_mask.shape) != shape:
                raise ValueError(f"head_mask must be {shape}, got {tuple(head_mask.shape)}")
            off = 1 - head_mask.detach().double().flatten()  # (L·h,)
            loss = base + alone @ off + off @ together @ off
            if spoils:
                head_mask.data.zero_()
            return loss.item()

        return loss_fn

    def __repr__(self) -> str:
        return f"a function of a mask {tuple(self.alone.shape)}"


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
        case HeadLoss():
            parts = [value.alone, value.together, value.base, value.spoils]
            return {"$head_loss": flatten(parts, tensors)}
        case Other():
            return {"$other": value.type_name}
    return value


def restore(tree: Any, tensors: dict[str, Tensor], depth: int = 0) -> Any:
    """Undo `flatten`.

    Raises:
        BadMessage: if the tree is not one that `flatten` writes, or too deep.
    """
    if depth > DEEPEST:
        raise BadMessage(f"values in values, more than {DEEPEST} levels deep")

    def inside(item: Any) -> Any:
        return restore(item, tensors, depth + 1)

    match tree:
        case None | bool() | float():
            return tree
        case int():
            bits = tree.bit_length()
            return tree if bits <= LARGEST_INTEGER else Other(f"integer of {bits:,} bits")
        case str():
            return writable(tree)
        case list():
            return [inside(item) for item in tree]
        case {"$tensor": str(name)} if name in tensors:
            return tensors[name]
        case {"$tuple": list(items)}:
            return tuple(inside(item) for item in items)
        case {"$dict": dict(items)}:
            return {writable(key): inside(item) for key, item in items.items()}
        case {"$head_loss": list(parts)}:
            return _head_loss([inside(part) for part in parts])
        case {"$other": str(name)}:
            return Other(writable(name)[:100])
    raise BadMessage("not a plain value")


def parts(value: Any) -> Iterator[Any]:
    """A plain value and all values in it."""
    todo = [value]
    while todo:
        one = todo.pop()
        yield one
        if isinstance(one, dict):
            todo.extend(one.values())
        elif isinstance(one, list | tuple):
            todo.extend(one)


def writable(text: str) -> str:
    """The text without what UTF-8 cannot write (half of a surrogate pair)."""
    return text.encode("utf-8", "replace").decode()


def _head_loss(parts: list) -> HeadLoss:
    match parts:
        case [Tensor(), Tensor(), float(), bool()]:
            return HeadLoss(*parts)
    raise BadMessage("no loss")


def tensor_bytes(tensors: dict[str, Tensor]) -> bytes:
    """Write a table of tensors, as `safetensors.torch.save` does.

    That one finds out with ctypes where each tensor lies, which takes longer than all the rest.
    """
    inline = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return bytes(serialize({name: _place(tensor) for name, tensor in inline.items()}))


def _place(tensor: Tensor) -> TensorSpec:
    dtype = str(tensor.dtype).removeprefix("torch.")
    where, size = tensor.data_ptr(), tensor.nbytes
    return TensorSpec(dtype=dtype, shape=tensor.shape, data_ptr=where, data_len=size)


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
    except BadMessage:
        raise
    except Exception as error:  # the bytes may be anything, and so is what the parsers raise
        raise BadMessage(f"{type(error).__name__}: {error}"[:300]) from None
