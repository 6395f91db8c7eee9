"""The interpreter's own threads, locks, sockets and sleep, where gevent has put others in their place (`monkey.patch_all`).

The sender is a real thread with real locks and sockets: among the app's greenlets it would take its turns as one of them, use up their
time, and stop with their hub.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def original(module: str, name: str) -> Any:
    """What `module` of the standard library had under `name` before gevent came."""
    monkey = sys.modules.get("gevent.monkey")
    if hasattr(monkey, "get_original"):
        return monkey.get_original(module, name)  # type: ignore[union-attr]
    return getattr(__import__(module), name)


def is_original(module: str, name: str) -> bool:
    return original(module, name) is getattr(__import__(module), name)


def start_thread(run: Callable[[], None], name: str) -> None:
    """Start a thread that does not hold up the end of the program. Raises RuntimeError when there can be no more."""
    if is_original("_thread", "start_new_thread"):
        from threading import Thread

        Thread(target=run, name=name, daemon=True).start()
    else:
        # The class makes a greenlet then.
        original("_thread", "start_new_thread")(run, ())
