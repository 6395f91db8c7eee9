"""The rules about security, on apps that run under the SDK: what they see is what is left after masking."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

import brakit
from brakit_server.analysis.judge import Judge
from brakit_server.analysis.rules import load
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Issue
from brakit_server.local import Recorder

HERE = Path(__file__).parent
SECURITY = {rule.id for rule in load() if rule.category == "security"}
NEEDLE = "9f8e7d6c5b4a39281706"


class Account(BaseModel):
    name: str
    password: str


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder(HERE, service="shop") as recorder:
        yield recorder
        assert recorder.failures == {}


@pytest.fixture
def found(recorder: Recorder) -> Callable[[], dict[str, Issue]]:
    """What the rules about security have found since the last time, by rule; no secret is in any text of it."""

    def take() -> dict[str, Issue]:
        issues = [each.issue for each in recorder.take().issues if each.issue.rule in SECURITY]
        assert NEEDLE not in repr(issues)
        assert len({issue.rule for issue in issues}) == len(issues)
        return {issue.rule: issue for issue in issues}

    return take


def ask(app: Any, method: str, url: str, **more: Any) -> httpx.Response:
    """One request to an ASGI app, as from another machine; redirects are not followed."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.io") as client:
            return await client.request(method, url, **more)

    return asyncio.run(asked())


Found = Callable[[], dict[str, Issue]]


def answering(body: Any, status: int = 200, **headers: str) -> Any:
    app = flask.Flask("shop")
    app.add_url_rule("/users/<int:n>", "users", lambda n: (body, status, headers), methods=["GET", "POST"])
    return app.test_client()


@pytest.mark.parametrize(
    "body",
    [
        {"id": 1, "access_token": NEEDLE},
        {"id": 1, "token": NEEDLE},
        {"id": 1, "Password": NEEDLE},
        {"id": 1, "passwordHash": "$2b$12$" + NEEDLE + "abcdefghij"},
        {"id": 1, "refresh_token": NEEDLE},
        {"items": ["x" * 6000], "users": [{"password": NEEDLE}], "z": "y" * 9000},
    ],
)
@pytest.mark.usefixtures("recorder")
def test_secrets_in_answers(found: Found, body: object) -> None:
    answering(body).get("/users/3").get_data()
    assert set(found()) == {"exposed-secret"}


@pytest.mark.parametrize(
    "body",
    [
        {"secret": "no secret configured"},
        {"password": "Your password must have 12 characters"},
        {"password": "********", "token": None, "api_key": ""},
        {"password_min_length": 12, "token_type": "bearer"},
    ],
)
def test_what_only_stands_under_such_a_name(found: Found, body: object) -> None:
    answering(body).get("/users/3").get_data()
    assert found() == {}


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg", "mongodb+srv", "rediss"])
def test_addresses_in_errors(found: Found, scheme: str) -> None:
    answering({"detail": f"{scheme}://shop:{NEEDLE}@db.internal/shop is down"}, 503).get("/users/3").get_data()
    assert set(found()) == {"error-info-leak"}


def test_a_page_about_tracebacks(found: Found) -> None:
    page = "<p>Python says Traceback (most recent call last): and then the frames.</p>"
    answering(page).get("/users/3").get_data()
    answering(page, 404).get("/users/3").get_data()
    assert found() == {}


def test_flags_of_cookies_are_seen_although_values_are_masked(found: Found) -> None:
    app = flask.Flask("shop")

    @app.get("/good")
    def good() -> flask.Response:
        answer = flask.make_response("ok")
        answer.set_cookie("sessionid", NEEDLE, httponly=True, secure=True, samesite="strict")
        answer.set_cookie("csrftoken", NEEDLE, samesite="lax")
        return answer

    @app.get("/bad")
    def bad() -> flask.Response:
        answer = flask.make_response("ok")
        answer.set_cookie("remember_token", NEEDLE)
        return answer

    app.test_client().get("/good").get_data()
    assert found() == {}
    app.test_client().get("/bad").get_data()
    issue = found()["insecure-cookie"]
    assert "remember_token" in issue.title
    assert issue.fix == 'httponly=True, samesite="lax"'


def test_cors_and_redirects_of_fastapi(found: Found) -> None:
    app = FastAPI()

    @app.get("/cors")
    def cors() -> Response:
        return Response("x", headers={"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true"})

    @app.get("/go")
    def go(next: str) -> RedirectResponse:
        return RedirectResponse(next)

    ask(app, "GET", "/cors")
    ask(app, "GET", "/go", params={"next": "/orders"})
    assert set(found()) == {"cors-credentials"}
    ask(app, "GET", "/go", params={"next": "https://evil.com/x"})
    assert found()["open-redirect"].confidence == "likely"


def test_a_password_that_is_answered_to_who_sent_it(found: Found) -> None:
    app = FastAPI()

    @app.post("/signup")
    def sign_up(account: Account) -> Account:
        return account

    ask(app, "POST", "/signup", json={"name": "ada", "password": NEEDLE})
    issue = found()["exposed-secret"]
    assert issue.detail is not None
    assert "comes back" in issue.detail


def test_a_traceback_in_an_answer(found: Found) -> None:
    app = FastAPI(debug=True)

    @app.get("/pay")
    def pay() -> float:
        return 1 / 0

    ask(app, "GET", "/pay")
    issue = found()["stack-trace-leak"]
    assert issue.call_site is not None
    assert issue.call_site.function.endswith("pay")
    assert "`debug` off" in issue.hint


def test_credentials_in_a_url_and_in_the_logs(found: Found) -> None:
    app = flask.Flask("shop")
    log = logging.getLogger("shop.pay")

    @app.get("/orders")
    def orders() -> str:
        log.warning("paying with api_key=%s for order %d", flask.request.args["api_key"], 3)
        log.warning("hidden already: api_key=****, broker amqp://guest:**@localhost//")
        return "ok"

    app.test_client().get(f"/orders?api_key={NEEDLE}").get_data()
    issues = found()
    assert set(issues) == {"token-in-url", "sensitive-logs"}
    assert issues["sensitive-logs"].call_site is not None


def test_statements_from_input(found: Found) -> None:
    app = flask.Flask("shop")

    def rows(sql: str, *params: object) -> list[Any]:
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE items (id INTEGER, name TEXT)")
        try:
            return connection.execute(sql, params).fetchall()
        finally:
            connection.close()

    app.add_url_rule("/bound/<n>", "bound", lambda n: rows("SELECT name FROM items WHERE name = ?", n))
    app.add_url_rule("/built/<n>", "built", lambda n: rows(f"SELECT name FROM items WHERE name = '{n}'"))
    client = app.test_client()
    for name in ("red", "blue", "green"):
        client.get(f"/bound/{name}").get_data()
    assert found() == {}
    for name in ("red", "blue", "green"):
        client.get(f"/built/{name}").get_data()
    issue = found()["sql-from-input"]
    assert issue.endpoint == "GET /built/<n>"
    assert issue.severity == "critical"


def test_the_route_that_was_forgotten(found: Found) -> None:
    app = flask.Flask("shop")
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("CREATE TABLE items (id INTEGER, name TEXT)")

    def write(checks: bool) -> str:
        if checks:
            brakit.auth_check("session", "allowed")
        connection.execute("INSERT INTO items VALUES (?, ?)", (1, "x"))
        return "ok"

    for name in ("items", "orders", "prices", "stock"):
        app.add_url_rule(f"/{name}", name, lambda: write(True), methods=["POST"])
    app.add_url_rule("/discounts", "discounts", lambda: write(False), methods=["POST"])
    app.add_url_rule("/login", "login", lambda: write(False), methods=["POST"])
    client = app.test_client()
    for _ in range(2):
        for name in ("items", "orders", "prices", "stock", "discounts", "login"):
            client.post(f"/{name}").get_data()
    issue = found()["missing-auth"]
    connection.close()
    assert issue.endpoint == "POST /discounts"
    assert (issue.severity, issue.confidence) == ("warning", "likely")


HOSTILE = [
    *('{"' + '"' * 9000, "{" * 9000, "[" * 9000, '{"a":' * 2000, '{"' + "\\" * 9000, '{"email":"' + "a@" * 5000 + '"}'),
    *('[{"email":"a@b.c"},' * 500, '{"password":"x",' * 640, '{"role":"admin",' * 640, '{"ssn":"' + "1" * 9000 + '"}'),
    *("SELECT " * 1500, "INSERT INTO " * 900, 'near "' * 1500, "Duplicate entry " * 640, "sqlite3." * 1200),
    *("/a" * 5000, 'File "' * 1600 + ", line ", "\n at " * 2000),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_body_costs_a_rule_its_place(make: Any, text: str) -> None:
    judge = Judge(load())
    for status in (200, 302, 500):
        headers = {"content-type": "application/json", "location": text[:8000], "set-cookie": text[:8000]}
        request = make.raw_request(
            status=status,
            method="POST",
            request_body=text,
            response_body=text,
            response_headers=headers,
            headers={"cookie": text[:8000]},
        )
        judge.timeline(Timeline(request, [make.query("INSERT INTO users VALUES (?)"), make.raw_log(text)]))
    assert judge.quarantined == []
