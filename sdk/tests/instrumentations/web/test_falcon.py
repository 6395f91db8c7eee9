"""`falcon.py`: a real Falcon app, WSGI in waitress and ASGI in uvicorn."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import falcon
import falcon.asgi
import pytest
from sdk.tests.instrumentations.web.contract import Background, Counter, Leaving, Sockets, Sold, log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ROUTES: dict[str, str | None] = {
    "/orders/1": "/orders/{id:int}",
    "/sub/orders/1": "/sub/orders/{id:int}",
    "DELETE": "/orders/{id:int}",
}


class TestFalconInWsgi(Leaving):
    framework = "falcon"
    routes = ROUTES

    @pytest.fixture
    def start(self, serve_wsgi: Callable[[Any], str]) -> Callable[[Any], str]:
        return serve_wsgi

    def shop(self, counter: Counter, folder: Any, *, debug: bool = False) -> Any:
        app: Any = falcon.App()

        def route(path: str, method: str = "get") -> Callable[[Any], Any]:
            def add(view: Any) -> Any:
                app.add_route(path, type("Resource", (), {f"on_{method}": staticmethod(view)})())
                return view

            return add

        @route("/orders/{id:int}")
        @route("/sub/orders/{id:int}")
        def order(request: Any, response: Any, id: int) -> None:
            log.warning("in the view")
            response.media = {"id": id}

        @route("/fail")
        def fail(request: Any, response: Any) -> None:
            counter.fail()

        @route("/sold")
        def sold(request: Any, response: Any) -> None:
            raise Sold

        def sorry(request: Any, response: Any, error: Sold, params: Any) -> None:
            response.status = falcon.HTTP_409

        @route("/denied")
        def denied(request: Any, response: Any) -> None:
            raise falcon.HTTPForbidden

        @route("/empty")
        def empty(request: Any, response: Any) -> None:
            response.status = falcon.HTTP_204

        @route("/away")
        def away(request: Any, response: Any) -> None:
            raise falcon.HTTPFound("/orders/1")

        @route("/file")
        def file(request: Any, response: Any) -> None:
            response.stream = (folder / "page.html").open("rb")
            response.content_length = 13

        @route("/echo", "post")
        def echo(request: Any, response: Any) -> None:
            response.data = request.bounded_stream.read()

        @route("/stream")
        def stream(request: Any, response: Any) -> None:
            def chunks() -> Iterator[bytes]:
                try:
                    yield b"first"
                    counter.gate.wait(10)
                    log.warning("streaming")
                    yield from counter.rest()
                finally:
                    counter.closed.set()

            response.content_type = "text/plain"
            response.stream = chunks()

        @route("/work/{number:int}")
        def work(request: Any, response: Any, number: int) -> None:
            log.warning("%d", number)
            time.sleep(0.005)
            log.warning("%d", number)
            response.text = str(number)

        app.add_error_handler(Sold, sorry)
        return app


class TestFalconInAsgi(Background, Sockets):
    framework = "falcon"
    routes = ROUTES

    @pytest.fixture
    def start(self, serve: Callable[..., str]) -> Callable[[Any], str]:
        return lambda app: serve(app, ws="websockets-sansio")

    def shop(self, counter: Counter, folder: Any, *, debug: bool = False) -> Any:
        app: Any = falcon.asgi.App()

        def route(path: str, method: str = "get") -> Callable[[Any], Any]:
            def add(view: Any) -> Any:
                app.add_route(path, type("Resource", (), {f"on_{method}": staticmethod(view)})())
                return view

            return add

        @route("/orders/{id:int}")
        @route("/sub/orders/{id:int}")
        async def order(request: Any, response: Any, id: int) -> None:
            log.warning("in the view")
            response.media = {"id": id}

        @route("/fail")
        async def fail(request: Any, response: Any) -> None:
            counter.fail()

        @route("/sold")
        async def sold(request: Any, response: Any) -> None:
            raise Sold

        async def sorry(request: Any, response: Any, error: Sold, params: Any) -> None:
            response.status = falcon.HTTP_409

        @route("/denied")
        async def denied(request: Any, response: Any) -> None:
            raise falcon.HTTPForbidden

        @route("/empty")
        async def empty(request: Any, response: Any) -> None:
            response.status = falcon.HTTP_204

        @route("/away")
        async def away(request: Any, response: Any) -> None:
            raise falcon.HTTPFound("/orders/1")

        @route("/file")
        async def file(request: Any, response: Any) -> None:
            response.data = (folder / "page.html").read_bytes()

        @route("/echo", "post")
        async def echo(request: Any, response: Any) -> None:
            response.data = await request.stream.read()

        @route("/stream")
        async def stream(request: Any, response: Any) -> None:
            async def chunks() -> AsyncIterator[bytes]:
                try:
                    yield b"first"
                    await counter.opened()
                    log.warning("streaming")
                    async for piece in counter.rest_later():
                        yield piece
                finally:
                    counter.closed.set()

            response.content_type = "text/plain"
            response.stream = chunks()

        @route("/work/{number:int}")
        async def work(request: Any, response: Any, number: int) -> None:
            log.warning("%d", number)
            await asyncio.sleep(0.01)
            log.warning("%d", number)
            response.text = str(number)

        @route("/later")
        async def later(request: Any, response: Any) -> None:
            async def after() -> None:
                await asyncio.sleep(0.1)
                log.warning("later")

            response.schedule(after)

        @route("/chat", "websocket")
        async def chat(request: Any, socket: Any) -> None:
            await socket.accept()
            while True:
                try:
                    text = await socket.receive_text()
                except falcon.WebSocketDisconnected:
                    return
                log.warning("in the connection")
                await socket.send_text(text)
                await socket.send_text("again")

        app.add_error_handler(Sold, sorry)
        return app
