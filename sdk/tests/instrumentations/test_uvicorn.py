"""`uvicorn.py`: whatever app uvicorn is given, in threads and in processes of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from typing import TYPE_CHECKING, Any

import fastapi
import flask
import httpx
import pytest
from starlette.middleware.cors import CORSMiddleware

from brakit.instrumentations import _asgi

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]


def test_middleware_that_is_put_around_by_hand(
    client: Client, serve: Callable[..., str], collect: Callable[..., list[Json]]
) -> None:
    app = fastapi.FastAPI()

    @app.get("/orders/{id}")
    def order(id: int) -> int:
        return id

    url = serve(CORSMiddleware(app, allow_origins=["http://web.test"]))
    headers = {"origin": "http://web.test"}
    httpx.options(url + "/orders/1", headers={**headers, "access-control-request-method": "GET"})
    httpx.get(url + "/orders/1", headers={**headers, "x-forwarded-for": "10.1.2.3", "x-forwarded-proto": "https"})
    preflight, request = (event["data"] for event in collect("request", 2))
    assert (preflight["statusCode"], preflight.get("framework")) == (200, None)
    assert preflight["responseHeaders"]["access-control-allow-origin"] == "http://web.test"
    assert (request["route"], request["framework"]) == ("/orders/{id}", "fastapi")
    assert request["responseHeaders"]["access-control-allow-origin"] == "http://web.test"
    assert (request["client"], request["scheme"]) == ("10.1.2.3", "https")
    assert request["parentFetchId"] == collect("fetch", 2)[1]["data"]["fetchId"]


async def test_what_the_server_says_of_a_failure_belongs_to_the_request(
    client: Client, events: Callable[..., list[Json]]
) -> None:
    async def failing(*_: Any) -> None:
        raise RuntimeError("no")

    async def task(app: Any) -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        with contextlib.suppress(RuntimeError):
            await app(scope, None, None)
        logging.getLogger("server").error("that failed")

    # uvicorn gives each request a task of its own; any other caller gets back the context that it had.
    other = type("Other", (), {"__call__": _asgi.around(client, failing, "other")})()
    for app in (_asgi.outermost(client, failing, "uvicorn", own_task=True), other):
        await asyncio.create_task(task(app))
    first, its_log, _, other_log = (event for event in events() if event["type"] in ("request", "log"))
    assert its_log["parentId"] == first["id"]
    assert "parentId" not in other_log


class Asgi2:
    """An app of the old interface, which uvicorn recognises by looking at it."""

    def __init__(self, scope: Json) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        assert self.scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"two"})


async def asgi3(scope: Json, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"three"})


@pytest.mark.parametrize(("app", "text"), [(Asgi2, "two"), (asgi3, "three")])
def test_both_interfaces(
    client: Client, serve: Callable[..., str], collect: Callable[..., list[Json]], app: Any, text: str
) -> None:
    assert httpx.get(serve(app, lifespan="off")).text == text
    [request] = collect("request")
    assert request["data"]["responseSize"] == len(text)


@pytest.mark.filterwarnings("ignore:Uvicorn's native WSGI implementation:DeprecationWarning")
def test_a_wsgi_app(client: Client, serve: Callable[..., str], collect: Callable[..., list[Json]]) -> None:
    app = flask.Flask("app")
    app.add_url_rule("/a/<b>", view_func=lambda b: b)
    assert httpx.get(serve(app, interface="wsgi") + "/a/x").text == "x"
    [request] = collect("request")
    assert (request["data"]["route"], request["data"]["framework"]) == ("/a/<b>", "flask")


def test_an_exception_of_an_app_without_a_framework(
    client: Client, serve: Callable[..., str], collect: Callable[..., list[Json]]
) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        raise ValueError("broken")

    assert httpx.get(serve(app, lifespan="off")).status_code == 500
    [request] = collect("request")
    [error] = collect("error")
    assert (error["data"]["mechanism"], error["parentId"], request["data"]["statusCode"]) == ("uvicorn", request["id"], 500)


APP = """
import brakit
from fastapi import FastAPI

app = FastAPI()

@app.get("/orders/{id}")
def order(id: int):
    return id

def make():
    return app
"""

MAIN = """
import sys
import uvicorn

if __name__ == "__main__":
    uvicorn.run(sys.argv[2], host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", **eval(sys.argv[3]))
"""


@pytest.mark.parametrize(
    ("target", "settings"),
    [("made:app", "{}"), ("made:make", "dict(factory=True)"), ("made:app", "dict(workers=2)"), ("made:app", "dict(reload=True)")],
)
def test_a_server_that_loads_the_app_itself(py: Any, sink: Any, target: str, settings: str) -> None:
    (py.folder / "made.py").write_text(APP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = py.start(
        MAIN, str(port), target, settings, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port), PYTHONPATH=str(py.folder)
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/orders/1").json() == 1
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        for _ in range(9):
            httpx.get(f"http://127.0.0.1:{port}/orders/1")
        assert sink.wait(lambda: len(sink.of("request")) >= 10)
    finally:
        # Ends its children too, as Ctrl-C would.
        process.terminate()
        process.wait(15)
    requests = sink.of("request")
    assert len(requests) == 10
    assert {(event["data"]["route"], event["data"]["framework"]) for event in requests} == {("/orders/{id}", "fastapi")}
