"""What the instrumentations of HTTP clients have in common: one record for a logical call, whatever libraries lie below it."""

from __future__ import annotations

import sys
from contextvars import ContextVar

from brakit import callsite, context, errors
from brakit.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.client import Client

SIGNED = ("aws4", "aws ", "signature", "hawk", "oauth ")
"""How the value of `Authorization` begins when it signs the other headers: nothing is added to such a request."""

covering: ContextVar[Record | None] = ContextVar("brakit_fetch", default=None)
"""The call that is being recorded while `context.covered` says `fetch`. Requests below it carry its `fetch_id`; without one, or without
a record, they carry no ids of ours."""


class Fetch:
    """One logical call, from its start to its headers; redirects and retries of libraries below it belong to it."""

    __slots__ = ("before", "client", "record")

    def __init__(
        self, client: Client, source: str, method: object, url: object, size: int | None = None, ids: bool = True
    ) -> None:
        self.client = client
        self.record = record = client.record(
            "fetch",
            url=plain(url),
            method=plain(method),
            source=source,
            fetch_id=context.new_span_id() if ids else None,
            request_size=size,
        )
        record.site = callsite.find(sys._getframe())
        self.before = cover(record)

    def uncover(self) -> None:
        """The call is over; what was recorded around it goes on. Belongs into a `finally`: whatever of ours fails, it must happen."""
        uncover(self.before)

    def finish(self, status: object, size: int | None = None) -> None:
        self.record.finish(self.client.buffer, status_code=status, response_size=size)

    def fail(self, error: BaseException, status: object = 0) -> None:
        """`status` is that of the answer which the library made an exception of."""
        code = status if type(status) is int else 0
        self.record.finish(self.client.buffer, status_code=code, error=errors.text_of(error))


def covered() -> bool:
    """Whether somebody above records this call."""
    return context.covered.get() == "fetch"


def cover(record: Record | None) -> tuple[str | None, Record | None]:
    """Make `record` the one that stands for what the libraries below do; returns what was there before."""
    before = context.covered.get(), covering.get()
    context.covered.set("fetch")
    covering.set(record)
    return before


def uncover(before: tuple[str | None, Record | None]) -> None:
    """End of `cover`. Set and overwrite, never `reset(token)`: a token is bound to the context it was made in."""
    context.covered.set(before[0])
    covering.set(before[1])


def size_of(headers: Any) -> int | None:
    """`Content-Length` of a library's own headers."""
    length = headers.get("content-length") if headers is not None else None
    return int(length) if isinstance(length, str) and length.isascii() and length.isdigit() and len(length) < 16 else None


def plain(value: object) -> object:
    """A text of a subclass as the text in it, without running the subclass's code; all else as it is."""
    return str.__str__(value) if isinstance(value, str) else value


def host_of(url: str) -> str:
    """The host in an absolute URL; empty when there is none."""
    rest = url.partition("://")[2]
    for mark in "/?#\\":
        rest = rest.partition(mark)[0]
    rest = rest.rpartition("@")[2]
    return rest[1:].partition("]")[0] if rest.startswith("[") else rest.partition(":")[0]


def outgoing(client: Client, host: object, fetch_id: object, names: set[str], authorization: str) -> list[tuple[str, str]]:
    """The headers with our ids that go along to `host`; those that the request has already (`names`, lower case) are left out."""
    if type(fetch_id) is not str or not isinstance(host, str) or authorization.lower().startswith(SIGNED):
        return []
    if not context.trusted_host(host, client.config.propagate):
        return []
    return [(name, value) for name, value in context.outgoing_headers(context.current(), fetch_id) if name not in names]
