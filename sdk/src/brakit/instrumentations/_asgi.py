"""ASGI: one HTTP call of an app, or one WebSocket connection, seen from outside of all its middleware
(https://asgi.readthedocs.io/en/latest/specs/www.html).

What the app reads and sends is looked at on its way; nothing is read that the app does not read, nothing is held back. The messages
of a connection are counted, what they say is not recorded.
"""

from __future__ import annotations

from brakit import context
from brakit.guard import _dress, run
from brakit.instrumentations._exchange import KEY, Exchange
from brakit.instrumentations._scope import begin as begin
from brakit.instrumentations._scope import note_incoming, note_outgoing, note_received, note_sent

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

    async def call(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if not client.open or (scope["type"] != "http" and scope["type"] != "websocket"):
            return await original(self, scope, receive, send)
        before = context.current()
        outer = scope.get(KEY)
        if outer is not None and outer.finished:
            outer = None
        exchange = run(failures, "asgi.begin", begin, client, scope) if outer is None else outer
        if exchange is None:
            # A failure of ours, maybe behind the point where the request has become the owner of what this task does.
            context.enter(before)
            return await original(self, scope, receive, send)
        if type(exchange) is str:
            return await redirect(exchange, send)
        if known is not None:
            run(failures, "asgi.known", known, exchange, self, scope)
        if outer is None:
            web = scope["type"] == "http"
            receive = receiving(exchange, receive, note_received if web else note_incoming)
            send = sending(exchange, send, note_sent if web else note_outgoing)
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


def receiving(exchange: Exchange, receive: Receive, note: Note) -> Receive:
    """`receive`, with a look at what comes."""
    failures = exchange.client.failures

    async def received() -> Message:
        message = await receive()
        if not exchange.finished:
            over = run(failures, "asgi.receive", note, exchange, message)
            if over:
                run(failures, "asgi.finish", exchange.complete)
        return message

    return received


def sending(exchange: Exchange, send: Send, note: Note) -> Send:
    """`send`, with a look at what goes; the exchange is finished with the last byte, whatever the app does after it."""
    failures = exchange.client.failures

    async def sent(message: Message) -> None:
        if exchange.finished:
            await send(message)
            return
        last = run(failures, "asgi.send", note, exchange, message)
        try:
            await send(message)
        except OSError:
            run(failures, "asgi.lost", exchange.lost)
            raise
        if last:
            run(failures, "asgi.finish", exchange.complete, True)

    return sent


async def redirect(location: str, send: Send) -> None:
    """Send the browser to the dashboard."""
    headers = [(b"location", location.encode("latin-1")), (b"content-length", b"0"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 307, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
