"""Appending batches: what the writer's thread knows by heart so that a row needs no look-up."""

from __future__ import annotations

import sqlite3

import msgspec

from brakit_server.answers import Run
from brakit_server.stores import Batch, Resource, Stored
from brakit_server.stores.sqlite.rows import OTHER, EndpointOf, encoded, kind_of, owner_key, readable, row

KNOWN = 50_000
"""Owners and words remembered before they are looked up anew."""

RUNS = 500
"""Processes that are remembered; the one unheard of for longest goes first."""

_EVENT = (
    "INSERT INTO event (seq, kind, received, at, ms, owner, parent, service, endpoint, name, shape, status, rows) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_BODY = "INSERT INTO body (seq, json) VALUES (?, ?)"
_RUN = "INSERT OR REPLACE INTO run (id, last, json) VALUES (?, ?, ?)"
_BATCH = "INSERT OR IGNORE INTO batch (id, received) VALUES (?, ?)"


class Appender:
    """State of the writer's thread; others only read `seq` and `counts`, whole."""

    def __init__(self, connection: sqlite3.Connection, endpoint_of: EndpointOf) -> None:
        self._connection = connection
        self._endpoint_of = endpoint_of
        self._owners: dict[str, int] = {}
        self._words: dict[str, int] = {}
        found = connection.execute("SELECT max(seq) FROM event").fetchone()[0] or 0
        kept = connection.execute("SELECT value FROM meta WHERE name = 'seq'").fetchone()
        self.seq: int = max(found, kept[0] if kept else 0)
        self.counts: dict[int, int] = dict(connection.execute("SELECT kind, count(*) FROM event GROUP BY kind"))
        self._runs = {run.run: run for run in readable(connection.execute("SELECT CAST(json AS BLOB) FROM run"), Run)}
        self.begin()

    def begin(self) -> None:
        """Remember what is known before a transaction. The dictionaries are replaced by appending, never changed."""
        self._before = (self.seq, self.counts, self._runs)

    def undo(self) -> None:
        """The transaction came to nothing."""
        self.seq, self.counts, self._runs = self._before
        self.forget()

    def forget(self) -> None:
        """Look owners and words up anew: rows of them may be gone."""
        self._owners.clear()
        self._words.clear()

    def append(self, connection: sqlite3.Connection, batch: Batch) -> list[Stored]:
        """Insert a batch inside the transaction that is open; an id seen before inserts nothing."""
        received = int(batch.received_at // 1000)
        if batch.batch_id is not None and connection.execute(_BATCH, (batch.batch_id, received)).rowcount == 0:
            return []
        events, bodies, result = [], [], []
        counts = dict(self.counts)
        seq = self.seq
        for kind, entry in batch.entries:
            seq += 1
            columns = row(kind, entry, self._endpoint_of)
            events.append(
                (
                    seq,
                    columns.kind,
                    received,
                    columns.at,
                    columns.ms,
                    self._owner(columns.owner),
                    self._owner(columns.parent),
                    self._word(columns.service),
                    self._word(columns.endpoint),
                    self._word(columns.name),
                    self._word(columns.shape),
                    columns.status,
                    columns.rows,
                )
            )
            bodies.append((seq, encoded(entry)))
            result.append(Stored(seq, kind, entry))
            counts[columns.kind] = counts.get(columns.kind, 0) + 1
        connection.executemany(_EVENT, events)
        connection.executemany(_BODY, bodies)
        self._note_run(connection, batch)
        self.seq, self.counts = seq, counts
        return result

    def _owner(self, text: str | None) -> int | None:
        if text is None:
            return None
        known = self._owners.get(text)
        if known is None:
            key = owner_key(text)
            insert = self._connection.execute("INSERT OR IGNORE INTO owner (text) VALUES (?)", (key,))
            known = insert.lastrowid if insert.rowcount == 1 else None
            if known is None:
                known = int(self._connection.execute("SELECT id FROM owner WHERE text = ?", (key,)).fetchone()[0])
            if len(self._owners) >= KNOWN:
                self._owners.clear()
            self._owners[text] = known
        return known

    def _word(self, text: str | None) -> int | None:
        if text is None:
            return None
        known = self._words.get(text)
        if known is None:
            insert = self._connection.execute("INSERT OR IGNORE INTO word (text) VALUES (?)", (text,))
            known = insert.lastrowid if insert.rowcount == 1 else None
            if known is None:
                known = int(self._connection.execute("SELECT id FROM word WHERE text = ?", (text,)).fetchone()[0])
            if len(self._words) >= KNOWN:
                self._words.clear()
            self._words[text] = known
        return known

    def _note_run(self, connection: sqlite3.Connection, batch: Batch) -> None:
        resource, now = batch.resource, batch.received_at
        runs = dict(self._runs)
        known = runs.get(resource.run)
        if known is None:
            known = Run(run=resource.run, service=resource.service, first_seen_at=now, last_seen_at=now, events=0)
            while len(runs) >= RUNS:
                oldest = min(runs.values(), key=lambda run: run.last_seen_at).run
                del runs[oldest]
                connection.execute("DELETE FROM run WHERE id = ?", (oldest,))
        run = seen_again(known, resource, len(batch.entries), batch.dropped, now)
        connection.execute(_RUN, (run.run, now, encoded_run(run)))
        runs[run.run] = run
        self._runs = runs

    def after_clear(self) -> None:
        """Nothing is stored any more; the numbering goes on."""
        self.forget()
        self._runs = {}
        self.counts = {}
        self.begin()

    def expired(self, gone: dict[int, int]) -> None:
        """Events were deleted, by kind."""
        self.forget()
        self.counts = {number: count - gone.get(number, 0) for number, count in self.counts.items()}
        self.begin()

    def by_kind(self) -> dict[str, int]:
        """Stored events by kind; unknown kinds together as `other`."""
        counts = self.counts
        return {kind_of(number): count for number, count in sorted(counts.items()) if count and number != OTHER} | (
            {"other": counts[OTHER]} if counts.get(OTHER) else {}
        )


def seen_again(run: Run, resource: Resource, events: int, dropped: dict[str, int], now: float) -> Run:
    """The run with what this batch adds to it; what the batch does not say stays as it was."""
    totals = dict(run.dropped)
    for reason, count in dropped.items():
        if reason in totals or len(totals) < 64:
            totals[reason] = totals.get(reason, 0) + count
    return Run(
        run=run.run,
        service=resource.service,
        host=resource.host or run.host,
        pid=resource.pid or run.pid,
        started=resource.started or run.started,
        runtime=resource.runtime or run.runtime,
        framework=resource.framework or run.framework,
        sdk=resource.sdk or run.sdk,
        root=resource.root or run.root,
        instrumentations=resource.instrumentations or run.instrumentations,
        failures=resource.failures or run.failures,
        first_seen_at=run.first_seen_at,
        last_seen_at=max(now, run.last_seen_at),
        events=run.events + events,
        dropped=totals,
    )


def encoded_run(run: Run) -> str:
    return msgspec.json.encode(run).decode()
