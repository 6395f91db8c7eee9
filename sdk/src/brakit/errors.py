"""Exceptions as records: code, lines and text, so that neither the exception nor a frame of the app lives on."""

from __future__ import annotations

from brakit import context, guard, sampling
from brakit.callsite import frames_of
from brakit.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from brakit.client import Client

MAX_MESSAGE = 16 * 1024
MAX_CAUSES = 10
MAX_SEEN = 100
LAST_RESORTS = ("thread", "asyncio", "unraisable")
_PLAIN = (str, int, float, bool, bytes, type(None))
_BUILT_IN = type(BaseException.__str__)


def capture(client: Client, error: BaseException, mechanism: str, handled: bool = False) -> None:
    """Record an exception under the current owner. One that passes by several of our probes in a request is recorded once."""
    frames = frames_of(error.__traceback__)
    owner = context.current()
    if owner is not None and owner.muted and not handled:
        sampling.bring_back(owner)
    # These see each exception once; a recycled id must not hide the next one.
    if owner is not None and owner.root is not None and mechanism not in LAST_RESORTS:
        # By identity and line: holding the exception itself would keep the app's frames alive for longer.
        key = (id(error), type(error).__name__, frames[-1] if frames else None)
        seen = owner.root.seen
        if key in seen and not handled:
            return
        if len(seen) < MAX_SEEN:
            seen.add(key)
    message = message_of(error)
    record = Record(
        "error",
        {
            "name": type(error).__name__,
            "message": message,
            "frames": frames,
            "causes": causes_of(error),
            "handled": handled,
            "mechanism": mechanism,
        },
    )
    record.cost = len(message)
    record.emit(client.buffer)


def describe(error: BaseException) -> dict[str, object]:
    """Name, message and frames of one exception."""
    return {"name": type(error).__name__, "message": message_of(error), "frames": frames_of(error.__traceback__)}


def message_of(error: BaseException) -> str:
    """The text of an exception. An exception that only carries foreign objects is not asked for theirs."""
    # A class with a `__str__` of its own, written in Python, wants to be asked: that is its message.
    if type(type(error).__str__) is _BUILT_IN and any(type(value) not in _PLAIN for value in error.args):
        return ", ".join(guard.text_of(v, MAX_MESSAGE) if type(v) in _PLAIN else f"<{type(v).__name__}>" for v in error.args)
    return guard.text_of(error, MAX_MESSAGE)


def text_of(error: BaseException) -> str:
    """Class name and message, in one line's worth."""
    message = message_of(error)
    return f"{type(error).__name__}: {message}"[:4096] if message else type(error).__name__


def causes_of(error: BaseException) -> list[dict[str, object]]:
    """What led to an exception, nearest first; ends at a cycle."""
    causes: list[dict[str, object]] = []
    seen = {id(error)}
    current: BaseException | None = error
    while current is not None and len(causes) < MAX_CAUSES:
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        if current is None or id(current) in seen:
            break
        seen.add(id(current))
        causes.append(describe(current))
    return causes
