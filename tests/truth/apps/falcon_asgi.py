"""Falcon's ASGI app on uvicorn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import uvicorn
from falcon.asgi import App, Request, Response, WebSocket
from falcon.errors import WebSocketDisconnected

from tests.truth.apps.styles import Async

later = Async()


class Answer:
    def __init__(self, work: Callable[[str], Awaitable[str]]) -> None:
        self.work = work

    async def on_get(self, request: Request, response: Response, marker: str) -> None:
        response.text = await self.work(marker)


class After:
    async def on_get(self, request: Request, response: Response, marker: str) -> None:
        response.schedule(await later.after(marker))


class Stream:
    async def on_get(self, request: Request, response: Response, marker: str) -> None:
        response.stream = await later.stream(marker)


class Socket:
    async def on_websocket(self, request: Request, connection: WebSocket, marker: str) -> None:
        await connection.accept()
        while True:
            try:
                await connection.send_text(await later.message(marker, await connection.receive_text()))
            except WebSocketDisconnected:
                return


def serve(port: int) -> None:
    app = App()
    styles = {"async": later.plain, "pool": later.pool, "gather": later.gather, "thread": later.thread, "error": later.error}
    for style, work in styles.items():
        app.add_route(f"/{style}/{{marker}}", Answer(work))
    for style, resource in {"after": After(), "stream": Stream(), "socket": Socket()}.items():
        app.add_route(f"/{style}/{{marker}}", resource)
    uvicorn.run(app, port=port, log_level="warning")
