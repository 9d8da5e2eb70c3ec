"""Find functions that resemble one another more than independent work does: a hint, no verdict.

Compared are the bodies as Python understands them: comments, docstrings, annotations, layout, the
words of messages and the names of arguments and locals are gone. What remains is a row of tokens;
the similarity of two rows is 2·LCS / (length + length), LCS being their longest common subsequence
(RapidFuzz's normalised Indel similarity).
"""

import ast
import io
import tokenize
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist
from tqdm import tqdm

# Shorter functions of this course can hardly be written in two ways.
FEWEST_TOKENS = 60
# Above what independent right versions of one exercise reach; tests/test_similar.py measures both.
THRESHOLD = 0.8
ROWS = 500  # of the comparison at a time: a block of 500 × 10,000 takes 20 MB
_LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.COMMENT}


@dataclass(frozen=True)
class Alike:
    """Learners whose functions resemble each other.

    Attributes:
        one, other: those of `one` have equal functions, and so have those of `other`.
        similarity: 0 … 1 between the two; 1 when nothing but names, words and layout differs.
    """

    exercise: str
    one: tuple[str, ...]
    other: tuple[str, ...]
    similarity: float


def normalise(module: str, function: str) -> tuple[str, ...]:
    """The tokens of a function's body, with what can be changed without a thought taken out.

    Functions of the same module that it calls, other than the exercises' own, follow in the order
    of their definition, so that moving a part of the body into a helper hides nothing.

    Args:
        module: text of the module.
        function: the name of a function in it.

    Returns:
        the tokens; none if the text is no Python, or lacks the function.
    """
    try:
        tree = ast.parse(module)
        return tuple(
            token for node in _with_helpers(tree, function) for token in _tokens_of_body(node)
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()


def similarity(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    """0 … 1 between two rows of tokens."""
    return Indel.normalized_similarity(one, other)


def alike(
    exercise: str, rows: Mapping[str, tuple[str, ...]], threshold: float = THRESHOLD
) -> list[Alike]:
    """The functions at or above the threshold, the most similar first.

    Args:
        exercise: its name, for the result.
        rows: learner -> tokens; rows shorter than `FEWEST_TOKENS` are left out.

    Raises:
        ValueError: if the threshold is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold} is not above 0 and at most 1")
    owners = defaultdict(list)  # equal rows are compared once
    for learner, row in sorted(rows.items()):
        if len(row) >= FEWEST_TOKENS:
            owners[row].append(learner)
    groups, texts = [tuple(group) for group in owners.values()], _as_texts(list(owners))
    found = [Alike(exercise, group[:1], group[1:], 1.0) for group in groups if len(group) > 1]
    for i, j, score in _above(texts, threshold, exercise):
        found.append(Alike(exercise, groups[i], groups[j], score))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.one, pair.other))


def _above(texts: list[str], threshold: float, exercise: str):
    """(i, j, similarity) for i < j, block by block."""
    starts = range(0, len(texts), ROWS)
    for start in tqdm(starts, f"comparing {exercise}", leave=False, disable=len(starts) < 3):
        scores = cdist(
            texts[start : start + ROWS],
            texts[start:],
            scorer=Indel.normalized_similarity,
            score_cutoff=threshold,
            dtype=np.float32,
        )
        for i, j in np.argwhere(scores >= np.float32(threshold)):
            if i < j:
                yield start + int(i), start + int(j), float(scores[i, j])


def _as_texts(rows: list[tuple[str, ...]]) -> list[str]:
    """One character a token, which is what RapidFuzz compares fastest."""
    alphabet: dict[str, str] = {}
    return [
        "".join(alphabet.setdefault(token, chr(0x10000 + len(alphabet))) for token in row)
        for row in rows
    ]


def _with_helpers(tree: ast.Module, function: str) -> list[ast.FunctionDef]:
    """The function, then those of the module that it reaches by name and that begin with "_"."""
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    reached, waiting = set(), [function] if function in defined else []
    while waiting:
        reached.add(waiting.pop())
        names = {
            node.id
            for name in reached
            for node in ast.walk(defined[name])
            if isinstance(node, ast.Name) and node.id.startswith("_")
        }
        waiting = [name for name in names & defined.keys() if name not in reached]
    helpers = [node for name, node in defined.items() if name in reached - {function}]
    return ([defined[function]] if function in reached else []) + helpers


def _tokens_of_body(function: ast.FunctionDef) -> list[str]:
    plain = _Plain(function).visit(function)
    text = "\n".join(ast.unparse(ast.fix_missing_locations(node)) for node in plain.body)
    read = io.StringIO(text + "\n").readline
    return [
        tokenize.tok_name[token.type]
        if token.type in (tokenize.INDENT, tokenize.DEDENT)
        else token.string
        for token in tokenize.generate_tokens(read)
        if token.type not in _LAYOUT
    ]


class _Plain(ast.NodeTransformer):
    """Takes names, words and annotations out of one function."""

    def __init__(self, function: ast.FunctionDef):
        self.names: dict[str, str] = {}
        for node in ast.walk(function):
            match node:
                case ast.arg(arg=name):
                    self._number(name)
                case ast.Name(id=name, ctx=ast.Store()):
                    self._number(name)
                case ast.FunctionDef(name=name) if node is not function:
                    self._number(name)

    def _number(self, name: str) -> None:
        self.names.setdefault(name, f"v{len(self.names)}")

    def visit_Name(self, node):
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_arg(self, node):
        return ast.arg(self.names[node.arg])

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.name = self.names.get(node.name, node.name)
        node.returns = None
        return node

    def visit_AnnAssign(self, node):
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value else None

    def visit_Expr(self, node):
        """Docstrings, and other values that nothing is done with."""
        self.generic_visit(node)
        return None if isinstance(node.value, ast.Constant) else node

    def visit_Constant(self, node):
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node):
        return ast.Constant("")
