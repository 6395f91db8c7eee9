"""What is put together from parts says the same as what is made in the general way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sdk.tests.conftest import whole

from brakit import callsite, context
from brakit.fragments import MAX_KNOWN, Fragments, rows, text
from brakit.instrumentations._dbapi import Query
from brakit.record import Record
from brakit.wire import Wire

if TYPE_CHECKING:
    from brakit.client import Client
    from brakit.fragments import Piece

Json = dict[str, Any]

TEXTS = st.text(max_size=12) | st.sampled_from(
    ["password=hunter2", "a\ud800b", 'quote " \\ \n', "\x00", "x" * 3000, "/a/b?token=t0k3n&q=1"]
)
NAMES = st.sampled_from(["accept", "Cookie", "X-Api-Key", "set-cookie", "content-type", "Authorization", "x-odd"])
VALUES = TEXTS | st.sampled_from(
    ["sid=1; theme=dark", "sid=abc; Path=/; Secure; HttpOnly", "application/json", "Bearer abcdefgh", "gzip"]
)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=4) | st.lists(
    st.tuples(NAMES.map(str.encode), VALUES.map(lambda value: value.encode("latin-1", "replace"))), max_size=4
)
SITES = st.sampled_from([None, (test_code := (lambda: None).__code__, 3), (callsite.find.__code__, 7)])
NUMBERS = st.integers(-5, 2**40)
MAYBE = st.none() | NUMBERS


@st.composite
def owners(draw: st.DrawFn) -> context.Owner | None:
    if draw(st.booleans()):
        return None
    owner, _, _ = context.request_owner(draw(st.sampled_from([None, "a" * 32])), None)
    context.enter(owner)
    inner = context.span_owner() if draw(st.booleans()) else owner
    context.enter(None)
    return inner


@st.composite
def queries(draw: st.DrawFn) -> Record:
    query = Query(
        draw(st.sampled_from(["sqlalchemy", "redis"])),
        draw(st.sampled_from(["SELECT a FROM b WHERE c = 'secret' AND d = 5", "COMMIT", "", "x" * 20_000]) | TEXTS),
        draw(st.none() | st.tuples(st.integers(), TEXTS)),
        draw(st.none() | st.integers(1, 5)),
        draw(st.sampled_from(["postgresql", "redis", 'odd " system'])),
        draw(st.sampled_from(["1", 'odd"', "asyncpg-3"])),
        draw(st.sampled_from([None, "7"])),
    )
    query.site = draw(SITES)
    query.error = draw(st.sampled_from([None, None, "Error: password=hunter2"]))
    query.rows, query.mark, query.over, query.read_ns = draw(MAYBE), draw(st.integers(0, 1)), draw(st.booleans()), draw(NUMBERS)
    if draw(st.booleans()):
        query.lazy_load, query.model = draw(st.sampled_from([None, "Order.items"])), draw(st.sampled_from([None, "Order"]))
    return query


@st.composite
def logs(draw: st.DrawFn) -> Record:
    data: Json = {"level": draw(st.sampled_from(["info", "warn", "odd"])), "logger": draw(TEXTS), "message": draw(TEXTS)}
    data["args"] = draw(st.sampled_from([None, ("a", 1), {"name": "x"}]))
    if draw(st.booleans()):
        data["callsite"] = draw(st.sampled_from([("/x/app.py", 5, "place"), ("app.py", None, "place")]))
    if draw(st.integers(0, 3)) == 0:
        data["fields"] = {"user": draw(TEXTS)}
    return Record("log", data)


@st.composite
def fetches(draw: st.DrawFn) -> Record:
    url = draw(st.sampled_from(["http://a:9/b/1", "https://u:p@host/x?key=secret1", "http://h/" + "5" * 16]) | TEXTS)
    data: Json = {
        "url": url,
        "method": draw(st.sampled_from(["GET", "post", "x" * 40])),
        "source": "httpx",
        "status_code": draw(MAYBE),
    }
    data["fetch_id"] = draw(st.sampled_from([None, "ab" * 8]))
    data["request_size"], data["response_size"], data["error"] = (
        draw(MAYBE),
        draw(MAYBE),
        draw(st.sampled_from([None, None, "Error"])),
    )
    record = Record("fetch", data)
    record.site = draw(SITES)
    return record


@st.composite
def requests(draw: st.DrawFn) -> Record:
    owner, _, _ = context.request_owner(draw(st.sampled_from([None, "b" * 32])), None)
    path = draw(st.sampled_from(["/orders/5", "/static/a.css", "/healthz", "/x/sk_live_abcdefghijklmnopqrstuvwx"]) | TEXTS)
    data: Json = {"id": owner.id, "method": draw(st.sampled_from(["GET", "get", "x" * 40])), "path": path}
    data["url"] = path + draw(st.sampled_from(["", "?a=1", "?password=hunter2&b=2"]))
    data["headers"], data["response_headers"] = draw(PAIRS), draw(PAIRS)
    data["status_code"], data["parent_fetch_id"] = draw(NUMBERS), draw(st.sampled_from([None, "cd" * 8]))
    data["request_body"] = draw(st.sampled_from([None, b"", b'{"password": "hunter2", "a": 1}', b"\xff\x00", b"a=1&pin=1234"]))
    data["response_body"] = draw(st.sampled_from([None, b'{"ok": true}', b"x" * 2000]))
    for name in (
        "request_size",
        "response_size",
        "response_start_ms",
        "cancelled",
        "framework",
        "route",
        "client",
        "scheme",
        "http_version",
    ):
        if draw(st.booleans()):
            data[name] = {"request_size": 5, "response_size": 17, "response_start_ms": 1.5, "cancelled": True}.get(
                name, f"{name} x"
            )
    if draw(st.integers(0, 3)) == 0:
        data["messages_sent"] = 3
    return Record("request", data)


@st.composite
def records(draw: st.DrawFn) -> Record:
    record = draw(st.one_of(queries(), logs(), fetches(), requests()))
    record.owner = draw(owners())
    if record.kind == "request":
        record.owner = context.Owner(record.data["id"], draw(st.sampled_from([record.data["id"], "b" * 32])), "c" * 32, None)  # type: ignore[arg-type]
        record.owner.root = record.owner
    record.ended = record.started + draw(NUMBERS)
    return record


def parsed(event: str) -> Json:
    """The event without its number, which counts up, and with what both ways may round differently evened out."""
    found: Json = json.loads(event.encode("utf-8", "replace"))
    if found["type"] != "request":
        found.pop("id", None)
    return found


def near(value: Any) -> Any:
    return {key: round(item, 2) if type(item) is float else item for key, item in value.items()}


@settings(max_examples=300)
@given(st.lists(records(), min_size=1, max_size=6))
def test_the_same_event_either_way(client: Client, drawn: list[Record]) -> None:
    wire = Wire(client)
    pieces: list[Piece] = []
    for record in [*drawn, *drawn]:
        piece = wire.fragments.make(record, wire.offset)
        if piece is None:
            continue
        general = parsed(json.dumps(wire.event(record, wire.offset)))
        put_together = parsed(text(piece))
        for event in (general, put_together):
            event["data"] = near(event["data"])
        assert put_together == general
        pieces.append(piece)
    payload: Json = json.loads(f"{{{rows(pieces)}}}".encode("utf-8", "replace"))
    for in_rows, piece in zip(whole(payload), pieces, strict=True):
        assert in_rows == json.loads(text(piece).encode("utf-8", "replace"))


def test_the_common_records_are_put_together(client: Client) -> None:
    fragments = Fragments(Wire(client))
    owner, _, _ = context.request_owner(None, None)
    query = Query("sqlalchemy", "SELECT 1", (5,), None, "sqlite", "1", None)
    log = Record("log", {"level": "info", "logger": "shop", "message": "m %s", "args": ("x",), "callsite": ("/a.py", 1, "f")})
    fetch = Record("fetch", {"url": "http://a/b", "method": "GET", "source": "httpx", "status_code": 200, "fetch_id": "ab" * 8})
    request = Record(
        "request", {"id": owner.id, "method": "GET", "path": "/", "url": "/", "status_code": 200, "headers": [(b"a", b"b")]}
    )
    for record in (query, log, fetch, request):
        record.owner = owner
        assert fragments.make(record, 0) is not None


def test_what_is_kept_is_bounded(client: Client) -> None:
    fragments = Fragments(Wire(client))
    for number in range(MAX_KNOWN + 5):
        assert fragments.make(Query("sqlalchemy", f"SELECT a{number}", None, None, "sqlite", "1", None), 0)
    assert len(fragments.queries) <= MAX_KNOWN
    assert fragments.make(Query("sqlalchemy", "x" * 100_000, None, None, "sqlite", "1", None), 0) is None


def test_what_is_kept_has_no_secret(client: Client) -> None:
    """Whoever gets a fragment gets what may leave; and another's fragment is not his."""
    fragments = Fragments(Wire(client))
    for number in range(3):
        owner, _, _ = context.request_owner(None, None)
        data: Json = {"id": owner.id, "method": "POST", "path": "/x", "url": f"/x?token=needle{number}", "status_code": 200}
        data["headers"] = [(b"cookie", b"sid=needle%d" % number), (b"authorization", b"Bearer needle%d" % number)]
        data["response_headers"] = [
            (b"set-cookie", b"sid=needle%d; HttpOnly" % number),
            (b"x-note", b"password=needle%d" % number),
        ]
        data["request_body"], data["route"] = b'{"password": "needle%d", "n": %d}' % (number, number), "/x/password=needle"
        record = Record("request", data)
        record.owner = owner
        # What was masked in URL and bodies is described, which is the general way's.
        assert fragments.make(record, 0) is None
        data["url"], data["request_body"] = "/x", b'{"n": %d}' % number
        piece = fragments.make(record, 0)
        assert piece is not None
        assert "needle" not in text(piece)
        assert json.loads(json.loads(text(piece))["data"]["requestBody"]) == {"n": number}
        assert fragments.make(Query("sqlalchemy", f"SELECT 'needle{number}'", None, None, "sqlite", "1", None), 0)
    caches = (fragments.queries, fragments.requests, fragments.responses, fragments.urls, fragments.bodies, fragments.origins)
    assert all(caches)
    assert "needle" not in repr([[*cache.values()] for cache in caches])
