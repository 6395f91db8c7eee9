"""A server that has as much in memory as it may."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from brakit_server.memory import CHECK_SECONDS, Ceiling, resident

PIECE = b" " * 9_000_000


def test_senders_are_asked_to_wait_and_readers_are_not(start: Any, event: Any) -> None:
    first = start()
    first.send(event("log"))
    usual = first.get("health")["memoryBytes"]
    first.stop()
    server = start(max_memory=usual + 30_000_000)
    assert server.send(event("log")) == 204
    head = "POST /__brakit/api/ingest HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9500000\r\n\r\n"
    with contextlib.ExitStack() as open_ones:
        for _ in range(6):
            one = open_ones.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            one.sendall(head.encode() + PIECE)
        deadline = time.monotonic() + 4
        while (answer := server.call("POST", "/__brakit/api/ingest", b'{"_brakit":true,"version":1,"events":[]}'))[0] != 503:
            assert time.monotonic() < deadline, "it took all that was sent"
        assert int(answer[1]["retry-after"]) >= 1
        assert b"memory" in answer[2]
        assert server.get("logs")["total"] == 2
        health = server.get("health")
        assert health["status"] == "degraded"
        assert "memory" in health["problems"][0]
    deadline = time.monotonic() + 20
    while server.send(event("log", message="after")) != 204:
        assert time.monotonic() < deadline, server.get("health")
        time.sleep(0.1)
    assert server.get("health")["problems"] == []
    assert server.get("logs?search=after")["total"] == 1


def test_the_memory_is_looked_at_now_and_then() -> None:
    now = 0.0
    ceiling = Ceiling(1, lambda: now)
    assert (resident() or 0) > 1_000_000
    assert ceiling.is_reached()
    ceiling.most = 2**50
    assert ceiling.is_reached()
    now += CHECK_SECONDS
    assert not ceiling.is_reached()
