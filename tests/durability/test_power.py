"""The power fails at any moment: a prefix of what was stored is there, and with `durability=full` all that was answered for.

Simulated: a process stores batches on a disk that writes down every write and every sync; then any of its moments is the last one.
Of what was written after the last sync of a file any part is lost. `BRAKIT_LONG=1` cuts 20 times as often.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from brakit_server.stores.sqlite import SqliteStore
from tests.durability import disk
from tests.durability.serving import set_aside

CUTS = 1_000 if os.environ.get("BRAKIT_LONG") == "1" else 50
BATCHES = 150

STORING = """
import asyncio, os, random, sys
from pathlib import Path
from brakit_server.records import Log
from brakit_server.stores import Batch, Resource
from brakit_server.stores.sqlite import SqliteStore, tail

tail.FULL = 150
folder, durability, batches = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
rng = random.Random(3)
resource = Resource(run="run1", service="shop")
acks = os.open(folder / "acks", os.O_WRONLY | os.O_CREAT)

async def main():
    store = SqliteStore(folder / "brakit.db", durability=durability)
    await store._writer.submit(lambda connection: connection.execute("PRAGMA wal_autocheckpoint = 60").fetchall(), alone=True)
    for number in range(batches):
        texts = [f"{number} {place} {rng.randbytes(rng.randrange(400)).hex()}" for place in range(rng.randrange(1, 12))]
        more = {"id": "e", "timestamp": 1.0 + number, "level": "info", "run": "run1", "parent_request_id": None}
        entries = [("log", Log(message=text, **more)) for text in texts]
        await store.append(Batch(batch_id=str(number), resource=resource, entries=entries, dropped={}, received_at=1.79e12))
        os.write(acks, b"%d\\n" % len(texts))
    os._exit(0)

asyncio.run(main())
"""


def stored(tmp_path: Path, durability: str) -> list[disk.Step]:
    """All that a process did to the disk that stored its batches."""
    folder = tmp_path / "disk"
    folder.mkdir()
    journal = tmp_path / "journal"
    variables = disk.preloaded(tmp_path, folder, journal=journal)
    command = [sys.executable, "-c", STORING, str(folder), durability, str(BATCHES)]
    subprocess.run(command, env={**os.environ, **variables}, check=True, timeout=100)
    return disk.steps(journal)


@pytest.mark.timeout(3600 if CUTS > 50 else 240)
@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_what_is_left_is_a_prefix(tmp_path: Path, say: Callable[[str], None], durability: str) -> None:
    done = stored(tmp_path, durability)
    syncs = sum(step.what == "S" for step in done)
    sizes = [int(step.data) for step in done if step.path.endswith("/acks")]
    assert len(sizes) == BATCHES
    assert syncs > (BATCHES if durability == "full" else 3)
    assert {step.path.rpartition("/")[2] for step in done} >= {"brakit.db", "brakit.db-wal"}
    rng = random.Random(f"power {durability}")
    fewest, lost = 0, 0
    for number in range(CUTS):
        end = rng.randrange(len(done))
        acked = [int(step.data) for step in done[:end] if step.path.endswith("/acks")]
        again = tmp_path / f"after-{number}"
        again.mkdir()
        for path, content in disk.after_power_loss(done[:end], rng).items():
            if "brakit.db" in path:
                (again / Path(path).name).write_bytes(content)
        store = SqliteStore(again / "brakit.db", durability=durability)
        found = await store.since(0, 1_000_000)
        messages = [getattr(each.entry, "message", "") for each in found]
        batches = [text.split()[:2] for text in messages]
        kept = int(batches[-1][0]) + 1 if batches else 0
        expected = [[str(one), str(place)] for one in range(kept) for place in range(sizes[one])]
        assert batches == expected, (number, end)
        assert [each.seq for each in found] == list(range(1, len(found) + 1))
        if durability == "full":
            assert kept >= len(acked), (number, end)
        lost += max(0, len(acked) - kept)
        fewest += not batches
        await store.close()
        if acked:
            assert set_aside(again) == [], (number, end)
        with sqlite3.connect(again / "brakit.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
    assert fewest < CUTS / 2
    say(f"power cut, durability {durability}: {CUTS} cuts in {len(done)} steps with {syncs} syncs, {lost} answered batches lost")
