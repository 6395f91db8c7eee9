"""Files that are damaged: the server starts, says so, keeps what it sets aside, and no answer of it is an error of its own."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from brakit_server import ingest
from brakit_server.filters import parse
from brakit_server.stores import Batch, StoreUnavailable, Where
from brakit_server.stores.rollups import Asked
from brakit_server.stores.sqlite import SqliteStore, tail
from brakit_server.stores.sqlite.packing import Block, decompressed
from tests.durability.serving import Server, batch, log, payload, set_aside

LONG = os.environ.get("BRAKIT_LONG") == "1"
FLIPS = 2_000 if LONG else 100
NOW = 1_790_000_000_000.0


def traffic(number: int) -> Batch:
    """Some of each kind, with owners, texts and groups."""
    around = {"requestId": f"r{number}", "timestamp": NOW + number}
    query = {"operation": "SELECT", "table": "users", "sql": "SELECT 1", "shapeHash": f"{number % 3:016x}", "duration": 2.0}
    text = f"message {number} {random.Random(number).randbytes(40).hex()}"
    frames = [{"file": "app.py", "line": number % 5, "function": "pay", "own": True}]
    request = {"id": f"r{number}", "method": "GET", "url": f"/users/{number}", "statusCode": 200, "durationMs": 5.0}
    events: list[dict[str, Any]] = [
        *({"type": "db.query", **around, "data": query} for _ in range(4)),
        {"type": "log", **around, "data": {"level": "info", "message": text}},
        {"type": "error", **around, "data": {"name": "ValueError", "message": "bad", "frames": frames}},
        {"type": "span", **around, "data": {"name": "work", "duration": 3, "spanId": "00f067aa0ba902b7"}},
        {"type": "request", **around, "data": request},
    ]
    return ingest.read(payload(events, f"b{number}"), NOW + number * 10).batch


async def all_of_it(store: SqliteStore) -> int:
    """Ask everything and change everything: whatever cannot be had is `StoreUnavailable`. How many calls failed so."""
    names = ("requests", "queries", "fetches", "logs", "errors", "jobs", "query_shapes", "error_groups")
    conditions = (Where(), Where(search="message 7"), Where(request_id="r7"), Where(filter=parse("users duration>1ms")))
    asked: list[tuple[str, tuple[Any, ...]]] = [
        *((name, (where,)) for name in names for where in conditions),
        ("timelines", (["r3", "r9"],)),
        ("activity", (["r3"],)),
        ("owners", (["r3", "r4"],)),
        ("children", ("r3",)),
        ("since", (0, 10_000)),
        ("last_seq", ()),
        ("points", (0, 100)),
        ("counts", (NOW,)),
        ("runs", ()),
        ("issues", ()),
        ("size", ()),
        ("rollups", (Asked(since=0, until=2 * NOW),)),
        ("rollups_upto", ()),
        ("append", (traffic(1_000),)),
        ("settle", ()),
        ("expire", ()),
        ("append", (traffic(1_001),)),
        ("clear", ()),
        ("append", (traffic(1_002),)),
    ]
    failed = 0
    for name, arguments in asked:
        try:
            await getattr(store, name)(*arguments)
        except StoreUnavailable:
            failed += 1
    return failed


async def good_file(path: Path, *, folded: bool) -> None:
    """A file with segments, a tail, an index and all else; not closed in order, as after a kill."""
    store = SqliteStore(path)
    for number in range(120):
        await store.append(traffic(number))
    if folded:
        await store.settle()
        assert store._writer is not None
        await store._writer.submit(lambda one: one.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), alone=True)
        for number in range(120, 130):
            await store.append(traffic(number))
    kept = {part: part.read_bytes() for part in parts(path)}
    await store.close()
    for part, content in kept.items():
        part.write_bytes(content)
        part.chmod(0o600)


def parts(path: Path) -> list[Path]:
    """The file and its companions, those that are there."""
    return [part for part in (path, Path(f"{path}-wal"), Path(f"{path}-shm")) if part.exists() and part.stat().st_size]


def damage(path: Path, rng: random.Random) -> str:
    """Damage a copy of the good file in one way; what was done."""
    part = rng.choice(parts(path))
    content = bytearray(part.read_bytes())
    what = rng.choice(("bit", "bit", "bits", "page", "cut", "gone", "longer", "zeros"))
    match what:
        case "bit":
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case "bits":
            for _ in range(30):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case "page":
            at = rng.randrange(len(content) // 512) * 512
            content[at : at + 512] = rng.randbytes(512)
        case "cut":
            del content[rng.randrange(len(content)) :]
        case "longer":
            content += rng.randbytes(rng.randrange(1, 10_000))
        case "zeros":
            at = rng.randrange(len(content))
            content[at : at + 4096] = bytes(len(content[at : at + 4096]))
    if what == "gone" and part != path:
        part.unlink()
    else:
        part.write_bytes(content)
    return f"{what} in {part.name}"


@pytest.mark.timeout(3600 if LONG else 240)
async def test_damaged_files_are_opened_and_asked_everything(
    tmp_path: Path, say: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tail, "FULL", 200)
    for folded in (False, True):
        (tmp_path / f"good-{folded}").mkdir()
        await good_file(tmp_path / f"good-{folded}" / "b.db", folded=folded)
    rng = random.Random(40)
    aside = whole = some_failed = 0
    for number in range(FLIPS):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / f"good-{number % 2 == 0}", folder)
        path = folder / "b.db"
        what = "; ".join(damage(path, rng) for _ in range(rng.choice((1, 1, 2))))
        try:
            store = SqliteStore(path)
            failed = await all_of_it(store)
            await store.close()
            again = SqliteStore(path)
            assert len(await again.append(traffic(5_000 + number))) == 8
            assert (await again.logs(Where(request_id=f"r{5_000 + number}"))).total == 1
            await again.close()
        except Exception as error:
            raise AssertionError((number, what)) from error
        kept = set_aside(folder)
        for file in kept:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        aside += bool(kept)
        some_failed += bool(failed)
        whole += not kept and not failed
        shutil.rmtree(folder)
    assert "is damaged" in capsys.readouterr().err
    assert aside >= FLIPS / 50
    assert whole > FLIPS / 10
    say(
        f"damaged files: {FLIPS} of {FLIPS} opened; {aside} set aside, of {some_failed} not all could be told, "
        f"{whole} whole or healed by SQLite"
    )


def test_data_that_claim_to_be_huge_are_damaged() -> None:
    claim = zstandard.FRAME_HEADER + b"\xe0" + (2**60).to_bytes(8, "little") + b"\x01\x00\x00"
    with pytest.raises(zstandard.ZstdError, match="claim"):
        decompressed(claim)
    with pytest.raises(zstandard.ZstdError, match="claim"):
        Block(1, 4, 10, claim)


@pytest.mark.parametrize("how", ["head", "middle", "cut", "empty", "noise"])
def test_a_server_on_a_damaged_file(start: Callable[..., Server], tmp_path: Path, how: str) -> None:
    data = tmp_path / "data"
    first = start(data)
    for number in range(60):
        assert first.post(batch(f"r{number}")) == 204
    first.stop()
    path = data / "brakit.db"
    content = bytearray(path.read_bytes())
    match how:
        case "head":
            content[:100] = bytes(100)
        case "middle":
            for at in range(4096, len(content) - 4096, 4096):
                content[at : at + 64] = b"\xff" * 64
        case "cut":
            del content[len(content) // 3 :]
        case "empty":
            content.clear()
        case "noise":
            content[:] = random.Random(1).randbytes(len(content))
    path.write_bytes(content)
    second = start(data)
    assert second.post(payload([log("after")])) == 204
    assert [one["message"] for one in second.all("logs")] == ["after"]
    code, said = second.stop()
    assert code == 0
    kept = set_aside(data)
    if how == "empty":
        assert (kept, said) == ([], "")
    else:
        assert "is damaged" in said
        assert kept[0].name in said
        assert kept[0].read_bytes()[100:] == bytes(content)[100:]
        assert "Traceback" not in said


def test_a_file_that_breaks_while_it_is_used(start: Callable[..., Server], tmp_path: Path) -> None:
    """No answer is a 500; senders are told to wait; the next start sets it aside."""
    data = tmp_path / "data"
    server = start(data)
    for number in range(300):
        assert server.post(batch(f"r{number}")) == 204
    with sqlite3.connect(data / "brakit.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    size = (data / "brakit.db").stat().st_size
    with (data / "brakit.db").open("r+b") as file:
        for at in range(4096, size, 4096):
            file.seek(at)
            file.write(os.urandom(4096))
    statuses = set()
    for path in (
        "requests",
        "logs",
        "queries",
        "errors",
        "shapes",
        "status",
        "health",
        "overview",
        "requests/r7",
        "logs?search=said",
    ):
        statuses.add(server.call("GET", f"/__brakit/api/{path}")[0])
    for number in range(5):
        statuses.add(server.post(batch(f"more{number}")))
    assert statuses <= {200, 204, 404, 503}, statuses
    server.kill()
    again = start(data)
    assert again.post(payload([log("after")])) == 204
    assert again.get("health")["status"] == "ok"
    assert set_aside(data) != []


def test_a_file_of_a_newer_version(start: Callable[..., Server], tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = start(data)
    assert first.post(batch("r1")) == 204
    first.stop()
    path = data / "brakit.db"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'version'")
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    second = start(data)
    status, headers, body = second.call("POST", "/__brakit/api/ingest", batch("r2"))
    assert status == 503
    assert int(headers["retry-after"]) >= 1
    assert b"written by a newer brakit" in body
    assert second.call("POST", "/__brakit/api/clear", b"{}")[0] == 503
    assert [request["id"] for request in second.all("requests")] == ["r1"]
    assert second.get("requests/r1")["request"]["id"] == "r1"
    health = second.get("health")
    assert health["status"] == "degraded"
    assert "written by a newer brakit" in health["problems"][0]
    code, said = second.stop()
    assert code == 0
    assert "written by a newer brakit" in said
    assert "Traceback" not in said
    assert path.read_bytes() == before
