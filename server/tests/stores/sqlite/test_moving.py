"""Files of earlier versions had a row an event: nothing of them is lost, whatever happens on the way."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from brakit_server.answers import Run
from brakit_server.stores import Opaque, Stored, StoreUnavailable, Where
from brakit_server.stores.sqlite import SqliteStore, moving, schema, tail

NUMBERS = {"request": 1, "db.query": 2, "fetch": 3, "log": 4, "error": 5, "span": 7, "job": 8}
NOW = 1_790_000_000


def old_file(path: Path, entries: list[tuple[str, Any]], version: int) -> list[Stored]:
    """A file as versions 1 to 3 wrote it; some numbers are missing, as after a page was lost."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    for statements in schema.MIGRATIONS[:version]:
        for statement in statements:
            connection.execute(statement)
    connection.execute("INSERT INTO meta (name, value) VALUES ('version', ?)", (version,))
    connection.execute(f"PRAGMA user_version = {version}")
    words: dict[str, int] = {}
    stored = []
    connection.execute("BEGIN")
    for place, (kind, entry) in enumerate(entries):
        seq = 10 + place + place // 100
        name = words.setdefault(kind, len(words) + 1) if kind not in NUMBERS else None
        number = 9 if getattr(entry, "transaction_mark", None) else NUMBERS.get(kind, 0)
        row = (seq, number, NOW + place, entry.timestamp, name)
        connection.execute("INSERT INTO event (seq, kind, received, at, name) VALUES (?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO body (seq, json) VALUES (?, ?)", (seq, msgspec.json.encode(entry).decode()))
        stored.append(Stored(seq, kind, entry))
    connection.executemany("INSERT INTO word (text, id) VALUES (?, ?)", words.items())
    connection.execute("INSERT INTO batch (id, received) VALUES ('seen', ?)", (NOW,))
    run = Run(run="run1", service="shop", first_seen_at=1.0, last_seen_at=2.0, events=len(entries))
    connection.execute("INSERT INTO run (id, last, json) VALUES ('run1', 2.0, ?)", (msgspec.json.encode(run).decode(),))
    connection.execute("COMMIT")
    connection.close()
    return stored


def traffic(make: Any) -> list[tuple[str, Any]]:
    entries: list[tuple[str, Any]] = []
    for number in range(60):
        id = f"r{number}"
        entries += [
            make.query(id, f"s{number % 3}"),
            make.query(id, transaction_mark="commit"),
            make.log(id, f"message {number}"),
        ]
        entries += [make.fetch(id), make.error(id), make.span(id), make.request(id), make.job(f"j{number}", id)]
        entries.append(("job.start", Opaque(id=f"o{number}", timestamp=1.0, parent_request_id=id, data=msgspec.Raw(b'{"a":1}'))))
    return entries


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_all_of_it_is_there_in_the_new_layout(
    tmp_path: Path, make: Any, batch: Any, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "FULL", 50)
    path = tmp_path / "b.db"
    stored = old_file(path, traffic(make), version)
    store = SqliteStore(path)
    found = await store.since(0, 10_000)
    assert [(each.seq, each.kind) for each in found] == [(each.seq, each.kind) for each in stored]
    for before, after in zip(stored, found, strict=True):
        if isinstance(after.entry, Opaque):
            assert bytes(after.entry.data) == b'{"a":1}'
        else:
            assert after.entry == before.entry
    assert (await store.size()).events == {
        **dict.fromkeys(("request", "db.query", "fetch", "log", "error", "span", "job", "mark"), 60),
        "other": 60,
    }
    assert (await store.requests(Where(endpoint="GET /users/{id}"))).total == 60
    assert [shape.count for shape in await store.query_shapes(Where())] == [20, 20, 20]
    assert (await store.query_shapes(Where()))[0].endpoints == ["GET /users/{id}"]
    assert [each.kind for each in (await store.activity(["r7"]))["r7"]].count("log") == 1
    assert [job.id for job in await store.children("r7")] == ["j7"]
    assert (await store.runs())[0].events == 540
    assert await store.append(batch(make.log("r7"), batch_id="seen")) == []
    assert (await store.append(batch(make.log("r7", "later"))))[0].seq == stored[-1].seq + 1
    await store.settle()
    assert (await store.logs(Where(search="MESSAGE 7"))).total == 1
    await store.close()
    with sqlite3.connect(path) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert not tables & {"event", "body", "owner", "old_word", "old_batch"}
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


async def test_one_that_breaks_off_leaves_the_file_as_it_was(tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.db"
    stored = old_file(path, traffic(make), 3)

    def breaks_off(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(moving, "fold", breaks_off)
        patch.setattr(schema, "is_passing", lambda _: True)
        with pytest.raises(StoreUnavailable, match="full"):
            SqliteStore(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (len(stored),)
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    connection.close()
    store = SqliteStore(path)
    assert [each.seq for each in await store.since(0, 10_000)] == [each.seq for each in stored]
    await store.close()
