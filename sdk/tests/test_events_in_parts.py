"""Events in parts: what a server that reads them gets, and that any other gets them whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from brakit import context
from brakit.instrumentations._dbapi import Query

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sdk.tests.conftest import Sink

    from brakit.client import Client

    Make = Callable[..., Client]


def log(client: Client, number: int = 1) -> None:
    for index in range(number):
        client.record("log", level="info", message=f"m{index}").emit(client.buffer)


def query(client: Client, number: int) -> None:
    made = Query("sqlalchemy", "SELECT a, b, c FROM orders WHERE id = ?", (number,), None, "sqlite", "1", None)
    made.owner, made.over, made.rows = OWNER, True, number
    made.emit(client.buffer)


OWNER, _, _ = context.request_owner(None, None)


def test_a_server_that_reads_events_in_parts_gets_them_so(sink: Sink, make_client: Make, tmp_path: Path) -> None:
    sink.announce(tmp_path / ".brakit")
    client = make_client()
    for shares in (False, True, False):
        # What a connection was told is true for this connection.
        sink.shares = shares
        if client.sender is not None:
            client.sender._disconnect()
        for _ in range(2):
            log(client, 10)
            for number in range(30):
                query(client, number)
            assert client.flush(5)
    found = sink.of("db.query")
    assert [event["data"]["rowCount"] for event in found] == [*range(30)] * 6
    assert {event["requestId"] for event in found} == {OWNER.id}
    assert len({json.dumps({**event["data"], "rowCount": 0, "duration": 0, "paramsHash": ""}) for event in found}) == 1
    assert [("shared" in payload) for payload in sink.payloads] == [False, False, True, True, False, False]
    whole, parts = sink.raw[1], sink.raw[2]
    assert len(parts) < len(whole) / 2


def test_a_batch_that_was_put_together_for_one_server_is_sent_to_another_whole(
    sink: Sink, make_client: Make, tmp_path: Path
) -> None:
    sink.announce(tmp_path / ".brakit")
    sink.shares = True
    client = make_client()
    log(client)
    assert client.flush(5)
    sink.mode, sink.shares = "503", False
    for number in range(5):
        query(client, number)
    assert not client.flush(0.3)
    client.sender._disconnect()
    sink.mode = "ok"
    assert client.flush(5)
    assert "shared" not in sink.payloads[-1]
    assert len(sink.of("db.query")) == 5
