"""Between records and rows: which of a record's fields are filtered and added up, and how records are written and read."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

import msgspec

from brakit_server.records import KINDS, Callsite, Entry, Error, Fetch, Frame, Job, Log, Query, Request, Span
from brakit_server.stores import Opaque, Stored

NUMBERS = {"request": 1, "db.query": 2, "fetch": 3, "log": 4, "error": 5, "auth.check": 6, "span": 7, "job": 8}
"""Kind → what stands for it in the file. Unknown kinds are 0, and their name is the row's `name`."""

OTHER = 0
REQUEST, QUERY, FETCH, LOG, ERROR, JOB = 1, 2, 3, 4, 5, 8
MARK = 9
"""A query that begins or ends a transaction: it stands in timelines, and neither counts nor is listed as a query."""
JOB_STATUS = {"succeeded": 0, "failed": 1, "retried": 2, "rejected": 3}
"""How a job ended → what stands for it in the file."""

_KINDS = {MARK: "db.query"} | {number: kind for kind, number in NUMBERS.items()}
_DECODERS: dict[int, msgspec.json.Decoder[Entry]] = {number: msgspec.json.Decoder(KINDS[kind]) for number, kind in _KINDS.items()}
_OPAQUE = msgspec.json.Decoder(Opaque)
_ENCODE = msgspec.json.Encoder().encode

T = TypeVar("T")
EndpointOf = Callable[[Request], str]


class Row(NamedTuple):
    """The fields of one record that have a column; texts are not yet numbers."""

    kind: int
    at: float
    ms: float | None
    owner: str | None
    """Of a request or job: its own id, so that one look-up finds it with its events."""
    parent: str | None
    """Of a request or job: what caused it."""
    service: str | None
    endpoint: str | None
    """Of a job: its name."""
    name: str | None
    """Method, level, operation or class."""
    shape: str | None
    status: int | None
    rows: int | None


def row(kind: str, entry: Entry, endpoint_of: EndpointOf) -> Row:
    """The columns of a record."""
    number = NUMBERS.get(kind, OTHER)
    at, service, owner = entry.timestamp, entry.service, entry.parent_request_id
    match entry:
        case Query():
            failed = 1 if entry.error else 0
            return Row(
                number if entry.transaction_mark is None else MARK,
                at,
                entry.duration_ms,
                owner,
                None,
                service,
                None,
                entry.operation,
                entry.shape_hash,
                failed,
                entry.row_count,
            )
        case Log():
            return Row(number, at, None, owner, None, service, None, entry.level, None, None, None)
        case Request():
            endpoint = endpoint_of(entry)
            return Row(
                number, at, entry.duration_ms, entry.id, owner, service, endpoint, entry.method, None, entry.status_code, None
            )
        case Fetch():
            return Row(number, at, entry.duration_ms, owner, None, service, None, entry.method, None, entry.status_code, None)
        case Error():
            return Row(number, at, None, owner, None, service, None, entry.name, group_key(entry), int(bool(entry.handled)), None)
        case Job():
            status = JOB_STATUS.get(entry.status or "")
            return Row(
                number, at, entry.duration_ms, entry.id, owner, service, entry.name[:128], entry.source, None, status, None
            )
        case Span():
            return Row(number, at, entry.duration_ms, owner, None, service, None, entry.name[:128], None, None, None)
        case _:
            return Row(number, at, None, owner, None, service, None, kind if number == OTHER else None, None, None, None)


def own_frame(error: Error) -> Frame | None:
    """The innermost frame of the app's own code, with its source where the sender gave it."""
    for frame in reversed(error.frames or []):
        if frame.own:
            return frame
    if error.call_site is not None:
        return frame_at(error.call_site)
    return error.frames[-1] if error.frames else None


def frame_at(site: Callsite) -> Frame:
    return Frame(file=site.file, line=site.line, function=site.function, own=True)


def group_key(error: Error) -> str:
    """16 hex digits: equal for errors of one class from one line of one service."""
    frame = own_frame(error)
    place = f"{frame.file}\0{frame.function}\0{frame.line}" if frame else ""
    text = f"{error.service or ''}\0{error.name}\0{place}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def encoded(entry: Entry) -> str:
    """The JSON of a record, one line; numbers that JSON has no word for become null."""
    return _ENCODE(entry).decode()


def stored(seq: int, number: int, name: str | None, json: bytes) -> Stored | None:
    """A row as it was appended; None where its record is damaged."""
    entry = record(number, json)
    return None if entry is None else Stored(seq, _KINDS.get(number) or name or "", entry)


def record(number: int, json: bytes) -> Entry | None:
    """The record of a kind; None where it is damaged, so that one bad page does not cost a whole list."""
    try:
        return (_OPAQUE if number == OTHER else _DECODERS[number]).decode(json)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return None


def readable(rows: Iterable[tuple[bytes]], kind: type[T]) -> list[T]:
    """Those of the JSON values that are not damaged."""
    decode = msgspec.json.Decoder(kind).decode
    found = []
    for (json,) in rows:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            found.append(decode(json))
    return found


def kind_of(number: int) -> str:
    """What events of a kind are counted as: its name on the wire; `mark` for marks, `other` for unknown kinds together."""
    return "mark" if number == MARK else _KINDS.get(number, "other")


def owner_key(text: str) -> str | bytes:
    """An id as it is kept: 32 hex digits in half the space."""
    if len(text) == 32:
        try:
            packed = bytes.fromhex(text)
        except ValueError:
            return text
        if packed.hex() == text:
            return packed
    return text


def owner_text(key: str | bytes) -> str:
    return key if isinstance(key, str) else key.hex()


def owner_id(connection: sqlite3.Connection, text: str) -> int | None:
    """The number of an owner in the file, None when it has none."""
    found = connection.execute("SELECT id FROM owner WHERE text = ?", (owner_key(text),)).fetchone()
    return found[0] if found else None
