"""From bytes to records: any bytes, every alias and default, who owns an event."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brakit_server.ingest import Outcome, Refused, read
from brakit_server.records import KINDS, AuthCheck, Entry, Error, Fetch, Log, Query, Request
from brakit_server.stores import Opaque

NOW = 1_790_000_000_000.0


def outcome(*events: Any, **envelope: Any) -> Outcome:
    return read(json.dumps({"_brakit": True, "version": 1, "sdk": "test/1", "events": events, **envelope}).encode(), NOW)


def status(body: bytes) -> int:
    """What a sender would be told, were no event wrong."""
    try:
        read(body, NOW)
    except Refused as refused:
        return refused.status
    return 204


def only(event: dict[str, Any], **envelope: Any) -> Any:
    """The one record."""
    found = outcome(event, **envelope)
    assert not found.rejected
    [(_, entry)] = found.batch.entries
    return entry


def legacy(kind: str, data: object) -> list[tuple[str, Entry]]:
    found = read(json.dumps({"_brakit": True, "events": [{"type": kind, "data": data}]}).encode(), NOW)
    assert not found.rejected
    return found.batch.entries


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["\ud83e", "\0", "GET", "[", "\n"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = sorted(
    {key for kind in KINDS.values() for key in (field.encode_name for field in msgspec.structs.fields(kind))} | {"duration"}
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from([*KINDS, "sdk.hello", "query", "x"]) | VALUES,
        "requestId": st.just("r") | VALUES,
        "parentId": VALUES,
        "ownerId": VALUES,
        "traceId": VALUES,
        "id": VALUES,
        "timestamp": VALUES,
        "data": st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=12) | VALUES,
    },
)
PAYLOADS = st.fixed_dictionaries(
    {"_brakit": st.just(True), "events": st.lists(EVENTS | VALUES, max_size=4)},
    optional={"version": st.just(1) | VALUES, "sdk": VALUES, "batchId": VALUES, "resource": VALUES, "dropped": VALUES},
)


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=120)
def test_any_bytes_are_a_batch_or_refused(body: bytes) -> None:
    assert status(body) in (204, 400, 413)


@given(PAYLOADS)
@settings(deadline=None, max_examples=250)
def test_any_payload_becomes_records_that_can_be_stored_and_read(payload: dict[str, Any]) -> None:
    body = json.dumps(payload).encode()
    assert status(body) in (204, 400)
    if status(body) == 400:
        return
    found = read(body, NOW)
    for kind, entry in found.batch.entries:
        text = msgspec.json.encode(entry).decode()
        assert "\n" not in text
        assert msgspec.json.decode(text, type=type(entry)) == entry
        assert isinstance(entry, KINDS.get(kind, Opaque))
        assert 0 < entry.timestamp < 1e14
    if "version" in payload:
        assert len(found.batch.entries) + found.rejected_count == len(payload["events"])


@given(PAYLOADS)
@settings(deadline=None, max_examples=120)
def test_what_was_read_once_is_read_the_same_again(payload: dict[str, Any]) -> None:
    """Redaction, limits and mappings settle: a record sent again as an event comes out as it is."""
    try:
        found = read(json.dumps({**payload, "version": 1}).encode(), NOW)
    except Refused:
        return
    for kind, entry in found.batch.entries:
        if kind not in KINDS:
            continue
        data = json.loads(msgspec.json.encode(entry))
        data = {**data, "duration": data.get("durationMs"), "callsite": data.get("callSite")}
        event = {"type": kind, "id": entry.id, "timestamp": entry.timestamp, "data": data}
        again = read(json.dumps({"_brakit": True, "version": 1, "events": [event]}).encode(), NOW)
        [(_, second)] = again.batch.entries
        for name in KINDS[kind].__struct_fields__:
            if name not in ("parent_request_id", "parent_id", "trace_id", "service", "run"):
                assert getattr(second, name) == getattr(entry, name), name


def test_query_and_its_aliases() -> None:
    query = only(
        {"type": "db.query", "data": {"operation": "select", "table": "t", "durationMs": 2, "driver": "asyncpg", "rowCount": 3}}
    )
    assert isinstance(query, Query)
    assert (query.operation, query.normalized_op, query.driver, query.source) == ("SELECT", "SELECT", "asyncpg", "asyncpg")
    assert (query.duration_ms, query.row_count, query.table) == (2, 3, "t")
    query = only(
        {"type": "db.query", "data": {"operation": "MERGE", "table": "", "duration": 1, "durationMs": 9, "parent_fetch_id": "f"}}
    )
    assert (query.operation, query.driver, query.duration_ms, query.parent_fetch_id) == ("OTHER", "sdk", 1, "f")
    assert query.source is None
    assert query.shape_hash


def test_sql_is_masked_and_shaped_where_the_sender_did_not() -> None:
    data: dict[str, Any] = {
        "operation": "SELECT",
        "table": "users",
        "duration": 1,
        "sql": "SELECT * FROM users WHERE email = 'ann@x.test'",
    }
    first = only({"type": "db.query", "data": data})
    second = only({"type": "db.query", "data": {**data, "sql": data["sql"].replace("ann", "bob")}})
    assert "ann" not in first.sql
    assert first.shape_hash == second.shape_hash
    kept = only({"type": "db.query", "data": {**data, "shape": "s", "shapeHash": "0123456789abcdef"}})
    assert (kept.shape, kept.shape_hash) == ("s", "0123456789abcdef")


def test_what_is_no_sql_stays_as_its_sender_wrote_it() -> None:
    data: dict[str, Any] = {"operation": "SELECT", "table": "user", "duration": 1, "sql": "GET user:42", "system": "redis"}
    kept = only({"type": "db.query", "data": {**data, "shape": "GET ?", "shapeHash": "0123456789abcdef"}})
    assert (kept.sql, kept.shape, kept.table) == ("GET user:42", "GET ?", "user")
    assert only({"type": "db.query", "data": data}).sql == "GET user:?"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("warning", "warn"),
        ("critical", "error"),
        ("warn", "warn"),
        ("debug", "debug"),
        ("log", "log"),
        ("ERROR", "log"),
        ("x", "log"),
    ],
)
def test_levels(sent: str, stored: str) -> None:
    log = only({"type": "log", "data": {"level": sent, "message": ""}})
    assert isinstance(log, Log)
    assert log.level == stored


def test_the_other_kinds() -> None:
    fetch = only({"type": "fetch", "data": {"url": "/", "method": "get", "statusCode": 0, "durationMs": 1.5, "fetch_id": "f1"}})
    assert isinstance(fetch, Fetch)
    assert (fetch.status_code, fetch.fetch_id, fetch.duration_ms) == (0, "f1", 1.5)
    error = only({"type": "error", "data": {"name": "E", "message": "m", "stack": None}})
    assert isinstance(error, Error)
    assert error.stack is None
    assert isinstance(only({"type": "auth.check", "data": {"provider": "jwt", "result": "denied"}}), AuthCheck)
    opaque = only({"type": "job.start", "requestId": "r", "data": {"password": "hunter2hunter2", "n": [1]}})
    assert isinstance(opaque, Opaque)
    assert json.loads(bytes(opaque.data))["n"] == [1]
    assert b"hunter2" not in bytes(opaque.data)


def test_a_request_has_stand_ins_for_what_is_missing() -> None:
    request = only({"type": "request", "data": {"url": "/health?x=1"}})
    assert isinstance(request, Request)
    assert len(request.id) == 32
    assert (request.method, request.status_code, request.path, request.duration_ms) == ("GET", 200, "/health", 0)
    assert (request.headers, request.response_headers, request.request_body, request.response_size) == ({}, {}, None, 0)
    assert (request.is_health_check, request.is_static) == (True, False)
    assert only({"type": "request", "data": {"url": "/static/app.js"}}).is_static
    assert not only({"type": "request", "data": {"url": "/static/app.js", "isStatic": False}}).is_static


def test_headers_bodies_and_urls_are_masked_again() -> None:
    request = only(
        {
            "type": "request",
            "data": {
                "id": "a",
                "url": "/x?token=s3cr3ts3cr3t&q=1",
                "headers": {"Authorization": "Bearer s3cr3ts3cr3t", "X-Number": 5, "Content-Type": "application/json"},
                "responseHeaders": {"Set-Cookie": "sid=s3cr3ts3cr3t; HttpOnly; Path=/"},
                "requestBody": '{"password": "s3cr3ts3cr3t", "n": 1}',
            },
        }
    )
    assert "s3cr3ts3cr3t" not in msgspec.json.encode(request).decode()
    assert set(request.headers) == {"authorization", "content-type"}
    assert "q=1" in request.url
    assert request.cookies is not None
    assert [(cookie.name, cookie.http_only, cookie.secure) for cookie in request.cookies] == [("sid", True, False)]


def test_long_texts_are_cut() -> None:
    assert len(only({"type": "log", "data": {"level": "log", "message": "m" * 100_000}}).message) == 65_536
    assert len(only({"type": "error", "data": {"name": "E", "message": "m", "stack": "s" * 200_000}}).stack) == 131_072
    request = only({"type": "request", "data": {"url": "/" + "u" * 9_000, "requestBody": "b" * 20_000}})
    assert (len(request.url), len(request.request_body)) == (8_192, 10_240)
    for much in ("y" * 70_000, json.loads("[" * 100 + "]" * 100)):
        assert list(json.loads(bytes(only({"type": "x", "data": much}).data))) == ["omitted"]


def test_who_owns_an_event() -> None:
    log = {"type": "log", "requestId": "outer", "data": {"level": "log", "message": ""}}
    assert only(log).parent_request_id == "outer"
    own = only({**log, "parentId": "own", "traceId": "t"})
    assert (own.parent_request_id, own.parent_id, own.trace_id) == ("own", None, "t")
    inside = only({**log, "parentId": "span", "ownerId": "own"})
    assert (inside.parent_request_id, inside.parent_id) == ("own", "span")
    for nobody in ({}, {"requestId": None}, {"requestId": ""}, {"requestId": 5}, {"requestId": "x" * 200}):
        assert only({"type": "log", "data": log["data"], **nobody}).parent_request_id is None
    request = {"type": "request", "data": {"id": "own"}}
    assert only({**request, "requestId": "own"}).parent_request_id is None
    assert only({**request, "requestId": "outer"}).parent_request_id == "outer"
    assert only({**request, "requestId": "x", "parentId": "outer"}).parent_request_id == "outer"
    assert only({**request, "requestId": "outer", "parentId": "own"}).parent_request_id == "outer"
    assert only({**request, "requestId": "own", "parentId": "own"}).parent_request_id is None


def test_the_published_sdk_stamps_what_it_times_at_the_end() -> None:
    query = {"operation": "SELECT", "table": "t", "durationMs": 40.0}
    fetch = {"url": "/", "method": "GET", "statusCode": 200, "durationMs": 40.0}
    for kind, data in (("db.query", query), ("fetch", fetch), ("request", {"id": "a", "durationMs": 40.0})):
        # Around the data stands when it was sent, which may be much later.
        event = {"type": kind, "timestamp": NOW + 300, "requestId": "a", "data": {**data, "timestamp": NOW}}
        assert only(event, sdk="brakit-python/0.1.7").timestamp == NOW - 40
        assert only(event, sdk="brakit-python/0.2.0").timestamp == NOW + 300
        assert only(event).timestamp == NOW + 300
        junk = {**event, "data": {**data, "timestamp": "soon"}}
        assert only(junk, sdk="brakit-python/0.1.7").timestamp == NOW + (260 if kind == "request" else 300)
    log = {"type": "log", "timestamp": NOW + 300, "data": {"level": "info", "message": "m", "timestamp": NOW}}
    assert only(log, sdk="brakit-python/0.1.7").timestamp == NOW
    request = {"type": "request", "timestamp": NOW, "requestId": "a", "data": {"id": "a", "durationMs": 250.0}}
    assert only(request, sdk="brakit-python/0.1.7").started_at == NOW - 250
    # The example of the protocol's page, whose sender has the same name, means what it says.
    assert (
        only({"type": "db.query", "timestamp": NOW, "data": {**query, "duration": 45}}, sdk="brakit-python/0.1.0").timestamp
        == NOW
    )


def test_values_in_the_text_leave_a_hash_when_they_are_masked() -> None:
    def hashed(sql: str, **more: Any) -> str | None:
        data = {"operation": "SELECT", "table": "users", "duration": 1, "sql": sql, **more}
        found: str | None = only({"type": "db.query", "data": data}).params_hash
        return found

    texts = [f"SELECT * FROM users WHERE id = {number}" for number in range(12)]
    hashes = {hashed(text) for text in texts}
    assert (len(hashes), None in hashes) == (12, False)
    assert hashed(texts[3]) == hashed(texts[3])
    assert hashed(texts[3]) != hashlib.blake2b(texts[3].encode(), digest_size=8).hexdigest()
    assert len({hashed(f"SELECT * FROM users WHERE email = '{name}@x.test'") for name in "abc"}) == 3
    assert hashed(texts[3], paramsHash="own") == "own"
    # With placeholders beside it, a literal says nothing about the values.
    for sql in (
        "SELECT 1 FROM users",
        *(f"SELECT * FROM users WHERE a = 5 AND b = {mark}" for mark in ("?", "%s", "$1", ":b", "@b")),
    ):
        assert (hashed(sql) is None) == ("WHERE" in sql), sql
    assert hashed("SELECT a::text FROM users WHERE id = 5 OR name LIKE '%smith: %s @home%'") is not None
    assert hashed("SELECT name FROM users") is None


def test_what_drivers_and_senders_say_loosely() -> None:
    query = {"type": "db.query", "data": {"operation": "SELECT", "table": "t", "duration": 1, "rowCount": -1}}
    assert only(query).row_count is None
    assert only({"type": "request", "data": {"method": "get"}}).method == "GET"


def test_missing_time_is_now() -> None:
    for timestamp in (None, 0, "soon", -5, 1e18, True):
        assert only({"type": "log", "timestamp": timestamp, "data": {"level": "log", "message": ""}}).timestamp == NOW


def test_the_process_that_sends() -> None:
    resource = {
        "service": "shop",
        "pid": 7,
        "host": "box",
        "started": 1.5,
        "framework": None,
        "instrumentations": {"httpx": "0.28"},
    }
    batch = outcome(resource=resource, dropped={"full": 3, "bad": "x", "no": -1}, batchId="b").batch
    assert (batch.resource.service, batch.resource.pid, batch.resource.sdk) == ("shop", 7, "test/1")
    assert batch.resource.instrumentations == {"httpx": "0.28"}
    assert (batch.dropped, batch.batch_id) == ({"full": 3}, "b")
    other = outcome(resource={**resource, "pid": 8}).batch
    assert other.resource.run != batch.resource.run
    assert outcome(resource="junk").batch.resource.service == "test"
    assert outcome({"type": "sdk.hello", "data": {"framework": "flask"}}).batch.resource.framework == "flask"


def test_the_batch_of_the_node_runtime() -> None:
    [(kind, query)] = legacy("query", {"id": "q1", "driver": "pg", "durationMs": 3, "parentRequestId": "r", "timestamp": 5123.4})
    assert kind == "db.query"
    assert isinstance(query, Query)
    assert (query.id, query.driver, query.duration_ms, query.parent_request_id, query.timestamp) == ("q1", "pg", 3, "r", NOW)
    [(_, log)] = legacy("log", {"timestamp": NOW - 1, "message": "m"})
    assert isinstance(log, Log)
    assert (log.message, log.level, log.timestamp) == ("m", "log", NOW - 1)
    assert isinstance(legacy("fetch", None)[0][1], Fetch)
    assert isinstance(legacy("error", {})[0][1], Error)
    assert legacy("request", {}) == []
    assert legacy("db.query", {}) == []
