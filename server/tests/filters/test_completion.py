"""What is suggested where."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server.tests.filters.strategies import entries

from brakit_server.filters import FilterError, parse
from brakit_server.filters.completion import MOST, Suggested, fields_at, keys_at, place, values_at
from brakit_server.records import Entry, Log, Query

AROUND: dict[str, Any] = {"id": "e1", "timestamp": 1.0, "parent_request_id": None, "service": "shop", "run": "box:1:0"}


def query(table: str) -> tuple[str, Entry]:
    return "db.query", Query(**AROUND, driver="x", operation="SELECT", normalized_op="SELECT", table=table, duration_ms=1.0)


def log(**fields: str) -> tuple[str, Entry]:
    return "log", Log(**AROUND, level="info", message="m", logger="shop.cart", fields=fields)


SEEN = [
    query("users"),
    query("users"),
    query("Order items"),
    query("a*b"),
    query(""),
    query("x" * 500),
    log(**{"order.id": "7", "my key": "x"}),
    log(user="1"),
]


def suggested(marked: str, kind: str | None = None) -> list[Suggested]:
    """What is suggested at the `|`."""
    where = place(marked.replace("|", "", 1), marked.index("|"))
    if where.field is not None:
        return values_at(where, SEEN)
    return keys_at(where, SEEN) + fields_at(where, kind)


def texts(marked: str, kind: str | None = None) -> list[str]:
    return [each.text for each in suggested(marked, kind)]


@pytest.mark.parametrize(
    ("marked", "start", "end", "typed", "field"),
    [
        ("|", 0, 0, "", None),
        ("ta|", 0, 2, "ta", None),
        ("ta|ble:users", 0, 5, "ta", None),
        ("a ta|", 2, 4, "ta", None),
        ("-ta|", 0, 3, "-ta", None),
        ("a |", 2, 2, "", None),
        ("(a OR st|", 6, 8, "st", None),
        ("table:|", 6, 6, "", "table"),
        ("table: |", 7, 7, "", "table"),
        ("table:us|", 6, 8, "us", "table"),
        ("table:us|ers x", 6, 11, "us", "table"),
        ('table:"Order i|', 6, 14, "Order i", "table"),
        ('table:"Order i|tems" x', 6, 19, "Order i", "table"),
        ("table:(users OR o|", 16, 17, "o", "table"),
        ("table:(users OR |", 16, 16, "", "table"),
        ("table:(|)", 7, 7, "", "table"),
        ("table:(users) us|", 14, 16, "us", None),
        ("table:users x|", 12, 13, "x", None),
        ('"table:us|', 0, 9, "table:us", None),
        ("duration>|", 9, 9, "", "duration"),
        ("statusCode>=4|", 12, 13, "4", "status"),
        ("header.accept:j|", 14, 15, "j", "header"),
        ("fields.or|", 0, 9, "fields.or", None),
        ("nothing:x|", 8, 9, "x", "text"),
    ],
)
def test_places(marked: str, start: int, end: int, typed: str, field: str | None) -> None:
    where = place(marked.replace("|", "", 1), marked.index("|"))
    assert (where.start, where.end, where.typed, where.field and where.field.name) == (start, end, typed, field)


def test_fields() -> None:
    assert texts("ta|")[0] == "table:"
    assert texts("dur|") == ["duration>"]
    assert texts("statusc|") == ["status:"]
    assert texts("-lev|") == ["-level:"]
    assert texts("resp|")[0] == "response.header."
    assert "table:" not in texts("t|", "request")
    assert "table:" in texts("t|", "db.query")
    assert len(texts("|")) == MOST
    assert texts("OR|")[0] == "OR"


def test_values_that_were_seen_most_often_first() -> None:
    assert texts("table:|") == ["users", '"Order items"', '"a*b"']
    assert [each.count for each in suggested("table:|")] == [2, 1, 1]
    assert texts("table:ORD|") == ['"Order items"']
    assert texts("table:(users OR it|") == ['"Order items"']
    assert texts("level:|")[0] == "info"
    assert "warn" in texts("level:|")
    assert texts("handled:|") == ["true", "false"]
    assert texts("kind:q|") == ["query", "request"]
    assert texts("has:tab|") == ["table"]
    assert texts("status:5|") == ["5xx"]
    assert texts("duration>1s|") == ["1s"]
    assert texts("fields.user:|") == ["1"]
    assert texts("table~/us|") == texts("table~|") == texts("nothing:|") == []


def test_names_behind_a_dot() -> None:
    assert texts("fields.|")[:3] == ["fields.order.id:", 'fields."my key":', "fields.user:"]
    assert texts("fields.or|")[0] == "fields.order.id:"
    assert texts("fields.order.i|")[0] == "fields.order.id:"
    assert texts("-fields.us|")[0] == "-fields.user:"
    assert texts("table.u|") == []


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    st.text(alphabet='ab:"\\()~/>=-.* ORANDtableheadersc', max_size=30),
    st.integers(0, 30),
    st.lists(entries("request"), max_size=2),
)
def test_whatever_is_typed_what_is_put_in_place_keeps_the_rest(text: str, cursor: int, requests: list[Entry]) -> None:
    where = place(text, cursor)
    assert 0 <= where.start <= where.end <= len(text)
    assert where.start <= min(cursor, len(text)) <= where.end
    seen = [("request", entry) for entry in requests]
    for each in values_at(where, seen) if where.field else keys_at(where, seen) + fields_at(where, None):
        assert each.text


@pytest.mark.parametrize(
    "name", ["table", "service", "level", "status", "handled", "duration", "at", "kind", "has", "fields.user"]
)
def test_what_is_suggested_can_be_read(name: str) -> None:
    for value in texts(f"{name}:|"):
        try:
            assert parse(f"{name}:{value}") is not None
        except FilterError as error:
            raise AssertionError(value) from error
