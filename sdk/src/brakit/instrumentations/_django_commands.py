"""Django's management commands: each run a job, unless it belongs to a request or to a job that is under way."""

from __future__ import annotations

import sys

from brakit import context
from brakit.guard import Raised
from brakit.instrumentations._jobs import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

NO_JOBS = frozenset(
    ("runserver", "runserver_plus", "testserver", "test", "shell", "shell_plus", "dbshell", "rundramatiq", "rqworker", "rqworker-pool",
     "rqscheduler", "qcluster", "db_worker", "runworker", "run_huey", "celery", "process_tasks", "runapscheduler", "daphne",
     "runsslserver", "livereload", "tailwind", "procrastinate")
)  # fmt: skip
"""Commands that run until they are stopped, talk to a person, or run tests: what happens in them is not one job."""
MAX_UP = 20


def arm(patch: Patches) -> None:
    patch.probe("django.core.management.base:BaseCommand.execute", execute)


def execute(call: Call) -> Generator[None, Any, None]:
    command = type(call.args[0])
    name = command.__module__.rpartition(".")[2]
    if name in NO_JOBS or context.current() is not None:
        yield
        return
    run = Run(call.client, "django", name, function=command.__dict__.get("handle"))
    with run:
        try:
            yield
        except Raised as raised:
            error = raised.error
            if isinstance(error, SystemExit) and error.code in (None, 0):
                run.end()
                return
            run.end("failed", error)
            if isinstance(error, Exception) and from_command_line(sys._getframe()):
                # The interpreter's own hook sees the same exception next, and the process ends.
                context.enter(run.owner)
        else:
            run.end()


def from_command_line(frame: FrameType | None) -> bool:
    """Whether the command was started by `manage.py`, and not called by the app."""
    code = sys.modules["django.core.management.base"].BaseCommand.run_from_argv.__code__
    for _ in range(MAX_UP):
        if frame is None:
            return False
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False
