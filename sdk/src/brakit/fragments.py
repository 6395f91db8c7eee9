"""The JSON of the commonest events, put together from parts that repeat: what `Wire.event` makes of the same record, at a fraction
of its cost. Whatever is unusual about a record is left to that.

A statement, a line of code, a browser's headers and the ids of a request are the same in event after event: their JSON is made once.
"""

from __future__ import annotations

import json
import json.encoder
from itertools import chain

from brakit import redact
from brakit.conform import MAX_NAME, MAX_URL, conform, integer, plain_text
from brakit.parts import body, first, headers, is_health_check, is_static, message
from brakit.record import Record
from brakit.sql import NO_SQL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from brakit.context import Owner
    from brakit.wire import Wire

    Piece = tuple[str, tuple[str, ...], int, str, int]
    """The columns that the values are in, as JSON; the parts that the event shares with others, each a JSON object; its time, in
    microseconds since the epoch; its values, as the members of a JSON list; about as many characters as it has. An event that was made
    in the general way stands in the values whole, and has no columns."""

quoted: Callable[[str], str] = json.encoder.encode_basestring
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode

MAX_KNOWN = 1000
"""Entries of each cache; a full one is emptied."""
MAX_KEPT = 16 * 1024
"""Characters of a text that is kept in one."""
MAX_REPR = 200
"""Characters of parameters whose hash is kept."""
ROW = 80
"""Characters that an event has besides its values and its parts, or a little less."""
_TEXTS = frozenset((bytes, str))

QUERY = '["duration","paramsHash","rowCount","fetchMs","connectionId","transactionId"]'
LOG = '["message"]'
FETCH = '["url","duration","fetchId","requestSize","responseSize"]'
REQUEST = (
    '["url","statusCode","durationMs","responseStartMs","requestSize","responseSize","responseBody","requestBody"'
    ',"id","path","parentFetchId","cancelled"]'
)
"""The columns of each kind. What is missing in most events stands last: missing values at the end of a row are left out."""


def text(piece: Piece, id: str = "") -> str:
    """The JSON of an event that stands by itself; `id` for one that has none of its own."""
    columns, parts, stamp, values, _ = piece
    if not columns:
        return values
    event: dict[str, Any] = {}
    data: dict[str, Any] = {}
    for part in parts:
        known: dict[str, Any] = json.loads(part)
        owner = known.pop("owner", None)
        if owner is not None:
            known["requestId"] = known["traceId"] = known["parentId"] = owner
        data |= known.pop("data", {})
        event |= known
    named = zip(json.loads(columns), json.loads(f"[{values}]"), strict=False)
    data |= {name: value for name, value in named if value is not None}
    event["timestamp"] = stamp / 1000
    if event["type"] == "request":
        id = data.setdefault("id", event["parentId"])
        data.setdefault("path", data["url"].partition("?")[0])
        if event["parentId"] == id:
            del event["parentId"]
    if id:
        event["id"] = id
    event["data"] = data
    return _encode(event)


def rows(pieces: list[Piece]) -> str:
    """The members of a payload that say the events of a batch in rows (docs/protocol.md): what they share stands there once."""
    base = next((piece[2] for piece in pieces if piece[0]), 0) // 1000
    base_us = base * 1000
    columns: dict[str, int] = {}
    places: dict[str, int] = {}
    starts: dict[tuple[str, ...], str] = {}
    place = places.setdefault
    events = []
    for names, parts, stamp, values, _ in pieces:
        if not names:
            events.append(values)
            continue
        start = starts.get(parts)
        if start is None:
            # A part says the kind of the event, so that the same parts come with the same columns.
            of = ",".join([str(place(part, len(places))) for part in parts])
            start = starts[parts] = f"[{columns.setdefault(names, len(columns))},[{of}],"
        events.append(f"{start}{stamp - base_us},{values}]")
    return f'"columns":[{",".join(columns)}],"base":{base},"shared":[{",".join(places)}],"events":[{",".join(events)}]'


class Cache(dict):  # type: ignore[type-arg]
    """Bounded: a full one is emptied before it takes more."""

    __slots__ = ()

    def put(self, key: Any, value: Any) -> Any:
        if len(self) >= MAX_KNOWN:
            self.clear()
        self[key] = value
        return value


class Fragments:
    """The parts that are known, of one process. `make(record, offset)` is None for what is unusual."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.queries = Cache()
        self.logs = Cache()
        self.calls = Cache()
        self.requests = Cache()
        self.responses = Cache()
        self.origins = Cache()
        self.urls = Cache()
        self.bodies = Cache()
        self.hashes = Cache()
        self.makers: dict[str, Callable[[Any, int], Piece | None]] = {
            "db.query": self.query,
            "log": self.log,
            "fetch": self.fetch,
            "request": self.request,
        }

    def make(self, record: Record, offset: int) -> Piece | None:
        maker = self.makers.get(record.kind)
        return maker(record, offset) if maker is not None else None

    # One method a kind.

    def query(self, record: Any, offset: int) -> Piece | None:
        # Some, as those of Redis, put their text together later.
        sql = getattr(record, "sql", None)
        if sql is None or record.error is not None or record.batch is not None or self.wire.client.config.params:
            return None
        site = record.site
        code, line = site if site is not None else (None, None)
        model, lazy_load = getattr(record, "model", None), getattr(record, "lazy_load", None)
        source, system = record.source, record.system
        key = (sql, source, system, model, lazy_load, id(code), line)
        known = self.queries.get(key)
        if known is None:
            if system in NO_SQL or type(sql) is not str or len(sql) > MAX_KEPT:
                return None
            data = {"sql": sql, "source": source, "system": system, "model": model, "lazy_load": lazy_load}
            if model is None and self.wire.inputs.in_text(sql, record.owner, site):
                data["literals_from_request"] = True
            # With the code, so that its id stays its own.
            known = self.queries.put(key, (self.common(record, data, "paramsHash"), code, self.wire.literals(sql)))
        owner = record.owner
        took, read, count = record.ended - record.started, "null", None
        # As in `Query.data`.
        if record.over or (owner is not None and owner.root is not None):
            count = record.rows
            if record.mark:
                read = _ms(record.read_ns)
        params = (record.params, known[2]) if known[2] else record.params
        hashed = "null" if params is None else self.hash(params)
        counted = "null" if count is None else int(count)
        own = f"{took / 1e6 if took > 0 else 0.0:.3f},{hashed},{counted},{read},{_text(record.connection_id)}"
        if record.transaction_id is not None:
            own += "," + quoted(record.transaction_id)
        common = known[0]
        return QUERY, (_around(owner), common), (record.started + offset) // 1000, own, len(own) + len(common) + ROW

    def log(self, record: Record, offset: int) -> Piece | None:
        data: dict[str, Any] = record.data
        level, logger, site = data.get("level"), data.get("logger"), data.get("callsite")
        if (
            not _LOG.issuperset(data)
            or record.site is not None
            or type(site) is not tuple
            or not _PLAIN.issuperset(map(type, site))
        ):
            return None
        if type(level) is not str or type(logger) is not str:
            return None
        key = (level, logger, site)
        known = self.logs.get(key)
        if known is None:
            known = self.logs.put(key, self.common(record, {"level": level, "logger": logger, "message": ""}, "message"))
        said = message(data["message"], data.get("args"))
        shown = redact.text(said)
        if shown != said:
            # What was masked is described.
            return None
        own = quoted(shown)
        return LOG, (_around(record.owner), known), (record.started + offset) // 1000, own, len(own) + len(known) + ROW

    def fetch(self, record: Record, offset: int) -> Piece | None:
        data: dict[str, Any] = record.data
        method, status, source = data["method"], data.get("status_code"), data.get("source")
        if not _FETCH.issuperset(data) or data.get("error") is not None or self.wire.client.sampler is not None:
            return None
        if type(method) is not str or type(status) is not int or type(source) is not str:
            return None
        code, line = record.site if record.site is not None else (None, None)
        key = (method, status, source, id(code), line, data.get("has_timeout"))
        known = self.calls.get(key)
        if known is None:
            given = {"method": method, "url": "", "status_code": status, "source": source, "has_timeout": data.get("has_timeout")}
            known = self.calls.put(key, (self.common(record, given, "url"), code))
        fetch_id = data.get("fetch_id")
        values = (
            quoted(redact.url(plain_text(data["url"], MAX_URL))),
            _ms(record.ended - record.started),
            "null" if fetch_id is None else quoted(plain_text(fetch_id, MAX_NAME)),
            _whole(data.get("request_size")),
            _whole(data.get("response_size")),
        )
        own = _trimmed(values)
        return FETCH, (_around(record.owner), known[0]), (record.started + offset) // 1000, own, len(own) + len(known[0]) + ROW

    def request(self, record: Record, offset: int) -> Piece | None:
        data: dict[str, Any] = record.data
        owner = record.owner
        if owner is None or data["id"] != owner.id or not _REQUEST.issuperset(data):
            return None
        request, answered = self._headers(data.get("headers", ()), True), self._headers(data.get("response_headers", ()), False)
        place = self._place(data)
        if request is None or answered is None or place is None:
            return None
        origin = tuple([data.get(name) for name in _ORIGIN])
        if not _NAMES.issuperset(map(type, origin)) or len(data["method"]) > MAX_METHOD:
            return None
        url, path, route = place
        key = (*origin, route)
        known = self.origins.get(key)
        if known is None:
            known = self.origins.put(key, self._origin(origin, route))
        start, parent = data.get("response_start_ms"), data.get("parent_fetch_id")
        around = _around(owner)
        values = (
            url,
            str(integer(data["status_code"]) or 0),
            _ms(record.ended - record.started),
            "null" if start is None else repr(start),
            _whole(data.get("request_size")),
            _whole(data.get("response_size")),
            self._body(data.get("response_body"), answered[1], answered[2]),
            self._body(data.get("request_body"), request[1], request[2]),
            "null" if around.startswith(_OWNER) else f'"{owner.id}"',
            path,
            "null" if parent is None else quoted(redact.text(plain_text(parent, MAX_NAME))),
            "true" if data.get("cancelled") else "null",
        )
        if redact.MASK in url or redact.MASK in values[6] or redact.MASK in values[7]:
            # What was masked is described.
            return None
        own = _trimmed(values)
        parts: tuple[str, ...] = (around, known, request[0], answered[0])
        if owner.request_id != owner.id:
            # What caused it is not what its own events name.
            parts = (*parts, f'{{"parentId":"{owner.request_id}"}}')
        size = len(own) + len(known) + len(request[0]) + len(answered[0]) + ROW
        return REQUEST, parts, (record.started + offset) // 1000, own, size

    def hash(self, params: tuple[object, ...]) -> str:
        """JSON of the hash of parameters; most come again."""
        shown = repr(params)
        known = self.hashes.get(shown)
        if known is None:
            known = f'"{self.wire.hash(params)}"'
            if len(shown) <= MAX_REPR:
                self.hashes.put(shown, known)
        return known

    # Parts.

    def common(self, record: Record, data: dict[str, Any], *without: str) -> str:
        """The part that many records share: what the general way makes of its fields, but for `without` and the duration."""
        shared = Record(record.kind, data)
        shared.owner, shared.site = None, record.site
        if record.kind == "log":
            shared.data["callsite"] = record.data.get("callsite")
        made: dict[str, Any] = self.wire.event(shared, 0)["data"]  # type: ignore[assignment]
        for name in ("duration", *without):
            made.pop(name, None)
        return f'{{"type":"{record.kind}","data":{_encode(made)}}}'

    def _headers(self, pairs: Any, asked: bool) -> tuple[str, str, str] | None:
        """JSON of the headers of one side (and the cookies that they set), content type and encoding."""
        if type(pairs) not in (list, tuple) or not _TEXTS.issuperset(map(type, chain.from_iterable(pairs))):
            return None
        known = self.requests if asked else self.responses
        try:
            key = tuple(pairs)
            found = known.get(key)
        except TypeError:
            # A list takes the place of a pair somewhere.
            return None
        if found is None:
            found = self._new_headers(headers(pairs), asked)
            # What is large is a page's of its own more often than not.
            if len(found[0]) <= MAX_KEPT:
                known.put(key, found)
        return found

    def _new_headers(self, named: dict[str, list[str]], asked: bool) -> tuple[str, str, str]:
        kinds = first(named, "content-type"), first(named, "content-encoding")
        if asked:
            return f'{{"data":{{"headers":{_encode(self.wire.request_headers(named))}}}}}', *kinds
        made = f'{{"data":{{"responseHeaders":{_encode(self.wire.response_headers(named))}'
        cookies = redact.cookies(named.get("set-cookie", []))
        if cookies:
            made += f',"cookies":{_encode([conform("cookie", dict(cookie)) for cookie in cookies])}'
        return made + "}}", *kinds

    def _place(self, data: dict[str, Any]) -> tuple[str, str, str] | None:
        """JSON of the URL, of the path where the URL does not say it, and of the fields about the route."""
        path, url, route = data["path"], data["url"], data.get("route")
        if type(path) is not str or type(url) is not str or (route is not None and type(route) is not str):
            return None
        key = (path, url, route)
        found = self.urls.get(key)
        if found is None:
            clean, shown = redact.url(plain_text(path, MAX_URL)), redact.url(plain_text(url, MAX_URL))
            about: dict[str, object] = {"isStatic": is_static(clean), "isHealthCheck": is_health_check(clean)}
            if route is not None:
                about["route"] = redact.route(plain_text(route, MAX_URL))
            found = (quoted(shown), "null" if shown.partition("?")[0] == clean else quoted(clean), _encode(about)[1:-1])
            if sum(map(len, found)) <= MAX_KEPT:
                self.urls.put(key, found)
        return found

    def _origin(self, values: tuple[object, ...], route: str) -> str:
        made = {
            name: redact.text(plain_text(value, MAX_NAME))
            for name, value in zip(_ORIGIN.values(), values, strict=True)
            if value is not None
        }
        return f'{{"type":"request","data":{{{_encode(made)[1:-1]},{route}}}}}'

    def _body(self, given: object, content_type: str, encoding: str) -> str:
        """JSON of a body; null for one that is no text."""
        if type(given) is not bytes:
            return "null"
        if len(given) > 512:
            return _text(body(given, content_type, encoding))
        key = (given, content_type, encoding)
        known = self.bodies.get(key)
        if known is None:
            known = self.bodies.put(key, _text(body(given, content_type, encoding)))
        return known  # type: ignore[no-any-return]


_PLAIN = frozenset((str, int))
_NAMES = frozenset((str, type(None)))
_LOG = frozenset(("level", "logger", "message", "args", "callsite"))
_FETCH = frozenset(
    ("url", "method", "status_code", "source", "fetch_id", "error", "request_size", "response_size", "has_timeout")
)
_REQUEST = frozenset(
    (
        *("id", "method", "url", "path", "route", "headers", "response_headers", "request_body", "response_body", "status_code"),
        *("response_start_ms", "request_size", "response_size", "parent_fetch_id", "cancelled", "framework", "client", "scheme"),
        "http_version",
    )
)
"""Fields that are known here; a record with another one goes the general way."""
MAX_METHOD = 32
_ORIGIN = {"method": "method", "framework": "framework", "client": "client", "scheme": "scheme", "http_version": "httpVersion"}


_OWNER = '{"owner"'


def _around(owner: Owner | None) -> str:
    """The part that says whose an event is."""
    if owner is None:
        return "{}"
    around = owner.envelope
    if around is None:
        id, request_id = owner.id, owner.request_id
        inner = owner.root is not None and owner.root is not owner
        if request_id == id == owner.trace_id and not inner:
            around = f'{_OWNER}:"{id}"}}'
        else:
            around = f'"traceId":"{owner.trace_id}","parentId":"{id}"'
            if request_id is not None:
                around = f'"requestId":"{request_id}",{around}'
            if inner:
                around += f',"ownerId":"{owner.root.id}"'  # type: ignore[union-attr]
            around = f"{{{around}}}"
        owner.envelope = around
    return around


def _trimmed(values: tuple[str, ...]) -> str:
    """The values of a row without what is missing at its end."""
    last = len(values)
    while values[last - 1] == "null":
        last -= 1
    return ",".join(values[:last])


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.3f}" if ns > 0 else "0.0"


def _whole(value: object) -> str:
    number = integer(value)
    return "null" if number is None else str(number)


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value)
