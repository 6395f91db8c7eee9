"""`django.py`: requests of a real project, behind waitress and uvicorn and from the test client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = dict[str, Any]
    Run = Callable[..., list[Json]]

ROUTES = [
    ("/orders/1/?q=1", 200, "/orders/<int:id>/"),
    ("/class/x/", 200, "/class/<slug:id>/"),
    ("/admin/orders/2/", 200, "/admin/orders/<int:id>/"),
    ("/old/1999/", 200, "/old/<year>/page-<var>/"),
    ("/old/1999/page-3/", 200, "/old/<year>/page-<var>/"),
    ("/nothing/", 404, None),
    ("/early", 401, None),
    ("/refuse/", 403, "/refuse/"),
    ("/static/page.txt", 200, None),
    ("/api/authors/", 401, "/api/authors/"),
    ("/api/authors/1/books/", 401, "/api/authors/<pk>/books/"),
    ("/api/authors/1.json", 401, "/api/authors/<pk>.<format>/"),
    ("/api/open/", 200, "/api/open/"),
]


def of(events: list[Json], kind: str, parent: Json | None = None) -> list[Json]:
    return [event for event in events if event["type"] == kind and (parent is None or event.get("parentId") == parent["id"])]


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_what_servers_are_asked(serve: Callable[..., Any], kind: str) -> None:
    site = serve(kind)
    for url, status, _ in ROUTES:
        assert site.http.get(url).status_code == status, url
    assert site.http.head("/orders/1/").status_code == 200
    assert site.http.post("/echo/", content=b"a body").content == b"a body"
    assert site.http.get("/fail/").text == "our own page"
    assert site.http.get("/api/broken/").status_code == 500
    assert len(site.http.get("/stream/").content) == 400
    assert site.http.get("/astream/").text == "0 1 2 "
    assert site.http.get("/aauthors/").json()["first"] == "a1"
    assert len(site.http.get("/authors/").json()["names"]) == 10
    events = site.stop()
    requests = of(events, "request")
    seen = [(e["data"]["url"], e["data"]["statusCode"], e["data"].get("route")) for e in requests]
    assert seen[: len(ROUTES)] == ROUTES
    head, echo, fail, broken, stream, astream, aauthors, authors = requests[len(ROUTES) :]
    assert {event["data"]["framework"] for event in requests} == {"django"}
    assert (head["data"]["method"], head["data"]["responseSize"]) == ("HEAD", 0)
    assert (echo["data"]["requestBody"], echo["data"]["responseBody"]) == ("a body", "a body")
    logged = [event for event in of(events, "log", stream) if event["data"]["logger"] == "shop"]
    assert (stream["data"]["responseSize"], len(logged)) == (400, 100)
    assert [e["data"]["table"] for e in of(events, "db.query", astream)] == ["shop_author"] * 3
    assert [e["data"]["rowCount"] for e in of(events, "db.query", aauthors)] == [10, 1]
    assert {e["data"]["callsite"]["function"] for e in of(events, "db.query", aauthors)} == {"aauthors"}
    assert [e["data"]["rowCount"] for e in of(events, "db.query", authors)] == [10]
    errors = of(events, "error")
    assert [(e["parentId"], e["data"]["name"], e["data"]["mechanism"]) for e in errors] == [
        (fail["id"], "ValueError", "django"),
        (broken["id"], "ValueError", "django"),
    ]
    assert errors[0]["data"]["callsite"]["function"] == "fail"
    assert "our own page" in fail["data"]["responseBody"]


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_forty_at_a_time_keep_their_own(serve: Callable[..., Any], kind: str) -> None:
    site = serve(kind)

    async def drive() -> None:
        limits = httpx.Limits(max_connections=40)
        async with httpx.AsyncClient(base_url=site.http.base_url, limits=limits, timeout=30) as caller:
            urls = [f"/{name}/{number}/" for number in range(1, 31) for name in ("marked", "amarked")]
            answers = await asyncio.gather(*[caller.get(url) for url in urls])
        assert {answer.status_code for answer in answers} == {200}

    asyncio.run(drive())
    events = site.stop()
    requests = {event["id"]: event["data"]["path"].split("/") for event in of(events, "request")}
    assert len(requests) == 60
    logs = of(events, "log")
    logs = [event for event in logs if event["data"]["logger"] == "shop"]
    assert len(logs) == 60
    assert [event for event in logs if requests[event["parentId"]][2] != event["data"]["message"]] == []
    queries = [event for event in of(events, "db.query") if event["data"]["table"].startswith("shop_")]
    assert len(queries) == 120
    functions = [(requests[e["parentId"]][1], e["data"]["callsite"]["function"]) for e in queries]
    assert {pair: functions.count(pair) for pair in functions} == {("marked", "marked"): 60, ("amarked", "amarked"): 60}


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_the_page_of_the_debug_mode(serve: Callable[..., Any], kind: str) -> None:
    site = serve(kind, DEBUG="1")
    page = site.http.get("/fail/")
    assert page.status_code == 500
    assert "ValueError" in page.text
    # No frame of ours stands in what it shows of the failure.
    assert "brakit/" not in page.text.partition("Request information")[0].partition("Python Path")[0] or kind == "asgi"
    assert site.http.get("/nothing/").status_code == 404
    events = site.stop()
    assert [e["data"]["name"] for e in of(events, "error")] == ["ValueError"]
    assert [(e["data"]["statusCode"], e["data"].get("route")) for e in of(events, "request")] == [(500, "/fail/"), (404, None)]


TEST_CLIENT = """
import asyncio
from django.test import AsyncClient, Client
client = Client()
assert client.post("/echo/", data=b"a body", content_type="text/plain").content == b"a body"
assert b"".join(client.get("/stream/")) == b"".join(b"%04d" % n for n in range(100))
assert client.get("/orders/1/", SCRIPT_NAME="/prefix").status_code == 200
seen = None
try:
    client.get("/fail/")
except ValueError as error:
    seen = error
import traceback
names = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(seen.__traceback__)]
assert str(seen) == "broken" and seen.__context__ is None
assert sum("brakit" in name and "pytest" not in name for name in names) <= 1, names
assert context.current() is None
async def main():
    client = AsyncClient()
    assert (await client.get("/aauthors/")).status_code == 200
    assert (await client.get("/orders/1/?q=1")).status_code == 200
    assert context.current() is None
asyncio.run(main())
"""


def test_the_test_client(run: Run) -> None:
    events = run(TEST_CLIENT)
    requests = of(events, "request")
    assert [(e["data"]["url"], e["data"]["statusCode"], e["data"]["route"]) for e in requests] == [
        ("/echo/", 200, "/echo/"),
        ("/stream/", 200, "/stream/"),
        ("/prefix/orders/1/", 200, "/prefix/orders/<int:id>/"),
        ("/fail/", 500, "/fail/"),
        ("/aauthors/", 200, "/aauthors/"),
        ("/orders/1/?q=1", 200, "/orders/<int:id>/"),
    ]
    assert requests[0]["data"]["requestBody"] == requests[0]["data"]["responseBody"] == "a body"
    assert (requests[1]["data"]["responseSize"], len(of(events, "log", requests[1]))) == (400, 100)
    assert [(e["data"]["name"], e["parentId"]) for e in of(events, "error")] == [("ValueError", requests[3]["id"])]
    assert len(of(events, "db.query", requests[4])) == 2


PROPAGATED = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory
settings.DEBUG_PROPAGATE_EXCEPTIONS = True
app = get_wsgi_application()
raised = ValueError("the very same")
from shop import views
def reraise(request):
    raise raised
from django.urls import path
views_urls = type(sys)("views_urls")
views_urls.urlpatterns = [path("boom/", reraise)]
sys.modules["views_urls"] = views_urls
settings.ROOT_URLCONF = "views_urls"
seen = None
try:
    app(RequestFactory().get("/boom/").environ, lambda *_: None)
except ValueError as error:
    seen = error
assert seen is raised
settings.ROOT_URLCONF = "shop.urls"
from django.urls import clear_url_caches
clear_url_caches()
answer = app(RequestFactory().get("/orders/1/").environ, lambda *_: None)
assert (answer.status_code, answer.headers["Content-Type"], bytes(answer)[-9:]) == (200, "application/json", b'{"id": 1}')
assert not hasattr(answer, "__len__")
answer.close()
assert context.current() is None
"""


def test_what_is_let_through_is_the_very_same_and_recorded_once(run: Run) -> None:
    events = run(PROPAGATED)
    request, _ = of(events, "request")
    [error] = of(events, "error")
    assert (error["parentId"], error["data"]["message"]) == (request["id"], "the very same")
    assert (request["data"]["statusCode"], request["data"]["route"]) == (500, "/boom/")
