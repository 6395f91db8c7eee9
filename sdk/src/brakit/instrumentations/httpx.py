"""httpx: outgoing HTTP calls, through Client.send and AsyncClient.send; redirects and authentication lie inside one call.

Our ids are added to the requests that go over the wire, through the transports, on a copy: a redirect to a stranger carries none, the
app's own request objects stay as they are, and mock transports see nothing of us.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from brakit import callsite, context, errors
from brakit.guard import Raised
from brakit.instrumentations._fetch import size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=0.24"

_fetch_id: ContextVar[str | None] = ContextVar("brakit_httpx_fetch", default=None)


def instrument(patch: Patches) -> None:
    patch.probe("httpx:Client.send", send)
    patch.probe("httpx:AsyncClient.send", send)
    patch.probe("httpx:HTTPTransport.handle_request", carry)
    patch.probe("httpx:AsyncHTTPTransport.handle_async_request", carry)


def send(call: Call) -> Generator[None, Any, None]:
    """One logical call: until its headers for a stream, until the last byte otherwise.

    What is called inside it (an authentication that fetches a token, a hook of the app's) is a call of its own.
    """
    if context.covered.get() == "fetch":
        return
    request = call.arg("request")
    fetch_id = context.new_span_id()
    fetch = call.client.record(
        "fetch",
        url=str(request.url),
        method=request.method,
        source="httpx",
        fetch_id=fetch_id,
        request_size=size_of(request.headers),
    )
    fetch.site = callsite.find(sys._getframe())
    before = _fetch_id.get()
    _fetch_id.set(fetch_id)
    try:
        response = yield
    except Raised as raised:
        fetch.finish(call.client.buffer, status_code=0, error=errors.text_of(raised.error))
    else:
        size = response.num_bytes_downloaded if response.is_closed else size_of(response.headers)
        fetch.finish(call.client.buffer, status_code=response.status_code, response_size=size)
    finally:
        _fetch_id.set(before)


def carry(call: Call) -> Generator[None, Any, None]:
    """Put our ids on what goes over the wire to a host that may have them."""
    request = call.arg("request")
    fetch_id = _fetch_id.get()
    if fetch_id is not None and context.trusted_host(request.url.host, call.client.config.propagate):
        headers = request.headers.copy()
        for name, value in context.outgoing_headers(context.current(), fetch_id):
            headers.setdefault(name, value)
        copy = type(request)(request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions)
        call.replace("request", copy)
    yield
