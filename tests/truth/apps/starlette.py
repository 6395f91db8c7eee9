"""Starlette on uvicorn, in asyncio's own loop and h11."""

from __future__ import annotations

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.truth.apps.styles import Async, Sync

sync, later = Sync(), Async()


def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse(sync.plain(request.path_params["marker"]))


async def plain_async(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await later.plain(request.path_params["marker"]))


async def pool(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await later.pool(request.path_params["marker"]))


async def gather(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await later.gather(request.path_params["marker"]))


async def thread(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await later.thread(request.path_params["marker"]))


async def after(request: Request) -> PlainTextResponse:
    return PlainTextResponse("", background=BackgroundTask(await later.after(request.path_params["marker"])))


async def stream(request: Request) -> StreamingResponse:
    return StreamingResponse(await later.stream(request.path_params["marker"]))


def stream_sync(request: Request) -> StreamingResponse:
    return StreamingResponse(sync.stream(request.path_params["marker"]))


async def error(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await later.error(request.path_params["marker"]))


async def leave(request: Request) -> StreamingResponse:
    return StreamingResponse(later.leave(request.path_params["marker"]))


async def cut(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await later.cut(request.path_params["marker"]))


async def socket(connection: WebSocket) -> None:
    await connection.accept()
    async for text in connection.iter_text():
        await connection.send_text(await later.message(connection.path_params["marker"], text))


app = Starlette(
    routes=[
        Route("/sync/{marker}", plain),
        Route("/async/{marker}", plain_async),
        Route("/pool/{marker}", pool),
        Route("/gather/{marker}", gather),
        Route("/thread/{marker}", thread),
        Route("/after/{marker}", after),
        Route("/stream/{marker}", stream),
        Route("/stream_sync/{marker}", stream_sync),
        Route("/error/{marker}", error),
        Route("/leave/{marker}", leave),
        Route("/cut/{marker}", cut),
        WebSocketRoute("/socket/{marker}", socket),
    ]
)


def serve(port: int) -> None:
    uvicorn.run(app, port=port, log_level="warning", loop="asyncio", http="h11")
