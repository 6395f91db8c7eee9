"""`brakit.asgi(app)` and `brakit.wsgi(app)`: any app, around which nothing else of ours stands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import flask
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import brakit
import brakit.client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


class Asgi:
    """An app without a framework."""

    name = "bare"

    async def __call__(self, scope: Json, receive: Any, send: Any) -> None:
        if scope["path"] == "/fail":
            raise ValueError("broken")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"bare"})


class Wsgi:
    """The same in WSGI."""

    name = "bare"

    def __call__(self, environ: Json, start_response: Any) -> Iterator[bytes]:
        if environ["PATH_INFO"] == "/fail":
            raise ValueError("broken")
        if environ["PATH_INFO"] == "/page":
            try:
                raise KeyError("made into a page")
            except KeyError:
                start_response("500 Oops", [], sys.exc_info())
                return iter([b"sorry"])
        start_response("200 OK", [])
        return iter([b"ba", b"re"])


async def over_asgi(app: Any, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as caller:
        return await caller.get(path)


async def over_wsgi(app: Any, path: str) -> httpx.Response:
    return in_wsgi(app, path)


def in_wsgi(app: Any, path: str, raise_app_exceptions: bool = True) -> httpx.Response:
    transport = httpx.WSGITransport(app, raise_app_exceptions)
    with httpx.Client(transport=transport, base_url="http://app.test") as caller:
        return caller.get(path)


BOTH = pytest.mark.parametrize(("wrap", "made", "get"), [(brakit.asgi, Asgi, over_asgi), (brakit.wsgi, Wsgi, over_wsgi)])


@BOTH
async def test_a_bare_app(client: Client, events: Events, wrap: Any, made: Any, get: Any) -> None:
    app = wrap(wrap(made()))
    assert app.name == "bare"
    assert (await get(app, "/any?a=1")).text == "bare"
    [request] = events("request")
    data = request["data"]
    assert (data["url"], data["statusCode"], data["responseSize"]) == ("/any?a=1", 200, 4)
    assert not {"route", "framework"} & data.keys()


@BOTH
async def test_its_failure(client: Client, events: Events, wrap: Any, made: Any, get: Any) -> None:
    with pytest.raises(ValueError, match="broken"):
        await get(wrap(made()), "/fail")
    error, request = (event for event in events() if event["type"] in ("error", "request"))
    assert (error["data"]["name"], error["data"]["mechanism"]) == ("ValueError", "asgi" if made is Asgi else "wsgi")
    assert error["parentId"] == request["id"]
    assert request["data"]["statusCode"] == 500


def test_a_page_made_of_a_failure(client: Client, events: Events) -> None:
    assert in_wsgi(brakit.wsgi(Wsgi()), "/page", raise_app_exceptions=False).text == "sorry"
    error, request = (event for event in events() if event["type"] in ("error", "request"))
    assert (error["data"]["name"], error["data"]["handled"], error["parentId"]) == ("KeyError", False, request["id"])
    assert (request["data"]["statusCode"], request["data"]["responseSize"]) == (500, 5)


async def test_around_a_framework_it_is_one_request(client: Client, events: Events) -> None:
    starlette = Starlette(routes=[Route("/a/{b}", lambda request: PlainTextResponse("a"))])
    app = flask.Flask("app")
    app.add_url_rule("/a/<b>", view_func=lambda b: "a")
    await over_asgi(brakit.asgi(starlette), "/a/1")
    await over_wsgi(brakit.wsgi(app), "/a/1")
    assert [(event["data"]["route"], event["data"]["framework"]) for event in events("request")] == [
        ("/a/{b}", "starlette"),
        ("/a/<b>", "flask"),
    ]


@BOTH
async def test_switched_off_it_is_the_app_itself(monkeypatch: pytest.MonkeyPatch, wrap: Any, made: Any, get: Any) -> None:
    monkeypatch.setattr(brakit.client, "_client", None)
    app = made()
    assert wrap(app) is app


@BOTH
async def test_after_shutdown_it_hands_on(client: Client, events: Events, wrap: Any, made: Any, get: Any) -> None:
    app = wrap(made())
    client.shutdown(0)
    assert (await get(app, "/")).text == "bare"
    assert events() == []


@BOTH
def test_no_app_is_handed_back(client: Client, wrap: Any, made: Any, get: Any) -> None:
    assert wrap(None) is None
