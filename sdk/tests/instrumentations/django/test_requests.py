"""`django.py`: requests of a real project, behind waitress and uvicorn and from the test client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = dict[str, Any]

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
    assert site.http.get("/aauthors/").json()["first"] == "a1"
    events = site.stop()
    requests = [event for event in events if event["type"] == "request"]
    seen = [(e["data"]["url"], e["data"]["statusCode"], e["data"].get("route")) for e in requests]
    assert seen[: len(ROUTES)] == ROUTES
    head, echo, fail, broken, stream, _ = requests[len(ROUTES) :]
    assert {event["data"]["framework"] for event in requests} == {"django"}
    assert (head["data"]["method"], head["data"]["responseSize"]) == ("HEAD", 0)
    assert (echo["data"]["requestBody"], echo["data"]["responseBody"]) == ("a body", "a body")
    assert stream["data"]["responseSize"] == 400
    errors = [event for event in events if event["type"] == "error"]
    assert [(e["parentId"], e["data"]["name"], e["data"]["mechanism"]) for e in errors] == [
        (fail["id"], "ValueError", "django"),
        (broken["id"], "ValueError", "django"),
    ]
    assert errors[0]["data"]["callsite"]["function"] == "fail"
