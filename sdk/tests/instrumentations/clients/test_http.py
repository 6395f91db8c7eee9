"""http.client used directly, against a real server."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING, Any

import pytest

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


@pytest.fixture
def connection(peer: Any) -> Any:
    made = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=5)
    yield made
    made.close()


def test_one_call_is_one_fetch_with_its_line(
    client: Client, events: Events, peer: Any, connection: http.client.HTTPConnection, carried: Callable[..., None]
) -> None:
    headers = {"X-App": "1"}
    connection.request("POST", "/items?token=secret", body=b"12345", headers=headers)
    assert connection.getresponse().read() == b'{"ok": true}'
    assert headers == {"X-App": "1"}
    [fetch] = events()
    data = fetch["data"]
    assert (data["method"], data["statusCode"], data["source"], data["responseSize"]) == ("POST", 200, "http.client", 12)
    assert data["url"] == f"{peer.url}/items?token=****"
    assert data["callsite"]["file"].endswith("clients/test_http.py")
    carried(fetch)


def test_step_by_step_and_again_on_the_same_connection(
    client: Client, events: Events, peer: Any, connection: http.client.HTTPConnection, owner: context.Owner
) -> None:
    for number in range(3):
        connection.putrequest("PUT", f"/{500 + number}")
        connection.putheader("Traceparent", "mine")
        connection.putheader("Content-Length", "2")
        connection.endheaders()
        connection.send(b"ab")
        connection.getresponse().read()
    assert [fetch["data"]["statusCode"] for fetch in events("fetch")] == [500, 501, 502]
    assert [peer.ids(index)["traceparent"] for index in range(3)] == ["mine"] * 3
    assert "_brakit_fetch" not in vars(connection)


def test_two_connections_at_once(client: Client, events: Events, peer: Any) -> None:
    pair = [http.client.HTTPConnection("127.0.0.1", peer.port, timeout=5) for _ in range(2)]
    for number, one in enumerate(pair):
        one.request("GET", f"/{200 + number}")
    for one in reversed(pair):
        one.getresponse().read()
        one.close()
    assert [fetch["data"]["url"].rpartition("/")[2] for fetch in events("fetch")] == ["201", "200"]


def test_nobody_listens(client: Client, events: Events) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refused = http.client.HTTPConnection("127.0.0.1", taken.getsockname()[1], timeout=5)
        with pytest.raises(ConnectionRefusedError) as raised:
            refused.request("GET", "/")
    assert [(fetch["data"]["statusCode"], fetch["data"]["error"]) for fetch in events("fetch")] == [
        (0, f"ConnectionRefusedError: {raised.value}")
    ]


def test_no_answer(client: Client, events: Events, peer: Any, connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/drop", body=b"charge")
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    assert [path for _, path, _ in peer.seen] == ["/drop"]
    assert [fetch["data"]["error"].split(":")[0] for fetch in events("fetch")] == ["RemoteDisconnected"]


def test_an_exception_of_the_app_is_the_same_object(
    client: Client, events: Events, connection: http.client.HTTPConnection
) -> None:
    error = LookupError("mine")

    def body() -> Any:
        yield b"one"
        raise error

    with pytest.raises(LookupError) as raised:
        connection.request("POST", "/", body=body())
    assert raised.value is error
    assert [fetch["data"]["error"] for fetch in events("fetch")] == ["LookupError: mine"]


def test_strangers_get_no_ids(client: Client, events: Events, peer: Any, untrusted: str, owner: context.Owner) -> None:
    stranger = http.client.HTTPConnection(untrusted, peer.port, timeout=5)
    stranger.request("GET", "/")
    stranger.getresponse().read()
    stranger.close()
    assert (len(events("fetch")), peer.ids()) == (1, {})


def test_a_misused_connection_says_so_itself(client: Client, events: Events, connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/")
    with pytest.raises(http.client.CannotSendRequest):
        connection.request("GET", "/")
    connection.getresponse().read()
    assert [fetch["data"]["statusCode"] for fetch in events("fetch")] == [200]


def test_the_originals_are_put_back(restored: Callable[..., None]) -> None:
    restored(http.client.HTTPConnection, "putrequest", "endheaders", "send", "getresponse")
