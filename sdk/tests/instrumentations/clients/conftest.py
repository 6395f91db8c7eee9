"""What the tests of HTTP clients share: a server that remembers what it was asked, and a request that is under way."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING, Any

import pytest

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]

IDS = (context.REQUEST_ID_HEADER, context.FETCH_ID_HEADER, context.TRACEPARENT_HEADER)


class Peer:
    """`/hop` redirects to `elsewhere`, `/drop` closes without an answer, `/404` answers so, `/busy` is ready the third time."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.elsewhere = ""
        peer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                peer.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
                if self.path == "/drop":
                    self.close_connection = True
                    return
                status = int(self.path[1:]) if self.path[1:].isdigit() else 307 if self.path == "/hop" else 200
                if self.path == "/busy" and len(peer.seen) < 3:
                    status = 503
                body = b"" if self.command == "HEAD" else b'{"ok": true}'
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", peer.elsewhere)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_HEAD = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                return

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 64
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def ids(self, index: int = -1) -> dict[str, str]:
        """Our headers on one of the requests."""
        return {name: value for name, value in self.seen[index][2].items() if name in IDS}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def peer() -> Iterator[Peer]:
    running = Peer()
    yield running
    running.close()


@pytest.fixture
def untrusted(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name for this machine that our ids may not go to."""
    import socket

    look_up = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        return look_up("127.0.0.1" if host in ("stranger.test", b"stranger.test") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return "stranger.test"


@pytest.fixture
def owner() -> Iterator[context.Owner]:
    """A request that is under way."""
    made, _, _ = context.request_owner(None, None)
    before = context.enter(made)
    yield made
    context.enter(before)


@pytest.fixture
def carried(peer: Peer, owner: context.Owner) -> Callable[..., None]:
    """`carried(fetch)`: the last request (or that of `index`) has the ids of this record and of its owner."""

    def check(fetch: Json, index: int = -1) -> None:
        id = fetch["data"]["fetchId"]
        assert peer.ids(index) == {
            context.REQUEST_ID_HEADER: owner.id,
            context.FETCH_ID_HEADER: id,
            context.TRACEPARENT_HEADER: f"00-{owner.trace_id}-{id}-01",
        }
        assert fetch["parentId"] == owner.id

    return check


@pytest.fixture
def restored(client: Client) -> Callable[..., None]:
    """`restored(Class, "method")`: it is ours now and the original after shutdown."""

    def check(holder: Any, *names: str) -> None:
        ours = {name: vars(holder)[name] for name in names}
        client.shutdown(0)
        for name, method in ours.items():
            assert vars(holder)[name] is method.__wrapped__

    return check
