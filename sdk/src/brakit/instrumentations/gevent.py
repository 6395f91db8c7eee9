"""gevent: a greenlet belongs to the request that spawned it, and the exception that ends it is recorded.

A greenlet has context variables of its own, which are empty at its start (https://greenlet.readthedocs.io/en/latest/contextvars.html):
only our own is set in it, the app's stay as they would be. That is done by `gevent.spawn`, `spawn_later` and `spawn_raw`, by groups and
pools, and by thread pools; threads that are greenlets by `monkey.patch_all` are seen where threads are. Exceptions are seen where the
hub reports them. Not recorded: the owner of a greenlet that is made by hand (`Greenlet(...).start()`, `Greenlet.spawn`), a class in C.
"""

from __future__ import annotations

import sys
from contextvars import Context

from brakit import context, errors
from brakit.instrumentations._carried import Carried

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=24.10.1"


def instrument(patch: Patches) -> None:
    for name in ("spawn", "spawn_later", "spawn_raw"):
        patch.probe(f"gevent:{name}", spawn)
    for kind in ("Group", "Pool"):
        patch.probe(f"gevent.pool:{kind}.start", start)
    for name in ("imap", "imap_unordered"):
        patch.probe(f"gevent.pool:GroupMappingMixin.{name}", spawn)
    # These spawn by way of the class.
    for name in ("map", "map_async", "apply_async"):
        patch.probe(f"gevent.pool:GroupMappingMixin.{name}", hand_over)
    patch.probe("gevent.threadpool:ThreadPool.spawn", hand_over)
    patch.probe("gevent.hub:Hub.handle_error", handle_error)


def spawn(_call: Call) -> Generator[None, Any, None]:
    owner = context.current()
    greenlet = yield
    if owner is not None:
        # It begins when the hub gets its turn.
        _give(greenlet, owner)


def start(call: Call) -> Generator[None, Any, None]:
    owner = context.current()
    if owner is not None:
        _give(call.arg("greenlet"), owner)
    yield


def _give(greenlet: Any, owner: context.Owner) -> None:
    own = greenlet.gr_context
    if own is None:
        own = greenlet.gr_context = Context()
    own.run(context.enter, owner)


def hand_over(call: Call) -> Generator[None, Any, None]:
    """A function that a pool calls in a greenlet or thread of its choice."""
    owner, function = context.current(), call.arg("func")
    if owner is not None and callable(function):
        call.replace("func", Carried(owner, function))
    yield


def handle_error(call: Call) -> Generator[None, Any, None]:
    """Called in the greenlet that ends."""
    error, hub = call.arg("value"), sys.modules["gevent.hub"].Hub
    if isinstance(error, BaseException) and not isinstance(error, (*hub.NOT_ERROR, *hub.SYSTEM_ERROR)):
        errors.capture(call.client, error, "gevent")
    yield
