"""ASGI: scopes and messages as test clients make them: without headers, and with what can be read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sdk.tests.instrumentations.test_asgi import call, hello, http

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdk.tests.instrumentations.test_asgi import Events, Json

    from brakit.client import Client


@pytest.mark.parametrize("some", [list, tuple, iter])
@pytest.mark.parametrize("pair", [tuple, list, iter])
async def test_headers_and_addresses_that_can_be_read_once(
    client: Client, events: Events, some: Callable[[Any], Any], pair: Callable[[Any], Any]
) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        assert [tuple(one) for one in scope["headers"]] == [(b"c", b"d"), (b"a", b"b")]
        assert list(scope["client"]) == ["127.0.0.1", 1]
        await send({"type": "http.response.start", "status": 200, "headers": some([(b"v", b"w"), pair((b"x", b"y"))])})
        await send({"type": "http.response.body"})

    sent = await call(client, app, http(headers=some([(b"c", b"d"), pair((b"a", b"b"))]), client=iter(["127.0.0.1", 1])))
    assert [tuple(one) for one in sent[0]["headers"]] == [(b"v", b"w"), (b"x", b"y")]
    data = events()[0]["data"]
    assert (data["headers"], data["responseHeaders"]) == ({"c": "d", "a": "b"}, {"v": "w", "x": "y"})
    assert "client" not in data


async def test_a_scope_without_headers(client: Client, events: Events) -> None:
    async def app(scope: Json, receive: Any, send: Any) -> None:
        assert "headers" not in scope
        await hello(scope, receive, send)

    scope = http()
    del scope["headers"]
    await call(client, app, scope)
    assert events()[0]["data"]["headers"] == {}
