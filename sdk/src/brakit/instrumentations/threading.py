"""threading: a thread that the app starts belongs to the request that started it, and the exception that ends it is recorded.

It is the app that starts a thread whose `start()` stands on a line of the app's; a `Timer` is a thread. Threads that libraries start,
such as the workers of a pool, go on for others and belong to nobody; what is handed to a pool is seen where pools are. Only our own
variable is set in the thread, and one that outlives its request goes on under it. Exceptions are seen through threading.excepthook. Not
recorded: the owner of a thread that is started by `_thread`.
"""

from __future__ import annotations

import sys

from brakit import context, errors
from brakit.callsite import is_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from threading import Thread
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ""

OWNER = "_brakit_owner"
"""Where a thread that has been started has its owner, until it runs."""


def instrument(patch: Patches) -> None:
    thread = sys.modules["threading"].Thread
    patch.hook(thread, "start", "threading:Thread.start", starting)
    # Called in the new thread; `run` is what apps override.
    patch.hook(thread, "_bootstrap_inner", "threading:Thread._bootstrap_inner", running)
    patch.probe("threading:excepthook", excepthook)


def starting(thread: Thread) -> None:
    owner = context.current()
    if owner is not None and is_own(sys._getframe(2).f_code.co_filename):
        vars(thread)[OWNER] = owner


def running(thread: Thread) -> None:
    owner = vars(thread).pop(OWNER, None)
    if owner is not None:
        context.enter(owner)


def excepthook(call: Call) -> Generator[None, Any, None]:
    """The hook is called with one `threading.ExceptHookArgs`; SystemExit ends a thread in order."""
    error = call.args[0].exc_value
    if isinstance(error, BaseException) and not isinstance(error, SystemExit):
        errors.capture(call.client, error, "thread")
    yield
