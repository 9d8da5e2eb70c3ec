"""Recorded runs: what is written can be read, and a stop keeps what is finished."""

import json
from dataclasses import asdict, dataclass

import pytest
from matplotlib import pyplot as plt

from attention_lab import encoder_heads, lookups, partitions, planted, without_w_o
from attention_lab.recordings import draw_live, make_runs, read_runs, select, write_runs


@dataclass(frozen=True)
class Run:
    seed: int
    steps: int
    planned: int
    unexplained: tuple[float, ...] = (0.5, 0.25)

    @property
    def share(self):
        return self.unexplained[0]


@dataclass
class Task:
    width: int = 3


def test_runs_come_back_as_they_were(tmp_path):
    runs = [Run(seed, 10, 10) for seed in range(3)]
    write_runs(tmp_path / "runs.json", "python -m x record", Task(), runs=runs, others=runs[:1])
    assert read_runs(tmp_path / "runs.json", Run) == runs
    assert read_runs(tmp_path / "runs.json", Run, "others") == runs[:1]
    assert json.loads((tmp_path / "runs.json").read_text())["command"] == "python -m x record"


FILES = {
    encoder_heads: {"runs": encoder_heads.recorded_runs},
    planted: {"runs": planted.recorded_runs},
    lookups: {"runs": lookups.recorded_runs},
    partitions: {"runs": partitions.recorded_runs},
    without_w_o: {"slices": without_w_o.recorded_slices, "stacks": without_w_o.recorded_stacks},
}


@pytest.mark.parametrize("module", FILES, ids=lambda module: module.__name__)
def test_the_courses_files_hold_whole_runs_and_the_command_that_repeats_them(module):
    content = json.loads(module.RECORDED.read_text())
    assert content["command"] == f"python -m {module.__name__} record"
    for kind, read in FILES[module].items():
        runs = read()
        assert json.loads(json.dumps([asdict(run) for run in runs])) == content[kind]
        assert all(run.steps == run.planned for run in runs)


def test_select_looks_at_every_field_named():
    runs = [Run(seed, steps, 10) for seed in range(3) for steps in (5, 10)]
    assert select(runs, seed=1, steps=5) == [Run(1, 5, 10)]


@pytest.mark.parametrize("how", ["interrupted", "stopped early"])
def test_a_stop_keeps_what_is_finished(how, capsys):
    def train(seed, progress):
        assert progress is False
        if seed == 2 and how == "interrupted":
            raise KeyboardInterrupt
        return Run(seed, 4 if seed == 2 else 10, 10)

    assert [run.seed for run in make_runs([{"seed": n} for n in range(5)], train)] == [0, 1]


def test_a_run_that_was_stopped_is_drawn_hollow():
    _, axes = plt.subplots()
    draw_live(axes, [Run(0, 10, 10), Run(1, 4, 10)], [0, 1])
    full, hollow = axes.collections
    assert len(full.get_facecolor()) == 1 and len(hollow.get_facecolor()) == 0
    plt.close()
