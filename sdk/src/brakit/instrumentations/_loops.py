"""What event loops have in common: errors that nobody awaits, under the owner that made the task."""

from __future__ import annotations

import sys

from brakit import context, errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.client import Client
    from brakit.context import Owner
    from brakit.patch import Patches

OWNER = "_brakit_owner"
"""Where a task has the owner that made it, before Python 3.12: since then it can be asked for its context."""


def watch(patch: Patches, loop: Any, place: str) -> None:
    """See the reports of one class of event loops."""

    def before(_: Any, report: Any) -> tuple[Owner | None] | None:
        return seen(patch.client, report)

    patch.hook(loop, "call_exception_handler", f"{place}.call_exception_handler", before, leave, leave)
    # A loop written in C has no frame of its own: what looks for the line that logs must pass by ours, as it does by logging's own.
    wrapper = vars(loop)["call_exception_handler"]
    logging = sys.modules.get("logging")
    if logging is not None:
        wrapper.__code__ = wrapper.__code__.replace(co_filename=vars(logging)["_srcfile"])
    if sys.version_info < (3, 12):
        patch.hook(loop, "create_task", f"{place}.create_task", before_task, after_task)


def seen(client: Client, report: Any) -> tuple[Owner | None] | None:
    """Record the exception in a report. It is reported under the owner of what has failed; returns who was that before.

    The loop reports a task when it is thrown away, which happens wherever that happens.
    """
    error = report.get("exception") if type(report) is dict else None
    if not isinstance(error, BaseException) or isinstance(error, (KeyboardInterrupt, SystemExit)):
        return None
    before = context.enter(_owner(report))
    client.attempt("asyncio", errors.capture, client, error, "asyncio")
    return (before,)


def leave(before: tuple[Owner | None], _: Any, __: object) -> None:
    context.enter(before[0])


def before_task(*_: Any, **__: Any) -> Owner | None:
    return context.current()


def after_task(owner: Owner, _: Any, task: Any) -> None:
    """A factory of the app's may make tasks that take no attribute: those have no owner then."""
    try:
        object.__setattr__(task, OWNER, owner)
    except (AttributeError, TypeError):
        return


def _owner(report: dict[str, Any]) -> Owner | None:
    for key in ("task", "future", "handle"):
        source = report.get(key)
        if source is None:
            continue
        if key == "handle":
            own = getattr(source, "_context", None)
        else:
            try:
                owner: Owner = object.__getattribute__(source, OWNER)
            except AttributeError:
                own = source.get_context() if hasattr(source, "get_context") else None
            else:
                return owner
        if own is not None:
            return context.owner_in(own)
        return None
    return context.current()
