"""Frameworks over WSGI, each in waitress."""

# mypy: disable-error-code="import-untyped,import-not-found,untyped-decorator,misc,unused-ignore"

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import brakit
from tests.faults.bench import InWaitress, ask
from tests.faults.observing import Run, See
from tests.faults.sweep import App

log = logging.getLogger("shop")
for name in ("waitress", "app"):
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)

BODY = b'{"name": "ann", "password": "x"}'
QUESTIONS: tuple[tuple[str, str, bytes], ...] = (
    ("GET", "/orders/1?a=b", b""),
    ("GET", "/fail", b""),
    ("GET", "/stream", b""),
    ("POST", "/echo", BODY),
    ("HEAD", "/orders/2", b""),
    ("GET", "/nowhere", b""),
)
JSON = "Content-Type: application/json\r\nX-Brakit-Request-Id: 0123456789abcdef0123456789abcdef\r\n"


class Broken(Exception):
    """The app's own."""


class Shop:
    """What the views do, for all frameworks, counted."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}

    def did(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def order(self, id: int) -> dict[str, int]:
        self.did("order")
        log.warning("order %s", id)
        return {"id": int(id)}

    def fail(self) -> Any:
        self.did("fail")
        raise Broken("no such luck")

    def stream(self) -> Iterator[bytes]:
        self.did("stream")
        log.warning("streaming")
        yield b"one,"
        log.warning("still streaming")
        yield b"two"


def served(shop: Shop, server: Any, questions: tuple[tuple[str, str, bytes], ...] = QUESTIONS) -> Run:
    """A run: each question once, to the end."""

    def run(see: See) -> None:
        shop.done.clear()
        for method, path, body in questions:
            see(ask(server.port, method, path, body, JSON if body else ""))
            server.settle()
        for what, times in shop.done.items():
            see.did(what, times)

    return run


Make = Callable[[Shop], Any]


def in_waitress(make: Make) -> Callable[[], contextlib.AbstractContextManager[Run]]:
    @contextlib.contextmanager
    def made() -> Iterator[Run]:
        shop = Shop()
        server = InWaitress(make(shop))
        try:
            yield served(shop, server)
        finally:
            server.close()

    return made


def bare(shop: Shop) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path.startswith("/orders"):
            body = str(shop.order(path[8:])).encode()
            start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
            return [body]
        if path == "/fail":
            shop.fail()
        if path == "/stream":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return shop.stream()
        if path == "/echo":
            source = environ["wsgi.input"]
            body = source.read(5) + source.readline() + b"".join(source.readlines()) + b"".join(iter(source))
            write = start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
            write(body)
            return []
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []

    return brakit.wsgi(app)


def flask(shop: Shop) -> Any:
    import flask

    app = flask.Flask("app")

    @app.get("/orders/<int:id>")
    def order(id: int) -> Any:
        return shop.order(id)

    @app.get("/fail")
    def fail() -> Any:
        shop.fail()

    @app.get("/stream")
    def stream() -> Any:
        return flask.Response(shop.stream(), mimetype="text/plain")

    @app.post("/echo")
    def echo() -> Any:
        return flask.request.get_json()

    return app


def bottle(shop: Shop) -> Any:
    import bottle

    app = bottle.Bottle()
    get: Any = app.get
    post: Any = app.post

    @get("/orders/<id:int>")
    def order(id: int) -> Any:
        return shop.order(id)

    @get("/fail")
    def fail() -> Any:
        shop.fail()

    @get("/stream")
    def stream() -> Any:
        return shop.stream()

    @post("/echo")
    def echo() -> Any:
        return bottle.request.json

    return app


def falcon(shop: Shop) -> Any:
    import falcon

    class Order:
        def on_get(self, request: Any, response: Any, id: int) -> None:
            response.media = shop.order(id)

        on_head = on_get

    class Fail:
        def on_get(self, request: Any, response: Any) -> None:
            shop.fail()

    class Stream:
        def on_get(self, request: Any, response: Any) -> None:
            response.stream = shop.stream()

    class Echo:
        def on_post(self, request: Any, response: Any) -> None:
            response.media = request.media

    app = falcon.App()
    app.add_route("/orders/{id:int}", Order())
    app.add_route("/fail", Fail())
    app.add_route("/stream", Stream())
    app.add_route("/echo", Echo())
    return app


def pyramid(shop: Shop) -> Any:
    from pyramid.config import Configurator
    from pyramid.response import Response

    with Configurator() as config:
        for name, path, view in (
            ("order", "/orders/{id}", lambda request: Response(json=shop.order(request.matchdict["id"]))),
            ("fail", "/fail", lambda _: shop.fail()),
            ("stream", "/stream", lambda _: Response(app_iter=shop.stream(), content_type="text/plain")),
            ("echo", "/echo", lambda request: Response(json=request.json_body)),
        ):
            config.add_route(name, path)
            config.add_view(view, route_name=name)
        return config.make_wsgi_app()


APPS = [
    App(
        "wsgi", in_waitress(bare), (), ("_wsgi.py", "_exchange.py", "guard.py", "context.py", "buffer.py", "record.py", "api.py")
    ),
    App("flask", in_waitress(flask), ("flask.py",), ("patch.py", "errors.py")),
    App("bottle", in_waitress(bottle), ("bottle.py",)),
    App("falcon", in_waitress(falcon), ("falcon.py",)),
    App("pyramid", in_waitress(pyramid), ("pyramid.py",)),
]
