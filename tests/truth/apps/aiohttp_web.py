"""aiohttp's own server."""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web

from tests.truth.apps.styles import Async

later = Async()
routes = web.RouteTableDef()
going_on: set[asyncio.Future[None]] = set()


@routes.get("/async/{marker}")
async def plain_async(request: web.Request) -> web.Response:
    return web.Response(text=await later.plain(request.match_info["marker"]))


@routes.get("/pool/{marker}")
async def pool(request: web.Request) -> web.Response:
    return web.Response(text=await later.pool(request.match_info["marker"]))


@routes.get("/gather/{marker}")
async def gather(request: web.Request) -> web.Response:
    return web.Response(text=await later.gather(request.match_info["marker"]))


@routes.get("/thread/{marker}")
async def thread(request: web.Request) -> web.Response:
    return web.Response(text=await later.thread(request.match_info["marker"]))


@routes.get("/after/{marker}")
async def after(request: web.Request) -> web.Response:
    task = asyncio.ensure_future((await later.after(request.match_info["marker"]))())
    going_on.add(task)
    task.add_done_callback(going_on.discard)
    return web.Response()


@routes.get("/stream/{marker}")
async def stream(request: web.Request) -> web.StreamResponse:
    body = await later.stream(request.match_info["marker"])
    response = web.StreamResponse()
    await response.prepare(request)
    async for piece in body:
        await response.write(piece)
    await response.write_eof()
    return response


@routes.get("/leave/{marker}")
async def leave(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    async for piece in later.leave(request.match_info["marker"]):
        await response.write(piece)
    return response


@routes.get("/error/{marker}")
async def error(request: web.Request) -> web.Response:
    return web.Response(text=await later.error(request.match_info["marker"]))


@routes.get("/cut/{marker}")
async def cut(request: web.Request) -> web.Response:
    return web.Response(text=await later.cut(request.match_info["marker"]))


@routes.get("/socket/{marker}")
async def socket(request: web.Request) -> web.WebSocketResponse:
    connection = web.WebSocketResponse()
    await connection.prepare(request)
    async for message in connection:
        if message.type == WSMsgType.TEXT:
            await connection.send_str(await later.message(request.match_info["marker"], message.data))
    return connection


def serve(port: int) -> None:
    app = web.Application()
    app.add_routes(routes)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)
