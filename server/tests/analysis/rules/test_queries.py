"""Rules about queries, asked about what apps really run: recorded by the SDK, judged by the engine."""

from __future__ import annotations

import inspect
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import flask
import pytest
import sqlalchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from brakit_server.answers import Issue
from brakit_server.local import Recorder

HERE = Path(__file__).parent


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    items: Mapped[list[Item]] = relationship()


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(sqlalchemy.ForeignKey("orders.id"))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder(HERE, service="shop") as recorder:
        yield recorder
        assert recorder.failures == {}


@pytest.fixture
def engine(recorder: Recorder) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Order(id=number, items=[Item(), Item()]) for number in (1, 2)])
        session.commit()
    recorder.take()
    yield engine
    engine.dispose()


@pytest.fixture
def database(recorder: Recorder) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, shop INTEGER)")
    connection.execute("CREATE TABLE flags (name TEXT)")
    recorder.take()
    yield connection
    connection.close()


def found(recorder: Recorder, rule: str) -> list[Issue]:
    return [state.issue for state in recorder.take().issues if state.issue.rule == rule]


def line_of(function: object, text: str) -> int:
    """The number of the line of a function in which the text is."""
    lines, first = inspect.getsourcelines(function)  # type: ignore[arg-type]
    return next(first + n for n, line in enumerate(lines) if text in line)


def test_two_lazy_loads_name_the_option_and_its_line(recorder: Recorder, engine: sqlalchemy.Engine) -> None:
    def count_items() -> int:
        with Session(engine) as session:
            orders = session.scalars(sqlalchemy.select(Order)).all()  # parents
            return sum(len(order.items) for order in orders)

    with recorder.job("count"):
        assert count_items() == 4
    (issue,) = found(recorder, "n1")
    (line,) = {line_of(count_items, "# parents")}
    assert issue.fix is not None
    assert issue.fix.endswith(f"test_queries.py:{line}: add .options(selectinload(Order.items))")
    assert f"test_queries.py:{line}" in issue.hint


def test_two_objects_that_are_loaded_each_by_itself_are_no_loop(recorder: Recorder, engine: sqlalchemy.Engine) -> None:
    with recorder.job("compare"), Session(engine) as session:
        first, second = session.get_one(Order, 1), session.get_one(Order, 2)
        assert [len(order.items) for order in (first, second)] == [2, 2]
    assert found(recorder, "n1") == []


def test_what_is_loaded_with_its_parents_is_none(recorder: Recorder, engine: sqlalchemy.Engine) -> None:
    eager = sqlalchemy.select(Order).options(sqlalchemy.orm.selectinload(Order.items))
    with recorder.job("count"), Session(engine) as session:
        assert sum(len(order.items) for order in session.scalars(eager)) == 4
    assert found(recorder, "n1") == []


def test_a_result_that_grows(recorder: Recorder, database: sqlite3.Connection) -> None:
    app = flask.Flask("shop")

    @app.get("/items")
    def items() -> list[int]:
        return [row[0] for row in database.execute("SELECT id FROM items WHERE shop = ?", (1,)).fetchall()]

    @app.get("/pages")
    def pages() -> list[int]:
        return [row[0] for row in database.execute("SELECT id FROM items WHERE shop = ? LIMIT 400", (1,)).fetchall()]

    database.executemany("INSERT INTO items (shop) VALUES (?)", [(1,)] * 120)
    for _ in range(4):
        database.execute("INSERT INTO items (shop) VALUES (1)")
        app.test_client().get("/items").get_data()
        app.test_client().get("/pages").get_data()
    (issue,) = found(recorder, "unbounded-query")
    assert issue.endpoint == "GET /items"
    assert "121 at first and are 124 now" in issue.desc


def test_a_statement_that_is_slower_than_itself(recorder: Recorder, database: sqlite3.Connection) -> None:
    wait = 0.0
    database.create_function("wait", 0, lambda: time.sleep(wait))
    for number in range(30):
        wait = 0.15 if number >= 25 else 0.0
        with recorder.job("report"):
            database.execute("SELECT wait(), count(*) FROM items WHERE shop = ?", (number,)).fetchall()
    (issue,) = found(recorder, "slow-query")
    assert issue.endpoint == "report"
    assert issue.title == "Slow query: SELECT on items"
    assert issue.call_site is not None
    assert issue.call_site.function == "test_a_statement_that_is_slower_than_itself"


def test_one_statement_from_four_lines(recorder: Recorder, database: sqlite3.Connection) -> None:
    text = "SELECT id FROM items WHERE shop = ?"
    with recorder.job("page"):
        database.execute(text, (1,)).fetchall()
        database.execute(text, (2,)).fetchall()
        database.execute(text, (3,)).fetchall()
        database.execute(text, (4,)).fetchall()
    issues = recorder.take().issues
    (issue,) = [state.issue for state in issues]
    assert (issue.rule, issue.severity) == ("similar-query", "info")
    assert "4 different values from 4 lines" in issue.desc


def test_what_every_endpoint_asks_for(recorder: Recorder, database: sqlite3.Connection) -> None:
    app = flask.Flask("shop")

    @app.before_request
    def flags() -> None:
        database.execute("SELECT name FROM flags").fetchall()

    for path in ("/a", "/b", "/c"):
        app.add_url_rule(path, path, lambda: "fine")
    for path in ("/a", "/b", "/c") * 2:
        app.test_client().get(path).get_data()
    (issue,) = found(recorder, "cross-endpoint")
    assert "3 of 3 endpoints run the same SELECT on flags" in issue.desc
    assert issue.call_site is not None
    assert issue.call_site.function.endswith(".flags")
