"""Whatever bytes a runner sends, the trusted side ends with a value or with a word for what it was.

Bytes at random and valid messages with a few bytes changed go into the reader of the pipe, and into
a `Session` whose runner is played by a string of bytes.
"""

import io
import json
import tracemalloc
from contextlib import suppress
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autograde import sandbox
from autograde.calls import Outcome
from autograde.exercises import EXERCISES
from autograde.limits import Limits
from autograde.pipe import LARGEST_TENSORS, LARGEST_TREE, receive
from autograde.session import Session
from autograde.values import HEADER, BadMessage, Other, pack

TENSORS = st.sampled_from(
    [torch.zeros(2, 3), torch.arange(3), torch.tensor(True), torch.ones(1, dtype=torch.complex64)]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | TENSORS
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
WORDS = st.sampled_from(["value", "changed", "error", "absent", "unloadable", "loaded", "ask"])
REPLIES = (
    st.dictionaries(WORDS | st.just("args") | st.just("kwargs"), VALUES, max_size=4)
    | st.fixed_dictionaries({"value": VALUES, "changed": st.lists(st.text(max_size=3))})
    | st.fixed_dictionaries({"error": st.tuples(st.lists(st.text()), st.text(), st.text())}).map(
        lambda reply: {"error": list(reply["error"])}
    )
    | st.fixed_dictionaries(
        {
            "ask": st.sampled_from(["attention.softmax", "attention.nothing", ""]),
            "args": st.lists(VALUES, max_size=3),
            "kwargs": st.dictionaries(st.sampled_from(["scores", "dim", ""]), VALUES, max_size=2),
        }
    )
)
MESSAGES = (REPLIES | VALUES).map(pack)


@st.composite
def mutated(draw) -> bytes:
    """A valid message with some bytes changed, left out or repeated."""
    data = bytearray(draw(MESSAGES))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 8)))
        data[start:end] = draw(st.binary(max_size=8))
    return bytes(data)


BYTES = st.binary(max_size=200) | mutated() | st.lists(mutated(), max_size=3).map(b"".join)


def is_plain(value) -> bool:
    match value:
        case list() | tuple():
            return all(map(is_plain, value))
        case dict():
            return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    types = (type(None), bool, int, float, str, Other)
    return type(value) in types or type(value) is torch.Tensor


@settings(max_examples=150, deadline=None)
@given(BYTES)
def test_bytes_are_a_plain_value_or_a_bad_message(data):
    stream = io.BytesIO(data)
    with suppress(BadMessage, EOFError):
        while True:
            assert is_plain(receive(stream))


@given(st.binary(min_size=8, max_size=8))
@settings(max_examples=50, deadline=None)
def test_a_header_alone_takes_no_memory(header):
    """What a header announces is not set aside before it is there."""
    tracemalloc.start()
    try:
        with pytest.raises((BadMessage, EOFError)):
            receive(io.BytesIO(header + bytes(64)))
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "excess", [(LARGEST_TREE + 1, 0), (0, LARGEST_TENSORS + 1), (2**32 - 1,) * 2]
)
def test_what_is_too_large_is_refused_before_it_is_read(excess):
    stream = io.BytesIO(HEADER.pack(*excess) + bytes(10))
    with pytest.raises(BadMessage, match="too large"):
        receive(stream)
    assert stream.tell() == HEADER.size


@pytest.mark.parametrize("item", ["[]", "{}", '""'])
def test_a_message_of_many_small_values_takes_bounded_memory(item):
    """The largest tree that passes the header, filled with the smallest values."""
    count = (LARGEST_TREE - 10) // (len(item) + 1)
    tree = ("[" + ",".join([item] * count) + "]").encode()
    message = HEADER.pack(len(tree), len(pack(None)) - 12) + tree + pack(None)[12:]
    tracemalloc.start()
    try:
        with suppress(BadMessage):
            receive(io.BytesIO(message))
        assert tracemalloc.get_traced_memory()[1] < 500 * 2**20
    finally:
        tracemalloc.stop()


class Played:
    """A runner that has said all that it will ever say."""

    pid, returncode = 2**22 + 1, 0  # a number that no process has

    def __init__(self, said: bytes):
        self.stdin, self.stdout = io.BytesIO(), io.BytesIO(said)

    def wait(self, timeout=None):
        return 0

    def kill(self):
        pass


def play(said: bytes, exercise: str) -> Outcome:
    """What comes of a call when the runner shakes hands, loads all modules and then says this."""
    ready = pack({"ready": True}) + pack({"loaded": True})
    with (
        patch.object(sandbox, "start", lambda *_: Played(ready + said)),
        patch.object(sandbox, "stop", lambda *_: None),
        Session({}, [exercise], Limits(call_seconds=5.0), sandbox.OFF) as session,
    ):
        session.answers["attention.softmax"] = EXERCISES["attention.softmax"].reference
        return session.call(exercise, {"q": torch.zeros(2, 2)})


@settings(max_examples=100, deadline=None)
@given(BYTES)
def test_a_session_survives_whatever_its_runner_says(data):
    outcome = play(data, "attention.scaled_dot_product_attention")
    assert isinstance(outcome, Outcome)
    assert is_plain(outcome.value)
    for text in (outcome.stopped, outcome.absent, *outcome.changed):
        assert text is None or isinstance(text, str)
    assert len(json.dumps([outcome.stopped, outcome.absent])) < 50_000
