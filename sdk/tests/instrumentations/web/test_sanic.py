"""`sanic.py`: a real Sanic app on its own server, in a thread, and in uvicorn."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
import sanic
import sanic.response
from sanic.application.constants import Mode
from sanic.exceptions import Forbidden
from sdk.tests.instrumentations.web.contract import Counter, Debug, Leaving, Sockets, Sold, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Serve = Callable[[Any], str]

for name in ("sanic.root", "sanic.error", "sanic.access", "sanic.server"):
    logging.getLogger(name).setLevel(logging.CRITICAL)


# Sanic imports what websockets has moved.
pytestmark = pytest.mark.filterwarnings("ignore:websockets.legacy:DeprecationWarning")


class Shop(Debug, Sockets):
    framework = "sanic"
    routes = {  # noqa: RUF012
        "/orders/1": "/orders/<id:int>",
        "/sub/orders/1": "/sub/orders/<id:int>",
    }

    @pytest.fixture(autouse=True)
    def forget(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        # What Sanic rewrites of itself when it starts is rewritten from the original each time.
        monkeypatch.setattr(sanic.Sanic, "test_mode", True)
        yield
        sanic.Sanic._app_registry.clear()

    def shop(self, counter: Counter, folder: Any, *, debug: bool = False) -> Any:
        app: Any = sanic.Sanic(f"shop-{uuid4().hex}", configure_logging=False)
        app.config.FALLBACK_ERROR_FORMAT = "text"
        app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0.1
        app.state.mode = Mode.DEBUG if debug else Mode.PRODUCTION
        sub: Any = sanic.Blueprint("sub", url_prefix="/sub")
        get: Callable[[str], Callable[[Any], Any]] = app.get
        post: Callable[[str], Callable[[Any], Any]] = app.post
        sub_get: Callable[[str], Callable[[Any], Any]] = sub.get

        @get("/orders/<id:int>")
        @sub_get("/orders/<id:int>")
        async def order(request: Any, id: int) -> Any:
            log.warning("in the view")
            return sanic.response.json({"id": id})

        @get("/fail")
        async def fail(request: Any) -> Any:
            counter.fail()

        @get("/sold")
        async def sold(request: Any) -> Any:
            raise Sold

        def sorry(request: Any, error: Sold) -> Any:
            return sanic.response.text("sold", status=409)

        @get("/denied")
        async def denied(request: Any) -> Any:
            raise Forbidden("no")

        @get("/empty")
        async def empty(request: Any) -> Any:
            return sanic.response.empty()

        @get("/away")
        async def away(request: Any) -> Any:
            return sanic.response.redirect("/orders/1")

        @get("/file")
        async def file(request: Any) -> Any:
            return await sanic.response.file(folder / "page.html")

        @post("/echo")
        async def echo(request: Any) -> Any:
            return sanic.response.raw(request.body)

        @get("/stream")
        async def stream(request: Any) -> Any:
            response = await request.respond(content_type="text/plain")
            try:
                await response.send(b"first")
                await counter.opened()
                log.warning("streaming")
                async for piece in counter.rest_later():
                    await response.send(piece)
                await response.eof()
            finally:
                counter.closed.set()

        @get("/work/<number:int>")
        async def work(request: Any, number: int) -> Any:
            log.warning("%d", number)
            await asyncio.sleep(0.01)
            log.warning("%d", number)
            return sanic.response.text(str(number))

        async def chat(request: Any, connection: Any) -> None:
            while (text := await connection.recv()) is not None:
                log.warning("in the connection")
                await connection.send(text)
                await connection.send("again")

        app.add_websocket_route(chat, "/chat")
        app.exception(Sold)(sorry)
        app.blueprint(sub)
        return app


class TestSanic(Shop, Leaving):
    @pytest.fixture
    def start(self, in_loop: Serve) -> Serve:
        def start(app: Any) -> str:
            async def begin() -> tuple[str, Any]:
                listening = socket.create_server(("127.0.0.1", 0))
                server = await app.create_server(sock=listening, return_asyncio_server=True)
                await server.startup()
                await server.start_serving()

                async def end() -> None:
                    server.close()
                    await server.wait_closed()
                    for connection in list(server.connections):
                        connection.abort()

                return f"http://127.0.0.1:{listening.getsockname()[1]}", end

            return in_loop(begin)

        return start


class TestSanicInAsgi(Shop):
    @pytest.fixture
    def start(self, serve: Callable[..., str]) -> Serve:
        return lambda app: serve(app, ws="websockets-sansio")

    def test_a_handler_for_all_exceptions_makes_the_page(
        self, client: Any, start: Serve, until: Any, counter: Counter, folder: Any
    ) -> None:
        app = self.shop(counter, folder)
        app.exception(Exception)(lambda request, error: sanic.response.text("page", status=500))
        assert httpx.get(start(app) + "/fail").text == "page"
        error, request = (event for event in until(1) if event["type"] in ("error", "request"))
        assert (error["data"]["name"], error["parentId"]) == ("Broken", request["id"])
