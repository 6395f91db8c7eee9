"""urllib.request, against a real server."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


def test_one_call_is_one_fetch_with_its_line(client: Client, events: Events, peer: Any, carried: Callable[..., None]) -> None:
    with urllib.request.urlopen(f"{peer.url}/items?token=secret", timeout=5) as response:
        assert response.read() == b'{"ok": true}'
    [fetch] = events()
    data = fetch["data"]
    assert (data["method"], data["statusCode"], data["source"], data["responseSize"]) == ("GET", 200, "urllib", 12)
    assert data["url"] == f"{peer.url}/items?token=****"
    assert data["callsite"]["file"].endswith("clients/test_urllib.py")
    carried(fetch)


def test_the_method_is_the_one_that_is_sent(client: Client, events: Events, peer: Any) -> None:
    class Put(urllib.request.Request):
        def get_method(self) -> str:
            return "PUT"

    request = Put(f"{peer.url}/a", data=b"12345", headers={"X-App": "1"})
    urllib.request.urlopen(request, timeout=5).close()
    urllib.request.urlopen(f"{peer.url}/b", data=b"1", timeout=5).close()
    assert [fetch["data"]["method"] for fetch in events("fetch")] == ["PUT", "POST"]
    assert not [name for name, _ in request.header_items() if name.lower().startswith(("x-brakit", "traceparent"))]


def test_redirects_are_one_call_and_strangers_get_no_ids(
    client: Client, events: Events, peer: Any, untrusted: str, carried: Callable[..., None]
) -> None:
    peer.elsewhere = f"http://{untrusted}:{peer.port}/there"
    urllib.request.urlopen(f"{peer.url}/hop", timeout=5).close()
    [fetch] = events("fetch")
    carried(fetch, 0)
    assert (peer.ids(1), fetch["data"]["statusCode"], fetch["data"]["url"]) == ({}, 200, f"{peer.url}/hop")


def test_an_answer_that_is_raised_has_its_status(client: Client, events: Events, peer: Any) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"{peer.url}/404", timeout=5)
    assert raised.value.read() == b'{"ok": true}'
    raised.value.close()
    [fetch] = events("fetch")
    assert (fetch["data"]["statusCode"], fetch["data"]["error"]) == (404, "HTTPError: HTTP Error 404: Not Found")


def test_no_answer(client: Client, events: Events, peer: Any) -> None:
    with pytest.raises(ConnectionError):
        urllib.request.urlopen(f"{peer.url}/drop", data=b"charge", timeout=5)
    assert [path for _, path, _ in peer.seen] == ["/drop"]
    assert [(fetch["data"]["statusCode"], fetch["data"]["method"]) for fetch in events("fetch")] == [(0, "POST")]


def test_an_exception_of_the_app_is_the_same_object(client: Client, events: Events, peer: Any) -> None:
    error = LookupError("mine")

    class Broken(urllib.request.BaseHandler):
        def http_response(self, request: Any, response: Any) -> Any:
            response.close()
            raise error

    with pytest.raises(LookupError) as raised:
        urllib.request.build_opener(Broken).open(peer.url, timeout=5)
    assert raised.value is error
    assert [fetch["data"]["error"] for fetch in events("fetch")] == ["LookupError: mine"]


def test_what_is_no_http_is_no_call(client: Client, events: Events, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with urllib.request.urlopen((tmp_path / "a.txt").as_uri()) as file, urllib.request.urlopen("data:,b") as data:
        assert (file.read(), data.read()) == (b"a", b"b")
    assert events() == []


def test_ids_of_the_request_that_is_under_way(client: Client, peer: Any, owner: context.Owner) -> None:
    request = urllib.request.Request(peer.url)
    urllib.request.urlopen(request, timeout=5).close()
    context.enter(other := context.request_owner(None, None)[0])
    urllib.request.urlopen(request, timeout=5).close()
    assert [peer.ids(index)[context.REQUEST_ID_HEADER] for index in (0, 1)] == [owner.id, other.id]


def test_the_original_is_put_back(restored: Callable[..., None]) -> None:
    restored(urllib.request.OpenerDirector, "open")
