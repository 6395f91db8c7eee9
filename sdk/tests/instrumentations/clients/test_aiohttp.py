"""aiohttp's client, against a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import aiohttp.web
import pytest

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


async def test_one_call_is_one_fetch_with_its_line(
    client: Client, events: Events, peer: Any, carried: Callable[..., None]
) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{peer.url}/items?token=secret", data=b"12345") as response:
        assert await response.json(content_type=None) == {"ok": True}
        assert not {name.lower() for name in response.request_info.headers} & {context.FETCH_ID_HEADER, "traceparent"}
    [fetch] = events("fetch")
    data = fetch["data"]
    assert (data["method"], data["statusCode"], data["source"]) == ("POST", 200, "aiohttp")
    assert (data["requestSize"], data["responseSize"]) == (5, 12)
    assert data["url"] == f"{peer.url}/items?token=****"
    assert data["callsite"]["file"].endswith("clients/test_aiohttp.py")
    assert data["callsite"]["function"] == "test_one_call_is_one_fetch_with_its_line"
    carried(fetch)


async def test_the_whole_url(client: Client, events: Events, peer: Any) -> None:
    async with aiohttp.ClientSession(base_url=peer.url) as session:
        await (await session.get("/a", params={"page": 2})).read()
    assert [fetch["data"]["url"] for fetch in events("fetch")] == [f"{peer.url}/a?page=2"]


async def test_calls_at_once_keep_their_own_ids(client: Client, events: Events, peer: Any) -> None:
    headers = {"X-App": "1"}

    async def request(number: int) -> context.Owner:
        owner, _, _ = context.request_owner(None, None)
        context.enter(owner)
        await (await session.get(f"{peer.url}/n{number}", headers=headers)).read()
        return owner

    async with aiohttp.ClientSession() as session:
        owners = await asyncio.gather(*[asyncio.create_task(request(number)) for number in range(20)])
    fetches = {fetch["data"]["url"].rpartition("/")[2]: fetch for fetch in events("fetch")}
    sent = {path: received for _, path, received in peer.seen}
    for number, owner in enumerate(owners):
        assert fetches[f"n{number}"]["parentId"] == owner.id == sent[f"/n{number}"][context.REQUEST_ID_HEADER]
    assert (headers, len(fetches)) == ({"X-App": "1"}, 20)


async def test_redirects_are_one_call_and_strangers_get_no_ids(
    client: Client, events: Events, peer: Any, untrusted: str, carried: Callable[..., None]
) -> None:
    peer.elsewhere = f"http://{untrusted}:{peer.port}/there"
    async with aiohttp.ClientSession() as session:
        response = await session.get(f"{peer.url}/hop")
        await response.read()
    [fetch] = events("fetch")
    assert (fetch["data"]["url"], fetch["data"]["statusCode"], response.url.host) == (f"{peer.url}/hop", 200, untrusted)
    carried(fetch, 0)
    assert peer.ids(1) == {}


async def test_an_answer_that_is_raised_has_its_status(client: Client, events: Events, peer: Any) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        with pytest.raises(aiohttp.ClientResponseError):
            await session.get(f"{peer.url}/404")
    [fetch] = events("fetch")
    assert (fetch["data"]["statusCode"], fetch["data"]["error"].split(":")[0]) == (404, "ClientResponseError")


async def test_a_failing_call_is_sent_once(client: Client, events: Events, peer: Any) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.post(f"{peer.url}/drop", data=b"charge")
    assert [path for _, path, _ in peer.seen] == ["/drop"]
    [fetch] = events("fetch")
    assert (fetch["data"]["statusCode"], fetch["data"]["error"].split(":")[0]) == (0, "ServerDisconnectedError")


async def test_an_exception_of_the_app_is_the_same_object(client: Client, events: Events, peer: Any) -> None:
    error = LookupError("mine")

    async def judge(_: aiohttp.ClientResponse) -> None:
        raise error

    async with aiohttp.ClientSession() as session:
        with pytest.raises(LookupError) as raised:
            await session.get(peer.url, raise_for_status=judge)
    assert raised.value is error
    assert [fetch["data"]["error"] for fetch in events("fetch")] == ["LookupError: mine"]


async def test_cancelled_from_outside(client: Client, events: Events) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with aiohttp.ClientSession() as session:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(session.get(f"http://127.0.0.1:{port}/"), 0.05)
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)
    assert [fetch["data"]["error"] for fetch in events("fetch")] == ["CancelledError"]


@pytest.mark.skipif(not hasattr(aiohttp, "ClientMiddlewareType"), reason="middlewares came with aiohttp 3.12")
async def test_what_a_middleware_calls_is_a_call_of_its_own(client: Client, events: Events, peer: Any) -> None:
    async def token(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        async with request.session.get(f"{peer.url}/token", middlewares=()):
            answer: aiohttp.ClientResponse = await handler(request)
        return answer

    async with aiohttp.ClientSession() as session:
        await (await session.get(f"{peer.url}/outer", middlewares=(token,))).read()
    fetches = events("fetch")
    assert [fetch["data"]["url"].rpartition("/")[2] for fetch in fetches] == ["token", "outer"]
    assert [sent[context.FETCH_ID_HEADER] for _, _, sent in peer.seen] == [fetch["data"]["fetchId"] for fetch in fetches]


async def test_a_websocket_is_left_alone(client: Client, events: Events, owner: context.Owner) -> None:
    shook: list[set[str]] = []

    async def echo(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        shook.append({name.lower() for name in request.headers})
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.close()
        return socket

    app = aiohttp.web.Application()
    app.router.add_get("/", echo)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/") as socket:
        assert await socket.receive_str() == "hello"
    await runner.cleanup()
    assert not shook[0] & {context.FETCH_ID_HEADER, context.REQUEST_ID_HEADER, "traceparent"}
    assert events("fetch") == []


def test_the_originals_are_put_back(restored: Callable[..., None]) -> None:
    restored(aiohttp.ClientSession, "_request", "_ws_connect")
