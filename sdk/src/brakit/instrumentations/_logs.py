"""What the instrumentations of loggers have in common: one record for what passes through two of them."""

from __future__ import annotations

from contextvars import ContextVar

from brakit import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from brakit.client import Client
    from brakit.record import Record

MAX_FIELDS = 50
"""Structured fields kept of one record."""

passing: ContextVar[str | None] = ContextVar("brakit_logging_passing", default=None)
"""The library that is handing a record to its sinks or handlers: what they hand to another library has been recorded already."""

above: ContextVar[Record | None] = ContextVar("brakit_logging_above", default=None)
"""The record of a library that is about to log through this one: it takes the place of ours, if it gets as far as the handlers."""


def level_of(number: int) -> str:
    """The level's name on the wire, of logging's numbers."""
    if number >= 40:
        return "error"
    if number >= 30:
        return "warn"
    return "info" if number >= 20 else "debug"


def hand_over(active: Client, log: Record) -> None:
    """Hand over a record of a library that logs through another or by itself. The exception that it carries is an object until then."""
    if log.emitted:
        # It was dropped on its way.
        return
    error = log.data.get("exception")
    if isinstance(error, BaseException):
        line = (log.site[0].co_filename, log.site[1]) if log.site is not None else ("<unknown>", 0)
        errors.attach(active, log, error, line)
    log.emit(active.buffer)
