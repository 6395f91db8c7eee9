"""Whatever stands in a record leaves as strict JSON that satisfies the schema; a record that fails costs one event."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import brakit.wire
from brakit import context
from brakit.conform import MAX_TEXT, clean, tidy
from brakit.events import KINDS
from brakit.record import MAX_BODY, Record, plain_params
from brakit.wire import MAX_EVENT, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


class Hostile:
    """Notes and refuses whatever is asked of it."""

    touched: list[str] = []  # noqa: RUF012

    def note(self, *args: object) -> Any:
        Hostile.touched.append("called")
        raise RuntimeError

    __repr__ = __str__ = __len__ = __iter__ = __bool__ = __hash__ = __eq__ = __format__ = __bytes__ = __int__ = __index__ = note
    __getattr__ = __float__ = __getitem__ = __contains__ = __call__ = __reduce__ = note


TEXTS = st.text(st.characters(), max_size=30) | st.sampled_from(
    ["\ud800", "\x00", "\udcff\udc80", "a" * 300, "\U0001f600", "\u2028"]
)
ANYTHING = st.one_of(
    TEXTS,
    st.binary(max_size=30),
    st.floats(),
    st.integers(),
    st.sampled_from([10**5000, -(10**5000), 2**63, float("nan"), float("inf"), True, None]),
    st.builds(Hostile),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(TEXTS, TEXTS, max_size=2),
)
PARTS = ("callsite", "frame", "cause", "exception", "cookie")
GIVEN = {
    "db.query": {"sql"},
    "fetch": {"url", "method"},
    "log": {"message"},
    "request": {"path", "url", "method", "headers", "response_headers"},
    "span": {"name"},
}
"""What an instrumentation always hands over; all the rest is drawn, or missing."""
PAIRS = st.lists(st.tuples(ANYTHING, ANYTHING), max_size=4)
SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "headers": PAIRS,
    "response_headers": PAIRS,
    "params": st.lists(ANYTHING, max_size=4).map(plain_params),
    "fields": st.dictionaries(TEXTS, ANYTHING, max_size=3),
    "attributes": st.dictionaries(TEXTS, ANYTHING, max_size=3),
    "args": st.tuples(ANYTHING, ANYTHING) | st.none() | st.dictionaries(TEXTS, ANYTHING, max_size=2),
    "callsite": st.tuples(ANYTHING, ANYTHING, ANYTHING),
}


@st.composite
def records(draw: st.DrawFn) -> Record:
    kind = draw(st.sampled_from([kind for kind in KINDS if kind.name != "error"]))
    data: Json = {}
    names = [field.name for field in kind if field.type.removesuffix("[]") not in PARTS]
    if kind.name == "db.query":
        names = [name for name in names if name not in ("shape", "shape_hash", "params_hash")]
    if kind.name == "log":
        names += ["args", "callsite"]
    for name in names:
        if name in GIVEN.get(kind.name, ()) or draw(st.booleans()):
            data[name] = draw(SPECIAL.get(name, ANYTHING))
    return Record(kind.name, data)


@given(st.lists(records(), min_size=1, max_size=5))
def test_anything_in_any_field_leaves_as_valid_events(client: Client, events: Events, drawn: list[Record]) -> None:
    Hostile.touched.clear()
    for record in drawn:
        record.emit(client.buffer)
    assert [event["type"] for event in events()] == [record.kind for record in drawn]
    assert Hostile.touched == []


@given(TEXTS, st.integers(1, 50))
def test_clean_text_is_utf8_and_bounded(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    cleaned.encode("utf-8")
    assert "\0" not in cleaned
    assert len(cleaned) <= 10 * limit + 10
    assert clean("plain", 10) == "plain"


@pytest.mark.failures
def test_a_record_that_fails_costs_one_event(client: Client) -> None:
    wire = Wire(client)
    good = Record("auth.check", {"provider": "session"})
    bad = [Record("auth.check", {"provider": "x", "nobody_knows_it": 1}), Record("error", {}), Record("no.kind", {})]
    encoded, failed = wire.encode([good, *bad, good])
    assert failed == 3
    assert [json.loads(event)["data"] for event in encoded] == [{"provider": "session"}] * 2
    assert sum(client.failures.counts.values()) == 3


def test_ids_are_unique_and_times_are_starts_in_epoch_milliseconds(client: Client, events: Events) -> None:
    before = time.time() * 1000
    for _ in range(100):
        record = client.record("span", name="work", span_id="0" * 16)
        record.finish(client.buffer)
    found = events()
    assert len({event["id"] for event in found}) == 100
    assert all(before - 100 <= event["timestamp"] <= time.time() * 1000 + 100 for event in found)
    stamps = [event["timestamp"] for event in found]
    assert stamps == sorted(stamps)
    assert all(event["data"]["duration"] >= 0 for event in found)


def test_two_batches_share_one_clock(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire(client)
    record = Record("auth.check", {"provider": "x"})
    real = time.time_ns
    first = json.loads(wire.encode([record])[0][0])["timestamp"]
    monkeypatch.setattr(brakit.wire, "wall", lambda: real() + 20_000_000)
    assert json.loads(wire.encode([record])[0][0])["timestamp"] == first
    monkeypatch.setattr(brakit.wire, "wall", lambda: real() - 3_600_000_000_000)
    assert json.loads(wire.encode([record])[0][0])["timestamp"] == pytest.approx(first - 3_600_000, abs=1000)


def test_who_owns_an_event(client: Client, events: Events) -> None:
    owner = context.request_owner("0" * 31 + "1", None)[0]
    context.enter(owner)
    try:
        client.record("fetch", url="http://a.test/", method="get").finish(client.buffer, status_code=200)
        span = context.span_owner()
        context.enter(span)
        client.record("fetch", url="http://b.test/", method="get").finish(client.buffer, status_code=200)
        context.enter(owner)
        request = client.record("request", id=owner.id, method="GET", url="/", path="/", status_code=200)
        request.finish(client.buffer)
    finally:
        context.enter(None)
    client.record("fetch", url="http://c.test/", method="get").finish(client.buffer, status_code=200)
    first, second, request_event, outside = events()
    keys = ("requestId", "parentId", "ownerId", "traceId")
    assert [first.get(key) for key in keys] == [owner.request_id, owner.id, None, owner.trace_id]
    assert [second.get(key) for key in keys] == [owner.request_id, span.id, owner.id, owner.trace_id]
    assert [request_event.get(key) for key in keys] == [owner.request_id, owner.request_id, None, owner.trace_id]
    assert request_event["id"] == owner.id
    assert [outside.get(key) for key in keys] == [None] * 4


def test_equal_parameters_have_equal_hashes_and_no_others(client: Client, events: Events) -> None:
    values: list[Any] = [
        (1,),
        (1,),
        (2,),
        ("1",),
        (1, 2),
        ("x" * 300,),
        ("x" * 300 + "y",),
        (10**5000,),
        (10**5001,),
        ({"a": 1}.items(),),
    ]
    for params in values:
        record = client.record("db.query", sql="SELECT 1", params=plain_params(params))
        record.finish(client.buffer)
    hashes = [event["data"]["paramsHash"] for event in events()]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == len(values) - 1
    assert Wire(client).hash((1,)) != Wire(client).hash((1,)), "the key is of this process alone"


def test_values_in_the_text_are_parameters_too(client: Client, events: Events) -> None:
    statements: list[tuple[str, tuple[object, ...] | None]] = [
        ("SELECT 1 FROM a WHERE b = 'x'", ()),
        ("SELECT 1 FROM a WHERE b = 'x' -- another comment", ()),
        ("SELECT 1 FROM a WHERE b = 'y'", ()),
        ("SELECT 1 FROM a WHERE b = 'x'", None),
        ("SELECT 1 FROM a WHERE b = ?", ("x",)),
        ("SELECT 1 FROM a WHERE b = ? LIMIT 5", ("x",)),
        ("SELECT 1 FROM a WHERE b = ? LIMIT 6", ("x",)),
    ]
    for sql, params in statements:
        client.record("db.query", sql=sql, params=params).finish(client.buffer)
    hashes = [event["data"]["paramsHash"] for event in events()]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == len(statements) - 1


def test_no_parameters_and_no_values_are_not_told(client: Client, events: Events) -> None:
    client.record("db.query", sql="SELECT a FROM b", params=None).finish(client.buffer)
    assert "paramsHash" not in events()[0]["data"]


def test_long_lists_in_one_parameter_are_told_apart(client: Client, events: Events) -> None:
    for first in (0, 200, 0):
        params = plain_params((list(range(first, first + 200)),))
        client.record("db.query", sql="SELECT a FROM b WHERE c = ANY(?)", params=params).finish(client.buffer)
    hashes = [event["data"]["paramsHash"] for event in events()]
    assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.parametrize(("switched", "expected"), [("0", None), ("1", ["7", "secret-free", "2026-01-02"])])
def test_parameters_leave_only_when_switched_on(
    environ: dict[str, str], switched: str, expected: list[str] | None, request: pytest.FixtureRequest
) -> None:
    import datetime

    environ["BRAKIT_PARAMS"] = switched
    client: Client = request.getfixturevalue("client")
    events: Events = request.getfixturevalue("events")
    params = plain_params((7, "secret-free", datetime.date(2026, 1, 2)))
    client.record("db.query", sql="SELECT 1", params=params).finish(client.buffer)
    assert events()[0]["data"].get("params") == expected


def test_huge_things_are_cut_and_the_event_stays_small(client: Client, events: Events) -> None:
    many = [(f"x-header-{n}", "v" * 20_000) for n in range(10_000)]
    body = b"b" * 10_000_000
    client.record(
        "request", id="1" * 32, method="GET" * 100, url="/" + "u" * 10**6, path="/", status_code=200, headers=many,
        response_headers=many, request_body=body, response_body=body,
    ).finish(client.buffer)  # fmt: skip
    client.record("db.query", sql="SELECT '" + "s" * 10**6 + "'").finish(client.buffer)
    client.record("log", level="info", message="m" * 10**6, fields={f"f{n}": "v" * 10**5 for n in range(500)}).emit(client.buffer)
    for event in events():
        assert len(json.dumps(event)) <= MAX_EVENT + 1000
    assert MAX_TEXT < MAX_EVENT


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "expected"),
    [
        (b'{"a": 1}', "application/json", "", '{"a": 1}'),
        ("é".encode("latin-1"), "text/plain; charset=latin-1", "", "é"),
        ("é".encode(), "text/plain; charset=no-such-thing", "", "é"),
        (b"abc", "text/plain; charset=hex", "", "abc"),
        (b"\x89PNG\x00", "image/png", "", None),
        (b"\x89PNG\x00", "", "", None),
        (b"text", "", "", "text"),
        (b"", "text/plain", "", None),
        (gzip.compress(b"hello"), "text/plain", "gzip", "hello"),
        (zlib.compress(b"hello"), "text/plain", "deflate", "hello"),
        (b"not gzip", "text/plain", "gzip", None),
        (b"hello", "text/plain", "br", None),
        (b"hello", "text/plain", "identity", "hello"),
    ],
)
def test_bodies_that_are_text(
    client: Client, events: Events, body: bytes, content_type: str, encoding: str, expected: str | None
) -> None:
    headers = [(b"Content-Type", content_type.encode()), (b"content-encoding", encoding.encode())]
    client.record(
        "request",
        id="1" * 32,
        method="GET",
        url="/",
        path="/",
        status_code=200,
        headers=[],
        response_headers=headers,
        response_body=body,
    ).finish(client.buffer)
    assert events()[0]["data"].get("responseBody") == expected


def test_a_compressed_bomb_is_opened_a_little(client: Client, events: Events) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000 + b"x")
    client.record(
        "request", id="1" * 32, method="GET", url="/", path="/", status_code=200, headers=[], response_body=bomb,
        response_headers=[(b"content-type", b"text/plain"), (b"content-encoding", b"gzip")],
    ).finish(client.buffer)  # fmt: skip
    start = time.perf_counter()
    [event] = events()
    assert time.perf_counter() - start < 0.5
    assert len(event["data"]["responseBody"]) <= 4 * MAX_BODY + 10


def test_header_names_are_lower_case_and_repeated_ones_joined(client: Client, events: Events) -> None:
    client.record(
        "request", id="1" * 32, method="GET", url="/", path="/", status_code=200,
        headers=[(b"X-One", b"1"), ("x-one", "2")],
        response_headers=[(b"Set-Cookie", b"sid=abc; HttpOnly; SameSite=Lax"), (b"set-cookie", b"b=c; Secure")],
    ).finish(client.buffer)  # fmt: skip
    data = events()[0]["data"]
    assert data["headers"] == {"x-one": "1, 2"}
    assert [cookie["name"] for cookie in data["cookies"]] == ["sid", "b"]
    assert [cookie["httpOnly"] for cookie in data["cookies"]] == [True, False]
    assert data["cookies"][0]["sameSite"] == "lax"
    assert "abc" not in json.dumps(data)


def test_a_log_message_is_formatted_here_and_may_be_wrong(client: Client, events: Events) -> None:
    for message, args in [
        ("%s is %d", ("x", 5)),
        ("%d", ("x",)),
        ("%(a)s", {"a": 1}),
        ("%(b)s", {"a": 1}),
        ("%s", (10**5000,)),
        ("100%", None),
    ]:
        client.record("log", level="info", message=message, args=args).emit(client.buffer)
    messages = [event["data"]["message"] for event in events()]
    assert messages[0] == "x is 5"
    assert messages[1] == "%d (x)"
    assert messages[2] == "1"
    assert messages[5] == "100%"
    assert len(messages) == 6


def test_what_the_process_says_of_itself_is_text() -> None:
    told = tidy({"root": "/srv/\udcff", "pid": 5, "framework": None, "instrumentations": {"a\ud800": "1"}})
    assert told == {"root": "/srv/\\udcff", "pid": 5, "instrumentations": {"a\\ud800": "1"}}
