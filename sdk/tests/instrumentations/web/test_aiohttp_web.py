"""`_aiohttp_web.py`: a real app of aiohttp's server, in a thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import WSMsgType, web
from sdk.tests.instrumentations.web.contract import Counter, Debug, Leaving, Sockets, Sold, log

from brakit.instrumentations._served import split

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Serve = Callable[[Any], str]


class TestAiohttpWeb(Debug, Leaving, Sockets):
    framework = "aiohttp"
    routes = {  # noqa: RUF012
        "/orders/1": "/orders/{id}",
        "/sub/orders/1": "/sub/orders/{id}",
    }

    @pytest.fixture
    def start(self, in_loop: Serve) -> Serve:
        def start(app: web.Application) -> str:
            async def begin() -> tuple[str, Any]:
                runner = web.AppRunner(app, shutdown_timeout=0.1)
                await runner.setup()
                site = web.TCPSite(runner, "127.0.0.1", 0)
                await site.start()
                return f"http://127.0.0.1:{runner.addresses[0][1]}", runner.cleanup

            return in_loop(begin)

        return start

    def shop(self, counter: Counter, folder: Any, *, debug: bool = False) -> web.Application:
        routes, under = web.RouteTableDef(), web.RouteTableDef()

        @routes.get("/orders/{id:[0-9]+}")
        @under.get("/orders/{id}")
        async def order(request: web.Request) -> web.Response:
            log.warning("in the view")
            return web.json_response({"id": int(request.match_info["id"])})

        @routes.get("/fail")
        async def fail(request: web.Request) -> web.Response:
            counter.fail()
            return web.Response()

        @routes.get("/sold")
        async def sold(request: web.Request) -> web.Response:
            raise Sold

        @web.middleware
        async def sorry(request: web.Request, handler: Any) -> Any:
            try:
                return await handler(request)
            except Sold:
                return web.Response(text="sold", status=409)

        @routes.get("/denied")
        async def denied(request: web.Request) -> web.Response:
            raise web.HTTPForbidden

        @routes.get("/empty")
        async def empty(request: web.Request) -> web.Response:
            return web.Response(status=204)

        @routes.get("/away")
        async def away(request: web.Request) -> web.Response:
            raise web.HTTPFound("/orders/1")

        @routes.get("/file")
        async def file(request: web.Request) -> web.FileResponse:
            return web.FileResponse(folder / "page.html")

        @routes.post("/echo")
        async def echo(request: web.Request) -> web.Response:
            return web.Response(body=await request.read())

        @routes.post("/half")
        async def half(request: web.Request) -> web.Response:
            return web.Response(body=await request.content.readexactly(500))

        @routes.get("/packed")
        async def packed(request: web.Request) -> web.Response:
            response = web.Response(text="packed " * 100)
            response.enable_compression(web.ContentCoding.gzip)
            return response

        @routes.get("/torn")
        async def torn(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"half")
            counter.fail()
            return response

        @routes.get("/stream")
        async def stream(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            await response.prepare(request)
            try:
                await response.write(b"first")
                await counter.opened()
                log.warning("streaming")
                async for piece in counter.rest_later():
                    await response.write(piece)
            finally:
                counter.closed.set()
            return response

        @routes.get("/work/{number}")
        async def work(request: web.Request) -> web.Response:
            log.warning("%s", request.match_info["number"])
            await asyncio.sleep(0.01)
            log.warning("%s", request.match_info["number"])
            return web.Response(text=request.match_info["number"])

        @routes.get("/chat")
        async def chat(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                assert message.type is WSMsgType.TEXT
                log.warning("in the connection")
                await socket.send_str(message.data)
                await socket.send_str("again")
            return socket

        app, sub = web.Application(middlewares=[sorry]), web.Application()
        app.add_routes(routes)
        sub.add_routes(under)
        app.add_subapp("/sub", sub)
        return app

    def test_what_the_app_reads_is_what_is_counted(self, url: str, until: Any) -> None:
        httpx.post(url + "/half", content=b"x" * 1000)
        assert until(1, only="request")[0]["data"]["requestSize"] == 500

    def test_compressed(self, url: str, until: Any) -> None:
        assert httpx.get(url + "/packed").text == "packed " * 100
        data = until(1, only="request")[0]["data"]
        assert data["responseSize"] < 100
        assert data["responseBody"] == "packed " * 100

    def test_a_stream_that_breaks(self, url: str, until: Any) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url + "/torn")
        error, request = (event for event in until(1) if event["type"] in ("error", "request"))
        assert (error["data"]["name"], error["parentId"]) == ("Broken", request["id"])
        data = request["data"]
        assert (data["statusCode"], data["responseSize"], data.get("cancelled")) == (200, 4, None)

    def test_a_low_level_server(self, client: Client, in_loop: Serve, until: Any) -> None:
        async def handler(request: Any) -> web.Response:
            return web.Response(text="low")

        async def begin() -> tuple[str, Any]:
            runner = web.ServerRunner(web.Server(handler))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return f"http://127.0.0.1:{runner.addresses[0][1]}", runner.cleanup

        url = in_loop(begin)
        assert httpx.get(url + "/any%20thing?a=1").text == "low"
        [request] = until(1, only="request")
        assert (request["data"]["url"], request["data"]["path"]) == ("/any%20thing?a=1", "/any thing")
        assert "route" not in request["data"]


@pytest.mark.parametrize(
    ("target", "url", "path"),
    [
        ("/a%20b?c=%20", "/a%20b?c=%20", "/a b"),
        ("http://app.test/a?b", "/a?b", "/a"),
        ("http://app.test", "/", "/"),
        ("*", "*", "*"),
        ("?a", "?a", "/"),
    ],
)
def test_targets_of_request_lines(target: str, url: str, path: str) -> None:
    assert split(target) == (url, path)
