"""What a process records of itself."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import flask
import pytest
import sqlalchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

import brakit.client
from brakit_server.analysis.rules import SettingError
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


def shop() -> flask.Flask:
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Order(id=number, items=[Item()]) for number in range(1, 9)])
        session.commit()
    app = flask.Flask("shop")

    @app.get("/orders")
    def orders() -> list[int]:
        with Session(engine) as session:
            return [len(order.items) for order in session.scalars(sqlalchemy.select(Order))]

    return app


def test_a_request_with_its_queries_and_its_issue() -> None:
    with Recorder(HERE, service="shop") as recorder:
        app = shop()
        recorder.take()
        assert app.test_client().get("/orders").json == [1] * 8
        seen = recorder.take()
        assert recorder.failures == {}
    (timeline,) = seen.timelines
    assert timeline.endpoint == "GET /orders"
    assert len(timeline.queries) == 9
    assert {query.call_site.file for query in timeline.queries if query.call_site} == {"server/tests/test_local.py"}
    (found,) = [issue.issue for issue in seen.issues if issue.issue.rule == "n1"]
    assert "items" in found.title
    assert seen.dropped == 0


def test_what_is_taken_once_does_not_come_again() -> None:
    with Recorder(HERE) as recorder:
        client = shop().test_client()
        client.get("/orders").get_data()
        assert recorder.take().timelines
        assert recorder.take() == ([], [], 0)


def test_a_job_of_the_callers_own() -> None:
    with Recorder(HERE) as recorder:
        with recorder.job("test_it", source="pytest") as id, sqlite3.connect(":memory:") as connection:
            connection.execute("SELECT 1").fetchall()
        connection.close()
        (timeline,) = recorder.take().timelines
        assert timeline.job is not None
        assert (timeline.job.id, timeline.job.name, timeline.job.status) == (id, "test_it", "succeeded")
        assert [query.operation for query in timeline.queries] == ["SELECT"]


def test_a_job_that_fails_is_itself() -> None:
    with Recorder(HERE) as recorder:
        with pytest.raises(ZeroDivisionError), recorder.job("test_it"):
            raise ZeroDivisionError
        (timeline,) = recorder.take().timelines
        assert timeline.job is not None
        assert timeline.job.status == "failed"


def test_events_that_nothing_owns_are_last() -> None:
    with Recorder(HERE) as recorder:
        connection = sqlite3.connect(":memory:")
        connection.execute("SELECT 1").fetchall()
        with recorder.job("later"):
            connection.execute("SELECT 2").fetchall()
        connection.close()
        first, last = recorder.take().timelines
        assert first.job is not None
        assert last.root is None
        assert len(last.queries) == 1


def test_all_is_put_back() -> None:
    before, connect = brakit.client.current(), sqlite3.connect
    with Recorder(HERE) as recorder:
        assert brakit.client.current() is recorder._client
    assert brakit.client.current() is before
    assert sqlite3.connect is connect


def test_a_rule_that_does_not_exist_is_said() -> None:
    with pytest.raises(SettingError, match="no rule 'n2'"):
        Recorder(HERE, rules={"n2": {}})
