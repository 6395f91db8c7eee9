"""httpx: outgoing HTTP calls, through Client.send and AsyncClient.send; redirects and authentication lie inside one call.

Our ids are added to the requests that go over the wire, through the transports, on a copy: a redirect to a stranger carries none, the
app's own request objects stay as they are, and mock transports see nothing of us.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from brakit import callsite, context, errors
from brakit.context import covered, current
from brakit.instrumentations._fetch import size_of
from brakit.record import Record, clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.client import Client
    from brakit.patch import Patches

SUPPORTS = ">=0.24"

_fetch_id: ContextVar[str | None] = ContextVar("brakit_httpx_fetch", default=None)

LENGTH = b"content-length"
HEADERS = {"_list", "_encoding"}
REQUEST = {"method", "url", "headers", "extensions", "stream", "_content"}
"""The attributes of httpx's objects."""
NO_LIMIT = {None}
OURS = frozenset((b"x-brakit-request-id", b"x-brakit-fetch-id", b"traceparent"))


def instrument(patch: Patches) -> None:
    httpx: Any = sys.modules["httpx"]
    calls = Calls(patch.client, httpx)
    for holder, place in ((httpx.Client, "httpx:Client.send"), (httpx.AsyncClient, "httpx:AsyncClient.send")):
        patch.hook(holder, "send", place, calls.begin, calls.end, calls.failed, takes=2)
    for transport, handle, place in (
        (httpx.HTTPTransport, "handle_request", "httpx:HTTPTransport.handle_request"),
        (httpx.AsyncHTTPTransport, "handle_async_request", "httpx:AsyncHTTPTransport.handle_async_request"),
    ):
        patch.hook(transport, handle, place, calls.carry, takes=2, instead="request")


class Sent(Record):
    """A call under way. `outer` is the id of the call that it is made in."""

    __slots__ = ("outer",)
    outer: str | None


class Calls:
    """What is written down before and after the calls of one client of ours."""

    def __init__(self, client: Client, httpx: Any) -> None:
        self.buffer = client.buffer
        self.allowed = client.config.propagate
        self.request = httpx.Request
        # Of the classes as we know them, what they keep is read and copied: to ask them by name, or for new ones, is dear.
        known = vars(httpx.Request("GET", "http://localhost")).keys() <= REQUEST and vars(httpx.Headers()).keys() == HEADERS
        self.headers = httpx.Headers if known else None

    def begin(self, _caller: Any, request: Any) -> Sent | None:
        """One logical call: until its headers for a stream, until the last byte otherwise.

        What is called inside it (an authentication that fetches a token, a hook of the app's) is a call of its own.
        """
        if covered.get() == "fetch":
            return None
        fetch_id = context.new_span_id()
        size = self.size(request.headers)
        data = {"url": str(request.url), "method": request.method, "source": "httpx", "fetch_id": fetch_id, "request_size": size}
        limits = request.extensions.get("timeout")
        if type(limits) is dict:
            data["has_timeout"] = set(limits.values()) != NO_LIMIT
        fetch = Sent("fetch", data)
        fetch.site = callsite.find(sys._getframe(2))
        fetch.outer = _fetch_id.get()
        _fetch_id.set(fetch_id)
        return fetch

    def end(self, fetch: Sent, _caller: Any, response: Any) -> None:
        _fetch_id.set(fetch.outer)
        fetch.ended = clock()
        data = fetch.data
        data["status_code"] = response.status_code
        data["response_size"] = response.num_bytes_downloaded if response.is_closed else self.size(response.headers)
        fetch.emit(self.buffer)

    def failed(self, fetch: Sent, _caller: Any, error: BaseException) -> None:
        _fetch_id.set(fetch.outer)
        fetch.ended = clock()
        fetch.data["status_code"] = 0
        fetch.data["error"] = errors.text_of(error)
        fetch.emit(self.buffer)

    def size(self, headers: Any) -> int | None:
        """`Content-Length`."""
        if type(headers) is not self.headers:
            return size_of(headers)
        for _, name, value in headers._list:
            if name == LENGTH:
                return int(value) if value.isdigit() and len(value) < 16 else None
        return None

    def carry(self, _transport: Any, request: Any) -> Any:
        """A request in the place of the app's own, with our ids on it, where it goes over the wire to a host that may have them."""
        fetch_id = _fetch_id.get()
        if fetch_id is None or not context.trusted_host(request.url.host, self.allowed):
            return None
        ids = context.outgoing_headers(current(), fetch_id)
        headers = request.headers
        if type(request) is not self.request or type(headers) is not self.headers:
            headers = headers.copy()
            for name, value in ids:
                headers.setdefault(name, value)
            return type(request)(
                request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
            )
        there = [name for _, name, _ in headers._list if name in OURS]
        # Attribute by attribute: to look into an object's `__dict__` makes all later use of the object slower.
        copied = object.__new__(self.headers)
        copied._list = headers._list + [(name, name, value) for name, value in encoded(ids) if name not in there]
        copied._encoding = headers._encoding
        copy = object.__new__(self.request)
        copy.method, copy.url, copy.headers = request.method, request.url, copied
        copy.extensions, copy.stream = request.extensions, request.stream
        if hasattr(request, "_content"):
            copy._content = request._content
        return copy


def encoded(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in pairs]
