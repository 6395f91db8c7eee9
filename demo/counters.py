"""What a service really did, counted without brakit, to hold what brakit captured against.

A service is wrapped outermost (`CountedASGI`, `CountedWSGI`) and tells its counts on a port of their own, so that asking neither
counts nor is captured. The answer to `/` is `{"requests": n, "queries": n, "fetches": n, "logs": n, "errors": n, "active": n}`;
`active` is the number of requests whose answer, background tasks included, is not finished. The answer to `/visits` has the same
counts, without `active`, by the `X-Visit-Id` of the request that they belong to; the shop passes it on to the payments.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask
    from starlette.types import ASGIApp, Receive, Scope, Send

KINDS = ("requests", "queries", "fetches", "logs", "errors")
HEADER = "x-visit-id"
VISITS = 20_000
"""Visits whose counts are kept; the oldest go."""

_visit: ContextVar[str | None] = ContextVar("visit", default=None)


class Counters(logging.Handler):
    """The counts of one process, from any of its threads. As a handler of the root logger it counts log records.

    `problems` names the logger for caught exceptions that the app reports: a record of it that carries an exception is an error
    too.
    """

    def __init__(self, problems: str = "") -> None:
        super().__init__()
        self._problems = problems
        self._guard = threading.Lock()
        self._counts = dict.fromkeys((*KINDS, "active"), 0)
        self._visits: dict[str, dict[str, int]] = {}

    def add(self, kind: str, number: int = 1) -> None:
        """Count `number` more of `kind`, for the visit that is under way here."""
        visit = _visit.get()
        with self._guard:
            self._counts[kind] += number
            if visit is not None and kind != "active":
                of_visit = self._visits.setdefault(visit, dict.fromkeys(KINDS, 0))
                of_visit[kind] += number
                if len(self._visits) > VISITS:
                    del self._visits[next(iter(self._visits))]

    def answer(self, path: str) -> bytes:
        """The counts as JSON; by visit for `/visits`."""
        with self._guard:
            return json.dumps(self._visits if path == "/visits" else self._counts).encode()

    def emit(self, record: logging.LogRecord) -> None:
        self.add("logs")
        if record.name == self._problems and record.exc_info:
            self.add("errors")

    def watch_queries(self, engine: Engine) -> None:
        """Count every statement that goes through the engine's execute, batches once."""

        def executed(*_: object) -> None:
            self.add("queries")

        event.listen(engine, "before_cursor_execute", executed)

    def watch_fetches(self, client: httpx.AsyncClient) -> None:
        """Count every call of an HTTP client."""

        async def requested(request: httpx.Request) -> None:
            self.add("fetches")
            visit = _visit.get()
            if visit is not None:
                request.headers[HEADER] = visit

        client.event_hooks["request"].append(requested)

    def watch_flask_errors(self, app: Flask) -> None:
        """Count the exceptions that no view and no handler of a Flask app caught."""
        from flask import got_request_exception

        def raised(_sender: Flask, **_: Any) -> None:
            self.add("errors")

        got_request_exception.connect(raised, app, weak=False)

    def watch_logs(self) -> None:
        """Count the records that reach the root logger."""
        logging.getLogger().addHandler(self)


def tell(counters: Counters, port: int) -> None:
    """Answer every GET on `port` of 127.0.0.1 with the counts, from a thread that ends with the process."""

    class Teller(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = counters.answer(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    threading.Thread(target=HTTPServer(("127.0.0.1", port), Teller).serve_forever, name="counters", daemon=True).start()


class CountedASGI:
    """An ASGI app with its requests and its unhandled exceptions counted."""

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _visit.set(dict(scope["headers"]).get(HEADER.encode(), b"").decode() or None)
        self._counters.add("requests")
        self._counters.add("active")
        try:
            await self._app(scope, receive, send)
        except Exception:
            self._counters.add("errors")
            raise
        finally:
            self._counters.add("active", -1)


class CountedWSGI:
    """A WSGI app with its requests counted."""

    def __init__(self, app: WSGIApplication, counters: Counters) -> None:
        self._app = app
        self._counters = counters

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        _visit.set(environ.get("HTTP_X_VISIT_ID"))
        self._counters.add("requests")
        self._counters.add("active")
        try:
            body = self._app(environ, start_response)
        except BaseException:
            self._counters.add("active", -1)
            raise
        return _Body(body, self._counters)


class _Body:
    """A WSGI body that says when it is closed."""

    def __init__(self, body: Iterable[bytes], counters: Counters) -> None:
        self._body = body
        self._counters = counters

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        try:
            if close := getattr(self._body, "close", None):
                close()
        finally:
            self._counters.add("active", -1)
