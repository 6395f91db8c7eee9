"""Appending: what the writer's thread knows by heart, so that a batch is one row until there is enough for a segment."""

from __future__ import annotations

import logging
import sqlite3
from array import array
from collections import Counter
from collections.abc import Callable
from operator import attrgetter

import msgspec
from msgspec.structs import replace

from brakit_server.answers import Run
from brakit_server.stores import Batch, Resource, Stored, StoreUnavailable
from brakit_server.stores.matching import EndpointOf
from brakit_server.stores.runs import seen_again
from brakit_server.stores.sqlite import tail as tails
from brakit_server.stores.sqlite.folding import Digest, Piece, fold
from brakit_server.stores.sqlite.kinds import OTHER, REQUEST, all_encoded, kind_of, readable
from brakit_server.stores.sqlite.sums import Sums
from brakit_server.stores.sqlite.tail import Tail
from brakit_server.stores.sqlite.words import Keys, Words

log = logging.getLogger(__name__)

RUNS = 500
"""Processes that are remembered; the one unheard of for longest goes first."""

MOST_WAITING = 64 * 1024 * 1024
"""Bytes of a tail that cannot become a segment; beyond, nothing is taken."""

_TAIL = "INSERT INTO tail (seq, data) VALUES (?, ?)"
_RUN = "INSERT OR REPLACE INTO run (id, last, json, seq) VALUES (?, ?, ?, ?)"
_BATCH = "INSERT OR REPLACE INTO batch (id, received) VALUES (?, ?)"


class Appender:
    """State of the writer's thread; others only read `seq`, `counts`, `tail` and `runs`, whole.

    A transaction goes `begin`, `append` …, `seal`, and after the commit `committed`; or `undo`.
    """

    def __init__(self, connection: sqlite3.Connection, endpoint_of: EndpointOf, keys: Keys) -> None:
        self._endpoint_of = endpoint_of
        self.keys = keys
        self._words = Words()
        self._sums = Sums()
        last = connection.execute("SELECT max(last) FROM segment").fetchone()[0] or 0
        kept = connection.execute("SELECT value FROM meta WHERE name = 'seq'").fetchone()
        self.tail, self.seq = tails.load(connection, max(last, kept[0] if kept else 0) + 1)
        self.counts: dict[int, int] = {}
        for (blob,) in connection.execute("SELECT counts FROM segment"):
            self._count(array("H", blob))
        for number in self.tail.numbers:
            self.counts[number] = self.counts.get(number, 0) + 1
        self.runs: dict[str, Run] = {}
        self._load_runs(connection)
        self._fresh = Tail(self.seq + 1)
        self._fresh_runs: dict[str, Run] = {}
        self._resources: dict[str, Resource] = {}
        """What each run said last."""
        self._after: list[Callable[[], None]] = []
        self._received = 0

    def begin(self) -> None:
        """Nothing of a transaction is there yet."""
        self._fresh = Tail(self.seq + 1)
        self._fresh_runs = {}
        self._after = []

    def undo(self) -> None:
        """The transaction came to nothing."""
        self.begin()
        self._words.forget()
        self._sums.forget()
        self._resources.clear()

    def append(self, connection: sqlite3.Connection, batch: Batch) -> list[Stored]:
        """Take a batch; an id seen before adds nothing."""
        fresh = self._fresh
        if self.tail.bytes > MOST_WAITING:
            raise StoreUnavailable("there is no room for more events")
        if batch.batch_id is not None:
            key = self.keys.batch(batch.batch_id)
            if key in fresh.batches or key in self.tail.batches:
                return []
            if connection.execute("SELECT 1 FROM batch WHERE id = ?", (key,)).fetchone() is not None:
                return []
            fresh.batches.add(key)
        self._received = received = int(batch.received_at // 1000)
        numbers, records = all_encoded(batch.entries)
        place = -1
        for _ in range(numbers.count(REQUEST)):
            place = numbers.index(REQUEST, place + 1)
            # What cannot be said of it must cost this batch now, and not a segment later.
            self._endpoint_of(batch.entries[place][1])  # type: ignore[arg-type]
        result = [
            Stored(seq, kind, entry, json)
            for seq, ((kind, entry), json) in enumerate(zip(batch.entries, records, strict=True), fresh.first + len(fresh.stored))
        ]
        fresh.numbers += numbers
        fresh.encoded += records
        fresh.bytes += sum(map(len, records))
        fresh.received += [received] * len(result)
        fresh.stored += result
        self._note_run(connection, batch)
        return result

    def seal(self, connection: sqlite3.Connection) -> None:
        """Write what was taken, before the commit."""
        fresh = self._fresh
        if fresh.stored:
            connection.execute(_TAIL, (fresh.first, tails.row_of(fresh)))
        elif fresh.batches:
            connection.executemany(_BATCH, [(key, self._received) for key in fresh.batches])

    def committed(self) -> None:
        """What was taken is there."""
        fresh = self._fresh
        if fresh.stored:
            counts = dict(self.counts)
            for number, count in Counter(fresh.numbers).items():
                counts[number] = counts.get(number, 0) + count
            self.counts = counts
            self.tail.add(fresh)
            self.seq += len(fresh.stored)
        if self._fresh_runs:
            self.runs = {**self.runs, **self._fresh_runs}
            while len(self.runs) > RUNS:
                del self.runs[min(self.runs.values(), key=lambda run: run.last_seen_at).run]
        for do in self._after:
            do()
        self.begin()

    def fold(self, connection: sqlite3.Connection) -> None:
        """Make segments of the tail, inside the transaction that is open."""
        tail = self.tail
        for start, end in tail.chunks():
            self._fold_part(connection, start, end)
        received = tail.received[-1] if tail.received else 0
        connection.executemany(_BATCH, [(key, received) for key in tail.batches])
        connection.execute("DELETE FROM tail")
        runs = {each.entry.run for each in tail.stored}
        connection.executemany(_RUN, [self._run_row(run) for run in self.runs.values() if run.run in runs])
        connection.execute("DELETE FROM run WHERE id NOT IN (SELECT id FROM run ORDER BY last DESC LIMIT ?)", (RUNS,))
        self._after.append(self._folded)

    def _fold_part(self, connection: sqlite3.Connection, start: int, end: int) -> None:
        tail = self.tail
        received = tail.received
        piece = Piece(
            tail.stored[start:end], tail.numbers[start:end], tail.encoded[start:end], received[start], received[end - 1]
        )
        connection.execute("SAVEPOINT part")
        try:
            digest = Digest(piece, self._endpoint_of)
            fold(connection, piece, digest, self._words, self.keys)
            self._sums.add(connection, digest)
        except sqlite3.OperationalError:
            raise
        except Exception:  # one event that cannot be put away must not keep all others from it
            connection.execute("ROLLBACK TO part")
            self._words.forget()
            self._sums.forget()
            if end - start == 1:
                log.exception("event %d cannot be kept", piece.stored[0].seq)
            else:
                middle = (start + end) // 2
                self._fold_part(connection, start, middle)
                self._fold_part(connection, middle, end)
        connection.execute("RELEASE part")

    def _folded(self) -> None:
        self.tail = Tail(self.seq + 1)

    def after_clear(self) -> None:
        """Nothing is stored any more; the numbering goes on."""
        self._words.forget()
        self._sums.clear()
        self._resources.clear()
        self.runs = {}
        self.counts = {}
        self.tail = Tail(self.seq + 1)
        self.begin()

    def expired(self, gone: dict[int, int]) -> None:
        """Events were deleted, by kind."""
        self._words.forget()
        self._sums.forget()
        self.counts = {number: count - gone.get(number, 0) for number, count in self.counts.items()}

    def by_kind(self) -> dict[str, int]:
        """Stored events by kind; unknown kinds together as `other`."""
        counts = self.counts
        return {kind_of(number): count for number, count in sorted(counts.items()) if count and number != OTHER} | (
            {"other": counts[OTHER]} if counts.get(OTHER) else {}
        )

    def _count(self, counts: array[int]) -> None:
        for number, count in enumerate(counts):
            if count:
                self.counts[number] = self.counts.get(number, 0) + count

    def _load_runs(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT seq, CAST(json AS BLOB) FROM run").fetchall()
        upto: dict[str, int] = {}
        for seq, json in rows:
            for run in readable([(json,)], Run):
                self.runs[run.run] = run
                upto[run.run] = seq
        # A run is written when something about it changes; its figures since then stand in the tail.
        for each, received in zip(self.tail.stored, self.tail.received, strict=True):
            known = self.runs.get(each.entry.run or "")
            if known is not None and each.seq > upto[known.run]:
                known.events += 1
                known.last_seen_at = max(known.last_seen_at, received * 1000.0)

    def _note_run(self, connection: sqlite3.Connection, batch: Batch) -> None:
        resource = batch.resource
        known = self._fresh_runs.get(resource.run) or self.runs.get(resource.run)
        if known is not None and not batch.dropped and self._resources.get(resource.run) == resource:
            more = max(known.last_seen_at, batch.received_at)
            self._fresh_runs[resource.run] = replace(known, events=known.events + len(batch.entries), last_seen_at=more)
            return
        run = seen_again(known, resource, len(batch.entries), batch.dropped, batch.received_at)
        self._fresh_runs[resource.run] = run
        if known is None or batch.dropped or _told(known) != _told(run):
            seq = self._fresh.first + len(self._fresh.stored) - 1
            connection.execute(_RUN, (run.run, run.last_seen_at, _json(run), seq))
        if len(self._resources) >= RUNS:
            self._resources.clear()
        self._resources[resource.run] = resource

    def _run_row(self, run: Run) -> tuple[str, float, str, int]:
        return run.run, run.last_seen_at, _json(run), self.seq


_told = attrgetter(
    "service", "host", "pid", "started", "runtime", "framework", "sdk", "root", "revision", "instrumentations", "failures"
)


def _json(run: Run) -> str:
    return msgspec.json.encode(run).decode()
