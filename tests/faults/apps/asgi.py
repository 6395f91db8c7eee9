"""Frameworks with a loop, each on its own kind of server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from tests.faults.apps.wsgi import Shop, served
from tests.faults.bench import LoopThread, in_uvicorn
from tests.faults.observing import Run
from tests.faults.sweep import App

for name in ("tornado", "sanic.root", "sanic.error", "sanic.access", "sanic.server", "litestar", "quart.app", "aiohttp"):
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)


async def drops(shop: Shop) -> AsyncIterator[bytes]:
    """The stream, piece by piece."""
    for piece in shop.stream():
        yield piece
        await asyncio.sleep(0)


def on(start: Callable[[Any], LoopThread], make: Callable[[Shop], Any]) -> Callable[[], contextlib.AbstractContextManager[Run]]:
    @contextlib.contextmanager
    def made() -> Iterator[Run]:
        shop = Shop()
        server = start(make(shop))
        try:
            yield served(shop, server)
        finally:
            server.close()

    return made


def bare(shop: Shop) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(scope["type"])
        path, status, chunks = scope["path"], 200, [b""]
        if path.startswith("/orders"):
            chunks = [str(shop.order(path[8:])).encode()]
        elif path == "/fail":
            shop.fail()
        elif path == "/stream":
            chunks = list(shop.stream())
        elif path == "/echo":
            chunks, more = [], True
            while more:
                message = await receive()
                chunks.append(message.get("body", b""))
                more = message.get("more_body", False)
        else:
            status = 404
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def starlette(shop: Shop) -> Any:
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Mount, Route

    async def order(request: Any) -> Any:
        return JSONResponse(shop.order(request.path_params["id"]), background=BackgroundTask(shop.did, "background"))

    def fail(request: Any) -> Any:
        shop.fail()

    async def stream(request: Any) -> Any:
        return StreamingResponse(drops(shop), media_type="text/plain")

    async def echo(request: Any) -> Any:
        return JSONResponse(await request.json())

    routes = [Route("/fail", fail), Route("/stream", stream), Route("/echo", echo, methods=["POST"])]
    return Starlette(routes=[Mount("/orders", routes=[Route("/{id:int}", order)]), *routes])


def fastapi(shop: Shop) -> Any:
    import fastapi
    from fastapi.responses import StreamingResponse
    from fastapi.security import HTTPBearer

    app = fastapi.FastAPI()
    router = fastapi.APIRouter()
    bearer = HTTPBearer(auto_error=False)

    @router.api_route("/orders/{id}", methods=["GET", "HEAD"])
    def order(id: int, token: Any = fastapi.Depends(bearer)) -> Any:  # noqa: B008
        return shop.order(id)

    @router.get("/fail")
    async def fail() -> Any:
        shop.fail()

    @router.get("/stream")
    async def stream() -> Any:
        return StreamingResponse(drops(shop), media_type="text/plain")

    @router.post("/echo")
    async def echo(body: dict[str, str]) -> Any:
        return body

    app.include_router(router)
    return app


def litestar(shop: Shop) -> Any:
    import litestar
    from litestar.response import Stream

    @litestar.route("/orders/{id:int}", http_method=["GET", "HEAD"], sync_to_thread=False)
    def order(id: int) -> Any:
        return shop.order(id)

    @litestar.get("/fail", sync_to_thread=True)
    def fail() -> None:
        shop.fail()

    @litestar.get("/stream")
    async def stream() -> Any:
        return Stream(drops(shop), media_type="text/plain")

    @litestar.post("/echo")
    async def echo(data: dict[str, str]) -> dict[str, str]:
        return data

    return litestar.Litestar([order, fail, stream, echo], openapi_config=None)


def quart(shop: Shop) -> Any:
    import quart

    app = quart.Quart("app")

    @app.get("/orders/<int:id>")
    async def order(id: int) -> Any:
        return shop.order(id)

    @app.get("/fail")
    def fail() -> Any:
        shop.fail()

    @app.get("/stream")
    async def stream() -> Any:
        return drops(shop), {"Content-Type": "text/plain"}

    @app.post("/echo")
    async def echo() -> Any:
        return await quart.request.get_json()

    return app


def falcon(shop: Shop) -> Any:
    import falcon.asgi

    class Order:
        async def on_get(self, request: Any, response: Any, id: int) -> None:
            response.media = shop.order(id)

        on_head = on_get

    class Fail:
        async def on_get(self, request: Any, response: Any) -> None:
            shop.fail()

    class Stream:
        async def on_get(self, request: Any, response: Any) -> None:
            response.stream = drops(shop)

    class Echo:
        async def on_post(self, request: Any, response: Any) -> None:
            response.media = await request.get_media()

    app = falcon.asgi.App()
    app.add_route("/orders/{id:int}", Order())
    app.add_route("/fail", Fail())
    app.add_route("/stream", Stream())
    app.add_route("/echo", Echo())
    return app


def aiohttp_web(shop: Shop) -> Any:
    from aiohttp import web

    routes = web.RouteTableDef()

    @routes.get("/orders/{id}")
    async def order(request: web.Request) -> web.Response:
        return web.json_response(shop.order(int(request.match_info["id"])))

    @routes.get("/fail")
    async def fail(request: web.Request) -> web.Response:
        shop.fail()
        return web.Response()

    @routes.get("/stream")
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        async for piece in drops(shop):
            await response.write(piece)
        return response

    @routes.post("/echo")
    async def echo(request: web.Request) -> web.Response:
        return web.json_response(await request.json())

    app = web.Application()
    app.add_routes(routes)
    return app


def in_aiohttp(app: Any) -> LoopThread:
    from aiohttp import web

    async def begin() -> Any:
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner.addresses[0][1], runner.cleanup

    return LoopThread(begin)


def tornado(shop: Shop) -> Any:
    import tornado.web

    class Order(tornado.web.RequestHandler):
        async def get(self, id: str) -> None:
            self.write(shop.order(int(id)))

        head = get

    class Fail(tornado.web.RequestHandler):
        def get(self) -> None:
            shop.fail()

    class Stream(tornado.web.RequestHandler):
        async def get(self) -> None:
            async for piece in drops(shop):
                self.write(piece)
                await self.flush()

    class Echo(tornado.web.RequestHandler):
        def post(self) -> None:
            self.write(self.request.body)

    return tornado.web.Application([("/orders/([0-9]+)", Order), ("/fail", Fail), ("/stream", Stream), ("/echo", Echo)])


def in_tornado(app: Any) -> LoopThread:
    import tornado.httpserver
    from tornado.netutil import bind_sockets

    async def begin() -> Any:
        server = tornado.httpserver.HTTPServer(app)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)

        async def end() -> None:
            server.stop()
            await server.close_all_connections()

        return sockets[0].getsockname()[1], end

    return LoopThread(begin)


def sanic(shop: Shop) -> Any:
    import sanic
    import sanic.response
    from sanic.application.constants import Mode

    sanic.Sanic._app_registry.clear()
    sanic.Sanic.test_mode = True
    app: Any = sanic.Sanic("shop", configure_logging=False)
    app.config.FALLBACK_ERROR_FORMAT = "text"
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0.1
    app.state.mode = Mode.PRODUCTION

    async def order(request: Any, id: int) -> Any:
        return sanic.response.json(shop.order(id))

    async def fail(request: Any) -> Any:
        shop.fail()

    async def stream(request: Any) -> None:
        response = await request.respond(content_type="text/plain")
        async for piece in drops(shop):
            await response.send(piece)
        await response.eof()

    async def echo(request: Any) -> Any:
        return sanic.response.json(request.json)

    app.add_route(order, "/orders/<id:int>", methods=["GET", "HEAD"])
    app.add_route(fail, "/fail")
    app.add_route(stream, "/stream")
    app.add_route(echo, "/echo", methods=["POST"])
    return app


def in_sanic(app: Any) -> LoopThread:
    async def begin() -> Any:
        listening = socket.create_server(("127.0.0.1", 0))
        server = await app.create_server(sock=listening, return_asyncio_server=True)
        await server.startup()
        await server.start_serving()

        async def end() -> None:
            server.close()
            await server.wait_closed()
            for connection in list(server.connections):
                connection.abort()

        return listening.getsockname()[1], end

    return LoopThread(begin)


APPS = [
    App("asgi", on(in_uvicorn, bare), ("uvicorn.py",), ("_asgi.py", "_scope.py")),
    App("starlette", on(in_uvicorn, starlette), ("starlette.py",)),
    App("fastapi", on(in_uvicorn, fastapi), ("fastapi.py",)),
    App("litestar", on(in_uvicorn, litestar), ("litestar.py",)),
    App("quart", on(in_uvicorn, quart), ("quart.py",)),
    App("falcon.asgi", on(in_uvicorn, falcon), ("falcon.py",)),
    App("aiohttp.web", on(in_aiohttp, aiohttp_web), ("aiohttp.py", "_aiohttp_web.py"), ("_served.py",)),
    App("tornado", on(in_tornado, tornado), ("tornado.py",)),
    App("sanic", on(in_sanic, sanic), ("sanic.py",)),
]
