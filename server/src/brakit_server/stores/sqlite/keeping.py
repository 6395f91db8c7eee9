"""Keeping the file in order between appends: segments of the tail, caps, the search index."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from brakit_server.stores.matching import EndpointOf
from brakit_server.stores.sqlite import retention, rollups, search
from brakit_server.stores.sqlite import tail as tails
from brakit_server.stores.sqlite.appending import Appender
from brakit_server.stores.sqlite.sums import Sums
from brakit_server.stores.sqlite.words import Keys

BATCHES_SECONDS = 3_600.0
"""How often old batch ids are looked for."""

SHARE = 64
"""Bytes of events with which the tail becomes a segment, as a share of the cap: what goes at a time is small next to what stays."""

VACUUMS = 50
"""Steps of giving pages back in one go."""


class Housekeeper(Appender):
    """An `Appender` that keeps the file in order as well. `max_bytes` holds at all times, `max_age_days` where `expire` is called."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        endpoint_of: EndpointOf,
        keys: Keys,
        max_bytes: int,
        max_age_days: float,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(connection, endpoint_of, keys)
        self._max_bytes = max_bytes
        self._max_age_days = max_age_days
        self._clock = clock
        self._full_bytes = min(tails.FULL_BYTES, max_bytes // SHARE)
        self._batches_at = 0.0

    def due(self) -> bool:
        return self.tail.due(self._full_bytes)

    def keep(self, connection: sqlite3.Connection) -> None:
        """Fold the tail; make room where there is too little."""
        self.fold_now(connection)
        if search.behind(connection):
            search.step(connection)
        self._make_room(connection)

    def idle(self, connection: sqlite3.Connection) -> bool:
        """One step of the search index."""
        more = search.step(connection)
        self._make_room(connection)
        return more

    def fold_now(self, connection: sqlite3.Connection) -> None:
        """Make segments of the tail, in a transaction."""
        self.begin()
        connection.execute("BEGIN IMMEDIATE")
        self.fold(connection)
        connection.execute("COMMIT")
        self.committed()

    def expire(self, connection: sqlite3.Connection) -> int:
        """Delete one segment that is over a cap; how many events that were, 0 when nothing is over any more."""
        now = self._clock()
        if now - self._batches_at > BATCHES_SECONDS:
            retention.forget_batches(connection, now)
            self._batches_at = now
        rollups.expire(connection, self._max_age_days, now)
        old = now - self._max_age_days * 86_400
        large = retention.too_large(connection, self._max_bytes)
        if self.tail.stored and (min(self.tail.received) < old or (large and retention.oldest(connection, old)[0] is None)):
            self.fold_now(connection)
        gone = self._delete_oldest(connection, old, by_size=large)
        if not gone:
            self._shrink(connection)
        return gone

    def _delete_oldest(self, connection: sqlite3.Connection, old: float, *, by_size: bool) -> int:
        first, aged = retention.oldest(connection, old)
        if first is None or not (aged or by_size):
            return 0
        gone = retention.delete(connection, first, self._endpoint_of, self.keys, Sums())
        self.expired(gone)
        return sum(gone.values())

    def _make_room(self, connection: sqlite3.Connection) -> None:
        while retention.too_large(connection, self._max_bytes) and self._delete_oldest(connection, 0.0, by_size=True):
            continue
        # The index writes anew what it merges before the old is free: for a moment the file may need more than the cap.
        if retention.bytes_used(connection) > self._max_bytes and retention.bytes_free(connection):
            retention.give_back(connection)

    def _shrink(self, connection: sqlite3.Connection) -> None:
        for _ in range(VACUUMS):
            if retention.bytes_used(connection) <= self._max_bytes and not self._roomy(connection):
                break
            if not retention.bytes_free(connection):
                break
            retention.give_back(connection)

    def _roomy(self, connection: sqlite3.Connection) -> bool:
        """Whether more of the file is empty than the next events are likely to need."""
        return retention.bytes_free(connection) > max(4_000_000, retention.bytes_used(connection) // 4)
