"""`starlette.py`: real Starlette and FastAPI apps, in the process and in uvicorn."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import logging
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

import fastapi
import httpx
import pytest
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from brakit import context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

log = logging.getLogger("app")


async def get(app: Any, url: str, method: str = "GET", raise_app_exceptions: bool = False, **given: Any) -> httpx.Response:
    """One call of an app, without a server."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=raise_app_exceptions)
    async with httpx.AsyncClient(transport=transport, base_url="http://app.test") as client:
        return await client.request(method, url, **given)


def plain(request: Any) -> Response:
    return PlainTextResponse("plain")


async def data_of(events: Events, app: Any, url: str, method: str = "GET", **given: Any) -> Json:
    await get(app, url, method, **given)
    [event] = events("request")
    data: Json = event["data"]
    return data


def shop() -> fastapi.FastAPI:
    """An app with a bit of everything that has routes."""
    inner = fastapi.APIRouter(prefix="/inner")
    outer = fastapi.APIRouter(prefix="/outer")
    sub = fastapi.FastAPI()
    app = fastapi.FastAPI()

    @app.get("/orders/{id}")
    @inner.get("/orders/{id}")
    @sub.get("/orders/{id}")
    def order(id: int) -> Json:
        return {"id": id}

    inner.add_route("/plain/{name}", plain)
    outer.include_router(inner)
    sub.include_router(inner)
    app.include_router(outer, prefix="/api")
    app.include_router(inner, prefix="/again")
    app.mount("/sub", sub)
    app.mount("/files", StaticFiles(directory="."))
    app.mount(
        "/tenants/{tenant}", Starlette(routes=[Route("/users/{user:int}", plain), Mount("/deep", routes=[Route("/", plain)])])
    )
    app.host("docs.test", Starlette(routes=[Route("/page", plain)]))
    return app


@pytest.mark.parametrize(
    ("url", "route"),
    [
        ("/orders/1", "/orders/{id}"),
        ("/api/outer/inner/orders/1", "/api/outer/inner/orders/{id}"),
        ("/again/inner/orders/1", "/again/inner/orders/{id}"),
        ("/again/plain/x", "/again/plain/{name}"),
        ("/sub/orders/1", "/sub/orders/{id}"),
        ("/sub/inner/orders/1", "/sub/inner/orders/{id}"),
        ("/files/nothing.txt", "/files"),
        ("/tenants/a/users/1", "/tenants/{tenant}/users/{user:int}"),
        ("/tenants/a/deep/", "/tenants/{tenant}/deep/"),
        ("http://docs.test/page", "/page"),
        ("/openapi.json", "/openapi.json"),
        ("/orders/x", "/orders/{id}"),
        ("/nothing", None),
        ("/sub/nothing", None),
        ("/tenants/a/nothing", None),
        ("/again/inner/nothing", None),
    ],
)
async def test_routes(client: Client, events: Events, url: str, route: str | None) -> None:
    data = await data_of(events, shop(), url)
    assert data.get("route") == route
    assert data["framework"] == "fastapi"


async def test_a_method_that_the_route_does_not_take(client: Client, events: Events) -> None:
    data = await data_of(events, shop(), "/orders/1", "DELETE")
    assert (data["statusCode"], data["route"]) == (405, "/orders/{id}")


async def test_starlette_by_itself(client: Client, events: Events) -> None:
    app = Starlette(routes=[Route("/a/{b}", plain), Mount("/m", routes=[Route("/{c:path}", plain)])])
    data = await data_of(events, app, "/a/x?q=1")
    assert (data["framework"], data["route"], data["url"], data["responseBody"]) == ("starlette", "/a/{b}", "/a/x?q=1", "plain")
    assert (await data_of(events, app, "/m/x/y"))["route"] == "/m/{c:path}"


async def test_middleware_that_makes_a_new_scope(client: Client, events: Events) -> None:
    def around(app: Any) -> Any:
        async def call(scope: Json, receive: Any, send: Any) -> None:
            await app({**scope}, receive, send)

        return call

    inner = Starlette(routes=[Route("/a/{b}", plain)])
    data = await data_of(events, Starlette(routes=[Mount("/m", around(inner))]), "/m/a/1")
    assert data["route"] == "/m/a/{b}"


async def test_a_preflight(client: Client, events: Events) -> None:
    app = shop()
    app.add_middleware(CORSMiddleware, allow_origins=["http://web.test"])
    headers = {"origin": "http://web.test", "access-control-request-method": "GET"}
    data = await data_of(events, app, "/orders/1", "OPTIONS", headers=headers)
    assert (data["method"], data["statusCode"]) == ("OPTIONS", 200)
    assert data["responseHeaders"]["access-control-allow-origin"] == "http://web.test"
    assert "route" not in data


async def test_gzip(client: Client, events: Events) -> None:
    def long(request: Any) -> Response:
        return PlainTextResponse("long " * 1000)

    app = Starlette(routes=[Route("/", long)], middleware=[Middleware(GZipMiddleware)])
    data = await data_of(events, app, "/", headers={"accept-encoding": "gzip"})
    assert data["responseHeaders"]["content-encoding"] == "gzip"
    assert data["responseSize"] < 500
    assert data["responseBody"] == "long " * 1000
    assert len(gzip.compress(data["responseBody"].encode())) < 500


async def test_a_401_of_outer_middleware(client: Client, events: Events) -> None:
    class Guard:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Json, receive: Any, send: Any) -> None:
            await JSONResponse({"detail": "who are you?"}, 401)(scope, receive, send)

    app = shop()
    app.add_middleware(Guard)
    data = await data_of(events, app, "/orders/1")
    assert (data["statusCode"], data["responseBody"]) == (401, '{"detail":"who are you?"}')


@pytest.mark.parametrize("debug", [False, True])
async def test_an_unhandled_exception(client: Client, events: Events, debug: bool) -> None:
    error = ValueError("broken")

    def fail(request: Any) -> Response:
        raise error

    app = Starlette(debug=debug, routes=[Mount("/m", Starlette(routes=[Route("/fail", fail)]))])
    with pytest.raises(ValueError, match="broken") as raised:
        await get(app, "/m/fail", raise_app_exceptions=True)
    assert raised.value is error
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith("/_asgi.py")]
    assert len(ours) == 2, "one for each app"
    failure, request = (event for event in events() if event["type"] in ("error", "request"))
    assert (failure["data"]["mechanism"], failure["data"]["handled"]) == ("starlette", False)
    assert failure["data"]["callsite"]["function"].endswith("fail")
    assert failure["parentId"] == request["id"]
    assert (request["data"]["statusCode"], request["data"]["route"]) == (500, "/m/fail")
    assert request["data"]["responseHeaders"]["content-type"].startswith("text/plain")
    assert request["data"]["responseSize"] > 0
    assert context.current() is None


async def test_handled_exceptions_are_no_errors(client: Client, events: Events) -> None:
    class TeapotError(Exception):
        pass

    app = fastapi.FastAPI()

    @app.get("/{what}")
    def fail(what: str) -> None:
        if what == "http":
            raise fastapi.HTTPException(503, "later")
        raise TeapotError

    @app.exception_handler(TeapotError)
    def teapot(request: Any, error: TeapotError) -> Response:
        return PlainTextResponse("short and stout", 500)

    await get(app, "/http")
    await get(app, "/teapot")
    assert [event["data"]["statusCode"] for event in events() if event["type"] != "fetch"] == [503, 500]


async def test_a_500_handler_of_the_apps(client: Client, events: Events) -> None:
    app = fastapi.FastAPI()

    @app.get("/")
    def fail() -> None:
        raise ValueError("broken")

    @app.exception_handler(Exception)
    def sorry(request: Any, error: Exception) -> Response:
        return JSONResponse({"sorry": True}, 500)

    await get(app, "/")
    failure, request = (event for event in events() if event["type"] in ("error", "request"))
    assert failure["type"] == "error"
    assert request["data"]["responseBody"] == '{"sorry":true}'


async def test_validation(client: Client, events: Events) -> None:
    app = fastapi.FastAPI()

    @app.post("/things")
    def things(thing: dict[str, int]) -> None:
        return

    data = await data_of(events, app, "/things", "POST", content=b'{"a":"x"}', headers={"content-type": "application/json"})
    assert (data["statusCode"], data["requestBody"], data["requestSize"]) == (422, '{"a":"x"}', 9)
    assert "valid integer" in data["responseBody"]


async def test_an_upload_that_the_view_does_not_read(client: Client, events: Events) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    data = await data_of(events, Starlette(routes=[Route("/", plain, methods=["POST"])]), "/", "POST", content=body())
    assert "requestSize" not in data
    assert "requestBody" not in data


async def test_kinds_of_answers(client: Client, events: Events, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<h1>page</h1>")
    app = Starlette(
        routes=[
            Route("/empty", lambda request: Response(status_code=204)),
            Route("/away", lambda request: RedirectResponse("/plain")),
            Route("/file", lambda request: FileResponse(tmp_path / "page.html")),
            Route("/plain", plain),
        ]
    )
    await get(app, "/empty")
    await get(app, "/away")
    await get(app, "/file")
    await get(app, "/plain", "HEAD")
    await get(app, "/plain/")
    found = [(e["data"]["method"], e["data"]["statusCode"], e["data"]["responseSize"]) for e in events("request")]
    assert found == [("GET", 204, 0), ("GET", 307, 0), ("GET", 200, 13), ("HEAD", 200, 0), ("GET", 307, 0)]


async def test_base_http_middleware(client: Client, events: Events) -> None:
    async def dispatch(request: Any, following: Any) -> Response:
        log.warning("before")
        response: Response = await following(request)
        response.headers["x-after"] = "1"
        return response

    def view(request: Any) -> Response:
        log.warning("inside")
        return PlainTextResponse("x", background=BackgroundTask(log.warning, "after"))

    app = Starlette(routes=[Route("/{a}", view)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch)])
    await get(app, "/1")
    seen = [event for event in events() if event["type"] != "fetch"]
    [request] = [event for event in seen if event["type"] == "request"]
    assert (request["data"]["route"], request["data"]["responseHeaders"]["x-after"]) == ("/{a}", "1")
    [job] = [event for event in seen if event["type"] == "job"]
    assert {event["data"]["message"]: event["parentId"] for event in seen if event["type"] == "log"} == {
        "before": request["id"],
        "inside": request["id"],
        "after": job["id"],
    }


async def test_lifespan_is_untouched(client: Client, events: Events) -> None:
    given: list[Any] = []

    async def app(self: Any, *args: Any) -> None:
        given.extend(args)

    class Own(Starlette):
        pass

    starlette = Own()
    starlette.middleware_stack = lambda *args: app(None, *args)
    scope, receive, send = {"type": "lifespan"}, object(), object()
    await starlette(scope, receive, send)  # type: ignore[arg-type]
    assert given[-3] is scope
    assert given[-2:] == [receive, send]
    assert events() == []


def test_a_client_that_leaves_an_event_stream(
    client: Client, serve: Callable[..., str], collect: Callable[..., list[Json]]
) -> None:
    closed = threading.Event()

    async def ticks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    async def view(request: Any) -> Response:
        return StreamingResponse(ticks(), media_type="text/event-stream")

    url = serve(Starlette(routes=[Route("/events", view)]))
    with httpx.stream("GET", url + "/events") as response:
        next(response.iter_raw())
    assert closed.wait(10)
    [request] = collect("request")
    assert (request["data"]["statusCode"], request["data"]["cancelled"]) == (200, True)
    assert request["data"]["responseBody"].startswith("data: tick\n\n")


def test_fifty_at_a_time_keep_their_own(client: Client, serve: Callable[..., str], collect: Callable[..., list[Json]]) -> None:
    app = fastapi.FastAPI()

    def work(number: int, sync: bool = True) -> None:
        log.warning("%d in %s", number, "a thread" if sync else "the loop")

    @app.get("/async/{number}")
    async def coroutine(number: int, tasks: fastapi.BackgroundTasks) -> int:
        work(number, False)
        await asyncio.sleep(0.01)
        await asyncio.to_thread(work, number)
        await asyncio.get_running_loop().run_in_executor(None, work, number)
        await asyncio.create_task(asyncio.to_thread(work, number))
        tasks.add_task(work, number)
        return number

    @app.get("/def/{number}")
    def function(number: int, tasks: fastapi.BackgroundTasks) -> int:
        for _ in range(4):
            work(number)
            time.sleep(0.005)
        tasks.add_task(work, number)
        return number

    url = serve(app)

    async def drive() -> None:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(limits=limits, timeout=30) as caller:
            paths = [f"{url}/{('async', 'def')[number % 2]}/{number}" for number in range(200)]
            answers = await asyncio.gather(*[caller.get(path) for path in paths])
        assert [answer.json() for answer in answers] == list(range(200))

    asyncio.run(drive())
    requests = {event["id"]: event["data"]["path"].rpartition("/")[2] for event in collect("request", 200)}
    logs = collect("log", 1000)
    jobs = {event["id"]: event["parentId"] for event in collect("job", 200)}
    causes = [(jobs.get(event["parentId"], event["parentId"]), event) for event in logs]
    assert [event for cause, event in causes if requests[cause] != event["data"]["message"].partition(" ")[0]] == []
    assert len({event["parentId"] for event in logs}) == 400


async def test_a_request_by_hand_inside_a_request_is_one_of_its_own(client: Client, events: Events) -> None:
    async def view(request: Any) -> Response:
        log.warning("before")
        await get(Starlette(routes=[Route("/", plain)]), "/")
        log.warning("after")
        return PlainTextResponse("x")

    await get(Starlette(routes=[Route("/", view)]), "/")
    seen = events()
    inner, outer = (event for event in seen if event["type"] == "request")
    assert inner["id"] != outer["id"]
    assert {event["parentId"] for event in seen if event["type"] == "log"} == {outer["id"]}


def test_the_call_keeps_its_looks_and_comes_back(environ: dict[str, str]) -> None:
    from brakit.activation import Decision
    from brakit.client import Client
    from brakit.config import Config

    original = Starlette.__dict__["__call__"]
    signature = inspect.signature(Starlette.__call__)
    client = Client(Config(environ), Decision(True, "on: for a test"))
    client.buffer.wake = lambda: None
    client.start()
    patched = Starlette.__dict__["__call__"]
    assert patched is not original
    assert inspect.signature(patched) == signature
    assert inspect.iscoroutinefunction(patched)
    assert (patched.__name__, patched.__qualname__, patched.__module__) == ("__call__", "Starlette.__call__", original.__module__)
    client.shutdown(0.0)
    assert Starlette.__dict__["__call__"] is original
    assert client.failures.counts == {}


def test_the_framework_of_the_process(client: Client, events: Events) -> None:
    client.framework = "starlette"
    asyncio.run(get(shop(), "/orders/1"))
    assert client.framework == "fastapi"


@pytest.mark.failures
@pytest.mark.parametrize("place", ["begin", "note_received", "note_sent", "Exchange.complete", "Exchange.end", "Exchange.caught"])
async def test_whatever_fails_of_ours_the_answer_is_the_same(client: Client, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    app = shop()

    @app.post("/echo")
    async def echo(request: fastapi.Request) -> Response:
        if not await request.body():
            raise ValueError("broken")
        return PlainTextResponse(await request.body(), headers={"x-a": "b"})

    async def both() -> list[tuple[int, Any, bytes]]:
        answers = [await get(app, "/echo", "POST", content=content) for content in (b"x" * 20_000, b"")]
        return [(answer.status_code, answer.headers, answer.content) for answer in answers]

    expected = await both()

    def fail(*args: Any) -> None:
        raise RuntimeError("ours")

    # Its code, for some have been taken hold of already.
    monkeypatch.setattr(f"brakit.instrumentations._asgi.{place}.__code__", fail.__code__)
    assert await both() == expected
    assert any(name.startswith("asgi.") for name in client.failures.counts)
    assert context.current() is None
