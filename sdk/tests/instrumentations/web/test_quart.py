"""`quart.py`: a real Quart app in uvicorn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import quart
from sdk.tests.instrumentations.web.contract import Background, Counter, Debug, Leaving, Sockets, Sold, log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class TestQuart(Debug, Leaving, Background, Sockets):
    framework = "quart"
    routes = {  # noqa: RUF012
        "/orders/1": "/orders/<int:id>",
        "/sub/orders/1": "/sub/orders/<int:id>",
    }

    @pytest.fixture
    def start(self, serve: Callable[..., str]) -> Callable[[Any], str]:
        return lambda app: serve(app, ws="websockets-sansio")

    def shop(self, counter: Counter, folder: Any, *, debug: bool = False) -> quart.Quart:
        app = quart.Quart("shop")
        app.debug = debug
        sub = quart.Blueprint("sub", __name__, url_prefix="/sub")

        @app.get("/orders/<int:id>")
        @sub.get("/orders/<int:id>")
        async def order(id: int) -> dict[str, int]:
            log.warning("in the view")
            return {"id": id}

        @app.get("/fail")
        async def fail() -> str:
            counter.fail()
            return ""

        @app.get("/sold")
        async def sold() -> str:
            raise Sold

        @app.errorhandler(Sold)
        async def sorry(error: Sold) -> tuple[str, int]:
            return "sold", 409

        @app.get("/denied")
        async def denied() -> str:
            quart.abort(403)

        @app.get("/empty")
        async def empty() -> tuple[str, int]:
            return "", 204

        @app.get("/away")
        async def away() -> Any:
            return quart.redirect("/orders/1")

        @app.get("/file")
        async def file() -> Any:
            return await quart.send_file(folder / "page.html")

        @app.post("/echo")
        async def echo() -> Any:
            return await quart.request.get_data()

        @app.get("/stream")
        async def stream() -> Any:
            async def chunks() -> AsyncIterator[bytes]:
                try:
                    yield b"first"
                    await counter.opened()
                    log.warning("streaming")
                    async for piece in counter.rest_later():
                        yield piece
                finally:
                    counter.closed.set()

            return chunks(), {"content-type": "text/plain"}

        @app.get("/work/<int:number>")
        async def work(number: int) -> str:
            log.warning("%d", number)
            await asyncio.sleep(0.01)
            log.warning("%d", number)
            return str(number)

        @app.get("/later")
        async def later() -> str:
            async def after() -> None:
                await asyncio.sleep(0.1)
                log.warning("later")

            app.add_background_task(after)
            return ""

        @app.websocket("/chat")
        async def chat() -> None:
            while True:
                text = await quart.websocket.receive()
                log.warning("in the connection")
                await quart.websocket.send(text)
                await quart.websocket.send("again")

        app.register_blueprint(sub)
        return app
