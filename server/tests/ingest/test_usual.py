"""The quick way and the general way make the same of the same bytes, whatever they are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brakit import redact
from brakit.events import KINDS, camel
from brakit_server.ingest import Outcome, Refused, forget, parts, usual
from brakit_server.ingest.payload import explained, read
from brakit_server.ingest.prototypes import usual_kinds
from brakit_server.ingest.reader import MAX_EVENTS, fresh_id
from brakit_server.records import Request

EXAMPLES = 2000 if os.environ.get("BRAKIT_LONG") else 120
NOW = 1_790_000_000_000.0
ID = "0123456789abcdef0123456789abcdef"


def told(outcome: Outcome) -> Any:
    """All of an outcome; ids that the server made are left out."""
    found = msgspec.json.decode(msgspec.json.encode(outcome))
    for (_, entry), (_, record) in zip(found["batch"]["entries"], outcome.batch.entries, strict=True):
        entry["record"] = type(record).__name__
        if entry["id"].startswith(fresh_id()[:16]):
            entry["id"] = "fresh"
    return found


def answered(way: Callable[[bytes, float], Outcome], body: bytes) -> Any:
    try:
        return told(way(body, NOW))
    except Refused as refused:
        return refused.status, refused.reason


def same(body: bytes) -> bool:
    """Check a body; whether the quick way took it."""
    assert answered(read, body) == answered(explained, body)
    # What was seen before is remembered.
    assert answered(read, body) == answered(explained, body)
    return usual.read(body, NOW) is not None


def encoded(payload: dict[str, Any]) -> bytes:
    return json.dumps({"_brakit": True, "version": 1, "sdk": "test/1", **payload}).encode()


GOOD: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=20)
    | st.sampled_from(
        ["GET", "get", "SELECT * FROM t WHERE a = 'x' AND password = ?", "/a?token=s3cr3ts3cr3t&b=1", "k" * 1500, ID]
    )
    | st.sampled_from(
        ["password=hunter2hunter2", "4242424242424242", "\0", "é", "/static/x.js", "/health?x", "warning", "ERROR"]
    ),
    "number": st.floats(-10, 1e6) | st.integers(-5, 10**6),
    "integer": st.integers(-5, 10**6) | st.sampled_from([2**53 + 1, 2**70, 3.0, 3.5, -0.0]),
    "boolean": st.booleans(),
    "object": st.dictionaries(
        st.sampled_from(["content-type", "Cookie", "x", "set-cookie", "password"]), st.text(max_size=10), max_size=3
    ),
    "callsite": st.fixed_dictionaries(
        {"file": st.sampled_from(["a.py", "b/c.py"]), "line": st.integers(-1, 9), "function": st.just("f")},
        optional={"more": st.just(1)},
    ),
}
ANY: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({"a": [1]}) | st.just(1e300)
)
NUMBERS = st.sampled_from([0, -1, NOW, NOW + 0.25, 1e15, 2**70]) | st.floats(0, 2e12)


def value_of(type: str) -> st.SearchStrategy[Any]:
    return st.integers(0, 40).flatmap(lambda turn: ANY if turn == 0 or type not in GOOD else GOOD[type])


def data_of(kind: Any) -> st.SearchStrategy[dict[str, Any]]:
    fields = {camel(field.name): value_of(field.type) for field in kind}
    needed = {camel(field.name) for field in kind if field.required}
    rare = {name: value_of("string") for name in ("unknown", "durationMs", "driver") if name not in fields}
    return st.integers(0, 20).flatmap(
        lambda turn: st.fixed_dictionaries(
            {name: value for name, value in fields.items() if name in needed and turn},
            optional={name: value for name, value in fields.items() if name not in needed or not turn} | ({} if turn else rare),
        )
    )


IDS = st.sampled_from([ID, "r1", "r2", "", "x" * 129, "password=hunter2hunter2"])
AROUND: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(("requestId", "parentId", "traceId", "ownerId", "id"), IDS | st.none())
EVENT = st.sampled_from(KINDS).flatmap(
    lambda kind: st.fixed_dictionaries(
        {"type": st.just(kind.name), "data": data_of(kind)}, optional={**AROUND, "timestamp": NUMBERS}
    )
)
ODD = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["log", "x", "sdk.hello", ""]) | ANY,
        **dict.fromkeys(("data", "timestamp", "of", "more"), ANY),
        **AROUND,
    },
)
ENVELOPE: dict[str, st.SearchStrategy[Any]] = {
    "batchId": IDS | ANY,
    "sdk": st.sampled_from(["brakit-python/0.1.7", "x", ""]) | ANY,
    "resource": st.just({"service": "shop", "pid": 7, "host": "box", "started": 5.0}) | ANY,
    "dropped": st.just({"full": 2}) | ANY,
    "more": ANY,
    "version": st.sampled_from([0, 1, 2, 1.0, "1", None]),
}


def seldom(strategy: st.SearchStrategy[Any], otherwise: Any) -> st.SearchStrategy[Any]:
    return st.integers(0, 8).flatmap(lambda turn: strategy if turn == 0 else st.just(otherwise))


EVENTS = st.tuples(
    st.lists(EVENT, max_size=4), st.lists(ODD, max_size=1) | st.just([]), seldom(st.fixed_dictionaries({}, optional=ENVELOPE), {})
).map(lambda drawn: {"events": drawn[0] + drawn[1], **drawn[2]})


@pytest.mark.timeout(1800)
@given(EVENTS)
@settings(deadline=None, max_examples=EXAMPLES)
def test_both_ways_read_events_alike(payload: dict[str, Any]) -> None:
    body = encoded(payload)
    same(body)
    same(json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "surrogatepass"))


USUAL = [kind for kind in KINDS if kind.name in usual_kinds()]
OWN = {kind.name: sorted(usual_kinds()[kind.name].setters) for kind in USUAL}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A payload of rows, some of them wrong."""
    shared: list[Any] = [{"owner": ID}, {"owner": "r2", "traceId": ID}, {"parentId": "r3", "requestId": ID, "ownerId": "r4"}, {}]
    columns: list[Any] = []
    events: list[Any] = []
    for kind in draw(st.lists(st.sampled_from(USUAL), min_size=1, max_size=4)):
        types = {camel(field.name): field.type for field in kind}
        whole = draw(data_of(kind))
        own = draw(st.lists(st.sampled_from(OWN[kind.name]), max_size=8, unique=True))
        stable = {name: value for name, value in whole.items() if name not in OWN[kind.name] or draw(st.integers(0, 30)) == 0}
        split = draw(st.booleans())
        first = {name: value for place, (name, value) in enumerate(stable.items()) if not split or place % 2}
        second = {name: value for name, value in stable.items() if name not in first}
        shared += [{"type": kind.name, "data": first}, {"data": second}]
        columns.append(own + draw(seldom(st.lists(st.sampled_from(["unknown", "duration", "sql"]), max_size=1), [])))
        for _ in range(draw(st.integers(1, 3))):
            values = [draw(value_of(types.get(name, "string")) | st.none()) for name in columns[-1]]
            of = [draw(st.integers(0, 3)), len(shared) - 2, len(shared) - 1]
            row = [len(columns) - 1, of, draw(NUMBERS), *values[: draw(st.integers(0, len(values)))]]
            if draw(st.integers(0, 12)) == 0:
                place = draw(st.integers(0, len(row)))
                row.insert(place, draw(ANY))
            events.append(row)
    payload = {"base": NOW, "columns": columns, "shared": shared, "events": events + draw(st.lists(EVENT, max_size=2))}
    if draw(st.integers(0, 9)) == 0:
        payload[draw(st.sampled_from(["base", "columns", "shared"]))] = draw(ANY)
    if draw(st.integers(0, 9)) == 0:
        shared.append(
            draw(ANY | st.fixed_dictionaries({}, optional={"type": ANY, "owner": ANY, "data": ANY, "timestamp": NUMBERS}))
        )
    return payload


@pytest.mark.timeout(1800)
@given(rows())
@settings(deadline=None, max_examples=EXAMPLES)
def test_both_ways_read_rows_alike(payload: dict[str, Any]) -> None:
    same(encoded(payload))


PIECES = [b'"', b"\\", b"{", b"]", b",", b"\xff", b"\\ud83e", b"1e999", b"-", b"null", b"\n", b"\x00", b"01", b'"of":[0],', b"["]


@pytest.mark.timeout(1800)
@given(EVENTS | rows(), st.data())
@settings(deadline=None, max_examples=EXAMPLES)
def test_both_ways_read_damaged_bytes_alike(payload: dict[str, Any], data: st.DataObject) -> None:
    body = encoded(payload)
    start = data.draw(st.integers(0, len(body)))
    same(body[:start] + data.draw(st.sampled_from(PIECES)) + body[start + data.draw(st.integers(0, 2)) :])


LITERAL = {"operation": "SELECT", "table": "t", "duration": 1, "sql": "SELECT * FROM t WHERE a = 'x'"}


@pytest.mark.parametrize("given", [None, "", 5, [], "0123456789abcdef", "password=hunter2hunter2", "k" * 2000])
def test_the_hash_of_parameters_that_a_sender_gives_wins(given: object) -> None:
    assert same(encoded({"events": [{"type": "db.query", "data": {**LITERAL, "paramsHash": given}}]}))
    part = {"type": "db.query", "data": {name: value for name, value in LITERAL.items() if name != "duration"}}
    rows = [[0, [0], 0, 1.5, given], [0, [0], 0, 1.5]]
    assert same(encoded({"shared": [part], "columns": [["duration", "paramsHash"]], "events": rows}))


LOG = {"type": "log", "data": {"level": "info", "message": "m"}}
QUERY = {"type": "db.query", "data": {"operation": "SELECT", "table": "t", "duration": 1, "sql": "SELECT 1", "rowCount": -1}}


@pytest.mark.parametrize(
    "event", [LOG, QUERY, {"type": "request", "data": {"url": "/"}}, {"type": "x", "data": 5}, {"type": "log"}]
)
def test_events_by_themselves_are_usual(event: dict[str, Any]) -> None:
    assert same(encoded({"events": [event, LOG], "resource": {"service": "s"}, "dropped": {"full": 1}, "batchId": "b"}))


SECRET = '{"id": 1, "password": "hunter2hunter2", "note": "no secret configured"}'


@pytest.mark.parametrize("masked", [None, [], [{"place": "responseBody", "name": "password", "look": "words", "length": "long"}]])
def test_what_the_server_masks_is_described_unless_the_sender_has_done_so(masked: object) -> None:
    data = {"method": "POST", "url": "/", "statusCode": 200, "durationMs": 1, "requestBody": SECRET, "responseBody": SECRET}
    event = {"type": "request", "data": data if masked is None else {**data, "masked": masked}}
    body = encoded({"events": [event]})
    assert same(body)
    ((_, entry),) = read(body, NOW).batch.entries
    assert isinstance(entry, Request)
    assert "hunter2" not in repr(entry)
    described = [(one.place, one.name, one.look) for one in entry.masked or ()]
    if masked is None:
        assert described == [("requestBody", "password", "text"), ("responseBody", "password", "text")]
    else:
        assert described == [("responseBody", "password", "words")] * len(masked)  # type: ignore[arg-type]


def test_rows_are_usual() -> None:
    shared = [{"owner": ID}, {"type": "log", "data": {"level": "info", "logger": "shop"}}]
    payload = {"base": NOW, "columns": [["message"]], "shared": shared, "events": [[0, [0, 1], 0, "m"], [0, [1], 5], [7, [], 0]]}
    assert same(encoded(payload))
    assert len(read(encoded(payload), NOW).rejected) == 2


def test_records_of_one_prototype_are_not_one() -> None:
    first, second = (entry for _, entry in read(encoded({"events": [QUERY, {**QUERY, "requestId": "r"}]}), NOW).batch.entries)
    assert first.id != second.id
    assert (first.parent_request_id, second.parent_request_id) == (None, "r")


def test_what_is_a_secret_is_looked_at_anew_when_others_are_named() -> None:
    event = {"type": "log", "data": {"level": "info", "message": "m", "logger": "acme_k3y"}}
    body = encoded({"events": [event], "resource": {"service": "acme_k3y"}})
    assert "acme_k3y" in str(told(read(body, NOW)))
    try:
        redact.own(["acme_*"])
        forget()
        assert "acme_k3y" not in str(told(read(body, NOW)))
        assert same(body)
    finally:
        redact.own([])
        forget()


@pytest.mark.parametrize("hidden", [b"\xff", b"\\ud83e"])
def test_bytes_that_nobody_asks_for_are_read_as_well(hidden: bytes) -> None:
    part = b'{"_brakit":true,"version":1,"shared":[{"data":{"a":"%b"}}],"events":[]}' % hidden
    site = b'{"_brakit":true,"version":1,"events":[{"type":"request","data":{"headers":{"a":"%b"}}}]}' % hidden
    for body in (part, site, site, part.replace(b'"data"', b'"x"')):
        same(body)


def test_too_many_events_and_too_large_ones_are_refused_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not same(b'{"_brakit":true,"version":1,"events":[' + b"{}," * MAX_EVENTS + b"{}]}")
    monkeypatch.setattr(parts, "MAX_EXPANDED", 100_000)
    shared = [{"type": "log", "data": {"level": "info", "logger": "x" * 1000}}]
    for number in (10, 90, 110):
        same(encoded({"shared": shared, "columns": [["message"]], "events": [[0, [0], 0, "m"]] * number}))
