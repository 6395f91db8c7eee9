"""Quart: every request and WebSocket connection, from outside of its middleware, with the rule of the URL map that it took.

`Quart.__call__` is what the server calls. Exceptions that no handler of the app takes are seen through its own signals, also where a
page is made of them.
"""

from __future__ import annotations

import sys

from brakit import errors
from brakit.instrumentations import _asgi
from brakit.instrumentations._exchange import KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.instrumentations._exchange import Exchange
    from brakit.patch import Patches

SUPPORTS = ">=0.19"
FRAMEWORK = True


def instrument(patch: Patches) -> None:
    quart = sys.modules["quart"].Quart
    client = patch.client

    async def seen(_app: Any, exception: BaseException, **_given: Any) -> None:
        if client.open:
            client.attempt("quart.seen", errors.capture, client, exception, "quart")

    signals = sys.modules["quart.signals"]
    for signal in (signals.got_request_exception, signals.got_websocket_exception):
        listen(patch, signal, seen)
    # Before 0.23 a request had a context beside the app's.
    old = hasattr(sys.modules["quart.ctx"], "_BaseRequestWebsocketContext")
    patch.probe(f"quart.ctx:{'_BaseRequestWebsocketContext' if old else 'AppContext'}.match_request", match_request)
    patch.replace(quart, "__call__", _asgi.around(client, quart.__call__, "quart", known))


def listen(patch: Patches, signal: Any, receiver: Any) -> None:
    signal.connect(receiver, weak=False)
    patch.undo(lambda: signal.disconnect(receiver))


def known(exchange: Exchange, _app: Any, scope: _asgi.Scope) -> None:
    exchange.framework = exchange.framework or "quart"
    exchange.prefix = scope.get("root_path", "")


def match_request(call: Call) -> Generator[None, Any, None]:
    yield
    own = vars(call.args[0])
    given: Any = next(own[name] for name in ("request_websocket", "_request", "_websocket") if own.get(name) is not None)
    exchange: Exchange | None = given.scope.get(KEY)
    if exchange is not None and given.url_rule is not None:
        exchange.route = exchange.prefix + given.url_rule.rule
