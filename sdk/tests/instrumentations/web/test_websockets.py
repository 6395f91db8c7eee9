"""WebSocket connections of ASGI apps: one record each, driven by hand and by a real client through uvicorn."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import fastapi
import pytest
import websockets.sync.client
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from websockets.exceptions import InvalidStatus

import brakit
from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

log = logging.getLogger("app")
ACCEPT: Json = {"type": "websocket.accept", "headers": [(b"x-app", b"1")]}


def scope() -> Json:
    return {
        "type": "websocket",
        "path": "/chat",
        "raw_path": b"/chat",
        "query_string": b"room=1",
        "scheme": "ws",
        "http_version": "1.1",
        "headers": [(b"host", b"127.0.0.1:8000"), (b"upgrade", b"websocket")],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
    }


async def drive(app: Any, *incoming: Json) -> list[Json]:
    """One connection, by hand: what comes in, and what the app sent."""
    queue, sent = list(incoming), []

    async def receive() -> Json:
        return queue.pop(0)

    async def send(message: Json) -> None:
        sent.append(message)

    await brakit.asgi(app)(scope(), receive, send)
    return sent


async def test_a_connection_is_one_record(client: Client, events: Events) -> None:
    incoming: list[Json] = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "häh"},
        {"type": "websocket.receive", "bytes": b"\0" * 10},
        {"type": "websocket.disconnect", "code": 1000},
    ]
    answers: list[Json] = [ACCEPT, {"type": "websocket.send", "text": "hello"}]
    got = []

    async def app(scope: Json, receive: Any, send: Any) -> None:
        got.append(await receive())
        for answer in answers:
            await send(answer)
        while got[-1]["type"] != "websocket.disconnect":
            log.warning("in the connection")
            got.append(await receive())

    sent = await drive(app, *incoming)
    # The very messages, both ways.
    assert [left is right for left, right in zip(got + sent, incoming + answers, strict=True)] == [True] * 6
    *logs, request = events()
    assert {event["parentId"] for event in logs} == {request["id"]}
    data = request["data"]
    assert (data["method"], data["url"], data["path"], data["statusCode"]) == ("GET", "/chat?room=1", "/chat", 101)
    assert (data["messagesReceived"], data["messagesSent"]) == (2, 1)
    assert (data["requestSize"], data["responseSize"], data["scheme"]) == (14, 5, "ws")
    assert data["responseHeaders"] == {"x-app": "1"}
    assert not {"cancelled", "requestBody", "responseBody"} & data.keys()
    assert context.current() is None


async def test_the_record_is_out_when_the_connection_is_closed(client: Client, events: Events) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await asyncio.sleep(0.02)
        assert events() == []
        await send({"type": "websocket.close", "code": 1000})
        assert events("request")[0]["data"]["durationMs"] >= 20

    await drive(app)


@pytest.mark.parametrize(
    ("answers", "status", "size"),
    [
        ([{"type": "websocket.close", "code": 1008}], 403, 0),
        (
            [
                {"type": "websocket.http.response.start", "status": 401, "headers": iter([(b"content-type", b"text/plain")])},
                {"type": "websocket.http.response.body", "body": b"who ", "more_body": True},
                {"type": "websocket.http.response.body", "body": b"are you?"},
            ],
            401,
            12,
        ),
        ([], 500, 0),
    ],
)
async def test_a_connection_that_is_refused(client: Client, events: Events, answers: list[Json], status: int, size: int) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        for answer in answers:
            await send(answer)

    await drive(app)
    [request] = events("request")
    assert (request["data"]["statusCode"], request["data"]["responseSize"]) == (status, size)
    assert (request["data"]["messagesReceived"], request["data"]["messagesSent"]) == (0, 0)


async def test_an_exception_in_a_connection(client: Client, events: Events) -> None:
    broken = ValueError("broken")

    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        raise broken

    with pytest.raises(ValueError, match="broken") as raised:
        await drive(app)
    assert raised.value is broken
    error, request = (event for event in events() if event["type"] != "span")
    assert (error["type"], error["parentId"], request["data"]["statusCode"]) == ("error", request["id"], 101)


async def test_a_client_that_has_gone_is_no_error(client: Client, events: Events) -> None:
    async def late(scope: Json, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await receive()
        raise fastapi.WebSocketDisconnect(1001)

    async def before(scope: Json, receive: Any, send: Any) -> None:
        await receive()

    with pytest.raises(fastapi.WebSocketDisconnect):
        await drive(late, {"type": "websocket.disconnect", "code": 1001})
    await drive(before, {"type": "websocket.disconnect", "code": 1001})
    first, second = (event["data"] for event in events() if event["type"] in ("request", "error"))
    assert (first["statusCode"], first.get("cancelled")) == (101, None)
    assert (second["statusCode"], second["cancelled"]) == (499, True)


async def test_the_end_of_the_task_is_the_end_of_the_connection(client: Client, events: Events) -> None:
    begun = asyncio.Event()

    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        begun.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(drive(app))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [request] = events("request")
    assert (request["data"]["statusCode"], request["data"]["cancelled"]) == (101, True)


async def chat(websocket: fastapi.WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        log.warning("%s", text)
        await websocket.send_text(text)
        await websocket.send_text("again")


def test_fastapi_and_starlette_in_a_server(client: Client, serve: Callable[..., str], collect: Callable[..., list[Json]]) -> None:
    app = fastapi.FastAPI()
    app.add_api_websocket_route("/rooms/{room}", chat)

    @app.websocket("/private")
    async def private(websocket: fastapi.WebSocket) -> None:
        await websocket.close(1008)

    app.mount("/sub", Starlette(routes=[Mount("/deep", routes=[WebSocketRoute("/rooms/{room}", chat)])]))
    url = serve(app, ws="websockets-sansio").replace("http", "ws")
    for path in ("/rooms/1", "/sub/deep/rooms/1"):
        with websockets.sync.client.connect(url + path, compression=None) as connection:
            for number in range(50):
                connection.send(str(number))
                assert (connection.recv(), connection.recv()) == (str(number), "again")
    with pytest.raises(InvalidStatus), websockets.sync.client.connect(url + "/private"):
        pass
    found = [event["data"] for event in collect("request", 3)]
    assert [(data["route"], data["statusCode"]) for data in found] == [
        ("/rooms/{room}", 101),
        ("/sub/deep/rooms/{room}", 101),
        ("/private", 403),
    ]
    assert [(data["messagesReceived"], data["messagesSent"]) for data in found[:2]] == [(50, 100)] * 2
    assert {data["framework"] for data in found} == {"fastapi"}
    ids = [event["id"] for event in collect("request", 3)[:2]]
    assert [event["parentId"] for event in collect("log", 100)] == [ids[0]] * 50 + [ids[1]] * 50
