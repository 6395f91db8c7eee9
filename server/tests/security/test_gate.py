"""Every route of the app, with every method, called by strangers: nothing reaches a handler.

The routes are the app's own: a new one is in the table by itself. Each handler is replaced by one that takes down that it was called.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from brakit_server.app import create_app
from brakit_server.config import Config
from brakit_server.running import prepare
from brakit_server.security import HEADERS, INGEST, LOGIN, cookie_name
from brakit_server.tokens import Tokens

READ, WRITE = "r" * 32, "w" * 32
PORT = 4747
OURS = f"127.0.0.1:{PORT}"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X"]
Headers = list[tuple[str, str]]

FOREIGN_HOSTS: list[list[str]] = [
    *(
        [host]
        for host in (
            "evil.test",
            f"evil.test:{PORT}",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            f"127.0.0.1.evil.test:{PORT}",
            "0.0.0.0",
            f"0.0.0.0:{PORT}",
            "[::ffff:127.0.0.1]",
            f"[::ffff:127.0.0.1]:{PORT}",
            "[::]",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "127.0.0.1:1",
            "localhost:",
            f"localhost:{PORT}0",
            f"localhost:+{PORT}",
            "localhost.",
            "user@localhost",
            "localhost@evil.test",
            "localhost evil.test",
            "localhost,evil.test",
            "localhost\x00.evil.test",
            "ｌocalhost".encode().decode("latin-1"),
            "",
        )
    ),
    [],
    [OURS, OURS],
    [OURS, "evil.test"],
    ["evil.test", OURS],
]
STRANGERS: list[Headers] = [
    [("origin", "https://evil.test")],
    [("origin", "null")],
    [("origin", "")],
    [("origin", "http://localhost:3000")],
    [("origin", f"http://{OURS}.evil.test")],
    [("origin", f"http://{OURS}"), ("origin", "https://evil.test")],
    [("origin", "http://localhost")],
    [("origin", "chrome-extension://abc")],
    [("sec-fetch-site", "cross-site")],
    [("sec-fetch-site", "same-site")],
    [("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
    [("sec-fetch-site", "")],
    [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
    [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")],
    [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
    [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "websocket"), ("sec-fetch-dest", "websocket")],
    [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
]
FORMS: list[Headers] = [
    [("content-type", "text/plain")],
    [("content-type", "text/plain; charset=application/json")],
    [("content-type", "application/x-www-form-urlencoded")],
    [("content-type", "multipart/form-data; boundary=application/json")],
    [("content-type", "application/jsonp")],
    [("content-type", "application/json"), ("content-type", "text/plain")],
    [("content-type", "")],
    [],
]


REPLACED: list[tuple[Route, Any]] = []
"""Routes are made once for all apps of the process: what handled them is put back after each test."""


@pytest.fixture(autouse=True)
def _handlers_are_put_back() -> Iterator[None]:
    yield
    while REPLACED:
        route, handler = REPLACED.pop()
        route.app = handler


class Gate:
    """The app with handlers that only say that they were reached."""

    def __init__(self, config: Config) -> None:
        prepare(config.dir)
        self.app: Starlette = create_app(config)
        self.reached: list[str] = []
        self.paths: list[str] = []
        self.methods: dict[str, set[str]] = {}
        for prefix, route in _routes(self.app.routes):
            path = f"{prefix}{route.path}".replace("{id}", "abc").replace("{name}", "abc").replace("{path:path}", "a/b")
            self.paths.append(path)
            self.methods[path] = route.methods or set()
            REPLACED.append((route, route.app))
            route.app = self._handler(path)
        self.paths += ["/__brakit/api/nothing", "/elsewhere", "//", "/__brakit/api/../api/requests", "*"]

    def _handler(self, path: str) -> Any:
        async def handler(scope: Any, receive: Any, send: Any) -> None:
            self.reached.append(f"{scope['method']} {scope['path']}")
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        return handler

    async def call(self, method: str, path: str, headers: Headers, client: str = "10.0.0.9") -> tuple[int, dict[str, str]]:
        """Status and headers of the answer; that a handler was reached stands in `reached`."""
        found: dict[str, Any] = {}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                found.update(status=message["status"], headers=dict(message["headers"]))

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
            "server": ("127.0.0.1", PORT),
            "client": (client, 5000),
            "state": {},
        }
        await self.app(scope, receive, send)
        return found["status"], {name.decode(): value.decode() for name, value in found["headers"].items()}


def _routes(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, Route]]:
    for route in routes:
        if isinstance(route, Mount):
            yield from _routes(list(route.routes), prefix + route.path)
        else:
            assert isinstance(route, Route), "a kind of route that this table does not know"
            yield prefix, route


@pytest.fixture
def local(tmp_path: Path) -> Gate:
    return Gate(Config(root=tmp_path, dir=tmp_path / "data", port=PORT))


@pytest.fixture
def open_to_all(tmp_path: Path) -> Gate:
    config = Config(
        root=tmp_path,
        dir=tmp_path / "data",
        port=PORT,
        host="0.0.0.0",
        allowed_hosts=(OURS,),
        read_token=READ,
        write_token=WRITE,
    )
    return Gate(config)


def guarded(headers: dict[str, str]) -> None:
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert not [name for name in headers if name.startswith("access-control")]


async def test_honest_calls_reach_every_handler(local: Gate) -> None:
    """Without this the tests below would pass for a gate that lets nobody in."""
    for path, methods in local.methods.items():
        for method in methods:
            for host in (OURS, f"localhost:{PORT}", f"[::1]:{PORT}", "LOCALHOST"):
                local.reached.clear()
                json: Headers = [("content-type", "application/json; charset=utf-8"), ("content-length", "2")]
                status, headers = await local.call(method, path, [("host", host), *(json if method != "GET" else [])])
                assert (status, len(local.reached)) == (200, 1), (method, path, host)
                guarded(headers)


async def test_foreign_hosts(local: Gate) -> None:
    for method, path, hosts in itertools.product(METHODS, local.paths, FOREIGN_HOSTS):
        status, headers = await local.call(method, path, [("host", host) for host in hosts])
        assert status == 421, (method, path, hosts)
        guarded(headers)
    assert local.reached == []


async def test_pages_of_other_sites(local: Gate) -> None:
    for method, path, stranger in itertools.product(METHODS, local.paths, STRANGERS):
        status, headers = await local.call(method, path, [("host", OURS), *stranger])
        assert status == 403, (method, path, stranger)
        guarded(headers)
    assert local.reached == []


async def test_bodies_that_forms_can_send(local: Gate) -> None:
    lengths: list[Headers] = [[("content-length", "5")], [("transfer-encoding", "chunked")]]
    for method, path, form, length in itertools.product(("POST", "PUT", "PATCH", "DELETE"), local.paths, FORMS, lengths):
        status, headers = await local.call(method, path, [("host", OURS), *form, *length])
        assert status == 415, (method, path, form)
        guarded(headers)
    assert local.reached == []


async def test_other_kinds_of_connections(local: Gate) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    for path in local.paths:
        await local.app({"type": "websocket", "path": path, "headers": [(b"host", OURS.encode())]}, receive, send)
    assert {message["type"] for message in sent} == {"websocket.close"}
    assert local.reached == []


def bearer(token: str) -> tuple[str, str]:
    return "authorization", f"Bearer {token}"


WITHOUT: list[Headers] = [
    [],
    [bearer("")],
    [bearer("x" * 32)],
    [bearer(READ[:-1])],
    [bearer(READ + "r")],
    [bearer(READ.upper())],
    [bearer(READ), bearer(READ)],
    [("authorization", READ)],
    [("authorization", f"Basic {READ}")],
    [("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1"), ("x-real-ip", "127.0.0.1")],
    [("cookie", f"brakit-{PORT}={READ}")],
    [("cookie", f"brakit-{PORT}=9999999999.{'0' * 64}")],
    [("cookie", f"brakit-{PORT}=")],
    [("cookie", f"brakit-{PORT}=\xff.\xff")],
]


async def test_without_a_token_beyond_loopback(open_to_all: Gate) -> None:
    gate = open_to_all
    allowed = {("POST", LOGIN)}
    for number, (method, path, without) in enumerate(itertools.product(METHODS, gate.paths, WITHOUT)):
        if (method, path) in allowed:
            continue
        # Each from another address: the ninth wrong token of one is refused in another way.
        client = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        status, headers = await gate.call(method, path, [("host", OURS), *without], client)
        assert status == 401, (method, path, without)
        guarded(headers)
        assert "set-cookie" not in headers
    assert gate.reached == []


async def test_each_token_opens_what_it_is_for(open_to_all: Gate) -> None:
    gate = open_to_all
    value = Tokens(READ, WRITE).session()
    cookie = ("cookie", f"other=1; {cookie_name(OURS)}={value}")
    elsewhere = ("cookie", f"{cookie_name(OURS)}={Tokens('x' * 32, WRITE).session()}")
    for path, methods in gate.methods.items():
        for method in methods:
            free = (method, path) == ("POST", LOGIN)
            table = {
                bearer(WRITE): path in (INGEST, "/__brakit/api/hello"),
                bearer(READ): path != INGEST,
                cookie: path != INGEST,
                elsewhere: False,
            }
            for number, (what, opens) in enumerate(table.items()):
                gate.reached.clear()
                client = f"10.1.{len(gate.methods)}.{hash((path, method, number)) % 200}"
                status, _ = await gate.call(method, path, [("host", OURS), what], client)
                assert bool(gate.reached) is (opens or free), (method, path, what)
                assert status == (200 if opens or free else 401)


async def test_a_proxy_on_this_machine_makes_it_ask_for_tokens(tmp_path: Path) -> None:
    config = Config.load(
        {"BRAKIT_READ_TOKEN": READ, "BRAKIT_WRITE_TOKEN": WRITE, "BRAKIT_BEHIND_PROXY": "1"},
        tmp_path,
        allowed_hosts="brakit.test",
    )
    gate = Gate(config)
    host: Headers = [("host", "brakit.test")]
    assert (await gate.call("GET", "/__brakit/api/requests", [*host, ("x-forwarded-for", "127.0.0.1")], "127.0.0.1"))[0] == 401
    assert (await gate.call("GET", "/__brakit/api/requests", [*host, bearer(READ)], "127.0.0.1"))[0] == 200


async def test_too_many_wrong_tokens(open_to_all: Gate) -> None:
    gate = open_to_all
    requests, ours = "/__brakit/api/requests", ("host", OURS)
    statuses = [(await gate.call("GET", requests, [ours, bearer(f"{number:032}")]))[0] for number in range(20)]
    assert statuses == [401] * 10 + [429] * 10
    # Locked is locked: the right one, too, and by way of the route that takes both.
    for path in (requests, "/__brakit/api/hello"):
        status, headers = await gate.call("GET", path, [ours, bearer(READ)])
        assert (status, int(headers["retry-after"]) > 0) == (429, True)
    assert gate.reached == []
    # Not for others, not for who is in already, and not for SDKs.
    cookie = ("cookie", f"{cookie_name(OURS)}={Tokens(READ, WRITE).session()}")
    assert (await gate.call("GET", requests, [ours, bearer(READ)], "10.9.9.9"))[0] == 200
    assert (await gate.call("GET", requests, [ours, cookie]))[0] == 200
    statuses = [(await gate.call("POST", INGEST, [ours, bearer(f"{number:032}")]))[0] for number in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert (await gate.call("POST", INGEST, [ours, bearer(WRITE)]))[0] == 200
