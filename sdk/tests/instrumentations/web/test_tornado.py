"""`tornado.py`: a real Tornado app, in a thread."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import tornado.httpserver
import tornado.iostream
import tornado.web
import tornado.websocket
from sdk.tests.instrumentations.web.contract import Counter, Debug, Leaving, Sockets, Sold, log
from tornado.netutil import bind_sockets

if TYPE_CHECKING:
    from collections.abc import Callable

    Serve = Callable[[Any], str]

logging.getLogger("tornado").setLevel(logging.CRITICAL)


class TestTornado(Debug, Leaving, Sockets):
    framework = "tornado"
    routes = {  # noqa: RUF012
        "/orders/1": "/orders/([0-9]+)",
        "/sub/orders/1": "/sub/orders/([0-9]+)",
        "DELETE": "/orders/([0-9]+)",
    }

    @pytest.fixture
    def start(self, in_loop: Serve) -> Serve:
        def start(app: tornado.web.Application) -> str:
            async def begin() -> tuple[str, Any]:
                server = tornado.httpserver.HTTPServer(app)
                sockets = bind_sockets(0, "127.0.0.1")
                server.add_sockets(sockets)

                async def end() -> None:
                    server.stop()
                    await server.close_all_connections()

                return f"http://127.0.0.1:{sockets[0].getsockname()[1]}", end

            return in_loop(begin)

        return start

    def shop(self, counter: Counter, folder: Any, *, debug: bool = False) -> tornado.web.Application:
        class Order(tornado.web.RequestHandler):
            async def get(self, id: str) -> None:
                self.order(int(id))

            def order(self, id: int) -> None:
                log.warning("in the view")
                self.write({"id": id})

        class Fail(tornado.web.RequestHandler):
            def get(self) -> None:
                self.fail()

            def fail(self) -> None:
                counter.fail()

        class Sorry(tornado.web.RequestHandler):
            def get(self) -> None:
                try:
                    raise Sold
                except Sold:
                    self.send_error(409)

        class Denied(tornado.web.RequestHandler):
            def get(self) -> None:
                raise tornado.web.HTTPError(403)

        class Empty(tornado.web.RequestHandler):
            def get(self) -> None:
                self.set_status(204)

        class Away(tornado.web.RequestHandler):
            def get(self) -> None:
                self.redirect("/orders/1")

        class File(tornado.web.StaticFileHandler):
            async def get(self, path: str = "page.html", include_body: bool = True) -> None:
                await super().get(path, include_body)

        class Echo(tornado.web.RequestHandler):
            def post(self) -> None:
                self.write(self.request.body)

        class Stream(tornado.web.RequestHandler):
            async def get(self) -> None:
                self.set_header("Content-Type", "text/plain")
                try:
                    self.write(b"first")
                    await self.flush()
                    await counter.opened()
                    log.warning("streaming")
                    async for piece in counter.rest_later():
                        self.write(piece)
                        await self.flush()
                finally:
                    counter.closed.set()

        class Work(tornado.web.RequestHandler):
            async def get(self, number: str) -> None:
                log.warning("%s", number)
                await asyncio.sleep(0.01)
                log.warning("%s", number)
                self.write(number)

        class Later(tornado.web.RequestHandler):
            def get(self) -> None:
                self._auto_finish = False
                asyncio.get_running_loop().call_later(0.05, self.finish, b"later")

        class Chat(tornado.websocket.WebSocketHandler):
            async def on_message(self, message: str | bytes) -> None:
                log.warning("in the connection")
                await self.write_message(message)
                await self.write_message("again")

        return tornado.web.Application(
            [
                (r"/orders/([0-9]+)", Order),
                (r"/sub/orders/([0-9]+)", Order),
                (r"/fail", Fail),
                (r"/sold", Sorry),
                (r"/denied", Denied),
                (r"/empty", Empty),
                (r"/away", Away),
                (r"/file", File, {"path": str(folder)}),
                (r"/echo", Echo),
                (r"/stream", Stream),
                (r"/work/([0-9]+)", Work),
                (r"/late", Later),
                (r"/chat", Chat),
            ],
            compiled_template_cache=not debug,
            serve_traceback=debug,
        )

    def test_an_answer_that_comes_later(self, url: str, until: Any) -> None:
        assert httpx.get(url + "/late").text == "later"
        [request] = until(1, only="request")
        assert request["data"]["durationMs"] >= 45
        assert request["data"]["responseSize"] == 5
