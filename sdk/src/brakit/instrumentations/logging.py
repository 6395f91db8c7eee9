"""logging: every record that a logger hands to its handlers, through Logger.callHandlers.

No handler is added and no level is changed: `basicConfig`, `dictConfig` and the last-resort handler work as without us, loggers that
do not propagate are seen too, and what the app filters out stays out. A library that logs through this one (structlog, loguru) and is
recorded itself makes no second record.

An exception that the app logs as an error (`logger.exception`) is an error event as well, which the record names. It waits until the
answer begins: one that leaves the app after all, or leads to one that does, is that one event. Elsewhere it is sent at once, and an
exception that goes on after that is told again. What libraries log of exceptions is named the same way and makes no event.
"""

from __future__ import annotations

import sys

from brakit import client, errors
from brakit.instrumentations._logs import MAX_FIELDS, above, hand_over, level_of, passing
from brakit.record import PLAIN, Record, plain_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import LogRecord
    from typing import Any

    from brakit.client import Client
    from brakit.patch import Patches

SUPPORTS = ""

# What every LogRecord has (https://docs.python.org/3/library/logging.html#logrecord-attributes); the rest is `extra`.
STANDARD = frozenset(
    ("name", "msg", "args", "levelname", "levelno", "pathname", "filename", "module", "exc_info", "exc_text", "stack_info", "lineno",
     "funcName", "created", "msecs", "relativeCreated", "thread", "threadName", "processName", "process", "taskName", "message",
     "asctime", "color_message", "websocket")
)  # fmt: skip


def instrument(patch: Patches) -> None:
    logger = sys.modules["logging"].Logger
    original = logger.callHandlers
    patch.hook(logger, "callHandlers", "logging:Logger.callHandlers", before, after, after)
    wrapper = logger.callHandlers
    # A handler that looks for the line that logged goes outwards over the frames of logging's own file: ours is among them.
    wrapper.__code__ = wrapper.__code__.replace(co_filename=original.__code__.co_filename)
    wrapper.__globals__["__name__"] = "logging"


def before(_: Any, record: LogRecord) -> tuple[Record, LogRecord | None, str | None] | None:
    """The log, what is to be read of it when it has passed its handlers, and who was handing on when it came."""
    active, outer, name = client.current(), passing.get(), record.name
    if active is None or (outer is not None and outer != "logging"):
        return None
    if name.startswith("brakit") and (name == "brakit" or name.startswith("brakit.")):
        return None
    log = above.get()
    if log is None:
        log = Record("log", {"level": level_of(record.levelno), "logger": name})
        passing.set("logging")
        return log, record, outer
    above.set(None)
    log.data["logger"], log.data["level"] = name, level_of(record.levelno)
    passing.set("logging")
    return log, None, outer


def after(state: tuple[Record, LogRecord | None, str | None], _: Any, __: object) -> None:
    """Recorded after the app's handlers have run: they have formatted the message then, if it was theirs to format."""
    log, record, outer = state
    passing.set(outer)
    active = client.current()
    if active is None:
        return
    if record is None:
        hand_over(active, log)
        return
    _read(active, log, record)
    log.emit(active.buffer)


def _read(active: Client, log: Record, record: LogRecord) -> None:
    data = log.data
    message, args = _message(record)
    data["message"] = message
    data["args"] = args
    data["callsite"] = (record.pathname, record.lineno, record.funcName or "<module>")
    log.cost = len(message)
    if not STANDARD.issuperset(record.__dict__):
        extra = [name for name in record.__dict__ if name not in STANDARD]
        data["fields"] = {name: plain_value(record.__dict__[name]) for name in extra[:MAX_FIELDS]}
    if record.exc_info and isinstance(record.exc_info[1], BaseException):
        errors.attach(active, log, record.exc_info[1], (record.pathname, record.lineno))


def _message(record: LogRecord) -> tuple[str, object]:
    """The message as the app formatted it; else its parts, with foreign objects replaced by their type: none of their code runs."""
    formatted = record.__dict__.get("message")
    if type(formatted) is str:
        return formatted, None
    message: str = record.msg if type(record.msg) is str else str(plain_value(record.msg))
    args: Any = record.args
    if type(args) is dict:
        return message, {name: _argument(value) for name, value in args.items()}
    if type(args) is tuple:
        return message, tuple([_argument(value) for value in args])
    return message, None


def _argument(value: object) -> object:
    return value if type(value) in PLAIN else plain_value(value)
