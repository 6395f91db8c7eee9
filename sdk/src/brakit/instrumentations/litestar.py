"""Litestar: every request and WebSocket connection, from outside of its middleware, with the path of the handler that took it.

`Litestar.__call__` is what the server calls. Exceptions that none of the app's handlers takes are seen where Litestar makes an answer
of them; a handler for `Exception` or for 500 only makes the page of what nobody has handled.
"""

from __future__ import annotations

import sys

from brakit import errors
from brakit.instrumentations import _asgi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.instrumentations._exchange import Exchange
    from brakit.patch import Patches

SUPPORTS = ">=2.13,<3"
FRAMEWORK = True

ANSWERS = "litestar.middleware._internal.exceptions.middleware"


def instrument(patch: Patches) -> None:
    patch.when("litestar.app", "litestar.app:Litestar.__call__", replace_call, patch)
    patch.probe(f"{ANSWERS}:ExceptionHandlerMiddleware.handle_request_exception", answer)
    patch.probe(f"{ANSWERS}:ExceptionHandlerMiddleware.handle_websocket_exception", close)


def replace_call(patch: Patches) -> None:
    litestar = sys.modules["litestar.app"].Litestar
    patch.replace(litestar, "__call__", _asgi.around(patch.client, litestar.__call__, "litestar", known))


def known(exchange: Exchange, _app: Any, scope: _asgi.Scope) -> None:
    exchange.framework = exchange.framework or "litestar"
    # The innermost scope: middleware around a mounted app may have made a new one.
    exchange.source = scope
    exchange.find_route = template


def template(scope: _asgi.Scope) -> str | None:
    """The path as the router knows it, which has no types in it."""
    path = scope.get("path_template")
    return scope.get("root_path", "") + path if isinstance(path, str) else None


def answer(call: Call) -> Generator[None, Any, None]:
    error = call.arg("exc")
    module = sys.modules[ANSWERS]
    if not isinstance(error, module.HTTPException):
        state = module.ScopeState.from_scope(call.arg("scope"))
        handlers = {key: handler for key, handler in state.exception_handlers.items() if key not in (Exception, 500)}
        if module.get_exception_handler(handlers, error) is None:
            errors.capture(call.client, error, "litestar")
    yield


def close(call: Call) -> Generator[None, Any, None]:
    error = call.arg("exc")
    module = sys.modules[ANSWERS]
    if not isinstance(error, (module.HTTPException, module.WebSocketException)):
        errors.capture(call.client, error, "litestar")
    yield
