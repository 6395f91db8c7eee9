"""Whose work it is, in every style: twenty requests at a time hand work on, and each has what it caused and nothing else.

Through a real server: `test_owners_served.py`.

What nobody can tell belongs to nobody: no id is better than a wrong one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.to_thread
import asgiref.sync
import pytest
import starlette.concurrency

from brakit import context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Work = Callable[[], None]
    Way = Callable[[Work], Awaitable[object]]

REQUESTS = 20
log = logging.getLogger("tests.owners")
shared = concurrent.futures.ThreadPoolExecutor(4, "tests-owners")


async def later(work: Work) -> None:
    await asyncio.sleep(0.001)
    work()


# Each hands `work` on in its own style, and waits until it is done.


async def a_task(work: Work) -> None:
    await asyncio.create_task(later(work))


async def gathered(work: Work) -> None:
    await asyncio.gather(later(work), asyncio.sleep(0.001))


async def a_task_group(work: Work) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("asyncio.TaskGroup is new in Python 3.11")
    async with asyncio.TaskGroup() as group:
        group.create_task(later(work))


async def with_a_timeout(work: Work) -> None:
    await asyncio.wait_for(later(work), 10)


async def shielded(work: Work) -> None:
    await asyncio.shield(later(work))


async def to_thread(work: Work) -> None:
    await asyncio.to_thread(work)


async def in_the_default_executor(work: Work) -> None:
    await asyncio.get_running_loop().run_in_executor(None, work)


async def in_an_executor_of_its_own(work: Work) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        await asyncio.get_running_loop().run_in_executor(pool, work)


async def in_a_shared_executor(work: Work) -> None:
    await asyncio.wrap_future(shared.submit(work))


async def mapped_over_threads(work: Work) -> None:
    list(shared.map(lambda _: work(), [1]))


async def a_thread(work: Work) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    await asyncio.to_thread(thread.join)


async def a_thread_of_a_class_of_its_own(work: Work) -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            work()

    thread = Worker()
    thread.start()
    await asyncio.to_thread(thread.join)


async def a_timer(work: Work) -> None:
    timer = threading.Timer(0.001, work)
    timer.start()
    await asyncio.to_thread(timer.join)


async def a_thread_in_a_thread(work: Work) -> None:
    def outer() -> None:
        inner = threading.Thread(target=work)
        inner.start()
        inner.join()

    thread = threading.Thread(target=outer)
    thread.start()
    await asyncio.to_thread(thread.join)


async def called_soon(work: Work) -> None:
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.call_soon(work)
    loop.call_later(0.002, done.set)
    await done.wait()


async def called_later(work: Work) -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(0.001, work)
    await asyncio.sleep(0.005)


async def when_a_task_is_done(work: Work) -> None:
    task = asyncio.create_task(asyncio.sleep(0.001))
    task.add_done_callback(lambda _: work())
    await task
    await asyncio.sleep(0)


async def when_work_in_a_thread_is_done(work: Work) -> None:
    future = asyncio.get_running_loop().run_in_executor(None, int)
    future.add_done_callback(lambda _: work())
    await future
    await asyncio.sleep(0)


async def from_a_thread_back_into_the_loop(work: Work) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(later(work), loop).result(10))


async def soon_from_a_thread(work: Work) -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def both() -> None:
        work()
        done.set()

    await asyncio.to_thread(loop.call_soon_threadsafe, both)
    await done.wait()


async def an_async_generator(work: Work) -> None:
    async def pieces() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(0.001)
        work()
        yield 2

    assert [piece async for piece in pieces()] == [1, 2]


async def a_generator_that_a_thread_reads(work: Work) -> None:
    def pieces() -> Iterator[int]:
        yield 1
        work()

    assert [piece async for piece in starlette.concurrency.iterate_in_threadpool(pieces())] == [1]


async def a_copied_context(work: Work) -> None:
    contextvars.copy_context().run(work)


async def starlettes_thread(work: Work) -> None:
    await starlette.concurrency.run_in_threadpool(work)


async def sync_to_async(work: Work) -> None:
    await asgiref.sync.sync_to_async(work)()


async def async_to_sync(work: Work) -> None:
    await asyncio.to_thread(asgiref.sync.async_to_sync(functools.partial(later, work)))


ASYNCIO = [
    a_task, gathered, a_task_group, with_a_timeout, shielded, to_thread, in_the_default_executor, in_an_executor_of_its_own,
    in_a_shared_executor, mapped_over_threads, a_thread, a_thread_of_a_class_of_its_own, a_timer, a_thread_in_a_thread, called_soon,
    called_later, when_a_task_is_done, when_work_in_a_thread_is_done, from_a_thread_back_into_the_loop, soon_from_a_thread,
    an_async_generator, a_generator_that_a_thread_reads, a_copied_context, starlettes_thread, sync_to_async, async_to_sync,
]  # fmt: skip


async def later_by_anyio(work: Work) -> None:
    await anyio.sleep(0.001)
    work()


async def anyios_group(work: Work) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(later_by_anyio, work)


async def anyios_group_in_a_group(work: Work) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyios_group, work)


async def anyios_thread(work: Work) -> None:
    await anyio.to_thread.run_sync(work)


async def anyio_from_its_thread(work: Work) -> None:
    await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(later_by_anyio, work))


async def anyio_from_its_thread_at_once(work: Work) -> None:
    await anyio.to_thread.run_sync(lambda: anyio.from_thread.run_sync(work))


async def anyios_portal(work: Work) -> None:
    async with anyio.from_thread.BlockingPortal() as portal:
        await anyio.to_thread.run_sync(lambda: portal.call(later_by_anyio, work))


async def a_thread_beside_anyio(work: Work) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    await anyio.to_thread.run_sync(thread.join)


ANYIO = [
    anyios_group, anyios_group_in_a_group, anyios_thread, anyio_from_its_thread, anyio_from_its_thread_at_once, anyios_portal,
    a_thread_beside_anyio,
]  # fmt: skip


async def request(way: Way, barrier: anyio.Event, waiting: list[None], found: dict[str, str], number: int) -> None:
    """What a framework does around a view; all requests are under way before the first goes on."""
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    found[str(number)] = owner.id
    waiting.append(None)
    if len(waiting) == REQUESTS:
        barrier.set()
    await barrier.wait()
    await way(lambda: log.warning("%d", number))
    context.enter(before)


def check(events: Events, owners: dict[str, str]) -> None:
    logs = [event for event in events("log") if event["data"]["logger"] == "tests.owners"]
    assert sorted(event["data"]["message"] for event in logs) == sorted(owners)
    assert [event for event in logs if event.get("parentId") != owners[event["data"]["message"]]] == []


def named(way: Any) -> str:
    return str(way.__name__) if callable(way) else str(way)


@pytest.mark.parametrize("way", ASYNCIO, ids=named)
async def test_asyncio(client: Client, events: Events, way: Way) -> None:
    owners: dict[str, str] = {}
    barrier, waiting = anyio.Event(), []  # type: ignore[var-annotated]
    await asyncio.gather(*[request(way, barrier, waiting, owners, number) for number in range(REQUESTS)])
    check(events, owners)
    assert context.current() is None


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("way", ANYIO, ids=named)
def test_anyio(client: Client, events: Events, way: Way, backend: str) -> None:
    pytest.importorskip(backend)
    owners: dict[str, str] = {}

    async def main() -> None:
        barrier, waiting = anyio.Event(), []  # type: ignore[var-annotated]
        async with anyio.create_task_group() as group:
            for number in range(REQUESTS):
                group.start_soon(request, way, barrier, waiting, owners, number)

    anyio.run(main, backend=backend)
    check(events, owners)


@pytest.mark.parametrize("way", [a_thread, a_timer, in_a_shared_executor, a_copied_context], ids=named)
def test_requests_in_threads(client: Client, events: Events, way: Way) -> None:
    """A WSGI server's: each request has a thread, which has served others before."""
    owners: dict[str, str] = {}

    def serve(number: int) -> None:
        owner, _, _ = context.request_owner(None, None)
        before = context.enter(owner)
        owners[str(number)] = owner.id
        asyncio.run(way(lambda: log.warning("%d", number)))  # type: ignore[arg-type]
        context.enter(before)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(serve, range(REQUESTS)))
    check(events, owners)


def test_the_workers_of_a_pool_belong_to_nobody(client: Client) -> None:
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    pool = concurrent.futures.ThreadPoolExecutor(1)
    assert pool.submit(context.current).result(10) is owner
    context.enter(before)
    # It was started for a request that is over.
    assert pool.submit(context.current).result(10) is None
    pool.shutdown()


def test_a_thread_that_a_library_starts_belongs_to_nobody(client: Client) -> None:
    found: list[object] = []
    namespace: dict[str, Any] = {"threading": threading, "work": lambda: found.append(context.current())}
    library = "def go():\n    thread = threading.Thread(target=work)\n    thread.start()\n    thread.join()\n"
    exec(compile(library, "/somewhere/site-packages/library.py", "exec"), namespace)
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    namespace["go"]()
    context.enter(before)
    assert found == [None]


def test_the_apps_own_variables_stay_behind(client: Client) -> None:
    variable = contextvars.ContextVar("tests_owners", default="default")
    found: list[object] = []
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    variable.set("of the caller")
    thread = threading.Thread(target=lambda: found.extend((variable.get(), context.current())))
    thread.start()
    thread.join()
    context.enter(before)
    inherits = getattr(sys.flags, "thread_inherit_context", 0)
    assert found == ["of the caller" if inherits else "default", owner]
    assert "_brakit_owner" not in vars(thread)
