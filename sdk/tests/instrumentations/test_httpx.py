"""httpx, with the real library against real servers."""

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


class Peer:
    """A server that remembers what it was asked: `/hop` redirects to `elsewhere`, `/drop` closes without an answer."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.elsewhere = ""
        peer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                peer.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
                if self.path == "/drop":
                    self.connection.close()
                    return
                body = b'{"ok": true}'
                self.send_response(307 if self.path == "/hop" else 200)
                if self.path == "/hop":
                    self.send_header("Location", peer.elsewhere)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                return

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 64
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def peer() -> Iterator[Peer]:
    running = Peer()
    yield running
    running.close()


@pytest.fixture
def owner() -> Iterator[context.Owner]:
    """A request that is under way."""
    made, _, _ = context.request_owner(None, None)
    before = context.enter(made)
    yield made
    context.enter(before)


def test_one_call_is_one_fetch_with_its_line(client: Client, events: Events, peer: Peer, owner: context.Owner) -> None:
    response = httpx.get(f"{peer.url}/items?page=2&token=secret")
    assert response.json() == {"ok": True}
    [fetch] = events()
    data = fetch["data"]
    assert (data["method"], data["statusCode"], data["source"], data["responseSize"]) == ("GET", 200, "httpx", 12)
    assert data["url"] == f"{peer.url}/items?page=2&token=****"
    assert data["duration"] > 0
    assert data["callsite"]["function"].endswith("test_one_call_is_one_fetch_with_its_line")
    assert fetch["parentId"] == owner.id


async def test_async_calls_at_once_keep_their_own_ids(client: Client, events: Events, peer: Peer) -> None:
    async def request(number: int) -> context.Owner:
        owner, _, _ = context.request_owner(None, None)
        context.enter(owner)
        async with httpx.AsyncClient() as caller:
            await caller.post(f"{peer.url}/{number}", content=b"12345")
        return owner

    owners = await asyncio.gather(*[asyncio.create_task(request(number)) for number in range(20)])
    fetches = {event["data"]["url"].rpartition("/")[2]: event for event in events("fetch")}
    assert len(fetches) == 20
    sent = {path[1:]: headers for _, path, headers in peer.seen}
    for number, owner in enumerate(owners):
        fetch, headers = fetches[str(number)], sent[str(number)]
        assert (fetch["parentId"], fetch["data"]["requestSize"]) == (owner.id, 5)
        assert headers[context.REQUEST_ID_HEADER] == owner.id
        assert headers[context.FETCH_ID_HEADER] == fetch["data"]["fetchId"]
        assert headers[context.TRACEPARENT_HEADER] == f"00-{owner.trace_id}-{fetch['data']['fetchId']}-01"
    assert context.current() is None


def test_a_failing_call_is_sent_once_and_its_error_is_its_own(client: Client, events: Events, peer: Peer) -> None:
    with pytest.raises(httpx.RemoteProtocolError) as raised:
        httpx.post(f"{peer.url}/drop", content=b"charge")
    assert [path for _, path, _ in peer.seen] == ["/drop"]
    [fetch] = events()
    assert fetch["data"]["statusCode"] == 0
    assert fetch["data"]["error"].startswith("RemoteProtocolError: ")
    frames = []
    traceback = raised.value.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame.f_code.co_filename)
        traceback = traceback.tb_next
    # One wrapper around the client's call, one around the transport's.
    assert len([name for name in frames if "/src/brakit/" in name]) <= 2


def test_redirects_lie_inside_one_call_and_strangers_get_no_ids(
    client: Client, events: Events, peer: Peer, owner: context.Owner
) -> None:
    # A name that is not ours to trust, on the same server.
    peer.elsewhere = peer.url.replace("127.0.0.1", "localtest.example") + "/there"
    strangers: list[dict[str, str]] = []

    class Route(httpx.HTTPTransport):
        """Leads the stranger's name to the peer, below the client's own transport."""

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.host == "localtest.example":
                strangers.append(dict(request.headers))
                return httpx.Response(200, content=b"there")
            return super().handle_request(request)

    with httpx.Client(transport=Route(), follow_redirects=True) as caller:
        assert caller.get(f"{peer.url}/hop").text == "there"
    [fetch] = events()
    assert (fetch["data"]["url"], fetch["data"]["statusCode"]) == (f"{peer.url}/hop", 200)
    assert context.REQUEST_ID_HEADER in peer.seen[0][2]
    assert [name for headers in strangers for name in headers if "brakit" in name or name == "traceparent"] == []


def test_nothing_of_the_callers_is_changed(client: Client, events: Events, peer: Peer, owner: context.Owner) -> None:
    headers = {"a": "b"}
    with httpx.Client(headers=headers) as caller:
        request = caller.build_request("GET", f"{peer.url}/x", headers=headers)
        before = dict(request.headers)
        response = caller.send(request)
        assert response.request is request
    assert (headers, dict(request.headers)) == ({"a": "b"}, before)
    assert peer.seen[0][2][context.REQUEST_ID_HEADER] == owner.id


def test_what_the_app_says_about_its_trace_stays(client: Client, events: Events, peer: Peer, owner: context.Owner) -> None:
    own = f"00-{'1' * 32}-{'2' * 16}-00"
    httpx.get(peer.url, headers={"traceparent": own})
    assert peer.seen[0][2]["traceparent"] == own


def test_mock_transports_see_nothing_of_us(client: Client, events: Events, owner: context.Owner) -> None:
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(503)

    with httpx.Client(transport=httpx.MockTransport(answer)) as caller, pytest.raises(httpx.HTTPStatusError):
        caller.get("http://127.0.0.1/x").raise_for_status()
    assert [name for name in seen[0] if "brakit" in name or name == "traceparent"] == []
    [fetch] = events()
    assert fetch["data"]["statusCode"] == 503


def test_what_a_library_above_records_is_not_recorded_again(client: Client, events: Events, peer: Peer) -> None:
    before = context.covered.get()
    context.covered.set("fetch")
    assert httpx.get(peer.url).status_code == 200
    context.covered.set(before)
    assert events() == []


def test_an_authentication_that_fetches_a_token_is_a_call_of_its_own(client: Client, events: Events, peer: Peer) -> None:
    class Token(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            httpx.get(f"{peer.url}/token")
            yield request

    assert httpx.get(f"{peer.url}/data", auth=Token()).status_code == 200
    assert [event["data"]["url"].rpartition("/")[2] for event in events()] == ["token", "data"]


def test_a_stream_is_left_to_the_app(client: Client, events: Events, peer: Peer) -> None:
    with httpx.stream("GET", f"{peer.url}/stream") as response:
        [fetch] = events()
        assert not response.is_closed
        assert b"".join(response.iter_raw()) == b'{"ok": true}'
    assert fetch["data"]["responseSize"] == 12
    assert events() == []


async def test_a_cancelled_call_is_recorded_and_stays_cancelled(client: Client, events: Events) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with httpx.AsyncClient() as caller:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(caller.get(f"http://127.0.0.1:{silent.getsockname()[1]}/"), 0.1)
    [fetch] = events()
    assert (fetch["data"]["statusCode"], fetch["data"]["error"]) == (0, "CancelledError")


def test_everything_is_put_back(environ: dict[str, str]) -> None:
    from brakit.activation import Decision
    from brakit.client import Client as Made
    from brakit.config import Config

    before = [httpx.Client.send, httpx.AsyncClient.send, httpx.HTTPTransport.handle_request]
    made = Made(Config(environ), Decision(True, "on: for a test"))
    made.start()
    assert httpx.Client.send is not before[0]
    made.shutdown(0.0)
    assert [httpx.Client.send, httpx.AsyncClient.send, httpx.HTTPTransport.handle_request] == before
