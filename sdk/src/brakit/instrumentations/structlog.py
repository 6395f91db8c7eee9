"""structlog: every event that its processors let through, through BoundLoggerBase._proxy_to_logger, with its fields as they were given.

Over `logging` it is one record, and only when the logging lets it pass. Filtering loggers and processors that drop an event are
respected. Exceptions are as `logging.py` has them.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from brakit import callsite, client
from brakit.instrumentations import _logs
from brakit.record import PLAIN, plain_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.patch import Patches
    from brakit.record import Record

SUPPORTS = ">=21.5"

LEVELS = {
    "debug": 10,
    "warning": 30,
    "warn": 30,
    "error": 40,
    "err": 40,
    "exception": 40,
    "critical": 50,
    "fatal": 50,
    "failure": 40,
}
"""By method; every other one (`info`, `msg`) says `info`."""
OWN = ("event", "exc_info", "positional_args", "stack_info", "_record", "_from_structlog", "_logger", "_name")

_event: ContextVar[Record | None] = ContextVar("brakit_structlog_event", default=None)


class State:
    """One event on its way: our record of it, and what was set before."""

    __slots__ = ("before", "handed", "passing", "record")

    def __init__(self, record: Record, handed: bool) -> None:
        self.record = record
        self.handed = handed
        self.before = _event.get()
        self.passing = _logs.passing.get()


def instrument(patch: Patches) -> None:
    patch.when("structlog._base", "structlog._base:BoundLoggerBase", _instrument, patch)


def _instrument(patch: Patches) -> None:
    holder = sys.modules["structlog._base"].BoundLoggerBase
    patch.hook(holder, "_proxy_to_logger", "structlog._base:BoundLoggerBase._proxy_to_logger", before, after, after)
    patch.hook(holder, "_process_event", "structlog._base:BoundLoggerBase._process_event", processing, failed=dropped)
    for name in ("_proxy_to_logger", "_process_event"):
        # structlog looks for the app's line by skipping its own modules: our frame is in that row.
        vars(holder)[name].__globals__["__name__"] = "structlog._base"


def before(self: Any, method_name: str, event: object = None, **event_kw: Any) -> State | None:
    active = client.current()
    if active is None or _logs.passing.get() not in (None, "logging"):
        return None
    given = self._context
    fields = {**_merged(self._processors), **(given if type(given) is dict else {}), **event_kw}
    log = active.record("log", level=_logs.level_of(LEVELS.get(method_name, 20)), logger="structlog")
    log.site = callsite.find(sys._getframe())
    message = event if event is not None else fields.get("event", "")
    log.data["message"] = message if type(message) is str else str(plain_value(message))
    log.cost = len(log.data["message"])  # type: ignore[arg-type]
    args = fields.get("positional_args")
    if type(args) is tuple:
        log.data["args"] = tuple([value if type(value) in PLAIN else plain_value(value) for value in args])
    error = fields.get("exc_info")
    if error:
        error = error if isinstance(error, BaseException) else error[1] if type(error) is tuple else sys.exc_info()[1]
        if isinstance(error, BaseException):
            # Until it is known that the event is logged.
            log.data["exception"] = error
    names = [name for name in fields if name not in OWN][: _logs.MAX_FIELDS]
    if names:
        log.data["fields"] = {name: plain_value(fields[name]) for name in names}
    library = sys.modules.get("logging")
    below = library is not None and isinstance(self._logger, library.Logger) and "logging" in active.patches.versions
    state = State(log, below)
    _event.set(log)
    if below:
        _logs.above.set(log)
    else:
        _logs.passing.set("structlog")
    return state


def after(state: State, _: Any, __: object) -> None:
    _event.set(state.before)
    if state.handed:
        _logs.above.set(None)
        return
    _logs.passing.set(state.passing)
    active = client.current()
    if active is not None:
        _logs.hand_over(active, state.record)


def processing(*_: Any) -> Record | None:
    return _event.get()


def dropped(log: Record, _: Any, __: BaseException) -> None:
    """A processor has dropped the event, or has failed: nothing is logged."""
    log.emitted = True


def _merged(processors: Any) -> dict[str, Any]:
    """What is bound to the context, if one of the processors adds it."""
    module = sys.modules.get("structlog.contextvars")
    if module is None or type(processors) not in (list, tuple):
        return {}
    merge = module.merge_contextvars
    bound: dict[str, Any] = module.get_contextvars() if any(processor is merge for processor in processors) else {}
    return bound
