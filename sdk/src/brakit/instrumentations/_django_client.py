"""Django's test client, which calls neither of the handlers that servers call: its requests are recorded like those of a server."""

from __future__ import annotations

from brakit.guard import Raised
from brakit.instrumentations import _asgi, _wsgi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call, Failures
    from brakit.instrumentations._exchange import Exchange
    from brakit.patch import Patches


def arm(patch: Patches) -> None:
    patch.probe("django.test.client:ClientHandler.__call__", called)
    patch.probe("django.test.client:AsyncClientHandler.__call__", called)


def called(call: Call) -> Generator[None, Any, None]:
    environ, scope = call.arg("environ"), call.arg("scope")
    exchange = _asgi.begin(call.client, scope) if environ is None else _wsgi.begin(call.client, environ)
    if isinstance(exchange, str):
        # The dashboard's path: where it leads to is a server's business.
        yield
        return
    with exchange:
        exchange.framework = "django"
        exchange.prefix = scope.get("root_path", "") if environ is None else environ.get("SCRIPT_NAME", "")
        try:
            response = yield
            note(exchange, response, call.client.failures)
        except Raised as raised:
            exchange.caught(raised.error, "django")
            exchange.end()


def note(exchange: Exchange, response: Any, failures: Failures) -> None:
    headers = [*response.items(), *(("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values())]
    exchange.start(response.status_code, headers)
    if not response.streaming:
        exchange.sending(response.content)
    elif not response.is_async:
        # As a server would read it: each step belongs to the request, which lasts until the last one.
        response.streaming_content = _wsgi.Answer(exchange, response.streaming_content, "django", _wsgi.Looks(failures))
        return
    exchange.end()
