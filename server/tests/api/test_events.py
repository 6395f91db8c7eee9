"""`GET /api/events` on a real server: what a browser's EventSource would see, with cuts."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any


class Source:
    """As much of EventSource as the test needs: events with name, id and data; it reconnects with the last id."""

    def __init__(self, port: int, last: str | None = None) -> None:
        self.last = last
        self._connection = socket.create_connection(("127.0.0.1", port), 10)
        again = f"Last-Event-ID: {last}\r\n" if last else ""
        self._connection.sendall(f"GET /__brakit/api/events HTTP/1.1\r\nHost: localhost:{port}\r\n{again}\r\n".encode())
        self._file = self._connection.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._file.readline()
        self.head = head.decode().lower()
        self.events = self._events()

    def _lines(self) -> Iterator[str]:
        rest = b""
        while True:
            size = int(self._file.readline() or b"0", 16)
            if size == 0:
                return
            rest += self._file.read(size)
            self._file.readline()
            *whole, rest = rest.split(b"\n")
            for line in whole:
                yield line.decode()

    def _events(self) -> Iterator[tuple[str, Any]]:
        name, data = "message", ""
        for line in self._lines():
            if line.startswith("id: "):
                self.last = line[4:]
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data += line[6:]
            elif not line and data:
                yield name, json.loads(data)
                name, data = "message", ""

    def close(self) -> None:
        self._file.close()
        self._connection.close()


def test_names_and_records(server: Any, event: Any) -> None:
    source = Source(server.port)
    assert source.head.startswith("http/1.1 200")
    assert "content-type: text/event-stream" in source.head
    assert "content-security-policy" in source.head
    kinds = ["db.query", "fetch", "log", "error", "auth.check", "span", "new.kind", "request"]
    server.send(*(event(kind) for kind in kinds))
    found = []
    for name, data in source.events:
        if name != "issues":
            found.append(name)
            assert data["id"]
        if len(found) == 7:
            break
    assert found == ["query", "fetch", "log", "error_event", "auth_check", "span", "message"]
    server.send(event("error", {"requestId": None}, message="look at me"))
    for name, data in source.events:
        if name == "issues":
            assert isinstance(data, list)
            break
    assert server.call("POST", "/__brakit/api/clear")[0] == 200
    assert "cleared" in (name for name, _ in source.events)
    source.close()


def test_cut_off_again_and_again_it_misses_nothing_and_sees_nothing_twice(server: Any, event: Any) -> None:
    total, batch = 4_000, 40
    rng = random.Random(5)
    first = Source(server.port)
    server.send(event("log", message="begin"))
    assert next(first.events)[1]["message"] == "begin"
    first.close()

    def send() -> None:
        for start in range(0, total, batch):
            assert server.send(*(event("log", message=f"n{number}") for number in range(start, start + batch))) == 204

    sender = threading.Thread(target=send)
    sender.start()
    seen: list[str] = []
    last = first.last
    cuts = 0
    while len(seen) < total:
        source = Source(server.port, last)
        until = len(seen) + rng.randrange(1, 120)
        for name, data in source.events:
            assert name in ("log", "issues"), name
            if name == "log":
                seen.append(data["message"])
            if len(seen) >= until or len(seen) == total:
                break
        last = source.last
        source.close()
        cuts += 1
    sender.join()
    assert cuts > 30
    assert seen == [f"n{number}" for number in range(total)]


def test_a_client_that_never_reads_costs_nothing_and_hinders_nobody(server: Any, event: Any) -> None:
    deaf = [Source(server.port) for _ in range(5)]
    listening = Source(server.port)
    heard = 0
    for _ in range(20):
        server.send(*(event("log", message="x" * 1_000) for _ in range(200)))
    for name, _ in listening.events:
        heard += name == "log"
        if heard == 4_000:
            break
    begun = time.monotonic()
    assert server.send(event("log")) == 204
    assert time.monotonic() - begun < 1
    for source in (*deaf, listening):
        source.close()


def test_no_more_than_a_hundred_streams(server: Any) -> None:
    sources = [Source(server.port) for _ in range(100)]
    status, headers, _ = server.call("GET", "/__brakit/api/events")
    assert (status, "retry-after" in headers) == (503, True)
    for source in sources:
        source.close()
    deadline = time.monotonic() + 5
    while True:
        source = Source(server.port)
        source.close()
        if " 200 " in source.head:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_server_stops_at_once_with_streams_open(start: Any, event: Any) -> None:
    server = start()
    sources = [Source(server.port) for _ in range(50)]
    begun = time.monotonic()
    code, said = server.stop()
    assert time.monotonic() - begun < 3
    assert (code, said) == (0, "")
    for source in sources:
        assert list(source.events) == []
        source.close()
