"""What the app's thread writes down: clocks, owners, values that can be held."""

from __future__ import annotations

import datetime
import decimal
import enum
import gc
import random
import time
import uuid
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from brakit import context
from brakit.buffer import Buffer
from brakit.instrumentations._dbapi import SPARE, Query
from brakit.record import MAX_HELD, MAX_VALUE, Record, plain_params, plain_value, release_all

if TYPE_CHECKING:
    from collections.abc import Callable


class Hostile:
    """Every way of looking at it is noted."""

    touched: list[str] = []  # noqa: RUF012

    def __getattribute__(self, name: str) -> Any:
        Hostile.touched.append(name)
        raise RuntimeError(name)

    def note(self, *args: object) -> Any:
        Hostile.touched.append("called")
        raise RuntimeError("called")

    __repr__ = __str__ = __len__ = __iter__ = __bool__ = __hash__ = __eq__ = __format__ = __bytes__ = __int__ = __index__ = note
    __float__ = __getitem__ = __contains__ = __call__ = __reduce__ = note


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError

    def __getitem__(self, key: object) -> str:
        raise RuntimeError


class Colour(enum.IntEnum):
    RED = 1


class Zone(datetime.tzinfo):
    def utcoffset(self, when: object) -> Any:
        raise RuntimeError

    dst = tzname = utcoffset

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.fixture
def buffer() -> Buffer:
    return Buffer(1000, lambda: None, lambda: None)


def test_foreign_objects_are_never_touched() -> None:
    Hostile.touched.clear()
    assert plain_value(Hostile()) == "<Hostile>"
    assert plain_params((Hostile(), 1)) == ("<Hostile>", 1)
    assert plain_params({"a": Hostile()}) == ("a", "<Hostile>")
    assert plain_params(Hostile()) == ("<Hostile>",)
    assert Hostile.touched == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1),
        (True, True),
        (None, None),
        ("x", "x"),
        (b"x", b"x"),
        (1.5, 1.5),
        ("x" * 1000, ("x" * MAX_VALUE, 1000)),
        (b"x" * 1000, (b"x" * MAX_VALUE, 1000)),
        (Text("hello"), "hello"),
        (Colour.RED, 1),
        ([1], ("list", 1, 1)),
        ((1, [2]), ("tuple", 2, 1, "<list>")),
        (list(range(100)), ("list", 100, *range(10), *range(90, 100))),
        (object(), "<object>"),
        (datetime.date(2026, 1, 2), datetime.date(2026, 1, 2)),
        (decimal.Decimal("1.5"), decimal.Decimal("1.5")),
        (uuid.UUID(int=5), uuid.UUID(int=5)),
        (datetime.datetime(2026, 1, 2, tzinfo=Zone()), (datetime.datetime(2026, 1, 2), "Zone")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_can_be_held(value: object, expected: object) -> None:
    held = plain_value(value)
    assert held == expected
    assert type(held) is type(expected)


def test_a_class_that_calls_itself_safe_is_not() -> None:
    Fake = type("Decimal", (), {"__module__": "decimal"})  # noqa: N806
    assert plain_value(Fake()) == "<Decimal>"


def test_a_huge_number_is_told_from_another() -> None:
    first, second = plain_value(10**5000), plain_value(10**5000 + 1)
    assert first != second
    assert len(repr(first)) < 100


def test_parameters_are_bounded() -> None:
    assert len(plain_params(tuple(range(10_000)))) == 100
    assert plain_params([1, 2]) == (1, 2)


def test_what_is_finished_twice_goes_out_once(buffer: Buffer) -> None:
    record = Record("fetch", {})
    record.finish(buffer, status_code=200)
    record.finish(buffer, status_code=500)
    assert [one.data for one in buffer.take(10)] == [{"status_code": 200}]


def test_durations_do_not_follow_the_wall_clock_nor_a_replaced_one(buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Record("fetch", {})
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
    monkeypatch.setattr(time, "perf_counter_ns", lambda: 0)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    random.seed(1)
    record.finish(buffer)
    assert 0 <= record.ended - record.started < 10**9


def test_a_record_belongs_to_the_owner_of_its_start(buffer: Buffer) -> None:
    owner = context.request_owner(None, None)[0]
    context.enter(owner)
    record = Record("log", {})
    context.enter(None)
    record.emit(buffer)
    assert record.owner is owner


def test_what_is_held_goes_out_with_its_request_at_the_latest(buffer: Buffer) -> None:
    owner = context.request_owner(None, None)[0]
    context.enter(owner)
    try:
        records = [Record("db.query", {"n": n}) for n in range(MAX_HELD + 5)]
    finally:
        context.enter(None)
    for record in records:
        record.hold(buffer)
    assert len(buffer.take(1000)) == 5
    records[0].release(buffer)
    records[0].release(buffer)
    assert [one.data["n"] for one in buffer.take(1000)] == [0]
    release_all(owner, buffer)
    assert len(buffer.take(1000)) == MAX_HELD - 1
    late = Record("db.query", {"n": "late"})
    late.owner = owner
    late.hold(buffer)
    assert [one.data["n"] for one in buffer.take(1000)] == ["late"]


def test_of_what_is_read_only_the_open_ones_are_kept(buffer: Buffer) -> None:
    owner = context.request_owner(None, None)[0]
    context.enter(owner)
    try:
        queries = [Query("test", f"SELECT {n}", (), None, "sqlite", "1", None) for n in range(1000)]
    finally:
        context.enter(None)
    unread = set(queries[::25])
    for query in queries:
        query.hold(buffer)
        if query not in unread:
            query.release(buffer)
            query.release(buffer)
        assert len(owner.reading) <= SPARE + 2 * len(unread)
    assert buffer.take(10_000) == [query for query in queries if query not in unread]
    release_all(owner, buffer)
    assert set(buffer.take(10_000)) == unread
    assert owner.reading == []


def test_of_many_open_ones_the_newest_go_out_without_their_rows(buffer: Buffer) -> None:
    owner = context.request_owner(None, None)[0]
    context.enter(owner)
    try:
        queries = [Query("test", f"SELECT {n}", (), None, "sqlite", "1", None) for n in range(MAX_HELD + 5)]
    finally:
        context.enter(None)
    for query in queries:
        query.hold(buffer)
    assert buffer.take(10_000) == queries[MAX_HELD:]
    release_all(owner, buffer)
    assert set(buffer.take(10_000)) == set(queries[:MAX_HELD])


def test_outside_a_request_nothing_is_held(buffer: Buffer) -> None:
    Record("db.query", {}).hold(buffer)
    assert len(buffer.records) == 1


def test_held_values_keep_nothing_of_the_apps_alive(buffer: Buffer) -> None:
    class Theirs:
        pass

    theirs = Theirs()
    alive = weakref.ref(theirs)
    Record("db.query", {"params": plain_params((theirs, [theirs]))}).emit(buffer)
    del theirs
    gc.collect()
    assert alive() is None
    release: Callable[[], object] = buffer.records.clear
    release()
