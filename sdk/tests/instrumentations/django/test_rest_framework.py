"""`rest_framework.py`: authentication and permissions of real views of Django REST framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = dict[str, Any]
    Run = Callable[..., list[Json]]

ASK = """
import base64
from rest_framework.test import APIClient
client = APIClient(raise_request_exception=False)
def ask(url, status, **headers):
    response = client.get(url, **headers)
    assert response.status_code == status, (url, response.status_code, response.content)
def basic(name, password):
    return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}
ask("/api/authors/", 401)
ask("/api/authors/", 401, **basic("ann", "wrong"))
ask("/api/authors/1/", 200, **basic("ann", "secret"))
ask("/api/authors/1/books/", 200, HTTP_ACCEPT="text/html", **basic("ann", "secret"))
ask("/api/open/", 200)
ask("/api/broken/", 500)
User.objects.filter(username="ann").update(is_staff=True)
ask("/api/authors/1/", 403, **basic("ann", "secret"))
client.force_authenticate(User.objects.get(username="bob"))
ask("/api/authors/1/", 200)
"""
WHAT = "(IsAuthenticated and not Staff)"
SEEN = [
    [("rest_framework", "anonymous"), (WHAT, "denied")],
    [("django", "denied"), ("rest_framework", "denied")],
    [("BasicAuthentication", "allowed"), (WHAT, "allowed"), (WHAT, "allowed")],
    [("BasicAuthentication", "allowed"), (WHAT, "allowed")],
    [],
    [("rest_framework", "anonymous")],
    [("BasicAuthentication", "allowed"), (WHAT, "denied")],
    [("ForcedAuthentication", "allowed"), (WHAT, "allowed"), (WHAT, "allowed")],
]


def test_checks_of_views(run: Run) -> None:
    events = run(ASK)
    requests = [event for event in events if event["type"] == "request"]
    seen = []
    for request in requests:
        own = [e for e in events if e["type"] == "auth.check" and e.get("parentId") == request["id"]]
        # In the order of their end: authentication lies around what Django's own backend says.
        own = [e["data"] for e in own]
        seen.append([(d["checked"] if "(" in d.get("checked", "") else d["provider"], d["result"]) for d in own])
    assert seen == SEEN
    [error] = [event for event in events if event["type"] == "error"]
    assert (error["data"]["name"], error["parentId"]) == ("ValueError", requests[5]["id"])
    assert "secret" not in str([event for event in events if event["type"] == "auth.check"])
    routes = [request["data"]["route"] for request in requests]
    assert routes[:4] == ["/api/authors/", "/api/authors/", "/api/authors/<pk>/", "/api/authors/<pk>/books/"]
    queries = [event for event in events if event["type"] == "db.query" and event.get("parentId") == requests[2]["id"]]
    assert [event["data"]["table"] for event in queries] == ["auth_user", "shop_author"]
