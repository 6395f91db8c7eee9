"""Bottle on wsgiref's server, with threads."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable, Iterator

from bottle import Bottle

from tests.truth.apps import threaded
from tests.truth.apps.styles import Sync

app = Bottle()
sync = Sync()

works: dict[str, Callable[[str], str | Iterator[bytes]]] = {
    "sync": sync.plain,
    "pool": sync.pool,
    "thread": sync.thread,
    "stream": sync.stream,
    "error": sync.error,
}
for style, work in works.items():
    app.route(f"/{style}/<marker>", callback=work)


def serve(port: int) -> None:
    threaded.run(app, port)
