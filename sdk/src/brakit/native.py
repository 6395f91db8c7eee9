"""What the system and the interpreter themselves say: which process this is, and threads, locks, sockets and sleep where gevent has put
others in their place (`monkey.patch_all`).

The sender is a real thread with real locks and sockets: among the app's greenlets it would take its turns as one of them, use up their
time, and stop with their hub.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


WIPE_ON_FORK = 18
"""`MADV_WIPEONFORK` of Linux 4.14, https://man7.org/linux/man-pages/man2/madvise.2.html; Python has no name for it."""


class Mark:
    """`mark[0]` is 1 once it was set to that, and 0 in every child process. This one asks the system each time."""

    def __init__(self) -> None:
        self.pid = 0

    def __getitem__(self, _: int) -> int:
        return int(self.pid == os.getpid())

    def __setitem__(self, _: int, value: int) -> None:
        self.pid = os.getpid() if value else 0


def fork_mark() -> Any:
    """A `Mark`; where the system offers it, memory that is wiped in a child: reading it costs next to nothing.

    Python's own at-fork hooks are not enough: some servers fork without running them (uWSGI).
    """
    if sys.platform != "linux":
        return Mark()
    try:
        from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

        page = mmap(-1, 4096, MAP_PRIVATE | MAP_ANONYMOUS)
        page.madvise(WIPE_ON_FORK)
    except (ImportError, AttributeError, OSError, ValueError):
        return Mark()
    return page


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
