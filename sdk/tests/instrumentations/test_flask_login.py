"""`flask_login.py`: a real app with users."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import flask
import flask_login  # type: ignore[import-untyped]
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

HERE = "sdk/tests/instrumentations/test_flask_login.py"


class User(flask_login.UserMixin):  # type: ignore[misc]
    id = "somebody-secret"


@pytest.fixture
def app(client: Client) -> flask.Flask:
    """Made when brakit is there: that is when its decorators are seen."""
    app = flask.Flask("app")
    app.secret_key = "k"
    login = flask_login.LoginManager(app)
    login.user_loader(lambda name: User() if name == User.id else None)
    required: Callable[[Any], Any] = flask_login.login_required
    fresh: Callable[[Any], Any] = flask_login.fresh_login_required

    @app.post("/login")
    def log_in() -> str:
        flask_login.login_user(User(), fresh=False)
        return ""

    @app.route("/private", methods=["GET", "OPTIONS"])
    @required
    def private() -> str:
        return "in"

    @app.get("/later")
    @required
    async def later() -> str:
        return "later"

    @app.get("/fresh")
    @fresh
    def delicate() -> str:
        return "fresh"

    @app.get("/hello")
    def hello() -> str:
        return "you" if flask_login.current_user.is_authenticated else "stranger"

    return app


def checks(events: Events) -> list[tuple[str, str | None, str]]:
    found = events("auth.check")
    assert "somebody-secret" not in str(found)
    assert {event["data"]["provider"] for event in found} <= {"flask-login"}
    assert all(event["parentId"] for event in found)
    assert {event["data"]["callsite"]["file"] for event in found} <= {HERE}
    return [(e["data"]["result"], e["data"].get("checked"), e["data"]["callsite"]["function"].rpartition(".")[2]) for e in found]


def test_nobody(app: flask.Flask, events: Events) -> None:
    caller = app.test_client()
    assert caller.get("/private").status_code == 401
    # `current_user` is loaded where it is first asked for; in a decorator the innermost line of the app is the caller's.
    loaded, denied = checks(events)
    assert (loaded[:2], denied) == (("anonymous", None), ("denied", "login_required", "private"))
    assert caller.get("/hello").text == "stranger"
    assert checks(events) == [("anonymous", None, "hello")]


def test_somebody(app: flask.Flask, events: Events) -> None:
    caller = app.test_client()
    caller.post("/login")
    events()
    assert caller.get("/private").text == "in"
    loaded, allowed = checks(events)
    assert (loaded[:2], allowed) == (("allowed", None), ("allowed", "login_required", "private"))
    assert caller.get("/hello").text == "you"
    assert checks(events) == [("allowed", None, "hello")]


def test_not_fresh_enough(app: flask.Flask, events: Events) -> None:
    caller = app.test_client()
    caller.post("/login")
    events()
    assert caller.get("/fresh").status_code == 401
    assert checks(events)[1] == ("denied", "fresh_login_required", "delicate")
    with caller.session_transaction() as session:
        session["_fresh"] = True
    assert caller.get("/fresh").text == "fresh"
    assert checks(events)[1] == ("allowed", "fresh_login_required", "delicate")


def test_what_is_not_checked_is_no_check(app: flask.Flask, events: Events) -> None:
    caller = app.test_client()
    assert caller.options("/private").text == "in"
    app.config["LOGIN_DISABLED"] = True
    assert caller.get("/private").text == "in"
    assert checks(events) == []


def test_views_keep_their_looks(app: flask.Flask) -> None:
    private = app.view_functions["private"]
    assert (private.__name__, str(inspect.signature(private))) == ("private", "() -> 'str'")
    assert inspect.iscoroutinefunction(inspect.unwrap(app.view_functions["later"]))


def test_after_shutdown_the_views_go_on(app: flask.Flask, client: Client, events: Events) -> None:
    places = [entry for entry in client.patches.restores if getattr(entry[0], "__module__", "").startswith("flask_login")]
    modules = [entry for entry in client.patches.restores if entry[0] is flask_login]
    assert (len(places), len(modules)) == (3, 2)
    client.shutdown(0)
    assert all(vars(holder).get(name) is before for holder, name, before, _ in places + modules)
    app.config["LOGIN_DISABLED"] = True
    assert app.test_client().get("/private").text == "in"
    assert events() == []
