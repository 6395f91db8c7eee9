"""What goes, and when: age and size caps in small steps, and clearing."""

from __future__ import annotations

import sqlite3
import time

from brakit_server.stores.sqlite.lists import bounds

STEP = 2_000
"""Events deleted in one transaction: a few milliseconds, so that appends in between do not wait."""

LEAST = 50
"""Events deleted at least where the file is too large."""

BATCH_SECONDS = 86_400
"""How long a batch id is remembered."""

VACUUM_PAGES = 2_000


def bytes_used(connection: sqlite3.Connection) -> int:
    """Size of the file in bytes, without its log."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    return int(pages * size)


def expire_step(connection: sqlite3.Connection, max_bytes: int, max_age_days: float, now: float) -> dict[int, int]:
    """Delete at most `STEP` of the oldest events that are over a cap; return how many by kind. `now`: Unix seconds.

    An empty result means that nothing is over a cap any more.
    """
    connection.execute("DELETE FROM batch WHERE received < ?", (int(now) - BATCH_SECONDS,))
    if bytes_used(connection) > max_bytes:
        give_back(connection)
    cutoff: int | None
    if (used := bytes_used(connection)) > max_bytes:
        low, high = bounds(connection)
        enough = min(STEP, max(LEAST, int((high - low + 1) * (used - max_bytes) / used)))
        cutoff = connection.execute("SELECT max(seq) FROM (SELECT seq FROM event ORDER BY seq LIMIT ?)", (enough,)).fetchone()[0]
    else:
        # Age is by arrival: a sender's clock must not decide what is kept.
        oldest = int(now - max_age_days * 86_400)
        cutoff = connection.execute(
            "SELECT max(seq) FROM (SELECT seq, received FROM event ORDER BY seq LIMIT ?) WHERE received < ?", (STEP, oldest)
        ).fetchone()[0]
    if cutoff is None:
        return {}
    return _delete_upto(connection, cutoff)


def _delete_upto(connection: sqlite3.Connection, cutoff: int) -> dict[int, int]:
    connection.execute("BEGIN IMMEDIATE")
    gone = dict(connection.execute("SELECT kind, count(*) FROM event WHERE seq <= ? GROUP BY +kind", (cutoff,)))
    owners = connection.execute(
        "SELECT owner FROM event WHERE seq <= ?1 AND owner IS NOT NULL "
        "UNION SELECT parent FROM event WHERE seq <= ?1 AND parent IS NOT NULL",
        (cutoff,),
    ).fetchall()
    keep_seq(connection)
    connection.execute("DELETE FROM body WHERE seq <= ?", (cutoff,))
    connection.execute("DELETE FROM event WHERE seq <= ?", (cutoff,))
    connection.executemany(
        "DELETE FROM owner WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM event WHERE owner = ?1) "
        "AND NOT EXISTS (SELECT 1 FROM event WHERE parent = ?1)",
        owners,
    )
    connection.execute("COMMIT")
    return gone


def keep_seq(connection: sqlite3.Connection) -> None:
    """Remember the highest number given, since its row may go."""
    connection.execute(
        "INSERT OR REPLACE INTO meta (name, value) SELECT 'seq', max("
        "coalesce((SELECT max(seq) FROM event), 0), coalesce((SELECT value FROM meta WHERE name = 'seq'), 0))"
    )


def give_back(connection: sqlite3.Connection) -> None:
    """Return freed pages to the system."""
    # A row without columns for each page: `execute` would stop at the first.
    connection.executescript("PRAGMA incremental_vacuum(" + str(VACUUM_PAGES) + ")")


def delete_all(connection: sqlite3.Connection) -> None:
    """Delete everything but the numbering."""
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    connection.execute("BEGIN IMMEDIATE")
    keep_seq(connection)
    for statement in (
        "DELETE FROM event",
        "DELETE FROM body",
        "DELETE FROM owner",
        "DELETE FROM word",
        "DELETE FROM batch",
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
