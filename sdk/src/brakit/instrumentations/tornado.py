"""Tornado: every request and WebSocket connection, through RequestHandler._execute, with the pattern of the rule that it took.

That runs for each request, in a task of its own. What is sent is seen at the connection, where compression and chunks are done; the end
of the answer may come after the end of the handler. Unhandled exceptions are seen where Tornado makes a page of them. The messages of a
connection are counted, what they say is not recorded. Not recorded: what an app without `RequestHandler` answers.
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

SUPPORTS = ">=6.1"
FRAMEWORK = True

OURS = "_brakit_dashboard"
"""What marks a handler that is none of the app's."""


def instrument(patch: Patches) -> None:
    patch.probe("tornado.web:Application.find_handler", find_handler)
    patch.probe("tornado.web:RequestHandler._execute", execute)
    patch.probe("tornado.web:RequestHandler._handle_request_exception", handle_exception)
    patch.probe("tornado.web:RequestHandler.log_exception", log_exception)
    patch.probe("tornado.http1connection:HTTP1Connection.write_headers", write_headers)
    patch.probe("tornado.http1connection:HTTP1Connection.write", write)
    patch.probe("tornado.http1connection:HTTP1Connection.finish", finish)
    patch.probe("tornado.http1connection:HTTP1Connection._on_connection_close", gone)
    patch.probe("tornado.websocket:WebSocketProtocol13._handle_message", received)
    patch.probe("tornado.websocket:WebSocketHandler.write_message", sent)


def find_handler(call: Call) -> Generator[None, Any, Any]:
    """Where a request is given to a handler, which is made later: one for the dashboard goes to a handler of ours."""
    app, request = call.args[0], call.arg("request")
    delegate = yield
    connection = request.connection
    stream = getattr(connection, "stream", None)
    # Not `remote_ip`, which a header may have set.
    address = getattr(getattr(connection, "context", None), "address", None)
    if stream is None or stream.socket is None or type(address) is not tuple or not request.uri:
        return delegate
    headers, port = list(request.headers.get_all()), stream.socket.getsockname()[1]
    location = leads_to(call.client, request.method, request.uri, headers, address[0], port)
    return delegate if location is None else app.get_handler_delegate(request, redirecting(location))


def redirecting(location: str) -> Any:
    def answer(handler: Any) -> None:
        handler.set_header("Cache-Control", "no-store")
        handler.redirect(location, status=307)

    return type("Dashboard", (sys.modules["tornado.web"].RequestHandler,), {"get": answer, "head": answer, OURS: True})


def execute(call: Call) -> Generator[None, Any, None]:
    handler = call.args[0]
    if getattr(type(handler), OURS, False):
        return
    request, client = handler.request, call.client
    headers = list(request.headers.get_all())
    version = request.version.partition("/")[2]
    exchange = Served(client, handler, request.method, request.uri, headers, request.remote_ip, request.protocol, version)
    with exchange:
        exchange.framework = "tornado"
        exchange.find_route = template
        vars(request)[KEY] = vars(request.connection)[KEY] = exchange
        if type(request.body) is bytes and request.body:
            exchange.read(request.body)
        try:
            yield
        except Raised as raised:
            exchange.caught(raised.error, "tornado")
            end(exchange)
        else:
            # A handler may answer later, from somewhere else; it says so with `_auto_finish`.
            if exchange.finished or exchange.left or exchange.socket or handler._auto_finish:
                end(exchange)


def end(exchange: Served) -> None:
    exchange.complete()
    exchange.end()


def template(handler: Any) -> str | None:
    """The pattern of the first rule that leads to this handler with this path, as it was written but for the `$` that ends it."""
    routing = sys.modules["tornado.routing"]
    path, target = handler.request.path, type(handler)
    rules = list(handler.application.default_router.rules)
    while rules:
        rule = rules.pop(0)
        if isinstance(rule.target, routing.RuleRouter):
            rules[:0] = rule.target.rules
        elif rule.target is target and type(rule.matcher) is routing.PathMatches and rule.matcher.regex.match(path):
            pattern = rule.matcher.regex.pattern
            return pattern.removesuffix("$") if isinstance(pattern, str) else None
    return None


def handle_exception(call: Call) -> Generator[None, Any, None]:
    note_error(call, call.args[1])
    yield


def log_exception(call: Call) -> Generator[None, Any, None]:
    note_error(call, call.arg("value"))
    yield


def note_error(call: Call, error: Any) -> None:
    web = sys.modules["tornado.web"]
    if not isinstance(error, Exception) or isinstance(error, (web.HTTPError, web.Finish)):
        return
    exchange: Served | None = vars(call.args[0].request).get(KEY)
    # A client that has gone makes whatever is written next fail.
    if exchange is None or not (exchange.left and isinstance(error, OSError)):
        errors.capture(call.client, error, "tornado")


def write_headers(call: Call) -> Generator[None, Any, None]:
    exchange = found(call)
    if exchange is not None:
        status = call.arg("start_line").code
        exchange.start(status, list(call.arg("headers").get_all()))
        exchange.committed = True
        if status == 101:
            exchange.upgrade()
        elif call.arg("chunk"):
            exchange.sending(call.arg("chunk"))
    yield


def write(call: Call) -> Generator[None, Any, None]:
    exchange = found(call)
    if exchange is not None:
        exchange.sending(call.arg("chunk"))
    yield


def finish(call: Call) -> Generator[None, Any, None]:
    """The last byte is on its way."""
    exchange = found(call)
    yield
    if exchange is not None and not exchange.socket:
        exchange.complete(True)


def gone(call: Call) -> Generator[None, Any, None]:
    exchange = found(call)
    if exchange is not None and not exchange.socket:
        exchange.lost()
    yield


def found(call: Call) -> Served | None:
    """The exchange of a server's connection, while it lasts; a client's has none."""
    exchange: Served | None = vars(call.args[0]).get(KEY)
    return exchange if exchange is not None and not exchange.finished else None


def received(call: Call) -> Generator[None, Any, None]:
    # On the client's side there is a request of another kind.
    request = getattr(call.args[0].handler, "request", None)
    exchange: Served | None = getattr(request, "__dict__", {}).get(KEY)
    # Text and binary messages, by the numbers of RFC 6455.
    if exchange is not None and call.arg("opcode") in (1, 2):
        exchange.received += 1
    yield


def sent(call: Call) -> Generator[None, Any, None]:
    yield
    exchange: Served | None = vars(call.args[0].request).get(KEY)
    if exchange is not None:
        exchange.sent += 1
