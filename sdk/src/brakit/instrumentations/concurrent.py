"""concurrent.futures: work handed to a thread pool belongs to the request that handed it over.

`asyncio.to_thread` and anyio copy the whole context; `ThreadPoolExecutor.submit` and `loop.run_in_executor` do not. Only our own
variable is carried over: the app's context variables stay as they would be.
"""

from __future__ import annotations

from brakit import context
from brakit.instrumentations._carried import Carried

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ""


def instrument(patch: Patches) -> None:
    patch.probe("concurrent.futures.thread:ThreadPoolExecutor.submit", submit)


def submit(call: Call) -> Generator[None, Any, None]:
    owner = context.current()
    function = call.arg("fn")
    if owner is not None and callable(function):
        call.replace("fn", Carried(owner, function))
    yield
