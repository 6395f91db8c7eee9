"""loguru: every message that gets as far as the sinks, through Logger._log and a patcher of our own for that one message.

Sinks, levels and the app's patchers stay as they are. Messages that come out of `logging` (an InterceptHandler) or go into it are
recorded once; exceptions are as `logging.py` has them. What a sink's own filter drops is recorded all the same, when the message is
severe enough for one of the sinks.
"""

from __future__ import annotations

from brakit import errors
from brakit.guard import Raised
from brakit.instrumentations._logs import MAX_FIELDS, level_of, passing
from brakit.record import plain_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call
    from brakit.patch import Patches
    from brakit.record import Record

# The shape of a logger's options is its own affair; it has been the same since 0.7.
SUPPORTS = ">=0.7,<0.8"

DEPTH, PATCHERS = 1, 7


def instrument(patch: Patches) -> None:
    patch.probe("loguru._logger:Logger._log", log)


class Patcher:
    """Called by loguru with the finished message, after the app's patchers and before the first sink."""

    __slots__ = ("client", "record")

    def __init__(self, client: Client, record: Record) -> None:
        self.client = client
        self.record = record

    def __call__(self, message: dict[str, Any]) -> None:
        self.client.attempt("loguru", _read, self.client, self.record, message)


def log(call: Call) -> Generator[None, Any, None]:
    options = list(call.arg("options"))
    # The frame of our wrapper lies between the app's line and the place where loguru looks for it.
    options[DEPTH] += 1
    before = passing.get()
    if before != "logging":
        options[PATCHERS] = [*options[PATCHERS], Patcher(call.client, call.client.record("log"))]
    call.replace("options", options)
    passing.set(before if before == "logging" else "loguru")
    try:
        yield
    except Raised:
        pass
    finally:
        passing.set(before)


def _read(client: Client, log: Record, message: dict[str, Any]) -> None:
    file, error, extra = message["file"], message["exception"], message["extra"]
    log.data.update(
        level=level_of(message["level"].no),
        message=plain_value(message["message"]) if type(message["message"]) is not str else message["message"],
        logger=message["name"],
        callsite=(file.path, message["line"], message["function"]),
    )
    log.cost = len(message["message"])
    if type(extra) is dict and extra:
        log.data["fields"] = {name: plain_value(extra[name]) for name in list(extra)[:MAX_FIELDS] if type(name) is str}
    if error is not None and isinstance(error.value, BaseException):
        errors.attach(client, log, error.value, (file.path, message["line"]))
    log.emit(client.buffer)
