"""Logging in: a token for a cookie."""

from __future__ import annotations

import json
from typing import Any

import pytest

READ, WRITE = "r" * 32, "w" * 32


@pytest.fixture
def server(start: Any) -> Any:
    return start(host="0.0.0.0", read_token=READ, write_token=WRITE, allowed_hosts="127.0.0.1,box.lan")


def log_in(server: Any, token: object, **headers: str) -> tuple[int, dict[str, str], bytes]:
    answer: tuple[int, dict[str, str], bytes] = server.call(
        "POST", "/__brakit/api/login", json.dumps({"token": token}).encode(), headers
    )
    return answer


def test_a_token_for_a_cookie(server: Any) -> None:
    page = server.call("GET", "/__brakit/requests", headers={"Accept": "text/html"})
    assert page[0] == 401
    assert page[1]["content-type"].startswith("text/html")
    assert "default-src 'none'" in page[1]["content-security-policy"]
    assert not any(token.encode() in page[2] for token in (READ, WRITE))
    for name, kind in (("login.js", "text/javascript"), ("login.css", "text/css")):
        status, headers, _ = server.call("GET", f"/__brakit/api/login/{name}")
        assert (status, headers["content-type"].partition(";")[0]) == (200, kind)
    assert server.call("GET", "/__brakit/api/login/other", headers={"Authorization": f"Bearer {READ}"})[0] == 404
    for wrong in ("", WRITE, READ[:-1], READ + "r", "é"):
        assert log_in(server, wrong)[0] == 401
    status, headers, body = log_in(server, READ)
    assert (status, body) == (204, b"")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert cookie.startswith(f"brakit-{server.port}=")
    assert {"httponly", "samesite=strict", "path=/__brakit"} <= set(attributes)
    assert "secure" not in attributes
    assert server.call("GET", "/__brakit/api/requests", headers={"Cookie": cookie})[0] == 200
    assert server.call("GET", "/__brakit/requests", headers={"Cookie": cookie, "Accept": "text/html"})[0] == 200
    assert server.call("POST", "/__brakit/api/ingest", b"{}", {"Cookie": cookie})[0] == 401
    # A page elsewhere whose browser has the cookie has nothing of it.
    for stranger in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
        assert server.call("POST", "/__brakit/api/clear", headers={"Cookie": cookie, **stranger})[0] == 403
    gone = server.call("POST", "/__brakit/api/logout", headers={"Cookie": cookie})
    assert gone[0] == 204
    assert "max-age=0" in gone[1]["set-cookie"]


def test_behind_encryption_the_cookie_stays_there(server: Any) -> None:
    _, headers, _ = log_in(server, READ, Host="box.lan", Origin="https://box.lan")
    assert headers["set-cookie"].startswith("brakit=")
    assert "secure" in headers["set-cookie"].split("; ")


def test_other_sites_cannot_log_somebody_in(server: Any) -> None:
    assert log_in(server, READ, Origin="https://evil.test")[0] == 403
    assert log_in(server, READ, **{"Content-Type": "text/plain"})[0] == 415


def test_bodies_that_make_no_sense(server: Any) -> None:
    for body in (b"{", b"[]", b"{}", b'{"token":5}', b'{"token":"' + b"x" * 5_000 + b'"}', b"\xff", b"[" * 4_000):
        assert server.call("POST", "/__brakit/api/login", body)[0] in (400, 413)


def test_who_guesses_is_stopped(server: Any) -> None:
    statuses = [log_in(server, f"{number:032}")[0] for number in range(20)]
    assert statuses == [401] * 10 + [429] * 10
    status, headers, _ = log_in(server, READ)
    assert (status, int(headers["retry-after"]) > 0, "set-cookie" in headers) == (429, True, False)


def test_on_loopback_there_is_nothing_to_log_in_to(start: Any) -> None:
    assert log_in(start(), READ)[0] == 404
