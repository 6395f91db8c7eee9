"""Any DB-API driver: a connection that the app has asked to be watched."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import pytest

from brakit.instrumentations._watched import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    InRequest = Callable[[], AbstractContextManager[Owner]]


class Unwatched(sqlite3.Connection):
    """A connection that the instrumentation of sqlite3 leaves alone."""


@pytest.fixture
def connection(client: Client) -> Iterator[Any]:
    with contextlib.closing(sqlite3.connect(":memory:", factory=Unwatched)) as plain:
        plain.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        plain.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(10)])
        yield watch(client, plain, "sqlite", "any")


def test_one_event_for_each_way_to_execute(connection: Any, events: Events, in_request: InRequest) -> None:
    with in_request() as owner:
        cursor = connection.cursor()
        assert cursor.execute("SELECT * FROM t WHERE id < ?", (3,)) is cursor
        here = sys._getframe().f_lineno - 1
        assert cursor.fetchall() == [(0,), (1,), (2,)]
        assert cursor.connection is connection
        assert [row[0] for row in cursor.execute("SELECT * FROM t")] == list(range(10))
        assert len(connection.execute("SELECT * FROM t").fetchmany(4)) == 4
        connection.commit()
        connection.commit()
        cursor.executemany("INSERT INTO t VALUES (?)", [(20,), (21,)])
        with connection:
            assert connection.execute("DELETE FROM t WHERE id > 15").rowcount == 2
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    committed = datas.pop(3)
    assert (committed["transactionMark"], committed["callsite"]["line"]) == ("commit", here + 6)
    assert [data["rowCount"] for data in datas] == [3, 10, 4, 2, 2]
    assert datas[0]["callsite"]["line"] == here
    assert {(data["source"], data["system"]) for data in datas} == {("any", "sqlite")}
    assert len({data["connectionId"] for data in datas}) == 1
    assert datas[3]["batchSize"] == 2


def test_failures_are_recorded_and_stay_themselves(connection: Any, events: Events) -> None:
    with pytest.raises(sqlite3.OperationalError) as wrong:
        connection.cursor().execute("SELECT nonsense FROM nowhere")
    assert wrong.value.__context__ is None
    (event,) = events()
    assert event["data"]["error"] == "OperationalError: no such table: nowhere"


def test_the_rest_is_the_drivers(client: Client, connection: Any, events: Events) -> None:
    connection.row_factory = sqlite3.Row
    assert connection.row_factory is sqlite3.Row
    assert connection.total_changes == 10
    assert repr(connection).startswith("<")
    with pytest.raises(AttributeError):
        connection.nothing  # noqa: B018
    cursor = connection.cursor()
    cursor.arraysize = 7
    assert cursor.arraysize == 7
    cursor.close()
    events()
    client.shutdown(0.0)
    assert len(connection.execute("SELECT * FROM t").fetchall()) == 10
    assert events() == []
