"""What goes, and when: whole segments, by age and size; and clearing."""

from __future__ import annotations

import sqlite3
import time

import zstandard

from brakit_server.stores.matching import EndpointOf
from brakit_server.stores.sqlite import rollups, search
from brakit_server.stores.sqlite.folding import Digest, Piece
from brakit_server.stores.sqlite.kinds import KIND_BITS, MARK
from brakit_server.stores.sqlite.packing import Block
from brakit_server.stores.sqlite.sums import Sums, bound
from brakit_server.stores.sqlite.words import Keys

BATCH_SECONDS = 86_400
"""How long a batch id is remembered."""

VACUUM_PAGES = 2_000

FILLED = 0.97
"""Fraction of the cap up to which the file may be filled: pages that are free are used before the file grows."""


def bytes_used(connection: sqlite3.Connection) -> int:
    """Size of the file in bytes, without its log."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    return int(pages * size)


def bytes_free(connection: sqlite3.Connection) -> int:
    """Bytes in the file that nothing stands in."""
    pages = connection.execute("PRAGMA freelist_count").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    return int(pages * size)


def forget_batches(connection: sqlite3.Connection, now: float) -> None:
    """Forget batch ids that are older than a day."""
    connection.execute("DELETE FROM batch WHERE received < ?", (int(now) - BATCH_SECONDS,))


def too_large(connection: sqlite3.Connection, max_bytes: int) -> bool:
    """Whether what stands in the file is over the cap, give or take what the next events need."""
    return bytes_used(connection) - bytes_free(connection) > max_bytes * FILLED


def oldest(connection: sqlite3.Connection, oldest_second: float) -> tuple[int | None, bool]:
    """The first segment, and whether all of it was received before `oldest_second` (Unix seconds); None where there is none."""
    # Age is by arrival: a sender's clock must not decide what is kept. Nor must our own where it was ahead for a while: what
    # stands before something that is too old came earlier than that.
    first, received_last = connection.execute("SELECT min(id), min(received_last) FROM segment").fetchone()
    return (int(first), received_last < oldest_second) if first is not None else (None, False)


def delete(connection: sqlite3.Connection, first: int, endpoint_of: EndpointOf, keys: Keys, sums: Sums) -> dict[int, int]:
    """Delete a segment and all that leads to it, in one transaction; how many events of which kind."""
    connection.execute("BEGIN IMMEDIATE")
    low = first << KIND_BITS
    rows = connection.execute("SELECT id - ?, n, data FROM block WHERE id BETWEEN ? AND ?", (low, low, low + MARK)).fetchall()
    counts = {number: n for number, n, _ in rows}
    stored, numbers = [], []
    damaged = False
    for number, n, data in rows:
        try:
            found = list(Block(first, number, n, data).all())
        except (zstandard.ZstdError, ValueError):
            found = []
        damaged = damaged or len(found) < n
        stored += found
        numbers += [number] * len(found)
    if stored:
        digest = Digest(Piece(stored, numbers, [], 0, 0), endpoint_of)
        connection.executemany(
            "DELETE FROM owned WHERE owner = ? AND segment = ?", [(keys.owner(id), first) for id in digest.owners.slots]
        )
        _delete_postings(connection, first, digest)
        sums.remove(connection, digest)
    if damaged:
        # What leads to events that cannot be read is found only by looking at all of it.
        connection.execute("DELETE FROM owned WHERE segment = ?", (first,))
        connection.execute("DELETE FROM posting WHERE segment = ?", (first,))
    search.delete(connection, first)
    keep_seq(connection)
    connection.execute("DELETE FROM block WHERE id BETWEEN ? AND ?", (low, low + MARK))
    connection.execute("DELETE FROM segment WHERE id = ?", (first,))
    bound(connection)
    connection.execute("COMMIT")
    return counts


def _delete_postings(connection: sqlite3.Connection, first: int, digest: Digest) -> None:
    words = [(number, field, text) for number, found in digest.words.items() for field, text in found]
    ids = [
        row
        for word in words
        for row in connection.execute("SELECT id FROM word WHERE kind = ? AND field = ? AND text = ?", word).fetchall()
    ]
    connection.executemany("DELETE FROM posting WHERE term = ? AND segment = ?", [(id, first) for (id,) in ids])
    connection.executemany("DELETE FROM word WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM posting WHERE term = ?1)", ids)


def keep_seq(connection: sqlite3.Connection) -> None:
    """Remember the highest number given, since its row may go."""
    connection.execute(
        "INSERT OR REPLACE INTO meta (name, value) SELECT 'seq', max("
        "coalesce((SELECT max(last) FROM segment), 0), coalesce((SELECT value FROM meta WHERE name = 'seq'), 0))"
    )


def give_back(connection: sqlite3.Connection) -> None:
    """Return freed pages to the system."""
    # A row without columns for each page: `execute` would stop at the first.
    connection.executescript("PRAGMA incremental_vacuum(" + str(VACUUM_PAGES) + ")")


def delete_all(connection: sqlite3.Connection, seq: int) -> None:
    """Delete everything but the numbering, which stands at `seq`."""
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('seq', ?)", (seq,))
    search.delete_all(connection)
    rollups.delete_all(connection, seq)
    for statement in (
        "DELETE FROM tail",
        "DELETE FROM segment",
        "DELETE FROM block",
        "DELETE FROM word",
        "DELETE FROM posting",
        "DELETE FROM owned",
        "DELETE FROM batch",
        "DELETE FROM total",
        "DELETE FROM run",
        "DELETE FROM issue",
    ):
        connection.execute(statement)
    connection.execute("COMMIT")


def shrink(connection: sqlite3.Connection) -> None:
    """Leave no byte of what was deleted in the file or its log.

    Waits up to five seconds for readers that still look at the old pages; then raises `sqlite3.OperationalError`.
    """
    connection.execute("PRAGMA secure_delete = OFF").fetchall()
    connection.execute("VACUUM")
    deadline = time.monotonic() + 5
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] != 0:
        if time.monotonic() > deadline:
            raise sqlite3.OperationalError("the log could not be emptied: somebody else reads the file")
        time.sleep(0.02)
