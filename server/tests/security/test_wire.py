"""Bytes on a socket: requests that are none, that never end, or that mean two things; and clients that do not read."""

from __future__ import annotations

import contextlib
import json
import resource
import selectors
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import pytest

from brakit_server.connections import BODY_SECONDS, HEAD_BYTES, MAX_CONNECTIONS

OPEN = "Host: 127.0.0.1\r\n"
BATCH = b'{"_brakit":true,"version":1,"events":[{"type":"log","timestamp":1,"data":{"level":"info","message":"smuggled"}}]}'
POST = f"POST /__brakit/api/ingest HTTP/1.1\r\n{OPEN}Content-Type: application/json\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"

RAW: dict[str, bytes] = {
    "nothing": b"\r\n\r\n",
    "HTTP/0.9": b"GET /__brakit/api/requests\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.1 in lower case": f"GET /__brakit/api/requests http/1.1\r\n{OPEN}\r\n".encode(),
    "HTTP/9.9": f"GET /__brakit/api/requests HTTP/9.9\r\n{OPEN}\r\n".encode(),
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
    "NULs": b"\0" * 512,
    "bytes that are no text": bytes(range(128, 256)) * 4,
    "a method that is none": f"\x1b]52;c;aGk= / HTTP/1.1\r\n{OPEN}\r\n".encode(),
    "a space in the path": f"GET /__brakit/api/requests ?x HTTP/1.1\r\n{OPEN}\r\n".encode(),
    "a NUL in the path": f"GET /__brakit/\0 HTTP/1.1\r\n{OPEN}\r\n".encode(),
    "a path that is no ASCII": b"GET /__brakit/\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    "no path": f"GET http://127.0.0.1 HTTP/1.1\r\n{OPEN}\r\n".encode(),
    "asterisk": f"OPTIONS * HTTP/1.1\r\n{OPEN}Connection: close\r\n\r\n".encode(),
    "connect": f"CONNECT 127.0.0.1:22 HTTP/1.1\r\n{OPEN}\r\n".encode(),
    "connect to a name": f"CONNECT evil.test:443 HTTP/1.1\r\n{OPEN}\r\n".encode(),
    "both lengths": f"{POST}{CHUNKED}Content-Length: 4\r\n\r\n0\r\n\r\n".encode(),
    "both lengths, the other way round": f"{POST}Content-Length: 4\r\n{CHUNKED}\r\n0\r\n\r\n".encode(),
    "two lengths": f"{POST}Content-Length: 2\r\nContent-Length: 4\r\n\r\n{{}}ab".encode(),
    "two lengths in one": f"{POST}Content-Length: 2, 4\r\n\r\n{{}}ab".encode(),
    "a negative length": f"{POST}Content-Length: -1\r\n\r\n{{}}".encode(),
    "a length with a sign": f"{POST}Content-Length: +2\r\n\r\n{{}}".encode(),
    "a length in hex": f"{POST}Content-Length: 0x2\r\n\r\n{{}}".encode(),
    "a length beyond 64 bits": f"{POST}Content-Length: {2**64 + 2}\r\n\r\n{{}}".encode(),
    "a length with a space before the colon": f"{POST}Content-Length : 2\r\n\r\n{{}}".encode(),
    "chunked, obscured": f"{POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".encode(),
    "chunked twice": f"{POST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n".encode(),
    "chunked, then not": f"{POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n".encode(),
    "a size of a chunk that is none": f"{POST}{CHUNKED}\r\nzz\r\n{{}}\r\n0\r\n\r\n".encode(),
    "a negative size of a chunk": f"{POST}{CHUNKED}\r\n-1\r\n{{}}\r\n0\r\n\r\n".encode(),
    "a size of a chunk beyond 64 bits": f"{POST}{CHUNKED}\r\nfffffffffffffffff\r\n{{}}\r\n0\r\n\r\n".encode(),
    "a chunk longer than it says": f"{POST}{CHUNKED}\r\n2\r\n{{}}xx\r\n0\r\n\r\n".encode(),
    "a folded header": f"{POST}X: a\r\n Content-Length: 2\r\n\r\n{{}}".encode(),
    "a header without a name": f"{POST}: x\r\n\r\n".encode(),
    "a header without a colon": f"{POST}Nonsense\r\n\r\n".encode(),
    "a bare CR": f"{POST}X: a\rContent-Length: 2\r\n\r\n{{}}".encode(),
    "more headers than anybody has": f"GET /__brakit/api/hello HTTP/1.1\r\n{OPEN}".encode() + b"a: b\r\n" * 5_000 + b"\r\n",
}
"""Each is refused with a status from 400 to 499, or the connection ends without a word; nothing of it is done."""


def connect(server: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 10)


def said(connection: socket.socket, seconds: float = 10) -> bytes:
    """What comes until the other side closes; fails when it does not within `seconds`."""
    connection.settimeout(seconds)
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def statuses(received: bytes) -> list[int]:
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("what", RAW)
def test_what_is_no_request_is_refused(server: Any, what: str) -> None:
    before = server.get("logs?search=smuggled")["total"]
    with connect(server) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(RAW[what])
            connection.shutdown(socket.SHUT_WR)
        received = said(connection)
    assert all(400 <= status < 500 for status in statuses(received)), received
    assert b"Traceback" not in received
    assert server.get("logs?search=smuggled")["total"] == before
    assert server.send() == 204


def test_a_body_within_a_body_is_no_request(server: Any) -> None:
    """Whatever the two lengths say: what stands behind the first body is not read as a request."""
    inner = f"{POST}Content-Length: {len(BATCH)}\r\n\r\n".encode() + BATCH
    for outer in (f"{POST}{CHUNKED}Content-Length: 5\r\n\r\n0\r\n\r\n", f"{POST}Content-Length: 5\r\n{CHUNKED}\r\n0\r\n\r\n"):
        with connect(server) as connection:
            connection.sendall(outer.encode() + inner)
            received = said(connection)
        assert statuses(received) == [400]
    assert server.get("logs?search=smuggled")["total"] == 0


def test_requests_one_behind_the_other_are_answered_in_order_and_each_is_checked(server: Any) -> None:
    ask = "GET /__brakit/api/{} HTTP/1.1\r\nHost: {}\r\n{}\r\n"
    with connect(server) as connection:
        connection.sendall(
            (
                ask.format("hello", "127.0.0.1", "")
                + ask.format("hello", "evil.test", "")
                + ask.format("requests", "127.0.0.1", "Origin: https://evil.test\r\n")
                + ask.format("nothing", "127.0.0.1", "Connection: close\r\n")
            ).encode()
        )
        assert statuses(said(connection)) == [200, 421, 403, 404]


GREETING = f"GET /__brakit/api/hello HTTP/1.1\r\n{OPEN}\r\n".encode()
FORM = f"POST /__brakit/api/ingest HTTP/1.1\r\n{OPEN}Content-Type: text/plain\r\nContent-Length: 100000\r\n\r\n".encode()
TRICKLES: dict[str, tuple[bytes, bytes, bytes]] = {
    "nothing yet": (b"", b"", b"G"),
    "the head": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"", b"y"),
    "the body": (f"{POST}Content-Length: 500\r\n\r\n".encode(), b"", b"{"),
    "the body of a report": (f"{POST.replace('ingest', 'findings/report')}Content-Length: 500\r\n\r\n".encode(), b"", b"{"),
    "chunks": (f"{POST}{CHUNKED}\r\n".encode(), b"", b"1\r\n{\r\n"),
    "empty lines after an answer": (GREETING, b" 200 ", b"\r\n"),
    "a body that was answered": (FORM, b" 415 ", b"x"),
    "a second head behind an answer": (GREETING, b" 200 ", b"G"),
}
"""What is sent at first, what is answered to that, and what is sent again and again."""


def test_who_trickles_or_does_not_read_is_cut_off(server: Any, event: Any) -> None:
    assert server.send(*(event("log", message=f"{number} " + "x" * 20_000) for number in range(200))) == 204
    with ThreadPoolExecutor(len(TRICKLES)) as pool, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(f"GET /__brakit/api/logs HTTP/1.1\r\n{OPEN}\r\n".encode() * 20)
        assert dict(
            zip(TRICKLES, pool.map(lambda case: trickle(server, *case), TRICKLES.values()), strict=True)
        ) == dict.fromkeys(TRICKLES, "cut off")
        server.wait_for("health", lambda found: found["connections"]["closed"].get("unread", 0) > 0, 30)


def trickle(server: Any, first: bytes, answered: bytes, more: bytes) -> str:
    """How it ends, within three times the longest limit."""
    with connect(server) as connection:
        connection.sendall(first)
        if answered:
            assert answered in connection.recv(65536)
        connection.settimeout(0.5)
        deadline = time.monotonic() + 3 * BODY_SECONDS
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline:
                connection.sendall(more)
                with contextlib.suppress(TimeoutError):
                    if connection.recv(65536) == b"":
                        return "cut off"
            return "still open"
        return "cut off"


def test_a_head_without_end_is_refused_and_not_kept(server: Any) -> None:
    for line in (b"X-Long: " + b"x" * 60_000 + b"\r\n", b"x" * 60_000):
        with connect(server) as connection:
            sent = 0
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" if line[:1] == b"X" else b"GET /")
                while sent < 64 * HEAD_BYTES:
                    connection.sendall(line)
                    sent += len(line)
            assert sent < 64 * HEAD_BYTES
            received = said(connection)
        assert statuses(received) in ([431], [400], [])


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_thousand_that_trickle_leave_room_for_honest_ones(server: Any) -> None:
    """Each sends one byte a second, of a head or of a body; meanwhile every batch is taken, and at the end all of them are closed."""
    crowd = selectors.DefaultSelector()
    for number in range(1_000):
        with contextlib.suppress(OSError):
            one = socket.create_connection(("127.0.0.1", server.port), 10)
            one.setblocking(False)
            with contextlib.suppress(OSError):
                one.send(f"{POST}Content-Length: 500\r\n\r\n".encode() if number % 2 else b"POST /")
            crowd.register(one, selectors.EVENT_READ)
    begun = time.monotonic()
    trickled = begun
    took: list[float] = []
    while crowd.get_map():
        assert time.monotonic() < begun + 30, f"{len(crowd.get_map())} are still open"
        sent = time.perf_counter()
        assert server.send() == 204
        took.append(time.perf_counter() - sent)
        for key, _ in crowd.select(0.02):
            assert isinstance(key.fileobj, socket.socket)
            with contextlib.suppress(BlockingIOError):
                try:
                    ended = key.fileobj.recv(65536) == b""
                except ConnectionError:
                    ended = True
                if ended:
                    crowd.unregister(key.fileobj)
                    key.fileobj.close()
        if time.monotonic() > trickled + 1:
            trickled = time.monotonic()
            for key in list(crowd.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                with contextlib.suppress(OSError):
                    key.fileobj.send(b"{")
    assert len(took) > 10
    print(f"{len(took)} batches beside them: p50 {median(took) * 1000:.1f} ms, slowest {max(took) * 1000:.1f} ms")
    health = server.get("health")
    assert health["connections"]["most"] <= MAX_CONNECTIONS
    assert sum(health["connections"]["closed"].values()) >= 1_000


def test_a_refusal_below_http_carries_the_guarding_headers(server: Any) -> None:
    status, headers, body = server.raw(b"NONSENSE\r\n\r\n")
    assert status == 400
    assert headers["x-content-type-options"] == "nosniff"
    assert "error" in json.loads(body)
