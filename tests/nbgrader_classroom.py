"""A small school for tests: a course directory, an exchange, and people who type commands."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from nbgrader.server_extensions.assignment_list.handlers import AssignmentList

LOOKUP = "01_one_lookup"
SPLIT = "03_split_run_concatenate_project"

# Right, and written in other words than the reference: what learners hand in must not look like a
# leak of the solutions.
ATTENTION = """\
import math

import torch


def softmax(scores, dim=-1):
    return torch.softmax(scores, dim)


def causal_mask(num_tokens):
    if num_tokens < 0:
        raise ValueError("cannot mask %d tokens" % num_tokens)
    return torch.ones(num_tokens, num_tokens).tril().bool()


def padding_mask(lengths, num_tokens):
    lengths = [int(length) for length in lengths]
    for length in lengths:
        if length < 0 or length > num_tokens:
            raise ValueError("length %d does not fit %d tokens" % (length, num_tokens))
    rows = [[key < length for key in range(num_tokens)] for length in lengths]
    return torch.tensor(rows, dtype=torch.bool).reshape(len(rows), 1, 1, num_tokens)


def scaled_dot_product_attention(q, k, v, mask=None):
    if q.size(-1) != k.size(-1):
        raise ValueError("widths differ: %d, %d" % (q.size(-1), k.size(-1)))
    if k.size(-2) != v.size(-2):
        raise ValueError("numbers differ: %d keys, %d values" % (k.size(-2), v.size(-2)))
    scores = torch.einsum("...qd,...kd->...qk", q, k) / math.sqrt(q.size(-1))
    if mask is not None:
        try:
            mask = torch.broadcast_to(mask, scores.size())
        except RuntimeError:
            raise ValueError("mask %s, scores %s" % (tuple(mask.size()), tuple(scores.size())))
        scores = torch.where(mask, scores, torch.full_like(scores, -math.inf))
    shares = torch.nan_to_num(torch.softmax(scores, -1), nan=0.0)
    return torch.matmul(shares, v), shares
"""

HEADS = """\
import torch

from .attention import scaled_dot_product_attention


def split_heads(x, num_heads):
    if num_heads < 1 or x.size(2) % num_heads:
        raise ValueError("cannot cut %d columns into %d heads" % (x.size(2), num_heads))
    return torch.stack(x.chunk(num_heads, dim=2), dim=1)


def merge_heads(x):
    return torch.cat(x.unbind(dim=1), dim=2)


def multi_head_attention(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    parts = [split_heads(torch.matmul(x, w), num_heads) for w in (w_q, w_k, w_v)]
    looked_up, shares = scaled_dot_product_attention(*parts, mask)
    return torch.matmul(merge_heads(looked_up), w_o), shares
"""


@dataclass
class Person:
    """Somebody with a home and a Jupyter directory of their own."""

    name: str
    home: Path
    work: Path

    def command(self, *words: str, expect: int = 0) -> str:
        """Type a command and return what it prints; fail unless it ends with `expect`."""
        env = os.environ | self.environment()
        done = subprocess.run(
            words, cwd=self.work, env=env, capture_output=True, text=True, timeout=600
        )
        printed = done.stdout + done.stderr
        assert done.returncode == expect, f"{' '.join(words)} in {self.work}:\n{printed}"
        return printed

    def environment(self) -> dict[str, str]:
        self.home.mkdir(parents=True, exist_ok=True)
        return {
            "HOME": str(self.home),
            "JUPYTER_CONFIG_DIR": str(self.home / ".jupyter"),
            "JUPYTER_DATA_DIR": str(self.home / ".local/share/jupyter"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
            "OMP_NUM_THREADS": "1",
        }

    def nbgrader(self, *words: str, expect: int = 0) -> str:
        return self.command(sys.executable, "-m", "nbgrader", *words, expect=expect)

    def autograde(self, *words: str, expect: int = 0) -> str:
        return self.command(f"{sysconfig.get_path('scripts')}/autograde", *words, expect=expect)

    def fetch(self, assignment: str) -> str:
        return self.nbgrader("fetch_assignment", assignment)

    def submit(self, assignment: str) -> str:
        return self.nbgrader("submit", assignment)

    def submit_in_jupyterlab(self, assignment: str) -> None:
        """What the Submit button of JupyterLab's Assignment List calls, in this process."""
        with chdir(self.work), patch.dict(os.environ, self.environment()):
            assignments = AssignmentList()
            assignments.root_dir = str(self.work)
            answer = assignments.submit_assignment(School.course_id, assignment)
        assert answer["success"], answer

    def write(self, name: str, text: str) -> None:
        (self.work / name).write_text(text, encoding="utf-8")

    def notebook(self, assignment: str) -> Path:
        return self.work / assignment / f"{assignment}.ipynb"


class School:
    """One course with its exchange, its instructor and its learners below one folder."""

    course_id = "mha"

    def __init__(self, root: Path):
        self.root = root
        self.course = root / "course"
        self.exchange = root / "exchange"
        root.chmod(0o755)
        self.instructor = Person("instructor", root / "homes/instructor", root)

    def open(self) -> None:
        """Make the course with the public command, and work in it from now on."""
        words = ["--exchange", str(self.exchange), "--course-id", self.course_id]
        self.instructor.autograde("course", str(self.course), *words)
        self.instructor.work = self.course

    def learner(self, name: str, like: Person | None = None) -> Person:
        """A new learner; `like` lends a copy of all that it has fetched and written so far."""
        person = self.person(name)
        if like:
            shutil.copytree(like.work, person.work)
        else:
            person.work.mkdir(parents=True)
        person.write(
            "nbgrader_config.py",
            "c = get_config()\n"
            f"c.Exchange.root = {str(self.exchange)!r}\n"
            f"c.CourseDirectory.course_id = {self.course_id!r}\n"
            f"c.CourseDirectory.student_id = {name!r}\n",
        )
        return person

    def person(self, name: str) -> Person:
        return Person(name, self.root / "homes" / name, self.root / "work" / name)

    def inbound(self, learner: str) -> list[Path]:
        return sorted((self.exchange / self.course_id / "inbound").glob(f"{learner}+*"))


def edit_notebook(path: Path, change) -> None:
    """Load a notebook as plain JSON, let `change` alter its cells, and save it."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(notebook["cells"])
    path.write_text(json.dumps(notebook), encoding="utf-8")


def find_cell(cells: list[dict], grade_id: str) -> dict:
    return next(c for c in cells if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id)
