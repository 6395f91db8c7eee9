"""aiohttp's server: every request and WebSocket connection, through RequestHandler._handle_request, with the path of its resource.

That is what runs for each request, in a task of its own, around the app with its middlewares, until the answer is written. A stream is
counted as it is written; the body of a request is what the app has read of it. The messages of a connection are counted, what they say
is not recorded. Not recorded: what cannot be read as a request.
"""

from __future__ import annotations

import sys

from brakit import errors
from brakit.guard import Raised
from brakit.instrumentations._exchange import KEY
from brakit.instrumentations._served import Served, leads_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches


def instrument(patch: Patches) -> None:
    patch.probe("aiohttp.web_protocol:RequestHandler._handle_request", handle_request)
    patch.probe("aiohttp.web_protocol:RequestHandler.handle_error", handle_error)
    patch.probe("aiohttp.web_response:StreamResponse.prepare", prepare)
    patch.probe("aiohttp.web_response:StreamResponse.write", write)
    patch.probe("aiohttp.web_ws:WebSocketResponse.receive", receive)
    patch.probe("aiohttp.web_ws:WebSocketResponse.send_str", send)
    patch.probe("aiohttp.web_ws:WebSocketResponse.send_bytes", send)


def handle_request(call: Call) -> Generator[None, Any, None]:
    request, client = call.arg("request"), call.client
    method, target = request.method, request._message.path
    if method == "UNKNOWN":
        # What stands for something that could not be read.
        return
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request._message.raw_headers]
    transport, peer = request.transport, request.remote
    if transport is not None:
        port = (transport.get_extra_info("sockname") or (None, None))[1]
        location = leads_to(client, method, target, headers, peer, port)
        if location is not None:
            call.replace("request_handler", redirect(location))
            yield
            return
    exchange = Served(client, request, method, target, headers, peer, request.scheme, ".".join(map(str, request.version)))
    with exchange:
        exchange.framework = "aiohttp"
        client.framework = client.framework or "aiohttp"
        exchange.find_route = template
        request._state[KEY] = exchange
        try:
            response, reset = yield
        except Raised as raised:
            if exchange.error is None:
                # Else it is how aiohttp ends a connection after a failure of the app, which was seen where it came from.
                exchange.left = isinstance(raised.error, ConnectionError)
                exchange.caught(raised.error, "aiohttp")
        else:
            exchange.left = exchange.left or (bool(reset) and not exchange.socket)
            note_body(exchange, response)
        finally:
            note_read(exchange, request)
            exchange.complete()
            exchange.end()


def redirect(location: str) -> Any:
    """A handler that sends the browser to the dashboard."""

    async def handler(_request: Any) -> Any:
        headers = {"Location": location, "Cache-Control": "no-store"}
        return sys.modules["aiohttp.web_response"].Response(status=307, headers=headers)

    return handler


def template(request: Any) -> str | None:
    match = getattr(request, "_match_info", None)
    resource = match.route.resource if match is not None else None
    return resource.canonical if resource is not None else None


def handle_error(call: Call) -> Generator[None, Any, None]:
    """An exception that has left the app, and becomes a page if nothing was sent before."""
    exchange = found(call.arg("request"))
    error = call.arg("exc") or sys.exc_info()[1]
    if exchange is not None and error is not None:
        transport = call.arg("request").transport
        if isinstance(error, ConnectionError) and (transport is None or transport.is_closing()):
            exchange.lost()
        else:
            errors.capture(call.client, error, "aiohttp")
        exchange.error = errors.text_of(error)
    yield


def prepare(call: Call) -> Generator[None, Any, None]:
    """The headers of an answer go out; whoever asks again changes nothing."""
    response = call.args[0]
    yield
    exchange = found(call.args[1])
    if exchange is not None and exchange.response_start is None:
        # Its names are strings of a type of its own.
        exchange.start(response.status, [(name.lower(), value) for name, value in response.headers.items()])
        exchange.committed = True
        if response.status == 101:
            exchange.upgrade()


def write(call: Call) -> Generator[None, Any, None]:
    exchange = found(call.args[0]._req)
    if exchange is not None:
        exchange.sending(call.arg("data"))
    yield


def note_body(exchange: Served, response: Any) -> None:
    """What was sent in one piece."""
    if exchange.response.size or exchange.socket:
        return
    body = getattr(response, "_compressed_body", None) or getattr(response, "_body", None)
    if type(body) is bytes:
        exchange.sending(body)
    else:
        exchange.measure()


def note_read(exchange: Served, request: Any) -> None:
    """What the app has read of the body."""
    body = request._read_bytes
    if type(body) is bytes:
        exchange.read(body)
    else:
        size = getattr(request.content, "_cursor", 0)
        exchange.request.touched, exchange.request.size = size > 0, size


def receive(call: Call) -> Generator[None, Any, None]:
    exchange = found(call.args[0]._req)
    message = yield
    # Text and binary messages, by the numbers of RFC 6455.
    if exchange is not None and message.type in (1, 2):
        exchange.received += 1


def send(call: Call) -> Generator[None, Any, None]:
    exchange = found(call.args[0]._req)
    yield
    if exchange is not None:
        exchange.sent += 1


def found(request: Any) -> Served | None:
    """The exchange of a request, while it lasts."""
    exchange: Served | None = request._state.get(KEY) if request is not None else None
    return exchange if exchange is not None and not exchange.finished else None
