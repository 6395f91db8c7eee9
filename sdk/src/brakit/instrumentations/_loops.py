"""What event loops have in common: errors that nobody awaits, under the owner that made the task."""

from __future__ import annotations

import sys

from brakit import context, errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.context import Owner
    from brakit.guard import Call
    from brakit.patch import Patches

OWNER = "_brakit_owner"
"""Where a task has the owner that made it, before Python 3.12: since then it can be asked for its context."""


def watch(patch: Patches, loop: Any, place: str) -> None:
    """See the reports of one class of event loops."""
    patch.wrap(loop, "call_exception_handler", f"{place}.call_exception_handler", call_exception_handler)
    if sys.version_info < (3, 12):
        patch.hook(loop, "create_task", f"{place}.create_task", before_task, after_task)


def call_exception_handler(call: Call) -> Generator[None, Any, None]:
    report = call.arg("context")
    error = report.get("exception") if type(report) is dict else None
    if isinstance(error, BaseException) and not isinstance(error, (KeyboardInterrupt, SystemExit)):
        # The loop reports it when the task is thrown away, which happens wherever that happens.
        before = context.enter(_owner(report))
        try:
            errors.capture(call.client, error, "asyncio")
        finally:
            context.enter(before)
    yield


def before_task(*_: Any, **__: Any) -> Owner | None:
    return context.current()


def after_task(owner: Owner, _: Any, task: Any) -> None:
    """A factory of the app's may make tasks that take no attribute: those have no owner then."""
    attributes = getattr(task, "__dict__", None)
    if type(attributes) is dict:
        attributes[OWNER] = owner


def _owner(report: dict[str, Any]) -> Owner | None:
    for key in ("task", "future", "handle"):
        source = report.get(key)
        if source is None:
            continue
        if key == "handle":
            own = getattr(source, "_context", None)
        else:
            owner: Owner | None = getattr(source, "__dict__", {}).get(OWNER)
            if owner is not None:
                return owner
            own = source.get_context() if hasattr(source, "get_context") else None
        if own is not None:
            return context.owner_in(own)
        return None
    return context.current()
