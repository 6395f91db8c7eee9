"""`_asgi.py`: one call of an ASGI app, driven by hand so that every message is seen."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from brakit import context
from brakit.discovery import Address
from brakit.instrumentations._asgi import outermost
from brakit.transport import Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

HEX = "0123456789abcdef0123456789abcdef"
UUID = "01234567-89ab-cdef-0123-456789ABCDEF"
START: Json = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def http(**changes: Any) -> Json:
    """A scope as uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/thing",
        "raw_path": b"/thing",
        "query_string": b"a=1",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8000")],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
        **changes,
    }


class Wire:
    """The server's side of a call: hands out `incoming` and keeps what the app sends."""

    def __init__(self, *incoming: Json) -> None:
        self.incoming = list(incoming)
        self.sent: list[Json] = []

    async def receive(self) -> Json:
        if not self.incoming:
            await asyncio.sleep(60)
        return self.incoming.pop(0)

    async def send(self, message: Json) -> None:
        self.sent.append(message)


async def hello(scope: Json, receive: Any, send: Any) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"hello"})


async def call(client: Client, app: Any, scope: Json | None = None, *incoming: Json) -> list[Json]:
    wire = Wire(*incoming)
    await outermost(client, app, "uvicorn", own_task=True)(scope or http(), wire.receive, wire.send)
    return wire.sent


async def test_a_request(client: Client, events: Events) -> None:
    sent = await call(client, hello)
    assert sent == [START, {"type": "http.response.body", "body": b"hello"}]
    [event] = events("request")
    data = event["data"]
    assert event["id"] == event["requestId"] == data["id"]
    assert "parentId" not in event
    assert (data["method"], data["url"], data["path"], data["statusCode"]) == ("GET", "/thing?a=1", "/thing", 200)
    assert (data["responseSize"], data["responseBody"], data["client"]) == (5, "hello", "127.0.0.1")
    assert (data["scheme"], data["httpVersion"], data["headers"]) == ("http", "1.1", {"host": "127.0.0.1:8000"})
    assert 0 <= data["responseStartMs"] <= data["durationMs"] < 1000
    assert "requestSize" not in data
    assert context.current() is None


@pytest.mark.parametrize("kind", ["lifespan", "x"])
async def test_other_scopes_go_through_untouched(client: Client, events: Events, kind: str) -> None:
    given: list[Any] = []

    async def app(*args: Any) -> None:
        given.extend(args)

    wire = Wire()
    handed = ({"type": kind}, wire.receive, wire.send)
    await outermost(client, app)(*handed)
    assert given[0] is handed[0]
    assert given[1:] == list(handed[1:])
    assert handed[0] == {"type": kind}
    assert events() == []


async def test_a_stream_is_one_record_and_nothing_waits(client: Client, events: Events) -> None:
    wire = Wire()
    ahead = []

    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send(START)
        for number in range(1000):
            await send({"type": "http.response.body", "body": b"%04d" % number * 10, "more_body": True})
            ahead.append(len(wire.sent) - number)
        assert events() == []
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    await outermost(client, app)(http(), wire.receive, wire.send)
    assert set(ahead) == {2}
    [event] = events("request")
    assert event["data"]["responseSize"] == 40_000
    assert len(event["data"]["responseBody"]) == 10_240
    assert event["data"]["responseBody"].startswith("0000" * 10 + "0001")


@pytest.mark.parametrize("inbound", [HEX, UUID])
async def test_an_inbound_id_is_taken(client: Client, events: Events, inbound: str) -> None:
    headers = [
        (b"x-brakit-request-id", inbound.encode()),
        (b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"),
        (b"x-brakit-fetch-id", b"c" * 16),
    ]
    await call(client, hello, http(headers=headers))
    [event] = events("request")
    assert event["requestId"] == event["parentId"] == inbound
    assert event["id"] == event["data"]["id"] != inbound
    assert event["traceId"] == "a" * 32
    assert event["data"]["parentFetchId"] == "c" * 16


async def test_a_callers_span_is_the_parent_fetch(client: Client, events: Events) -> None:
    await call(client, hello, http(headers=[(b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")]))
    assert events()[0]["data"]["parentFetchId"] == "b" * 16


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-brakit-request-id", HEX.encode() + b"\r\nx: y")],
        [(b"x-brakit-request-id", b"a" * 1_000_000)],
        [(b"x-brakit-request-id", HEX.encode()), (b"x-brakit-request-id", b"f" * 32)],
        [(b"x-brakit-request-id", b"\xff\x00 nonsense"), (b"x-brakit-fetch-id", b"<script>"), (b"traceparent", b"00-1-2-3")],
        [(b"traceparent", b"00-" + b"0" * 32 + b"-" + b"b" * 16 + b"-01"), (b"x-brakit-fetch-id", b"\xff" * 70_000)],
    ],
)
async def test_hostile_ids_are_ignored(client: Client, events: Events, headers: list[tuple[bytes, bytes]]) -> None:
    await call(client, hello, http(headers=headers))
    [event] = events("request")
    assert event["requestId"] == event["id"] == event["traceId"]
    assert "parentFetchId" not in event["data"]


async def test_a_body_is_counted_as_the_app_reads_it(client: Client, events: Events) -> None:
    parts: list[Json] = [
        {"type": "http.request", "body": b'{"name": ', "more_body": True},
        {"type": "http.request", "body": b'"x"}', "more_body": True},
        {"type": "http.request", "body": b"never read", "more_body": False},
    ]

    async def app(scope: Json, receive: Any, send: Any) -> None:
        assert (await receive()) is parts[0]
        assert (await receive()) is parts[1]
        await hello(scope, receive, send)

    wire = Wire(*parts)
    await outermost(client, app)(http(method="POST", headers=[(b"content-type", b"application/json")]), wire.receive, wire.send)
    assert len(wire.incoming) == 1
    data = events()[0]["data"]
    assert (data["requestSize"], data["requestBody"]) == (13, '{"name": "x"}')


async def test_binary_bodies_are_only_counted(client: Client, events: Events) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"image/png")]})
        await send({"type": "http.response.body", "body": memoryview(b"\x89PNG" * 1000)})

    scope = http(method="POST", headers=[(b"Content-Type", b"application/octet-stream")])
    await call(client, app, scope, {"type": "http.request", "body": b"\0" * 5000})
    data = events()[0]["data"]
    assert (data["requestSize"], data["responseSize"]) == (5000, 4000)
    assert "requestBody" not in data
    assert "responseBody" not in data


async def test_bodies_can_be_switched_off(client: Client, events: Events) -> None:
    client.config.bodies = False
    await call(client, hello)
    data = events()[0]["data"]
    assert data["responseSize"] == 5
    assert "responseBody" not in data


async def test_an_exception_comes_back_as_it_was(client: Client, events: Events) -> None:
    error = RuntimeError("no")

    async def app(scope: Json, receive: Any, send: Any) -> None:
        raise error

    with pytest.raises(RuntimeError) as raised:
        await call(client, app)
    assert raised.value is error
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/src/brakit/" in frame.filename]
    assert len(ours) == 1
    failure, request = (event for event in events() if event["type"] != "span")
    assert (failure["type"], failure["data"]["name"], failure["data"]["mechanism"]) == ("error", "RuntimeError", "uvicorn")
    assert failure["parentId"] == request["id"]
    assert request["data"]["statusCode"] == 500


async def test_an_exception_in_a_stream_keeps_the_status(client: Client, events: Events) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await call(client, app)
    failure, request = (event for event in events() if event["type"] != "span")
    assert failure["type"] == "error"
    assert (request["data"]["statusCode"], request["data"]["responseSize"]) == (200, 4)
    assert "cancelled" not in request["data"]


async def test_a_cancelled_request(client: Client, events: Events) -> None:
    started = asyncio.Event()

    async def app(scope: Json, receive: Any, send: Any) -> None:
        started.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(call(client, app))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [event] = events("request")
    assert (event["data"]["statusCode"], event["data"]["cancelled"]) == (499, True)


async def test_a_client_that_leaves_during_a_stream(client: Client, events: Events) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        assert (await receive())["type"] == "http.disconnect"

    await call(client, app, None, {"type": "http.disconnect"})
    data = events()[0]["data"]
    assert (data["statusCode"], data["cancelled"], data["responseSize"]) == (200, True, 4)


async def test_a_client_that_leaves_before_the_answer(client: Client, events: Events) -> None:
    class ClientDisconnect(Exception):
        pass

    async def app(scope: Json, receive: Any, send: Any) -> None:
        await receive()
        try:
            raise ClientDisconnect
        finally:
            await hello({**scope, "status": 500}, receive, send)

    with pytest.raises(ClientDisconnect):
        await call(client, app, None, {"type": "http.disconnect"})
    [event] = events("request")
    assert (event["data"]["statusCode"], event["data"]["cancelled"], event["data"]["responseSize"]) == (499, True, 0)


async def test_a_send_that_finds_no_client(client: Client, events: Events) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async def send(message: Json) -> None:
        if message["type"] == "http.response.body":
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await outermost(client, app)(http(), Wire().receive, send)
    [event] = events("request")
    assert event["data"]["cancelled"] is True


async def test_the_disconnect_after_the_answer_is_none(client: Client, events: Events) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"

    await call(client, app, None, {"type": "http.disconnect"})
    assert "cancelled" not in events()[0]["data"]


@pytest.mark.parametrize(
    ("messages", "size"),
    [
        ([{"type": "http.response.pathsend", "path": "/etc/hostname"}], 12),
        (
            [
                {"type": "http.response.zerocopysend", "file": 0, "count": 8, "more_body": True},
                {"type": "http.response.zerocopysend", "file": 0, "count": 4},
            ],
            12,
        ),
        ([{"type": "http.response.zerocopysend", "file": 0}], 12),
        (
            [
                {"type": "http.response.body", "body": b"x" * 12},
                {"type": "http.response.trailers", "headers": [(b"a", b"b")], "more_trailers": False},
            ],
            12,
        ),
    ],
)
async def test_extensions_of_the_answer(client: Client, events: Events, messages: list[Json], size: int) -> None:
    hint: Json = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}
    push: Json = {"type": "http.response.push", "path": "/a.css", "headers": []}
    start: Json = {**START, "headers": [(b"content-length", b"12")], "trailers": True}

    async def app(scope: Json, receive: Any, send: Any) -> None:
        for message in [hint, push, start, *messages]:
            await send(message)

    sent = await call(client, app)
    assert all(left is right for left, right in zip(sent, [hint, push, start, *messages], strict=True))
    [event] = events("request")
    assert event["data"]["responseSize"] == size


async def test_what_goes_on_after_the_answer_is_apart(client: Client, events: Events) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        [request] = events()
        assert request["data"]["durationMs"] < 30
        await asyncio.sleep(0.05)
        logging.getLogger("app").warning("later")

    await call(client, app)
    log, span = events()
    assert (span["type"], span["data"]["name"]) == ("span", "background tasks")
    assert 40 < span["data"]["duration"] < 1000
    assert span["parentId"] == log["parentId"]


async def test_an_exception_after_the_answer(client: Client, events: Events) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        await asyncio.sleep(0.005)
        raise RuntimeError("too late")

    with pytest.raises(RuntimeError):
        await call(client, app)
    request, error, span = events()
    assert (request["type"], request["data"]["statusCode"]) == ("request", 200)
    assert error["data"]["message"] == "too late"
    assert error["parentId"] == span["parentId"] == request["id"]
    assert span["data"]["error"] == "RuntimeError: too late"


async def test_the_error_comes_before_its_500(client: Client, events: Events) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        try:
            raise RuntimeError("no")
        except RuntimeError:
            await send({**START, "status": 500})
            await send({"type": "http.response.body", "body": b"oops"})
            raise

    with pytest.raises(RuntimeError):
        await call(client, app)
    assert [event["type"] for event in events() if event["type"] != "span"] == ["error", "request"]


async def test_one_inside_another_is_one_request(client: Client, events: Events) -> None:
    await call(client, outermost(client, outermost(client, hello)))
    assert len(events("request")) == 1


async def test_a_scope_used_twice_is_two_requests(client: Client, events: Events) -> None:
    scope = http()
    await call(client, hello, scope)
    await call(client, hello, scope)
    first, second = events("request")
    assert first["id"] != second["id"]


async def test_nothing_sent(client: Client, events: Events) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        return

    await call(client, app)
    assert events()[0]["data"]["statusCode"] == 500


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_answers_without_a_body(client: Client, events: Events, method: str, status: int) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send({**START, "status": status})
        await send({"type": "http.response.body", "body": b"dropped by the server"})

    await call(client, app, http(method=method))
    data = events()[0]["data"]
    assert (data["statusCode"], data["responseSize"]) == (status, 0)
    assert "responseBody" not in data


@pytest.mark.parametrize(
    ("scope", "url"),
    [
        (http(path="/ü?", raw_path=b"/%C3%BC%3F", query_string=b"q=%FF\xff"), "/%C3%BC%3F?q=%FF"),
        (http(path="/ü?", raw_path=None, query_string=b""), "/%C3%BC%3F"),
        (http(path="/a", raw_path=b"/a?b=c", query_string=b"b=c"), "/a?b=c"),
        (http(path="/root/a", raw_path=b"/root/a", root_path="/root", query_string=b""), "/root/a"),
        (http(path="/\udcff", raw_path=b"", query_string=b""), "/%FF"),
    ],
)
async def test_urls(client: Client, events: Events, scope: Json, url: str) -> None:
    await call(client, hello, scope)
    assert events()[0]["data"]["url"].startswith(url)


async def test_the_dashboards_path_leads_to_it(client: Client, events: Events) -> None:
    assert (await call(client, hello, http(path="/__brakit", raw_path=b"/__brakit")))[0]["status"] == 200
    events()
    client.sender = Sender(client)
    client.sender.address = Address("127.0.0.1", 4321)
    scope = http(path="/__brakit/requests", raw_path=b"/__brakit/requests")
    sent = await call(client, hello, dict(scope))
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"location"]) == (307, b"http://127.0.0.1:4321/__brakit/requests?a=1")
    assert sent[1] == {"type": "http.response.body", "body": b""}
    assert events() == []
    changes: list[Json] = [
        {"method": "POST"},
        {"client": ("10.0.0.1", 1)},
        {"client": None},
        {"headers": [(b"host", b"evil.example")]},
        {"headers": []},
        {"server": ("127.0.0.1", 4321)},
        {"path": "/__brakitten", "raw_path": b"/__brakitten"},
    ]
    for change in changes:
        assert (await call(client, hello, {**scope, **change}))[0]["status"] == 200, change
    assert len(events("request")) == 7


@pytest.mark.failures
async def test_a_failure_of_ours_costs_one_event(client: Client, events: Events) -> None:
    assert (await call(client, hello, http(headers=[b"no pair"])))[1]["body"] == b"hello"
    assert client.failures.counts == {"asgi.begin": 1}

    async def odd(scope: Json, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start"})
        await send({"type": "http.response.body", "body": None})

    assert await call(client, odd) == [{"type": "http.response.start"}, {"type": "http.response.body", "body": None}]
    assert events("request") != []
    assert context.current() is None


async def test_after_shutdown_it_is_quiet(client: Client, events: Events) -> None:
    app = outermost(client, hello)
    client.open = False
    wire = Wire()
    await app(http(), wire.receive, wire.send)
    assert len(wire.sent) == 2
    assert events() == []
    client.open = True
