"""asgiref: what an async app hands to a thread keeps the line that waits for it, through `SyncToAsync.__call__`.

Django's async ORM does all its work in such a thread, where no line of the app's is on the stack. The owner comes along by itself:
asgiref copies the context. Nothing is recorded here.
"""

from __future__ import annotations

import sys

from brakit import callsite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=3.6,<4"


def instrument(patch: Patches) -> None:
    patch.probe("asgiref.sync:SyncToAsync.__call__", hand)


def hand(_call: Call) -> Generator[None, Any, None]:
    before = callsite.handed.get()
    # What waits further out stays when this call is a library's own.
    callsite.handed.set(callsite.find(sys._getframe()))
    try:
        yield
    finally:
        callsite.handed.set(before)
