"""The wait for a connection of a pool: a span where it is long enough to matter, or in vain."""

from __future__ import annotations

import sys

from brakit import callsite, context, errors
from brakit.guard import Raised
from brakit.record import Record, clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call

WAIT_NS = 1_000_000
"""From here on the wait for a connection is worth a record."""


class Waits:
    """What is written down around the call by which an app takes a connection out of a pool."""

    def __init__(self, client: Client, source: str, system: str) -> None:
        self.buffer = client.buffer
        self.failures = client.failures
        self.attributes = {"system": system, "source": source}

    def before(self, *_: Any, **__: Any) -> int | None:
        return clock()

    def after(self, started: int, _pool: Any, _connection: Any) -> None:
        if clock() - started >= WAIT_NS:
            self.record(started, None)

    def failed(self, started: int, _pool: Any, error: BaseException) -> None:
        self.record(started, error)

    def probe(self, call: Call) -> Generator[None, Any, None]:
        """The same around a coroutine function."""
        started = self.before(*call.args, **call.kwargs)
        if started is None:
            return
        try:
            connection = yield
        except Raised as raised:
            self.failed(started, call.args[0], raised.error)
        else:
            self.after(started, call.args[0], connection)

    def record(self, started: int, error: BaseException | None) -> None:
        data: dict[str, object] = {
            "name": "wait for a connection",
            "span_id": context.new_span_id(),
            "attributes": self.attributes,
            "error": None if error is None else errors.text_of(error),
        }
        wait = Record("span", data, started)
        wait.site = callsite.find(sys._getframe(2))
        wait.finish(self.buffer)


class Refusals(Waits):
    """Of a pool that never waits: it raises an error of its own when there is no connection left."""

    def __init__(self, client: Client, source: str, system: str, error: type[BaseException]) -> None:
        super().__init__(client, source, system)
        self.error = error

    def after(self, started: int, _pool: Any, _connection: Any) -> None:
        """What took long was the making of a connection."""

    def failed(self, started: int, _pool: Any, error: BaseException) -> None:
        if isinstance(error, self.error):
            self.record(started, error)
