"""A learner who did only some exercises can go on: no cell stumbles over what another has skipped.

A cell that runs on the learner's functions begins with `needs`. When one of them is not right, the
cell stops with a sentence, and what it would have defined is missing. For every lesson and every
exercise: the cells that still run use nothing that only a stopped one defines.
"""

import ast
import builtins
import symtable
from dataclasses import dataclass

import pytest

from autograde.build.files import MODULE_NAMES, lessons
from autograde.build.lessons import notebook_from_lesson
from autograde.exercises import EXERCISES


@dataclass(frozen=True)
class Cell:
    """What a code cell asks for, defines, uses and calls."""

    source: str
    needs: frozenset[str]
    defines: frozenset[str]
    uses: frozenset[str]
    calls: frozenset[str]

    def __str__(self):
        return self.source[:100]


def read_cell(source: str) -> Cell:
    code = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
    needs, calls = set(), set()
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Call(func=ast.Name(id="needs" | "check"), args=args):
                needs |= {arg.value for arg in args}
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in MODULE_NAMES:
                calls |= {f"{module}.{name}"} & EXERCISES.keys()
    table = symtable.symtable(code, "cell", "exec")
    defines = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    uses = {s.get_name() for s in table.get_symbols() if s.is_referenced()} | set(_globals(table))
    return Cell(source, *map(frozenset, (needs, defines, uses, calls)))


def _globals(table):
    """Names of the notebook that functions defined in a cell use."""
    for inner in table.get_children():
        yield from (s.get_name() for s in inner.get_symbols() if s.is_global())
        yield from _globals(inner)


def stumbles(cells: list[Cell], missing: str) -> list[str]:
    """Cells that would meet a NameError while `missing` is not right yet."""
    known, found = set(dir(builtins)), []
    for cell in cells:
        if missing not in cell.needs:
            if lost := cell.uses - known - cell.defines:
                found.append(f"without {missing}, {', '.join(sorted(lost))} is not defined: {cell}")
            known |= cell.defines
    return found


@pytest.mark.parametrize("lesson", lessons(), ids=lambda path: path.stem)
def test_a_lesson_can_be_done_in_part(lesson):
    notebook = notebook_from_lesson(lesson)
    cells = [read_cell(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        asked = cell.calls - cell.needs
        assert not asked, f"this cell should begin with needs({', '.join(sorted(asked))}): {cell}"
    for missing in sorted(frozenset().union(*(cell.needs for cell in cells))):
        assert stumbles(cells, missing) == []


def test_a_stumbling_cell_is_noticed():
    cells = [
        read_cell("%load_ext autograde\nfrom autograde import needs\nfrom mha_lib import heads"),
        read_cell('needs("heads.split_heads")\nx = heads.split_heads(1, 2)'),
        read_cell("def f():\n    return x\nprint(f())"),
    ]
    found = {name: stumbles(cells, name) for name in ("heads.split_heads", "heads.merge_heads")}
    assert len(found["heads.split_heads"]) == 1 and found["heads.merge_heads"] == []
    assert read_cell("heads.merge_heads(1)").calls == {"heads.merge_heads"}
