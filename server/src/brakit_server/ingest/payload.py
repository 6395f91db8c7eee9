"""The envelope: which payload it is, its limits, its events one by one."""

from __future__ import annotations

from brakit_server.ingest import fields, usual
from brakit_server.ingest.decoding import Refused, decoded
from brakit_server.ingest.fields import Rejected, counts, number
from brakit_server.ingest.outcome import Outcome
from brakit_server.ingest.parts import Parts
from brakit_server.ingest.reader import MAX_EVENTS, MAX_VERSION, Reader, id_of, resource_of
from brakit_server.stores import Batch


def read(body: bytes, received_at: float) -> Outcome:
    """The batch that a body brings; `received_at` in epoch milliseconds. Raises `Refused` where it is no payload."""
    return usual.read(body, received_at) or explained(body, received_at)


def forget() -> None:
    """What is a secret is now another: nothing that was remembered of texts counts any more."""
    fields.forget()
    usual.forget()


def explained(body: bytes, received_at: float) -> Outcome:
    """The same for any body, event by event. Raises `Refused` where it is no payload."""
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
    shared = payload.get("shared")
    parts = Parts(shared, payload.get("columns"), payload.get("base")) if shared is not None else None
    resource = resource_of(payload.get("resource"), payload.get("sdk"), legacy)
    reader = Reader(resource, parts, legacy, received_at)
    outcome = Outcome(
        Batch(
            batch_id=id_of(payload.get("batchId")),
            resource=resource,
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
            outcome.reject(index, rejected)
        else:
            if found is not None:
                outcome.batch.entries.append(found)
    return outcome
