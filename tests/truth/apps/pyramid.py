"""Pyramid on waitress."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Callable

import waitress
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from tests.truth.apps.styles import Sync

sync = Sync()


def view(work: Callable[[str], str]) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return Response(work(request.matchdict["marker"]))

    return answer


def after(request: Request) -> Response:
    """Pyramid's own callbacks run before the server has the answer."""
    work = sync.after(request.matchdict["marker"])
    request.add_finished_callback(lambda _: work())
    return Response("")


def stream(request: Request) -> Response:
    return Response(app_iter=sync.stream(request.matchdict["marker"]))


def serve(port: int) -> None:
    with Configurator() as config:
        views = {
            "sync": view(sync.plain),
            "pool": view(sync.pool),
            "thread": view(sync.thread),
            "error": view(sync.error),
            "after": after,
            "stream": stream,
        }
        for style, function in views.items():
            config.add_route(style, f"/{style}/{{marker}}")
            config.add_view(function, route_name=style)
        app = config.make_wsgi_app()
    waitress.serve(app, host="127.0.0.1", port=port, threads=8)
