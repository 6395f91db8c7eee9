"""Quart on Hypercorn."""

from __future__ import annotations

import asyncio

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from quart import Quart, Response, websocket

from tests.truth.apps.styles import Async, Sync

app = Quart(__name__)
sync, later = Sync(), Async()


@app.get("/sync/<marker>")
def plain(marker: str) -> str:
    return sync.plain(marker)


@app.get("/async/<marker>")
async def plain_async(marker: str) -> str:
    return await later.plain(marker)


@app.get("/pool/<marker>")
async def pool(marker: str) -> str:
    return await later.pool(marker)


@app.get("/gather/<marker>")
async def gather(marker: str) -> str:
    return await later.gather(marker)


@app.get("/thread/<marker>")
async def thread(marker: str) -> str:
    return await later.thread(marker)


@app.get("/after/<marker>")
async def after(marker: str) -> str:
    app.add_background_task(await later.after(marker))
    return marker


@app.get("/stream/<marker>")
async def stream(marker: str) -> Response:
    return Response(await later.stream(marker))


@app.get("/leave/<marker>")
async def leave(marker: str) -> Response:
    return Response(later.leave(marker))


@app.get("/error/<marker>")
async def error(marker: str) -> str:
    return await later.error(marker)


@app.websocket("/socket/<marker>")
async def socket(marker: str) -> None:
    while True:
        await websocket.send(await later.message(marker, str(await websocket.receive())))


def serve(port: int) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "WARNING"
    asyncio.run(hypercorn_serve(app, config))
