"""The kinds of events: what stands for each in the file, and how its records are written and read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from brakit_server.records import KINDS, Entry, Query
from brakit_server.stores import Opaque, Stored

NUMBERS = {"request": 1, "db.query": 2, "fetch": 3, "log": 4, "error": 5, "auth.check": 6, "span": 7, "job": 8}
"""Kind → what stands for it in the file. Unknown kinds are 0."""

OTHER = 0
REQUEST, QUERY, FETCH, LOG, ERROR, CHECK, SPAN, JOB = 1, 2, 3, 4, 5, 6, 7, 8
MARK = 9
"""A query that begins or ends a transaction: it stands in timelines, and neither counts nor is listed as a query."""

KIND_BITS = 4
"""Bits that a kind takes in the number of a block."""

ROOTS = (REQUEST, JOB)
"""Kinds that own events."""

_KINDS = {MARK: "db.query"} | {number: kind for kind, number in NUMBERS.items()}
_DECODERS: dict[int, msgspec.json.Decoder[Entry]] = {number: msgspec.json.Decoder(KINDS[kind]) for number, kind in _KINDS.items()}
_OPAQUE: msgspec.json.Decoder[tuple[str, Opaque]] = msgspec.json.Decoder(tuple[str, Opaque])
_ENCODE = msgspec.json.Encoder().encode

T = TypeVar("T")


def number_of(kind: str, entry: Entry) -> int:
    """What stands for the kind of a record."""
    number = NUMBERS.get(kind, OTHER)
    return MARK if number == QUERY and isinstance(entry, Query) and entry.transaction_mark is not None else number


def encoded(kind: str, number: int, entry: Entry) -> bytes:
    """The JSON of a record, one line; numbers that JSON has no word for become null. Of an unknown kind, with its name."""
    return _ENCODE(entry) if number != OTHER else _ENCODE((kind, entry))


def all_encoded(entries: Sequence[tuple[str, Entry]]) -> tuple[list[int], list[bytes]]:
    """What stands for the kinds of records, and their JSON."""
    encode, known = _ENCODE, NUMBERS.get
    numbers = [known(kind, OTHER) for kind, _ in entries]
    records = [encode(entry) for _, entry in entries]
    if QUERY in numbers or OTHER in numbers:
        for place, number in enumerate(numbers):
            if number == QUERY:
                if entries[place][1].transaction_mark is not None:  # type: ignore[attr-defined]
                    numbers[place] = MARK
            elif number == OTHER:
                records[place] = encode(entries[place])
    return numbers, records


def stored(seq: int, number: int, json: bytes | memoryview) -> Stored | None:
    """A record as it was appended; None where it is damaged, so that one bad page does not cost a whole list."""
    try:
        if number == OTHER:
            kind, opaque = _OPAQUE.decode(json)
            return Stored(seq, kind, opaque)
        return Stored(seq, _KINDS[number], _DECODERS[number].decode(json))
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
