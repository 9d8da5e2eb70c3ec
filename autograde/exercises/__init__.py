"""The author's entries, one module a module of `mha_lib`, in course order. Trusted side only."""

from . import (
    attention,
    block,
    cards,
    experts,
    heads,
    layers,
    mixing,
    partition,
    roles,
    sharing,
    single,
    sizing,
)
from .entry import Exercise

MODULES = (
    attention,
    single,
    heads,
    sizing,
    mixing,
    partition,
    roles,
    sharing,
    layers,
    experts,
    cards,
    block,
)

EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise for module in MODULES for exercise in module.EXERCISES
}
