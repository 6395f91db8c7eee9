"""Records to copy: of the commonest kinds, what repeats from event to event is looked at once and kept as a record.

A field of such a kind is either stable (statement, line of code, headers) or each event's own (duration, message). A prototype is the
record of the stable ones, made in the general way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from brakit import redact
from brakit.events import KINDS, camel
from brakit_server.ingest.entries import LENIENT, Envelope, described, entry, is_health_check, is_static
from brakit_server.ingest.fields import MAX_NUMBER, SLOTS, Read, integer
from brakit_server.records import Query, Request

MAX_KNOWN = 2 * 1024 * 1024
"""Size of the stable fields of all prototypes of a kind, in characters; when they are more, all are forgotten."""

MAX_KEPT = 8_192
"""The same of one prototype that is kept."""

RECORD = 1_000
"""What a prototype counts besides."""

Setter = tuple[str, Read]
"""Field of the record, and how its value is read."""


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A call site, as a key."""

    file: str
    line: int
    function: str
    ignore: str | None = None


class Prototype:
    """`copy()` makes a new record of it, with nothing of an event's own in it."""

    __slots__ = ("copy", "says_health", "says_static")

    def __init__(self, record: Any, says_static: bool, says_health: bool) -> None:
        self.copy: Callable[[], Any] = record.__copy__
        self.says_static = says_static
        self.says_health = says_health


class Kind:
    """One kind and its prototypes. Fields are named as on the wire; `required` are fields of the record."""

    def __init__(self, name: str, stable: Iterable[str], own: Iterable[str], **required: object) -> None:
        self.name = name
        self.owns = name == "request"
        """Events belong to it."""
        self.required = tuple(required)
        self._stand_ins = {camel(field.name): required[field.record] for field in _fields(name) if field.record in required}
        slots = SLOTS[name].by_key
        self.stable = tuple(stable)
        self._stable = frozenset(self.stable)
        self.setters: dict[str, Setter] = {wire: (slots[wire][0], _READ.get(wire, slots[wire][1])) for wire in own}
        """By name on the wire."""
        types = {camel(field.name): field.type for field in _fields(name)}
        self._raw = any(types[wire] not in _STABLE for wire in self.stable)
        typed: list[Any] = [(slots[wire][0], *_STABLE.get(types[wire], (msgspec.Raw, msgspec.Raw()))) for wire in self.stable]
        needed: list[Any] = []
        self._typed_setters: list[tuple[str, Read | None]] = []
        for wire, (field, read) in self.setters.items():
            checked = _checked(types[wire], field)
            if field in required:
                needed.append((field, checked or str))
            else:
                typed.append((field, checked | None if checked else Any, None))
            self._typed_setters.append((field, None if checked and wire not in _READ else read))
        wires = {slots[wire][0]: wire for wire in (*self.stable, *self.setters)}
        struct = msgspec.defstruct(f"Data of {name}", needed + typed, rename=wires, forbid_unknown_fields=True, gc=False)
        self.decode: Callable[[msgspec.Raw], Any] = msgspec.json.Decoder(struct).decode
        """The data of an event. Raises `msgspec.ValidationError` for what is not usual in it."""
        self._stable_of: Callable[[Any], tuple[Any, ...]] = attrgetter(*(slots[wire][0] for wire in self.stable))
        self._own_of: Callable[[Any], tuple[Any, ...]] = attrgetter(*(slots[wire][0] for wire in self.setters))
        self.fill: Callable[[Any, Any], None] = _fill_query if name == "db.query" else self._fill
        """Give a record the own values of decoded data."""
        self._known: dict[tuple[object, ...], Prototype] = {}
        self._size = 0

    def of(self, data: Any) -> Prototype:
        """The prototype of decoded data. Raises `Rejected` where it is none of the kind, `msgspec.DecodeError` where it is no JSON."""
        key = self._stable_of(data)
        if self._raw:
            key = tuple([bytes(value) if type(value) is msgspec.Raw else value for value in key])
        return self._known.get(key) or self._put(key, {name: _plain(value) for name, value in zip(self.stable, key, strict=True)})

    def of_parts(self, key: tuple[bytes, ...], data: dict[str, object]) -> Prototype | None:
        """The same of the `data` that parts make, `key` being their JSON; None where some of it is not stable."""
        known = self._known.get(key)
        if known is None and data.keys() <= self._stable:
            return self._put(key, data)
        return known

    def _fill(self, record: Any, data: Any) -> None:
        for (name, read), value in zip(self._typed_setters, self._own_of(data)):  # noqa: B905
            if value is not None:
                found = value if read is None else read(value)
                if found is not None:
                    setattr(record, name, found)

    def forget(self) -> None:
        """What is a secret is now another: look at everything again."""
        self._known.clear()
        self._size = 0

    def _put(self, key: tuple[object, ...], data: dict[str, object]) -> Prototype:
        lenient = LENIENT[self.name] if self.owns else {}
        values = {**lenient, **SLOTS[self.name].read({**data, **self._stand_ins}, strict=not self.owns)}
        says = "is_static" in values, "is_health_check" in values
        record: Any = entry(self.name, values, _NOBODY)
        for name in ("id", *self.required):
            setattr(record, name, None)
        made = Prototype(record, *says)
        size = sum(len(value) for value in key if isinstance(value, (str, bytes)))
        if size <= MAX_KEPT:
            if self._size > MAX_KNOWN:
                self.forget()
            self._size += size + RECORD
            self._known[key] = made
        return made


def _fill_query(record: Query, data: Any) -> None:
    """Most events are queries: field by field it is four times as fast."""
    record.duration_ms = data.duration_ms
    if data.fetch_ms is not None:
        record.fetch_ms = data.fetch_ms
    if data.batch_size is not None:
        record.batch_size = data.batch_size
    count = data.row_count
    if count is not None and count >= 0:
        record.row_count = count
    if data.params_hash is not None:
        found = _read_id(data.params_hash)
        # One that is no text leaves the hash that the statement gave.
        record.params_hash = record.params_hash if found is None else found
    if data.connection_id is not None:
        record.connection_id = _read_id(data.connection_id)
    if data.transaction_id is not None:
        record.transaction_id = _read_id(data.transaction_id)
    if data.parent_fetch_id is not None:
        record.parent_fetch_id = _read_id(data.parent_fetch_id)


def finish(request: Request, prototype: Prototype, timestamp: float) -> None:
    """What follows from a request's own fields."""
    request.started_at = timestamp
    path = request.path = request.url.partition("?")[0]
    if not prototype.says_static:
        request.is_static = is_static(path)
    if not prototype.says_health:
        request.is_health_check = is_health_check(path)
    told = request.masked is not None
    for body, headers in (("request_body", request.headers), ("response_body", request.response_headers)):
        given = getattr(request, body)
        if given is not None:
            masked = redact.body(given, headers.get("content-type", ""))
            setattr(request, body, masked[:10_240])
            if masked != given and not told:
                request.masked = (request.masked or []) + described(given, masked, body)


def usual_kinds() -> dict[str, Kind]:
    """The kinds that have prototypes, by name."""
    return _KINDS


def _fields(name: str) -> Any:
    return next(kind for kind in KINDS if kind.name == name)


def _plain(value: object) -> object:
    if type(value) is bytes:
        return msgspec.json.decode(value) if value else None
    return msgspec.to_builtins(value) if type(value) is Site else value


def _checked(type: str, field: str) -> Any:
    """The type of one's own values that need no further look; None for all others."""
    if type == "number" and field.endswith("_ms"):
        return Annotated[float, msgspec.Meta(ge=0, le=MAX_NUMBER)]
    if type == "integer":
        return Annotated[int, msgspec.Meta(ge=-int(MAX_NUMBER), le=int(MAX_NUMBER))]
    return bool if type == "boolean" else None


def _nothing(value: object) -> None:
    """Of a field that is made from others."""


def _count(value: object) -> int | None:
    """A count of rows; below 0 drivers say that they cannot tell."""
    found = value if type(value) is int else integer(value)
    return found if found is not None and 0 <= found <= MAX_NUMBER else None


_STABLE: dict[str, tuple[Any, object]] = {
    "string": (str | None, None),
    "integer": (int | None, None),
    "boolean": (bool | None, None),
    "callsite": (Site | None, None),
}
"""Types of stable fields by those of the shape; all others stay as they are on the wire."""

_read_id: Callable[[object], Any] = SLOTS["db.query"].by_key["paramsHash"][1]
_READ: dict[str, Read] = {"path": _nothing, "rowCount": _count}
"""Readers that know more than the shape."""

_NOBODY = Envelope(id="", timestamp=0.0, owner=None, parent_id=None, trace_id=None, service="", run="")
_KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "db.query",
            ("operation", "table", "sql", "source", "model", "shape", "shapeHash", "callsite", "lazyLoad", "system"),
            ("duration", "paramsHash", "rowCount", "fetchMs", "connectionId", "transactionId", "parentFetchId", "batchSize"),
            duration_ms=0.0,
        ),
        Kind("log", ("level", "logger", "callsite"), ("message", "fields", "errorId"), message=""),
        Kind(
            "fetch",
            ("method", "statusCode", "source", "callsite", "hasTimeout"),
            ("url", "duration", "fetchId", "requestSize", "responseSize", "error"),
            url="",
            duration_ms=0.0,
        ),
        Kind(
            "request",
            (
                *("method", "route", "headers", "responseHeaders", "cookies", "isStatic", "isHealthCheck"),
                *("client", "framework", "httpVersion", "scheme"),
            ),
            (
                *("id", "url", "path", "statusCode", "durationMs", "responseStartMs", "requestSize", "responseSize"),
                *("requestBody", "responseBody", "parentFetchId", "cancelled"),
            ),
        ),
    )
}
