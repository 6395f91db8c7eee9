"""Whether a call has a limit of time, as the real libraries really wait, against a real server."""

from __future__ import annotations

import http.client
import socket
import urllib.request
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


def _told(events: Events) -> list[object]:
    return [event["data"].get("hasTimeout") for event in events("fetch")]


class Patient(HTTPAdapter):
    """What many apps have: one limit for all calls."""

    def send(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["timeout"] = 5
        return super().send(*args, **kwargs)


@pytest.fixture
def limited() -> Iterator[None]:
    """A limit for all new sockets of the process."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(5)
    yield
    socket.setdefaulttimeout(before)


def test_requests(client: Client, events: Events, peer: Any) -> None:
    requests.get(peer.url)
    requests.get(peer.url, timeout=5)
    requests.get(peer.url, timeout=(5, None))
    assert _told(events) == [False, True, False]


def test_requests_with_an_adapter_that_has_the_limit(client: Client, events: Events, peer: Any) -> None:
    with requests.Session() as session:
        session.mount("http://", Patient())
        session.get(peer.url)
    assert _told(events) == [True]


def test_a_limit_of_all_sockets(client: Client, events: Events, peer: Any, limited: None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", peer.port)
    connection.request("GET", "/")
    connection.getresponse().read()
    connection.close()
    assert _told(events) == [True]


def test_the_standard_library(client: Client, events: Events, peer: Any) -> None:
    limits: list[dict[str, Any]] = [{}, {"timeout": 5}]
    for limit in limits:
        urllib.request.urlopen(peer.url, **limit).read()
        connection = http.client.HTTPConnection("127.0.0.1", peer.port, **limit)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
    assert _told(events) == [False, False, True, True]


def test_urllib3(client: Client, events: Events, peer: Any) -> None:
    with urllib3.PoolManager() as pool:
        pool.request("GET", peer.url)
        pool.request("GET", peer.url, timeout=5)
    assert _told(events) == [False, True]


def test_httpx(client: Client, events: Events, peer: Any) -> None:
    httpx.get(peer.url)
    httpx.get(peer.url, timeout=None)
    httpx.get(peer.url, timeout=httpx.Timeout(5, read=None))
    assert _told(events) == [True, False, True]


async def test_aiohttp(client: Client, events: Events, peer: Any) -> None:
    endless = aiohttp.ClientTimeout(total=None, sock_connect=None)
    async with aiohttp.ClientSession() as session:
        await (await session.get(peer.url)).read()
        await (await session.get(peer.url, timeout=endless)).read()
    async with aiohttp.ClientSession(timeout=endless) as session:
        await (await session.get(peer.url)).read()
        await (await session.get(peer.url, timeout=aiohttp.ClientTimeout(total=5))).read()
    assert _told(events) == [True, False, False, True]


def test_a_call_that_is_answered_by_nobody(client: Client, events: Events, peer: Any) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{peer.url}/drop", timeout=5)
    assert _told(events) == [True]
