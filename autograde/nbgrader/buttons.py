"""The formgrader's slow buttons, answered by a process of their own: a Jupyter Server extension.

nbgrader does in the server itself what its buttons ask for. Meanwhile no page, notebook or kernel
of that server gets an answer: for seconds at the first press, and for as long as a submission that
loops forever may run. Here the server hands the work over and stays free.

The handlers below have the addresses of nbgrader's own and come first: Jupyter Server loads
extensions in the order of their names, and Tornado takes the handler that was added first.
"""

import asyncio
import json
import signal
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

from jupyter_server.extension.application import ExtensionApp
from nbgrader.apps.api import NbGraderAPI
from nbgrader.apps.baseapp import NbGrader
from nbgrader.server_extensions.formgrader.base import (
    BaseApiHandler,
    check_notebook_dir,
    check_xsrf,
)
from tornado import web

from autograde.confine import die_with_the_parent

FORMGRADER = "nbgrader.server_extensions.formgrader"
# Address -> method of NbGraderAPI; what the address names are its arguments.
BUTTONS = {
    r"/formgrader/api/submission/([^/]+)/([^/]+)/autograde": "autograde",
    r"/formgrader/api/assignment/([^/]+)/([^/]+)/generate_feedback": "generate_feedback",
    r"/formgrader/api/assignment/([^/]+)/generate_feedback": "generate_feedback",
    r"/formgrader/api/assignment/([^/]+)/assign": "generate_assignment",
}


class Worker:
    """One process that does what the buttons ask for, one thing after the other.

    It starts at the first press and stays, with all that it took seconds to import.
    """

    def __init__(self):
        self.process = self.pipe = None
        self.one_at_a_time = asyncio.Lock()

    async def do(self, *task) -> dict:
        """Do a task, see `_do`; gives what the formgrader's pages expect."""
        async with self.one_at_a_time:
            if self.process is None:
                self._start()
            try:
                self.pipe.send(task)
                return await asyncio.to_thread(self.pipe.recv)
            except (EOFError, OSError):
                self.stop()
                return {"success": False, "error": "The process that does this died. Try again."}

    def _start(self) -> None:
        context = get_context("spawn")  # a fork of a server with threads can hang
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def stop(self) -> None:
        """At once, whatever it is at: the next run finds everything done or still to be done."""
        if self.process is not None:
            self.process.kill()
            self.process = None


def _work(pipe: Connection) -> None:
    """What the process runs, until the server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the server
    die_with_the_parent()
    with suppress(EOFError):
        while True:
            pipe.send(_do(*pipe.recv()))


def _do(method: str, names: tuple[str, ...], place: dict) -> dict:
    """Call a method of nbgrader's API, with the configuration that the command would have.

    Args:
        method: of `NbGraderAPI`.
        names: its arguments, of an assignment and perhaps a learner.
        place: where the formgrader has its configuration from.
    """
    app = NbGrader(config_dir=place["config_dir"])
    app.load_cwd_config = place["load_cwd_config"]
    try:
        app.initialize([], root=place["root"])
    except SystemExit:
        return {"success": False, "error": "nbgrader's configuration does not load, see the log."}
    return getattr(NbGraderAPI(app.coursedir, parent=app), method)(*names)


class ButtonHandler(BaseApiHandler):
    """What a slow button posts to."""

    def initialize(self, method: str, worker: Worker):
        self.method, self.worker = method, worker

    @web.authenticated
    @check_xsrf
    @check_notebook_dir
    async def post(self, *names):
        formgrader = self.settings["nbgrader_formgrader"]
        place = {
            "config_dir": formgrader.config_dir,
            "load_cwd_config": formgrader.load_cwd_config,
            "root": self.coursedir.root,
        }
        self.write(json.dumps(await self.worker.do(self.method, names, place)))


class Buttons(ExtensionApp):
    """The extension: does nothing where the formgrader is off."""

    name = "autograde_buttons"

    def initialize_handlers(self):
        self.worker = Worker()
        formgrader = self.serverapp.extension_manager.extensions.get(FORMGRADER)
        if formgrader and formgrader.enabled:
            self.handlers.extend(
                (pattern, ButtonHandler, {"method": method, "worker": self.worker})
                for pattern, method in BUTTONS.items()
            )

    async def stop_extension(self):
        self.worker.stop()


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": __name__, "app": Buttons}]
