"""`authlib.py`: views that Authlib protects, in Flask and Django, and tokens of its old `authlib.jose`."""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import authlib.integrations.flask_oauth1
import authlib.integrations.flask_oauth2
import flask
import pytest
from authlib.oauth1.rfc5849 import client_auth
from authlib.oauth2.rfc6750 import BearerTokenValidator
from sdk.tests.conftest import qualified

with warnings.catch_warnings():
    # It is to be joserfc from now on.
    warnings.simplefilter("ignore")
    from authlib import jose

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Guard = Callable[..., Callable[[Callable[[], str]], Callable[[], str]]]

HERE = "sdk/tests/instrumentations/test_authlib.py"


class Token:
    """What a database has of it."""

    def __init__(self, scope: str, expired: bool = False) -> None:
        self.scope = scope
        self.expired = expired

    def is_expired(self) -> bool:
        return self.expired

    def is_revoked(self) -> bool:
        return False

    def get_scope(self) -> str:
        return self.scope


TOKENS = {"good-token": Token("orders profile"), "small-token": Token("profile"), "old-token": Token("orders", expired=True)}


class Validator(BearerTokenValidator):
    def authenticate_token(self, token_string: str) -> Token | None:
        if token_string == "broken-token":
            raise ZeroDivisionError
        return TOKENS.get(token_string)


def shop() -> flask.Flask:
    app = flask.Flask("shop")
    protector = authlib.integrations.flask_oauth2.ResourceProtector()
    protector.register_token_validator(Validator())
    require: Guard = protector

    @app.get("/orders")
    @require(["orders"])
    def orders() -> str:
        return "orders"

    @app.get("/open")
    @require(optional=True)
    def everybody() -> str:
        return "open"

    @app.get("/with")
    def by_hand() -> str:
        with protector.acquire("profile"):
            return "by hand"

    return app


@pytest.mark.parametrize(
    ("path", "token", "status", "result", "checked", "function"),
    [
        ("/orders", "good-token", 200, "allowed", "orders", "shop.<locals>.orders"),
        ("/orders", None, 401, "anonymous", "orders", "shop.<locals>.orders"),
        ("/orders", "small-token", 403, "denied", "orders", "shop.<locals>.orders"),
        ("/orders", "old-token", 401, "invalid", "orders", "shop.<locals>.orders"),
        ("/orders", "unknown-token", 401, "invalid", "orders", "shop.<locals>.orders"),
        ("/open", None, 200, "anonymous", None, "shop.<locals>.everybody"),
        ("/with", "small-token", 200, "allowed", "profile", "shop.<locals>.by_hand"),
    ],
)
def test_a_protected_view(
    client: Client, events: Events, path: str, token: str | None, status: int, result: str, checked: str | None, function: str
) -> None:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with shop().test_client().get(path, headers=headers) as answer:
        assert answer.status_code == status
    found = events()
    [check] = [event for event in found if event["type"] == "auth.check"]
    [request] = [event for event in found if event["type"] == "request"]
    data = check["data"]
    assert (data["provider"], data["result"], data.get("checked")) == ("oauth2", result, checked)
    assert (data["callsite"]["file"], data["callsite"]["function"]) == (HERE, qualified(function))
    assert check["parentId"] == request["id"]
    assert token is None or token not in str(found)


def test_what_fails_in_the_apps_own_is_no_check(client: Client, events: Events) -> None:
    assert shop().test_client().get("/orders", headers={"authorization": "Bearer broken-token"}).status_code == 500
    found = events()
    assert [event["type"] for event in found if event["type"] in ("auth.check", "error")] == ["error"]


DJANGO = """
import json, sys
import django.conf
django.conf.settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="k" * 50)
import django
django.setup()
import brakit
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from authlib.integrations.django_oauth2 import ResourceProtector
from authlib.oauth2.rfc6750 import BearerTokenValidator

class Validator(BearerTokenValidator):
    def authenticate_token(self, token_string):
        return None

require = ResourceProtector()
require.register_token_validator(Validator())

@require("orders")
def orders(request):
    return HttpResponse("orders")

urlpatterns = [path("orders", orders)]
caller = Client()
print([caller.get("/orders", headers=headers).status_code for headers in ({}, {"authorization": "Bearer unknown-token"})])
brakit.flush(5)
print(json.dumps(brakit.client.current().failures.first))
"""


def test_a_view_of_django(py: Any, sink: Any) -> None:
    ran = py(DJANGO, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    assert ran.stdout.splitlines() == ["[401, 401]", "{}"], ran.stderr
    checks = sink.of("auth.check")
    assert [check["data"]["result"] for check in checks] == ["anonymous", "invalid"]
    assert {(check["data"]["callsite"]["function"], check["data"]["checked"]) for check in checks} == {("orders", "orders")}


def test_oauth1(client: Client, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    class Known:
        rsa_public_key = None

        def get_client_secret(self) -> str:
            return "client-secret"

        def get_oauth_token_secret(self) -> str:
            return "token-secret"

    app = flask.Flask("old")
    require: Guard = authlib.integrations.flask_oauth1.ResourceProtector(
        app,
        query_client=lambda client_id: Known(),
        query_token=lambda client_id, token: Known() if token == "good-token" else None,
        exists_nonce=lambda *given: False,
    )

    @app.get("/orders")
    @require()
    def orders() -> str:
        return "orders"

    # Else an old release takes only https.
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    url = "http://localhost/orders"
    answers = []
    for token in ("good-token", "bad-token", ""):
        auth = client_auth.ClientAuth("somebody", "client-secret", token or "x", "token-secret")
        headers = auth.prepare("GET", url, {}, b"")[1] if token else {}
        answers.append(app.test_client().get("/orders", headers=headers).status_code)
    assert answers == [200, 401, 400]
    checks = [event["data"] for event in events() if event["type"] == "auth.check"]
    assert [(check["provider"], check["result"]) for check in checks] == [
        ("oauth1", "allowed"),
        ("oauth1", "invalid"),
        ("oauth1", "anonymous"),
    ]
    assert {check["callsite"]["function"] for check in checks} == {qualified("test_oauth1.<locals>.orders")}


@pytest.mark.parametrize(
    ("claims", "key", "results"),
    [
        ({}, "k" * 32, ["valid", "valid"]),
        ({"exp": 1}, "k" * 32, ["valid", "expired"]),
        ({"nbf": time.time() + 600}, "k" * 32, ["valid", "invalid"]),
        ({}, "o" * 32, ["invalid"]),
    ],
)
def test_a_token_of_the_old_jose(client: Client, events: Events, claims: Json, key: str, results: list[str]) -> None:
    jwt = jose.JsonWebToken(["HS256"])
    made = jwt.encode({"alg": "HS256"}, {"sub": "somebody-secret", **claims}, "k" * 32)
    try:
        jwt.decode(made, key).validate()
    except jose.JoseError:
        assert results[-1] != "valid"
    found = events()
    assert [event["data"]["result"] for event in found] == results
    assert {event["data"]["provider"] for event in found} == {"jwt"}
    assert found[0]["data"]["callsite"]["file"] == HERE
    assert "somebody-secret" not in json.dumps(found)


def test_everything_comes_back(client: Client) -> None:
    module = sys.modules["authlib.oauth2.rfc6749.resource_protector"]
    ours = module.ResourceProtector.validate_request
    client.shutdown(0)
    assert module.ResourceProtector.validate_request is ours.__wrapped__
