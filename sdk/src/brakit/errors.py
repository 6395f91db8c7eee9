"""Exceptions as records: code, lines and text, so that neither the exception nor a frame of the app lives on."""

from __future__ import annotations

from contextvars import ContextVar

from brakit import context, guard, sampling
from brakit.callsite import frames_of, is_own
from brakit.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

    from brakit.client import Client
    from brakit.context import Owner

    Frames = list[tuple[CodeType, int]]

MAX_MESSAGE = 16 * 1024
MAX_CAUSES = 10
MAX_SEEN = 100
LAST_RESORTS = ("thread", "asyncio", "gevent", "unraisable")
LOGGED = "logging"
_PLAIN = (str, int, float, bool, bytes, type(None))
_BUILT_IN = type(BaseException.__str__)


class Report:
    """An exception that has been reported, and the lines that have logged it since."""

    __slots__ = ("depth", "key", "lines", "record")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.key: object = None
        self.depth = 0
        self.lines: set[object] = set()

    @property
    def logged(self) -> bool:
        """Whether nothing but a log has told of it so far."""
        return self.record.data["mechanism"] == LOGGED


_last: ContextVar[Report | None] = ContextVar("brakit_error", default=None)
"""What was reported last. Outside of requests and jobs nothing older is known: there, no end comes at which it could be forgotten."""


def capture(client: Client, error: BaseException, mechanism: str, handled: bool = False) -> None:
    """Record an exception under the current owner. One that passes by several of our probes in a request is recorded once.

    One that was logged before is the same event, unless that has been sent already.
    """
    frames = frames_of(error.__traceback__)
    owner = context.current()
    if owner is not None and owner.muted and not handled:
        sampling.bring_back(owner)
    root = owner.root if owner is not None else None
    report = _known(root, error, frames)
    # The last resorts see each exception once; a recycled id must not hide the next one.
    once = mechanism not in LAST_RESORTS if root is not None else mechanism in ("main", "gevent")
    # What the app has logged and reports as well is reported; what it reports twice, it wants to have twice.
    if report is not None and (handled if report.logged else once and not handled):
        return
    _report(client, root, error, frames, mechanism, handled)


def attach(client: Client, log: Record, error: BaseException, line: tuple[str, int]) -> None:
    """Give a log the exception that it carries, and the event of it: a new one when the app has logged it as an error, at `line`.

    That one waits until its request is over: an exception that goes on from here is one event, with what becomes of it.
    """
    frames = frames_of(error.__traceback__)
    log.data["exception"] = {"name": type(error).__name__, "message": message_of(error), "frames": frames}
    owner = context.current()
    root = owner.root if owner is not None else None
    report = _known(root, error, frames)
    # What libraries log of an exception, they have caught or will raise: whoever they do it for reports it.
    if log.data["level"] == "error" and isinstance(error, Exception) and is_own(line[0]):
        if report is not None and line in report.lines and len(frames) <= report.depth:
            # The same line again, and the exception has come no further: another one, with a recycled id.
            report.key = None
            report = None
        if report is None:
            report = _report(client, root, error, frames, LOGGED, True)
        report.lines.add(line)
    if report is not None:
        log.data["error"] = report.record


def share(owner: Owner, other: Owner, error: BaseException) -> None:
    """What has been reported under `owner` is known under `other` as well, where the same exception is about to pass by."""
    report = _known(owner, error, frames_of(error.__traceback__))
    if report is not None and len(other.seen) < MAX_SEEN:
        other.seen[report.key] = report


def _known(root: Owner | None, error: BaseException, frames: Frames) -> Report | None:
    """The report of this very exception: by its id, line and message, for holding it would keep the app's frames alive."""
    key = _key(error, frames)
    report = root.seen.get(key) if root is not None else _last.get()
    return report if report is not None and report.key == key and report.record.data["message"] == message_of(error) else None


def _key(error: BaseException, frames: Frames) -> object:
    return id(error), type(error).__name__, frames[-1] if frames else None


def _report(client: Client, root: Owner | None, error: BaseException, frames: Frames, mechanism: str, handled: bool) -> Report:
    key = _key(error, frames)
    report = _taken_back(client, root, error) or Report(Record("error", {}))
    record, report.key, report.depth = report.record, key, len(frames)
    message = message_of(error)
    record.data.update(
        name=type(error).__name__,
        message=message,
        frames=frames,
        causes=causes_of(error),
        handled=handled,
        mechanism=mechanism,
    )
    record.cost = len(message)
    _last.set(report)
    if root is not None and (key in root.seen or len(root.seen) < MAX_SEEN):
        root.seen[key] = report
    exchange = root.exchange if root is not None else None
    # A stream and a connection may last for hours, and so may a job.
    if mechanism == LOGGED and exchange is not None and not exchange.committed:
        record.hold(client.buffer)
    else:
        record.emit(client.buffer)
    return report


def _taken_back(client: Client, root: Owner | None, error: BaseException) -> Report | None:
    """The report of what has been logged, of this exception or of one that led to it, while it is still here."""
    if not (root.seen if root is not None else _last.get()):
        return None
    for one in (error, *_chain(error)):
        report = _known(root, one, frames_of(one.__traceback__))
        if report is not None and report.logged:
            held = root is not None and root.held.pop(id(report.record), None) is not None
            if held or client.buffer.withdraw(report.record):
                report.record.emitted = False
                return report
    return None


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
    """What led to an exception, nearest first."""
    return [describe(cause) for cause in _chain(error)]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The same as objects; ends at a cycle."""
    seen = {id(error)}
    current: BaseException | None = error
    while current is not None and len(seen) <= MAX_CAUSES:
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        if current is None or id(current) in seen:
            return
        seen.add(id(current))
        yield current
