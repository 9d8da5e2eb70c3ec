"""The sandbox: what it closes, in every mode that works here, and what becomes of one that fails.

Each probe is a `softmax` that tries something and answers with an error that says how it went; the
same probe without the sandbox proves that there was something to try.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autograde import confine, doctor, landlock, sandbox, seccomp, session
from autograde.errors import AutogradeError, GraderFault
from autograde.exercises import EXERCISES
from autograde.grading import grade_submission
from autograde.limits import Limits

ROOT = Path(__file__).resolve().parents[1]
SOFTMAX = "attention.softmax"
MODES = sandbox.available()
LIMITS = Limits(call_seconds=60.0, load_seconds=60.0)  # of the machine, not of the probes
FULL = {name: exercise.points for name, exercise in EXERCISES.items()}

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")

PROBE = """
def softmax(scores, dim=-1):
    try:
        found = probe()
    except BaseException as error:
        raise LookupError("CLOSED " + repr(error))
    raise LookupError("OPEN " + repr(found))
"""


@pytest.fixture
def probe(make_submission, solution):
    """Run code inside a runner: the text of `def probe(): …` -> what `softmax` said of it."""

    def run(text: str, mode: str) -> str:
        folder = make_submission(attention=solution("attention") + text + PROBE)
        results = grade_submission(folder, exercises=[SOFTMAX], limits=LIMITS, sandbox=mode)
        return results[SOFTMAX].message.partition("LookupError: ")[2]

    return run


@needs_linux
def test_this_machine_has_a_sandbox():
    """Otherwise the tests of this file would say nothing: install bubblewrap, or a newer kernel."""
    assert "landlock" in MODES, sandbox.refusal()


@pytest.mark.parametrize("mode", [*MODES, "off"])
def test_honest_code_keeps_full_marks(make_submission, mode):
    results = grade_submission(make_submission(), limits=LIMITS, sandbox=mode)
    assert {name: result.score for name, result in results.items()} == FULL


SECRET = "the instructor's own words"

# name: the body of probe(); PATH, FOLDER and PID are filled in. Returns or raises.
PROBES = {
    "read a file": "return open(PATH).read()",
    "list a folder": "import os; return os.listdir(FOLDER)",
    "write a file": "return open(FOLDER + '/new', 'w').write('x')",
    "write to shared memory": "return open('/dev/shm/autograde-probe', 'w').write('x')",
    "change a mode": "import os; return os.chmod(PATH, 0o666)",
    "change times": "import os; return os.utime(PATH, (1, 1))",
    "change an owner": "import os; return os.chown(PATH, 1, 1)",
    "rename a file": "import os; return os.rename(PATH, PATH + '.gone')",
    "make a link": "import os; return os.symlink(PATH, FOLDER + '/link')",
    "open a socket": "import socket; return socket.socket()",
    "a pair of sockets": "import socket; return socket.socketpair()",
    "fork": "import os; return os.fork() or os._exit(0)",
    "start a program": "import os; return os.posix_spawn('/bin/true', ['true'], {})",
    "start a thread": "import threading; return threading.Thread(target=print).start()",
    "see the grader": "return open(f'/proc/{PID}/status').read()",
    "read the grader's memory": "return open(f'/proc/{PID}/mem', 'rb').fileno()",
    "signal the grader": "import os; return os.kill(PID, 0)",
    "signal the parent": "import os; return os.kill(os.getppid(), 0)",
    "limits of the parent": "import os, resource; return resource.prlimit(os.getppid(),"
    " resource.RLIMIT_CORE, (0, 0))",
    "memory as a file": "import os; return os.memfd_create('x')",
    "new namespaces": "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
    "    if libc.unshare(0x10000000): raise OSError(ctypes.get_errno(), 'unshare')",
    "a way out by descriptor": "import os\n"
    "    for fd in range(3, 1024):\n"
    "        try: return os.readlink(f'/proc/self/fd/{fd}'), os.fchdir(fd)\n"
    "        except OSError: pass\n"
    "    raise OSError('none')",
}
INERT_HERE = {
    "a way out by descriptor": "the warm process holds no descriptor of a file",
    "new namespaces": "works only where user namespaces are open",
}


@needs_linux
@pytest.mark.parametrize("mode", MODES)
def test_every_way_out_is_closed(probe, tmp_path, mode):
    text, path = _all_probes(tmp_path)
    before = path.stat()
    said = probe(text, mode)
    assert said.startswith("OPEN {}"), said
    after = path.stat()
    assert (after.st_mode, after.st_mtime, after.st_uid) == (
        before.st_mode,
        before.st_mtime,
        before.st_uid,
    )
    assert path.read_text() == SECRET
    assert os.listdir(path.parent) == [path.name]


@needs_linux
def test_without_the_sandbox_the_ways_are_open(probe, tmp_path):
    """The probes above have something to try: without a sandbox, each one works."""
    text, _ = _all_probes(tmp_path)
    said = probe(text, "off")
    missed = [name for name in PROBES if repr(name) not in said and name not in INERT_HERE]
    # RLIMIT_NPROC bounds processes and threads even so, but not for root
    limited = {"fork", "start a program", "start a thread"} if os.getuid() else set()
    assert set(missed) <= limited, said
    assert SECRET not in said  # only names are told; the message could hold what was read


def _all_probes(tmp_path) -> tuple[str, Path]:
    """One submission that tries everything: `probe` returns the names of what worked."""
    folder = tmp_path / "private"
    folder.mkdir()
    path = folder / "grades.txt"
    path.write_text(SECRET)
    lines = [f"PATH, FOLDER, PID = {str(path)!r}, {str(folder)!r}, {os.getpid()}"]
    for number, body in enumerate(PROBES.values()):
        lines += [f"def probe_{number}():", f"    {body}"]
    lines += ["def probe():", "    worked = {}", f"    for number, name in enumerate({[*PROBES]}):"]
    lines += ["        try:", "            globals()[f'probe_{number}']()"]
    lines += ["            worked[name] = 1", "        except (OSError, RuntimeError):"]
    lines += ["            pass", "    return worked", ""]
    return "\n" + "\n".join(lines), path


# --- nothing secret in the process --------------------------------------------------------------

LOOK_AROUND = """
def probe():
    import gc, os, sys
    modules = [n for n in sys.modules if n.startswith(("solutions", "autograde"))]
    strings = [o for o in gc.get_objects() if type(o) is dict]
    held = {v for d in strings for v in list(d.values()) if isinstance(v, str) and NEEDLE in v}
    frames, frame = [], sys._getframe()
    while frame:
        frames.append(frame.f_code.co_filename)
        frame = frame.f_back
    return modules, sys.path, dict(os.environ), sys.argv, len(held), frames
"""


@needs_linux
@pytest.mark.parametrize("mode", [*MODES, "off"])
def test_the_process_holds_nothing_of_the_grader(probe, mode):
    text = LOOK_AROUND.replace("NEEDLE", repr("every token's share of the" + " mean"))
    said = probe(text, mode)
    assert said.startswith("OPEN"), said
    secret = ("solutions", "exercises", "grading", "build", "batch", "nbgrader", "session")
    assert not [name for name in secret if f"'autograde.{name}" in said], said
    assert "'solutions" not in said
    assert f"'{ROOT}'" not in said  # no place that import would look at
    assert "HOME" not in said and "PATH" not in said
    assert "grading.py" not in said and "session.py" not in said


@needs_linux
@pytest.mark.parametrize("module", ["autograde.exercises", "autograde.grading", "solutions.heads"])
def test_the_reference_cannot_be_imported(probe, module):
    said = probe(f"\ndef probe():\n    import {module}\n    return 1\n", "off")
    assert said.startswith("CLOSED ModuleNotFoundError"), said


# --- a sandbox that fails is the grader's fault -------------------------------------------------


@needs_linux
def test_a_sandbox_that_does_not_hold_is_no_zero(make_submission, monkeypatch):
    """A runner that tells of an open door is not given the submission."""
    monkeypatch.setattr(
        session.sandbox, "start", lambda mode: _runner_that_says({"fault": "it leaks"})
    )
    with pytest.raises(GraderFault, match="it leaks"):
        grade_submission(make_submission(), sandbox="landlock")


@needs_linux
def test_a_runner_that_never_starts_is_no_zero(make_submission, monkeypatch):
    monkeypatch.setattr(session.sandbox, "start", lambda mode: _runner_that_says(None))
    with pytest.raises(GraderFault, match="did not start"):
        grade_submission(make_submission(), sandbox="landlock")


@needs_linux
def test_a_warm_process_that_dies_is_no_zero(make_submission, monkeypatch):
    """It is killed in the middle of a submission; the next submission gets a new one."""
    folder, original = make_submission(), session.Runner.send

    def send(runner, message, seconds):
        if b'"call"' in message:
            runner.process.nursery.process.kill()
            runner.process.nursery.process.wait()
        original(runner, message, seconds)

    monkeypatch.setattr(session.Runner, "send", send)
    with pytest.raises(GraderFault, match="is gone"):
        grade_submission(folder, exercises=[SOFTMAX], sandbox="landlock")
    monkeypatch.setattr(session.Runner, "send", original)
    assert grade_submission(folder, exercises=[SOFTMAX], sandbox="landlock")[SOFTMAX].passed


def _runner_that_says(message) -> subprocess.Popen:
    code = "import sys\nfrom autograde.pipe import receive, send\nreceive(sys.stdin.buffer)\n"
    code += f"send(sys.stdout.buffer, {message!r})\n" if message else ""
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )


def test_open_doors_are_found():
    """In this process, which gave up nothing, the same escapes work."""
    found = confine.open_doors()
    assert {"listing files", "writing a file", "a socket"} <= set(found)


def test_without_the_layers_grading_refuses_and_says_how_to_go_on(make_submission, monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    sandbox.available.cache_clear()
    try:
        with pytest.raises(AutogradeError, match=r"Landlock missing.*--no-sandbox"):
            grade_submission(make_submission())
        assert sandbox.choose("off") == "off"
    finally:
        sandbox.available.cache_clear()


def test_a_sandbox_that_is_not_here_is_refused(make_submission, monkeypatch):
    with pytest.raises(AutogradeError, match="There is no sandbox 'castle'"):
        grade_submission(make_submission(), sandbox="castle")
    monkeypatch.setattr(sandbox, "available", lambda: ("landlock",))
    with pytest.raises(AutogradeError, match="apt install bubblewrap"):
        sandbox.choose("bubblewrap")


@needs_linux
def test_an_ordinary_user_gets_a_sandbox_too(make_submission, tmp_path_factory):
    """The same as a user without rights, if this interpreter can be run by one."""
    if os.getuid() != 0:
        pytest.skip("this run is an ordinary user's already")
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from autograde import sandbox; from autograde.grading import *\n"
        "for mode in sandbox.available():\n"
        "    names = ['heads.split_heads']\n"
        "    got = grade_submission(Path(sys.argv[1]), exercises=names, sandbox=mode)\n"
        "    print(mode, got[names[0]].score)\n"
    )
    folder = make_submission()
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder), str(ROOT)],
            user=65534, group=65534, extra_groups=[], capture_output=True, text=True, cwd="/",
            env={"HOME": "/"},
        )  # fmt: skip
    except PermissionError:
        pytest.skip("this interpreter can't be run by another user")
    assert "landlock 2.0" in done.stdout, done.stderr


# --- the layers ---------------------------------------------------------------------------------


def test_numbers_of_system_calls_are_those_of_libseccomp():
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("libseccomp is not installed")
    resolve = library.seccomp_syscall_resolve_name_arch
    resolve.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    for machine, (audit, column) in seccomp.ARCHITECTURES.items():
        for name, numbers in seccomp.SYSCALLS.items():
            known = resolve(audit, name.encode())
            assert numbers[column] == (known if known >= 0 else None), (machine, name)


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_the_filter_is_a_sound_program(machine):
    """Whole instructions, jumps that stay inside, a verdict at the end, not too long."""
    code = seccomp.program(machine, 1234)
    assert len(code) % 8 == 0 and len(code) // 8 < 4096
    lines = [seccomp.struct.unpack("HBBI", code[i : i + 8]) for i in range(0, len(code), 8)]
    for position, (operation, if_equal, if_not, _) in enumerate(lines):
        if operation == seccomp.JUMP_IF_EQUAL:
            assert position + 1 + max(if_equal, if_not) < len(lines)
    assert lines[-1] == (seccomp.RETURN, 0, 0, seccomp.REFUSE)


# --- the doctor ---------------------------------------------------------------------------------


@needs_linux
def test_the_doctor_finds_the_sandbox_sound():
    done = subprocess.run(
        [sys.executable, "-c", "from autograde.cli import main; main()", "doctor"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sandbox.describe(MODES[0]) in done.stdout
    assert done.stdout.count("✓ held") == 14


@needs_linux
def test_the_doctor_finds_open_doors():
    """Without a sandbox what it tries works, so what it says of a sandbox is worth something."""
    findings = {one.attempt: one.held for one in doctor.examine("off")}
    held = {attempt for attempt, is_held in findings.items() if is_held}
    limited = {"start a process", "start a thread", "start a program"} if os.getuid() else set()
    assert held <= {bound.replace("_", " ") for bound in doctor.BOUNDS} | limited
    assert {bound.replace("_", " ") for bound in doctor.BOUNDS} <= held
