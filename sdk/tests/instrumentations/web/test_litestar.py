"""`litestar.py`: a real Litestar app in uvicorn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import litestar
import litestar.params
import pytest
from litestar.background_tasks import BackgroundTask
from litestar.exceptions import PermissionDeniedException
from litestar.response import File, Redirect, Stream
from sdk.tests.instrumentations.web.contract import Background, Counter, Debug, Leaving, Sockets, Sold, log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from litestar.params import FromPath
else:
    # An older one needs no mark at what comes from the path.
    FromPath = getattr(litestar.params, "FromPath", Annotated[TypeVar("T"), litestar.params.Parameter()])


class TestLitestar(Debug, Leaving, Background, Sockets):
    framework = "litestar"
    routes = {  # noqa: RUF012
        "/orders/1": "/orders/{id}",
        "/sub/orders/1": "/sub/orders/{id}",
    }

    @pytest.fixture
    def start(self, serve: Callable[..., str]) -> Callable[[Any], str]:
        return lambda app: serve(app, ws="websockets-sansio")

    def shop(self, counter: Counter, folder: Any, *, debug: bool = False) -> litestar.Litestar:
        @litestar.get("/orders/{id:int}")
        async def order(id: FromPath[int]) -> dict[str, int]:
            log.warning("in the view")
            return {"id": id}

        @litestar.get("/fail")
        async def fail() -> str:
            counter.fail()
            return ""

        @litestar.get("/sold")
        async def sold() -> str:
            raise Sold

        def sorry(request: Any, error: Sold) -> litestar.Response[str]:
            return litestar.Response("sold", status_code=409)

        @litestar.get("/denied")
        async def denied() -> str:
            raise PermissionDeniedException

        @litestar.get("/empty", status_code=204)
        async def empty() -> None:
            return None

        @litestar.get("/away", status_code=302)
        async def away() -> Redirect:
            return Redirect("/orders/1")

        @litestar.get("/file")
        async def file() -> File:
            return File(folder / "page.html", media_type="text/html")

        @litestar.post("/echo", status_code=200)
        async def echo(request: litestar.Request[Any, Any, Any]) -> bytes:
            return await request.body()

        @litestar.get("/stream")
        async def stream() -> Stream:
            async def chunks() -> AsyncIterator[bytes]:
                try:
                    yield b"first"
                    await counter.opened()
                    log.warning("streaming")
                    async for piece in counter.rest_later():
                        yield piece
                finally:
                    counter.closed.set()

            return Stream(chunks(), media_type="text/plain")

        @litestar.get("/work/{number:int}", media_type="text/plain")
        async def work(number: FromPath[int]) -> str:
            log.warning("%d", number)
            await asyncio.sleep(0.01)
            log.warning("%d", number)
            return str(number)

        @litestar.get("/later")
        async def later() -> litestar.Response[str]:
            async def after() -> None:
                await asyncio.sleep(0.1)
                log.warning("later")

            return litestar.Response("", background=BackgroundTask(after))

        @litestar.websocket("/chat")
        async def chat(socket: litestar.WebSocket[Any, Any, Any]) -> None:
            await socket.accept()
            async for text in socket.iter_data("text"):
                log.warning("in the connection")
                await socket.send_text(text)
                await socket.send_text("again")

        sub = litestar.Router("/sub", route_handlers=[order])
        views: Any = [order, sub, fail, sold, denied, empty, away, file, echo, stream, work, later, chat]
        handlers: Any = {Sold: sorry}
        return litestar.Litestar(views, debug=debug, exception_handlers=handlers, logging_config=None, openapi_config=None)
