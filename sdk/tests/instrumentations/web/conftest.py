"""What the tests of the web frameworks share."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Json = dict[str, Any]

pytest.register_assert_rewrite("sdk.tests.instrumentations.web.contract")


@pytest.fixture
def until(events: Callable[..., list[Json]]) -> Callable[..., list[Json]]:
    """`until(3)`: what was recorded since the last call, waited for until there are three requests in it, and no more."""

    def until(requests: int, only: str | None = None) -> list[Json]:
        found: list[Json] = []
        deadline = time.monotonic() + 10
        while True:
            found += events()
            count = sum(event["type"] == "request" for event in found)
            if count >= requests or time.monotonic() > deadline:
                time.sleep(0.01)
                found += events()
                assert sum(event["type"] == "request" for event in found) == requests, found
                return [event for event in found if only in (None, event["type"])]
            time.sleep(0.005)

    return until


@pytest.fixture
def in_loop() -> Iterator[Callable[[Any], str]]:
    """`in_loop(begin)`: a server in a loop of its own, in a thread. `begin` is a coroutine function that returns the server's address
    and what ends it."""
    running: list[tuple[asyncio.AbstractEventLoop, threading.Thread, Callable[[], Awaitable[None]]]] = []

    def start(begin: Any) -> str:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        address, end = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
        running.append((loop, thread, end))
        return str(address)

    async def finish(end: Callable[[], Awaitable[None]]) -> None:
        await end()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    yield start
    for loop, thread, end in running:
        asyncio.run_coroutine_threadsafe(finish(end), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        assert not thread.is_alive()
        loop.close()
