"""The SQLite file: what becomes of it when things go wrong around it."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import stat
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from brakit_server.records import Log
from brakit_server.stores import StoreRefused, StoreUnavailable, Where
from brakit_server.stores.matching import plain_endpoint
from brakit_server.stores.sqlite import SqliteStore, groups, lists, reader, schema, tail
from brakit_server.stores.sqlite.kinds import LOG
from brakit_server.stores.sqlite.view import State, View

NOW = 1_790_000_000_000.0


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def filled(path: Path, make: Any, batch: Any, events: int = 300) -> None:
    store = SqliteStore(path)
    await store.append(batch(*(make.log(f"r{number}", f"m{number}" * 20) for number in range(events))))
    await store.close()


async def test_it_is_all_there_after_a_restart(tmp_path: Path, make: Any, batch: Any) -> None:
    await filled(tmp_path / "b.db", make, batch)
    store = SqliteStore(tmp_path / "b.db")
    assert (await store.logs(Where(limit=1))).total == 300
    [stored] = await store.append(batch(make.log("r1")))
    assert stored.seq == 301
    assert (await store.logs(Where(request_id="r1"))).total == 2
    assert (await store.runs())[0].events == 301
    await store.close()


async def test_files_are_private_whatever_the_umask(tmp_path: Path, make: Any, batch: Any) -> None:
    before = os.umask(0)
    try:
        store = SqliteStore(tmp_path / "b.db")
        await store.append(batch(make.log(None)))
        for file in files(tmp_path):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        await store.close()
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", ["b.db", "b.db-wal", "b.db-shm"])
def test_links_are_not_followed(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / name).symlink_to(victim)
    with pytest.raises(StoreRefused):
        SqliteStore(tmp_path / "b.db")
    assert victim.read_text() == "precious"


def newer(path: Path, readable: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
        connection.execute("UPDATE meta SET value = ? WHERE name = 'readable'", (readable,))
        connection.execute("PRAGMA user_version = 99")
    connection.close()


async def test_a_newer_file_is_shown_and_not_written(
    tmp_path: Path, make: Any, batch: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.db"
    monkeypatch.setattr(tail, "FULL", 200)
    await filled(path, make, batch, 300)
    await filled(path, make, batch, 1)
    newer(path, len(schema.MIGRATIONS))
    before = path.read_bytes()
    store = SqliteStore(path)
    assert "newer brakit" in capsys.readouterr().err
    assert store.read_only is not None
    assert (await store.logs(Where(limit=5))).total == 301
    assert (await store.logs(Where(request_id="r7"))).total == 1
    assert await store.last_seq() == 301
    for doing in (store.append(batch(make.log(None))), store.save_issues([], []), store.clear()):
        with pytest.raises(StoreUnavailable, match=r"newer brakit.*nothing is stored"):
            await doing
    assert await store.expire() == 0
    await store.close()
    assert path.read_bytes() == before


async def test_a_newer_file_that_cannot_be_understood_is_refused_and_left_alone(tmp_path: Path, make: Any, batch: Any) -> None:
    path = tmp_path / "b.db"
    await filled(path, make, batch, 1)
    newer(path, 99)
    with pytest.raises(StoreRefused, match="newer brakit"):
        SqliteStore(path)
    assert [file.name for file in files(tmp_path) if "corrupt" in file.name] == []


async def test_a_damaged_file_is_set_aside(tmp_path: Path, make: Any, batch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(3)
    await filled(tmp_path / "good.db", make, batch)
    good = (tmp_path / "good.db").read_bytes()
    set_aside = 0
    for number in range(40):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "b.db"
        damaged = bytearray(good)
        if number < 5:
            damaged = damaged[: rng.randrange(len(damaged))]
        else:
            for _ in range(20):
                damaged[rng.randrange(len(damaged))] ^= 0xFF
        path.write_bytes(damaged)
        store = SqliteStore(path)
        assert len(await store.append(batch(make.log(None)))) == 1
        await store.close()
        kept = [file for file in files(folder) if ".corrupt-" in file.name]
        if kept:
            set_aside += 1
            assert kept[0].read_bytes()[100:] == bytes(damaged)[100:] or len(kept) > 1
    assert set_aside > 15
    assert "is damaged" in capsys.readouterr().err


async def test_what_is_not_a_database_is_set_aside(tmp_path: Path, make: Any, batch: Any) -> None:
    (tmp_path / "b.db").write_bytes(b"something else entirely, and longer than a header of one hundred bytes " * 3)
    store = SqliteStore(tmp_path / "b.db")
    await store.append(batch(make.log(None)))
    await store.close()
    assert any(".corrupt-" in file.name for file in files(tmp_path))


async def test_a_lock_held_by_somebody_else_delays_and_loses_nothing(tmp_path: Path, make: Any, batch: Any) -> None:
    store = SqliteStore(tmp_path / "b.db")
    other = sqlite3.connect(tmp_path / "b.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(1.0, lambda: other.execute("ROLLBACK"))
    begun = time.monotonic()
    timer.start()
    results = await asyncio.gather(*(store.append(batch(make.log(None))) for _ in range(10)))
    assert time.monotonic() - begun > 0.8
    assert sorted(each.seq for stored in results for each in stored) == list(range(1, 11))
    timer.join()
    other.close()
    await store.close()


async def test_a_full_disk_costs_the_batch_and_heals(tmp_path: Path, make: Any, batch: Any) -> None:
    store = SqliteStore(tmp_path / "b.db")
    await store.append(batch(make.log(None, "before")))

    def limit(pages: int) -> Any:
        assert store._writer is not None
        return store._writer.submit(
            lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchall(), alone=True
        )

    await limit(1)
    with pytest.raises(StoreUnavailable, match="full"):
        await store.append(batch(*(make.log(None, os.urandom(5_000).hex()) for _ in range(100)), batch_id="again"))
    assert (await store.logs(Where())).total == 1
    assert (await store.size()).events == {"log": 1}
    await limit(1_000_000)
    stored = await store.append(batch(make.log(None, "after"), batch_id="again"))
    assert [each.seq for each in stored] == [2]
    await store.close()


async def test_one_batch_that_cannot_be_stored_costs_no_other(tmp_path: Path, make: Any, batch: Any) -> None:
    store = SqliteStore(tmp_path / "b.db")
    bad = batch(make.log(None, "half a character: \ud83d"))
    results = await asyncio.gather(
        *(store.append(bad if number == 5 else batch(make.log(f"r{number}"))) for number in range(10)), return_exceptions=True
    )
    assert [isinstance(result, StoreUnavailable) for result in results] == [number == 5 for number in range(10)]
    assert (await store.logs(Where())).total == 9
    assert [each.seq for each in await store.since(0, 20)] == list(range(1, 10))
    await store.close()


async def test_the_oldest_go_by_age_of_arrival(tmp_path: Path, make: Any, batch: Any) -> None:
    now = [NOW / 1000]
    store = SqliteStore(tmp_path / "b.db", max_age_days=1, clock=lambda: now[0])
    await store.append(
        batch(*(make.log(f"old{number}", timestamp=NOW * 2) for number in range(5_000)), batch_id="b", received_at=NOW)
    )
    await store.append(batch(make.log("new", timestamp=1.0), received_at=NOW + 86_400_000))
    assert await store.expire() == 0
    now[0] += 86_400 + 3_600
    assert await store.expire() == 5_000
    page = await store.logs(Where())
    assert (page.total, [log.parent_request_id for log in page.entries]) == (1, ["new"])
    assert (await store.size()).events == {"log": 1}
    assert (await store.activity(["old7"]))["old7"] == []
    [stored] = await store.append(batch(make.log("old7"), batch_id="b", received_at=NOW))
    assert stored.seq == 5_002
    assert len((await store.activity(["old7"]))["old7"]) == 1
    await store.close()


async def test_the_oldest_go_when_the_file_is_too_large(tmp_path: Path, make: Any, batch: Any) -> None:
    limit = 3_000_000
    store = SqliteStore(tmp_path / "b.db", max_bytes=limit, clock=lambda: NOW / 1000)
    for _ in range(6):
        await store.append(batch(*(make.log(f"r{number}", os.urandom(500).hex()) for number in range(1_000))))
        await store.expire()
        assert (await store.size()).bytes <= limit
    page = await store.logs(Where(limit=1))
    assert 1_000 < page.total < 6_000
    assert page.entries[0].parent_request_id == "r999"
    assert (await store.since(0, 1))[0].seq == 6_000 - page.total + 1
    await store.close()
    assert (tmp_path / "b.db").stat().st_size <= limit
    again = SqliteStore(tmp_path / "b.db")
    assert (await again.append(batch(make.log(None))))[0].seq == 6_001
    await again.close()


async def test_a_kill_in_the_middle_of_a_migration_is_survived(tmp_path: Path, make: Any, batch: Any) -> None:
    path = tmp_path / "b.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID")
    connection.close()
    await filled(path, make, batch, 3)
    assert not any(".corrupt-" in file.name for file in files(tmp_path))


async def test_a_file_of_the_first_version_is_brought_forward(tmp_path: Path, make: Any, batch: Any) -> None:
    path = tmp_path / "b.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in (*schema.MIGRATIONS[0], "INSERT INTO meta (name, value) VALUES ('version', 1)", "PRAGMA user_version = 1"):
        connection.execute(statement)
    connection.execute("INSERT INTO word (text) VALUES ('GET')")
    connection.execute("INSERT INTO event (seq, kind, received, at, name, status) VALUES (7, 1, 1, 1.0, 1, 404)")
    json = msgspec.json.encode(make.request("r1", status_code=404)[1]).decode()
    connection.execute("INSERT INTO body (seq, json) VALUES (7, ?)", (json,))
    connection.close()
    store = SqliteStore(path)
    assert [request.id for request in (await store.requests(Where(status="4xx", method="GET"))).entries] == ["r1"]
    assert (await store.append(batch(make.log(None))))[0].seq == 8
    await store.close()
    assert files(tmp_path) == [path]


async def test_numbers_that_cannot_be_added_up_cost_nothing(tmp_path: Path, make: Any, batch: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(tail, "FULL", 1)
    store = SqliteStore(tmp_path / "b.db")
    strange = [make.query("r", row_count=2**70), make.query("r", duration_ms=float("inf")), make.log("r", timestamp=float("nan"))]
    await store.append(batch(*strange, make.log("r", "good")))
    assert (await store.logs(Where(limit=1))).entries[0].message == "good"
    assert (await store.query_shapes(Where()))[0].rows is not None
    await store.append(batch(make.log("r", "more")))
    assert [log.message for log in (await store.logs(Where(request_id="r", search="o"))).entries][:2] == ["more", "good"]
    await store.close()


async def test_work_that_fails_in_a_way_nobody_thought_of_costs_itself(tmp_path: Path, make: Any, batch: Any) -> None:
    def endpoint(request: Any) -> str:
        if request.id == "bad":
            raise KeyError(request.id)
        return "GET /"

    store = SqliteStore(tmp_path / "b.db", endpoint_of=endpoint)
    sent = [batch(make.log(None), make.request(id)) for id in ("r1", "bad", "r2")]
    answers = await asyncio.gather(*(store.append(one) for one in sent), return_exceptions=True)
    assert [isinstance(answer, StoreUnavailable) for answer in answers] == [False, True, False]
    assert ((await store.requests(Where())).total, (await store.logs(Where())).total) == (2, 2)
    assert [each.seq for each in await store.since(0, 9)] == [1, 2, 3, 4]
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.append(batch(make.log(None)))


async def test_the_cap_holds_while_much_is_stored_and_nobody_expires(tmp_path: Path, make: Any, batch: Any) -> None:
    limit = 2_000_000
    path = tmp_path / "b.db"
    store = SqliteStore(path, max_bytes=limit, clock=lambda: NOW / 1000)
    largest = 0
    for _ in range(80):
        await asyncio.gather(
            *(store.append(batch(*(make.log(f"r{number}", os.urandom(300).hex()) for number in range(25)))) for _ in range(4))
        )
        largest = max(largest, path.stat().st_size)
    # While the search index merges, the old and the new stand beside each other.
    assert largest <= limit * 1.5
    await store.settle()
    assert (await store.size()).bytes <= limit
    page = await store.logs(Where(limit=1))
    assert 500 < page.total < 8_000
    assert page.entries[0].parent_request_id == "r24"
    await store.close()


async def test_a_process_is_known_after_a_crash(tmp_path: Path, make: Any, batch: Any) -> None:
    """What is known of it is written when it changes; the rest is counted anew from the newest events."""
    store = SqliteStore(tmp_path / "b.db")
    await store.append(batch(make.log("r1", run="run1"), pid=7))
    await store.append(batch(make.log("r1", run="run1"), make.log("r1", run="run1"), pid=7))
    for file in files(tmp_path):
        (tmp_path / f"crash-{file.name}").write_bytes(file.read_bytes())
    before = await store.runs()
    await store.close()
    again = SqliteStore(tmp_path / "crash-b.db")
    assert await again.runs() == before
    assert (before[0].events, before[0].pid) == (3, 7)
    await again.close()


async def test_what_becomes_a_segment_between_two_looks_counts_once(tmp_path: Path, make: Any, batch: Any) -> None:
    """A reader takes the tail, then the file; meanwhile the tail may have gone into the file."""
    store = SqliteStore(tmp_path / "b.db")
    await store.append(batch(*(make.log("r1") for _ in range(5)), make.query("r1"), make.error("r1"), make.request("r1")))
    keeper = store._keeper
    state = State(keeper.tail, len(keeper.tail.stored), keeper.counts, keeper.runs)
    await store._write(keeper.fold_now, alone=True)
    assert keeper.tail.stored == []

    def look(connection: sqlite3.Connection) -> tuple[Any, ...]:
        view = View(connection, state, keeper.keys, plain_endpoint, NOW / 1000)
        where = Where(service="shop")
        return (
            lists.page(view, LOG, Log, where).total,
            len(lists.page(view, LOG, Log, Where(level="info")).entries),
            len(view.since(0, 100)),
            len(view.owned(["r1"])["r1"]),
            groups.query_shapes(view, where)[0].count,
            groups.error_groups(view, where)[0].count,
            reader.counts(view, 0.0),
        )

    assert await store._reader.read(look) == (5, 5, 8, 7, 1, 1, {"request": 1, "db.query": 1, "log": 5, "error": 1})
    await store.close()
