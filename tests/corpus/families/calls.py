"""Calls of other services, in and out of transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.corpus import neighbour
from tests.corpus.cases import Family
from tests.corpus.hosts import AsyncJob, Job
from tests.corpus.shop import Customer, Item, Order, session


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=neighbour.address()) as opened:
        await opened.get("/warm")
        yield opened


sync_case = Family("calls", Job(session))
async_case = Family("calls-async", AsyncJob(client))
FAMILIES = [sync_case, async_case]


def ask(path: str, **more: Any) -> httpx.Response:
    return httpx.get(neighbour.address() + path, **more)


@sync_case(expect={"n1": "items"}, trap="a call between two executions")
def loop_with_calls(db: Session) -> None:
    for number in range(1, 8):
        db.execute(sa.select(Item.name).where(Item.order_id == number)).all()  # here: n1
        db.rollback()
        ask(f"/prices/{number}")


@sync_case(expect={"fetch-in-transaction": ""})
def charged_inside_a_transaction(db: Session) -> None:
    db.execute(sa.update(Order).where(Order.id == 1).values(state="charging"))
    httpx.post(f"{neighbour.address()}/wait/60/charge")
    db.execute(sa.update(Order).where(Order.id == 1).values(state="charged"))
    db.commit()


@sync_case(trap="called before the transaction begins")
def charged_before(db: Session) -> None:
    httpx.post(f"{neighbour.address()}/wait/60/charge")
    db.execute(sa.update(Order).where(Order.id == 1).values(state="charged"))
    db.commit()


@sync_case(trap="called after the commit")
def charged_after(db: Session) -> None:
    db.execute(sa.update(Order).where(Order.id == 1).values(state="charged"))
    db.commit()
    httpx.post(f"{neighbour.address()}/wait/60/charge")


@sync_case(trap="one statement and a call, for something else each")
def reads_then_calls(db: Session) -> None:
    db.execute(sa.select(Customer.name).where(Customer.id == 1)).scalar_one()
    db.rollback()
    ask("/greeting")


@async_case(expect={"duplicate-fetch": ""})
async def the_same_rate_twice(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        await client.get("/wait/5/rates?base=EUR")


@async_case(trap="a change in between")
async def asked_again_after_a_change(client: httpx.AsyncClient) -> None:
    await client.get("/wait/5/cart")
    await client.post("/cart/add")
    await client.get("/wait/5/cart")


@async_case(trap="asked until it is done")
async def polls(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await client.get("/wait/5/state")
        await asyncio.sleep(0.3)


@async_case(trap="tried again after a failure, with a pause")
async def tries_again(client: httpx.AsyncClient) -> None:
    for path in ("/fail/once", "/fine"):
        if (await client.get(path)).status_code == 200:
            break
        await asyncio.sleep(0.1)


@async_case(expect={"sequential-calls": ""})
async def one_after_the_other(client: httpx.AsyncClient) -> None:
    await client.get("/slowly/stock")
    await client.get("/slowly/prices")
    await client.get("/slowly/reviews")


@async_case(trap="side by side")
async def side_by_side(client: httpx.AsyncClient) -> None:
    await asyncio.gather(*(client.get(f"/slowly/{name}") for name in ("stock", "prices", "reviews")))


@async_case(trap="one after the other, but short")
async def short_ones(client: httpx.AsyncClient) -> None:
    await client.get("/stock")
    await client.get("/prices")


@async_case(trap="each needs the answer of the one before")
async def each_needs_the_other(client: httpx.AsyncClient) -> None:
    await client.get("/wait/120/session")
    await client.get("/wait/120/carts/81723")
    await asyncio.sleep(0.03)
    await client.get("/wait/120/items/99172?cart=81723")
