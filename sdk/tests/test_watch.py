"""The watch over event loops: real loops, really blocked."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from brakit import watch
from brakit.client import Client
from brakit.instrumentations._asgi import outermost

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Run = Callable[[Coroutine[Any, Any, None]], None]

START: Json = {"type": "http.response.start", "status": 200, "headers": []}


def _uvloop(work: Coroutine[Any, Any, None]) -> None:
    import uvloop

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()


RUNS = [pytest.param(asyncio.run, id="asyncio"), pytest.param(_uvloop, id="uvloop")]


async def _call(client: Client, work: Any, path: str = "/") -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        await work()
        await send(START)
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Json:
        return {"type": "http.request", "body": b""}

    async def send(_: Json) -> None:
        return

    scope: Json = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [],
        "client": None,
        "server": None,
    }
    await outermost(client, app)(scope, receive, send)


def _settled(client: Client, events: Events) -> list[Json]:
    """All events, once the watch has looked the last time."""
    assert client.watch is not None
    found = events()
    for _ in range(2000):
        if not client.watch.looking:
            break
        time.sleep(0.005)
    return found + events()


def _blocks(events: list[Json]) -> list[Json]:
    return [event for event in events if event["type"] == "span" and event["data"]["name"] == watch.NAME]


async def blocking() -> None:
    await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251


async def in_no_time() -> None:
    return


async def waiting() -> None:
    await asyncio.sleep(0.5)


async def taking_turns() -> None:
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        sum(range(2000))
        await asyncio.sleep(0)


async def in_a_task_of_its_own() -> None:
    await asyncio.create_task(blocking())


@pytest.mark.parametrize("run", RUNS)
def test_it_names_the_line_the_owner_and_who_had_to_wait(client: Client, events: Events, run: Run) -> None:
    async def both() -> None:
        await asyncio.gather(_call(client, waiting, "/waits"), _call(client, blocking, "/blocks"))

    run(both())
    found = _settled(client, events)
    ids = {event["data"]["path"]: event["id"] for event in found if event["type"] == "request"}
    [block] = _blocks(found)
    assert block["parentId"] == ids["/blocks"]
    data = block["data"]
    assert data["callsite"]["function"] == "blocking"
    assert data["callsite"]["file"].endswith("sdk/tests/test_watch.py")
    assert data["attributes"] == {"source": "asyncio", "delayed": "1", "requests": ids["/waits"]}
    assert 80 <= data["duration"] < 5000


@pytest.mark.parametrize("run", RUNS)
def test_a_task_of_a_request_is_the_requests(client: Client, events: Events, run: Run) -> None:
    run(_call(client, in_a_task_of_its_own))
    found = _settled(client, events)
    [block] = _blocks(found)
    [request] = [event for event in found if event["type"] == "request"]
    assert (block["parentId"], block["data"]["callsite"]["function"]) == (request["id"], "blocking")


def test_it_names_what_the_line_has_called(client: Client, events: Events) -> None:
    async def calling() -> None:
        threading.Event().wait(0.5)

    asyncio.run(_call(client, calling))
    [block] = _blocks(_settled(client, events))
    assert (block["data"]["callsite"]["function"].rpartition(".")[2], block["data"]["attributes"]["call"]) == (
        "calling",
        "threading.wait",
    )


def test_a_task_of_nobody_is_told_of_too(client: Client, events: Events) -> None:
    async def both() -> None:
        other = asyncio.create_task(blocking())
        await _call(client, waiting)
        await other

    asyncio.run(both())
    found = _settled(client, events)
    [block] = _blocks(found)
    assert "parentId" not in block
    assert block["data"]["attributes"]["delayed"] == "1"


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("work", [waiting, taking_turns])
def test_a_loop_that_turns_is_not_blocked(client: Client, events: Events, run: Run, work: Any) -> None:
    run(_call(client, work))
    assert _blocks(_settled(client, events)) == []


def test_nothing_is_left_of_requests_that_are_over(client: Client) -> None:
    asyncio.run(_call(client, taking_turns))
    assert client.watch is not None
    assert not client.watch.open
    assert [thread.name for thread in threading.enumerate()].count("brakit-watch") == 1
    client.shutdown(0.0)
    for thread in threading.enumerate():
        if thread.name == "brakit-watch":
            thread.join(5)
            assert not thread.is_alive()


def test_it_falls_asleep_and_wakes_up(client: Client, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "IDLE_TICKS", 1)
    asyncio.run(_call(client, in_no_time))
    assert client.watch is not None
    until = time.monotonic() + 10
    while client.watch.awake and time.monotonic() < until:
        time.sleep(0.01)
    assert not client.watch.awake
    events()
    asyncio.run(_call(client, blocking))
    assert len(_blocks(_settled(client, events))) == 1


@pytest.mark.parametrize("environ", [{"BRAKIT_WATCH": "off"}])
def test_it_can_be_switched_off(client: Client, events: Events) -> None:
    assert client.watch is None
    asyncio.run(_call(client, blocking))
    assert [event["type"] for event in events()] == ["request"]


def test_a_loop_that_is_closed_meanwhile_is_left_alone(client: Client, events: Events) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    assert client.watch is not None
    client.watch._wait(loop, threading.get_ident(), watch.Stretch(object(), 0))
    assert events() == []


def test_without_a_request_there_is_no_thread(client: Client) -> None:
    asyncio.run(blocking())
    assert "brakit-watch" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_has_its_own(py: Any) -> None:
    code = """
import asyncio, os, sys, time
import brakit.client
client = brakit.client.current()
client.buffer.wake = lambda: None
from brakit.instrumentations._asgi import outermost

async def app(scope, receive, send):
    time.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})

async def send(_): pass

def blocks():
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "client": None, "server": None}
    asyncio.run(outermost(client, app)(scope, None, send))
    while client.watch.looking:
        time.sleep(0.005)
    records = client.buffer.take(100)
    return [record.kind for record in records]

print(sorted(blocks()), flush=True)
pid = os.fork()
if not pid:
    client.check_process()
    print(sorted(blocks()), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""
    ran = py("import brakit\n" + code)
    assert ran.stdout.splitlines() == ["['request', 'span']"] * 2, ran.stderr


def test_aiohttps_server_is_watched(client: Client, events: Events) -> None:
    import aiohttp
    from aiohttp import web

    async def handler(_: web.Request) -> web.Response:
        await blocking()
        return web.Response()

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as session:
            await (await session.get(f"http://{host}:{port}/")).read()
        await runner.cleanup()

    asyncio.run(serve())
    found = _settled(client, events)
    [block] = _blocks(found)
    [request] = [event for event in found if event["type"] == "request"]
    assert block["parentId"] == request["id"]
    assert client.watch is not None
    assert not client.watch.open
