"""ASGI: one HTTP call of an app, seen from outside of all its middleware (https://asgi.readthedocs.io/en/latest/specs/www.html).

What the app reads and sends is looked at on its way; nothing is read that the app does not read, nothing is held back.
"""

from __future__ import annotations

from brakit import context
from brakit.guard import _dress, run
from brakit.instrumentations._exchange import DASHBOARD, KEY, Exchange, Ids, dashboard, header, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    from brakit.client import Client

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Any, Scope, Receive, Send], Awaitable[None]]
    Known = Callable[[Exchange, Any, Scope], None]

_REQUEST_ID = context.REQUEST_ID_HEADER.encode()
_TRACEPARENT = context.TRACEPARENT_HEADER.encode()
_FETCH_ID = context.FETCH_ID_HEADER.encode()
_IDS = frozenset((_REQUEST_ID, _TRACEPARENT, _FETCH_ID))


class AsgiExchange(Exchange):
    """An exchange whose source is a scope."""

    __slots__ = ()

    def origin(self) -> dict[str, object]:
        scope = self.source
        peer = scope.get("client")
        return {"client": peer[0] if peer else None, "scheme": scope.get("scheme"), "http_version": scope.get("http_version")}


def around(client: Client, original: App, mechanism: str, known: Known | None = None, *, own_task: bool = False) -> App:
    """`original`, a method `(self, scope, receive, send)`, recording each HTTP request once.

    Scopes other than http go through with the very objects that came in. `known` adds what a framework knows to the exchange.
    `mechanism` names the place in errors. `own_task` says that the caller gives each request a task of its own: what it logs of a
    failure afterwards belongs to the request too.
    """
    failures = client.failures

    async def call(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if not client.open or scope["type"] != "http":
            return await original(self, scope, receive, send)
        outer = scope.get(KEY)
        if outer is not None and outer.finished:
            outer = None
        exchange = run(failures, "asgi.begin", begin, client, scope) if outer is None else outer
        if exchange is None:
            return await original(self, scope, receive, send)
        if type(exchange) is str:
            return await redirect(exchange, send)
        if known is not None:
            run(failures, "asgi.known", known, exchange, self, scope)
        if outer is None:
            receive, send = receiving(exchange, receive), sending(exchange, send)
        try:
            return await original(self, scope, receive, send)
        except BaseException as error:
            run(failures, "asgi.caught", exchange.caught, error, mechanism)
            if own_task and outer is None:
                exchange.before = exchange.owner
            raise
        finally:
            if outer is None:
                run(failures, "asgi.end", exchange.end)
                context.enter(exchange.before)

    return _dress(call, original)


def begin(client: Client, scope: Scope) -> AsgiExchange | str:
    """The exchange of a new request, which is the current owner from then on; an address where the request belongs to the dashboard."""
    path, method = scope["path"], scope["method"]
    raw, query = scope.get("raw_path"), scope.get("query_string")
    # Some servers leave the query in raw_path.
    url = raw.partition(b"?")[0].decode("latin-1") if type(raw) is bytes and raw else quoted(path)
    if query:
        url = f"{url}?{query.decode('latin-1')}"
    if type(scope["headers"]) is not list:
        scope["headers"] = list(scope["headers"])
    # A copy: an app may change its scope's.
    headers = scope["headers"].copy()
    if path.startswith(DASHBOARD):
        peer, server = scope.get("client") or (None,), scope.get("server") or (None, None)
        location = dashboard(client, method, peer[0], header(headers, "host"), server[1], url)
        if location is not None:
            return location
    found: dict[bytes, str | None] = {}
    for name, value in headers:
        if name in _IDS:
            # One that came twice cannot be believed.
            found[name] = None if name in found or len(value) > 512 else value.decode("latin-1")
    ids = Ids(found.get(_REQUEST_ID), found.get(_TRACEPARENT), found.get(_FETCH_ID))
    exchange = AsgiExchange(client, scope, method, path, url, headers, ids)
    scope[KEY] = exchange
    return exchange


def receiving(exchange: Exchange, receive: Receive) -> Receive:
    """`receive`, with a look at what comes."""
    failures = exchange.client.failures

    async def received() -> Message:
        message = await receive()
        if not exchange.finished:
            run(failures, "asgi.receive", note_received, exchange, message)
        return message

    return received


def note_received(exchange: Exchange, message: Message) -> None:
    if message["type"] == "http.request":
        exchange.read(message.get("body", b""))
    elif message["type"] == "http.disconnect" and not exchange.last:
        exchange.left = True


def sending(exchange: Exchange, send: Send) -> Send:
    """`send`, with a look at what goes; the exchange is finished with the last byte, whatever the app does after it."""
    failures = exchange.client.failures

    async def sent(message: Message) -> None:
        if exchange.finished:
            await send(message)
            return
        last = run(failures, "asgi.send", note_sent, exchange, message)
        try:
            await send(message)
        except OSError:
            exchange.left = True
            raise
        if last:
            run(failures, "asgi.finish", exchange.finish, True)

    return sent


def note_sent(exchange: Exchange, message: Message) -> bool:
    """Write down what goes; true for the message that ends the response."""
    kind = message["type"]
    if kind == "http.response.body":
        exchange.sending(message.get("body", b""))
    elif kind == "http.response.start":
        headers = message.get("headers", ())
        if type(headers) is not list and type(headers) is not tuple:
            headers = message["headers"] = list(headers)
        exchange.start(message["status"], headers)
        exchange.committed = not exchange.left
        return False
    elif kind == "http.response.zerocopysend":
        if message.get("count") is not None:
            exchange.response.size += message["count"]
        else:
            exchange.measure()
    elif kind == "http.response.pathsend":
        exchange.measure()
    else:
        return False
    exchange.last = not message.get("more_body", False)
    return exchange.last


async def redirect(location: str, send: Send) -> None:
    """Send the browser to the dashboard."""
    headers = [(b"location", location.encode("latin-1")), (b"content-length", b"0"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 307, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
