"""The envelope: which payload it is, its limits, its events one by one."""

from __future__ import annotations

import itertools
import secrets
from typing import Any

import msgspec

from brakit import redact
from brakit_server.ingest.decoding import Refused, decoded
from brakit_server.ingest.entries import LENIENT, Envelope, entry
from brakit_server.ingest.fields import RESOURCE_SLOTS, SLOTS, Rejected, counts, identifier, number
from brakit_server.ingest.parts import Parts
from brakit_server.records import Entry
from brakit_server.stores import Batch, Opaque, Resource

MAX_EVENTS = 100_000
MAX_VERSION = 1
MAX_DEPTH = 32
MAX_OPAQUE = 65_536
"""Bytes that are kept of the data of an event of an unknown kind."""

MAX_NAMED = 100
"""Rejected events that the answer names one by one."""

ID = 128
LEGACY = {"query": "db.query", "fetch": "fetch", "log": "log", "error": "error"}
"""Kinds of the Node runtime's batch → ours."""

OLD_SDK = "brakit-python/0.1."
"""The published SDK. What it times carries the time of its end, in the data; around them stands the time of sending."""

_EPOCH = (1e11, 1e14)
"""What lies between is milliseconds since 1970; below it, a clock of the process."""


_PREFIX = secrets.token_hex(8)
_NUMBERS = itertools.count(1)


def _fresh_id() -> str:
    """32 hex digits, for what came without an id. Asking the system for random bytes each time would cost more than the event."""
    return f"{_PREFIX}{next(_NUMBERS):016x}"


class Rejection(msgspec.Struct):
    """One event that was refused."""

    index: int
    path: str
    reason: str


class Outcome(msgspec.Struct):
    """The good events, and what is wrong with the others (the first 100 of them by name)."""

    batch: Batch
    rejected: list[Rejection]
    rejected_count: int = 0


def read(body: bytes, received_at: float) -> Outcome:
    """The batch that a body brings; `received_at` in epoch milliseconds. Raises `Refused` where it is no payload."""
    payload = decoded(body)
    if type(payload) is not dict or payload.get("_brakit") is not True:
        raise Refused(400, "Invalid batch: _brakit is not true")
    legacy = "version" not in payload
    if not legacy:
        version = number(payload["version"])
        if version is None:
            raise Refused(400, "Invalid batch: version is not a number")
        if version > MAX_VERSION:
            raise Refused(400, f"Invalid batch: version {version:g} is newer than this server; it reads version {MAX_VERSION}")
    events = payload.get("events")
    if type(events) is not list:
        raise Refused(400, "Invalid batch: events is not a list")
    if len(events) > MAX_EVENTS:
        raise Refused(413, f"Payload too large: more than {MAX_EVENTS} events")
    reader = _Reader(payload, legacy, received_at)
    outcome = Outcome(
        Batch(
            batch_id=_id(payload.get("batchId")),
            resource=reader.resource,
            entries=[],
            dropped=counts(payload.get("dropped")) or {},
            received_at=received_at,
        ),
        [],
    )
    for index, event in enumerate(events):
        try:
            found = reader.event(event)
        except Rejected as rejected:
            outcome.rejected_count += 1
            if len(outcome.rejected) < MAX_NAMED:
                outcome.rejected.append(Rejection(index, f"$.events[{index}]{rejected.path}", rejected.reason))
        else:
            if found is not None:
                outcome.batch.entries.append(found)
    return outcome


class _Reader:
    """Reads the events of one payload."""

    def __init__(self, payload: dict[str, Any], legacy: bool, received_at: float) -> None:
        sdk = payload.get("sdk")
        self.sdk = redact.short(sdk[:ID]) if type(sdk) is str and sdk else None
        self.legacy = legacy
        self.received_at = received_at
        self.old = self.sdk is not None and self.sdk.startswith(OLD_SDK)
        self.resource = _resource(payload.get("resource"), self.sdk, legacy)
        shared = payload.get("shared")
        self.parts = Parts(shared, payload.get("columns"), payload.get("base")) if shared is not None else None

    def event(self, event: object) -> tuple[str, Entry] | None:
        """Kind and record; None for what is accepted and not kept. Raises `Rejected`."""
        if type(event) is list and self.parts is not None:
            event = self.parts.row(event)
        if type(event) is not dict:
            raise Rejected("", "is not an object")
        if "of" in event and self.parts is not None:
            event = self.parts.whole(event)
        kind = event.get("type")
        if type(kind) is not str or not kind:
            raise Rejected(".type", "is missing" if kind is None else "is not a string")
        if self.legacy:
            return self._legacy(kind, event)
        slots = SLOTS.get(kind)
        if slots is None:
            return self._unknown(redact.short(kind[:64]), event)
        data = event.get("data")
        if type(data) is not dict:
            raise Rejected(".data", "is missing" if data is None else "is not an object")
        # The seed does not speak of requests: there a missing field has a stand-in instead.
        lenient = kind == "request"
        values = slots.read(data, strict=not lenient)
        if lenient:
            values = {**LENIENT[kind], **values}
        return kind, self._entry(kind, values, event)

    def _entry(self, kind: str, values: dict[str, Any], event: dict[str, Any]) -> Entry:
        request_id, parent = _id(event.get("requestId")), _id(event.get("parentId"))
        timestamp = self._start(kind, values, event)
        if kind in ("request", "job"):
            id = _id(values.get("id")) or _id(event.get("id")) or _fresh_id()
            # Nothing caused itself.
            owner = next((cause for cause in (parent, request_id) if cause not in (None, id)), None)
            inside = None
        else:
            id = _id(event.get("id")) or _fresh_id()
            owner = _id(event.get("ownerId")) or parent or request_id
            inside = parent if parent != owner else None
        envelope = Envelope(id, timestamp, owner, inside, _id(event.get("traceId")), self.resource.service, self.resource.run)
        return entry(kind, values, envelope)

    def _start(self, kind: str, values: dict[str, Any], event: dict[str, Any]) -> float:
        timestamp = number(event.get("timestamp"))
        took: float = values.get("duration_ms", 0.0)
        if self.old and not self.legacy:
            ended = number(event["data"].get("timestamp"))
            if ended is not None and _EPOCH[0] < ended < _EPOCH[1]:
                return ended - took
        if timestamp is None or not 0 < timestamp < _EPOCH[1]:
            return self.received_at
        return timestamp - took if self.old and kind == "request" and took < timestamp else timestamp

    def _legacy(self, name: str, event: dict[str, Any]) -> tuple[str, Entry] | None:
        kind = LEGACY.get(name)
        if kind is None:
            return None
        data = event.get("data")
        if type(data) is not dict:
            data = {}
        timestamp = number(data.get("timestamp"))
        around = {
            "id": data.get("id"),
            "requestId": data.get("parentRequestId"),
            "timestamp": timestamp if timestamp is not None and _EPOCH[0] < timestamp else None,
        }
        return kind, self._entry(kind, {**LENIENT[kind], **SLOTS[kind].read(data, strict=False)}, around)

    def _unknown(self, kind: str, event: dict[str, Any]) -> tuple[str, Entry]:
        data = event.get("data")
        if kind == "sdk.hello" and type(data) is dict and type(data.get("framework")) is str:
            self.resource.framework = self.resource.framework or redact.short(data["framework"][:ID])
        # What is not known cannot be wrong: data that is too much is left out, and the event is there.
        if not _shallow(data):
            data = {"omitted": f"nested more than {MAX_DEPTH} levels deep"}
        text = msgspec.json.encode(data)
        if len(text) > MAX_OPAQUE:
            text = msgspec.json.encode({"omitted": f"larger than {MAX_OPAQUE} bytes"})
        text = redact.body(text.decode(), "application/json").encode()
        request_id, parent = _id(event.get("requestId")), _id(event.get("parentId"))
        timestamp = number(event.get("timestamp"))
        owner = _id(event.get("ownerId")) or parent or request_id
        return kind, Opaque(
            id=_id(event.get("id")) or _fresh_id(),
            timestamp=timestamp if timestamp is not None and 0 < timestamp < _EPOCH[1] else self.received_at,
            parent_request_id=owner,
            parent_id=parent if parent != owner else None,
            trace_id=_id(event.get("traceId")),
            service=self.resource.service,
            run=self.resource.run,
            data=msgspec.Raw(text if _is_json(text) else b"null"),
        )


def _resource(value: object, sdk: str | None, legacy: bool) -> Resource:
    values = RESOURCE_SLOTS.read(value, strict=False) if type(value) is dict else {}
    host, pid, started = values.get("host"), values.get("pid"), values.get("started")
    name = (sdk or ("node" if legacy else "unknown")).partition("/")[0]
    known = {key: found for key, found in values.items() if key in Resource.__struct_fields__ and key != "service"}
    run = f"{host or ''}:{pid or 0}:{started or 0:.0f}" if pid is not None else (sdk or name)
    return Resource(run=run, service=values.get("service") or name, sdk=sdk, **known)


def _id(value: object) -> str | None:
    """An id: any text that is not empty and not longer than 128 characters."""
    if type(value) is not str or not 0 < len(value) <= ID:
        return None
    return identifier(value)


def _shallow(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            if type(item) in (dict, list)
            for inner in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
        ]
        if not level:
            return True
    return False


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
