"""Events one by one, each field looked at: whatever is sent is explained, or made sense of."""

from __future__ import annotations

import itertools
import secrets
from typing import Any

import msgspec

from brakit import redact
from brakit_server.ingest.entries import LENIENT, Envelope, entry
from brakit_server.ingest.fields import RESOURCE_SLOTS, SLOTS, Rejected, identifier, is_plain_id, number
from brakit_server.ingest.parts import Parts
from brakit_server.records import Entry
from brakit_server.stores import Opaque, Resource

MAX_EVENTS = 100_000
MAX_VERSION = 1
MAX_DEPTH = 32
MAX_OPAQUE = 65_536
"""Bytes that are kept of the data of an event of an unknown kind."""

ID = 128
LEGACY = {"query": "db.query", "fetch": "fetch", "log": "log", "error": "error"}
"""Kinds of the Node runtime's batch → ours."""

OLD_SDK = "brakit-python/0.1."
"""The published SDK. What it times carries the time of its end, in the data; around them stands the time of sending."""

EPOCH = (1e11, 1e14)
"""What lies between is milliseconds since 1970; below it, a clock of the process."""


_PREFIX = secrets.token_hex(8)
_NUMBERS = itertools.count(1)


def fresh_id() -> str:
    """32 hex digits, for what came without an id. Asking the system for random bytes each time would cost more than the event."""
    return f"{_PREFIX}{next(_NUMBERS):016x}"


def id_of(value: object) -> str | None:
    """An id: any text that is not empty and not longer than 128 characters."""
    if type(value) is not str:
        return None
    return value if is_plain_id(value) else identifier(value) if 0 < len(value) <= ID else None


def owner_of(owner: str | None, parent: str | None, request: str | None) -> tuple[str | None, str | None]:
    """To what an event belongs that owns nothing, and the span inside it, by the ids of its envelope."""
    found = owner or parent or request
    return found, parent if parent != found else None


def cause_of(id: str, parent: str | None, request: str | None) -> str | None:
    """What caused a request or a job. Nothing caused itself."""
    return next((cause for cause in (parent, request) if cause not in (None, id)), None)


class Reader:
    """Reads the events of one payload."""

    def __init__(self, resource: Resource, parts: Parts | None, legacy: bool, received_at: float) -> None:
        self.resource = resource
        self.parts = parts
        self.legacy = legacy
        self.received_at = received_at
        self.old = is_old(resource.sdk)

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
        request_id, parent = id_of(event.get("requestId")), id_of(event.get("parentId"))
        timestamp = self._start(kind, values, event)
        if kind in ("request", "job"):
            id = id_of(values.get("id")) or id_of(event.get("id")) or fresh_id()
            owner, inside = cause_of(id, parent, request_id), None
        else:
            id = id_of(event.get("id")) or fresh_id()
            owner, inside = owner_of(id_of(event.get("ownerId")), parent, request_id)
        envelope = Envelope(id, timestamp, owner, inside, id_of(event.get("traceId")), self.resource.service, self.resource.run)
        return entry(kind, values, envelope)

    def _start(self, kind: str, values: dict[str, Any], event: dict[str, Any]) -> float:
        timestamp = number(event.get("timestamp"))
        took: float = values.get("duration_ms", 0.0)
        if self.old and not self.legacy:
            ended = number(event["data"].get("timestamp"))
            if ended is not None and EPOCH[0] < ended < EPOCH[1]:
                return ended - took
        if timestamp is None or not 0 < timestamp < EPOCH[1]:
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
            "timestamp": timestamp if timestamp is not None and EPOCH[0] < timestamp else None,
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
        request_id, parent = id_of(event.get("requestId")), id_of(event.get("parentId"))
        timestamp = number(event.get("timestamp"))
        owner, inside = owner_of(id_of(event.get("ownerId")), parent, request_id)
        return kind, Opaque(
            id=id_of(event.get("id")) or fresh_id(),
            timestamp=timestamp if timestamp is not None and 0 < timestamp < EPOCH[1] else self.received_at,
            parent_request_id=owner,
            parent_id=inside,
            trace_id=id_of(event.get("traceId")),
            service=self.resource.service,
            run=self.resource.run,
            data=msgspec.Raw(text if _is_json(text) else b"null"),
        )


def is_old(sdk: str | None) -> bool:
    """Whether it is the published SDK."""
    return sdk is not None and sdk.startswith(OLD_SDK)


def resource_of(value: object, given: object, legacy: bool) -> Resource:
    """The process that a payload's `resource` and `sdk` name."""
    sdk = redact.short(given[:ID]) if type(given) is str and given else None
    values = RESOURCE_SLOTS.read(value, strict=False) if type(value) is dict else {}
    host, pid, started = values.get("host"), values.get("pid"), values.get("started")
    name = (sdk or ("node" if legacy else "unknown")).partition("/")[0]
    known = {key: found for key, found in values.items() if key in Resource.__struct_fields__ and key != "service"}
    run = f"{host or ''}:{pid or 0}:{started or 0:.0f}" if pid is not None else (sdk or name)
    return Resource(run=run, service=values.get("service") or name, sdk=sdk, **known)


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
