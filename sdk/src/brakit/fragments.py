"""The JSON of the commonest events, put together from parts that repeat: what `Wire.event` makes of the same record, at a fraction
of its cost. Whatever is unusual about a record is left to that.

A statement, a line of code, a browser's headers and the ids of a request are the same in event after event: their JSON is made once.
"""

from __future__ import annotations

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

    Piece = tuple[str, tuple[str, ...], str, str, str]
    """`head` and `common` are the same for many events; `stamp`, `id` and `data` are this one's. An event that was made in the general
    way stands in `data` whole, with an empty `head`."""

quoted: Callable[[str], str] = json.encoder.encode_basestring
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode

MAX_KNOWN = 1000
"""Entries of each cache; a full one is emptied."""
MAX_KEPT = 16 * 1024
"""Characters of a text that is kept in one."""
_TEXTS = frozenset((bytes, str))


def text(piece: Piece) -> str:
    """The JSON of an event."""
    head, common, stamp, id, data = piece
    return f'{{{head},{stamp},"id":"{id}","data":{{{",".join((*common, data))}}}}}' if head else data


def size(piece: Piece) -> int:
    """About as many characters as its JSON has."""
    return len(piece[0]) + sum(map(len, piece[1])) + len(piece[4]) + 80


def together(pieces: list[Piece]) -> tuple[str, str]:
    """The JSON of a batch's events, and of what they share: each part stands there once, and events say which parts they are made of
    (`of`). Their own ids are left out, where nothing refers to them."""
    places: dict[str, int] = {}
    place = places.setdefault
    events = []
    for head, common, stamp, _, data in pieces:
        if head:
            of = [str(place(part, len(places))) for part in (head, *common)]
            events.append(f'{{"of":[{",".join(of)}],{stamp},"data":{{{data}}}}}')
        else:
            events.append(data)
    shared = [f"{{{part}}}" if part.startswith('"type":') else f'{{"data":{{{part}}}}}' for part in places]
    return ",".join(events), ",".join(shared)


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
        self.makers: dict[str, Callable[[Any, int], Piece | None]] = {
            "db.query": self.query,
            "log": self.log,
            "fetch": self.fetch,
            "request": self.request,
        }

    def make(self, record: Record, offset: int) -> Piece | None:
        maker = self.makers.get(record.kind)
        return maker(record, offset) if maker is not None else None

    def id(self) -> str:
        self.wire.number += 1
        return f"{self.wire.prefix}{self.wire.number:08x}"

    # One method a kind.

    def query(self, record: Any, offset: int) -> Piece | None:
        # Some, as those of Redis, put their text together later.
        sql = getattr(record, "sql", None)
        if sql is None or record.error is not None or record.batch is not None or self.wire.client.config.params:
            return None
        site = record.site
        model, lazy_load = getattr(record, "model", None), getattr(record, "lazy_load", None)
        code, line = site if site is not None else (None, None)
        key = (sql, record.source, record.system, model, lazy_load, id(code), line)
        known = self.queries.get(key)
        if known is None:
            if record.system in NO_SQL or type(sql) is not str or len(sql) > MAX_KEPT:
                return None
            data = {"sql": sql, "source": record.source, "system": record.system, "model": model, "lazy_load": lazy_load}
            # With the code, so that its id stays its own.
            known = self.queries.put(key, (self.common(record, data), code))
        own = f'"duration":{_ms(record.ended - record.started)}'
        if record.params is not None:
            own += f',"paramsHash":"{self.wire.hash(record.params)}"'
        owner = record.owner
        # As in `Query.data`.
        if record.over or (owner is not None and owner.root is not None):
            if record.rows is not None:
                own += f',"rowCount":{int(record.rows)}'
            if record.mark:
                own += f',"fetchMs":{_ms(record.read_ns)}'
        if record.connection_id is not None:
            own += f',"connectionId":{quoted(record.connection_id)}'
        if record.transaction_id is not None:
            own += f',"transactionId":{quoted(record.transaction_id)}'
        return _head("db.query", owner), (known[0],), _stamp(record, offset), self.id(), own

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
        said = redact.text(message(data["message"], data.get("args")))
        return _head("log", record.owner), (known,), _stamp(record, offset), self.id(), f'"message":{quoted(said)}'

    def fetch(self, record: Record, offset: int) -> Piece | None:
        data: dict[str, Any] = record.data
        method, status, source = data["method"], data.get("status_code"), data.get("source")
        if not _FETCH.issuperset(data) or data.get("error") is not None or self.wire.client.sampler is not None:
            return None
        if type(method) is not str or type(status) is not int or type(source) is not str:
            return None
        code, line = record.site if record.site is not None else (None, None)
        key = (method, status, source, id(code), line)
        known = self.calls.get(key)
        if known is None:
            given = {"method": method, "url": "", "status_code": status, "source": source}
            known = self.calls.put(key, (self.common(record, given, "url"), code))
        own = f'"url":{quoted(redact.url(plain_text(data["url"], MAX_URL)))},"duration":{_ms(record.ended - record.started)}'
        fetch_id = data.get("fetch_id")
        if fetch_id is not None:
            own += f',"fetchId":{quoted(plain_text(fetch_id, MAX_NAME))}'
        own += _sizes(data)
        return _head("fetch", record.owner), (known[0],), _stamp(record, offset), self.id(), own

    def request(self, record: Record, offset: int) -> Piece | None:
        data: dict[str, Any] = record.data
        owner = record.owner
        if owner is None or data["id"] != owner.id or not _REQUEST.issuperset(data):
            return None
        request, answered = self._headers(data.get("headers", ()), True), self._headers(data.get("response_headers", ()), False)
        paths = self._paths(data)
        if request is None or answered is None or paths is None:
            return None
        origin = tuple([data.get(name) for name in _ORIGIN])
        if not _NAMES.issuperset(map(type, origin)) or len(data["method"]) > MAX_METHOD:
            return None
        known = self.origins.get(origin)
        if known is None:
            known = self.origins.put(origin, self._origin(origin))
        own = f'"id":"{owner.id}","statusCode":{integer(data["status_code"]) or 0}'
        own += f',"durationMs":{_ms(record.ended - record.started)}'
        start = data.get("response_start_ms")
        if start is not None:
            own += f',"responseStartMs":{start:.3f}'
        own += _sizes(data)
        parent = data.get("parent_fetch_id")
        if parent is not None:
            own += f',"parentFetchId":{quoted(redact.text(plain_text(parent, MAX_NAME)))}'
        if data.get("cancelled"):
            own += ',"cancelled":true'
        for name, kept, given in (
            ("requestBody", request, data.get("request_body")),
            ("responseBody", answered, data.get("response_body")),
        ):
            if type(given) is bytes:
                found = self._body(given, kept[1], kept[2])
                if found:
                    own += f',"{name}":{found}'
        head = f'"type":"request","requestId":"{owner.request_id}","traceId":"{owner.trace_id}"'
        if owner.request_id != owner.id:
            head += f',"parentId":"{owner.request_id}"'
        return head, (request[0], answered[0], *known, paths), _stamp(record, offset), owner.id, own

    # Parts.

    def common(self, record: Record, data: dict[str, Any], *without: str) -> str:
        """The JSON of the fields that many records share, as the general way makes it, but for `without` and the duration."""
        shared = Record(record.kind, data)
        shared.owner, shared.site = None, record.site
        if record.kind == "log":
            shared.data["callsite"] = record.data.get("callsite")
        made: dict[str, Any] = self.wire.event(shared, 0)["data"]  # type: ignore[assignment]
        for name in ("duration", *without):
            made.pop(name, None)
        return _encode(made)[1:-1]

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
            return f'"headers":{_encode(self.wire.request_headers(named))}', *kinds
        made = f'"responseHeaders":{_encode(self.wire.response_headers(named))}'
        cookies = redact.cookies(named.get("set-cookie", []))
        if cookies:
            made += f',"cookies":{_encode([conform("cookie", dict(cookie)) for cookie in cookies])}'
        return made, *kinds

    def _paths(self, data: dict[str, Any]) -> str | None:
        """JSON of path, URL, and what they say about the request."""
        path, url, route = data["path"], data["url"], data.get("route")
        if type(path) is not str or type(url) is not str or (route is not None and type(route) is not str):
            return None
        key = (path, url, route)
        found = self.urls.get(key)
        if found is None:
            clean = redact.url(plain_text(path, MAX_URL))
            found = f'"path":{quoted(clean)},"url":{quoted(redact.url(plain_text(url, MAX_URL)))}'
            if route is not None:
                found += f',"route":{quoted(redact.route(plain_text(route, MAX_URL)))}'
            found += f',"isStatic":{_bool(is_static(clean))},"isHealthCheck":{_bool(is_health_check(clean))}'
            if len(found) <= MAX_KEPT:
                self.urls.put(key, found)
        return found

    def _origin(self, values: tuple[object, ...]) -> tuple[str, ...]:
        made = [
            f'"{name}":{quoted(redact.text(plain_text(value, MAX_NAME)))}'
            for name, value in zip(_ORIGIN.values(), values, strict=True)
            if value is not None
        ]
        return (",".join(made),) if made else ()

    def _body(self, given: bytes, content_type: str, encoding: str) -> str:
        """JSON of a body; empty for one that is no text."""
        if len(given) > 512:
            found = body(given, content_type, encoding)
            return "" if found is None else quoted(found)
        key = (given, content_type, encoding)
        known = self.bodies.get(key)
        if known is None:
            found = body(given, content_type, encoding)
            known = self.bodies.put(key, "" if found is None else quoted(found))
        return known  # type: ignore[no-any-return]


_PLAIN = frozenset((str, int))
_NAMES = frozenset((str, type(None)))
_LOG = frozenset(("level", "logger", "message", "args", "callsite"))
_FETCH = frozenset(("url", "method", "status_code", "source", "fetch_id", "error", "request_size", "response_size"))
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


def _head(kind: str, owner: Owner | None) -> str:
    """What stands around the data of an event that `owner` owns."""
    if owner is None:
        return f'"type":"{kind}"'
    around = owner.envelope
    if around is None:
        around = f'"traceId":"{owner.trace_id}","parentId":"{owner.id}"'
        if owner.request_id is not None:
            around = f'"requestId":"{owner.request_id}",{around}'
        if owner.root is not None and owner.root is not owner:
            around += f',"ownerId":"{owner.root.id}"'
        owner.envelope = around
    return f'"type":"{kind}",{around}'


def _stamp(record: Record, offset: int) -> str:
    return f'"timestamp":{(record.started + offset) / 1e6:.3f}'


def _sizes(data: dict[str, Any]) -> str:
    made = ""
    for name, wire in (("request_size", "requestSize"), ("response_size", "responseSize")):
        size = integer(data.get(name))
        if size is not None:
            made += f',"{wire}":{size}'
    return made


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.3f}" if ns > 0 else "0.0"


def _bool(value: bool) -> str:
    return "true" if value else "false"
