"""Tornado on its own server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from tornado.ioloop import IOLoop
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from tests.truth.apps.styles import Async, Sync

sync, later = Sync(), Async()


class Plain(RequestHandler):
    def get(self, marker: str) -> None:
        self.write(sync.plain(marker))


def handler(work: Callable[[str], Awaitable[str]]) -> type[RequestHandler]:
    class Handler(RequestHandler):
        async def get(self, marker: str) -> None:
            self.write(await work(marker))

    return Handler


class After(RequestHandler):
    async def get(self, marker: str) -> None:
        self.work = await later.after(marker)
        self.write(marker)

    def on_finish(self) -> None:
        IOLoop.current().spawn_callback(self.work)


class Stream(RequestHandler):
    async def get(self, marker: str) -> None:
        async for piece in await later.stream(marker):
            self.write(piece)
            await self.flush()


class Leave(RequestHandler):
    async def get(self, marker: str) -> None:
        with contextlib.suppress(StreamClosedError):
            async for piece in later.leave(marker):
                self.write(piece)
                await self.flush()


class Socket(WebSocketHandler):
    def open(self, marker: str) -> None:
        self.marker = marker

    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(await later.message(self.marker, str(message)))


def serve(port: int) -> None:
    async def run() -> None:
        Application(
            [
                ("/sync/(.*)", Plain),
                ("/async/(.*)", handler(later.plain)),
                ("/pool/(.*)", handler(later.pool)),
                ("/gather/(.*)", handler(later.gather)),
                ("/thread/(.*)", handler(later.thread)),
                ("/error/(.*)", handler(later.error)),
                ("/cut/(.*)", handler(later.cut)),
                ("/after/(.*)", After),
                ("/leave/(.*)", Leave),
                ("/stream/(.*)", Stream),
                ("/socket/(.*)", Socket),
            ]
        ).listen(port, "127.0.0.1")
        await asyncio.Event().wait()

    asyncio.run(run())
