"""The stream by itself: the ring, clients that are behind, bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from brakit_server import stream as streaming
from brakit_server.filters import parse
from brakit_server.filters.tree import Compare, Value
from brakit_server.records import Log
from brakit_server.stores import Batch, Resource, Stored
from brakit_server.stores.sqlite import SqliteStore
from brakit_server.stream import Client, Form, Shown, Sieve, Stream, apart, frame, text_of, together

NOW = 1_790_000_000_000.0


def log(message: str) -> Log:
    return Log(id="l", timestamp=NOW, parent_request_id=None, level="info", message=message)


class Line:
    """A store and its stream."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.stream = Stream(store)

    async def put(self, *messages: str) -> None:
        entries: list[Any] = [("log", log(message)) for message in messages]
        batch = Batch(batch_id=None, resource=Resource(run="r", service="s"), entries=entries, dropped={}, received_at=NOW)
        self.stream.publish(await self.store.append(batch))

    def connect(self, last_id: str | None = None, filter: str = "", form: Form = apart) -> Client:
        client = self.stream.connect(last_id, parse(filter), form)
        assert client is not None
        return client


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    store = SqliteStore(tmp_path / "b.db")
    made = Line(store)
    await made.stream.start()
    yield made
    await store.close()


async def drain(client: Client) -> bytes:
    """All that is there now."""
    found = b""
    while (chunk := await client.next(0.05)) not in (None, b":heartbeat\n\n"):
        assert chunk is not None
        found += chunk
    return found


def one(seq: int, message: str) -> bytes:
    stored = Stored(seq, "log", log(message))
    return frame(Shown(stored, text_of(stored)))


def ids(text: bytes) -> list[int]:
    return [int(line[4:]) for line in text.split(b"\n") if line.startswith(b"id: ")]


@pytest.mark.parametrize("text", ["\r", "\n", "\r\n", "\u2028", "\n\nevent: issues\ndata: []\n\n", "\0"])
def test_what_was_captured_cannot_end_a_frame(text: str) -> None:
    stored = Stored(7, "log", log(text))
    whole = frame(Shown(stored, text_of(stored)))
    assert whole.startswith(b"id: 7\nevent: log\ndata: {")
    assert whole.endswith(b"}\n\n")
    assert whole.count(b"\n") == 4
    assert b"\r" not in whole
    assert text_of(Stored(7, "event: x\n\n", log(text))) == b""
    many = together([Shown(stored, text_of(stored)), Shown(Stored(8, "x\n\n", log(text)), b"")])
    assert (many.count(b"\n"), many.count(b"\r")) == (4, 0)
    assert many.startswith(b'id: 8\nevent: batch\ndata: [["log",{')


async def test_live_frames_and_resuming_behind_any_of_them(line: Line) -> None:
    client = line.connect()
    await line.put(*"abc")
    await line.put("d")
    assert ids(await drain(client)) == [1, 2, 3, 4]
    for last in range(5):
        assert ids(await drain(line.connect(str(last)))) == list(range(last + 1, 5))
    # Without anybody watching nothing is kept in memory: the store has it.
    line.stream.disconnect(client)
    for each in list(line.stream._clients):
        line.stream.disconnect(each)
    await line.put(*(f"m{number}" for number in range(1_200)))
    assert len(line.stream._ring) == 0
    assert ids(await drain(line.connect("2"))) == list(range(3, 1_205))


@pytest.mark.parametrize("last", ["99", "-1", "x", "1" * 30, "١"])
async def test_an_unknown_place_means_loading_anew(line: Line, last: str) -> None:
    await line.put("a")
    client = line.connect(last)
    assert await drain(client) == b"id: 1\nevent: resync\ndata: {}\n\n"
    await line.put("b")
    assert ids(await drain(client)) == [2]


async def test_what_is_gone_from_the_store_means_loading_anew(line: Line) -> None:
    await line.put("a", "b")
    await line.store.clear()
    line.stream.cleared()
    await line.put("c")
    assert b"event: resync" in await drain(line.connect("1"))


async def test_clearing_is_told(line: Line) -> None:
    client = line.connect()
    await line.store.clear()
    line.stream.cleared()
    assert await drain(client) == b"event: cleared\ndata: {}\n\n"


async def test_issues_are_told_as_they_are_now(line: Line) -> None:
    client = line.connect()
    line.stream.issues([])
    line.stream.issues([])
    assert await drain(client) == b"event: issues\ndata: []\n\n"


async def test_one_that_reads_too_slowly_is_sent_off(line: Line) -> None:
    client = line.connect()
    for _ in range(11):
        await line.put(*("x" * 100 for _ in range(1_000)))
    assert len(line.stream._ring) <= streaming.RING_EVENTS
    assert line.stream._bytes <= streaming.RING_BYTES
    assert await client.next(1) == b"id: 11000\nevent: resync\ndata: {}\n\n"
    assert await client.next(1) is None
    assert ids(await drain(line.connect("11000"))) == []


async def test_large_frames_are_bounded_in_bytes(line: Line) -> None:
    client = line.connect()
    await line.put(*("x" * 60_000 for _ in range(300)))
    assert line.stream._bytes <= streaming.RING_BYTES
    assert ids(await drain(client)) == list(range(1, 301))


async def test_no_more_than_a_hundred(line: Line) -> None:
    clients = [line.connect() for _ in range(streaming.MAX_CLIENTS)]
    assert line.stream.connect(None) is None
    line.stream.disconnect(clients[0])
    assert line.stream.connect(None) is not None


async def test_closing_ends_every_stream(line: Line) -> None:
    clients = [line.connect() for _ in range(5)]
    waiting = [asyncio.ensure_future(client.next(60)) for client in clients]
    await asyncio.sleep(0)
    line.stream.close()
    assert await asyncio.gather(*waiting) == [None] * 5
    assert line.stream.connect(None) is None


async def test_a_filter_lets_through_what_fits_and_tells_how_far_it_is(line: Line) -> None:
    await line.put("a", "find me", "b")
    from_store = line.connect("0", "find")
    live = line.connect(None, "find")
    assert await drain(from_store) == one(2, "find me") + b"id: 3\n\n"
    await line.put("c")
    await line.put("Find too", "d", "find three")
    assert ids(await drain(live)) == [5, 7]
    assert ids(await drain(from_store)) == [5, 7]
    # What was told last is where a client comes back to.
    assert ids(await drain(line.connect("7", "find"))) == []


async def test_a_filter_knows_of_processes_that_came_after_it(line: Line) -> None:
    client = line.connect(None, "host:box")
    for run, host in (("r1", "box"), ("r2", "other"), ("r1", "box")):
        entry = Log(id="l", timestamp=NOW, parent_request_id=None, level="info", message="m", run=run)
        resource = Resource(run=run, service="s", host=host)
        batch = Batch(batch_id=None, resource=resource, entries=[("log", entry)], dropped={}, received_at=NOW)
        line.stream.publish(await line.store.append(batch))
    assert (await drain(client)).count(b"data: ") == 2


async def test_a_filter_that_takes_long_is_asked_piece_by_piece(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SIFT_SECONDS", 0.0)
    client = line.connect(None, "-b")
    await line.put(*"abcd")
    chunks = [await client.next(1) for _ in range(4)]
    assert [ids(chunk or b"") for chunk in chunks] == [[1], [2], [3], [4]]
    assert chunks[1] == b"id: 2\n\n"


async def test_closing_while_a_filter_is_asked_ends_the_stream(line: Line) -> None:
    client = line.connect(None, "x")
    await line.put("x", "y")
    line.stream.close()
    [shown] = [
        await line.stream.in_thread(Sieve(line.store, Compare("text", ":", (Value("x"),))), found, apart)
        for found in [line.stream.after(0) or []]
    ]
    assert shown == (2, b"")
    assert await client.next(1) is None


def batches(text: bytes) -> list[list[str]]:
    """Messages of the events of each batch."""
    lines = [line[6:] for line in text.split(b"\n") if line.startswith(b"data: ")]
    return [[record["message"] for _, record in json.loads(line)] for line in lines]


async def test_many_events_at_a_time_for_those_who_ask_for_it(line: Line) -> None:
    client, other = line.connect(form=together), line.connect()
    for message in "abcd":
        await line.put(message)
    told = await drain(client)
    assert batches(told) == [list("abcd")]
    assert ids(told) == [4]
    assert ids(await drain(other)) == [1, 2, 3, 4]
    # Behind, as after a connection that broke: the same, from there on.
    assert batches(await drain(line.connect("2", form=together))) == [["c", "d"]]
    await line.put(*("x" * 60_000 for _ in range(30)))
    told = await drain(client)
    assert [len(each) for each in batches(told)] == [5] * 6
    assert ids(told)[-1] == 34


async def test_a_batch_waits_for_a_moment_and_not_for_more(line: Line) -> None:
    client = line.connect(form=together)
    waiting = asyncio.ensure_future(client.next(60))
    await line.put("a")
    await asyncio.sleep(0)
    assert not waiting.done()
    async with asyncio.timeout(5):
        assert batches(await waiting or b"") == [["a"]]
    line.stream.issues([])
    assert await client.next(1) == b"event: issues\ndata: []\n\n"
    assert await client.next(0.1) == b":heartbeat\n\n"


async def test_kinds_that_nobody_is_sent_move_the_place_to_resume_from(line: Line) -> None:
    client = line.connect(form=together)
    batch = Batch(
        batch_id=None, resource=Resource(run="r", service="s"), entries=[("odd", log("x"))], dropped={}, received_at=NOW
    )
    line.stream.publish(await line.store.append(batch))
    assert await client.next(1) == b"id: 1\n\n"
