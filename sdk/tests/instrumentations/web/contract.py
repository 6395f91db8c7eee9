"""What every web framework's instrumentation holds to, driven with real requests through a real server.

Each framework's test file makes the same small shop, with the help of `Counter`, and says how its routes are written.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

import httpx
import pytest
import websockets.sync.client
from sdk.tests.conftest import qualified

from brakit import context
from brakit.discovery import Address
from brakit.patch import MISSING
from brakit.transport import Sender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Until = Callable[..., list[Json]]

log = logging.getLogger("app")
HEX = "0123456789abcdef0123456789abcdef"


class Broken(Exception):
    """Nobody handles it."""


class Sold(Exception):
    """The shop answers 409."""


class Counter:
    """What the shop counts itself, and the gate at which its streams wait."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.closed = threading.Event()
        self.endless = False
        self.raised: list[Exception] = []

    def fail(self) -> Any:
        error = Broken("broken")
        self.raised.append(error)
        raise error

    async def opened(self) -> None:
        while not self.gate.is_set():  # noqa: ASYNC110, a thread opens it
            await asyncio.sleep(0.002)

    def rest(self) -> Iterator[bytes]:
        """What a stream sends once the gate is open."""
        for _ in range(500):
            yield b"more"
        for _ in range(2000 if self.endless else 0):
            yield b"x" * 65536

    async def rest_later(self) -> AsyncIterator[bytes]:
        """The same, and others get their turn."""
        for piece in self.rest():
            if len(piece) > 4:
                await asyncio.sleep(0.001)
            yield piece


class Contract:
    """Subclassed by each framework's test file: `shop` makes the app, `url` serves it."""

    framework: ClassVar[str]
    routes: ClassVar[dict[str, str | None]]
    """Template by path, where it is not the path itself. `DELETE` stands for a method that a route does not take."""

    def shop(self, counter: Counter, folder: Any, *, debug: bool = False) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def counter(self) -> Counter:
        return Counter()

    @pytest.fixture
    def folder(self, tmp_path: Any) -> Any:
        (tmp_path / "page.html").write_text("<h1>page</h1>")
        return tmp_path

    @pytest.fixture
    def start(self) -> Callable[[Any], str]:
        raise NotImplementedError

    @pytest.fixture
    def url(self, client: Client, start: Callable[[Any], str], counter: Counter, folder: Any) -> str:
        return start(self.shop(counter, folder))

    def route(self, path: str) -> str | None:
        return self.routes.get(path, path)

    def test_each_request_is_one_record(self, url: str, until: Until) -> None:
        calls = [
            ("GET", "/orders/1?q=1", 200, self.route("/orders/1")),
            ("GET", "/sub/orders/1", 200, self.route("/sub/orders/1")),
            ("GET", "/nothing", 404, None),
            ("GET", "/sub/nothing", 404, None),
            ("DELETE", "/orders/1", 405, self.routes.get("DELETE")),
            ("GET", "/empty", 204, self.route("/empty")),
            ("GET", "/away", 302, self.route("/away")),
            ("GET", "/denied", 403, self.route("/denied")),
            ("GET", "/sold", 409, self.route("/sold")),
            ("GET", "/file", 200, self.route("/file")),
            ("POST", "/echo", 200, self.route("/echo")),
        ]
        # One connection: a server may take its end for the end of the client's interest.
        with httpx.Client(base_url=url) as caller:
            answers = [caller.request(method, target) for method, target, _, _ in calls]
        assert [answer.status_code for answer in answers] == [status for _, _, status, _ in calls]
        found = until(len(calls))
        requests = [event for event in found if event["type"] == "request"]
        for call, answer, event in zip(calls, answers, requests, strict=True):
            data = event["data"]
            assert (data["method"], data["url"], data["statusCode"], data.get("route")) == call
            assert data["responseSize"] == len(answer.content), call
            assert data["path"] == call[1].partition("?")[0]
            assert (data["framework"], data["client"], data["scheme"], data["httpVersion"]) == (
                self.framework,
                "127.0.0.1",
                "http",
                "1.1",
            )
            assert 0 <= data["responseStartMs"] <= data["durationMs"] < 5000
            assert "cancelled" not in data, data
        assert requests[0]["data"]["responseBody"].replace(" ", "").strip() == '{"id":1}'
        assert requests[0]["data"]["responseHeaders"]["content-type"].startswith("application/json")
        assert requests[9]["data"].get("responseBody", "<h1>page</h1>") == "<h1>page</h1>"
        assert [event for event in found if event["type"] == "error"] == []
        logs = [event for event in found if event["type"] == "log" and event["data"]["logger"] == "app"]
        assert [event["parentId"] for event in logs] == [requests[0]["id"], requests[1]["id"]]
        assert {event["data"]["callsite"]["function"].rpartition(".")[2] for event in logs} == {"order"}

    def test_head_and_options(self, url: str, until: Until) -> None:
        answers = [httpx.request(method, url + "/orders/1") for method in ("HEAD", "OPTIONS")]
        requests = [event["data"] for event in until(2) if event["type"] == "request"]
        assert [(data["method"], data["statusCode"]) for data in requests] == [
            ("HEAD", answers[0].status_code),
            ("OPTIONS", answers[1].status_code),
        ]
        assert [data["responseSize"] for data in requests] == [0, len(answers[1].content)]

    def test_an_exception_is_recorded_once_with_its_page(self, url: str, until: Until, counter: Counter) -> None:
        self.check_failure(url, until, counter)

    def check_failure(self, url: str, until: Until, counter: Counter) -> None:
        answer = httpx.get(url + "/fail")
        assert answer.status_code == 500
        found = [event for event in until(1) if event["type"] in ("error", "request")]
        assert [event["type"] for event in found] == ["error", "request"], found
        error, request = found
        assert (error["data"]["name"], error["data"]["message"], error["data"]["handled"]) == ("Broken", "broken", False)
        assert (error["parentId"], error["data"]["mechanism"]) == (request["id"], self.framework)
        assert error["data"]["callsite"]["function"] == qualified("Counter.fail")
        assert any(frame["function"].rpartition(".")[2] == "fail" for frame in error["data"]["frames"])
        assert (request["data"]["statusCode"], request["data"]["route"]) == (500, self.route("/fail"))
        assert len(counter.raised) == 1
        assert counter.raised[0].args == ("broken",)

    def test_bodies(self, url: str, until: Until) -> None:
        answer = httpx.post(url + "/echo", content=b'{"name": "x"}', headers={"content-type": "application/json"})
        assert answer.content == b'{"name": "x"}'
        [request] = until(1, only="request")
        data = request["data"]
        assert (data["requestSize"], data["requestBody"], data["responseSize"]) == (13, '{"name": "x"}', 13)
        assert data["headers"]["content-type"] == "application/json"

    def test_a_stream_is_one_record_and_its_first_byte_comes_before_its_last(
        self, url: str, until: Until, counter: Counter
    ) -> None:
        with httpx.stream("GET", url + "/stream") as response:
            body = response.iter_raw()
            assert next(body) == b"first"
            counter.gate.set()
            assert len(b"".join(body)) == 500 * 4
        found = until(1)
        [request] = [event for event in found if event["type"] == "request"]
        assert (request["data"]["responseSize"], request["data"]["route"]) == (2005, self.route("/stream"))
        logs = [event for event in found if event["type"] == "log" and event["data"]["logger"] == "app"]
        assert [event["parentId"] for event in logs] == [request["id"]]

    def test_fifty_at_a_time_keep_their_own(self, url: str, until: Until) -> None:
        async def drive() -> None:
            async with httpx.AsyncClient(limits=httpx.Limits(max_connections=50), timeout=30) as caller:
                answers = await asyncio.gather(*[caller.get(f"{url}/work/{number}") for number in range(50)])
            assert [answer.text for answer in answers] == [str(number) for number in range(50)]

        asyncio.run(drive())
        found = until(50)
        requests = {event["id"]: event["data"]["path"].rpartition("/")[2] for event in found if event["type"] == "request"}
        logs = [event for event in found if event["type"] == "log" and event["data"]["logger"] == "app"]
        assert len(logs) == 100
        assert [event for event in logs if requests[event["parentId"]] != event["data"]["message"]] == []

    def test_it_joins_what_came_in(self, url: str, until: Until) -> None:
        span = f"00-{'a' * 32}-{'b' * 16}-01"
        httpx.get(url + "/empty", headers={"x-brakit-request-id": HEX, "traceparent": span, "x-brakit-fetch-id": "c" * 16})
        [event] = until(1, only="request")
        assert event["requestId"] == event["parentId"] == HEX
        assert (event["traceId"], event["data"]["parentFetchId"]) == ("a" * 32, "c" * 16)

    def test_the_dashboards_path_leads_to_it(self, url: str, client: Client, until: Until) -> None:
        assert httpx.get(url + "/__brakit").status_code == 404
        until(1)
        client.sender = Sender(client)
        client.sender.address = Address("127.0.0.1", 4321)
        for method in ("GET", "HEAD"):
            answer = httpx.request(method, url + "/__brakit/requests?a={1}")
            expected = "http://127.0.0.1:4321/__brakit/requests?a={1}"
            assert (answer.status_code, unquote(answer.headers["location"]), answer.content) == (307, expected, b"")
        until(0)
        assert httpx.get(url + "/__brakit", headers={"host": "evil.example"}).status_code == 404
        assert httpx.post(url + "/__brakit").status_code in (404, 405)
        assert [request["data"]["path"] for request in until(2, only="request")] == ["/__brakit"] * 2

    def test_everything_comes_back(self, client: Client, url: str) -> None:
        places = list(client.patches.restores)
        assert [entry for entry in places if getattr(entry[0], "__module__", "").startswith(self.framework)]
        client.shutdown(0)
        assert [entry for entry in places if vars(entry[0]).get(entry[1], MISSING) is not entry[2]] == []
        assert httpx.get(url + "/orders/1").json() == {"id": 1}
        assert context.current() is None


class Debug(Contract):
    """A framework with a debug mode, which makes other pages."""

    def test_in_debug_mode_as_well(
        self, client: Client, start: Callable[[Any], str], until: Until, counter: Counter, folder: Any
    ) -> None:
        self.check_failure(start(self.shop(counter, folder, debug=True)), until, counter)


class Leaving(Contract):
    """A server that tells the app, or ends it, when the client has gone."""

    def test_a_client_that_leaves(self, url: str, until: Until, counter: Counter) -> None:
        counter.endless = True
        with httpx.stream("GET", url + "/stream") as response:
            assert next(response.iter_raw()) == b"first"
        time.sleep(0.05)
        counter.gate.set()
        assert counter.closed.wait(10)
        [request] = until(1, only="request")
        assert (request["data"]["statusCode"], request["data"]["cancelled"]) == (200, True)
        assert until(0, only="error") == []


class Background(Contract):
    """A framework that lets the app go on when the answer is out: `/later`."""

    def test_work_after_the_answer_stands_apart(self, url: str, until: Until) -> None:
        httpx.get(url + "/later")
        [request] = until(1, only="request")
        assert request["data"]["durationMs"] < 90
        deadline = time.monotonic() + 5
        found: list[Json] = []
        while not found and time.monotonic() < deadline:
            found = [event for event in until(0) if event["type"] == "log" and event["data"]["message"] == "later"]
            time.sleep(0.01)
        assert found[0]["parentId"] == request["id"]


class Sockets(Contract):
    """A framework with WebSockets: `/chat`."""

    def test_a_websocket_is_one_record(self, url: str, until: Until) -> None:
        with websockets.sync.client.connect(url.replace("http", "ws") + "/chat", compression=None) as connection:
            for number in range(5):
                connection.send(str(number))
                assert (connection.recv(), connection.recv()) == (str(number), "again")
        found = until(1)
        [request] = [event for event in found if event["type"] == "request"]
        data = request["data"]
        assert (data["statusCode"], data["messagesReceived"], data["messagesSent"]) == (101, 5, 10)
        assert (data["route"], data["framework"], data.get("cancelled")) == (self.route("/chat"), self.framework, None)
        logs = [event for event in found if event["type"] == "log" and event["data"]["logger"] == "app"]
        assert [event["parentId"] for event in logs] == [request["id"]] * 5
