"""kill -9 under load: what was answered with 204 is there afterwards, once and whole. `BRAKIT_LONG=1` kills 200 times."""

from __future__ import annotations

import http.client
import os
import random
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.durability.serving import INGEST, LOGS, QUERIES, Server, batch, integrity, set_aside

KILLS = 200 if os.environ.get("BRAKIT_LONG") == "1" else 20
SENDERS = 4


class Senders:
    """Threads that send batches until the server is gone; what was answered, and what was sent and left without an answer."""

    def __init__(self, server: Server, round: int) -> None:
        self.answered: set[str] = set()
        self.unanswered: set[str] = set()
        self._server = server
        self._threads = [threading.Thread(target=self._send, args=(f"{round}-{number}",)) for number in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _send(self, name: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=20)
        number = 0
        while True:
            one = f"{name}-{number}"
            number += 1
            try:
                connection.request("POST", INGEST, batch(one), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self.unanswered.add(one)
                connection.close()
                return
            assert answer.status == 204, answer.status
            self.answered.add(one)


@pytest.mark.timeout(60 * 60 if KILLS > 20 else 300)
@pytest.mark.parametrize("durability", ["normal", "full"])
def test_what_was_answered_is_there_once(
    tmp_path: Path, start: Callable[..., Server], say: Callable[[str], None], durability: str
) -> None:
    rng = random.Random(f"kill {durability}")
    options = ("--durability", durability)
    expected: set[str] = set()
    """Batches that must be there."""
    starts: list[float] = []
    lost = twice = kept = answered = 0
    server = start(None, *options)
    for round in range(KILLS // 2):
        senders = Senders(server, round)
        time.sleep(rng.uniform(0.02, 0.8))
        server.kill()
        senders.join()
        server = start(None, *options)
        starts.append(server.started_s)
        found = [request["id"] for request in server.all("requests", "limit=500&filter=url:/users/" + f"{round}-*")]
        lost += len(senders.answered - set(found))
        twice += len(found) - len(set(found))
        kept += len(senders.unanswered & set(found))
        answered += len(senders.answered)
        assert set(found) <= senders.answered | senders.unanswered
        for name in senders.unanswered:
            # Whether or not it was stored: the sender does not know, and sends it again.
            assert server.post(batch(name)) == 204
        expected |= senders.answered | senders.unanswered
        events = server.get("status")["events"]
        assert events == {"request": len(expected), "db.query": QUERIES * len(expected), "log": LOGS * len(expected)}, round
        assert integrity(tmp_path / "data") == "ok"
    everything = [request["id"] for request in server.all("requests", "limit=500")]
    assert (lost, twice) == (0, 0)
    assert len(everything) == len(expected)
    assert set(everything) == expected
    assert answered > KILLS
    assert set_aside(tmp_path / "data") == []
    say(
        f"kill -9, durability {durability}: {KILLS // 2} kills, {answered} batches answered for, {lost} lost, {twice} twice; "
        f"{kept} stored without an answer, sent again, there once; "
        f"start afterwards {statistics.median(starts):.2f} s (median), {max(starts):.2f} s (longest)"
    )
