"""ASGI: one HTTP call of an app, or one WebSocket connection, seen from outside of all its middleware
(https://asgi.readthedocs.io/en/latest/specs/www.html).

What the app reads and sends is looked at on its way; nothing is read that the app does not read, nothing is held back. The messages
of a connection are counted, what they say is not recorded.
"""

from __future__ import annotations

from brakit.context import current, enter
from brakit.guard import _dress, safe
from brakit.instrumentations._exchange import KEY, Exchange
from brakit.instrumentations._scope import AsgiExchange, Connection, note_incoming, note_outgoing, note_received, note_sent
from brakit.instrumentations._scope import begin as begin

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
    Note = Callable[[Any, Message], bool]


class Outermost:
    """An ASGI 3 app that hands everything to the one inside it; all else of it is that one's."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        handed: Awaitable[None] = self.app(scope, receive, send)
        return handed

    def __getattr__(self, name: str) -> Any:
        if name == "app":
            # A copy in the making has none yet.
            raise AttributeError(name)
        return getattr(self.app, name)


def outermost(client: Client, app: Any, mechanism: str = "asgi", *, own_task: bool = False) -> Outermost:
    """`app` with us around it."""
    call = around(client, Outermost.__call__, mechanism, own_task=own_task)
    made: Outermost = type("Outermost", (Outermost,), {"__call__": call})(app)
    return made


def around(client: Client, original: App, mechanism: str, known: Known | None = None, *, own_task: bool = False) -> App:
    """`original`, a method `(self, scope, receive, send)`, recording each HTTP request and each WebSocket connection once.

    Other scopes go through with the very objects that came in. `known` adds what a framework knows to the exchange.
    `mechanism` names the place in errors. `own_task` says that the caller gives each request a task of its own: what it logs of a
    failure afterwards belongs to the request too.
    """
    failures = client.failures
    begun = safe(failures, "asgi.begin", begin)
    tell = safe(failures, "asgi.known", known) if known is not None else None
    caught = safe(failures, "asgi.caught", fail)
    ended = safe(failures, "asgi.end", end)
    web = Looks(client, AsgiExchange, note_received, note_sent)
    connection = Looks(client, Connection, note_incoming, note_outgoing)

    async def call(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if not client.open or (scope["type"] != "http" and scope["type"] != "websocket"):
            return await original(self, scope, receive, send)
        before = current()
        outer = scope.get(KEY)
        if outer is not None and outer.finished:
            outer = None
        exchange = begun(client, scope) if outer is None else outer
        if exchange is None:
            # A failure of ours, maybe behind the point where the request has become the owner of what this task does.
            enter(before)
            return await original(self, scope, receive, send)
        if type(exchange) is str:
            return await redirect(exchange, send)
        if tell is not None:
            tell(exchange, self, scope)
        if outer is None:
            looks = web if scope["type"] == "http" else connection
            receive = receiving(exchange, receive, looks)
            send = sending(exchange, send, looks)
        try:
            return await original(self, scope, receive, send)
        except BaseException as error:
            caught(exchange, error, mechanism)
            if own_task and outer is None:
                exchange.before = exchange.owner
            raise
        finally:
            if outer is None:
                ended(exchange)
                enter(exchange.before)

    return _dress(call, original)


class Looks:
    """What is written down of the messages of one kind of call; none of it raises."""

    __slots__ = ("complete", "lost", "received", "sent")

    def __init__(self, client: Client, kind: type[Exchange], received: Note, sent: Note) -> None:
        self.received = safe(client.failures, "asgi.receive", received)
        self.sent = safe(client.failures, "asgi.send", sent)
        self.lost = safe(client.failures, "asgi.lost", kind.lost)
        self.complete = safe(client.failures, "asgi.finish", kind.complete)


def receiving(exchange: Exchange, receive: Receive, looks: Looks) -> Receive:
    """`receive`, with a look at what comes."""

    async def received() -> Message:
        message = await receive()
        if not exchange.finished:
            over = looks.received(exchange, message)
            if over:
                looks.complete(exchange)
        return message

    return received


def sending(exchange: Exchange, send: Send, looks: Looks) -> Send:
    """`send`, with a look at what goes; the exchange is finished with the last byte, whatever the app does after it."""

    async def sent(message: Message) -> None:
        if exchange.finished:
            await send(message)
            return
        last = looks.sent(exchange, message)
        try:
            await send(message)
        except OSError:
            looks.lost(exchange)
            raise
        if last:
            looks.complete(exchange, True)

    return sent


def fail(exchange: Exchange, error: BaseException, mechanism: str) -> None:
    exchange.caught(error, mechanism)


def end(exchange: Exchange) -> None:
    watch = exchange.client.watch
    if watch is not None:
        watch.end(exchange)
    exchange.end()


async def redirect(location: str, send: Send) -> None:
    """Send the browser to the dashboard."""
    headers = [(b"location", location.encode("latin-1")), (b"content-length", b"0"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 307, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
