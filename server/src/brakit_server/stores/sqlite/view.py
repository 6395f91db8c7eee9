"""A view: one consistent state of the store, to be read newest first or by owner."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import zstandard

from brakit_server.answers import Run
from brakit_server.records import Entry, Job, Request
from brakit_server.stores import Stored
from brakit_server.stores.matching import EndpointOf
from brakit_server.stores.sqlite import terms
from brakit_server.stores.sqlite.folding import CAUSE, EVENTS, ROOT
from brakit_server.stores.sqlite.kinds import JOB, KIND_BITS, MARK, ROOTS
from brakit_server.stores.sqlite.packing import Block, Sought
from brakit_server.stores.sqlite.tail import Tail
from brakit_server.stores.sqlite.terms import Fragment
from brakit_server.stores.sqlite.words import Keys

EVERYWHERE: Fragment = ("1", [])
FEW = 30
"""Segments whose requests are read one by one to find out where their events are."""

KNOWN = 20_000
"""Owners whose endpoint is remembered while one list is read."""


class State(NamedTuple):
    """What is known besides the file."""

    tail: Tail
    length: int
    """Events of the tail that are among it."""
    counts: dict[int, int]
    runs: dict[str, Run]


class View:
    """The tail as it was a moment before the connection's transaction began, and the segments before it."""

    def __init__(self, connection: sqlite3.Connection, state: State, keys: Keys, endpoint_of: EndpointOf, now: float) -> None:
        """`now`: Unix seconds."""
        tail, length = state.tail, state.length
        self.connection = connection
        self.endpoint_of = endpoint_of
        self._keys = keys
        self.end = tail.first
        """Segments from here on hold what stands in the tail as well."""
        self.stored: list[Stored] = tail.stored[:length]
        self.numbers: list[int] = tail.numbers[:length]
        self.received: list[int] = tail.received[:length]
        self.counts = state.counts
        """Events by kind."""
        self.runs = state.runs
        self.now = now
        self.damaged = False
        """Whether something could not be read."""
        self._endpoints: dict[str, str | None] = {}
        self._roots: dict[str, str] | None = None

    def process(self, run: str | None) -> Run | None:
        """What is known of the process of a record."""
        return self.runs.get(run or "")

    def newest(
        self, number: int, fragment: Fragment = EVERYWHERE, before: int | None = None, sought: Sought | None = None
    ) -> Iterator[Stored]:
        """Records of one kind below `before`, newest first: those of the tail, then those of the segments of which `fragment` is
        true in whose JSON `sought` stands."""
        for each, kind in zip(reversed(self.stored), reversed(self.numbers), strict=True):
            if kind == number and (before is None or each.seq < before):
                yield each
        for block in self.blocks(number, fragment, before):
            for place in block.holding(sought):
                if (before is None or block.seq(place) < before) and (one := block.at(place)) is not None:
                    yield one

    def blocks(self, number: int, fragment: Fragment = EVERYWHERE, before: int | None = None) -> Iterator[Block]:
        """Blocks of one kind of the segments that begin below `before`, newest first."""
        sql, parameters = fragment
        end = self.end if before is None else min(before, self.end)
        rows = self.connection.execute(
            "SELECT segment.id, block.n, block.data FROM segment JOIN block ON block.id = segment.id * 16 + ? "
            "WHERE segment.id < ? AND segment.has & ? AND (" + sql + ") ORDER BY segment.id DESC",
            [number, end, 1 << number, *parameters],
        )
        for first, length, data in rows:
            block = self._block(first, number, length, data)
            if block is not None:
                yield block

    def since(self, seq: int, limit: int) -> list[Stored]:
        """Entries after `seq`, in order."""
        found: list[Stored] = []
        if seq + 1 < self.end:
            rows = self.connection.execute(
                "SELECT id FROM segment WHERE last > ? AND id < ? ORDER BY id", (seq, self.end)
            ).fetchall()
            for (first,) in rows:
                found += [each for each in self._segment(first) if each.seq > seq]
                if len(found) >= limit:
                    return found[:limit]
        start = bisect_right(self.stored, seq, key=lambda each: each.seq)
        return found + self.stored[start : start + limit - len(found)]

    def _segment(self, first: int) -> list[Stored]:
        low = first << KIND_BITS
        rows = self.connection.execute("SELECT id, n, data FROM block WHERE id BETWEEN ? AND ?", (low, low + MARK)).fetchall()
        blocks = [block for id, n, data in rows if (block := self._block(first, id - low, n, data)) is not None]
        return sorted((each for block in blocks for each in block.all()), key=lambda each: each.seq)

    def younger(self, first: int, number: int, start: float) -> int:
        """How many events of a kind in a segment started at `start` or later."""
        block = self._read(first, number)
        return sum(each.entry.timestamp >= start for each in block.all()) if block is not None else 0

    def owned(self, ids: Iterable[str]) -> dict[str, list[Stored]]:
        """Everything but requests and jobs by owner, by start."""
        found: dict[str, list[Stored]] = {id: [] for id in ids}
        places = self._places(found, EVENTS)
        for first, owners in places.items():
            low = first << KIND_BITS
            rows = self.connection.execute("SELECT id, n, data FROM block WHERE id BETWEEN ? AND ?", (low, low + MARK)).fetchall()
            for id, n, data in rows:
                if id - low in ROOTS or (block := self._block(first, id - low, n, data)) is None:
                    continue
                of_slot = {slot: owner for owner, slot in owners}.get
                for place, slot in enumerate(block.slots):
                    wanted = of_slot(slot)
                    if wanted is not None and (one := block.at(place)) is not None and one.entry.parent_request_id == wanted:
                        found[wanted].append(one)
        for each, number in zip(self.stored, self.numbers, strict=True):
            cause = each.entry.parent_request_id
            if cause in found and number not in ROOTS:
                found[cause].append(each)
        for entries in found.values():
            entries.sort(key=lambda each: (each.entry.timestamp, each.seq))
        return found

    def roots(self, ids: Iterable[str]) -> dict[str, Request | Job]:
        """The requests and jobs that are there."""
        wanted = dict.fromkeys(ids)
        found: dict[str, Request | Job] = {}
        for first, owners in self._places(wanted, ROOT).items():
            for number in ROOTS:
                if (block := self._read(first, number)) is None:
                    continue
                of_slot = {slot: owner for owner, slot in owners}.get
                for place, slot in enumerate(block.slots):
                    id = of_slot(slot)
                    if id is not None and (one := block.at(place)) is not None:
                        _keep_root(found, id, one.entry)
        for each, number in zip(self.stored, self.numbers, strict=True):
            if number in ROOTS and each.entry.id in wanted:
                _keep_root(found, each.entry.id, each.entry)
        return found

    def caused(self, id: str) -> list[Request | Job]:
        """Requests and jobs that this one caused, by start; at most 500."""
        found: list[Stored] = []
        for first in self._places([id], CAUSE):
            for number in ROOTS:
                if (block := self._read(first, number)) is not None:
                    places = block.holding(Sought(msgspec.json.encode(id)))
                    named = [one for place in places if (one := block.at(place)) is not None]
                    found += [each for each in named if each.entry.parent_request_id == id]
        found += [
            each
            for each, number in zip(self.stored, self.numbers, strict=True)
            if number in ROOTS and each.entry.parent_request_id == id
        ]
        found.sort(key=lambda each: (each.entry.timestamp, each.seq))
        return [each.entry for each in found[:500] if isinstance(each.entry, Request | Job)]

    def endpoint(self, id: str) -> str | None:
        """The endpoint of a request, the name of a job; None where it is not known."""
        if self._roots is None:
            self._roots = {
                each.entry.id: endpoint
                for each, number in zip(self.stored, self.numbers, strict=True)
                if number in ROOTS and (endpoint := self._endpoint_of(each.entry)) is not None
            }
        known = self._roots.get(id)
        if known is not None:
            return known
        if id not in self._endpoints:
            if len(self._endpoints) >= KNOWN:
                self._endpoints.clear()
            self._endpoints[id] = self._stored_endpoint(id)
        return self._endpoints[id]

    def is_job(self, id: str) -> bool:
        """Whether the owner of that id is a job."""
        found = self.connection.execute(
            "SELECT word.kind FROM owned JOIN word ON word.id = owned.endpoint "
            "WHERE owned.owner = ? AND owned.role & ? AND owned.segment < ?",
            (self._keys.owner(id), ROOT, self.end),
        ).fetchone()
        return found[0] == JOB if found is not None else isinstance(self.roots([id]).get(id), Job)

    def owner_fragment(self, id: str) -> Fragment:
        """Segments that hold anything of a request or job."""
        return "segment.id IN (SELECT segment FROM owned WHERE owner = ?)", [self._keys.owner(id)]

    def around_endpoint(self, endpoint: str) -> Fragment:
        """Segments that hold events of requests to an endpoint, or of jobs of a name."""
        fragments = [terms.has(number, "endpoint", [endpoint]) for number in ROOTS]
        where: Fragment = (" OR ".join(sql for sql, _ in fragments), [each for _, some in fragments for each in some])
        rows = self.connection.execute("SELECT count(*) FROM segment WHERE " + where[0], where[1])
        if rows.fetchone()[0] > FEW:
            return EVERYWHERE
        ids = {each.entry.id for number in ROOTS for each in self.newest(number, where)}
        places = self._places((id for id in ids if self.endpoint(id) == endpoint), EVENTS)
        return "segment.id IN (" + ", ".join("?" * len(places)) + ")", list(places)

    def _stored_endpoint(self, id: str) -> str | None:
        found = self.connection.execute(
            "SELECT word.text FROM owned LEFT JOIN word ON word.id = owned.endpoint "
            "WHERE owned.owner = ? AND owned.role & ? AND owned.segment < ?",
            (self._keys.owner(id), ROOT, self.end),
        ).fetchone()
        if found is None:
            return None
        if found[0] is not None and len(found[0]) < 200:
            text: str = found[0]
            return text
        root = self.roots([id]).get(id)
        return self._endpoint_of(root) if root is not None else None

    def _endpoint_of(self, entry: Entry) -> str | None:
        return self.endpoint_of(entry) if isinstance(entry, Request) else entry.name if isinstance(entry, Job) else None

    def _places(self, ids: Iterable[str], role: int) -> dict[int, list[tuple[str, int]]]:
        """Segment → the ids of which it has something in that role, and their slots in it."""
        places: dict[int, list[tuple[str, int]]] = {}
        for id in ids:
            rows = self.connection.execute(
                "SELECT segment, slot FROM owned WHERE owner = ? AND role & ? AND segment < ?",
                (self._keys.owner(id), role, self.end),
            )
            for first, slot in rows.fetchall():
                places.setdefault(first, []).append((id, slot))
        return dict(sorted(places.items()))

    def _read(self, first: int, number: int) -> Block | None:
        row = self.connection.execute("SELECT n, data FROM block WHERE id = ?", (first << KIND_BITS | number,)).fetchone()
        return self._block(first, number, *row) if row is not None else None

    def _block(self, first: int, number: int, length: int, data: bytes) -> Block | None:
        try:
            return Block(first, number, length, data)
        except (zstandard.ZstdError, ValueError):
            # One bad page must not cost a whole list.
            self.damaged = True
            return None


def _keep_root(found: dict[str, Request | Job], id: str, entry: Entry) -> None:
    if isinstance(entry, Request | Job) and entry.id == id:
        found[id] = entry
