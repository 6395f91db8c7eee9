"""Files of every earlier layout are brought forward, whole, however often that is killed with -9 on the way."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from brakit_server.records import Log
from brakit_server.stores import Where
from brakit_server.stores.sqlite import SqliteStore, schema
from tests.durability.serving import Server, integrity, set_aside

LAYOUTS = Path(__file__).with_name("layouts")
KILLS = 60 if os.environ.get("BRAKIT_LONG") == "1" else 6
EVENTS = 20_000

OPENING = """
import sys
from pathlib import Path
from brakit_server.stores.sqlite import SqliteStore
print("ready", flush=True)
sys.stdin.readline()
SqliteStore(Path(sys.argv[1]))
print("opened", flush=True)
sys.stdin.readline()
"""


def old_file(path: Path, version: int, events: int) -> None:
    """A file as that version made it, with logs in it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.executescript((LAYOUTS / f"{version}.sql").read_text())
    connection.execute("BEGIN")
    connection.execute("INSERT INTO meta (name, value) VALUES ('version', ?)", (version,))
    connection.execute("PRAGMA user_version = " + str(version))
    for seq in range(1, events + 1):
        entry = Log(id=f"e{seq}", timestamp=1.0 + seq, parent_request_id=f"r{seq % 50}", level="info", message=f"message {seq}")
        connection.execute(
            "INSERT INTO event (seq, kind, received, at) VALUES (?, 4, ?, ?)", (seq, 1_790_000_000 + seq, 1.0 + seq)
        )
        connection.execute("INSERT INTO body (seq, json) VALUES (?, ?)", (seq, msgspec.json.encode(entry).decode()))
    connection.execute("COMMIT")
    connection.close()


def layout(path: Path) -> tuple[int, set[str]]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        made = {" ".join(sql.replace('"', "").split()).replace("( ", "(").replace(" )", ")") for (sql,) in rows}
        return connection.execute("PRAGMA user_version").fetchone()[0], made
    finally:
        connection.close()


def versions() -> list[int]:
    return sorted(int(path.stem) for path in LAYOUTS.glob("*.sql"))


def test_every_earlier_layout_is_here() -> None:
    assert versions() == list(range(1, len(schema.MIGRATIONS)))


@pytest.mark.parametrize("version", versions())
async def test_it_becomes_what_a_new_file_is(tmp_path: Path, version: int) -> None:
    await SqliteStore(tmp_path / "new.db").close()
    old_file(tmp_path / "old.db", version, 500)
    store = SqliteStore(tmp_path / "old.db")
    assert [each.seq for each in await store.since(0, 1_000)] == list(range(1, 501))
    assert (await store.logs(Where(search="message 77"))).total == 1
    assert (await store.logs(Where(request_id="r7"))).total == 10
    await store.close()
    assert layout(tmp_path / "old.db") == layout(tmp_path / "new.db")


@pytest.mark.timeout(1_800 if KILLS > 6 else 240)
async def test_killed_on_the_way(tmp_path: Path, start: Callable[..., Server], say: Callable[[str], None]) -> None:
    rng = random.Random(4)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    before = tmp_path / "before.db"
    old_file(before, 3, EVENTS)
    content = before.read_bytes()
    took = opened(before)
    middles = 0
    for number in range(KILLS):
        path = tmp_path / f"{number}.db"
        path.write_bytes(content)
        for _ in range(2):
            opened(path, kill_after=rng.uniform(0, 0.9 * took))
            middles += layout(path)[0] == 3
        store = SqliteStore(path)
        assert [each.seq for each in await store.since(0, 2 * EVENTS)] == list(range(1, EVENTS + 1)), number
        await store.close()
    assert set_aside(tmp_path) == []
    assert middles >= KILLS
    (data / "brakit.db").write_bytes(content)
    server = start(data)
    assert server.get("status")["events"] == {"log": EVENTS}
    assert server.get("logs?search=message+19999")["total"] == 1
    assert integrity(data) == "ok"
    say(f"migration of {EVENTS} events, killed -9 {2 * KILLS} times, {middles} of them on the way: nothing lost")


def opened(path: Path, kill_after: float | None = None) -> float:
    """Open the file in a process; how long it took, or was let to."""
    command = [sys.executable, "-c", OPENING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        begun = time.perf_counter()
        process.stdin.write("go\n")
        process.stdin.flush()
        if kill_after is None:
            assert process.stdout.readline() == "opened\n"
        else:
            time.sleep(kill_after)
        took = time.perf_counter() - begun
        process.send_signal(signal.SIGKILL)
        return took
