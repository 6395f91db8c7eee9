"""Answers that are lost on the way: the sender sends again, and nothing is there twice."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.durability.serving import INGEST, Server, batch, log, payload

EACH = {"request": 1, "db.query": 12, "log": 6}


class Watching:
    """Reads the live stream of a server."""

    def __init__(self, server: Server) -> None:
        self._connection = socket.create_connection(("127.0.0.1", server.port), 30)
        self._connection.sendall(b"GET /__brakit/api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self._read = b""

    def until(self, text: str) -> str:
        """What came up to and with `text`."""
        while text.encode() not in self._read:
            chunk = self._connection.recv(65536)
            assert chunk, "the stream has ended"
            self._read += chunk
        return self._read.decode()

    def close(self) -> None:
        self._connection.close()


def cut_off(server: Server, body: bytes, stored: Callable[[], bool]) -> None:
    """Send a batch, and reset the connection once it is stored, the answer unread."""
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        # The answer finds no room, or nobody: either way it is lost.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        head = (
            f"POST {INGEST} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        deadline = time.monotonic() + 30
        while not stored():
            assert time.monotonic() < deadline, "it was never stored"


@pytest.mark.parametrize("restart", [False, True])
def test_sent_again_after_a_lost_answer(start: Callable[..., Server], restart: bool) -> None:
    server = start()
    watching = Watching(server)
    watching.until(":ok")
    for number in range(5):
        expected = {kind: count * (number + 1) for kind, count in EACH.items()}
        cut_off(server, batch(f"r{number}"), lambda expected=expected: server.get("status")["events"] == expected)  # type: ignore[misc]
    if restart:
        server.kill()
        server = start()
    for number in range(5):
        assert [server.post(batch(f"r{number}")) for _ in range(5)] == [204] * 5
    assert server.get("status")["events"] == {kind: count * 5 for kind, count in EACH.items()}
    assert sorted(one["id"] for one in server.all("requests")) == [f"r{number}" for number in range(5)]
    if not restart:
        assert server.post(payload([log("the end")])) == 204
        seen = watching.until("the end")
        assert [seen.count(f'"message":"r{number} said 0"') for number in range(5)] == [1] * 5
    watching.close()


def test_sent_by_several_at_once(start: Callable[..., Server]) -> None:
    server = start()
    watching = Watching(server)
    watching.until(":ok")
    statuses: list[int] = []
    for number in range(20):
        ready = threading.Barrier(6)

        def send(number: int = number, ready: threading.Barrier = ready) -> None:
            body = batch(f"r{number}")
            ready.wait()
            statuses.append(server.post(body))

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [204] * 120
    assert server.get("status")["events"] == {kind: count * 20 for kind, count in EACH.items()}
    assert server.post(payload([log("the end")])) == 204
    seen = watching.until("the end")
    assert [seen.count(f'"message":"r{number} said 5"') for number in range(20)] == [1] * 20
    watching.close()


def test_no_batch_is_half_there(start: Callable[..., Server], tmp_path: Path) -> None:
    """A body that breaks off is no batch: nothing of it is stored, and the whole of it is, when it comes."""
    server = start()
    body = batch("r1")
    for part in (1, len(body) // 2, len(body) - 1):
        with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
            head = f"POST {INGEST} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body[:part])
    assert server.get("status")["events"] == {}
    assert server.post(body) == 204
    server.kill()
    assert start().get("status")["events"] == EACH
