"""A small HTTP server in a thread, which keeps what it was sent: the stub that the apps call, and the ingest that gets the events."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any, NamedTuple

Json = dict[str, Any]

SLOW_S = 60


class Seen(NamedTuple):
    """One request, as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Witness:
    """Listens on a free port of 127.0.0.1. Every request gets `status`, and a small JSON body unless that is 204.

    `/slow/…` is not answered before anybody has lost patience; `/hop/…` leads to the path without it.
    """

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.log: list[Seen] = []
        self.last = time.monotonic()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        open_now: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            open_now.add(task)
            try:
                await self._answer(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                open_now.discard(task)
                writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b"" if self.status == 204 else b"{}"
        head = f"HTTP/1.1 {self.status} Fine\r\n" + (
            "" if self.status == 204 else "Content-Type: application/json\r\nContent-Length: 2\r\n"
        )
        answer = head.encode() + b"\r\n" + body
        while True:
            raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = raw.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            method, path, _ = first.split(" ")
            got = await reader.readexactly(int(headers.get("content-length", 0)))
            # Logged before it is answered: who has the answer finds it in the log.
            self.log.append(Seen(method, path, headers, got))
            self.last = time.monotonic()
            if path.startswith("/slow/"):
                await asyncio.sleep(SLOW_S)
            if path.startswith("/hop/"):
                writer.write(f"HTTP/1.1 302 There\r\nLocation: {path[4:]}\r\nContent-Length: 0\r\n\r\n".encode())
            else:
                writer.write(answer)
            await writer.drain()
            if headers.get("connection", "").lower() == "close":
                return


class Ingest(Witness):
    """Takes batches of events and answers 204."""

    def __init__(self) -> None:
        super().__init__(204)

    def payloads(self) -> list[Json]:
        return [json.loads(seen.body) for seen in list(self.log) if seen.method == "POST"]

    def events(self) -> list[Json]:
        return [event for payload in self.payloads() for event in payload["events"]]

    def dropped(self) -> dict[str, int]:
        """What the sender says it has dropped."""
        total: dict[str, int] = {}
        for payload in self.payloads():
            for reason, number in payload.get("dropped", {}).items():
                total[reason] = total.get(reason, 0) + number
        return total
