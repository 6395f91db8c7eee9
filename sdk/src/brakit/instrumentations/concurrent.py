"""concurrent.futures: work handed to a thread pool belongs to the request that handed it over.

`asyncio.to_thread` and anyio copy the whole context; `ThreadPoolExecutor.submit` and `loop.run_in_executor` do not. Only our own
variable is carried over: the app's context variables stay as they would be.
"""

from __future__ import annotations

from brakit import context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from brakit.context import Owner
    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ""


class Carried:
    """A function that runs under the owner who handed it over."""

    __slots__ = ("function", "owner")

    def __init__(self, owner: Owner, function: Callable[..., Any]) -> None:
        self.owner = owner
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = context.enter(self.owner)
        try:
            return self.function(*args, **kwargs)
        finally:
            context.enter(before)


def instrument(patch: Patches) -> None:
    patch.probe("concurrent.futures.thread:ThreadPoolExecutor.submit", submit)


def submit(call: Call) -> Generator[None, Any, None]:
    owner = context.current()
    function = call.arg("fn")
    if owner is not None and callable(function):
        call.replace("fn", Carried(owner, function))
    yield
