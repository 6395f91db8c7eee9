"""urllib3 used directly, against a real server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


def test_one_call_is_one_fetch_with_its_line(client: Client, events: Events, peer: Any, carried: Callable[..., None]) -> None:
    with urllib3.PoolManager() as pool:
        assert pool.request("POST", f"{peer.url}/items?token=secret", body=b"12345").data == b'{"ok": true}'
    [fetch] = events()
    data = fetch["data"]
    assert (data["method"], data["statusCode"], data["source"], data["responseSize"]) == ("POST", 200, "urllib3", 12)
    assert data["url"] == f"{peer.url}/items?token=****"
    assert data["callsite"]["file"].endswith("clients/test_urllib3.py")
    carried(fetch)


def test_a_pool_of_one_host_keeps_its_headers(client: Client, events: Events, peer: Any, owner: context.Owner) -> None:
    headers = {"Authorization": "Bearer app"}
    with urllib3.HTTPConnectionPool("127.0.0.1", peer.port, headers=headers) as pool:
        pool.urlopen("GET", "/first")
        context.enter(other := context.request_owner(None, None)[0])
        pool.urlopen("GET", "/second", headers=None)
        pool.request("GET", "/third", headers=headers)
    assert headers == {"Authorization": "Bearer app"} == dict(pool.headers)
    assert [fetch["data"]["url"] for fetch in events("fetch")] == [f"{peer.url}/{name}" for name in ("first", "second", "third")]
    assert [sent["authorization"] for _, _, sent in peer.seen] == ["Bearer app"] * 3
    assert [peer.ids(i)[context.REQUEST_ID_HEADER] for i in range(3)] == [owner.id, other.id, other.id]


def test_redirects_and_retries_are_one_call(
    client: Client, events: Events, peer: Any, untrusted: str, carried: Callable[..., None]
) -> None:
    peer.elsewhere = f"http://{untrusted}:{peer.port}/there"
    with urllib3.PoolManager() as pool:
        assert pool.request("GET", f"{peer.url}/hop").status == 200
        [fetch] = events("fetch")
        carried(fetch, 0)
        assert peer.ids(1) == {}
        peer.seen.clear()
        assert pool.request("GET", f"{peer.url}/busy", retries=urllib3.Retry(3, status_forcelist=[503])).status == 200
    assert (len(events("fetch")), len(peer.seen)) == (1, 3)


def test_a_failing_call(client: Client, events: Events, peer: Any) -> None:
    with urllib3.PoolManager() as pool, pytest.raises(urllib3.exceptions.ProtocolError):
        pool.request("POST", f"{peer.url}/drop", retries=False)
    assert [path for _, path, _ in peer.seen] == ["/drop"]
    [fetch] = events("fetch")
    assert (fetch["data"]["statusCode"], fetch["data"]["error"].split(":")[0]) == (0, "ProtocolError")


def test_an_exception_of_the_app_is_the_same_object(client: Client, events: Events, peer: Any) -> None:
    error = LookupError("mine")

    def body() -> Any:
        yield b"one"
        raise error

    with urllib3.PoolManager() as pool, pytest.raises(LookupError) as raised:
        pool.request("POST", peer.url, body=body(), retries=False)
    assert raised.value is error
    assert [fetch["data"]["error"] for fetch in events("fetch")] == ["LookupError: mine"]


def test_an_http_proxy_is_not_what_is_asked_for(client: Client, events: Events, peer: Any, owner: context.Owner) -> None:
    with urllib3.ProxyManager(peer.url) as pool:
        pool.request("GET", "http://stranger.test/far?a=1")
        pool.request("GET", "http://service.internal/near")
    assert [fetch["data"]["url"] for fetch in events("fetch")] == ["http://stranger.test/far?a=1", "http://service.internal/near"]
    assert [len(peer.ids(index)) for index in (0, 1)] == [0, 3]


def test_threads_at_once_keep_their_own_ids(client: Client, events: Events, peer: Any) -> None:
    owners: dict[int, context.Owner] = {}
    pool = urllib3.PoolManager(maxsize=8)

    def work(number: int) -> None:
        owners[number] = context.request_owner(None, None)[0]
        context.enter(owners[number])
        pool.request("GET", f"{peer.url}/n{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.clear()
    sent = {path: headers for _, path, headers in peer.seen}
    fetches = {fetch["data"]["url"].rpartition("/")[2]: fetch for fetch in events("fetch")}
    for number, owner in owners.items():
        assert fetches[f"n{number}"]["parentId"] == owner.id == sent[f"/n{number}"][context.REQUEST_ID_HEADER]


def test_the_originals_are_put_back(restored: Callable[..., None]) -> None:
    restored(urllib3.HTTPConnectionPool, "urlopen")


def test_the_original_of_the_manager_is_put_back(restored: Callable[..., None]) -> None:
    restored(urllib3.PoolManager, "urlopen")
