"""The writer: what comes close together shares a transaction, and nothing that was submitted is left behind."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from brakit_server.stores import StoreUnavailable
from brakit_server.stores.sqlite.writer import GROUP, Writer


class Kept:
    """A keeper that counts transactions."""

    def __init__(self) -> None:
        self.transactions = 0

    def begin(self) -> None: ...

    def seal(self, connection: sqlite3.Connection) -> None: ...

    def committed(self) -> None:
        self.transactions += 1

    def undo(self) -> None: ...

    def due(self) -> bool:
        return False

    def keep(self, connection: sqlite3.Connection) -> None: ...

    def idle(self, connection: sqlite3.Connection) -> bool:
        return False


def opened(folder: Path) -> tuple[Writer, Kept]:
    connection = sqlite3.connect(folder / "it.sqlite", check_same_thread=False, isolation_level=None)
    connection.execute("CREATE TABLE it (number INTEGER)")
    kept = Kept()
    return Writer(connection, folder / "it.sqlite", kept), kept


def insert(number: int) -> object:
    def do(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO it VALUES (?)", (number,))
        return number

    return do


async def submit(writer: Writer, number: int, turns: int = 0) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    return await writer.submit(insert(number))  # type: ignore[arg-type]


async def test_what_comes_in_turns_that_follow_each_other_shares_a_transaction(tmp_path: Path) -> None:
    writer, kept = opened(tmp_path)
    results = await asyncio.gather(*(submit(writer, number, number // 4) for number in range(20)))
    assert results == list(range(20))
    assert kept.transactions == 1
    await asyncio.to_thread(writer.close)


async def test_no_more_share_one_than_may(tmp_path: Path) -> None:
    writer, kept = opened(tmp_path)
    results = await asyncio.gather(*(submit(writer, number) for number in range(2 * GROUP + 1)))
    assert results == list(range(2 * GROUP + 1))
    assert kept.transactions == 3
    await asyncio.to_thread(writer.close)


async def test_what_was_submitted_before_the_end_is_done(tmp_path: Path) -> None:
    writer, _ = opened(tmp_path)
    last = asyncio.ensure_future(submit(writer, 7))
    await asyncio.sleep(0)
    writer.close()
    assert await last == 7
    with pytest.raises(StoreUnavailable):
        await submit(writer, 8)


def test_another_loop_goes_on_where_one_was_left(tmp_path: Path) -> None:
    writer, _ = opened(tmp_path)

    async def leave() -> None:
        left = asyncio.ensure_future(submit(writer, 1))
        await asyncio.sleep(0)
        left.cancel()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave())
    loop.close()
    assert asyncio.run(submit(writer, 2)) == 2
    writer.close()
    with sqlite3.connect(tmp_path / "it.sqlite") as connection:
        assert connection.execute("SELECT number FROM it").fetchall() == [(1,), (2,)]
    connection.close()
