"""What the apps stand on: a request around some work, servers in threads, an HTTP client that brakit does not see, the stub."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import brakit
from tests.faults.observing import See, ours

ROOT = Path(__file__).resolve().parent.parent.parent
CHANGING = re.compile(rb"(?im)^(date|server|x-request-id|set-cookie|content-location): .*\r\n")
log = logging.getLogger("shop")


class Stub:
    """A process that answers calls: HTTP, and as much of MongoDB's protocol as is needed. It counts what it is asked."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.faults.stub"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port, self.mongo = map(int, self.process.stdout.readline().split())
        self.url = f"http://127.0.0.1:{self.port}"

    def asked(self, see: See) -> None:
        """Tell how often the stub was asked for what since the last time."""
        for line in ask(self.port, "GET", "/__asked").partition(b"\r\n\r\n")[2].decode().splitlines():
            path, _, times = line.rpartition(" ")
            see.did(path, int(times))


def ask(port: int, method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """One request, as bytes; the answer to its end."""
    head = f"{method} {path} HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return CHANGING.sub(b"", answer)


class InRequest:
    """`with`-less: `inside(see, work)` does a piece of work in a request that brakit records."""

    def __init__(self) -> None:
        self.work: Callable[[See], None] = lambda _: None
        self.see = See()
        self.app: Any = brakit.wsgi(self._app)

    def _app(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        before = ours()
        try:
            self.work(self.see)
        finally:
            self.see.same(before, ours())
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
        return [b"done"]

    def __call__(self, see: See, work: Callable[[See], None]) -> None:
        self.see, self.work = see, work
        environ = {
            "REQUEST_METHOD": "GET", "PATH_INFO": "/work", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "shop.test", "SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
        }  # fmt: skip
        answer = self.app(environ, lambda status, headers, exc_info=None: see(status, headers))
        see(list(answer))
        if hasattr(answer, "close"):
            answer.close()


class InLoop:
    """The same with a loop of its own: the work is a coroutine function."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.work: Callable[[See], Awaitable[None]] | None = None
        self.see = See()
        self.app: Any = brakit.asgi(self._app)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.work is not None
        before = ours()
        try:
            await self.work(self.see)
        finally:
            self.see.same(before, ours())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"done"})

    def __call__(self, see: See, work: Callable[[See], Awaitable[None]]) -> None:
        self.see, self.work = see, work
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": "/work", "raw_path": b"/work",
            "query_string": b"", "root_path": "", "scheme": "http", "headers": [],
            "client": ("10.0.0.1", 1), "server": ("shop.test", 80),
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            see(message)

        self.do(self.app(scope, receive, send))

    def do(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class LoopThread:
    """A server in a loop in a thread. `begin` is a coroutine function that returns its port and what ends it."""

    def __init__(self, begin: Callable[[], Awaitable[tuple[int, Callable[[], Awaitable[Any]]]]]) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.port, self.end = self.call(begin())
        self.idle = len(self.call(self._tasks()))

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def _tasks(self) -> set[Any]:
        return asyncio.all_tasks()

    def settle(self) -> None:
        """Wait until all that the last request has begun is over."""
        until = time.monotonic() + 2
        while len(self.call(self._tasks())) > self.idle and time.monotonic() < until:
            time.sleep(0.001)

    async def _finish(self) -> None:
        await self.end()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.loop.shutdown_default_executor()

    def close(self) -> None:
        self.call(self._finish())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


def in_uvicorn(app: Any) -> LoopThread:
    """An ASGI app in uvicorn."""
    import uvicorn

    async def begin() -> tuple[int, Callable[[], Awaitable[Any]]]:
        config = uvicorn.Config(app, port=0, log_level="critical", ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        task = asyncio.ensure_future(server.serve())
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.002)

        async def end() -> None:
            server.should_exit = True
            await task

        return server.servers[0].sockets[0].getsockname()[1], end

    return LoopThread(begin)


class InWaitress:
    """A WSGI app in waitress: one thread for its sockets, one for the app."""

    def __init__(self, app: Any) -> None:
        import waitress.server

        self.sockets: dict[int, Any] = {}
        made: Any = waitress.server.create_server(app, map=self.sockets, host="127.0.0.1", port=0, threads=1)
        self.server = made
        self.thread = threading.Thread(target=made.run)
        self.thread.start()
        self.port: int = made.effective_port

    def settle(self) -> None:
        return

    def close(self) -> None:
        import waitress.wasyncore

        self.server.trigger.pull_trigger(lambda: waitress.wasyncore.close_all(self.sockets))
        self.thread.join(10)
        self.server.task_dispatcher.shutdown()
