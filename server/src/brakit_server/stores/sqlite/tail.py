"""The tail: the newest events, in memory as they were appended, until they are many enough for a segment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby

import msgspec
import zstandard

from brakit_server.stores import Stored
from brakit_server.stores.sqlite.kinds import stored
from brakit_server.stores.sqlite.packing import compressed, decompressed

FULL = 4_096
"""Events with which the tail becomes a segment."""

FULL_BYTES = 4_000_000
SPAN_SECONDS = 3_600
"""What arrived further apart stands in segments of its own, so that age finds it."""

MOST = 8_192
"""Events of a segment at most."""

MOST_BYTES = 8_000_000


class Row(msgspec.Struct, array_like=True):
    """What one transaction appended, as it stands in the file."""

    numbers: bytes
    """Kind of each event."""
    lengths: list[int]
    arrivals: list[tuple[int, int]]
    """Of each batch: how many events, and when they were received, in Unix seconds."""
    batches: list[int]
    """Keys of the batches' ids."""
    records: bytes


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODER = msgspec.msgpack.Decoder(Row)


class Tail:
    """Events from `first` on. The writer's thread adds to it; others read slices of its lists."""

    __slots__ = ("batches", "bytes", "encoded", "first", "numbers", "received", "stored")

    def __init__(self, first: int) -> None:
        self.first = first
        self.stored: list[Stored] = []
        self.numbers: list[int] = []
        self.encoded: list[bytes] = []
        self.received: list[int] = []
        """Unix seconds."""
        self.batches: set[int] = set()
        self.bytes = 0

    def add(self, more: Tail) -> None:
        """What follows."""
        self.numbers += more.numbers
        self.encoded += more.encoded
        self.received += more.received
        self.batches |= more.batches
        self.bytes += more.bytes
        # Last: who reads goes by it.
        self.stored += more.stored

    def due(self, full_bytes: int) -> bool:
        """Whether it is time to make a segment of it."""
        return len(self.stored) >= FULL or self.bytes >= full_bytes or self._span() > SPAN_SECONDS

    def _span(self) -> int:
        return self.received[-1] - self.received[0] if self.received else 0

    def chunks(self) -> Iterator[tuple[int, int]]:
        """From where to where each segment goes."""
        if len(self.encoded) <= MOST and self.bytes <= MOST_BYTES and self._span() <= SPAN_SECONDS:
            if self.encoded:
                yield 0, len(self.encoded)
            return
        start, size = 0, 0
        for place, record in enumerate(self.encoded):
            apart = self.received[place] - self.received[start] > SPAN_SECONDS
            if place > start and (place - start >= MOST or size + len(record) > MOST_BYTES or apart):
                yield start, place
                start, size = place, 0
            size += len(record)
        if start < len(self.encoded):
            yield start, len(self.encoded)


def row_of(tail: Tail) -> bytes:
    """The data of a row of the table."""
    lengths = list(map(len, tail.encoded))
    row = Row(bytes(tail.numbers), lengths, _arrivals(tail.received), list(tail.batches), b"".join(tail.encoded))
    return compressed(_ENCODE(row))


def _arrivals(received: Sequence[int]) -> list[tuple[int, int]]:
    if len(set(received)) == 1:
        return [(len(received), received[0])]
    return [(len(list(some)), at) for at, some in groupby(received)]


def load(connection: sqlite3.Connection, first: int) -> tuple[Tail, int]:
    """The tail as the file has it, and the last `seq` in it; `first` is where it begins when it is empty."""
    rows: Sequence[tuple[int, bytes]] = connection.execute("SELECT seq, data FROM tail ORDER BY seq").fetchall()
    tail = Tail(rows[0][0] if rows else first)
    last = tail.first - 1
    for seq, data in rows:
        try:
            row = _DECODER.decode(decompressed(data))
        except (zstandard.ZstdError, msgspec.DecodeError) as error:
            raise sqlite3.DatabaseError(f"the newest events cannot be read: {error}") from error
        tail.batches.update(row.batches)
        received = [at for count, at in row.arrivals for _ in range(count)]
        ends = list(accumulate(row.lengths, initial=0))
        last = seq + len(row.numbers) - 1
        for place, number in enumerate(row.numbers):
            record = row.records[ends[place] : ends[place + 1]]
            one = stored(seq + place, number, record)
            if one is None:
                continue
            tail.stored.append(one)
            tail.numbers.append(number)
            tail.encoded.append(record)
            tail.received.append(received[place])
            tail.bytes += len(record)
    return tail, last
