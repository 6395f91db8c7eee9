"""logging: every record that a logger hands to its handlers, through Logger.callHandlers.

No handler is added and no level is changed: `basicConfig`, `dictConfig` and the last-resort handler work as without us, loggers that
do not propagate are seen too, and what the app filters out stays out.
"""

from __future__ import annotations

from brakit import errors
from brakit.guard import Raised
from brakit.record import PLAIN, plain_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from logging import LogRecord
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ""

# What every LogRecord has (https://docs.python.org/3/library/logging.html#logrecord-attributes); the rest is `extra`.
STANDARD = frozenset(
    ("name", "msg", "args", "levelname", "levelno", "pathname", "filename", "module", "exc_info", "exc_text", "stack_info", "lineno",
     "funcName", "created", "msecs", "relativeCreated", "thread", "threadName", "processName", "process", "taskName", "message",
     "asctime", "color_message", "websocket")
)  # fmt: skip
MAX_FIELDS = 50


def instrument(patch: Patches) -> None:
    patch.probe("logging:Logger.callHandlers", call_handlers)


def call_handlers(call: Call) -> Generator[None, Any, None]:
    """Recorded after the app's handlers have run: they have formatted the message then, if it was theirs to format."""
    record: LogRecord = call.arg("record")
    if record.name == "brakit" or record.name.startswith("brakit."):
        return
    log = call.client.record("log", level=_level(record.levelno), logger=record.name)
    try:
        yield
    except Raised:
        pass
    message, args = _message(record)
    log.data["message"] = message
    log.data["args"] = args
    log.data["callsite"] = (record.pathname, record.lineno, record.funcName or "<module>")
    log.cost = len(message)
    extra = [name for name in record.__dict__ if name not in STANDARD]
    if extra:
        log.data["fields"] = {name: plain_value(record.__dict__[name]) for name in extra[:MAX_FIELDS]}
    if record.exc_info and isinstance(record.exc_info[1], BaseException):
        log.data["exception"] = errors.describe(record.exc_info[1])
    log.emit(call.client.buffer)


def _level(number: int) -> str:
    if number >= 40:
        return "error"
    if number >= 30:
        return "warn"
    return "info" if number >= 20 else "debug"


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
