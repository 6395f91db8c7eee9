"""Real servers around an app, and a wait for what they make the SDK record."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
import waitress.server
import waitress.wasyncore

from brakit import context
from brakit.record import release_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]


@pytest.fixture
def collect(events: Callable[..., list[Json]]) -> Callable[..., list[Json]]:
    """`collect("request", 3)`: events of a kind, waited for until there are that many, and none too many."""
    seen: list[Json] = []

    def collect(kind: str, count: int = 1, timeout: float = 10) -> list[Json]:
        deadline = time.monotonic() + timeout
        while True:
            seen.extend(events())
            found = [event for event in seen if event["type"] == kind]
            if len(found) >= count or time.monotonic() > deadline:
                assert len(found) == count, found
                return found
            time.sleep(0.005)

    return collect


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """`serve(app)`: an ASGI app in uvicorn on a free port, in a thread; returns its address."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(app: Any, **settings: Any) -> str:
        settings = {"ws": "none", "timeout_graceful_shutdown": 1, **settings}
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", **settings))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        deadline = time.monotonic() + 10
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def serve_wsgi() -> Iterator[Callable[[Any], str]]:
    """`serve_wsgi(app)`: a WSGI app in waitress on a free port, in a thread; returns its address."""
    running: list[tuple[Any, threading.Thread]] = []

    def serve(app: Any) -> str:
        sockets: dict[int, Any] = {}
        server: Any = waitress.server.create_server(
            app, map=sockets, host="127.0.0.1", port=0, threads=8, clear_untrusted_proxy_headers=False
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.effective_port}"

    yield serve
    for server, thread in running:

        def leave(sockets: dict[int, Any] = server._map) -> None:
            waitress.wasyncore.close_all(sockets)

        # In the server's own thread, between two rounds: what it waits on must not be closed under it.
        # Woken by something else, it may be done with it before the pull.
        with contextlib.suppress(OSError):
            server.trigger.pull_trigger(leave)
        thread.join(10)
        assert not thread.is_alive()
        server.task_dispatcher.shutdown()


@pytest.fixture
def in_request(client: Client) -> Callable[[], contextlib.AbstractContextManager[Owner]]:
    """`with in_request() as owner:`, what a framework's instrumentation does around a request."""

    @contextlib.contextmanager
    def in_request() -> Iterator[Owner]:
        owner, _, _ = context.request_owner(None, None)
        before = context.enter(owner)
        try:
            yield owner
        finally:
            release_all(owner, client.buffer)
            context.enter(before)

    return in_request


@pytest.fixture
def only(events: Callable[..., list[Json]]) -> Callable[[], Json]:
    """`only()`: the data of the one event that was recorded since the last call."""

    def only() -> Json:
        (event,) = events()
        data: Json = event["data"]
        return data

    return only


@pytest.fixture
def transactions(events: Callable[..., list[Json]]) -> Callable[[], list[str]]:
    """`transactions()`: each statement since the last call by its mark or its operation, with the number of its transaction.

    `["begin 1", "INSERT 1", "commit 1 failed", "SELECT -"]`
    """

    def transactions() -> list[str]:
        names: dict[str, int] = {}
        said = []
        for event in sorted(events("db.query"), key=lambda event: event["timestamp"]):
            data = event["data"]
            name = data.get("transactionId")
            number = "-" if name is None else str(names.setdefault(name, len(names) + 1))
            said.append(f"{data.get('transactionMark', data['operation'])} {number}{' failed' if data.get('error') else ''}")
        return said

    return transactions


@pytest.fixture
def reachable() -> Callable[[str, int], None]:
    """`reachable("PostgreSQL", 5432)`: skips where no such server answers on this machine."""

    def reachable(server: str, port: int) -> None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError as error:
            pytest.skip(f"no {server} on 127.0.0.1:{port} ({error})")

    return reachable
