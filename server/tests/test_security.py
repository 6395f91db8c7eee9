"""Every route with every method, called by strangers."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from starlette.routing import Route

from brakit_server import api
from brakit_server.config import Config, ConfigError
from brakit_server.security import HEADERS

PAGES = ["/", "/__brakit", "/__brakit/requests/abc", "/__brakit/assets/index.js", "/__brakit/api/nothing", "/elsewhere"]
PATHS = [*(f"/__brakit/api{route.path.replace('{id}', 'abc')}" for route in api.routes() if isinstance(route, Route)), *PAGES]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
HOSTS = [
    "evil.test",
    "localhost.evil.test",
    "127.0.0.1.evil.test",
    "0.0.0.0",
    "[::ffff:127.0.0.1]",
    "127.0.0.1:1",
    "localhost:",
    "user@localhost",
    "127.0.0.1 x",
]
STRANGERS: list[dict[str, str]] = [
    {"Origin": "https://evil.test"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
]


def guarded(answer: tuple[int, dict[str, str], bytes]) -> None:
    """Whatever is answered carries the headers, and none that lets other sites read it."""
    status, headers, _ = answer
    assert status < 500
    for name, value in HEADERS.items():
        assert headers[name] == value.lower()
    assert "cache-control" in headers
    assert not [name for name in headers if name.startswith("access-control")]
    assert headers.get("location", "/__brakit") == "/__brakit"


@pytest.mark.parametrize("path", PATHS)
def test_foreign_host_is_refused(server: Any, path: str) -> None:
    for method, host in itertools.product(METHODS, HOSTS):
        answer = server.call(method, path, headers={"Host": host})
        assert answer[0] == 421, (method, host)
        guarded(answer)


@pytest.mark.parametrize("path", PATHS)
def test_other_sites_pages_are_refused(server: Any, path: str) -> None:
    for method, stranger in itertools.product(METHODS, STRANGERS):
        answer = server.call(method, path, headers=stranger)
        assert answer[0] == 403, (method, stranger)
        guarded(answer)


@pytest.mark.parametrize("path", [path for path in PATHS if path not in ("/__brakit/api/events", "/__brakit/api/clear")])
def test_own_calls_are_answered_with_guarding_headers(server: Any, path: str) -> None:
    for method in METHODS:
        guarded(server.call(method, path))
        guarded(server.call(method, path, headers={"Host": f"localhost:{server.port}", "Sec-Fetch-Site": "same-origin"}))
        answer = server.call(method, path, headers={"Host": "[::1]", "Origin": "http://[::1]"})
        guarded(answer)
        assert answer[0] not in (403, 421)


@pytest.mark.parametrize("host_lines", ["", "Host: localhost\r\nHost: localhost\r\n", "Host: localhost\r\nhost: evil.test\r\n"])
def test_exactly_one_host_is_needed(server: Any, host_lines: str) -> None:
    for version in ("1.0", "1.1"):
        status, _, _ = server.raw(f"GET /__brakit/api/requests HTTP/{version}\r\n{host_lines}Connection: close\r\n\r\n".encode())
        assert status in (400, 421)


def test_absolute_form_does_not_get_round_the_host_check(server: Any) -> None:
    status, _, _ = server.call("GET", f"http://127.0.0.1:{server.port}/__brakit/api/requests", headers={"Host": "evil.test"})
    assert status == 421


@pytest.mark.parametrize("path", ["ingest", "clear", "findings/report", "tab", "nothing"])
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonp"],
)
def test_bodies_that_forms_can_send_are_refused(server: Any, path: str, content_type: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = server.call(method, f"/__brakit/api/{path}", b'{"_brakit":true}', {"Content-Type": content_type})
        assert answer[0] == 415
        guarded(answer)


def test_a_link_from_elsewhere_opens_the_dashboard_and_nothing_else(server: Any) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert server.call("GET", "/__brakit/requests/abc", headers=link)[0] == 200
    assert server.call("GET", "/__brakit/api/requests", headers=link)[0] == 403
    assert server.call("POST", "/__brakit/api/clear", headers=link)[0] == 403
    assert server.call("GET", "/__brakit", headers={**link, "Sec-Fetch-Dest": "iframe"})[0] == 403
    assert server.call("GET", "/__brakit", headers={**link, "Origin": "https://evil.test"})[0] == 403


def test_a_websocket_is_not_opened(server: Any) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "x" * 22 + "==",
    }
    request = "".join(f"{name}: {value}\r\n" for name, value in upgrade.items())
    status, _, _ = server.raw(f"GET /__brakit/api/tab HTTP/1.0\r\nHost: localhost\r\n{request}\r\n".encode())
    assert status != 101


def test_beyond_loopback_everybody_needs_the_right_token(start: Any, event: Any) -> None:
    read, write = "r" * 32, "w" * 32
    with pytest.raises(ConfigError, match="BRAKIT_WRITE_TOKEN"):
        Config.load({}, host="0.0.0.0")
    server = start(host="0.0.0.0", read_token=read, write_token=write, allowed_hosts="box.lan")
    lan = {"Host": f"box.lan:{server.port}"}
    for path in PATHS:
        if path != "/__brakit/api/events":
            assert server.call("GET", path, headers=lan)[0] == 401
    for token in (read[:-1], write):
        assert server.call("GET", "/__brakit/api/requests", headers={**lan, "Authorization": f"Bearer {token}"})[0] == 401
    assert server.call("GET", "/__brakit/api/requests", headers={**lan, "Authorization": f"Bearer {read}"})[0] == 200
    assert server.call("GET", "/__brakit/api/requests", headers={"Host": "0.0.0.0", "Authorization": f"Bearer {read}"})[0] == 421
    for token in (read, write):
        assert server.call("GET", "/__brakit/api/hello", headers={**lan, "Authorization": f"Bearer {token}"})[0] == 200
    body = b'{"_brakit": true, "version": 1, "events": []}'
    assert server.call("POST", "/__brakit/api/ingest", body, {**lan, "Authorization": f"Bearer {read}"})[0] == 401
    assert server.call("POST", "/__brakit/api/ingest", body, {**lan, "Authorization": f"Bearer {write}"})[0] == 204
    assert server.call("POST", "/__brakit/api/ingest", body, {**lan, "X-Forwarded-For": "127.0.0.1"})[0] == 401
