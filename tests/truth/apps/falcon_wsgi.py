"""Falcon's WSGI app on waitress."""

from __future__ import annotations

from collections.abc import Callable

import falcon
import waitress

from tests.truth.apps.styles import Sync

sync = Sync()


class Answer:
    def __init__(self, work: Callable[[str], str]) -> None:
        self.work = work

    def on_get(self, request: falcon.Request, response: falcon.Response, marker: str) -> None:
        response.text = self.work(marker)


class Stream:
    def on_get(self, request: falcon.Request, response: falcon.Response, marker: str) -> None:
        response.stream = sync.stream(marker)


def serve(port: int) -> None:
    app = falcon.App()
    for style, work in {"sync": sync.plain, "pool": sync.pool, "thread": sync.thread, "error": sync.error}.items():
        app.add_route(f"/{style}/{{marker}}", Answer(work))
    app.add_route("/stream/{marker}", Stream())
    waitress.serve(app, host="127.0.0.1", port=port, threads=8)
