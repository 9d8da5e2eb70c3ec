"""The stage on which hostile submissions are played: things to steal, and witnesses who look.

An attack is a folder in tests/hostile/ with a line that says what it tries (`about.toml`) and the
files that set it apart from an honest submission: `attention.py` or `heads.py` holds what is added
to the honest module, `make.py` a function that makes what no repository should hold (pipes, links,
200 MB), and any other file goes into the library as it is.
"""

import ctypes
import hashlib
import json
import os
import pty
import runpy
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import tomllib
from contextlib import ExitStack, chdir, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "tests" / "hostile"
MODULES = ("attention", "heads")
PR_SET_CHILD_SUBREAPER = 36
IPC_RMID = 0
CAPABILITIES = {  # bits of CapEff
    "chown": 0,
    "dac_override": 1,
    "dac_read_search": 2,
    "sys_chroot": 18,
    "sys_ptrace": 19,
    "sys_admin": 21,
    "sys_nice": 23,
    "sys_resource": 24,
    "mknod": 27,
    "syslog": 34,
    "perfmon": 38,
    "bpf": 39,
}


@dataclass(frozen=True)
class Attack:
    """One hostile submission.

    Attributes:
        tries: what it tries, in a line.
        proof: how it is shown that there is something to try. "off": without a sandbox it reaches
            what it is after. "check": it passes where one process both runs and judges it. "says":
            what it does shows in the outcome, whatever holds it. "inert": it has no target, `why`.
        says: what the outcome says, in every mode; "|" stands between words of which one will do.
        exercises: what is graded.
        deserves: points of the honest part; none by default.
        needs: a capability without which it is inert even with the sandbox off, or "disk".
        slow: whether it ends by a time limit.
    """

    name: str
    tries: str
    proof: str
    says: str = ""
    why: str = ""
    exercises: tuple[str, ...] = ("attention.softmax",)
    deserves: dict[str, float] = field(default_factory=dict)
    needs: str = ""
    slow: bool = False

    @property
    def folder(self) -> Path:
        return CORPUS / self.name


def read_corpus() -> list[Attack]:
    """All attacks, by name."""
    attacks = []
    for path in sorted(CORPUS.glob("*/about.toml")):
        about = tomllib.loads(path.read_text(encoding="utf-8"))
        about["exercises"] = tuple(about.get("exercises", Attack.exercises))
        attacks.append(Attack(path.parent.name, **about))
    return attacks


def can(need: str) -> bool:
    """Whether this user could do, with the sandbox off, what an attack needs."""
    if need == "disk":
        return any(_has_bytes(Path("/dev") / name) for name in os.listdir("/sys/block"))
    status = Path("/proc/self/status").read_text()
    capabilities = int(status.split("CapEff:")[1].split()[0], 16)
    return not need or bool(capabilities >> CAPABILITIES[need] & 1)


def _has_bytes(device: Path) -> bool:
    try:
        with device.open("rb") as disk:
            return bool(disk.read(512))
    except OSError:
        return False


class Stage:
    """An instructor's machine in small, and who looks after it.

    Everything that must stay as it is lies below `precious`; submissions lie in `submissions`.
    """

    def __init__(self, root: Path):
        self.root, self.precious = root, root / "instructor"
        self.secret = "canary-" + secrets.token_hex(8)
        self.mark = "hostile-" + secrets.token_hex(4)
        self.known: set[int] = set()

    def __enter__(self) -> "Stage":
        self.exit = ExitStack()
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphans come to us
        self.exit.callback(ctypes.CDLL(None).prctl, PR_SET_CHILD_SUBREAPER, 0)
        self._open_ears()
        self.set_up()
        return self

    def __exit__(self, *exc) -> None:
        self._end_bystander()
        self.exit.close()
        delete(self.root)  # pytest cannot delete what lies too deep

    # ------------------------------------------------------------------------------- what is there

    def set_up(self) -> None:
        """Put everything where it belongs, new."""
        self.scratch = self.root / "scratch"
        for folder in (self.precious, self.scratch):
            delete(folder)
        self.scratch.mkdir(mode=0o777)
        notes = self.precious / "home" / "notes.txt"
        notes.parent.mkdir(parents=True)
        notes.write_text(f"{self.secret} = what nobody must know\n")
        notes.chmod(0o600)
        other = self.precious / "other" / "mha_lib"
        other.mkdir(parents=True)
        honest = (ROOT / "solutions" / "attention.py").read_text(encoding="utf-8")
        (other / "attention.py").write_text(f"# {self.secret}\n{honest}")
        (other / "__init__.py").write_text("")
        gradebook = self.precious / "course" / "gradebook.db"
        gradebook.parent.mkdir()
        with sqlite3.connect(gradebook) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("CREATE TABLE grade (student TEXT, score REAL)")
            database.execute("INSERT INTO grade VALUES (?, 0)", [self.secret])
        database.close()
        self._start_bystander()
        self.memory = ctypes.create_string_buffer(self.secret.encode(), 64)
        self.targets = {
            "HOME": str(notes.parent),
            "GRADEBOOK": str(gradebook),
            "HANDLE": _file_handle(notes),
            "OTHER": str(other.parent),
            "SCRATCH": str(self.scratch),
            "REPOSITORY": str(ROOT),
            "GRADER": os.getpid(),
            "ADDRESS": ctypes.addressof(self.memory),
            "BYSTANDER": self.bystander.pid,
            "TERMINAL": self.terminal,
            "PORT": self.ears[0].getsockname()[1],
            "SOCKET": str(self.socket),
            "MARK": self.mark,
            "KEY": int(self.mark[-6:], 16),
        }

    def _open_ears(self) -> None:
        """Listen where nobody has a reason to call."""
        self.root.mkdir(parents=True, exist_ok=True)
        stream, datagram, abstract, unix = (
            self.exit.enter_context(socket.socket(*kind))
            for kind in (
                (socket.AF_INET, socket.SOCK_STREAM),
                (socket.AF_INET, socket.SOCK_DGRAM),
                (socket.AF_UNIX, socket.SOCK_STREAM),
                (socket.AF_UNIX, socket.SOCK_STREAM),
            )
        )
        stream.bind(("127.0.0.1", 0))
        datagram.bind(stream.getsockname())
        abstract.bind(b"\0" + self.mark.encode())
        self.socket = self.root / "s"
        with chdir(self.root):  # the name of a socket may not be long
            unix.bind("s")
        self.ears = [stream, datagram, abstract, unix]
        for ear in self.ears:
            ear.setblocking(False)
            if ear is not datagram:
                ear.listen()
        self.screen, terminal = pty.openpty()
        os.set_blocking(self.screen, False)
        self.terminal = os.ttyname(terminal)

    def _start_bystander(self) -> None:
        self._end_bystander()
        self.bystander = subprocess.Popen(
            [f"bystander {self.secret}", "1000"],
            executable=shutil.which("sleep"),
            env={"TOKEN": self.secret},
            start_new_session=True,
        )

    def _end_bystander(self) -> None:
        with suppress(AttributeError):
            self.bystander.kill()
            self.bystander.wait()

    # --------------------------------------------------------------------------------- submissions

    def submission(self, attack: Attack | None = None, folder: Path | None = None) -> Path:
        """Make an attack's submission, or an honest one."""
        folder = folder or self.root / "submissions" / (attack.name if attack else "honest")
        delete(folder)
        library = folder / "mha_lib"
        library.mkdir(parents=True)
        for module in MODULES:
            shutil.copy(ROOT / "solutions" / f"{module}.py", library)
        if attack:
            self._spoil(attack, library)
        return folder

    def _spoil(self, attack: Attack, library: Path) -> None:
        targets = {**self.targets, "OWN": str(library.parent)}
        constants = "".join(f"{name} = {value!r}\n" for name, value in targets.items())
        kit = (CORPUS / "kit.py").read_text(encoding="utf-8")
        (library / "kit.py").write_text(f"{kit}\n\n{constants}")
        for path in attack.folder.glob("*.py"):
            text = path.read_text(encoding="utf-8")
            if path.stem in MODULES:
                with (library / path.name).open("a", encoding="utf-8") as file:
                    file.write("\n\n" + text)
            elif path.name == "make.py":
                runpy.run_path(str(path))["make"](library, targets)
            else:
                (library / path.name).write_text(text)

    # ----------------------------------------------------------------------------------- witnesses

    @contextmanager
    def watched(self, submission: Path):
        """Within the block, an attack runs; the list that comes is what it left or changed."""
        damage: list[str] = []
        self.known = set(_descendants())
        before = self._everything(submission)
        yield damage
        damage += self._differences(before, self._everything(submission))
        damage += [f"process left: {words}" for words in self._survivors()]
        damage += self._heard()

    def _everything(self, submission: Path) -> dict[str, tuple]:
        """All that must stay as it is, with contents and metadata."""
        found = {str(path): _look(path) for path in _walk(self.precious)}
        found |= {str(path): _look(path) for path in _walk(submission)}
        found |= {str(path): _look(path) for path in [self.scratch, *self.scratch.iterdir()]}
        found["bystander"] = _state(self.bystander.pid)
        found["memory"] = (self.memory.value,)
        for folder in ("/tmp", "/dev/shm", "/dev/mqueue"):
            with suppress(OSError):
                found |= {f"{folder}/{n}": () for n in os.listdir(folder) if self.mark in n}
        for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
            if int(line.split()[0]) == self.targets["KEY"]:
                found["System V segment"] = (line.split()[1],)
        return found

    @staticmethod
    def _differences(before: dict, after: dict) -> list[str]:
        names = [name for name in before | after if before.get(name) != after.get(name)]
        return [f"changed: {n}: {before.get(n)} -> {after.get(n)}" for n in names]

    def _survivors(self) -> list[str]:
        """Processes that are still there a moment later; they are ended here."""
        for _ in range(20):
            left = self._strangers()
            if not left:
                return []
            time.sleep(0.05)
        words = [f"{pid} {Path(f'/proc/{pid}/comm').read_text().strip()}" for pid in left]
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        return words

    def _strangers(self) -> list[int]:
        expected = self.known | _warm_processes()
        return [pid for pid in _descendants() if pid not in expected]

    def _heard(self) -> list[str]:
        heard = []
        for ear in self.ears:
            with suppress(BlockingIOError):
                while True:
                    if ear.type == socket.SOCK_DGRAM:
                        ear.recv(1000)
                    else:
                        ear.accept()[0].close()
                    heard.append(f"call received: {ear.family.name} {ear.type.name}")
        with suppress(BlockingIOError):
            heard.append(f"on the terminal: {os.read(self.screen, 1000)!r}")
        return heard

    def clean_up(self) -> None:
        """Undo what an attack did while nothing held it."""
        for folder in ("/tmp", "/dev/shm"):
            (Path(folder) / self.mark).unlink(missing_ok=True)
        libc = ctypes.CDLL(None)
        if (segment := libc.shmget(self.targets["KEY"], 0, 0)) >= 0:
            libc.shmctl(segment, IPC_RMID, None)
        with suppress(AttributeError):
            libc.mq_unlink(f"/{self.mark}".encode())
        self.set_up()


def _warm_processes() -> set[int]:
    """The processes that runners are forked from, with what wraps them: they are to stay."""
    from autograde import sandbox

    found = set()
    for nursery in sandbox._nurseries.values():
        found |= {nursery.process.pid, *_descendants(nursery.process.pid, generations=2)}
    return found


def _walk(top: Path):
    """A folder and what is in it, as far as a test can walk."""
    yield top
    if top.is_dir() and not top.is_symlink() and len(top.parts) < 40:
        for path in top.iterdir():
            yield from _walk(path)


def delete(folder: Path) -> None:
    """Delete a folder however deep it is."""
    subprocess.run(["rm", "-rf", folder], check=True)


def _look(path: Path) -> tuple:
    """What a file is: everything but the time of its last reading."""
    try:
        about = path.lstat()
    except OSError:
        return ("gone",)
    small = path.is_file() and not path.is_symlink() and about.st_size < 2**20
    content = hashlib.sha256(path.read_bytes()).hexdigest() if small else None
    names = ("mode", "ino", "nlink", "uid", "gid", "size", "mtime_ns", "ctime_ns")
    return (content, *[getattr(about, f"st_{name}") for name in names])


def _state(pid: int) -> tuple:
    """What another process can do to this one: state, priority, cores, limits."""
    import resource

    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        limits = Path(f"/proc/{pid}/limits").read_text()
        traced = "TracerPid:\t0" in Path(f"/proc/{pid}/status").read_text()
        cores = os.sched_getaffinity(pid)
        nice = os.getpriority(os.PRIO_PROCESS, pid)
        plan = os.sched_getscheduler(pid)
        files = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    except OSError:
        return ("gone",)
    return (fields[0] in "Tt", limits, traced, cores, nice, plan, files)


def _descendants(top: int | None = None, generations: int = 100) -> list[int]:
    """All processes below one, whatever session they are in; this one by default."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            fields = Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()
            parents[int(name)] = (int(fields[1]), fields[0])
    found, front = [], [top or os.getpid()]
    for _ in range(generations):
        front = [pid for pid, (parent, _) in parents.items() if parent in front]
        if not front:
            break
        found += front
    return [pid for pid in found if parents[pid][1] != "Z"]


def _file_handle(path: Path) -> bytes:
    """What `open_by_handle_at` wants of a file: struct file_handle."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = ctypes.create_string_buffer((128).to_bytes(4, "little"), 8 + 128)
    mount = ctypes.c_int()
    if libc.name_to_handle_at(-100, str(path).encode(), handle, ctypes.byref(mount), 0):
        return b""  # a file system without handles
    size = int.from_bytes(handle.raw[:4], "little")
    return handle.raw[: 8 + size]


def check_without_a_split(folders: list[str]) -> None:
    """Print the points that each submission gets where one process runs and judges it."""
    import torch  # noqa: F401

    from autograde.checking import check_library

    points = {}
    for folder in folders:
        reader, writer = os.pipe()
        if os.fork() == 0:
            result = check_library(Path(folder) / "mha_lib", ["attention.softmax"])
            os.write(writer, str(result["attention.softmax"].score).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as answer:
            points[folder] = float(answer.read() or 0)
        os.wait()
    print(json.dumps(points))


if __name__ == "__main__":
    check_without_a_split(sys.argv[1:])
