"""Event streams of a real process: how many, who does not read, who comes back, what is in the frames, and the end of it all."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from brakit_server.stream import MAX_CLIENTS

HOSTILE = [
    "\r", "\n", "\r\n", "\n\n", "\u2028", "\u2029", "\x85", "\0", "\x0b\x0c\x1c\x1d\x1e", "\ufeff", "\x1b[2J",
    "\ndata: {}\n\n", "\r\rid: 999999\revent: issues\rdata: []\r\r", "\n\nevent: resync\ndata: {}\n\n", "\nretry: 1\n",
]  # fmt: skip


class Watcher:
    """An open stream, read like an EventSource does: lines end with CR, LF or both; an empty one ends an event."""

    def __init__(self, server: Any, last_id: str | None = None, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", server.port))
        resumed = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        self.socket.sendall(f"GET /__brakit/api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n{resumed}\r\n".encode())
        self.last_id = last_id or ""
        self._file = self.socket.makefile("rb")

    def open(self) -> int:
        """The status, once the stream has begun."""
        status = int(self._file.readline().split()[1])
        while self._file.readline() not in (b"\r\n", b""):
            continue
        return status

    def events(self) -> Iterator[tuple[str, str]]:
        """Name and data of each."""
        name, data, rest = "", list[str](), ""
        for chunk in self._chunks():
            # One more character than a line's end: a CR may have its LF in the next chunk.
            *lines, rest = (rest + chunk).replace("\r\n", "\n").replace("\r", "\n").split("\n")
            for line in lines:
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if line == "":
                    if data:
                        yield name or "message", "\n".join(data)
                    name, data = "", []
                elif field == "event":
                    name = value
                elif field == "data":
                    data.append(value)
                elif field == "id":
                    self.last_id = value

    def _chunks(self) -> Iterator[str]:
        left = b""
        while size := int(self._file.readline() or b"0", 16):
            left += self._file.read(size)
            self._file.read(2)
            text = left.decode("utf-8", "ignore")
            left = left[len(text.encode()) :]
            yield text

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@contextlib.contextmanager
def watching(server: Any, **how: Any) -> Iterator[Watcher]:
    watcher = Watcher(server, **how)
    try:
        yield watcher
    finally:
        watcher.close()


def test_what_was_captured_ends_no_frame(server: Any, event: Any) -> None:
    with watching(server) as watcher:
        assert watcher.open() == 200
        sent = []
        for text in HOSTILE:
            sent += [
                event("log", {"requestId": text}, message=text, logger=text),
                event("error", {"requestId": text}, name=text, message=text, stack=text),
                event("fetch", {"requestId": text}, url=text, method=text),
                event("db.query", {"requestId": text}, sql=text, table=text, operation=text),
                event("request", {"requestId": text}, method=text, url=text, route=text, requestHeaders={"x": text}),
            ]
        taken = 0
        for each in sent:
            taken += server.send(each, resource={"service": each["requestId"], "pid": 1}) == 204
        assert taken > 4 * len(HOSTILE)
        seen = 0
        for name, data in watcher.events():
            assert name in ("message", "query", "fetch", "log", "error_event", "issues")
            assert isinstance(json.loads(data), dict if name != "issues" else list)
            seen += name != "issues"
            if seen == taken:
                break
        assert watcher.last_id.isdigit()


def test_who_comes_back_has_missed_nothing_and_sees_nothing_twice(server: Any, event: Any) -> None:
    """The connection is cut again and again while much happens."""
    sent = 0
    with watching(server) as watcher:
        assert watcher.open() == 200
        before = server.get("logs?search=resume-&limit=1")["total"]
    seen: list[str] = []
    last = ""
    cuts = 0
    while sent < 4_000 or len(seen) < sent:
        with watching(server, last_id=last) as watcher:
            assert watcher.open() == 200
            if sent < 4_000:
                assert server.send(*(event("log", message=f"resume-{sent + number:05}") for number in range(100))) == 204
                sent += 100
            for count, (name, data) in enumerate(watcher.events()):
                assert name != "resync"
                if name == "log" and (message := json.loads(data)["message"]).startswith("resume-"):
                    seen.append(message)
                last = watcher.last_id
                if count == 60 + cuts % 80 or len(seen) == sent:
                    break
        cuts += 1
        if not last:
            # Cut before the first event: there is nothing to come back behind.
            last = str(server.get("logs?limit=1") and "")
    assert before == 0
    assert seen == [f"resume-{number:05}" for number in range(sent)]
    assert cuts > 40


def test_there_are_a_hundred_at_most_and_room_again_when_one_goes(server: Any) -> None:
    server.wait_for("health", lambda found: found["streams"] == 0)
    crowd = [Watcher(server) for _ in range(MAX_CLIENTS)]
    assert {watcher.open() for watcher in crowd} == {200}
    status, headers, _ = server.call("GET", "/__brakit/api/events")
    assert (status, "retry-after" in headers) == (503, True)
    assert server.send() == 204
    crowd.pop().close()
    server.wait_for("health", lambda found: found["streams"] == MAX_CLIENTS - 1)
    with watching(server) as late:
        assert late.open() == 200
    for watcher in crowd:
        watcher.close()
    server.wait_for("health", lambda found: found["streams"] == 0)


def test_who_does_not_read_is_sent_off_and_costs_no_memory(server: Any, event: Any) -> None:
    def much(batches: int) -> None:
        for number in range(batches):
            batch = [event("log", message=f"{number}-{each}-" + "x" * 4_000) for each in range(200)]
            assert server.send(*batch) == 204
            seen = 0
            while seen < 200:
                name, data = next(stream)
                seen += name == "log" and json.loads(data)["message"].startswith(f"{number}-")

    with contextlib.ExitStack() as deaf, watching(server) as honest:
        assert honest.open() == 200
        stream = honest.events()
        # What that much costs anyway: caches, the newest frames.
        much(30)
        before = server.get("health")
        for _ in range(40):
            assert deaf.enter_context(watching(server, receive_buffer=4096)).open() == 200
        much(30)
        after = server.wait_for("health", lambda found: found["streams"] == 1, 30)
        # 24 MB went to who reads; queues for those who do not would have been 960.
        grown = after["memoryBytes"] - before["memoryBytes"]
        print(f"memory: {grown / 1e6:+.1f} MB")
        assert grown < 60_000_000
        server.wait_for("health", lambda found: found["connections"]["open"] <= 2, 5)


def test_it_ends_with_fifty_streams_open_of_which_some_do_not_read(start: Any, event: Any) -> None:
    server = start()
    with contextlib.ExitStack() as crowd:
        for number in range(50):
            watcher = crowd.enter_context(watching(server, receive_buffer=4096 if number % 5 == 0 else None))
            assert watcher.open() == 200
        for number in range(10):
            server.send(*(event("log", message=f"{number}-{each}" + "x" * 2_000) for each in range(200)))
        begun = time.monotonic()
        assert server.stop() == (0, "")
        took = time.monotonic() - begun
    print(f"ended after {took:.2f} s")
    # A stream that held it up would do so for ten seconds and more; nothing waits for the limit of uvicorn's own.
    assert took < 5


@pytest.mark.parametrize("last", ["99999999", "-1", "x", "1" * 30, "%0d%0aid: 1"])
def test_an_id_that_is_not_ours_means_loading_anew(server: Any, event: Any, last: str) -> None:
    server.send(event("log"))
    with watching(server, last_id=last) as watcher:
        assert watcher.open() == 200
        assert next(watcher.events())[0] == "resync"
