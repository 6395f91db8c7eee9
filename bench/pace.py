"""Load at a rate that does not depend on the answers: a request that has to wait for others counts its wait."""

from __future__ import annotations

import asyncio
import time

from bench.load import Result


class _Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.WriteTransport | None = None
        self.answered: asyncio.Future[bytes] | None = None
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.data.endswith(b"\r\n\r\n") and self.answered is not None:
            line = self.data.splitlines()[0]
            self.data = b""
            self.answered.set_result(line)

    async def send(self, request: bytes) -> bytes:
        assert self.transport is not None
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answered


async def _paced(port: int, requests: list[bytes], rate: float, seconds: float, connections: int) -> Result:
    loop = asyncio.get_running_loop()
    lines = [(await loop.create_connection(_Line, "127.0.0.1", port))[1] for _ in range(connections)]
    free = asyncio.LifoQueue[_Line]()
    for line in lines:
        free.put_nowait(line)
    result = Result()
    tasks = set()

    async def one(request: bytes, due: float) -> None:
        line = await free.get()
        answer = await line.send(request)
        result.latencies.append((time.perf_counter() - due) * 1000)
        if not answer.startswith(b"HTTP/1.1 204"):
            result.failures += 1
            result.refusals[answer.decode()] += 1
        free.put_nowait(line)

    begun = time.perf_counter()
    for index in range(int(rate * seconds)):
        due = begun + index / rate
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        task = loop.create_task(one(requests[index % len(requests)], due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks, timeout=30)
    result.seconds = time.perf_counter() - begun
    for line in lines:
        if line.transport is not None:
            line.transport.close()
    return result


def paced(port: int, requests: list[bytes], rate: float, seconds: float, connections: int = 8) -> Result:
    """`rate` requests a second for `seconds`, answered with 204 and no body. Latencies count from when each was due."""
    return asyncio.run(_paced(port, requests, rate, seconds, connections))
