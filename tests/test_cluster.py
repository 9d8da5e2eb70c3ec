"""Many submissions on local processes and on a Dask cluster: nothing is lost, nothing differs."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import active_children
from pathlib import Path

import psutil
import pytest
from distributed import Client, LocalCluster
from distributed.scheduler import KilledWorker

from autograde import batch
from autograde.errors import GraderFault
from autograde.exercises import EXERCISES
from autograde.grading import grade_submission
from autograde.journal import Journal
from autograde.limits import Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills workers in Linux's way")

ROOT = Path(__file__).resolve().parents[1]
LOOKUP, SEED = "01_one_lookup", 20
MODE = "landlock"  # the same on every machine: results name their sandbox
CORES = 3
SLOW = "\nimport time\ntime.sleep(0.3)\n"

# With the sandbox off, submitted code can reach the process that grades it: its parent's parent.
KILLER = """
import os, signal
status = open(f"/proc/{os.getppid()}/status").read()
os.kill(int(status.split("PPid:")[1].split()[0]), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    """Submissions that take a while: right, wrong with numbers in the message, not finished."""
    right = (ROOT / "solutions/attention.py").read_text()
    texts = [right, right.replace("/ q.shape[-1] ** 0.5", ""), "def softmax(scores): return scores"]
    return [
        submission(tmp_path_factory.mktemp("some"), texts[n % 3] + SLOW + f"# {n}")
        for n in range(9)
    ]


def submission(folder: Path, attention: str) -> Path:
    (folder / "mha_lib").mkdir()
    (folder / "mha_lib/attention.py").write_text(attention)
    return folder


@pytest.fixture(scope="module")
def local(some) -> str:
    """What local processes make of them."""
    return grade(some, workers=2, seed=SEED)


@pytest.fixture(scope="module")
def cluster():
    """A scheduler with three workers, each a process of its own that is replaced when it dies."""
    quiet = {"dashboard_address": None, "silence_logs": 50}
    with LocalCluster(CORES, threads_per_worker=1, processes=True, **quiet) as cluster:
        yield cluster


def grade(paths, **options) -> str:
    """What the command would write."""
    graded, faults = batch.grade_all(paths, assignment=LOOKUP, **{"sandbox": MODE, **options})
    assert faults == {}
    return as_json(graded)


def as_json(graded) -> str:
    return json.dumps([[str(path), one.to_json()] for path, one in graded.items()])


class OnceGraded(Journal):
    """Does something in the coordinator, in the middle of the run: after the second submission."""

    def __init__(self, folder: Path, deed):
        super().__init__(folder / "grades.json")
        self.deed = deed

    def add(self, key, graded):
        super().add(key, graded)
        if len(self.done) == 2:
            self.deed()


def test_a_cluster_gives_byte_for_byte_what_local_processes_give(some, cluster, local):
    assert grade(some, scheduler=cluster.scheduler_address, seed=SEED) == local
    statuses = [r["status"] for _, one in json.loads(local) for r in one["exercises"].values()]
    assert {"passed", "failed", "missing"} <= set(statuses)


def test_messages_hold_numbers_of_the_hidden_cases(some):
    """So the comparison above finds a worker that draws a seed of its own."""
    name = "attention.scaled_dot_product_attention"
    one, same, other = (
        grade_submission(some[1], exercises=[name], seed=seed, sandbox=MODE)[name].message
        for seed in (SEED, SEED, SEED + 1)
    )
    assert one == same != other


def test_a_worker_of_a_cluster_killed_in_mid_run_loses_nothing(some, cluster, local, tmp_path):
    killed = []

    def kill_a_busy_worker():
        with Client(cluster, set_as_default=False) as client:
            pids = client.run(os.getpid)
            busy = next(address for address, tasks in client.processing().items() if tasks)
        os.kill(pids[busy], signal.SIGKILL)
        killed.append(busy)

    journal = OnceGraded(tmp_path, kill_a_busy_worker)
    told = grade(some, scheduler=cluster.scheduler_address, seed=SEED, journal=journal)
    assert killed and told == local
    assert len(journal.done) == len(some)


def test_a_local_worker_killed_in_mid_run_loses_nothing(some, local, tmp_path, monkeypatch):
    others, pools, executor = active_children(), [], batch.executor

    def counted(*options):
        pools.append(options)
        return executor(*options)

    def kill_a_worker():
        worker = next(child for child in active_children() if child not in others)
        os.kill(worker.pid, signal.SIGKILL)

    monkeypatch.setattr(batch, "executor", counted)
    told = grade(some, seed=SEED, workers=2, journal=OnceGraded(tmp_path, kill_a_worker))
    assert len(pools) == 2 and told == local


def test_a_submission_that_kills_its_grader_costs_no_other_its_grade(some, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "DEATHS", 2)  # each takes seconds
    killer, *others = paths = [submission(tmp_path, KILLER), some[0], some[3]]
    graded, faults = batch.grade_all(paths, assignment=LOOKUP, sandbox="off", workers=1)
    assert faults == {killer: "the process that grades it dies, again and again."}
    assert list(graded) == others
    assert all(r.passed for one in graded.values() for r in one.exercises.values())


class Fragile(ThreadPoolExecutor):
    """Breaks as a pool of processes does: all that it has is lost, and nobody knows by whom."""

    broken = False

    def submit(self, function, *args):
        if self.broken:
            raise BrokenExecutor("a process died before")
        return super().submit(self._run, function, *args)

    def _run(self, function, *args):
        time.sleep(0.002)
        if "killer" in str(args):
            self.broken = True
        if self.broken:
            raise BrokenExecutor("a process died")
        return function(*args)


class Cluster(ThreadPoolExecutor):
    """Loses a killer's task, as Dask does, and with it all that is under way meanwhile."""

    def submit(self, function, task):
        self.under_way = [*getattr(self, "under_way", []), task]
        return super().submit(self._run, function, task)

    def _run(self, function, task):
        time.sleep(0.002)
        in_danger = "killer" in str(self.under_way)
        self.under_way.remove(task)
        if in_danger:
            raise KilledWorker(task, None, 3)
        return function(task)


@pytest.mark.parametrize("kind", [Fragile, Cluster])
@pytest.mark.parametrize("seed", range(20))
def test_whoever_kills_is_found_and_all_others_are_graded(kind, seed, monkeypatch):
    names = [*[f"fine {n}" for n in range(20)], *[f"killer {n}" for n in range(seed % 4)]]
    random.Random(seed).shuffle(names)
    monkeypatch.setattr(batch, "_grade", lambda task: batch.Graded({}, str(task)))

    @contextmanager
    def pool():
        with kind(3) as pool:
            yield pool, lambda: 4

    outcomes = {path: one for path, _, one in batch.Batch(names, lambda name: name).outcomes(pool)}
    assert sorted(outcomes) == sorted(names)
    failed = {name for name, one in outcomes.items() if isinstance(one, str)}
    assert failed == {name for name in names if "killer" in name}


def test_processes_that_die_at_once_end_the_run():
    starts = []

    class Dead(Fragile):
        def _run(self, function, *args):
            raise BrokenExecutor("killed")

    @contextmanager
    def dead():
        starts.append(1)
        with Dead(2) as pool:
            yield pool, lambda: 2

    with pytest.raises(GraderFault, match="die as soon as they start: killed"):
        list(batch.Batch([str(n) for n in range(99)], lambda name: name).outcomes(dead))
    assert len(starts) == 2


def test_a_worker_with_another_version_of_the_course_grades_nothing(some):
    task = batch.Task(some[0], {}, None, MODE, "cpu", SEED, Limits(), "another")
    with pytest.raises(GraderFault, match="another version of the course"):
        batch._grade(task)


@pytest.mark.parametrize("moment", ["starting", "grading"])
def test_ctrl_c_stops_at_once_and_the_same_command_goes_on(moment, some, tmp_path):
    target, lines = tmp_path / "grades.json", {"starting": 1, "grading": 4}[moment]
    journal = tmp_path / "grades.json.journal"
    words = ["grade", *some, "--assignment", LOOKUP, "--json", target, "--sandbox", MODE]
    run = start(*words, "--workers", 2)
    while not journal.exists() or journal.read_bytes().count(b"\n") < lines:
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.02)
    kept = journal.read_bytes()
    os.killpg(run.pid, signal.SIGINT)  # what a terminal does
    said = run.communicate(timeout=60)[1]
    assert run.returncode == 130, said
    assert "Traceback" not in said
    assert said.count("Stopped. What is graded is kept") == 1
    assert journal.read_bytes().startswith(kept) and not target.exists()
    deadline = time.monotonic() + 20  # for warm processes, which leave when they hear of it
    while goes_on(run.pid):
        assert time.monotonic() < deadline, "somebody of the group goes on"
        time.sleep(0.05)
    if moment == "grading":
        again = start(*words, "--workers", 1)
        printed, told = again.communicate(timeout=600)
        assert again.returncode == 0, told
        assert not journal.exists()
        _is_what_one_run_gives(target, some, seed=json.loads(kept.split(b"\n")[0])["seed"])
        _tells_of_the_class(printed)
        assert "9/9" in told and "submission/s" in told


def test_ctrl_c_stops_a_run_on_a_cluster_and_the_same_command_goes_on(
    some, cluster, local, tmp_path
):
    address = cluster.scheduler_address
    run = start_on(address, some, tmp_path)
    os.killpg(run.pid, signal.SIGINT)
    said = run.communicate(timeout=60)[1]
    assert run.returncode == 130 and "Traceback" not in said, said
    assert said.count("Stopped. What is graded is kept") == 1
    assert goes_on_from_there(some, tmp_path, scheduler=address) == local


def test_a_scheduler_that_dies_ends_the_run_and_what_is_graded_is_kept(
    some, cluster, local, tmp_path
):
    with own_cluster() as (address, scheduler):
        run = start_on(address, some, tmp_path)
        scheduler.kill()
        said = run.communicate(timeout=60)[1]
    assert run.returncode == 2 and "Traceback" not in said, said
    assert said.endswith(
        f"The Dask scheduler at {address} is gone. "
        "What is graded is kept: the same command goes on from there.\n"
    )
    assert goes_on_from_there(some, tmp_path, scheduler=cluster.scheduler_address) == local


@contextmanager
def own_cluster():
    """A scheduler and a worker, as processes that can be killed; gives its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "tcp://{}:{}".format(*free.getsockname())
    words = {
        "scheduler": ["--host", address, "--no-dashboard"],
        "worker": [address, "--nthreads", "1", "--no-nanny", "--no-dashboard"],
    }
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{name}", *options],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        for name, options in words.items()
    }
    try:
        Client(address, timeout="60s", set_as_default=False).close()
        yield address, processes["scheduler"]
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def start_on(scheduler: str, paths, folder: Path) -> subprocess.Popen:
    """Start the command on a cluster, and wait until it has graded something."""
    journal = folder / "grades.json.journal"
    journal.write_text(json.dumps({"seed": SEED}) + "\n")
    words = ["--assignment", LOOKUP, "--json", folder / "grades.json", "--sandbox", MODE]
    run = start("grade", *paths, *words, "--scheduler", scheduler)
    while journal.read_bytes().count(b"\n") < 3:
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.02)
    return run


def goes_on_from_there(paths, folder: Path, **options) -> str:
    """What the same command would write, when it has gone on."""
    journal = Journal(folder / "grades.json")
    before = len(journal.done)
    assert 2 <= before < len(paths)
    told = grade(paths, journal=journal, **options)
    assert len(journal.path.read_bytes().splitlines()) == 1 + len(paths)
    return told


def goes_on(group: int) -> bool:
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.Error):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def start(*words) -> subprocess.Popen:
    command = [sys.executable, "-c", "from autograde.cli import main; main()", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    env = os.environ | {"COLUMNS": "200"}
    return subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True, **pipes)


def _is_what_one_run_gives(target, paths, seed):
    names = [name for name in EXERCISES if name.startswith("attention.")]
    for entry, path in zip(json.loads(target.read_text()), paths, strict=True):
        results = grade_submission(path, exercises=names, seed=seed, sandbox=MODE)
        told = {name: result.to_json() for name, result in results.items()}
        assert entry == {"submission": str(path), "sandbox": MODE, "exercises": told}


def _tells_of_the_class(printed):
    rows = [line.split("│")[1:-1] for line in printed.splitlines() if "│" in line]
    rows = {tuple(cell.strip() for cell in row) for row in rows}
    assert {("graded", "9"), ("… all exercises passed", "3"), ("not graded", "0")} <= rows
    assert ("attention.scaled_dot_product_attention", "attention_not_scaled", "3") in rows
