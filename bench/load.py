"""Load over raw loopback connections: as many requests as they take, one at a time each, for a while."""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bench.processes import Process


@dataclass
class Result:
    """What came of it: requests per second, latencies in milliseconds, the app's CPU, and what was answered."""

    seconds: float = 0.0
    cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)
    failures: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    """What answers began with that were no success, and their bodies: how often each came."""

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    @property
    def cpu_each(self) -> float:
        """Microseconds of the app's CPU per request."""
        return self.cpu / len(self.latencies) * 1e6 if self.latencies else 0.0

    @property
    def share(self) -> float:
        """Of its core, what the app has had: a saturated one that has much less than 1 was disturbed by other processes."""
        return self.cpu / self.seconds if self.seconds else 0.0

    def percentile(self, fraction: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] if ordered else 0.0

    def add(self, other: Result) -> None:
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.latencies += other.latencies
        self.answered += other.answered
        self.failures += other.failures
        self.refusals += other.refusals


class Connection(asyncio.Protocol):
    """Sends requests; the next one when the answer to the last is whole."""

    def __init__(self, requests: Iterator[bytes], until: float, result: Result, done: asyncio.Future[None]) -> None:
        self.requests = requests
        self.until = until
        self.result = result
        self.done = done
        self.request = b""
        self.ended = False
        self.started = 0.0
        self.data = b""
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        assert self.transport is not None
        self.request = next(self.requests, b"")
        self.started = time.perf_counter()
        if not self.request:
            self.ended = True
            self._finish()
            return
        self.transport.write(self.request)

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
        if head.startswith((b"http/1.1 2", b"http/1.0 2")):
            self.result.answered.append(self.request)
        else:
            self.result.failures += 1
            self.result.refusals[
                f"{self.data.splitlines()[0].decode()} {self.data[end + 4 :][:200].decode(errors='replace')}"
            ] += 1
        self.result.latencies.append((now - self.started) * 1000)
        self.data = b""
        if now < self.until:
            self._send()
        else:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _finish(self) -> None:
        assert self.transport is not None
        self.transport.close()


def _same(connection: Connection) -> Connection:
    return connection


async def _connect(port: int, requests: Iterator[bytes], until: float, result: Result, again: bool) -> None:
    loop = asyncio.get_running_loop()
    while True:
        done: asyncio.Future[None] = loop.create_future()
        connection = Connection(requests, until, result, done)
        try:
            await loop.create_connection(functools.partial(_same, connection), "127.0.0.1", port)
            await done
        except ConnectionError:
            await asyncio.sleep(0.02)
        if connection.ended or not again or time.perf_counter() >= until:
            return


async def _drive(port: int, requests: Iterator[bytes], seconds: float, connections: int, again: bool) -> Result:
    result = Result()
    started = time.perf_counter()
    tasks = [asyncio.ensure_future(_connect(port, requests, started + seconds, result, again)) for _ in range(connections)]
    _, late = await asyncio.wait(tasks, timeout=seconds + 30)
    for task in late:
        task.cancel()
    result.seconds = time.perf_counter() - started
    return result


def drive(port: int, requests: Iterable[bytes], seconds: float = 2.0, connections: int = 16, again: bool = False) -> Result:
    """Send `requests`, a list over and over, for `seconds`; connections that are lost are opened `again` if so wished."""
    source = itertools.cycle(requests) if isinstance(requests, list) else iter(requests)
    return asyncio.run(_drive(port, source, seconds, connections, again))


SLICES = 4


def side_by_side(apps: dict[str, Process], requests: list[bytes], seconds: float) -> dict[str, Result]:
    """Load on each of several apps in turns of a part of `seconds`: what else the machine does meets all of them."""
    results = {name: Result() for name in apps}
    for app in apps.values():
        drive(app.port, requests, 0.3)
        app.quiet()
    for turn in range(SLICES):
        names = list(apps) if turn % 2 == 0 else list(reversed(apps))
        for name in names:
            before = apps[name].cpu()
            result = drive(apps[name].port, requests, seconds / SLICES)
            apps[name].quiet()
            result.cpu = apps[name].cpu() - before
            results[name].add(result)
    return results


def get(path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
        "Accept: application/json, text/plain, */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"
        "Referer: http://127.0.0.1/items?page=2\r\nCookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark\r\n\r\n"
    ).encode()


def post(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
