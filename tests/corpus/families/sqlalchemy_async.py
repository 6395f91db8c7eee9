"""SQLAlchemy's ORM and Core on asyncio, through aiosqlite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, joinedload, selectinload

from tests.corpus.cases import Family
from tests.corpus.hosts import AsyncJob
from tests.corpus.shop import Category, Customer, Item, Order, Setting, async_engine


@asynccontextmanager
async def session() -> AsyncIterator[AsyncSession]:
    async with async_engine() as engine, AsyncSession(engine, expire_on_commit=False) as opened:
        yield opened


case = Family("sqlalchemy-async", AsyncJob(session))
FAMILIES = [case]


@case(expect={"n1": "items"})
async def awaited_attributes(db: AsyncSession) -> None:
    for order in (await db.scalars(sa.select(Order))).all():
        len(await order.awaitable_attrs.items)  # here: n1


@case(expect={"n1": "items"})
async def select_in_a_loop(db: AsyncSession) -> None:
    for number in (await db.scalars(sa.select(Order.id))).all():
        (await db.scalars(sa.select(Item).where(Item.order_id == number))).all()  # here: n1


@case(expect={"n1": "orders"})
async def get_in_a_loop(db: AsyncSession) -> None:
    for number in range(1, 8):
        await db.get(Order, number)  # here: n1


@case(expect={"n1": "items"})
async def lazy_inside_run_sync(db: AsyncSession) -> None:
    def totals(plain: Session) -> list[int]:
        return [len(order.items) for order in plain.scalars(sa.select(Order))]  # here: n1

    await db.run_sync(totals)


@case(expect={"n1": "orders"})
async def refresh_each(db: AsyncSession) -> None:
    for order in (await db.scalars(sa.select(Order))).all():
        await db.refresh(order)  # here: n1


@case(expect={"n1": "items"}, trap="the loop sleeps between two of them")
async def with_other_tasks(db: AsyncSession) -> None:
    for number in range(1, 8):
        await asyncio.sleep(0.001)
        await db.execute(sa.select(Item.name).where(Item.order_id == number))  # here: n1


@case(expect={"n1": "customers"})
async def async_comprehension(db: AsyncSession) -> None:
    async def name(number: int) -> str:
        return (await db.execute(sa.select(Customer.name).where(Customer.id == number))).scalar_one()  # here: n1

    [await name(number) for number in range(1, 8)]


@case(expect={"n1": "orders"})
async def update_each(db: AsyncSession) -> None:
    for number in range(1, 8):
        await db.execute(sa.update(Order).where(Order.id == number).values(total=1))  # here: n1
    await db.commit()


@case(expect={"n1": "categories", "commit-in-loop": ""})
async def insert_and_commit_each(db: AsyncSession) -> None:
    for number in range(100, 108):
        db.add(Category(id=number, parent_id=1, name="x"))
        await db.commit()  # here: n1


@case(expect={"redundant-query": "settings"})
async def the_setting_again(db: AsyncSession) -> None:
    for _ in range(3):
        (await db.execute(sa.select(Setting.value).where(Setting.name == "tax"))).scalar_one()


@case(trap="eager loading")
async def eager(db: AsyncSession) -> None:
    orders = await db.scalars(sa.select(Order).options(selectinload(Order.items), joinedload(Order.customer)))
    [len(order.items) for order in orders.all()]


@case(trap="a stream of one result")
async def streamed(db: AsyncSession) -> None:
    async for row in await db.stream(sa.select(Item.id).execution_options(yield_per=5)):
        int(row[0])


@case(trap="add_all")
async def add_all(db: AsyncSession) -> None:
    db.add_all([Category(id=number, parent_id=1, name="x") for number in range(100, 300)])
    await db.commit()


@case(trap="three awaits in a row, of three things")
async def three_things(db: AsyncSession) -> None:
    (await db.execute(sa.select(Customer.name).where(Customer.id == 1))).scalar_one()
    (await db.execute(sa.select(Order.total).where(Order.id == 1))).scalar_one()
    (await db.execute(sa.select(Item.name).where(Item.id == 1))).scalar_one()


@case(trap="the same statement from three lines")
async def three_lines(db: AsyncSession) -> None:
    statement = sa.select(Customer.name)
    (await db.execute(statement.where(Customer.id == 1))).scalar_one()
    (await db.execute(statement.where(Customer.id == 2))).scalar_one()
    (await db.execute(statement.where(Customer.id == 3))).scalar_one()


@case(trap="pages by key")
async def pages(db: AsyncSession) -> None:
    last = 0
    while rows := (await db.execute(sa.select(Item.id).where(Item.id > last).order_by(Item.id).limit(12))).all():
        last = rows[-1][0]
