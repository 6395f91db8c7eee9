"""Peewee with asyncio: the same through the asynchronous drivers, whose statements run on another stack than the app's."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import peewee
import pytest

pwasyncio: Any = pytest.importorskip("playhouse.pwasyncio", reason="Peewee has no asyncio before 4.0")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    InRequest = Callable[[], AbstractContextManager[Owner]]

PREFIX = f"peewee{os.getpid()}"
"""Of tables: more than one run may use a server at a time."""
DRIVERS = {"aiosqlite": "sqlite", "asyncpg": "postgresql", "aiomysql": "mysql"}


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


class Shop:
    def __init__(self, db: Any) -> None:
        self.db = db

        class User(pwasyncio.AsyncModel):  # type: ignore[misc]
            name = peewee.TextField()

            class Meta:
                database = db
                table_name = f"{PREFIX}_auser"

        class Tweet(pwasyncio.AsyncModel):  # type: ignore[misc]
            user = peewee.ForeignKeyField(User, backref="tweets")
            text = peewee.TextField()

            class Meta:
                database = db
                table_name = f"{PREFIX}_atweet"

        self.user: Any = User
        self.tweet: Any = Tweet

    def fill(self) -> None:
        self.db.drop_tables([self.user, self.tweet], safe=True)
        self.db.create_tables([self.user, self.tweet])
        for number in range(3):
            self.tweet.create(user=self.user.create(name=f"u{number}"), text="hello")


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest, reachable: Callable[[str, int], None]) -> str:
    name: str = request.param
    if name == "aiomysql":
        reachable("MariaDB", 3306)
    elif name == "asyncpg":
        reachable("PostgreSQL", 5432)
    return name


@pytest.fixture
async def shop(client: Client, driver: str, tmp_path: Path) -> AsyncIterator[Shop]:
    if driver == "aiosqlite":
        made = Shop(pwasyncio.AsyncSqliteDatabase(str(tmp_path / "peewee.db")))
    elif driver == "asyncpg":
        made = Shop(pwasyncio.AsyncPostgresqlDatabase("test", host="127.0.0.1", user="postgres"))
    else:
        made = Shop(pwasyncio.AsyncMySQLDatabase("test", host="127.0.0.1", user="root"))
    async with made.db:
        await made.db.run(made.fill)
    async with made.db:
        client.buffer.records.clear()
        yield made
        client.buffer.records.clear()
        await made.db.adrop_tables([made.user, made.tweet])
    await made.db.close_pool()


async def test_one_event_for_each_statement(shop: Shop, driver: str, events: Events, in_request: InRequest) -> None:
    user, tweet = shop.user, shop.tweet

    def work() -> list[str]:
        return [one.user.name for one in tweet.select().order_by(tweet.id)]

    with in_request() as owner:
        assert [row.name for row in await shop.db.list(user.select().order_by(user.id))] == ["u0", "u1", "u2"]
        here = line() - 1
        assert await shop.db.run(work) == ["u0", "u1", "u2"]
        made = await user.acreate(name="new")
        there = line() - 1
        assert await shop.db.count(user.select()) == 4
        await made.adelete_instance()
    found = events("db.query")
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    inner = work.__code__.co_firstlineno + 1
    lines = [here, inner, inner, inner, inner, there, there + 2, there + 3]
    assert [data["callsite"]["line"] for data in datas] == lines
    assert [data.get("lazyLoad") for data in datas] == [None, None] + ["Tweet.user"] * 3 + [None] * 3
    assert [data.get("model") for data in datas] == ["User", "Tweet"] + ["User"] * 6
    assert {data["source"] for data in datas} == {"peewee"}
    assert {data["system"] for data in datas} <= {DRIVERS[driver], "mariadb"}


async def test_gathered_tasks_keep_their_owners(shop: Shop, events: Events, in_request: InRequest) -> None:
    owners: dict[int, str] = {}

    async def work(number: int) -> None:
        async with shop.db:
            with in_request() as owner:
                owners[number] = owner.id
                for _ in range(3):
                    await shop.db.list(shop.user.select().where(shop.user.id == number).limit(number))
                    await asyncio.sleep(0)

    await asyncio.gather(*(work(number) for number in range(1, 6)))
    found = [event for event in events("db.query") if event["data"].get("model")]
    assert len(found) == 15
    assert {owner: [event["parentId"] for event in found].count(owner) for owner in owners.values()} == dict.fromkeys(
        owners.values(), 3
    )


async def test_transactions_are_marks(shop: Shop, driver: str, events: Events) -> None:
    async with shop.db.atomic():
        await shop.user.acreate(name="a")
        async with shop.db.atomic():
            await shop.user.acreate(name="b")
    datas = [event["data"] for event in events("db.query")]
    assert [data.get("transactionMark") for data in datas] == ["begin", None, "savepoint", None, "release", "commit"]
    assert len({data["transactionId"] for data in datas}) == 1
    # On asyncpg Peewee uses the driver's own transactions.
    assert {data["source"] for data in datas if "transactionMark" in data} == {"asyncpg" if driver == "asyncpg" else "peewee"}
    assert {data["callsite"]["file"].rpartition("/")[2] for data in datas} == {"test_peewee_async.py"}
