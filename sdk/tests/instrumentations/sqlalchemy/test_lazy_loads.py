"""SQLAlchemy's ORM: a statement that the first use of an attribute issues names class and attribute, and no other does."""

from __future__ import annotations

import concurrent.futures
import sys
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext import asyncio as sa_asyncio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Only = Callable[[], Json]
    InRequest = Callable[[], AbstractContextManager[Owner]]


EARLY = hasattr(sys.modules.get("sqlalchemy.util._concurrency_py3k"), "_copy_context")
early = pytest.mark.skipif(EARLY, reason="early releases of 1.4 leave asynchronous statements to the driver")


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


def loads(events: list[Json]) -> list[str | None]:
    """What each statement loads, in the order in which they were sent."""
    return [event["data"].get("lazyLoad") for event in sorted(events, key=lambda event: float(event["timestamp"]))]


@pytest.fixture
def session(any_engine: sa.engine.Engine, events: Events) -> Iterator[Any]:
    """A session whose connection is there already."""
    with orm.Session(any_engine, future=True) as made:
        made.execute(sa.text("SELECT 1")).all()
        events()
        yield made


def test_relationships(session: Any, events: Events, in_request: InRequest, db: Any) -> None:
    with in_request():
        author = session.get(db.Author, 1)
        books = author.books
        here = line() - 1
        assert len(books) == 3
        assert author.books is books
    first, load = events()
    assert loads([first]) == [None]
    assert load["data"]["lazyLoad"] == "Author.books"
    assert load["data"]["rowCount"] == 3
    assert load["data"]["callsite"]["line"] == here
    session.expunge_all()
    with in_request():
        book = session.get(db.Book, 1)
        author = book.author
        others = [session.get(db.Book, id).author for id in (11, 21)]
        assert others == [author, author]
    # The other two are found in the session.
    assert loads(events()) == [None, "Book.author", None, None]


def test_statements_of_the_orm_name_the_class(session: Any, events: Events, in_request: InRequest, db: Any) -> None:
    def asked() -> list[str | None]:
        return [event["data"].get("model") for event in events()]

    with in_request():
        author = session.get(db.Author, 1)
        assert len(author.books) == 3
        session.execute(sa.select(db.Book.title).join(db.Book.author)).all()
        session.execute(sa.select(orm.aliased(db.Book))).all()
        session.execute(sa.update(db.Book).values(title="x").where(db.Book.id == 1))
    assert asked() == ["Author", "Book", "Book", "Book", "Book"]
    with in_request():
        session.execute(sa.select(db.table.c.id)).all()
        session.execute(sa.text("SELECT 1")).all()
        session.connection().exec_driver_sql("SELECT 1").all()
        session.rollback()
    assert asked() == [None] * 4


def test_what_is_loaded_eagerly_names_nothing(session: Any, events: Events, in_request: InRequest, db: Any) -> None:
    for option in (orm.selectinload, orm.subqueryload, orm.joinedload, orm.immediateload):
        session.expunge_all()
        with in_request():
            statement = sa.select(db.Author).where(db.Author.id < 3).order_by(db.Author.id)
            authors = session.execute(statement.options(option(db.Author.books))).unique().scalars().all()
            assert [len(author.books) for author in authors] == [3, 3]
        seen = events()
        assert loads(seen) == [None] * {"joinedload": 1, "immediateload": 3}.get(option.__name__, 2), option.__name__


def test_eager_loads_behind_a_lazy_one(session: Any, events: Events, in_request: InRequest, db: Any) -> None:
    session.expunge_all()
    for option in (orm.selectinload, orm.immediateload):
        with in_request():
            statement = sa.select(db.Book).where(db.Book.id == 1)
            book = (
                session.execute(statement.options(getattr(orm.lazyload(db.Book.author), option.__name__)(db.Author.books)))
                .scalars()
                .one()
            )
            assert len(book.author.books) == 3
        assert loads(events()) == [None, "Book.author", None]
        session.expunge_all()


def test_deferred_columns(session: Any, events: Events, in_request: InRequest, db: Any) -> None:
    with in_request():
        author = session.get(db.Author, 1)
        assert author.note is None
        here = line() - 1
        author = (
            session.execute(sa.select(db.Author).options(orm.load_only(db.Author.id)).where(db.Author.id == 2)).scalars().one()
        )
        assert author.name == "a2"
        session.expunge_all()
        author = (
            session.execute(sa.select(db.Author).options(orm.undefer(db.Author.note)).where(db.Author.id == 1)).scalars().one()
        )
        assert author.note is None
    seen = events()
    assert loads(seen) == [None, "Author.note", None, "Author.name", None]
    assert seen[1]["data"]["callsite"]["line"] == here


def test_expired_attributes_and_refresh(session: Any, events: Events, in_request: InRequest, db: Any) -> None:
    author = session.get(db.Author, 1)
    assert len(author.books) == 3
    session.commit()
    events()
    with in_request():
        assert author.name == "a1"
        here = line() - 1
    (load,) = events()
    assert load["data"]["lazyLoad"] == "Author.name"
    assert load["data"]["callsite"]["line"] == here
    session.expire(author)
    with in_request():
        assert len(author.books) == 3
    # The key of the relationship has expired as well.
    assert loads(events()) == ["Author.id", "Author.books"]
    with in_request():
        session.refresh(author)
        session.get(db.Author, 2)
        session.get(db.Author, 2, populate_existing=True)
        session.execute(sa.select(db.Author).execution_options(populate_existing=True)).scalars().all()
    assert set(loads(events())) == {None}


def test_an_autoflush_before_a_load(session: Any, events: Events, in_request: InRequest, db: Any) -> None:
    author = session.get(db.Author, 1)
    author.name = "changed"
    events()
    with in_request():
        assert len(author.books) == 3
    seen = events()
    assert loads(seen) == [None, "Author.books"]
    assert sorted(event["data"]["operation"] for event in seen) == ["SELECT", "UPDATE"]


def test_dynamic_relationships_are_queries_of_the_app(session: Any, events: Events, in_request: InRequest, db: Any) -> None:
    with in_request():
        author = session.get(db.Author, 1)
        assert len(author.by_title.all()) == 3
        assert author.by_title.count() == 3
    assert loads(events()) == [None, None, None]


def test_what_a_listener_asks_within_a_load(session: Any, events: Events, in_request: InRequest, db: Any) -> None:
    author = session.get(db.Author, 1)
    events()
    asked: list[object] = []

    @sa.event.listens_for(session, "do_orm_execute")
    def asking(state: Any) -> None:
        if not asked:
            asked.append(state)
            assert session.execute(sa.text("SELECT 5")).scalar() == 5

    with in_request():
        assert len(author.books) == 3
    assert len(asked) == 1
    assert loads(events()) == [None, "Author.books"]


def test_loads_that_are_refused_or_fail(session: Any, events: Events, in_request: InRequest, only: Only, db: Any) -> None:
    statement = sa.select(db.Author).options(orm.raiseload(db.Author.books)).where(db.Author.id == 1)
    author = session.execute(statement).scalars().one()
    events()
    with in_request():
        with pytest.raises(sa.exc.InvalidRequestError):
            _ = author.books
        session.expunge(author)
        with pytest.raises(orm.exc.DetachedInstanceError):
            _ = author.note
        assert db.Author(id=5).books == []
        assert events() == []
        session.execute(sa.select(1)).all()
    assert "lazyLoad" not in only()
    author = session.get(db.Author, 1)
    events()
    sa.event.listen(session.get_bind(), "before_cursor_execute", spoil, retval=True)
    with in_request():
        with pytest.raises(sa.exc.DBAPIError):
            _ = author.books
        here = line() - 1
    data = only()
    assert data["lazyLoad"] == "Author.books"
    assert data["error"]
    assert data["callsite"]["line"] == here
    sa.event.remove(session.get_bind(), "before_cursor_execute", spoil)
    session.rollback()
    assert "lazyLoad" not in events()[-1]["data"]


def spoil(*args: Any) -> tuple[str, Any]:
    return "SELECT nonsense FROM nowhere", ()


def test_columns_and_relationships_of_subclasses(engine: sa.engine.Engine, events: Events, in_request: InRequest) -> None:
    registry = orm.registry()

    @registry.mapped
    class Person:
        __tablename__ = "person"
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(10))
        __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "person"}  # noqa: RUF012

    @registry.mapped
    class Clerk(Person):
        __tablename__ = "clerk"
        id = sa.Column(sa.Integer, sa.ForeignKey("person.id"), primary_key=True)
        desk = sa.Column(sa.String(10))
        boss_id = sa.Column(sa.Integer, sa.ForeignKey("person.id"))
        boss = orm.relationship(Person, foreign_keys=[boss_id])
        __mapper_args__ = {"polymorphic_identity": "clerk", "inherit_condition": id == Person.id}  # noqa: A003, RUF012

    with engine.begin() as connection:
        registry.metadata.create_all(connection)
    base: Any = Person
    make: Any = Clerk
    with orm.Session(engine, future=True) as session:
        session.add_all([base(id=1, kind="person"), make(id=2, kind="clerk", desk="d", boss_id=1)])
        session.commit()
        events()
    with in_request(), orm.Session(engine, future=True) as session:
        clerk: Any = session.execute(sa.select(Person).where(Person.id == 2)).scalars().one()
        assert clerk.desk == "d"
        assert clerk.boss.id == 1
    assert loads(events()) == [None, "Clerk.desk", "Clerk.boss"]
    registry.dispose()


def test_threads_name_what_they_load(client: Client, tmp_path: Path, in_request: InRequest, db: Any) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/db", future=True)
    with engine.begin() as connection:
        db.table.metadata.create_all(connection)
        connection.execute(sa.insert(db.table), [{"id": n, "name": f"a{n}"} for n in range(50)])
        connection.execute(sa.insert(db.Book.__table__), [{"id": n, "author_id": n, "title": f"b{n}"} for n in range(50)])
    client.buffer.records.clear()

    def one(number: int) -> None:
        with in_request(), orm.Session(engine, future=True) as made:
            session: Any = made
            if number % 2:
                assert len(session.get(db.Author, number).books) == 1
            else:
                assert session.get(db.Book, number).author.id == number

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(50)))
    engine.dispose()
    seen = [record.data.get("lazy_load") for record in client.buffer.take(10_000) if record.kind == "db.query"]
    assert [seen.count(name) for name in (None, "Author.books", "Book.author")] == [50, 25, 25]


@early
async def test_async_loads(async_engine: sa_asyncio.AsyncEngine, events: Events, in_request: InRequest, db: Any) -> None:
    async with sa_asyncio.AsyncSession(async_engine) as session:
        author: Any = await session.get(db.Author, 1)
        events()
        with in_request():
            assert len(await session.run_sync(lambda _: author.books)) == 3
            here = line() - 1
            (load,) = events()
            assert load["data"]["lazyLoad"] == "Author.books"
            assert load["data"]["callsite"]["line"] == here
            await session.refresh(author)
            await session.execute(sa.select(db.Author))
        assert loads(events()) == [None, None]
        if not hasattr(sa_asyncio, "AsyncAttrs"):
            return
        awaitable = sa_asyncio.AsyncAttrs.awaitable_attrs.fget(author)  # type: ignore[attr-defined]
        with in_request():
            assert await awaitable.note is None
            here = line() - 1
        (load,) = events()
        assert load["data"]["lazyLoad"] == "Author.note"
        assert load["data"]["callsite"]["line"] == here
