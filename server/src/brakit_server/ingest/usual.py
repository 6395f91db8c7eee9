"""Usual payloads at a fraction of the cost: typed in C, their records copied from prototypes.

An event that is unusual goes the general way (`reader`) by itself; a payload that is, as a whole (`payload.explained`). Both ways make
the same of the same bytes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from brakit_server.ingest import parts as shared_parts
from brakit_server.ingest.fields import MAX_NUMBER, Rejected, counts, number
from brakit_server.ingest.outcome import Outcome
from brakit_server.ingest.parts import MAX_PARTS, Parts
from brakit_server.ingest.prototypes import MAX_KEPT, Kind, Prototype, Setter, finish, usual_kinds
from brakit_server.ingest.reader import (
    EPOCH,
    MAX_EVENTS,
    MAX_VERSION,
    Reader,
    cause_of,
    fresh_id,
    id_of,
    is_old,
    owner_of,
    resource_of,
)
from brakit_server.records import Entry
from brakit_server.stores import Batch, Resource

MAX_COLUMNS = 15
"""Columns of a usual row, one less than `Row` has values."""

MAX_KNOWN = 500
"""Parts that are remembered from one payload to the next."""

MAX_GROWTH = 8
"""How much longer the JSON of a part may become when it is written anew, and more."""

Text = str | UnsetType


class Unusual(Exception):
    """A payload for the general way."""


_ABSENT = Raw()


class Event(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """An event that stands by itself."""

    type: str | None = None
    timestamp: float | None = None
    request_id: str | None = None
    parent_id: str | None = None
    owner_id: str | None = None
    trace_id: str | None = None
    id: str | None = None
    data: Raw = _ABSENT


class Part(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What events have in common."""

    type: Text = UNSET
    owner: Text = UNSET
    request_id: Text = UNSET
    parent_id: Text = UNSET
    owner_id: Text = UNSET
    trace_id: Text = UNSET
    data: Raw = Raw()


class Row(NamedTuple):
    """An event that says its columns, its parts, its time and its values."""

    columns: int
    of: list[int]
    time: float
    v1: Any = UNSET
    v2: Any = UNSET
    v3: Any = UNSET
    v4: Any = UNSET
    v5: Any = UNSET
    v6: Any = UNSET
    v7: Any = UNSET
    v8: Any = UNSET
    v9: Any = UNSET
    v10: Any = UNSET
    v11: Any = UNSET
    v12: Any = UNSET
    v13: Any = UNSET
    v14: Any = UNSET
    v15: Any = UNSET
    v16: Any = UNSET


FIRST = 3
"""Place of a row's first value."""


class Payload(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What one POST brings."""

    marked: bool = msgspec.field(name="_brakit")
    version: int
    events: list[Event | Row]
    sdk: Any = None
    resource: Raw = Raw()
    batch_id: Any = None
    dropped: Any = None
    shared: list[Part] | None = None
    columns: list[list[str]] | None = None
    base: Any = None


_decode = msgspec.json.Decoder(Payload).decode
_envelope: Callable[[Event], tuple[str | None, ...]] = attrgetter("owner_id", "parent_id", "request_id", "trace_id")


def read(body: bytes, received_at: float) -> Outcome | None:
    """The batch of a usual payload, as `payload.explained` would read it; None for any other."""
    try:
        payload = _decode(body)
        if not payload.marked or payload.version > MAX_VERSION or len(payload.events) > MAX_EVENTS:
            return None
        resource = _resource(bytes(payload.resource), payload.sdk if type(payload.sdk) is str else None)
        return None if is_old(resource.sdk) else _Reading(payload, resource, received_at).outcome()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Unusual):
        return None


def forget() -> None:
    """What is a secret is now another: look at everything again."""
    _known_resource.cache_clear()
    for kind in usual_kinds().values():
        kind.forget()


def _resource(text: bytes, sdk: str | None) -> Resource:
    known = _known_resource if len(text) + len(sdk or "") <= MAX_KEPT else _known_resource.__wrapped__
    # What an event says of the process is added to it.
    return copy.copy(known(text, sdk))


@lru_cache(maxsize=64)
def _known_resource(text: bytes, sdk: str | None) -> Resource:
    return resource_of(msgspec.json.decode(text) if text else None, sdk, legacy=False)


_SAID = ("type", "owner", "request_id", "parent_id", "owner_id", "trace_id")
_WIRE = dict(zip(_SAID, ("type", "owner", "requestId", "parentId", "ownerId", "traceId"), strict=True))
_said_by: Callable[[Part], tuple[Any, ...]] = attrgetter(*_SAID)


class Known:
    """A part made sense of. Raises `Unusual`, and as the decoder does."""

    __slots__ = ("content", "ids_only", "said", "size", "text")

    def __init__(self, part: Part) -> None:
        self.said: dict[str, str] = {name: value for name, value in zip(_SAID, _said_by(part), strict=True) if value is not UNSET}
        self.text = bytes(part.data)
        self.content = _content(self.text)
        self.size = len(self.text) + sum(map(len, self.said.values())) + 20 * (len(self.said) + 1)
        """About as many bytes as its JSON has."""
        self.ids_only = self.content is None and "type" not in self.said

    def spelled_out(self) -> dict[str, Any]:
        """The part as an object of JSON."""
        named: dict[str, Any] = {_WIRE[name]: value for name, value in self.said.items()}
        return named if self.content is None else {**named, "data": self.content}


class Plan:
    """What rows with the same columns and parts have in common."""

    __slots__ = ("causes", "copy", "end", "id", "name", "owns", "prototype", "required", "setters", "size")

    def __init__(self, kind: Kind, prototype: Prototype, record: Any, setters: list[Setter], size: int) -> None:
        self.name = kind.name
        self.owns = kind.owns
        self.required = kind.required
        self.prototype = prototype
        self.copy: Callable[[], Any] = record.__copy__
        self.setters = setters
        self.end = FIRST + len(setters)
        """Where the values of a row have to end."""
        self.size = size
        """Bytes that its parts may come to."""
        self.id: str | None = None
        """Of a request."""
        self.causes: tuple[str | None, str | None] = (None, None)
        """Of a request: what may have caused it."""


class _Reading:
    """One payload being read."""

    def __init__(self, payload: Payload, resource: Resource, received_at: float) -> None:
        self.payload = payload
        self.resource = resource
        self.service, self.run = resource.service, resource.run
        self.received_at = received_at
        self.general = Reader(resource, None, False, received_at)
        self.kinds = usual_kinds()
        self.parts = [Known(part) for part in payload.shared or ()]
        self.columns = payload.columns or []
        start = number(payload.base) if payload.base is not None else 0.0
        if start is None or (payload.shared is None and any(isinstance(event, Row) for event in payload.events)):
            raise Unusual
        self.base = start
        self.expanded = 0
        self.plans: dict[tuple[int, ...], Plan | None] = {}
        self.common: dict[tuple[int, ...], tuple[Kind, Prototype, list[Setter]] | None] = {}
        self.around: dict[tuple[str | None, ...], tuple[str | None, str | None, str | None]] = {}

    def outcome(self) -> Outcome:
        """What the payload brings. Raises `Unusual`, or as `read` catches."""
        payload = self.payload
        batch = Batch(
            batch_id=id_of(payload.batch_id),
            resource=self.resource,
            entries=[],
            dropped=counts(payload.dropped) or {},
            received_at=self.received_at,
        )
        outcome = Outcome(batch, [])
        entries = batch.entries
        for index, event in enumerate(payload.events):
            try:
                found = self.event(event) if isinstance(event, Event) else self.row(event)
            except Rejected as rejected:
                outcome.reject(index, rejected)
            else:
                if found is not None:
                    entries.append(found)
        general = self.general.parts
        if self.expanded + (general.expanded if general is not None else 0) > shared_parts.MAX_EXPANDED:
            raise Unusual
        return outcome

    def event(self, event: Event) -> tuple[str, Entry] | None:
        """Kind and record of an event that stands by itself. Raises `Rejected`."""
        kind = self.kinds.get(event.type)  # type: ignore[arg-type]
        if kind is None or event.data is _ABSENT:
            return self.general.event(_spelled_out(event))
        try:
            data = kind.decode(event.data)
            prototype = kind.of(data)
        except (msgspec.ValidationError, Rejected):
            return self.general.event(_spelled_out(event))
        record = prototype.copy()
        kind.fill(record, data)
        timestamp = event.timestamp
        if timestamp is None or not 0 < timestamp < EPOCH[1]:
            timestamp = self.received_at
        record.timestamp = timestamp
        if kind.owns:
            finish(record, prototype, timestamp)
            record.id = id_of(record.id) or id_of(event.id) or fresh_id()
            record.parent_request_id = cause_of(record.id, id_of(event.parent_id), id_of(event.request_id))
            record.trace_id = id_of(event.trace_id)
        else:
            key = _envelope(event)
            around = self.around.get(key)
            if around is None:
                own, parent, request, trace = map(id_of, key)
                around = self.around[key] = (*owner_of(own, parent, request), trace)
            record.parent_request_id, record.parent_id, record.trace_id = around
            record.id = (event.id and id_of(event.id)) or fresh_id()
        record.service, record.run = self.service, self.run
        return kind.name, record

    def row(self, row: Row) -> tuple[str, Entry] | None:
        """Kind and record of a row. Raises `Rejected`."""
        columns, of, moved = row.columns, row.of, row.time
        key = (columns, *of)
        plan = self.plans.get(key)
        if plan is None:
            if key in self.plans:
                return self.unusual_row(row)
            plan = self.plans[key] = self.plan(columns, of)
            if plan is None:
                return self.unusual_row(row)
        self.expanded += plan.size
        end = plan.end
        if row[end] is not UNSET or not -MAX_NUMBER <= moved <= MAX_NUMBER:
            return self.unusual_row(row)
        record = plan.copy()
        for (name, read), value in zip(plan.setters, row[FIRST:end]):  # noqa: B905
            if value is not None and value is not UNSET:
                found = read(value)
                if found is not None:
                    setattr(record, name, found)
        for name in plan.required:
            if getattr(record, name) is None:
                return self.unusual_row(row)
        timestamp = self.base + moved / 1000
        if not 0 < timestamp < EPOCH[1]:
            timestamp = self.received_at
        record.timestamp = timestamp
        if plan.owns:
            finish(record, plan.prototype, timestamp)
            record.id = id_of(record.id) or plan.id or fresh_id()
            record.parent_request_id = cause_of(record.id, *plan.causes)
        else:
            record.id = fresh_id()
        return plan.name, record

    def plan(self, index: int, of: list[int]) -> Plan | None:
        """None for rows that go the general way."""
        parts = self.parts
        if (
            not 0 <= index < len(self.columns)
            or len(of) > MAX_PARTS
            or not -1 < min(of, default=0) <= max(of, default=-1) < len(parts)
        ):
            return None
        # Parts that say ids and nothing else are those of one request: what the others make comes again with the next.
        key = (index, *[place for place in of if not parts[place].ids_only])
        if key in self.common:
            common = self.common[key]
        else:
            common = self.common[key] = self.what_is_common(index, [parts[place] for place in key[1:]])
        if common is None:
            return None
        kind, prototype, setters = common
        said: dict[str, str] = {}
        size = 0
        for place in of:
            said |= parts[place].said
            size += parts[place].size
        whole = id_of(said.get("owner"))
        trace, parent, request = [
            id_of(said[name]) if name in said else whole for name in ("trace_id", "parent_id", "request_id")
        ]
        record = prototype.copy()
        record.trace_id, record.service, record.run = trace, self.service, self.run
        plan = Plan(kind, prototype, record, setters, size * MAX_GROWTH)
        if kind.owns:
            plan.id, plan.causes = whole, (parent, request)
        else:
            record.parent_request_id, record.parent_id = owner_of(id_of(said.get("owner_id")), parent, request)
        return plan

    def what_is_common(self, index: int, parts: list[Known]) -> tuple[Kind, Prototype, list[Setter]] | None:
        """What rows with these columns and parts are, whoever owns them; None for what is not usual."""
        name = ""
        data: dict[str, object] = {}
        for part in parts:
            name = part.said.get("type", name)
            if part.content is not None:
                data |= part.content
        kind = self.kinds.get(name)
        if kind is None:
            return None
        names = self.columns[index]
        if len(names) > MAX_COLUMNS or len(set(names)) < len(names) or not kind.setters.keys() >= set(names):
            return None
        try:
            prototype = kind.of_parts(tuple([part.text for part in parts if part.content is not None]), data)
        except Rejected:
            return None
        return None if prototype is None else (kind, prototype, [kind.setters[name] for name in names])

    def unusual_row(self, row: Row) -> tuple[str, Entry] | None:
        """A row the general way. Raises `Rejected`, `Unusual`."""
        if self.general.parts is None:
            self.general.parts = Parts([part.spelled_out() for part in self.parts], self.columns, self.payload.base)
        return self.general.event([value for value in row if value is not UNSET])


def _content(text: bytes) -> dict[str, object] | None:
    """The data of a part, never to be changed. Raises `Unusual`, and as the decoder does."""
    if not text:
        return None
    return _known_content(text) if len(text) <= MAX_KEPT else _known_content.__wrapped__(text)


@lru_cache(maxsize=MAX_KNOWN)
def _known_content(text: bytes) -> dict[str, object]:
    found = msgspec.json.decode(text)
    if type(found) is not dict:
        raise Unusual
    return found


def _spelled_out(event: Event) -> dict[str, Any]:
    """The event as an object of JSON."""
    found = {
        "type": event.type,
        "timestamp": event.timestamp,
        "requestId": event.request_id,
        "parentId": event.parent_id,
        "ownerId": event.owner_id,
        "traceId": event.trace_id,
        "id": event.id,
    }
    if event.data is not _ABSENT:
        found["data"] = msgspec.json.decode(event.data)
    return found
