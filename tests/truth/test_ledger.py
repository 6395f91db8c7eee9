"""`ledger.py`: each kind of difference is seen, and so a matrix of zeros says something; and so it is in a run of the whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.truth.databases import Statement
from tests.truth.ledger import Captured, Row, Truth, compare, table
from tests.truth.matrix import Witnesses, run
from tests.truth.witness import Seen

Json = dict[str, Any]
ID, OTHER = "1" * 32, "2" * 32
QUERY = "m1_a_asyncpg_1"
CALL = "m1_b_httpx_1"


def request(marker: str, id: str) -> Json:
    return {"type": "request", "data": {"id": id, "url": f"/async/{marker}?q=1", "statusCode": 200}}


def query(text: str, owner: str = ID, function: str = "AsyncWork.asyncpg", **data: object) -> Json:
    return {
        "type": "db.query",
        "parentId": owner,
        "data": {"sql": text, "system": "postgresql", "callsite": {"function": function}, **data},
    }


def fetch(id: str = "f1", owner: str = ID) -> Json:
    data = {"url": f"http://stub/{CALL}", "fetchId": id, "callsite": {"function": "AsyncWork.httpx"}}
    return {"type": "fetch", "parentId": "a span", "ownerId": owner, "data": data}


def commit(owner: str = ID) -> Json:
    return query("COMMIT", owner, transactionMark="commit")


EVENTS = [request("m1", ID), request("m2", OTHER), query(f"SELECT ? AS {QUERY}"), fetch(), commit()]


def judged(events: list[Json], style: str = "async") -> Row:
    """The row of a cell with two requests, one of which made a query in a transaction and a call."""
    truth = Truth()
    truth.ask("m1")
    truth.ask("m2")
    truth.read_statements([Statement("s", text) for text in ("BEGIN", f"SELECT 1 AS {QUERY}", "COMMIT", "ROLLBACK")])
    truth.read_calls([Seen("GET", f"/{CALL}", {"x-brakit-fetch-id": "f1", "x-brakit-request-id": ID}, b"")])
    row = Row("framework", style, requests=2)
    compare({"m1": row, "m2": row}, truth, Captured.of(events))
    return row


def figures(row: Row) -> tuple[int, ...]:
    return row.missing, row.duplicates, row.owner, row.line


def test_no_difference_is_none() -> None:
    row = judged(EVENTS)
    assert (row.truth, row.captured, *figures(row)) == (4, 4, 0, 0, 0, 0), row.examples
    assert table([row])[-1].split() == ["total", "1", "cells", "2", "4", "4", "1", "0", "0", "0", "0"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda events: events.remove(events[2]), (1, 0, 0, 0)),
        (lambda events: events.remove(events[3]), (1, 0, 0, 0)),
        (lambda events: events.append(events[2]), (0, 1, 0, 0)),
        (lambda events: events.append(query(f"SELECT 1 AS {QUERY}")), (0, 1, 0, 0)),
        (lambda events: events.append(request("m2", "3" * 32)), (0, 1, 0, 0)),
        (lambda events: events.append(query("SELECT 1 AS m1_a_asyncpg_2")), (0, 1, 0, 0)),
        (lambda events: events.append(commit()), (0, 1, 0, 0)),
        (lambda events: events.append(commit(OTHER)), (0, 1, 0, 0)),
        (lambda events: events.append(query("BEGIN", transactionMark="begin")), (0, 0, 0, 0)),
        (lambda events: events.append(query("SAVEPOINT a", transactionMark="savepoint")), (0, 1, 0, 0)),
        (lambda events: events.remove(events[4]), (1, 0, 0, 0)),
        (lambda events: events.__setitem__(4, query("COMMIT", function="Pool.run", transactionMark="commit")), (1, 1, 0, 0)),
        (lambda events: events.__setitem__(2, query(QUERY, OTHER)), (0, 0, 1, 0)),
        (lambda events: events.__setitem__(2, query(QUERY, "nobody's")), (0, 0, 1, 0)),
        (lambda events: events.__setitem__(3, fetch("f2")), (0, 0, 1, 0)),
        (lambda events: events.__setitem__(3, fetch("f1", OTHER)), (0, 0, 1, 0)),
        (lambda events: events[0]["data"].update(statusCode=500), (0, 0, 1, 0)),
        (lambda events: events.__setitem__(2, query(QUERY, function="Pool.run")), (0, 0, 0, 1)),
        (lambda events: events.__setitem__(2, query(QUERY, batchSize=3)), (0, 0, 0, 0)),
        (lambda events: events.extend([query(QUERY, batchSize=3)] * 2), (0, 2, 0, 0)),
    ],
)
def test_a_difference_is_seen(change: Callable[[list[Json]], object], expected: tuple[int, ...]) -> None:
    events = [{**event, "data": {**event["data"]}} for event in EVENTS]
    change(events)
    assert figures(judged(events)) == expected


def test_what_is_cut_short_may_not_have_got_out() -> None:
    lost = query("SELECT 1 AS m1_a_cut_1", function="", error="TimeoutError")
    assert figures(judged([*EVENTS, lost], "cut")) == (0, 0, 0, 0)
    assert figures(judged([*EVENTS, lost])) == (0, 1, 0, 1)
    assert figures(judged([*EVENTS, lost, lost], "cut")) == (0, 1, 0, 0)
    assert figures(judged([*EVENTS, query("SELECT 1 AS m1_a_cut_1", function="cut")], "cut")) == (0, 1, 0, 0)
    failed = query("ROLLBACK", transactionMark="rollback", error="GeneratorExit")
    assert figures(judged([*EVENTS, failed], "leave")) == (0, 0, 0, 0)
    assert figures(judged([*EVENTS, failed])) == (0, 1, 0, 0)
    assert figures(judged([*EVENTS, commit()], "leave")) == (0, 1, 0, 0)
    rollback = query("ROLLBACK", transactionMark="rollback")
    assert figures(judged([*EVENTS, rollback], "leave")) == (0, 0, 0, 0)
    assert figures(judged([*EVENTS, rollback, rollback], "leave")) == (0, 1, 0, 0)
    assert figures(judged([*EVENTS, rollback])) == (0, 1, 0, 0)


def test_transaction_control_belongs_to_what_it_encloses() -> None:
    truth = Truth()
    first = ("BEGIN;", "SAVEPOINT a", "SELECT 1 AS m1_a_psycopg_1", "ROLLBACK TO SAVEPOINT a", "RELEASE a", "COMMIT")
    second = ("SELECT 1 AS m2_a_pymysql_1", "COMMIT", "start  transaction", "end", "BEGIN", "SELECT 1 AS m3_a_alchemy_1")
    texts = [text for pair in zip(first, second, strict=True) for text in pair]
    truth.read_statements(Statement(f"s{at % 2}", text) for at, text in enumerate(texts))
    expected = [("m1", "psycopg", kind) for kind in ("begin", "savepoint", "rollback_to", "release", "commit")]
    expected += [("m2", "pymysql", "commit"), ("", "", "begin"), ("", "", "commit"), ("m3", "alchemy", "begin")]
    assert truth.marks == dict.fromkeys(expected, 1)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("skip", "style", "figure", "tokens"),
    [
        ("asyncpg", "async", "missing", 3),
        # The pool of the loop and one of the app's own; `to_thread` copies the context itself.
        ("concurrent", "pool", "owner", 2),
    ],
)
def test_what_is_left_out_is_seen(witnesses: Witnesses, tmp_path: Path, skip: str, style: str, figure: str, tokens: int) -> None:
    [row] = run("starlette", witnesses, tmp_path, (style,), BRAKIT_SKIP=skip)
    assert getattr(row, figure) >= tokens * row.requests, row
    # A COMMIT that is nobody's is missing where it belongs.
    assert row.wrong() == row.missing + getattr(row, figure) * (figure != "missing"), row.examples


def test_what_a_job_does_is_done_for_the_request_that_caused_it() -> None:
    job = {"type": "job", "parentId": ID, "data": {"id": "3" * 32}}
    done = [request("m1", ID), request("m2", OTHER), query(f"SELECT ? AS {QUERY}", "3" * 32), fetch(), commit("3" * 32)]
    assert figures(judged([*done, job])) == (0, 0, 0, 0)
    assert figures(judged(done)) != (0, 0, 0, 0)
    assert figures(judged([*done, {**job, "parentId": OTHER}])) != (0, 0, 0, 0)
