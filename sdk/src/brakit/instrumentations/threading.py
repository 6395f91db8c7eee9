"""threading: exceptions that end a thread, through threading.excepthook."""

from __future__ import annotations

from brakit import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ""


def instrument(patch: Patches) -> None:
    patch.probe("threading:excepthook", excepthook)


def excepthook(call: Call) -> Generator[None, Any, None]:
    """The hook is called with one `threading.ExceptHookArgs`; SystemExit ends a thread in order."""
    error = call.args[0].exc_value
    if isinstance(error, BaseException) and not isinstance(error, SystemExit):
        errors.capture(call.client, error, "thread")
    yield
