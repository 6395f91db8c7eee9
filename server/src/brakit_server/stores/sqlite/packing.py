"""Blocks: the records of one kind in one segment, compressed, any of them readable without the others."""

from __future__ import annotations

import sys
import threading
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate

import zstandard

from brakit_server.stores import Stored
from brakit_server.stores.sqlite.kinds import stored

LEVEL = 1
NOBODY = 0xFFFF
"""Stands for an event that has no owner."""

LARGEST = 512 * 1024 * 1024
"""Bytes that a block may come to: what claims to be larger is damaged."""

_local = threading.local()


class Block:
    """Records of one kind, in the order of their `seq`."""

    __slots__ = ("_ends", "_offsets", "_records", "first", "length", "number", "slots")

    def __init__(self, first: int, number: int, length: int, data: bytes) -> None:
        """`first`: the first `seq` of the segment. Raises `zstandard.ZstdError` or `ValueError` where the data are damaged."""
        raw = _decompressor().decompress(data, max_output_size=LARGEST)
        if len(raw) < 8 * length:
            raise ValueError("a block is shorter than it says")
        self.first = first
        self.number = number
        self.length = length
        self._offsets = _numbers("H", raw[: 2 * length])
        self.slots = _numbers("H", raw[2 * length : 4 * length])
        self._ends = list(accumulate(_numbers("I", raw[4 * length : 8 * length]), initial=8 * length))
        self._records = memoryview(raw)

    def seq(self, place: int) -> int:
        return self.first + self._offsets[place]

    def at(self, place: int) -> Stored | None:
        """One record; None where it is damaged."""
        return stored(self.seq(place), self.number, self._records[self._ends[place] : self._ends[place + 1]])

    def json(self, place: int) -> memoryview:
        """One record as it was encoded."""
        return self._records[self._ends[place] : self._ends[place + 1]]

    def all(self) -> Iterator[Stored]:
        """Oldest first."""
        return (one for place in range(self.length) if (one := self.at(place)) is not None)

    def of(self, slot: int) -> Iterator[Stored]:
        """The records of one owner, by its slot in the segment."""
        return (one for place, owner in enumerate(self.slots) if owner == slot and (one := self.at(place)) is not None)


def packed(offsets: Sequence[int], slots: Sequence[int], records: Sequence[bytes]) -> bytes:
    """The data of a block: each record's place in the segment, its owner's slot, its length, and the records."""
    lengths = array("I", map(len, records))
    return _compressor().compress(b"".join((_bytes(array("H", offsets)), _bytes(array("H", slots)), _bytes(lengths), *records)))


def compressed(raw: bytes) -> bytes:
    """Quickly, for what is soon packed anew."""
    return _quick().compress(raw)


def decompressed(data: bytes) -> bytes:
    """Raises `zstandard.ZstdError`."""
    return _decompressor().decompress(data, max_output_size=LARGEST)


def _numbers(code: str, raw: bytes) -> array[int]:
    found = array(code, raw)
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _bytes(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


# Contexts are dear to make, and one must not be used by two threads.


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    made: zstandard.ZstdCompressor = _local.compressor
    return made


def _quick() -> zstandard.ZstdCompressor:
    if not hasattr(_local, "quick"):
        _local.quick = zstandard.ZstdCompressor(level=-5, write_checksum=True)
    made: zstandard.ZstdCompressor = _local.quick
    return made


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    made: zstandard.ZstdDecompressor = _local.decompressor
    return made
