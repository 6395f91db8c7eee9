"""What is handed to another thread keeps its owner: only our own variable is carried over."""

from __future__ import annotations

from brakit import context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from brakit.context import Owner


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
