"""Litestar on uvicorn."""

from __future__ import annotations

from typing import Any

import uvicorn
from litestar import Litestar, Response, WebSocket, get, websocket
from litestar.background_tasks import BackgroundTask
from litestar.response import Stream

from tests.truth.apps.styles import Async, Sync

sync, later = Sync(), Async()


@get("/sync/{marker:str}", sync_to_thread=True)
def plain(marker: str) -> str:
    return sync.plain(marker)


@get("/async/{marker:str}")
async def plain_async(marker: str) -> str:
    return await later.plain(marker)


@get("/pool/{marker:str}")
async def pool(marker: str) -> str:
    return await later.pool(marker)


@get("/gather/{marker:str}")
async def gather(marker: str) -> str:
    return await later.gather(marker)


@get("/thread/{marker:str}")
async def thread(marker: str) -> str:
    return await later.thread(marker)


@get("/after/{marker:str}")
async def after(marker: str) -> Response[str]:
    return Response(marker, background=BackgroundTask(await later.after(marker)))


@get("/stream/{marker:str}")
async def stream(marker: str) -> Stream:
    return Stream(await later.stream(marker))


@get("/error/{marker:str}")
async def error(marker: str) -> str:
    return await later.error(marker)


@websocket("/socket/{marker:str}")
async def socket(socket: WebSocket[Any, Any, Any], marker: str) -> None:
    await socket.accept()
    async for text in socket.iter_data("text"):
        await socket.send_text(await later.message(marker, text))


app = Litestar(route_handlers=[plain, plain_async, pool, gather, thread, after, stream, error, socket], openapi_config=None)


def serve(port: int) -> None:
    uvicorn.run(app, port=port, log_level="warning")
