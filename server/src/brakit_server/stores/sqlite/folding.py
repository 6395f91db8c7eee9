"""Folding: a piece of the tail becomes a segment, with all that is looked up in it, in one transaction."""

from __future__ import annotations

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from brakit_server.records import Entry, Error, Job, Request
from brakit_server.stores import Stored, totals
from brakit_server.stores.matching import EndpointOf
from brakit_server.stores.sqlite import packing, terms
from brakit_server.stores.sqlite.kinds import ERROR, KIND_BITS, QUERY, ROOTS
from brakit_server.stores.sqlite.words import Keys, Words

EVENTS, ROOT, CAUSE = 1, 2, 4
"""What a segment has of an owner: events, itself, something that it caused."""

_SEGMENT = (
    "INSERT INTO segment (id, last, received_first, received_last, at_min, at_max, has, counts) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_BLOCK = "INSERT INTO block (id, n, data) VALUES (?, ?, ?)"
_POSTING = "INSERT INTO posting (term, segment, n, ms) VALUES (?, ?, ?, ?)"
_OWNED = "INSERT INTO owned (owner, segment, role, slot, endpoint) VALUES (?, ?, ?, ?, ?)"


_SHAPE, _SERVICE = terms.NAMES[QUERY].index("shape"), terms.NAMES[QUERY].index("service")


class Piece(NamedTuple):
    """Events that follow each other, at most 8192."""

    stored: Sequence[Stored]
    numbers: Sequence[int]
    encoded: Sequence[bytes]
    received_first: int
    received_last: int
    """Unix seconds."""


class Owners:
    """Who owns and causes what in a piece: each has a slot."""

    def __init__(self, endpoint_of: EndpointOf) -> None:
        self._endpoint_of = endpoint_of
        self.slots: dict[str, int] = {}
        self.roles: dict[str, int] = {}
        self.endpoints: dict[str, tuple[int, str]] = {}
        """Kind and endpoint of the requests and jobs that are there themselves."""

    def events(self, entries: Sequence[Stored]) -> list[int]:
        """The slot of each event's owner."""
        ids = [each.entry.parent_request_id for each in entries]
        for id in set(ids):
            if id is not None:
                self._note(id, EVENTS)
        slots = self.slots
        return [packing.NOBODY if id is None else slots[id] for id in ids]

    def roots(self, number: int, entries: Sequence[Stored]) -> list[int]:
        """The same for requests and jobs, which own themselves."""
        found = []
        for each in entries:
            entry = each.entry
            found.append(self._note(entry.id, ROOT))
            endpoint = self._endpoint_of(entry) if isinstance(entry, Request) else entry.name if isinstance(entry, Job) else ""
            self.endpoints[entry.id] = (number, endpoint)
            if entry.parent_request_id is not None:
                self._note(entry.parent_request_id, CAUSE)
        return found

    def endpoint(self, id: str) -> str | None:
        found = self.endpoints.get(id)
        return found[1] if found else None

    def endpoint_of_request(self, request: Request) -> str:
        """The same of a request that is there itself."""
        return self.endpoints[request.id][1]

    def _note(self, id: str, role: int) -> int:
        self.roles[id] = self.roles.get(id, 0) | role
        return self.slots.setdefault(id, len(self.slots))


class Digest:
    """What a piece adds to the tables, before anything is written; the same again when it is taken away."""

    def __init__(self, piece: Piece, endpoint_of: EndpointOf) -> None:
        self.places: dict[int, list[int]] = defaultdict(list)
        for place, number in enumerate(piece.numbers):
            self.places[number].append(place)
        self.groups = {number: [piece.stored[place] for place in places] for number, places in self.places.items()}
        self.owners = Owners(endpoint_of)
        self.slots = {
            number: self.owners.roots(number, group) if number in ROOTS else self.owners.events(group)
            for number, group in sorted(self.groups.items(), key=lambda item: item[0] not in ROOTS)
        }
        self.words: dict[int, terms.Found] = {}
        self.waiting_shapes: totals.Missing = {}
        self.waiting_errors: totals.Missing = {}
        self.shapes: dict[tuple[str, str], totals.ShapeTotal] = {}
        self.errors: dict[tuple[str, str], totals.ErrorTotal] = {}
        for number, group in self.groups.items():
            entries = [each.entry for each in group]
            alike = terms.grouped(number, entries)
            self.words[number] = terms.found_in(number, entries, alike, self.owners.endpoint_of_request)
            if number == QUERY:
                self._sum_queries(entries, alike, group)
            elif number == ERROR:
                errors = [(each.seq, each.entry) for each in group if isinstance(each.entry, Error)]
                self.errors = totals.errors(errors, self.owners.endpoint, self.waiting_errors)

    def _sum_queries(self, entries: Sequence[Entry], alike: terms.Groups, stored: Sequence[Stored]) -> None:
        places: dict[tuple[str | None, str | None], list[int]] = {}
        for key, group in alike.items():
            shape, service = _shape_and_service(key)
            known = places.get((shape, service))
            places[shape, service] = group if known is None else sorted((*known, *group))
        groups = {key: (stored[group[-1]].seq, [entries[place] for place in group]) for key, group in places.items()}
        self.shapes = totals.shapes_of(groups, self.owners.endpoint, self.waiting_shapes)  # type: ignore[arg-type]


def _shape_and_service(key: tuple[object, ...]) -> tuple[str | None, str | None]:
    shape, service = key[_SHAPE], key[_SERVICE]
    return shape if isinstance(shape, str) else None, service if isinstance(service, str) else None


def counts_of(digest: Digest) -> bytes:
    """Events by kind: two bytes each, from kind 0 on."""
    counts = array("H", bytes(2 << KIND_BITS))
    for number, places in digest.places.items():
        counts[number] = len(places)
    return counts.tobytes()


def fold(connection: sqlite3.Connection, piece: Piece, digest: Digest, words: Words, keys: Keys) -> None:
    """Write a segment with its blocks, postings and owners."""
    first = piece.stored[0].seq
    times = [each.entry.timestamp for each in piece.stored]
    if not sum(map(abs, times)) < 1e300:
        times = [totals.finite(at) for at in times]
    has = sum(1 << number for number in digest.places)
    connection.execute(
        _SEGMENT,
        (
            first,
            piece.stored[-1].seq,
            piece.received_first,
            piece.received_last,
            min(times),
            max(times),
            has,
            counts_of(digest),
        ),
    )
    blocks = []
    for number, places in digest.places.items():
        offsets = [each.seq - first for each in digest.groups[number]]
        data = packing.packed(offsets, digest.slots[number], [piece.encoded[place] for place in places])
        blocks.append((first << KIND_BITS | number, len(places), data))
    blocks.sort()
    connection.executemany(_BLOCK, blocks)
    postings = [
        (words.id(connection, number, field, text), first, n, ms)
        for number, found in digest.words.items()
        for (field, text), (n, ms) in found.items()
    ]
    postings.sort()
    connection.executemany(_POSTING, postings)
    owned = []
    for id, slot in digest.owners.slots.items():
        root = digest.owners.endpoints.get(id)
        word = ("endpoint", terms.text_of(root[1])) if root else None
        # A word that stands in this segment lives as long as the segment.
        endpoint = words.known(root[0], *word) if root and word and word in digest.words[root[0]] else None
        owned.append((keys.owner(id), first, digest.owners.roles[id], slot, endpoint))
    owned.sort(key=lambda row: row[0])
    connection.executemany(_OWNED, owned)
