"""Sanic: every request and WebSocket connection, on its own server and as an ASGI app, with the path of its route.

Sanic rewrites its own `handle_request` when it starts; what a connection of its server calls is wrapped where the connection keeps it.
As an ASGI app it is seen at `Sanic.__call__`. Exceptions that none of the app's handlers takes are seen where Sanic looks for one; a
handler for `Exception` only makes the page of what nobody has handled. The messages of a connection are counted. Not recorded: the
body of a request that is read as a stream, and what cannot be read as a request.
"""

from __future__ import annotations

import sys

from brakit import context, errors
from brakit.guard import Raised, bracket, run
from brakit.instrumentations import _asgi
from brakit.instrumentations._exchange import KEY, Exchange
from brakit.instrumentations._served import Served, leads_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=23.3"
FRAMEWORK = True


def instrument(patch: Patches) -> None:
    sanic = sys.modules["sanic"].Sanic
    patch.probe("sanic.server.protocols.http_protocol:HttpProtocolMixin._setup", setup)
    patch.probe("sanic.router:Router.get", route)
    patch.probe("sanic.handlers.error:ErrorHandler._lookup", lookup)
    patch.probe("sanic.handlers.error:ErrorHandler.log", log)
    patch.probe("sanic.response.types:BaseHTTPResponse.send", send)
    patch.probe("sanic.server.protocols.websocket_protocol:WebSocketProtocol.websocket_handshake", handshake)
    patch.probe("sanic.server.websockets.impl:WebsocketImplProtocol.recv", received)
    patch.probe("sanic.server.websockets.impl:WebsocketImplProtocol.send", sent)
    patch.replace(sanic, "__call__", _asgi.around(patch.client, sanic.__call__, "sanic", known))


def known(exchange: Exchange, _app: Any, scope: _asgi.Scope) -> None:
    exchange.framework = exchange.framework or "sanic"
    exchange.prefix = scope.get("root_path", "")


def setup(call: Call) -> Generator[None, Any, None]:
    yield
    protocol = call.args[0]
    watched = bracket(call.client, "sanic:handle_request", protocol.request_handler, handle_request)
    protocol.request_handler = leading(call.client, watched)


def leading(client: Client, handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`handle`, for all that is not meant for the dashboard; that never gets as far as the app and its middleware."""

    async def handle_request(request: Any) -> Any:
        location = run(client.failures, "sanic:dashboard", whither, client, request) if client.open else None
        if location is None:
            return await handle(request)
        headers = {"Location": location, "Cache-Control": "no-store"}
        answer = sys.modules["sanic.response"].HTTPResponse(status=307, headers=headers)
        await request.stream.respond(answer).send(end_stream=True)
        return None

    return handle_request


def whither(client: Client, request: Any) -> str | None:
    info = request.conn_info
    if info is None:
        return None
    target = request.raw_url.decode("latin-1")
    return leads_to(client, request.method, target, listed(request.headers), info.client_ip, info.server_port)


def handle_request(call: Call) -> Generator[None, Any, None]:
    request = call.args[0]
    headers = listed(request.headers)
    target = request.raw_url.decode("latin-1")
    peer = request.conn_info.client_ip if request.conn_info else None
    exchange = Served(call.client, request, request.method, target, headers, peer, request.scheme, str(request.version))
    with exchange:
        exchange.framework = "sanic"
        try:
            yield
        except Raised as raised:
            exchange.caught(raised.error, "sanic")
        finally:
            if type(request.body) is bytes and request.body:
                exchange.read(request.body)
            exchange.complete()
            exchange.end()


def listed(headers: Any) -> list[tuple[str, str]]:
    """Their names are strings of a type of its own."""
    return [(name.lower(), value) for name, value in headers.items()]


def route(_call: Call) -> Generator[None, Any, None]:
    matched, _handler, _values = yield
    exchange = _exchange()
    if exchange is not None:
        exchange.route = f"{exchange.prefix}/{matched.path.lstrip('/')}"


def lookup(call: Call) -> Generator[None, Any, None]:
    handler, error = call.args[0], call.arg("exception")
    found = yield
    if found is None or found is handler.cached_handlers.get((Exception, None)):
        _capture(call, error)


def log(call: Call) -> Generator[None, Any, None]:
    """Called for what leaves the handler of a WebSocket connection, too."""
    _capture(call, call.arg("exception"))
    yield


def _capture(call: Call, error: Any) -> None:
    if isinstance(error, Exception) and not isinstance(error, sys.modules["sanic.exceptions"].SanicException):
        errors.capture(call.client, error, "sanic")


def send(call: Call) -> Generator[None, Any, None]:
    """A piece of the answer, on Sanic's own server; the body of one that was made in one piece goes with its end."""
    response, data, end = call.args[0], call.arg("data"), call.arg("end_stream")
    exchange = _exchange()
    if not isinstance(exchange, Served) or exchange.last:
        return
    try:
        yield
    except Raised as raised:
        if isinstance(raised.error, OSError):
            exchange.lost()
        return
    if exchange.response_start is None:
        exchange.start(response.status, listed(response.headers))
        exchange.committed = True
    exchange.last = bool(end) or (data is None and end is None)
    if not data and exchange.last:
        data = response.body
    if type(data) is str:
        data = data.encode("utf-8", "replace")
    if type(data) is bytes:
        exchange.sending(data)


def handshake(_call: Call) -> Generator[None, Any, None]:
    connection = yield
    exchange = _exchange()
    if isinstance(exchange, Served):
        exchange.start(101, ())
        exchange.upgrade()
        vars(connection)[KEY] = exchange


def received(call: Call) -> Generator[None, Any, None]:
    message = yield
    exchange: Served | None = vars(call.args[0]).get(KEY)
    if exchange is not None and message is not None:
        exchange.received += 1


def sent(call: Call) -> Generator[None, Any, None]:
    yield
    exchange: Served | None = vars(call.args[0]).get(KEY)
    if exchange is not None:
        exchange.sent += 1


def _exchange() -> Exchange | None:
    owner = context.current()
    root = owner.root if owner is not None else None
    exchange: Exchange | None = root.exchange if root is not None else None
    return exchange if exchange is not None and not exchange.finished else None
