"""The benchmarks time what they say: every contender gives the same layer, tables are replaced."""

import platform
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import sleep

import pytest
import torch
from oracles import DEVICES, error
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import attention  # noqa: E402
import choices  # noqa: E402
import grading  # noqa: E402
import tables  # noqa: E402

import notebooks  # noqa: E402

SMALL = {
    "usual": attention.Size(24, 3, 3, 2, 6, torch.float64, head_dim=8),
    "grouped": attention.Size(20, 6, 2, 2, 6, torch.float64, head_dim=4, out_in=True),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", attention.KINDS)
@pytest.mark.parametrize("layer", SMALL)
def test_all_contenders_compute_the_same_layer(layer, kind, device):
    size = replace(SMALL[layer], kind=kind, device=device)
    runs = attention.contenders(size)
    names = [name for name in attention.CONTENDERS if attention.applies(size, name)]
    missing = set(names) - set(runs)
    assert missing <= set(attention.KERNELS)  # not every kernel takes float64
    names = [name for name in names if name in runs]
    assert list(runs) == [*names, attention.FLOOR]
    module = attention.MODULE in runs
    assert module == (layer == "usual")
    outs = {name: runs[name]().cpu() for name in names}
    assert outs[attention.FUSED].shape == (2, 1 if kind == attention.KINDS[2] else 6, size.d_model)
    for name, out in outs.items():
        assert error(out, outs[attention.READABLE]) < 1e-10, name
        assert error(runs[name]().cpu(), out) < 1e-10, "a second run differs"


@pytest.mark.parametrize(("kind", "times"), [*zip(attention.KINDS, (1, 3, 1), strict=True)])
def test_the_floor_counts_the_products_of_the_layer(kind, times):
    """All of them and no others: PyTorch's counter against the formula, 2·m·n·p a product."""
    size = replace(SMALL["grouped"], kind=kind)
    B, T, D, h, kv, d = 2, 6, 20, 6, 2, 4
    new = 1 if kind == attention.KINDS[2] else T
    one = 2 * B * new * (2 * D * h * d + 2 * D * kv * d + 2 * h * T * d)
    run = attention.contenders(size)[attention.FLOOR]
    with FlopCounterMode(display=False) as counter:
        run()
    assert counter.get_total_flops() == times * one


@pytest.mark.parametrize("kind", attention.KINDS)
@pytest.mark.parametrize("layer", SMALL)
def test_the_packed_product_computes_the_same_layer(layer, kind):
    size = replace(SMALL[layer], kind=kind)
    mine = attention.contenders(size, [attention.FUSED])[attention.FUSED]()
    assert error(choices.packed(size)(), mine) < 1e-10


def test_what_was_tried_elsewhere_computes_the_same(monkeypatch):
    small = {name: replace(size, dtype=torch.bfloat16) for name, size in SMALL.items()}
    monkeypatch.setattr(choices, "LAYERS", {"llama": small["grouped"]})
    monkeypatch.setattr(choices, "PLACES", ((2, 5),))
    rows = [*choices.training_rows(["llama"], "cpu"), *choices.decoding_rows([], "cpu")]
    assert len(rows) == 6 + 4
    for name, tried, mine in rows:
        assert error(tried(), mine().double()) < 2e-2, name
    text = choices.as_table(rows[-1:], "what", 0.01)
    assert "| what | tried, ms | fused path, ms | ratio |" in text


def test_times_are_those_of_the_runs_and_what_is_too_slow_is_run_once(monkeypatch):
    monkeypatch.setattr(attention, "SLOW", 0.4)
    calls = Counter()

    def run(name, seconds):
        calls[name] += 1
        sleep(seconds)

    seconds = {"slow": 0.03, "fast": 0.01, "too slow": 0.5}
    times = attention.measure({n: partial(run, n, s) for n, s in seconds.items()}, 0.3)
    assert calls["too slow"] == 1 and calls["slow"] > attention.ROUNDS[0]
    assert 25 < times["slow"] < 300 and times["fast"] < times["slow"] < times["too slow"]
    calls.clear()  # a round of 0.6 s: once more after the warm-up
    attention.measure({n: partial(run, n, 0.3) for n in "ab"}, 0.1)
    assert calls == {"a": 2, "b": 2}


def test_the_goals_for_a_gpu_are_computed_from_the_rows():
    """With half of its T × T pairs left out, the layer takes 45.1 GFLOP."""
    size = replace(attention.LAYERS["bert"], num_tokens=4096, dtype=torch.bfloat16)
    assert attention.flops(size) == 2 * 4096 * 768**2 * 4 + 4 * 768 * 4096 * 4097 // 2
    kernel = next(iter(attention.KERNELS))
    measured = {size: {attention.FUSED: 0.1, attention.PLAIN: 0.1, kernel: 0.09, "else": 0.01}}
    text = attention.gpu_goals(measured, 1000.0, given=True)
    assert "in 0 of 1 rows" in text and "451 TFLOPS, 45% of 1000 (goal 60%)" in text
    assert "data sheet" in text and "data sheet" not in attention.gpu_goals(measured, 1.0, False)
    assert attention.measured_peak("cpu", 256) > 0


def test_the_verdict_counts_rows():
    one, other = SMALL["usual"], SMALL["grouped"]
    times = {attention.FUSED: 1.0, attention.PLAIN: 1.0, attention.FLOOR: 0.5}
    slower = {attention.FUSED: 3.0, attention.MODULE: 2.0, attention.FLOOR: 0.5}
    text = attention.verdict({one: slower, other: times})
    assert "in 1 of 2 rows; worst 1.50 (3 heads, D = 24, float64, forward" in text
    assert "Slower than nn.MultiheadAttention in 1 rows." in text
    assert "3 (6.00)" in attention.time_tables({one: slower})


def test_memory_of_the_fused_path_grows_with_t_and_of_the_reference_with_its_square():
    def growth(name, T):
        return float(attention._in_a_process(name, T, attention.KINDS[0]))

    table = 12 * 2048**2 * 4 / 2**20  # MiB of one table of weights, float32
    assert growth(attention.READABLE, 2048) > 2 * table
    assert growth(attention.FUSED, 4096) < 10 * 4096 * 768 * 4 / 2**20  # ten tensors (T, D)


def test_a_section_is_replaced_and_nothing_else(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("above\n<!-- one: begin -->\nold\n<!-- one: end -->\nbelow\n")
    for text in ("first", "second"):
        tables.write_section("one", text, path)
    assert path.read_text() == (
        "above\n<!-- one: begin -->\n\nsecond\n\n<!-- one: end -->\nbelow\n"
    )
    with pytest.raises(ValueError, match="other: begin"):
        tables.write_section("other", "text", path)


def test_what_grading_spends_its_time_on_is_measured_with_a_real_submission():
    spent = grading.profile(submissions=1, rounds=1)
    assert spent["all"] > spent["the trusted side"] > 0


def test_the_page_has_a_place_for_every_table(tmp_path):
    copy = tmp_path / "benchmarks.md"
    copy.write_text(tables.BENCHMARKS.read_text())
    for name in ("attention on cpu", "attention on cuda", "notebooks", "first insight", "grading"):
        tables.write_section(name, "text", copy)


def test_the_machine_is_described_without_a_name():
    text = tables.machine()
    assert "cores" in text and "PyTorch" in text and platform.node() not in text


def test_the_slowest_cells_of_a_notebook_are_named():
    text = notebooks.summary(
        {"01": [(1.0, "a | b"), (4.0, "`c`"), (2.0, "d"), (3.0, "e")], "02": []}
    )
    cell = (
        "%load_ext x\n# why\nfrom x import y\n\nneeds(\n    'z',\n)\nruns = y(\n    3)\nshow(runs)"
    )
    assert notebooks.telling_line(cell) == "runs = y( 3)"
    assert notebooks.telling_line("# why\nimport torch") == "import torch"
    assert "0.2 minutes in all; the goal is 6." in text
    assert "| 01 | 10.0 | 4.0 s `'c'`<br>3.0 s `e`<br>2.0 s `d` |" in text
    assert "| all | 10.0 |  |" in text


def test_a_class_is_mixed_and_the_same_every_time(tmp_path):
    for folder in ("one", "other"):
        for number in range(10):
            grading.write_library(tmp_path / folder / str(number), number)
    texts = [
        {path.name: path.read_text() for path in sorted((tmp_path / folder / str(n)).iterdir())}
        for n in range(10)
        for folder in ("one", "other")
    ]
    assert texts[::2] == texts[1::2]
    solved = {p.name: p.read_text() for p in (ROOT / "solutions").glob("*.py")}
    stubs = {p.name: p.read_text() for p in (ROOT / "mha_lib").glob("*.py")}
    same = [all(text == solved[n] for n, text in one.items() if text) for one in texts[::2]]
    unfinished = [any(text == stubs[n] for n, text in one.items() if text) for one in texts[::2]]
    assert same == [True] * 4 + [False] * 6
    assert unfinished == [False] * 7 + [True] * 3


def test_every_mistake_of_the_class_is_in_the_text_that_it_changes():
    for module, right, wrong in grading.MISTAKES:
        text = (ROOT / f"solutions/{module}.py").read_text()
        assert text.count(right) == 1 and right != wrong, (module, right)


def test_processor_time_counts_grandchildren_that_nobody_waits_for(tmp_path):
    work = "import time\nwhile time.process_time() < 0.5: pass"
    orphan = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {work!r}])"
    code = (
        "import sys; sys.path.insert(0, 'benchmarks')\n"
        "import ctypes, grading, pathlib\n"
        "ctypes.CDLL(None).prctl(grading.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)\n"
        f"command = [sys.executable, '-c', {orphan!r}]\n"
        f"print(grading.measure([command], pathlib.Path({str(tmp_path)!r})).cpu)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert float(done.stdout) > 0.5, done.stderr


def test_the_cost_of_one_submission_more_leaves_the_start_out():
    measured = {
        (grading.OURS, 10): grading.Measured(5.0, 6.0, 200),
        (grading.OURS, 110): grading.Measured(15.0, 16.0, 300),
        (grading.STOCK, 1): grading.Measured(10.0, 8.0, 100),
        (grading.STOCK, 3): grading.Measured(22.0, 18.0, 100),
        (grading.COURSE, 2): grading.Measured(100.0, 90.0, 100),
        (grading.COURSE, 0): grading.Measured(40.0, 30.0, 100),
    }
    assert grading.each(measured, grading.STOCK) == grading.Measured(6.0, 5.0, 0)
    assert grading.each(measured, grading.COURSE) == grading.Measured(30.0, 30.0, 0)
    text = grading.summary(measured, {"all": 0.1})
    assert "| autograde grade | 100 | 100 | 300.0 | 50.0 |" in text
    assert "| stock nbgrader, the notebooks | 30,000 | 30,000 | 1.0 | 0.2 |" in text
    assert "| autograde grade | 10 | 5.0 | 120.0 | 0.60 | 0 |" in text
    assert "| all | 100 |" in text
    assert "- Goal: 100 times stock nbgrader, the notebooks per core. Reached: 300 times." in text
    assert "- Goal: 100 times stock nbgrader, checks only per core. Missed: 50 times." in text
    assert "one submission more. Reached: 100 ms." in text and "class of 100" not in text


def test_the_floor_calls_the_reference_in_every_case(monkeypatch):
    called, some = [], {}
    for name in list(grading.EXERCISES)[:2]:
        exercise = grading.EXERCISES[name]
        grading.hidden(name, 0)  # recorded with the reference itself

        def counted(*args, function=exercise.reference, name=name):
            called.append(name)
            return function(*args)

        some[name] = replace(exercise, reference=counted)
    monkeypatch.setattr(grading, "EXERCISES", some)
    assert grading.floor(rounds=1) > 0
    assert called == [name for name in some for _ in grading.hidden(name, 0).cases]


def test_a_way_that_fails_is_named_and_the_others_are_told(monkeypatch):
    def run(way, number):
        if way == grading.STOCK:
            raise RuntimeError("no kernel")
        return {number: grading.Measured(1.0, 1.0, 1)}

    monkeypatch.setattr(grading, "run", run)
    measured, failed = grading.run_all([(grading.STOCK, 2), (grading.OURS, 1)])
    assert list(measured) == [(grading.OURS, 1)]
    assert failed == ["Failed: stock nbgrader, checks only, 2 submissions.\nno kernel"]


def test_a_command_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="boom"):
        grading.measure([[sys.executable, "-c", "raise SystemExit('boom')"]], tmp_path)
