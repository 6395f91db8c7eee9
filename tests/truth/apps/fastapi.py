"""FastAPI on uvicorn, in uvloop and httptools; one of its routes has a dependency that works before and after the handler."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from tests.truth.apps.async_work import AsyncWork
from tests.truth.apps.styles import Async, Sync

app = FastAPI()
sync, later = Sync(), Async()


async def through(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """The kind of middleware that runs the app in a task of its own."""
    return await call_next(request)


app.add_middleware(BaseHTTPMiddleware, dispatch=through)


async def around(marker: str) -> AsyncIterator[str]:
    before, behind = AsyncWork(marker, "y"), AsyncWork(marker, "z")
    await before.some()
    yield marker
    await behind.some()


@app.get("/sync/{marker}")
def plain(marker: str) -> str:
    return sync.plain(marker)


@app.get("/async/{marker}")
async def plain_async(marker: Annotated[str, Depends(around)]) -> str:
    return await later.plain(marker)


@app.get("/pool/{marker}")
async def pool(marker: str) -> str:
    return await later.pool(marker)


@app.get("/gather/{marker}")
async def gather(marker: str) -> str:
    return await later.gather(marker)


@app.get("/thread/{marker}")
async def thread(marker: str) -> str:
    return await later.thread(marker)


@app.get("/after/{marker}")
def after(marker: str, tasks: BackgroundTasks) -> str:
    tasks.add_task(sync.after(marker))
    return marker


@app.get("/after_async/{marker}")
async def after_async(marker: str, tasks: BackgroundTasks) -> str:
    tasks.add_task(await later.after(marker))
    return marker


@app.get("/stream/{marker}")
async def stream(marker: str) -> StreamingResponse:
    return StreamingResponse(await later.stream(marker))


@app.get("/leave/{marker}")
async def leave(marker: str) -> StreamingResponse:
    return StreamingResponse(later.leave(marker))


@app.get("/error/{marker}")
def error(marker: str) -> str:
    return sync.error(marker)


@app.get("/error_async/{marker}")
async def error_async(marker: str) -> str:
    return await later.error(marker)


@app.websocket("/socket/{marker}")
async def socket(connection: WebSocket, marker: str) -> None:
    await connection.accept()
    async for text in connection.iter_text():
        await connection.send_text(await later.message(marker, text))


def serve(port: int) -> None:
    uvicorn.run(app, port=port, log_level="warning", loop="uvloop", http="httptools")
