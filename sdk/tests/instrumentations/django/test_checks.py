"""`django.py`: what is checked before somebody may do something, from the decorators and mixins of a real project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = dict[str, Any]
    Run = Callable[..., list[Json]]

VISIT = """
from django.test import Client
from django.core.signals import got_request_exception
client = Client(raise_request_exception=False)
def visit(url, status):
    response = client.get(url)
    assert response.status_code == status, (url, response.status_code, response.content)
def sign_in(name):
    client.logout()
    visit(f"/enter/?name={name}&password=secret", 200)
"""
CHECKS = """
visit("/enter/?name=ann&password=wrong", 403)
visit("/mine/", 302)
visit("/add/", 403)
visit("/class-mine/", 302)
assert not hasattr(__import__("shop.views").views.Mine.as_view(), "__wrapped__")
if django.VERSION >= (5, 1):  # decorators take async views from there on
    visit("/amine/", 302)
sign_in("ann")
visit("/mine/", 200)
if django.VERSION >= (5, 1):
    visit("/amine/", 200)
visit("/a-only/", 200)
visit("/add/", 403)
visit("/class-mine/", 403)
visit("/tested/", 200)
visit("/by-hand/", 200)
visit("/by-hand-many/", 200)
sign_in("bob")
visit("/add/", 200)
visit("/class-mine/", 200)
visit("/a-only/", 302)
visit("/tested/", 403)
visit("/by-hand/", 200)
visit("/api/both/", 404)
visit("/orders/1/", 200)
"""
SEEN = [
    ("/enter/", [("credentials", "denied", "enter")]),
    ("/mine/", [("login_required", "denied", "mine")]),
    ("/add/", [("shop.add_book", "denied", "add")]),
    ("/class-mine/", [("login_required", "denied", "get")]),
    ("/amine/", [("login_required", "denied", None)]),
    ("/enter/", [("login", "allowed", "enter")]),
    ("/mine/", [("login_required", "allowed", "mine")]),
    ("/amine/", [("login_required", "allowed", None)]),
    ("/a-only/", [("user_passes_test", "allowed", "a_only")]),
    ("/add/", [("shop.add_book", "denied", "add")]),
    ("/class-mine/", [("login_required", "allowed", "get"), ("shop.add_book", "denied", "get")]),
    ("/tested/", [("Tested.test_func", "allowed", "get")]),
    ("/by-hand/", [("shop.delete_book", "denied", "by_hand")]),
    ("/by-hand-many/", [("shop.delete_book, shop.add_book", "denied", "by_hand_many")]),
    ("/enter/", [("login", "allowed", "enter")]),
    ("/add/", [("shop.add_book", "allowed", "add")]),
    ("/class-mine/", [("login_required", "allowed", "get"), ("shop.add_book", "allowed", "get")]),
    ("/a-only/", [("user_passes_test", "denied", "a_only")]),
    ("/tested/", [("Tested.test_func", "denied", "get")]),
    ("/by-hand/", [("shop.delete_book", "allowed", "by_hand")]),
    ("/api/both/", [("login_required", "allowed", "get"), ("authentication", "allowed", None)]),
    ("/orders/1/", []),
]


def checks(events: list[Json]) -> list[tuple[str, list[tuple[str, str, str | None]]]]:
    """Path of each request, with what was checked in it, what came out, and which view asked."""
    seen: list[tuple[str, list[tuple[str, str, str | None]]]] = []
    for request in [event for event in events if event["type"] == "request"]:
        own = [e for e in events if e["type"] == "auth.check" and e.get("parentId") == request["id"]]
        own.sort(key=lambda event: event["timestamp"])
        # The class of a method is known from Python 3.11 on.
        views = [e["data"].get("callsite", {"function": ""})["function"].rpartition(".")[2] or None for e in own]
        asked = [(e["data"].get("checked"), e["data"]["result"], view) for e, view in zip(own, views, strict=True)]
        seen.append((request["data"]["path"], asked))
    return seen


def test_every_check_with_its_outcome(run: Run) -> None:
    events = run(VISIT + CHECKS)
    seen = checks(events)
    assert seen == [visit for visit in SEEN if visit[0] != "/amine/" or visit in seen]
    found = [event for event in events if event["type"] == "auth.check"]
    assert {(event["data"]["provider"], event["data"]["subjectKind"]) for event in found} == {
        ("django", "user"),
        ("SessionAuthentication", "user"),
    }
    assert "secret" not in str(found)
    assert "ann" not in str(found)
    # The record of a check is out before the view that it let pass goes on.
    [counted] = [index for index, e in enumerate(events) if e["type"] == "db.query" and e["data"].get("model") == "Author"]
    before = [event for event in events[:counted] if event["type"] == "auth.check"]
    assert (before[-1]["data"]["checked"], before[-1]["data"]["result"]) == ("shop.add_book", "allowed")


REQUIRED = """
from django.test import Client
from django.test.utils import override_settings
import django
middleware = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
if django.VERSION >= (5, 1):
    with override_settings(MIDDLEWARE=middleware):
        client = Client()
        assert client.get("/orders/1/").status_code == 302
        client.force_login(User.objects.get(username="ann"))
        assert client.get("/orders/1/").status_code == 200
        assert client.get("/free/").status_code == 200
"""


def test_the_middleware_that_wants_a_login(run: Run) -> None:
    events = run("from django.conf import settings\n" + REQUIRED)
    seen = checks(events)
    if seen:
        required = "login_required"
        assert seen == [
            ("/orders/1/", [(required, "denied", "order")]),
            ("/orders/1/", [(required, "allowed", "order")]),
            ("/free/", []),
        ]
