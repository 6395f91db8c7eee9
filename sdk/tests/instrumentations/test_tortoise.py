"""Tortoise ORM: one record for each statement, on every driver, with its model and the line that awaits it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
import tortoise
import tortoise.backends.base.executor
import tortoise.backends.sqlite.client
from tortoise import fields
from tortoise.exceptions import BaseORMException, OperationalError
from tortoise.transactions import in_transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from pathlib import Path

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    InRequest = Callable[[], AbstractContextManager[Owner]]
    Shop = Callable[[], AbstractAsyncContextManager[Any]]

URLS = {
    "aiosqlite": "sqlite://{folder}/tortoise.db",
    "asyncpg": "asyncpg://postgres@127.0.0.1:5432/test",
    "psycopg": "psycopg://postgres@127.0.0.1:5432/test",
    "asyncmy": "mysql://root@127.0.0.1:3306/test",
}
SYSTEMS = {"aiosqlite": "sqlite", "asyncpg": "postgresql", "psycopg": "postgresql", "asyncmy": "mysql"}


PREFIX = f"tortoise{os.getpid()}"
"""Of tables: more than one run may use a server at a time."""
SAVEPOINTS = tuple(int(part) for part in tortoise.__version__.split(".")[:2]) >= (0, 23)


class Customer(tortoise.models.Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=50)
    orders: Any

    class Meta:
        table = f"{PREFIX}_customer"


class Label(tortoise.models.Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=50)

    class Meta:
        table = f"{PREFIX}_label"


class Order(tortoise.models.Model):
    id = fields.IntField(primary_key=True)
    customer_id: int
    customer: Any = fields.ForeignKeyField("shop.Customer", related_name="orders")
    labels: Any = fields.ManyToManyField("shop.Label", through=f"{PREFIX}_order_label")

    class Meta:
        table = f"{PREFIX}_order"


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


@pytest.fixture(params=URLS)
def driver(request: pytest.FixtureRequest, reachable: Callable[[str, int], None]) -> str:
    name: str = request.param
    if name == "asyncmy":
        reachable("MariaDB", 3306)
    elif name != "aiosqlite":
        reachable("PostgreSQL", 5432)
    return name


@pytest.fixture
def shop(client: Client, driver: str, tmp_path: Path) -> Shop:
    """`async with shop() as connection:`, three customers with an order and a label each; their making is not among the events."""

    @contextlib.asynccontextmanager
    async def shop() -> AsyncIterator[Any]:
        # Tortoise keeps statements by the connection's name, across databases.
        url = URLS[driver].format(folder=tmp_path)
        apps = {"shop": {"models": [__name__], "default_connection": driver}}
        await tortoise.Tortoise.init(config={"connections": {driver: url}, "apps": apps})
        connection = tortoise.connections.get(driver)
        try:
            await drop(connection)
            await tortoise.Tortoise.generate_schemas()
            for number in range(3):
                order = await Order.create(customer=await Customer.create(name=f"c{number}"))
                await order.labels.add(await Label.create(name=f"l{number}"))
            client.buffer.records.clear()
            yield connection
        finally:
            await drop(connection)
            await tortoise.Tortoise.close_connections()

    return shop


async def drop(connection: Any) -> None:
    for table in (f"{PREFIX}_order_label", f"{PREFIX}_order", f"{PREFIX}_label", f"{PREFIX}_customer"):
        await connection.execute_script(f"DROP TABLE IF EXISTS {table}")


def queries(events: Events) -> list[Json]:
    """What was recorded, without the marks of transactions and what asyncmy does on a new connection of a pool."""
    found = [event for event in events("db.query") if "transactionMark" not in event["data"]]
    return [event for event in found if not event["data"]["sql"].startswith("SET ")]


async def test_one_event_for_each_statement(shop: Shop, driver: str, events: Events, in_request: InRequest) -> None:
    async with shop() as connection:
        with in_request() as owner:
            here = line()
            assert [one.name for one in await Customer.all().order_by("id")] == ["c0", "c1", "c2"]
            made = await Customer.create(name="new")
            assert await Customer.filter(id=made.id).update(name="other") == 1
            await made.refresh_from_db()
            await made.delete()
            assert await Customer.all().count() == 3
            assert await Customer.filter(name="c1").exists()
            assert len(await Customer.all().values_list("name", flat=True)) == 3
            assert (await Customer.get(name="c1")).name == "c1"
            assert (await connection.execute_query_dict(f"SELECT COUNT(*) AS n FROM {PREFIX}_customer"))[0]["n"] == 3
        found = queries(events)
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data["operation"] for data in datas] == ["SELECT", "INSERT", "UPDATE", "SELECT", "DELETE"] + ["SELECT"] * 5
    assert [data["callsite"]["line"] for data in datas] == list(range(here + 1, here + 11))
    assert {data["callsite"]["file"].rpartition("/")[2] for data in datas} == {"test_tortoise.py"}
    assert [data.get("model") for data in datas] == ["Customer"] * 9 + [None]
    assert {data["source"] for data in datas} == {"tortoise"}
    assert {data["system"] for data in datas} <= {SYSTEMS[driver], "mariadb"}
    assert datas[0]["rowCount"] == 3
    if driver != "aiosqlite":
        # There Tortoise asks for all rows of an UPDATE, and gets none.
        assert datas[2]["rowCount"] == datas[4]["rowCount"] == 1


async def test_what_is_prefetched_has_the_line_that_asked(shop: Shop, events: Events, in_request: InRequest) -> None:
    async with shop():
        with in_request() as owner:
            here = line()
            orders = await Order.all().prefetch_related("customer", "labels").order_by("id")
            assert [order.customer.name for order in orders] == ["c0", "c1", "c2"]
            assert [label.name for order in orders for label in order.labels] == ["l0", "l1", "l2"]
            customer = await Customer.get(name="c0")
            await customer.fetch_related("orders__labels")
            assert len(customer.orders) == 1
            joined = await Order.all().select_related("customer")
            assert len({order.customer.name for order in joined}) == 3
            assert len(await customer.orders) == 1
            assert (await Order.get(id=orders[0].id).only("id", "customer_id")).customer_id == customer.id
        found = queries(events)
    assert {event["parentId"] for event in found} == {owner.id}
    lines = [event["data"]["callsite"]["line"] - here for event in found]
    # Two for the labels from 1.0 on, one before.
    assert lines in ([1, 1, 1, 1, 4, 5, 5, 5, 7, 9, 10], [1, 1, 1, 4, 5, 5, 7, 9, 10])
    models = [event["data"]["model"] for event in found]
    assert {"Customer", "Order"} <= set(models[: lines.index(4)]) <= {"Customer", "Label", "Order"}
    assert models[-3:] == ["Order", "Order", "Order"]
    assert all("lazyLoad" not in event["data"] for event in found)


async def test_failures_are_recorded_and_stay_themselves(shop: Shop, events: Events) -> None:
    async with shop() as connection:
        with pytest.raises(OperationalError) as wrong:
            await connection.execute_query("SELECT nonsense FROM tortoise_nowhere")
        here = line() - 1
        data = queries(events)[0]["data"]
        customer = await Customer.get(name="c0")
        events()
        with pytest.raises(BaseORMException):
            await Customer.create(id=customer.id, name="twice")
        there = line() - 1
        datas = [event["data"] for event in queries(events)]
        assert "Duplicate" in datas[0]["error"] or "unique" in datas[0]["error"].lower()
        assert datas[0]["model"] == "Customer"
        assert datas[0]["callsite"]["line"] == there
    assert (data["callsite"]["line"], data["source"], "model" in data) == (here, "tortoise", False)
    assert "tortoise_nowhere" in data["error"]
    assert type(wrong.value) is OperationalError


async def test_transactions_are_marks(shop: Shop, driver: str, events: Events, in_request: InRequest) -> None:
    async with shop():
        with in_request() as owner:
            async with in_transaction(driver):
                await Customer.create(name="a")
            with contextlib.suppress(KeyError):
                async with in_transaction(driver):
                    await Customer.create(name="b")
                    raise KeyError
        found = events("db.query")
        assert [one.name for one in await Customer.filter(name__in=["a", "b"])] == ["a"]
    datas = [event["data"] for event in found]
    # Before 0.23 psycopg sends the BEGIN by itself, with the first statement.
    begin = ["begin"] if SAVEPOINTS or driver != "psycopg" else []
    assert [data.get("transactionMark") for data in datas] == [*begin, None, "commit", *begin, None, "rollback"]
    names = [data["transactionId"] for data in datas]
    half = len(names) // 2
    assert len(set(names[:half])) == len(set(names[half:])) == 1
    assert names[0] != names[half]
    assert {data["source"] for data in datas if "transactionMark" not in data} == {"tortoise"}
    assert {data["callsite"]["file"].rpartition("/")[2] for data in datas} == {"test_tortoise.py"}
    assert {event["parentId"] for event in found} == {owner.id}


@pytest.mark.skipif(not SAVEPOINTS, reason="before 0.23 Tortoise has no savepoints")
async def test_savepoints_are_marks(shop: Shop, driver: str, events: Events) -> None:
    async with shop():
        async with in_transaction(driver):
            await Customer.create(name="a")
            with contextlib.suppress(KeyError):
                async with in_transaction(driver):
                    await Customer.create(name="b")
                    raise KeyError
        datas = [event["data"] for event in events("db.query")]
        assert [one.name for one in await Customer.filter(name__in=["a", "b"])] == ["a"]
    nested: list[str | None] = ["savepoint", None, "rollback_to"]
    if driver == "psycopg":
        nested.append("release")
    elif driver == "asyncmy":
        # Tortoise sends them past the driver's methods.
        nested = [None]
    assert [data.get("transactionMark") for data in datas] == ["begin", None, *nested, "commit"]
    assert len({data["transactionId"] for data in datas}) == 1


async def test_many_rows_are_one_record(shop: Shop, driver: str, events: Events) -> None:
    async with shop():
        await Customer.bulk_create([Customer(name=f"b{number}") for number in range(10)])
        here = line() - 1
        (event,) = queries(events)
    data = event["data"]
    assert (data["model"], data["callsite"]["line"]) == ("Customer", here)
    # asyncmy's cursors make one statement of them and tell nobody.
    assert data.get("batchSize") == (None if driver == "asyncmy" else 10)


async def test_gathered_requests_keep_their_owners(shop: Shop, events: Events, in_request: InRequest) -> None:
    owners: list[str] = []

    async def work(number: int) -> None:
        with in_request() as owner:
            owners.append(owner.id)
            for _ in range(3):
                await Order.filter(id__gt=number).prefetch_related("customer").limit(2)
            await asyncio.gather(*(Label.all().count() for _ in range(2)))

    async with shop():
        everyone = await Order.all()
        first = min(order.id for order in everyone) - 1
        events()
        await asyncio.gather(*(work(first) for _ in range(5)))
        found = queries(events)
    assert {owner: [event["parentId"] for event in found].count(owner) for owner in owners} == dict.fromkeys(owners, 8)
    assert {event["data"]["callsite"]["file"].rpartition("/")[2] for event in found if event["data"].get("callsite")} == {
        "test_tortoise.py"
    }


@pytest.mark.parametrize("driver", ["asyncmy"], indirect=True)
async def test_every_statement_reaches_the_server_once(shop: Shop, driver: str, events: Events) -> None:
    async with shop(), in_transaction(driver) as connection:

        async def selects() -> int:
            _, rows = await connection.execute_query("SHOW SESSION STATUS LIKE 'Com_select'")
            return int(rows[0]["Value"])

        before = await selects()
        events()
        for order in await Order.all().prefetch_related("customer"):
            assert await order.labels.all().count() == 1
        assert len(queries(events)) == 5
        assert await selects() == before + 5


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"], indirect=True)
async def test_every_statement_reaches_postgresql_once(shop: Shop, events: Events) -> None:
    async with shop() as connection:
        await connection.execute_script(f"CREATE SEQUENCE {PREFIX}_calls")
        try:
            events()
            for number in range(1, 6):
                _, rows = await connection.execute_query(f"SELECT nextval('{PREFIX}_calls') AS n")
                assert rows[0]["n"] == number
            assert len(queries(events)) == 5
        finally:
            await connection.execute_script(f"DROP SEQUENCE {PREFIX}_calls")


@pytest.mark.parametrize("driver", ["aiosqlite"], indirect=True)
async def test_shutdown_puts_every_original_back(client: Client, shop: Shop, events: Events) -> None:
    places: list[tuple[Any, str]] = [
        (tortoise.backends.sqlite.client.SqliteClient, "execute_query"),
        (tortoise.backends.base.executor.BaseExecutor, "_execute_prefetch_queries"),
    ]
    async with shop():
        wrappers = [vars(holder)[name] for holder, name in places]
        client.shutdown(0.0)
        assert all(vars(holder)[name] is not wrapper for (holder, name), wrapper in zip(places, wrappers, strict=True))
        assert len(await Order.all().prefetch_related("customer")) == 3
        assert events() == []
