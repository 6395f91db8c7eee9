"""What fits which filter."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server.tests.filters.strategies import NOW, entries, trees

from brakit_server.filters import Matcher, parse
from brakit_server.filters.tree import And, Node, Not, Or
from brakit_server.records import (
    Callsite,
    Cause,
    Cookie,
    Entry,
    Error,
    ExceptionText,
    Fetch,
    Frame,
    Job,
    Log,
    Query,
    Request,
    Span,
)
from brakit_server.stores import Opaque

AROUND: dict[str, Any] = {
    "id": "e1",
    "timestamp": NOW,
    "parent_request_id": "r1",
    "trace_id": "t1",
    "service": "shop",
    "run": "box:1:0",
}
SITE = Callsite(file="shop/views.py", line=12, function="Orders.get")
REQUEST = Request(
    **{**AROUND, "id": "r1", "parent_request_id": "r0"},
    started_at=NOW,
    method="POST",
    url="/orders/7?q=Ünder",
    status_code=404,
    duration_ms=250.0,
    headers={"user-agent": "curl/8.5", "accept": "application/json"},
    response_headers={"location": "/login"},
    request_body='{"name": "Straße"}',
    response_body="not found",
    response_size=2_000_000,
    is_static=False,
    is_health_check=False,
    route="/orders/{id}",
    path="/orders/7",
    cookies=[Cookie(name="session", secure=True), Cookie(name="theme", secure=False)],
)
QUERY = Query(
    **AROUND, driver="sqlalchemy", source="sqlalchemy", operation="SELECT", normalized_op="SELECT", table="order_items",
    duration_ms=3.5, sql="SELECT *\nFROM order_items WHERE id = ?", shape_hash="0123456789abcdef", row_count=0, call_site=SITE,
)  # fmt: skip
FETCH = Fetch(**AROUND, url="http://payments/charge", method="GET", status_code=0, duration_ms=10.0, error="Timeout: too slow")
LOG = Log(
    **AROUND, level="warn", message="Charge failed (42%)", logger="shop.cart", fields={"order.id": "7", "Käufer": "x"},
    exception=ExceptionText(name="KeyError", message="'x'"),
)  # fmt: skip
FRAMES = [
    Frame(file="lib.py", line=1, function="call", own=False),
    Frame(file="shop/pay.py", line=9, function="pay", own=True, code=["pay()"]),
]
ERROR = Error(
    **AROUND,
    name="ValueError",
    message="bad amount",
    handled=True,
    frames=FRAMES,
    causes=[Cause(name="OSError", message="disk", frames=FRAMES[1:])],
)
JOB = Job(**{**AROUND, "id": "j1"}, name="shop.mail", duration_ms=90_000.0, status="failed", wait_ms=1500.0, attempt=2)
SPAN = Span(**AROUND, name="checkout", duration_ms=1.0, span_id="s1", attributes={"cart": "3"})
OPAQUE = Opaque(**AROUND, data=msgspec.Raw(b'{"a": "Needle"}'))

ALL: list[tuple[str, Entry]] = [
    ("request", REQUEST),
    ("db.query", QUERY),
    ("fetch", FETCH),
    ("log", LOG),
    ("error", ERROR),
    ("job", JOB),
    ("span", SPAN),
    ("new.kind", OPAQUE),
]

PROCESS = SimpleNamespace(
    host="box", pid=7, runtime="cpython 3.12.1", revision="abc", instrumentations={"httpx": "0.28"}, started=NOW
)


def process_of(run: str | None) -> object:
    return PROCESS if run == "box:1:0" else None


def fitting(text: str) -> str:
    """The kinds of which the example fits."""
    tree = parse(text)
    assert tree is not None
    holds = Matcher(tree, NOW + 60_000, process_of)
    return " ".join(kind for kind, entry in ALL if holds(kind, entry))


EVERY = "request db.query fetch log error job span new.kind"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        # words
        ("orders", "request"),
        ("ÜNDER", "request"),
        ("STRASSE", "request"),
        ("needle", "new.kind"),
        ("order_items", "db.query"),
        ('"select * from"', ""),
        ("select*from*where", "db.query"),
        ("where*from", ""),
        ('"(42%)"', "log"),
        ("charge", "fetch log"),
        ("-charge kind:(fetch OR log OR span)", "span"),
        ("failed OR bad", "log error"),
        # kinds
        ("kind:query", "db.query"),
        ("kind:DB.QUERY", "db.query"),
        ("kind:(log OR error)", "log error"),
        ("kind:new.*", "new.kind"),
        ("-kind:request", EVERY.removeprefix("request ")),
        # words of a field, whole
        ("table:order_items", "db.query"),
        ("table:ORDER_ITEMS", "db.query"),
        ("table=ORDER_ITEMS", ""),
        ("table=order_items", "db.query"),
        ("table:order", ""),
        ("table:order*", "db.query"),
        ("table:*items", "db.query"),
        ("table:*_*", "db.query"),
        ("table:*", "db.query"),
        ('table:"*"', ""),
        ("table:order*order_items", ""),
        ("table!=x", EVERY),
        ("has:table -table:x", "db.query"),
        ("route:/orders/*", "request"),
        ("route:/orders/{id}", "request"),
        ("route~/^\\/orders/", "request"),
        ("route~orders$", ""),
        ("method:post", "request"),
        ("method:(post OR get)", "request fetch"),
        ("level:warn", "log"),
        ("level:WARNING", "log"),
        ("level>=warn", "log"),
        ("level>info", "log"),
        ("level<error", "log"),
        ("level>warn", ""),
        ("level>=critical", ""),
        ("logger:shop.*", "log"),
        # texts, anywhere
        ("sql:ORDER_items", "db.query"),
        ("sql=order_items", ""),
        ("sql~/FROM\\s+order_items/", "db.query"),
        ("sql~/(?s)select.*where/i", "db.query"),
        ("sql~/select/", ""),
        ("body:straSSe", "request"),
        ("request-body:found", ""),
        ("response-body:found", "request"),
        ("url:payments", "fetch"),
        ("user-agent:CURL", "request"),
        ("header.accept:json", "request"),
        ("header.Accept:json", "request"),
        ("header:json", "request"),
        ("header.missing:*", ""),
        ("response.header.location:/login", "request"),
        ("fields.order.id:7", "log"),
        ('fields."Käufer":x', "log"),
        ("fields.order:7", ""),
        ("attributes.cart:3", "span"),
        # numbers
        ("status:404", "request"),
        ("status:4xx", "request"),
        ("status:(5XX OR 0)", "fetch"),
        ("status:failed", "job"),
        ("status:FAIL*", "job"),
        ("status>=400", "request"),
        ("status>4xx", ""),
        ("status>=4xx", "request"),
        ("status<4xx", "fetch"),
        ("status<=4xx", "request fetch"),
        ("status:400..499", "request"),
        ("status:4x", ""),
        ("rows:0", "db.query"),
        ("rows<1", "db.query"),
        ("rows>=1", ""),
        ("-rows>=1 kind:(query OR log)", "db.query log"),
        ("line:12 file:shop/*", "db.query"),
        ("attempt:2..3", "job"),
        ("duration>200ms", "request job"),
        ("duration>=250", "request job"),
        ("duration>250", "job"),
        ("duration>1.4m", "job"),
        ("duration:3.5ms", "db.query"),
        ("duration:1ms..10ms", "db.query fetch span"),
        ("duration:..5ms", "db.query span"),
        ("duration:80s..", "job"),
        ("wait>1s", "job"),
        ("size>1MB", "request"),
        ("size>2MB", ""),
        ("size>1.9MiB", "request"),
        # flags
        ("handled:true", "error"),
        ("handled:false", ""),
        ("cookie.secure:no", "request"),
        ("cookie:theme", "request"),
        ("is-static:false", "request"),
        # has
        ("has:error", "fetch log error"),
        ("has:header.accept", "request"),
        ("has:header.nothing", ""),
        ("has:(row_count OR queue)", "db.query"),
        ("-has:trace", ""),
        ("has:host", EVERY),
        # parts
        ("error:keyerror", "log"),
        ("error:bad", "error"),
        ("error:disk", "error"),
        ("cause.frame.line:9", "error"),
        ("frame.own:true frame.file:shop/*", "error"),
        ("frame.code:pay", "error"),
        ("function:*.get", "db.query"),
        ("exception.name:KeyError", "log"),
        # ids
        ("request:r1", EVERY.replace(" job", "")),
        ("id:j1", "job"),
        ("cause:r0", "request"),
        ("cause:r1", "job"),
        ("trace:t1", EVERY),
        ("shape:0123456789abcdef", "db.query"),
        # processes
        ("host:box", EVERY),
        ("host:other", ""),
        ("pid:7 kind:log", "log"),
        ("runtime:*3.12*", EVERY),
        ("process.instrumentations.httpx:0.28 kind:log", "log"),
        ("run:box:*", EVERY),
        # time
        ("since:2m", EVERY),
        ("since:30s", ""),
        ("until:30s", EVERY),
        ("until:2m", ""),
        (f"at:{int(NOW)}", EVERY),
        (f"at>{int(NOW)}", ""),
        (f"at>={int(NOW)}", EVERY),
        ("at>2m at<now", EVERY),
        ("at:2m..30s", EVERY),
        # order
        ("kind:log OR kind:query table:x", "log"),
        ("(kind:log OR kind:query) table:order*", "db.query"),
        ("rows:*", "db.query"),
        ("status:*", "request fetch job"),
        ("NOT (kind:log OR kind:query) duration>0 -status:*", "span"),
    ],
)  # fmt: skip
def test_what_fits(text: str, kinds: str) -> None:
    assert fitting(text) == kinds


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() * 1000


@pytest.mark.parametrize(
    ("text", "moment", "fits"),
    [
        ("at:2026-01-01", "2026-01-01T00:00:00", True),
        ("at:2026-01-01", "2026-01-01T23:59:59.999", True),
        ("at:2026-01-01", "2026-01-02T00:00:00", False),
        ("at>2026-01-01", "2026-01-01T12:00:00", False),
        ("at>2026-01-01", "2026-01-02T00:00:00", True),
        ("at<=2026-01-01", "2026-01-01T12:00:00", True),
        ("at<=2026-01-01", "2026-01-02T00:00:00", False),
        ("at<2026-01-01", "2026-01-01T00:00:00", False),
        ("at>2026-01-01T10:00", "2026-01-01T10:00:59", False),
        ("at>2026-01-01T10:00", "2026-01-01T10:01:00", True),
        ("at:2026-01-01T10:00:05", "2026-01-01T10:00:05.5", True),
        ("at:2026-01-01T10:00Z", "2026-01-01T11:00:30+01:00", True),
        ("at:2026-01-01T10:00+02:00", "2026-01-01T08:00:30+00:00", True),
        ("at:2026-01-01T10:00Z", "2026-01-01T10:01:00+00:00", False),
        ('at:"2026-01-01 10:00Z"', "2026-01-01T10:00:00+00:00", True),
        ("at:2026-01-01..2026-01-02", "2026-01-02T23:59:59", True),
        ("at:2026-01-01..2026-01-02", "2026-01-03T00:00:00", False),
        ("since:2026-01-01", "2026-01-01T00:00:00", True),
        ("until:2026-01-01T10:00", "2026-01-01T10:00:30", True),
        ("until:2026-01-01T10:00", "2026-01-01T10:01:00", False),
    ],
)
def test_moments(text: str, moment: str, fits: bool) -> None:
    tree = parse(text)
    assert tree is not None
    entry = msgspec.structs.replace(LOG, timestamp=at(moment))
    assert Matcher(tree, NOW)("log", entry) is fits


def test_a_time_of_today_is_of_the_day_on_which_it_is_asked() -> None:
    tree = parse("at:9:30")
    assert tree is not None
    entry = msgspec.structs.replace(LOG, timestamp=at("2026-03-05T09:30:12"))
    assert Matcher(tree, at("2026-03-05T18:00:00"))("log", entry)
    assert not Matcher(tree, at("2026-03-06T18:00:00"))("log", entry)


def plainly(node: Node, kind: str, entry: Entry) -> bool:
    """AND, OR and NOT as they are defined, each comparison asked by itself."""
    match node:
        case Not(part):
            return not plainly(part, kind, entry)
        case And(parts):
            return all(plainly(part, kind, entry) for part in parts)
        case Or(parts):
            return any(plainly(part, kind, entry) for part in parts)
        case _:
            return Matcher(node, NOW)(kind, entry)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_any_filter_decides_about_any_record(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(("request", "db.query", "fetch", "log", "error", "auth.check", "span", "job")))
    entry, tree = data.draw(entries(kind)), data.draw(trees())
    assert Matcher(tree, NOW)(kind, entry) is plainly(tree, kind, entry)
