"""requests, with the real library against a real server."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from brakit import context
from brakit.instrumentations import _fetch

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


def test_one_call_is_one_fetch_with_its_line(client: Client, events: Events, peer: Any, carried: Callable[..., None]) -> None:
    assert requests.get(f"{peer.url}/items", params={"page": "2", "token": "secret"}, timeout=5).json() == {"ok": True}
    [fetch] = events()
    data = fetch["data"]
    assert (data["method"], data["statusCode"], data["source"], data["responseSize"]) == ("GET", 200, "requests", 12)
    assert data["url"] == f"{peer.url}/items?page=2&token=****"
    assert data["callsite"]["file"].endswith("clients/test_requests.py")
    assert data["callsite"]["function"] == "test_one_call_is_one_fetch_with_its_line"
    carried(fetch)


def test_outside_of_a_request(client: Client, events: Events, peer: Any) -> None:
    assert requests.post(peer.url, data=b"12345", timeout=5).ok
    [fetch] = events("fetch")
    assert ("parentId" in fetch, fetch["data"]["requestSize"]) == (False, 5)
    assert peer.ids() == {context.FETCH_ID_HEADER: fetch["data"]["fetchId"]}


def test_redirects_are_one_call_and_strangers_get_no_ids(
    client: Client, events: Events, peer: Any, untrusted: str, carried: Callable[..., None]
) -> None:
    peer.elsewhere = f"http://{untrusted}:{peer.port}/there"
    response = requests.get(f"{peer.url}/hop", timeout=5)
    assert [step.status_code for step in response.history] == [307]
    [fetch] = events("fetch")
    assert (fetch["data"]["url"], fetch["data"]["statusCode"]) == (f"{peer.url}/hop", 200)
    carried(fetch, 0)
    assert peer.ids(1) == {}
    # The app's own requests know nothing of us.
    assert not {name.lower() for name in response.history[0].request.headers} & {context.FETCH_ID_HEADER, "traceparent"}


def test_too_many_redirects_have_the_last_status(client: Client, events: Events, peer: Any) -> None:
    peer.elsewhere = "/hop"
    with requests.Session() as session:
        session.max_redirects = 2
        with pytest.raises(requests.TooManyRedirects):
            session.get(f"{peer.url}/hop", timeout=5)
    [fetch] = events("fetch")
    assert (fetch["data"]["statusCode"], len(peer.seen)) == (307, 3)
    assert fetch["data"]["error"].startswith("TooManyRedirects")


def test_retries_are_one_call(client: Client, events: Events, peer: Any) -> None:
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(3, status_forcelist=[503])))
        assert session.get(f"{peer.url}/busy", timeout=5).status_code == 200
    assert [fetch["data"]["statusCode"] for fetch in events("fetch")] == [200]
    assert [path for _, path, _ in peer.seen] == ["/busy"] * 3


def test_headers_of_the_app_stay_its_own(client: Client, events: Events, peer: Any, owner: context.Owner) -> None:
    headers: dict[str, str | None] = {"X-App": "1", "Accept": None}
    with requests.Session() as session:
        session.headers["X-Session"] = "2"
        before = dict(session.headers)
        prepared = session.prepare_request(requests.Request("GET", peer.url, headers=headers))
        shown = dict(prepared.headers)
        session.send(prepared, timeout=5)
        # The same headers in another request of the app carry the ids of that one.
        context.enter(other := context.request_owner(None, None)[0])
        session.send(prepared, timeout=5)
    assert (headers, dict(session.headers), dict(prepared.headers)) == ({"X-App": "1", "Accept": None}, before, shown)
    assert "accept" not in peer.seen[0][2]
    assert [peer.ids(index)[context.REQUEST_ID_HEADER] for index in (0, 1)] == [owner.id, other.id]


def test_ids_that_the_app_sends_itself_are_left(client: Client, peer: Any, owner: context.Owner) -> None:
    requests.get(peer.url, headers={"Traceparent": "mine"}, timeout=5)
    assert peer.ids()["traceparent"] == "mine"


@pytest.mark.parametrize(("value", "count"), [("AWS4-HMAC-SHA256 Credential=x", 0), ("Bearer x", 3)])
def test_a_signed_request_gets_nothing(client: Client, peer: Any, owner: context.Owner, value: str, count: int) -> None:
    requests.get(peer.url, headers={"Authorization": value}, timeout=5)
    assert len(peer.ids()) == count


def test_a_failing_call_is_sent_once_and_its_error_is_its_own(client: Client, events: Events, peer: Any) -> None:
    with pytest.raises(requests.ConnectionError) as raised:
        requests.post(f"{peer.url}/drop", data=b"charge", timeout=5)
    assert [path for _, path, _ in peer.seen] == ["/drop"]
    [fetch] = events("fetch")
    assert (fetch["data"]["statusCode"], fetch["data"]["error"].split(":")[0]) == (0, "ConnectionError")
    assert "brakit" not in str(raised.value)


def test_an_exception_of_the_app_is_the_same_object(client: Client, events: Events, peer: Any) -> None:
    error = LookupError("mine")

    def hook(response: Any, *_: Any, **__: Any) -> None:
        response.close()
        raise error

    with pytest.raises(LookupError) as raised:
        requests.get(peer.url, hooks={"response": hook}, timeout=5)
    assert raised.value is error
    [fetch] = events("fetch")
    assert fetch["data"]["error"] == "LookupError: mine"


def test_nobody_listens(client: Client, events: Events) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{taken.getsockname()[1]}/", timeout=5)
    assert [fetch["data"]["statusCode"] for fetch in events("fetch")] == [0]


def test_what_a_hook_calls_is_a_call_of_its_own(client: Client, events: Events, peer: Any) -> None:
    with requests.Session() as session:

        def hook(response: Any, *_: Any, **__: Any) -> None:
            if response.url.endswith("/outer"):
                session.get(f"{peer.url}/same", timeout=5)
                requests.get(f"{peer.url}/other", timeout=5)

        session.get(f"{peer.url}/outer", hooks={"response": hook}, timeout=5)
    fetches = events("fetch")
    assert [fetch["data"]["url"].rpartition("/")[2] for fetch in fetches] == ["same", "other", "outer"]
    assert [headers[context.FETCH_ID_HEADER] for _, _, headers in peer.seen] == [
        fetches[index]["data"]["fetchId"] for index in (2, 0, 1)
    ]


def test_a_stream_is_not_read(client: Client, events: Events, peer: Any) -> None:
    with requests.get(peer.url, stream=True, timeout=5) as response:
        [fetch] = events("fetch")
        assert vars(response)["_content"] is False
        assert b"".join(response.iter_content(4)) == b'{"ok": true}'
    assert (fetch["data"]["responseSize"], events("fetch")) == (12, [])


def test_an_adapter_of_the_app_without_a_network(client: Client, events: Events) -> None:
    class Canned(HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
            response = requests.Response()
            response.status_code, response.url, response._content = 201, request.url, b"four"
            return response

    with requests.Session() as session:
        session.mount("mock://", Canned())
        assert session.get("mock://anything").status_code == 201
    [fetch] = events("fetch")
    assert (fetch["data"]["statusCode"], fetch["data"]["responseSize"]) == (201, 4)


def test_what_could_not_be_prepared_is_no_call(client: Client, events: Events) -> None:
    with pytest.raises(requests.exceptions.MissingSchema):
        requests.get("nowhere", timeout=5)
    assert events() == []


@pytest.mark.failures
@pytest.mark.parametrize("place", ["Fetch", "outgoing", "size_of"])
def test_a_failure_of_ours_costs_an_event_and_nothing_else(
    client: Client, peer: Any, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(_fetch, place, broken)
    assert requests.post(peer.url, data=b"charge", timeout=5).json() == {"ok": True}
    assert len(peer.seen) == 1
    assert client.failures.counts
    assert not _fetch.covered()


def test_the_original_is_put_back(restored: Callable[..., None]) -> None:
    restored(requests.Session, "send")
