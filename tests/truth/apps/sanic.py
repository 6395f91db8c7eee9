"""Sanic on its own server, in one process."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sanic import Sanic
from sanic.response import text

from tests.truth.apps.styles import Async, Sync

app: Any = Sanic("truth", configure_logging=False)
app.config.ACCESS_LOG = False
sync, later = Sync(), Async()


@app.get("/sync/<marker:str>")
def plain(request: Any, marker: str) -> Any:
    return text(sync.plain(marker))


def put(path: str, work: Callable[[str], Awaitable[str]]) -> None:
    async def handler(request: Any, marker: str) -> Any:
        return text(await work(marker))

    app.add_route(handler, f"/{path}/<marker:str>", name=path)


put("async", later.plain)
put("pool", later.pool)
put("gather", later.gather)
put("thread", later.thread)
put("error", later.error)
put("cut", later.cut)


@app.get("/after/<marker:str>")
async def after(request: Any, marker: str) -> Any:
    app.add_task((await later.after(marker))())
    return text(marker)


@app.get("/stream/<marker:str>")
async def stream(request: Any, marker: str) -> None:
    body = await later.stream(marker)
    response = await request.respond(content_type="text/plain")
    async for piece in body:
        await response.send(piece)
    await response.eof()


@app.get("/leave/<marker:str>")
async def leave(request: Any, marker: str) -> None:
    response = await request.respond(content_type="text/plain")
    async for piece in later.leave(marker):
        await response.send(piece)


@app.websocket("/socket/<marker:str>")
async def socket(request: Any, connection: Any, marker: str) -> None:
    while (message := await connection.recv()) is not None:
        await connection.send(await later.message(marker, message))


def serve(port: int) -> None:
    app.run(host="127.0.0.1", port=port, single_process=True, access_log=False, motd=False)
