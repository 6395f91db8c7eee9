"""Starlette's background tasks: each is a job of its own, which its request has caused."""

from __future__ import annotations

import functools
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

log = logging.getLogger("app")


def test_a_stream_and_its_background_task_in_a_server(
    client: Client, serve: Callable[..., str], collect: Callable[..., list[Json]]
) -> None:
    gate = threading.Event()

    def chunks() -> Any:
        yield b"first"
        assert gate.wait(10)
        log.warning("streaming")
        for _ in range(998):
            yield b"x"
        yield b"last"

    def later() -> None:
        time.sleep(0.1)
        log.warning("later")

    def view(request: Any) -> Response:
        return StreamingResponse(chunks(), media_type="text/plain", background=BackgroundTask(later))

    url = serve(Starlette(routes=[Route("/stream", view)]))
    with httpx.stream("GET", url + "/stream") as response:
        body = response.iter_raw()
        assert next(body) == b"first"
        gate.set()
        assert len(b"".join(body)) == 998 + 4
    [request] = collect("request")
    assert request["data"]["responseSize"] == 5 + 998 + 4
    [job] = collect("job")
    # Two clocks are read, so a millisecond may be missing.
    assert job["timestamp"] >= request["timestamp"] + request["data"]["durationMs"] - 1
    assert job["data"]["duration"] > 90
    assert (job["data"]["source"], job["data"]["status"]) == ("starlette", "succeeded")
    assert job["data"]["name"].endswith(".test_a_stream_and_its_background_task_in_a_server.<locals>.later")
    assert job["parentId"] == job["requestId"] == request["id"]
    logs = {event["data"]["message"]: event for event in collect("log", 2)}
    assert logs["streaming"]["parentId"] == request["id"]
    assert (logs["later"]["parentId"], logs["later"]["requestId"]) == (job["id"], request["id"])
    assert collect("span", 0) == []


@pytest.mark.parametrize("kind", ["plain", "async", "partial"])
def test_a_background_task_that_fails_is_one_error_of_its_job(
    kind: str, client: Client, serve: Callable[..., str], collect: Callable[..., list[Json]]
) -> None:
    def plain(text: str) -> None:
        raise ValueError(text)

    async def later(text: str) -> None:
        raise ValueError(text)

    task: Any = {"plain": plain, "async": later, "partial": functools.partial(plain)}[kind]

    def view(request: Any) -> Response:
        tasks = BackgroundTasks()
        tasks.add_task(log.warning, "before")
        tasks.add_task(task, "broken")
        tasks.add_task(log.warning, "never")
        return PlainTextResponse("x", background=tasks)

    url = serve(Starlette(routes=[Route("/", view)]))
    assert httpx.get(url).text == "x"
    jobs = collect("job", 2)
    assert [job["data"]["status"] for job in jobs] == ["succeeded", "failed"]
    assert jobs[1]["data"]["error"] == "ValueError: broken"
    [request] = collect("request")
    assert request["data"]["statusCode"] == 200
    [error] = collect("error")
    assert (error["parentId"], error["data"]["handled"]) == (jobs[1]["id"], False)
    assert [event["data"]["message"] for event in collect("log", 1)] == ["before"]
