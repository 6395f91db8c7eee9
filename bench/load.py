"""Load over raw loopback connections: as many requests as they take, one at a time each, for a while."""

from __future__ import annotations

import asyncio
import functools
import time
from dataclasses import dataclass, field


@dataclass
class Result:
    """What came of it: requests per second, and latencies in milliseconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, fraction: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] if ordered else 0.0


class Connection(asyncio.Protocol):
    """Sends the same requests over and over; the next one when the answer to the last is whole."""

    def __init__(self, requests: list[bytes], until: float, result: Result, done: asyncio.Future[None]) -> None:
        self.requests = requests
        self.until = until
        self.result = result
        self.done = done
        self.sent = 0
        self.started = 0.0
        self.data = b""
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        assert self.transport is not None
        self.started = time.perf_counter()
        self.transport.write(self.requests[self.sent % len(self.requests)])
        self.sent += 1

    def data_received(self, data: bytes) -> None:
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.data[:end].lower()
        start = head.find(b"content-length:")
        length = int(head[start + 15 : head.find(b"\r", start) if head.find(b"\r", start) > 0 else None]) if start >= 0 else 0
        if len(self.data) < end + 4 + length:
            return
        now = time.perf_counter()
        if not head.startswith((b"http/1.1 2", b"http/1.0 2")):
            self.result.failures += 1
        self.result.latencies.append((now - self.started) * 1000)
        self.data = b""
        if now < self.until:
            self._send()
        else:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _same(connection: Connection) -> Connection:
    return connection


async def _drive(port: int, requests: list[bytes], seconds: float, connections: int) -> Result:
    loop = asyncio.get_running_loop()
    result = Result()
    started = time.perf_counter()
    finished = []
    for index in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        own = requests[index % len(requests) :] + requests[: index % len(requests)]
        connection = Connection(own, started + seconds, result, done)
        await loop.create_connection(functools.partial(_same, connection), "127.0.0.1", port)
        finished.append(done)
    await asyncio.wait(finished, timeout=seconds + 30)
    result.seconds = time.perf_counter() - started
    return result


def drive(port: int, requests: list[bytes], seconds: float = 2.0, connections: int = 16) -> Result:
    """Send `requests` in turn over `connections` connections for `seconds`."""
    return asyncio.run(_drive(port, requests, seconds, connections))


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
