"""sys: the exception that ends the program, through sys.excepthook, and those that nobody can catch, through sys.unraisablehook.

Unraisable are those of `__del__`, of a weakref's callback and of the end of a generator that is thrown away.
"""

from __future__ import annotations

import sys

from brakit import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ""


def instrument(patch: Patches) -> None:
    patch.probe("sys:excepthook", excepthook)
    patch.probe("sys:unraisablehook", unraisablehook)


def excepthook(call: Call) -> Generator[None, Any, None]:
    """Called with class, exception and traceback. What a person types into an interactive interpreter is none of our business."""
    error = call.args[1]
    if isinstance(error, BaseException) and not isinstance(error, KeyboardInterrupt) and not hasattr(sys, "ps1"):
        errors.capture(call.client, error, "main")
    yield


def unraisablehook(call: Call) -> Generator[None, Any, None]:
    """Called with one `sys.UnraisableHookArgs`, of which nothing is kept: it may hold what is being thrown away."""
    error = call.args[0].exc_value
    if isinstance(error, BaseException):
        errors.capture(call.client, error, "unraisable")
    yield
