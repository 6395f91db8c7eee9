"""ASGI: what a scope and the messages of a call say about a request or a WebSocket connection."""

from __future__ import annotations

from brakit import context
from brakit.instrumentations._exchange import DASHBOARD, KEY, NO_IDS, Exchange, Ids, dashboard, header, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from brakit.client import Client

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]

_REQUEST_ID = context.REQUEST_ID_HEADER.encode()
_TRACEPARENT = context.TRACEPARENT_HEADER.encode()
_FETCH_ID = context.FETCH_ID_HEADER.encode()
_IDS = frozenset((_REQUEST_ID, _TRACEPARENT, _FETCH_ID))
_LASTING = frozenset((tuple, list))
GONE = ("WebSocketDisconnect", "WebSocketDisconnected", "ConnectionClosed", "ConnectionClosedOK", "ConnectionClosedError")
"""What libraries raise where an app listens on a connection that the client has ended."""


class AsgiExchange(Exchange):
    """An exchange whose source is a scope."""

    def origin(self) -> dict[str, object]:
        scope = self.source
        return {"client": address(scope, "client")[0], "scheme": scope.get("scheme"), "http_version": scope.get("http_version")}


class Connection(AsgiExchange):
    """A WebSocket connection: an exchange that lasts until one side closes it."""

    gone = False
    received = 0
    sent = 0

    def lost(self) -> None:
        self.gone = True
        # A client that ends what it has begun has not broken off anything.
        self.left = not self.committed

    def caught(self, error: BaseException, mechanism: str) -> None:
        if self.gone and (isinstance(error, OSError) or type(error).__name__ in GONE):
            return
        super().caught(error, mechanism)

    def complete(self, defer: bool = False) -> None:
        self.messages = self.received, self.sent
        super().complete(defer)


def begin(client: Client, scope: Scope) -> AsgiExchange | str:
    """The exchange of a new request, which is the current owner from then on; an address where the request belongs to the dashboard."""
    web = scope["type"] == "http"
    # A connection begins as a GET; HTTP/2 and later have a method of their own for it.
    path, method = scope["path"], scope["method"] if web else "GET"
    raw, query = scope.get("raw_path"), scope.get("query_string")
    # Some servers leave the query in raw_path.
    url = raw.partition(b"?")[0].decode("latin-1") if type(raw) is bytes and raw else quoted(path)
    if query:
        # A text is what the requests of Django's tests have there.
        url = f"{url}?{query if type(query) is str else query.decode('latin-1')}"
    # A copy: an app may change its scope's. Test clients of the apps' own leave the headers out.
    headers = list(listed(scope))
    if web and path.startswith(DASHBOARD):
        peer, port = address(scope, "client")[0], address(scope, "server")[1]
        location = dashboard(client, method, peer, header(headers, "host"), port, url)
        if location is not None:
            return location
    ids = NO_IDS
    found: dict[bytes, str | None] = {}
    for name, value in headers:
        if name in _IDS:
            # One that came twice cannot be believed.
            found[name] = None if name in found or len(value) > 512 else value.decode("latin-1")
    if found:
        ids = Ids(found.get(_REQUEST_ID), found.get(_TRACEPARENT), found.get(_FETCH_ID))
    exchange = (AsgiExchange if web else Connection)(client, scope, method, path, url, headers, ids)
    scope[KEY] = exchange
    if client.watch is not None:
        client.watch.begin(exchange)
    return exchange


def note_received(exchange: Exchange, message: Message) -> bool:
    if message["type"] == "http.request":
        exchange.read(message.get("body", b""))
    elif message["type"] == "http.disconnect" and not exchange.last and not exchange.whole():
        exchange.lost()
    return False


def note_incoming(connection: Connection, message: Message) -> bool:
    """Count what comes over a connection; true when the client has ended it."""
    if message["type"] == "websocket.receive":
        connection.received += 1
        connection.request.touched = True
        connection.request.size += size_of(message)
        return False
    if message["type"] != "websocket.disconnect":
        return False
    connection.lost()
    return True


def note_outgoing(connection: Connection, message: Message) -> bool:
    """Count what goes over a connection; true for the message that ends it, or refuses it."""
    kind = message["type"]
    if kind == "websocket.send":
        connection.sent += 1
        connection.response.size += size_of(message)
    elif kind == "websocket.accept":
        connection.start(101, listed(message))
        connection.committed = not connection.gone
    elif kind == "websocket.close":
        if not connection.committed:
            connection.start(403, ())
        return True
    elif kind == "websocket.http.response.start":
        connection.start(message["status"], listed(message))
        connection.committed = not connection.gone
    elif kind == "websocket.http.response.body":
        connection.sending(message.get("body", b""))
        return not message.get("more_body", False)
    return False


def size_of(message: Message) -> int:
    """Bytes of one message of a connection."""
    data = message.get("bytes")
    if data is not None:
        return len(data)
    text = message.get("text")
    if type(text) is not str:
        return 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def address(scope: Scope, name: str) -> Any:
    """Host and port of the `client` or the `server`; none where they can be read once: they are the app's to read."""
    found = scope.get(name)
    return found if found and (type(found) is tuple or type(found) is list) else (None, None)


def listed(message: Message) -> list[Any] | tuple[Any, ...]:
    """The headers of a scope or a message; where they, or each of them, can be read once only, they are made to last."""
    headers: Any = message.get("headers", ())
    if type(headers) is not list and type(headers) is not tuple:
        headers = message["headers"] = list(headers)
    if not _LASTING.issuperset(map(type, headers)):
        headers = message["headers"] = [pair if type(pair) in _LASTING else tuple(pair) for pair in headers]
    return headers  # type: ignore[no-any-return]


def note_sent(exchange: Exchange, message: Message) -> bool:
    """Write down what goes; true for the message that ends the response."""
    kind = message["type"]
    if kind == "http.response.body":
        exchange.sending(message.get("body", b""))
    elif kind == "http.response.start":
        exchange.start(message["status"], listed(message))
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
