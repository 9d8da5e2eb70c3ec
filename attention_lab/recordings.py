"""Recorded runs: small results that come with the course, and live ones drawn over them."""

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm.auto import tqdm

from .figures import BLUE

FOLDER = Path(__file__).parent / "recorded"
Run = TypeVar("Run")


def read_runs(path: Path, make: type[Run], kind: str = "runs") -> list[Run]:
    """The recorded runs of one kind.

    Args:
        make: the dataclass that they were written from.
        kind: the list's name in the file.
    """
    rows = json.loads(path.read_text(encoding="utf-8"))[kind]
    return [make(**{name: _tuple(value) for name, value in row.items()}) for row in rows]


def select(runs: Iterable[Run], **wanted: Any) -> list[Run]:
    """Those runs whose fields equal the ones given, e.g. num_heads=4, seed=0."""
    return [run for run in runs if all(getattr(run, name) == v for name, v in wanted.items())]


def make_runs(jobs: list[dict], train: Callable[..., Run]) -> list[Run]:
    """Train every job, with a progress bar; after a stop, those that are finished are returned.

    Args:
        jobs: arguments of `train`.
        train: gives a run with `steps` and `planned`.
    """
    done: list[Run] = []
    try:
        for job in tqdm(jobs, desc="recording", unit="run"):
            run = train(**job, progress=False)
            if run.steps < run.planned:
                break
            done.append(run)
    except KeyboardInterrupt:
        print(f"Stopped: {len(done)} of {len(jobs)} runs are kept.")
    return done


def write_runs(path: Path, command: str, task: Any, **kinds: list) -> None:
    """Write runs, a line each, with what is needed to repeat them.

    Args:
        command: makes the same file again.
        task: the dataclass that describes the task.
        **kinds: lists of runs (dataclasses), by name.
    """
    head = {"command": command, "torch": torch.__version__.split("+")[0], "task": asdict(task)}
    text = json.dumps(head, indent=1)[:-2]
    for kind, runs in kinds.items():
        rows = ",\n  ".join(json.dumps(asdict(run)) for run in runs)
        text += f',\n "{kind}": [\n  {rows}\n ]'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n}\n", encoding="utf-8")


def beside(place: float, count: int) -> Tensor:
    """Where to draw `count` runs around `place`, side by side so that equal results stay visible.

    Returns:
        (count,)
    """
    return place + 0.5 * ((torch.arange(count) + 0.5) / max(1, count) - 0.5)


def command_line(module: str, about: str, recorded: Path):
    """A parser whose command `record` repeats the recorded runs.

    Args:
        module: name of the module that is run, e.g. "attention_lab.depth".
        about: its docstring; the first line is shown.
        recorded: the file that `record` writes by default.

    Returns:
        (parser, its commands, to which more can be added, the parser of `record`)
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    repeat = commands.add_parser("record", help="repeat the recorded runs and write them to a file")
    repeat.add_argument("--out", type=Path, default=recorded)
    repeat.add_argument("--seeds", type=int, default=10)
    return parser, commands, repeat


def draw_live(axes, runs: list, places: list[float], shares: list[float] | None = None) -> None:
    """Draw this notebook's runs as diamonds, hollow where training was stopped early.

    Args:
        places: where on the x axis.
        shares: heights; by default each run's unexplained `share`.
    """
    heights = shares or [run.share for run in runs]
    for number, (run, place, height) in enumerate(zip(runs, places, heights, strict=True)):
        label = "this notebook" if number == 0 else None
        face = BLUE if run.steps == run.planned else "none"
        style = {"s": 70, "marker": "D", "facecolor": face, "edgecolor": BLUE, "zorder": 4}
        axes.scatter([place], [height], label=label, **style)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
