"""The search index: it leaves nothing out, and it forgets what is gone."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from brakit_server.stores import Store, Where
from brakit_server.stores.memory import MemoryStore
from brakit_server.stores.sqlite import SqliteStore, search, tail

WORDS = (
    "cart",
    "Käse",
    "straße",
    "100%",
    "under_score",
    'say "hi"',
    "back\\slash",
    "line\nbreak",
    "4711",
    "ſoft",
    "\u212aelvin",
    "naïve",
)


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "FULL", 20)


def indexed(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        found: int = sum(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for _, name in search.parts(connection))
    connection.close()
    return found


@pytest.mark.parametrize("settled", ["all", "half", "none"])
async def test_what_is_found_is_what_is_there(tmp_path: Path, make: Any, batch: Any, settled: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(search, "HITS", 30)
    monkeypatch.setattr(search, "PART_SEGMENTS", 2)
    chance = random.Random(4)
    on_the_disk = SqliteStore(tmp_path / "b.db")
    stores: list[Store] = [MemoryStore(), on_the_disk]

    def text() -> str:
        return " ".join(chance.choice((*WORDS, str(chance.randrange(300)))) for _ in range(chance.randrange(1, 6)))

    for part in range(12):
        made = [chance.choice((make.log(None, text()), make.request(f"r{part}", url=f"/{text()}"), make.query(None, sql=text())))
                for _ in range(15)]  # fmt: skip
        for store in stores:
            await store.append(batch(*made))
        if settled == "all" or (settled == "half" and part < 6):
            await on_the_disk.settle()
    for _ in range(150):
        whole = text()
        start = chance.randrange(len(whole))
        wanted = whole[start : start + chance.randrange(1, 14)]
        wanted = chance.choice((str.upper, str.lower, str))(wanted)
        for name in ("logs", "requests", "queries"):
            where = Where(search=wanted)
            in_memory, on_disk = [await getattr(store, name)(where) for store in stores]
            assert on_disk == in_memory, (name, wanted)
    for store in stores:
        await store.close()


async def test_a_text_that_is_too_long_for_the_index_is_found(tmp_path: Path, make: Any, batch: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(search, "BLOCK_CHARACTERS", 1_000)
    store = SqliteStore(tmp_path / "b.db")
    await store.append(batch(*(make.log(None, f"{number} " + "x" * 200) for number in range(20))))
    await store.append(batch(*(make.log(None, f"short {number}") for number in range(20))))
    await store.settle()
    assert (await store.logs(Where(search="7 xxx"))).total == 2
    assert (await store.logs(Where(search="short 7"))).total == 1
    await store.close()


async def test_the_index_forgets_what_is_gone(tmp_path: Path, make: Any, batch: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(search, "PART_SEGMENTS", 1)
    now = [1_790_000_000.0]
    store = SqliteStore(tmp_path / "b.db", max_age_days=1, clock=lambda: now[0])
    await store.append(batch(*(make.log(None, f"old {number}") for number in range(20)), received_at=now[0] * 1000))
    await store.append(batch(*(make.log(None, f"new {number}") for number in range(20)), received_at=now[0] * 1000 + 9e7))
    await store.settle()
    assert indexed(tmp_path / "b.db") == 40
    now[0] += 90_000
    assert await store.expire() == 20
    assert indexed(tmp_path / "b.db") == 20
    assert (await store.logs(Where(search="old "))).total == 0
    assert (await store.logs(Where(search="new "))).total == 20
    await store.clear()
    assert indexed(tmp_path / "b.db") == 0
    await store.append(batch(*(make.log(None, f"later {number}") for number in range(20))))
    await store.settle()
    assert (await store.logs(Where(search="LATER 1"))).total == 11
    await store.close()
