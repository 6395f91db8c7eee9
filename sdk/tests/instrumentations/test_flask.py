"""`flask.py`: real Flask apps, in the process and in waitress."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import flask
import httpx
import pytest
import werkzeug.exceptions
from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from brakit import context

with warnings.catch_warnings():
    # Its successor is a package of its own; what it does to an app is the same.
    warnings.simplefilter("ignore")
    from starlette.middleware.wsgi import WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

log = logging.getLogger("app")


def shop() -> flask.Flask:
    """An app with a bit of everything."""
    app = flask.Flask("shop")
    admin = flask.Blueprint("admin", __name__, url_prefix="/admin")

    @app.get("/orders/<int:id>")
    @admin.get("/orders/<int:id>")
    def order(id: int) -> Json:
        log.warning("in the view")
        return {"id": id}

    @app.get("/fail")
    def fail() -> str:
        raise ValueError("broken")

    @app.get("/abort/<int:code>")
    def abort(code: int) -> str:
        flask.abort(code)

    @app.get("/stream")
    def stream() -> flask.Response:
        def chunks() -> Iterator[str]:
            for number in range(1000):
                log.warning("streaming")
                yield f"{number:04}"

        return flask.Response(flask.stream_with_context(chunks()), mimetype="text/plain")

    @app.post("/half")
    def half() -> str:
        return str(len(flask.request.stream.read(500)))

    @app.post("/unread")
    def unread() -> str:
        return "did not look"

    @app.post("/form")
    def form() -> Json:
        return dict(flask.request.form)

    @app.get("/empty")
    def empty() -> tuple[str, int]:
        return "", 204

    @app.get("/away")
    def away() -> Any:
        return flask.redirect("/orders/1")

    app.register_blueprint(admin)
    return app


def data_of(events: Events, app: flask.Flask, url: str, method: str = "GET", **given: Any) -> Json:
    app.test_client().open(url, method=method, buffered=True, **given)
    [event] = events("request")
    data: Json = event["data"]
    return data


@pytest.mark.parametrize(
    ("url", "status", "route"),
    [
        ("/orders/1?q=1", 200, "/orders/<int:id>"),
        ("/admin/orders/1", 200, "/admin/orders/<int:id>"),
        ("/static/nothing.css", 404, "/static/<path:filename>"),
        ("/nothing", 404, None),
        ("/abort/404", 404, "/abort/<int:code>"),
        ("/abort/503", 503, "/abort/<int:code>"),
        ("/empty", 204, "/empty"),
        ("/away", 302, "/away"),
    ],
)
def test_routes(client: Client, events: Events, url: str, status: int, route: str | None) -> None:
    shop().test_client().get(url, buffered=True)
    seen = events()
    [request] = [event for event in seen if event["type"] == "request"]
    data = request["data"]
    assert (data["url"], data["statusCode"], data.get("route"), data["framework"]) == (url, status, route, "flask")
    assert [event for event in seen if event["type"] == "error"] == []
    assert {event["parentId"] for event in seen if event["type"] == "log"} <= {request["id"]}
    assert context.current() is None


def test_a_head_request(client: Client, events: Events) -> None:
    data = data_of(events, shop(), "/orders/1", "HEAD")
    assert (data["method"], data["statusCode"], data["responseSize"]) == ("HEAD", 200, 0)


def test_header_names_are_lower_case(client: Client, events: Events) -> None:
    app = shop()

    @app.after_request
    def cookie(response: flask.Response) -> flask.Response:
        response.set_cookie("session", "s3cret-value", httponly=True, samesite="Lax")
        response.headers["X-After"] = "1"
        return response

    data = data_of(events, app, "/orders/1", headers={"X-Before": "1"})
    assert data["headers"]["x-before"] == "1"
    assert data["responseHeaders"]["x-after"] == "1"
    assert [(c["name"], c["httpOnly"], c["sameSite"]) for c in data["cookies"]] == [("session", True, "lax")]
    assert "s3cret-value" not in str(data)


@pytest.mark.parametrize("mode", ["plain", "debug", "testing", "propagate"])
def test_an_unhandled_exception(client: Client, events: Events, mode: str) -> None:
    app = shop()
    app.debug = mode == "debug"
    app.testing = mode == "testing"
    if mode == "propagate":
        app.config["PROPAGATE_EXCEPTIONS"] = True
    if mode == "plain":
        assert app.test_client().get("/fail", buffered=True).status_code == 500
    else:
        with pytest.raises(ValueError, match="broken") as raised:
            app.test_client().get("/fail", buffered=True)
        ours = [frame for frame in traceback.extract_tb(raised.value.__traceback__) if "/src/brakit/" in frame.filename]
        assert len(ours) == 1
    seen = events()
    failure, request = (event for event in seen if event["type"] in ("error", "request"))
    assert (failure["data"]["name"], failure["data"]["mechanism"], failure["data"]["handled"]) == ("ValueError", "flask", False)
    assert failure["data"]["callsite"]["function"].endswith("fail")
    assert "in shop.<locals>.fail" in failure["data"]["stack"] or "in fail" in failure["data"]["stack"]
    assert failure["parentId"] == request["id"]
    assert (request["data"]["statusCode"], request["data"]["route"]) == (500, "/fail")
    assert context.current() is None
    log.warning("afterwards")
    assert "parentId" not in events("log")[0]


def test_a_handled_exception_is_no_error(client: Client, events: Events) -> None:
    app = shop()

    @app.errorhandler(ValueError)
    def sorry(error: ValueError) -> tuple[str, int]:
        return "sorry", 500

    assert data_of(events, app, "/fail")["responseBody"] == "sorry"
    app.test_client().get("/fail", buffered=True)
    assert events("error") == []


def test_a_500_handler_of_the_apps(client: Client, events: Events) -> None:
    app = shop()

    @app.errorhandler(500)
    def sorry(error: werkzeug.exceptions.InternalServerError) -> tuple[str, int]:
        return "sorry", 500

    app.test_client().get("/fail", buffered=True)
    failure, request = (event for event in events() if event["type"] in ("error", "request"))
    assert failure["data"]["name"] == "ValueError"
    assert request["data"]["responseBody"] == "sorry"


def test_an_exception_in_teardown(client: Client, events: Events) -> None:
    app = shop()

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        raise KeyError("teardown")

    with pytest.raises(KeyError):
        app.test_client().get("/orders/1", buffered=True)
    failure, request = (event for event in events() if event["type"] in ("error", "request"))
    assert failure["data"]["name"] == "KeyError"
    assert (request["data"]["statusCode"], request["data"]["route"]) == (500, "/orders/<int:id>")
    assert context.current() is None


def test_a_stream(client: Client, events: Events) -> None:
    assert len(shop().test_client().get("/stream", buffered=True).data) == 4000
    seen = events()
    [request] = [event for event in seen if event["type"] == "request"]
    assert request["data"]["responseSize"] == 4000
    logs = [event for event in seen if event["type"] == "log"]
    assert len(logs) == 1000
    assert {event["parentId"] for event in logs} == {request["id"]}


def test_bodies(client: Client, events: Events) -> None:
    app = shop()
    data = data_of(events, app, "/form", "POST", data={"name": "x", "size": "2"})
    assert (data["requestSize"], data["requestBody"]) == (13, "name=x&size=2")
    data = data_of(events, app, "/half", "POST", data=b"x" * 1000)
    assert data["requestSize"] == 500
    data = data_of(events, app, "/unread", "POST", data=b"x" * 1000)
    assert "requestSize" not in data


def test_middleware_inside_is_seen(client: Client, events: Events) -> None:
    app = shop()
    inner = app.wsgi_app

    def guard(environ: Json, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/guarded":
            start_response("401 Unauthorized", [("Content-Type", "text/plain")])
            return [b"who are you?"]
        return inner(environ, start_response)

    app.wsgi_app = ProxyFix(guard, x_for=1, x_proto=1, x_prefix=1)  # type: ignore[method-assign]
    data = data_of(events, app, "/guarded")
    assert (data["statusCode"], data["responseBody"], data["framework"]) == (401, "who are you?", "flask")
    proxied = {"X-Forwarded-For": "10.1.2.3", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/shop"}
    data = data_of(events, app, "/orders/1", headers=proxied)
    assert (data["client"], data["scheme"], data["path"], data["route"]) == ("10.1.2.3", "https", "/orders/1", "/orders/<int:id>")


def test_mounted_apps_are_recorded_once(client: Client, events: Events) -> None:
    app = flask.Flask("outer")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/shop": shop()})  # type: ignore[method-assign]
    data = data_of(events, app, "/shop/orders/1")
    assert (data["statusCode"], data["path"], data["route"]) == (200, "/shop/orders/1", "/shop/orders/<int:id>")
    assert data_of(events, app, "/shop/admin/orders/1")["route"] == "/shop/admin/orders/<int:id>"


async def test_mounted_in_starlette_is_recorded_once(client: Client, events: Events) -> None:
    app = Starlette(routes=[Mount("/old", WSGIMiddleware(shop()))])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as caller:
        assert (await caller.get("/old/orders/1")).json() == {"id": 1}
        await caller.get("/old/fail")
    seen = [event for event in events() if event["type"] in ("request", "error")]
    assert [event["type"] for event in seen] == ["request", "error", "request"]
    assert [e["data"]["route"] for e in seen if e["type"] == "request"] == ["/old/orders/<int:id>", "/old/fail"]
    assert seen[1]["parentId"] == seen[2]["id"]


def test_a_file(client: Client, events: Events, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<h1>page</h1>")
    app = flask.Flask("files")
    app.add_url_rule("/file", view_func=lambda: flask.send_file(tmp_path / "page.html"))
    assert app.test_client().get("/file", buffered=True).data == b"<h1>page</h1>"
    [request] = events("request")
    assert request["data"]["responseSize"] == 13


def test_fifty_at_a_time_keep_their_own(
    client: Client, serve_wsgi: Callable[[Any], str], collect: Callable[..., list[Json]], caplog: pytest.LogCaptureFixture
) -> None:
    # It says that its queue is long; that is no log of the app's.
    caplog.set_level(logging.ERROR, "waitress.queue")
    app = flask.Flask("busy")

    @app.get("/work/<int:number>")
    def work(number: int) -> flask.Response:
        def chunks() -> Iterator[str]:
            for _ in range(3):
                log.warning("%d", number)
                time.sleep(0.002)
                yield f"{number} "

        log.warning("%d", number)
        return flask.Response(chunks())

    url = serve_wsgi(app)

    async def drive() -> None:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=50), timeout=30) as caller:
            answers = await asyncio.gather(*[caller.get(f"{url}/work/{number}") for number in range(100)])
        assert [answer.text for answer in answers] == [f"{number} " * 3 for number in range(100)]

    asyncio.run(drive())
    requests = {event["id"]: event["data"]["path"].rpartition("/")[2] for event in collect("request", 100)}
    logs = collect("log", 400)
    assert [event for event in logs if requests[event["parentId"]] != event["data"]["message"]] == []


def test_the_call_keeps_its_looks_and_comes_back(environ: dict[str, str]) -> None:
    from brakit.activation import Decision
    from brakit.client import Client
    from brakit.config import Config

    before = {name: flask.Flask.__dict__[name] for name in ("__call__", "log_exception", "preprocess_request")}
    signatures = {name: inspect.signature(getattr(flask.Flask, name)) for name in before}
    client = Client(Config(environ), Decision(True, "on: for a test"))
    client.buffer.wake = lambda: None
    client.start()
    assert {name: inspect.signature(getattr(flask.Flask, name)) for name in before} == signatures
    assert all(flask.Flask.__dict__[name] is not original for name, original in before.items())
    client.shutdown(0.0)
    assert all(flask.Flask.__dict__[name] is original for name, original in before.items())
    assert client.failures.counts == {}
