"""Files up to version 3 had a row an event: they become segments."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from brakit_server.records import Entry
from brakit_server.stores import Opaque, Stored
from brakit_server.stores.matching import EndpointOf
from brakit_server.stores.sqlite import tail as tails
from brakit_server.stores.sqlite.folding import Digest, Piece, fold
from brakit_server.stores.sqlite.kinds import OTHER, encoded, kind_of, stored
from brakit_server.stores.sqlite.sums import Sums
from brakit_server.stores.sqlite.words import Keys, Words

_OPAQUE = msgspec.json.Decoder(Opaque)


def to_segments(connection: sqlite3.Connection, endpoint_of: EndpointOf) -> None:
    """Bring what stands in the tables of version 3 into those of version 4, inside the transaction that is open."""
    salt = connection.execute("SELECT value FROM meta WHERE name = 'salt'").fetchone()[0]
    keys, words, sums = Keys(salt), Words(), Sums()
    for piece in _pieces(connection):
        digest = Digest(piece, endpoint_of)
        fold(connection, piece, digest, words, keys)
        sums.add(connection, digest)
    connection.execute(
        "INSERT OR REPLACE INTO meta (name, value) SELECT 'seq', max("
        "coalesce((SELECT max(seq) FROM event), 0), coalesce((SELECT value FROM meta WHERE name = 'seq'), 0))"
    )
    connection.execute("UPDATE run SET seq = (SELECT value FROM meta WHERE name = 'seq')")
    batches = connection.execute("SELECT id, received FROM old_batch").fetchall()
    connection.executemany(
        "INSERT OR IGNORE INTO batch (id, received) VALUES (?, ?)", ((keys.batch(id), at) for id, at in batches)
    )
    for table in ("event", "body", "owner", "old_word", "old_batch"):
        connection.execute("DROP TABLE " + table)


def _pieces(connection: sqlite3.Connection) -> Iterator[Piece]:
    """The events, in pieces of a segment each."""
    rows = connection.execute(
        "SELECT event.seq, event.kind, old_word.text, event.received, CAST(body.json AS BLOB) "
        "FROM event JOIN body USING (seq) LEFT JOIN old_word ON old_word.id = event.name ORDER BY event.seq"
    )
    tail = tails.Tail(0)
    for seq, number, name, received, json in rows:
        one = _stored(seq, number, name, json)
        if one is None:
            continue
        apart = tail.stored and (received - tail.received[0] > tails.SPAN_SECONDS or seq - tail.stored[0].seq >= tails.MOST)
        if apart or len(tail.stored) >= tails.FULL or tail.bytes >= tails.FULL_BYTES:
            yield _piece(tail)
            tail = tails.Tail(seq)
        record = encoded(one.kind, number, one.entry)
        tail.stored.append(one)
        tail.numbers.append(number)
        tail.encoded.append(record)
        tail.received.append(received)
        tail.bytes += len(record)
    if tail.stored:
        yield _piece(tail)


def _piece(tail: tails.Tail) -> Piece:
    return Piece(tail.stored, tail.numbers, tail.encoded, tail.received[0], tail.received[-1])


def _stored(seq: int, number: int, name: str | None, json: bytes) -> Stored | None:
    if number != OTHER:
        return stored(seq, number, json)
    try:
        entry: Entry = _OPAQUE.decode(json)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Stored(seq, name or kind_of(number), entry)
