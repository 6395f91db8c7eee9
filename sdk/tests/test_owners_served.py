"""Whose work it is, through a real server: what goes on after the answer and while it streams, and the requests of other services."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sdk.tests.instrumentations.conftest import collect as collect
from sdk.tests.instrumentations.conftest import serve as serve
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from brakit import context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]

REQUESTS = 20
log = logging.getLogger("tests.owners")


def logs_of(found: list[Json]) -> list[Json]:
    return [event for event in found if event["data"]["logger"] == "tests.owners"]


def test_after_the_answer(client: Client, collect: Callable[..., list[Json]], serve: Callable[..., str]) -> None:
    """Of twenty at a time: a background task, a callback, and a task that nobody waits for."""
    done = threading.Semaphore(0)
    kept: set[asyncio.Task[None]] = set()

    def say(number: str) -> None:
        log.warning(number)
        done.release()

    async def later(number: str) -> None:
        await asyncio.sleep(0.001)
        say(number)

    async def view(request: Any) -> PlainTextResponse:
        number = request.path_params["number"]
        asyncio.get_running_loop().call_later(0.02, say, number)
        kept.add(asyncio.create_task(later(number)))
        return PlainTextResponse(number, background=BackgroundTask(say, number))

    async def drive() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as caller:
            await asyncio.gather(*[caller.get(f"/{number}") for number in range(REQUESTS)])

    url = serve(Starlette(routes=[Route("/{number}", view)]))
    asyncio.run(drive())
    for _ in range(3 * REQUESTS):
        assert done.acquire(timeout=10)
    numbers = {event["id"]: event["data"]["path"][1:] for event in collect("request", REQUESTS)}
    # A background task is a job, which its request has caused. It ends a moment after it has said so.
    numbers |= {event["id"]: numbers[event["parentId"]] for event in collect("job", REQUESTS)}
    assert len(numbers) == 2 * REQUESTS
    logs = logs_of(collect("log", 3 * REQUESTS))
    assert len(logs) == 3 * REQUESTS
    assert [event for event in logs if numbers[event["parentId"]] != event["data"]["message"]] == []


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_while_it_streams(client: Client, collect: Callable[..., list[Json]], serve: Callable[..., str], kind: str) -> None:
    async def pieces(number: str) -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0.001)
            log.warning(number)
            yield b"piece"

    def pieces_of_a_thread(number: str) -> Iterator[bytes]:
        for _ in range(3):
            log.warning(number)
            yield b"piece"

    async def view(request: Any) -> StreamingResponse:
        return StreamingResponse((pieces if kind == "async" else pieces_of_a_thread)(request.path_params["number"]))

    async def drive() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as caller:
            await asyncio.gather(*[caller.get(f"/{number}") for number in range(REQUESTS)])

    url = serve(Starlette(routes=[Route("/{number}", view)]))
    asyncio.run(drive())
    numbers = {event["id"]: event["data"]["path"][1:] for event in collect("request", REQUESTS)}
    logs = logs_of(collect("log", 3 * REQUESTS))
    assert [event for event in logs if numbers[event["parentId"]] != event["data"]["message"]] == []


async def call_as_a_stranger(url: str, path: str, headers: dict[str, str]) -> None:
    """Over a bare socket: what another service's client sends, with nothing of ours."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [
        f"GET {path} HTTP/1.1",
        f"host: {host}",
        "connection: close",
        *[f"{name}: {value}" for name, value in headers.items()],
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    assert b"200" in await reader.read()
    writer.close()
    await writer.wait_closed()


async def call_as_ours(url: str, path: str, _: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as caller:
        assert (await caller.get(path)).status_code == 200


@pytest.mark.parametrize("joins", ["ours", "x-brakit-request-id", "traceparent", "nothing"])
def test_a_request_of_another_service(
    client: Client, collect: Callable[..., list[Json]], serve: Callable[..., str], joins: str
) -> None:
    """Twenty at a time call another service, which joins by what comes in: all of ours, the seed's header or the standard's alone."""

    async def inner(request: Any) -> PlainTextResponse:
        log.warning(request.path_params["number"])
        return PlainTextResponse("inner")

    async def outer(request: Any) -> PlainTextResponse:
        owner = context.current()
        assert owner is not None
        headers = {"x-brakit-request-id": owner.id, "traceparent": f"00-{owner.trace_id}-{'b' * 16}-01"}
        call = call_as_ours if joins == "ours" else call_as_a_stranger
        await call(url, f"/inner/{request.path_params['number']}", {joins: headers[joins]} if joins in headers else {})
        return PlainTextResponse("outer")

    async def drive() -> None:
        await asyncio.gather(*[call_as_a_stranger(url, f"/outer/{number}", {}) for number in range(REQUESTS)])

    url = serve(Starlette(routes=[Route("/inner/{number}", inner), Route("/outer/{number}", outer)]))
    asyncio.run(drive())
    requests = collect("request", 2 * REQUESTS)
    outside = {event["data"]["path"][7:]: event for event in requests if event["data"]["path"].startswith("/outer")}
    inside = {event["data"]["path"][7:]: event for event in requests if event["data"]["path"].startswith("/inner")}
    assert len(outside) == len(inside) == REQUESTS
    fetches = {event["data"]["url"].rpartition("/")[2]: event for event in collect("fetch", REQUESTS if joins == "ours" else 0)}
    for number, event in inside.items():
        cause = outside[number]
        by_id = joins in ("ours", "x-brakit-request-id")
        assert event["id"] != cause["id"]
        assert (event["requestId"] == cause["id"], event.get("parentId") == cause["id"]) == (by_id, by_id)
        assert (event["traceId"] == cause["traceId"]) is (joins != "nothing")
        parent = fetches[number]["data"]["fetchId"] if joins == "ours" else "b" * 16 if joins == "traceparent" else None
        assert event["data"].get("parentFetchId") == parent
        if joins == "ours":
            assert fetches[number]["parentId"] == cause["id"]
    numbers = {event["id"]: number for number, event in inside.items()}
    logs = logs_of(collect("log", REQUESTS))
    assert [event for event in logs if numbers[event["parentId"]] != event["data"]["message"]] == []
