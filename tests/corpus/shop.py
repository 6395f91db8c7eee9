"""The tables that the cases on SQLAlchemy and on drivers share: customers, orders, their items, reviews, categories."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, deferred, mapped_column, relationship
from sqlalchemy.pool import StaticPool

CUSTOMERS, ORDERS, ITEMS, CATEGORIES = 12, 12, 3, 15


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    city: Mapped[str]
    notes: Mapped[str] = deferred(mapped_column(sa.Text))
    orders: Mapped[list[Order]] = relationship(back_populates="customer")


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customers.id"))
    state: Mapped[str] = mapped_column(default="new")
    total: Mapped[int] = mapped_column(default=0)
    customer: Mapped[Customer] = relationship(back_populates="orders")
    items: Mapped[list[Item]] = relationship(back_populates="order")


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(sa.ForeignKey("orders.id"))
    name: Mapped[str]
    price: Mapped[int]
    order: Mapped[Order] = relationship(back_populates="items")


class Category(Base):
    """A tree: each has its parent's id, `0` the roots."""

    __tablename__ = "categories"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int]
    name: Mapped[str]


class Setting(Base):
    __tablename__ = "settings"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


def fill(session: Session) -> None:
    """Twelve customers with an order of three items each, fifteen categories three levels deep."""
    for number in range(1, CUSTOMERS + 1):
        session.add(Customer(id=number, name=f"customer {number}", city=f"city {number % 4}", notes="-" * 50))
    for number in range(1, ORDERS + 1):
        session.add(Order(id=number, customer_id=number, total=number * 10))
        session.add_all([Item(order_id=number, name=f"item {number}-{each}", price=each) for each in range(ITEMS)])
    session.add_all([Category(id=number, parent_id=number // 2, name=f"c{number}") for number in range(1, CATEGORIES + 1)])
    session.add_all([Setting(name="currency", value="EUR"), Setting(name="tax", value="19")])
    session.commit()


def create(engine: sa.Engine) -> None:
    """Empty tables, filled."""
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        fill(session)


@contextmanager
def engine() -> Iterator[sa.Engine]:
    """A filled SQLite in memory."""
    made = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    create(made)
    yield made
    made.dispose()


@contextmanager
def session() -> Iterator[Session]:
    """A session on it, closed at the end."""
    with engine() as made, Session(made) as opened:
        yield opened


@asynccontextmanager
async def async_engine() -> AsyncIterator[AsyncEngine]:
    """The same through aiosqlite."""
    made = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    async with made.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.run_sync(lambda plain: fill(Session(plain)))
    yield made
    await made.dispose()


@contextmanager
def sqlite() -> Iterator[sqlite3.Connection]:
    """The same tables through the standard library's driver alone."""
    with engine() as made, made.connect() as source:
        target = sqlite3.connect(":memory:", isolation_level=None)
        plain = source.connection.driver_connection
        assert plain is not None
        plain.backup(target)
    yield target
    target.close()
