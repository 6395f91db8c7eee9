"""What the instrumentations of queues have in common: one run of a job, what is put into a queue, and the silence of the machinery."""

from __future__ import annotations

import sys

from brakit import callsite, context, errors, sampling
from brakit.clocks import clock, wall
from brakit.context import covered
from brakit.guard import Raised
from brakit.record import Record, plain_value, release_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import CodeType, ModuleType
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call
    from brakit.patch import Patches

ENQUEUED = "x-brakit-enqueued"
"""Epoch milliseconds at which a job was enqueued, among the ids that travel with it."""
MAX_ID = 512

QUERY = "db.query"

_FUNCTION = type(lambda: None)


def is_quiet() -> bool:
    """Whether what happens now is a queue's own machinery (polling, acknowledging, keeping results), which is not recorded."""
    return covered.get() == QUERY


def hush(quiet: bool | str | None) -> str | None:
    """Set whether what happens now is machinery, or what was set before; returns that."""
    before = covered.get()
    covered.set(QUERY if quiet is True else quiet or None)
    return before


def machinery(_: Call) -> Generator[None, Any, None]:
    """A probe: what happens inside this call is the queue's own business."""
    before = hush(True)
    try:
        yield
    finally:
        hush(before)


class Run:
    """One run of a job: the current owner from its making to `end`, or to the end of the `with` around what comes after its making.

    `ids` is what `Enqueue.ids` made where the job was enqueued, and empty where nothing is known of that; None says that the job
    belongs to whoever runs it right here, if anybody.
    """

    __slots__ = ("before", "client", "done", "ended", "error", "owner", "quiet", "record", "source")

    def __init__(
        self,
        client: Client,
        source: str,
        name: object,
        ids: object = None,
        *,
        function: object = None,
        queue: object = None,
        attempt: int | None = None,
        message_id: object = None,
        wait_ms: float | None = None,
    ) -> None:
        muted = 0
        if ids is None:
            current = context.current()
            muted = current.muted if current is not None else 0
            ids = dict(context.outgoing_headers(current, context.new_span_id())) if current is not None else {}
        ids = ids if type(ids) is dict else {}
        request_id, traceparent = _id(ids, context.REQUEST_ID_HEADER), _id(ids, context.TRACEPARENT_HEADER)
        owner, _, _ = context.request_owner(request_id, traceparent)
        self.client = client
        self.source = source
        self.owner = owner
        self.error: BaseException | None = None
        # When its function was done, where the queue goes on under this job.
        self.done: int | None = None
        self.ended = False
        self.record = record = Record(
            "job",
            {
                "id": owner.id,
                "name": plain_value(name),
                "source": source,
                "queue": plain_value(queue),
                "attempt": attempt,
                "wait_ms": _waited(ids) if wait_ms is None else wait_ms,
                "message_id": plain_value(message_id),
            },
        )
        record.owner = owner
        record.site = definition(function)
        if client.sampler is not None:
            owner.muted = muted or client.sampler.decide("", str(record.data["name"]))
        self.before = context.enter(owner)
        self.quiet = hush(False)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        # A failure of ours has kept it from its end: the record is lost, the owner must not stay.
        if not self.ended:
            self.ended = True
            self.leave()

    def leave(self) -> None:
        """What comes now belongs to whoever was the owner before."""
        hush(self.quiet)
        context.enter(self.before)

    def end(self, status: str = "", error: BaseException | None = None, *, report: bool = True) -> None:
        """The run is over: hand over what it still holds, then its record. `report` says that `error` was not expected by the app."""
        if self.ended:
            return
        self.ended = True
        try:
            record, owner = self.record, self.owner
            record.ended = clock() if self.done is None else self.done
            error = self.error if error is None else error
            self.error = None
            if error is not None and owner.muted:
                sampling.bring_back(owner)
            record.data["status"] = status or ("succeeded" if error is None else "failed")
            if error is not None:
                record.data["error"] = errors.text_of(error)
                if report and isinstance(error, Exception):
                    context.enter(self.owner)
                    errors.capture(self.client, error, self.source)
            release_all(self.owner, self.client.buffer)
            record.emit(self.client.buffer)
        finally:
            self.leave()


class Enqueue:
    """One job being put into a queue: a span, and the ids that travel with the job. What the queue does meanwhile is machinery.

    `with Enqueue(…) as added:` around the rest of a probe ends it, with what the user's call has raised.
    """

    __slots__ = ("buffer", "ids", "quiet", "span")

    def __init__(self, client: Client, name: object, up: int = 2, **attributes: object) -> None:
        span_id = context.new_span_id()
        known = {key: plain_value(value) for key, value in attributes.items() if value is not None}
        name = plain_value(name)
        self.buffer = client.buffer
        self.span = Record("span", {"name": f"enqueue {name}", "span_id": span_id, "attributes": known or None})
        self.span.site = callsite.find(sys._getframe(up))
        self.ids = traveling(span_id)
        self.quiet = hush(True)

    @property
    def by_the_app(self) -> bool:
        """False when a worker moves a job from one of its lists to another."""
        return self.quiet != QUERY or self.span.owner is not None

    def __enter__(self) -> Enqueue:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        hush(self.quiet)
        # Any other is ours: there is nothing to tell then.
        if error is None or isinstance(error, Raised):
            self.end(None if error is None else error.error)

    def end(self, error: BaseException | None = None) -> None:
        """It is in the queue, unless `error` came up."""
        hush(self.quiet)
        if self.by_the_app:
            self.span.finish(self.buffer, error=None if error is None else errors.text_of(error))


def traveling(span_id: str) -> dict[str, str]:
    """The ids under which a job that is enqueued now joins what enqueued it, and the time."""
    owner = context.current()
    ids = dict(context.outgoing_headers(owner, span_id)) if owner is not None else {}
    ids.pop(context.FETCH_ID_HEADER, None)
    ids[ENQUEUED] = str(wall() // 1_000_000)
    return ids


def definition(function: Any) -> tuple[CodeType, int] | None:
    """Where the function of a task is defined; None for what is no plain function below its decorators."""
    plain = _plain(function)
    return (plain.__code__, plain.__code__.co_firstlineno) if plain is not None else None


def name_of(function: Any) -> str:
    """`module.function` of a task that has no name of its own."""
    plain = _plain(function)
    return f"{plain.__module__}.{plain.__qualname__}" if plain is not None else type(function).__name__


def _plain(function: Any) -> Any:
    """The function below methods, partials and decorators that say what they wrap; None where there is none."""
    for _ in range(20):
        kind = type(function)
        if kind is _FUNCTION:
            inner = function.__dict__.get("__wrapped__")
            if inner is None:
                return function
            function = inner
        elif kind.__name__ == "method" and kind.__module__ == "builtins":
            function = function.__func__
        elif kind.__name__ == "partial" and kind.__module__ == "functools":
            function = function.func
        else:
            return None
    return None


def follow(patch: Patches, module: str, name: str, source: ModuleType) -> None:
    """`module` has, or will have, imported the function `name` of `source`, which is patched: patch it there too, once."""
    patch.when(module, f"{module}:{name}", _follow, patch, module, name, source)


def _follow(patch: Patches, module: str, name: str, source: ModuleType) -> None:
    wrapper: Callable[..., Any] = vars(source)[name]
    target, original = sys.modules[module], wrapper.__dict__.get("__wrapped__")
    if original is not None and vars(target).get(name) in (wrapper, original):
        # What it has imported may be the wrapper already; what comes back at shutdown is the original.
        setattr(target, name, original)
        patch.replace(target, name, wrapper)


def since(moment: Any) -> float | None:
    """Milliseconds since a `datetime`; one without a time zone is in UTC, as queues keep them."""
    if type(moment).__name__ != "datetime" or type(moment).__module__ != "datetime":
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=sys.modules["datetime"].timezone.utc)
    started: float = moment.timestamp()
    return round(max(wall() / 1e6 - started * 1000, 0.0), 3)


def _id(ids: Any, name: str) -> str | None:
    value = ids.get(name)
    return value if type(value) is str and len(value) <= MAX_ID else None


def _waited(ids: Any) -> float | None:
    enqueued = ids.get(ENQUEUED)
    if type(enqueued) is not str or not (enqueued.isascii() and enqueued.isdigit() and len(enqueued) < 16):
        return None
    return round(max(wall() / 1e6 - int(enqueued), 0.0), 3)
