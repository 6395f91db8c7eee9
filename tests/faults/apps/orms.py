"""ORMs, with what they stand on; the work is done in a request."""

# mypy: disable-error-code="import-untyped,import-not-found,untyped-decorator,misc,unused-ignore"

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from tests.faults.apps.drivers import Work, looped
from tests.faults.bench import InRequest
from tests.faults.observing import Run, See
from tests.faults.sweep import App

Making = contextlib.AbstractContextManager[Run]
PREFIX = f"faults{os.getpid()}"


def _tables() -> Any:
    import sqlalchemy as sa
    from sqlalchemy import orm

    class Base(orm.DeclarativeBase):
        pass

    class Customer(Base):
        __tablename__ = f"{PREFIX}_customer"
        id = orm.mapped_column(sa.Integer, primary_key=True)
        name = orm.mapped_column(sa.String(20), unique=True)
        orders = orm.relationship("Order", cascade="all, delete-orphan")

    class Order(Base):
        __tablename__ = f"{PREFIX}_order"
        id = orm.mapped_column(sa.Integer, primary_key=True)
        customer = orm.mapped_column(sa.ForeignKey(f"{PREFIX}_customer.id"))

    return Base, Customer, Order


@contextlib.contextmanager
def sqlalchemy() -> Iterator[Run]:
    import sqlalchemy as sa
    from sqlalchemy import orm

    base, customer, order = _tables()
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False})
    base.metadata.create_all(engine)
    inside = InRequest()

    def work(see: See) -> None:
        with orm.Session(engine) as session:
            session.add_all([customer(id=1, name="ann", orders=[order(), order()]), customer(id=2, name="bob")])
            session.commit()
            for one in session.scalars(sa.select(customer).order_by(customer.id)):
                see(one.name, len(one.orders))
            with see.error(), session.begin_nested():
                session.add(customer(id=1, name="eve"))
            session.rollback()
            see(session.scalars(sa.select(customer.name).execution_options(yield_per=1)).all())
            see.did("rows", session.execute(sa.select(sa.func.count()).select_from(order)).scalar_one())
        with engine.begin() as connection:
            connection.execute(sa.insert(customer), [{"id": 3, "name": "c"}, {"id": 4, "name": "d"}])
            see.did("customers", connection.execute(sa.select(sa.func.count()).select_from(customer)).scalar_one())
            with see.error():
                connection.execute(sa.text("SELECT nothing FROM nowhere"))
            connection.execute(sa.delete(order))
            connection.execute(sa.delete(customer))

    try:
        yield lambda see: inside(see, work)
    finally:
        engine.dispose()


async def sqlalchemy_async() -> AsyncIterator[Work]:
    import sqlalchemy as sa
    from sqlalchemy.ext import asyncio as sa_asyncio

    base, customer, order = _tables()
    engine = sa_asyncio.create_async_engine("postgresql+asyncpg://postgres@127.0.0.1/test", pool_size=1)
    async with engine.begin() as connection:
        await connection.run_sync(base.metadata.create_all)

    async def work(see: See) -> None:
        async with sa_asyncio.AsyncSession(engine) as session:
            session.add_all([customer(id=1, name="ann"), customer(id=2, name="bob")])
            await session.flush()
            session.add(order(customer=1))
            await session.commit()
            see((await session.scalars(sa.select(customer.name).order_by(customer.id))).all())
            with see.error():
                await session.execute(sa.text("SELECT nothing FROM nowhere"))
            await session.rollback()
            see.did("rows", (await session.execute(sa.select(sa.func.count()).select_from(customer))).scalar_one())
            await session.execute(sa.delete(order))
            await session.execute(sa.delete(customer))
            await session.commit()

    yield work
    async with engine.begin() as connection:
        await connection.run_sync(base.metadata.drop_all)
    await engine.dispose()


@contextlib.contextmanager
def peewee() -> Iterator[Run]:
    import peewee

    database = peewee.SqliteDatabase(":memory:")

    class Customer(peewee.Model):
        id: Any
        name = peewee.CharField(unique=True)

        class Meta:
            pass

    Customer.bind(database)
    database.create_tables([Customer])
    inside = InRequest()

    def work(see: See) -> None:
        with database.atomic():
            Customer.create(name="ann")
            Customer.insert_many([{"name": "bob"}, {"name": "eve"}]).execute()
        see([one.name for one in Customer.select().order_by(Customer.id)])
        see(Customer.get(Customer.name == "bob").name, [one.name for one in Customer.select().iterator()])
        with see.error(), database.atomic():
            Customer.create(name="ann")
        see.did("rows", Customer.select().count())
        Customer.delete().execute()

    try:
        yield lambda see: inside(see, work)
    finally:
        database.close()


async def tortoise() -> AsyncIterator[Work]:
    import tortoise
    from tortoise import fields
    from tortoise.transactions import in_transaction

    class Customer(tortoise.models.Model):
        id = fields.IntField(primary_key=True)
        name = fields.CharField(max_length=50, unique=True)

        class Meta:
            table = f"{PREFIX}_tortoise"

    Customer.__module__ = __name__
    globals()["Customer"] = Customer
    await tortoise.Tortoise.init(db_url="sqlite://:memory:", modules={"faults": [__name__]}, _enable_global_fallback=True)
    await tortoise.Tortoise.generate_schemas()

    async def work(see: See) -> None:
        async with in_transaction():
            await Customer.create(name="ann")
            await Customer.bulk_create([Customer(name="bob"), Customer(name="eve")])
        see([one.name for one in await Customer.all().order_by("id")])
        see((await Customer.get(name="bob")).name)
        with see.error():
            await Customer.create(name="ann")
        see.did("rows", await Customer.all().count())
        await Customer.all().delete()

    yield work
    await tortoise.Tortoise.close_connections()


_site: dict[str, Any] = {}


def _django() -> dict[str, Any]:
    """Django is set up once in a process."""
    if _site:
        return _site
    import django
    from django.conf import settings

    _site["file"] = str(Path(tempfile.mkdtemp()) / "shop.db")
    settings.configure(
        SECRET_KEY="k", ALLOWED_HOSTS=["*"], ROOT_URLCONF="tests.faults.apps.site", DEBUG=False, LOGGING_CONFIG=None,
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"], USE_TZ=True,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": _site["file"]}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )  # fmt: skip
    django.setup()
    return _site


@contextlib.contextmanager
def django() -> Iterator[Run]:
    import logging

    _django()
    from django.core.wsgi import get_wsgi_application
    from django.db import connection

    from tests.faults.apps import site
    from tests.faults.apps.wsgi import BODY, served
    from tests.faults.bench import InWaitress

    logging.getLogger("django").setLevel(logging.CRITICAL + 1)
    with contextlib.suppress(Exception), connection.schema_editor() as editor:
        editor.create_model(site.Customer)
        editor.create_model(site.Order)
    connection.close()
    server = InWaitress(get_wsgi_application())
    questions = (
        ("GET", "/orders/1/?a=b", b""),
        ("GET", "/fail/", b""),
        ("GET", "/stream/", b""),
        ("POST", "/api/echo/", BODY),
        ("GET", "/api/denied/", b""),
        ("GET", "/work/", b""),
        ("GET", "/nowhere", b""),
    )
    try:
        yield served(site.shop, server, questions)
    finally:
        server.close()


APPS = [
    App(
        "sqlalchemy", sqlalchemy, ("sqlalchemy.py", "_sqlalchemy_loads.py", "_sqlalchemy_transactions.py"), ("_orm.py", "sqlalchemy.py")
    ),
    App("sqlalchemy async", lambda: looped(sqlalchemy_async), ("sqlalchemy.py", "_sqlalchemy_transactions.py")),
    App("peewee", peewee, ("peewee.py",)),
    App("tortoise", lambda: looped(tortoise), ("tortoise.py",)),
    App(
        "django",
        django,
        ("django.py", "rest_framework.py", *(f"_django_{part}.py" for part in ("auth", "db", "loads", "routes", "transactions"))),
        ("_django_db.py",),
    ),
]  # fmt: skip
