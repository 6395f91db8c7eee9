"""How a handler may do its work: the body of each style, which every framework's app puts behind a route of that name.

The parts of one request have letters. All are made before the answer, so that the book knows of those that come after it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from string import ascii_lowercase

from tests.truth.apps.async_work import AsyncWork, Brief
from tests.truth.apps.book import Broken
from tests.truth.apps.sync_work import Work

NAMES = [a + b for a in ascii_lowercase[:10] for b in "ab"]
PIECE = 4096
PAUSE_S = 0.01


class Sync:
    """The styles of sync code. An app may have work of its own to do: `Sync(MyWork)`."""

    def __init__(self, work: type[Work] = Work) -> None:
        self.work = work

    def plain(self, marker: str) -> str:
        self.work(marker, "a").all()
        return marker

    def pool(self, marker: str) -> str:
        first, *others = (self.work(marker, name) for name in "abc")
        with ThreadPoolExecutor(2) as pool:
            handed = [pool.submit(part.some) for part in others]
            first.some()
            for future in handed:
                future.result()
        return marker

    def thread(self, marker: str) -> str:
        """One thread that is waited for, and one that goes on beyond the answer."""
        first, joined, loose = (self.work(marker, name) for name in "abc")
        thread = threading.Thread(target=joined.some)
        thread.start()
        threading.Thread(target=loose.some).start()
        first.some()
        thread.join()
        return marker

    def error(self, marker: str) -> str:
        self.work(marker, "a").some()
        raise Broken(f"{marker}_a_error_1")

    def cut(self, marker: str) -> str:
        self.work(marker, "a").cut()
        return marker

    def stream(self, marker: str) -> Iterator[bytes]:
        """The body; the first part is done before it starts."""
        first, *others = (self.work(marker, name) for name in "abc")
        first.some()

        def body() -> Iterator[bytes]:
            for part in others:
                part.some()
                yield f"{marker} ".encode()

        return body()

    def leave(self, marker: str) -> Iterator[bytes]:
        """A body that goes on until the client has left, as the client will."""
        for name in NAMES:
            self.work(marker, name).little()
            yield b"x" * PIECE
            time.sleep(PAUSE_S)

    def after(self, marker: str) -> Callable[[], None]:
        """What is left to be done once the answer is out."""
        first, later = (self.work(marker, name) for name in "ab")
        first.some()
        return later.some


class Async:
    """The styles of async code."""

    def __init__(self, work: type[AsyncWork] = AsyncWork, sync: type[Work] = Work) -> None:
        self.work = work
        self.sync = sync

    async def plain(self, marker: str) -> str:
        await self.work(marker, "a").all()
        return marker

    async def gather(self, marker: str) -> str:
        await together([self.work(marker, name) for name in "abc"])
        return marker

    async def pool(self, marker: str) -> str:
        """Threads: of `to_thread`, of the loop's own executor, of one of ours."""
        parts = [self.sync(marker, name) for name in "abc"]
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            await asyncio.gather(
                asyncio.to_thread(parts[0].some),
                loop.run_in_executor(None, parts[1].some),
                loop.run_in_executor(pool, parts[2].some),
            )
        return marker

    async def thread(self, marker: str) -> str:
        first = self.work(marker, "a")
        joined, loose = (self.sync(marker, name) for name in "bc")
        thread = threading.Thread(target=joined.some)
        thread.start()
        threading.Thread(target=loose.some).start()
        await first.some()
        await asyncio.to_thread(thread.join)
        return marker

    async def error(self, marker: str) -> str:
        await self.work(marker, "a").some()
        raise Broken(f"{marker}_a_error_1")

    async def cut(self, marker: str) -> str:
        await self.work(marker, "a").cut()
        return marker

    async def stream(self, marker: str) -> AsyncIterator[bytes]:
        first, *others = (self.work(marker, name) for name in "abc")
        await first.some()

        async def body() -> AsyncIterator[bytes]:
            for part in others:
                await part.some()
                yield f"{marker} ".encode()

        return body()

    async def leave(self, marker: str) -> AsyncIterator[bytes]:
        for name in NAMES:
            await self.work(marker, name).little()
            yield b"x" * PIECE
            await asyncio.sleep(PAUSE_S)

    async def after(self, marker: str) -> Callable[[], Awaitable[None]]:
        first, later = (self.work(marker, name) for name in "ab")
        await first.some()
        return later.some

    async def message(self, marker: str, text: str) -> str:
        """The answer to one message of a WebSocket; the client sends `a` and `b`."""
        await self.work(marker, text).some()
        return text


class Once:
    """Async styles for a loop that is made for one request (an async view of a sync server)."""

    async def plain(self, marker: str) -> str:
        tools = Brief()
        try:
            await AsyncWork(marker, "a", tools).all()
        finally:
            await tools.close()
        return marker

    async def gather(self, marker: str) -> str:
        tools = Brief()
        try:
            await together([AsyncWork(marker, name, tools) for name in "abc"])
        finally:
            await tools.close()
        return marker


async def together(parts: list[AsyncWork]) -> None:
    """All at once, in both ways of saying so."""
    held = asyncio.create_task(parts[-1].some())
    await asyncio.gather(*[part.some() for part in parts[:-1]])
    await held
