"""Blocks: the records of one kind in one segment, compressed, any of them readable without the others."""

from __future__ import annotations

import sys
import threading
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import zstandard

from brakit_server.stores import Stored
from brakit_server.stores.sqlite.kinds import stored

LEVEL = 1
NOBODY = 0xFFFF
"""Stands for an event that has no owner."""

LARGEST = 512 * 1024 * 1024
"""Bytes that a block may come to: what claims to be larger is damaged."""

_local = threading.local()


_FOLD_TO_ASCII = ("\u017f".encode(), "\u212a".encode())
"""The two letters beyond ASCII that are letters of ASCII in the other case."""


class Sought(NamedTuple):
    """What must stand in the JSON of a record, so that others need not be read."""

    text: bytes
    folded: bool = False
    """Whether it is in lower case, and may stand there in any."""


class Block:
    """Records of one kind, in the order of their `seq`."""

    __slots__ = ("_ends", "_offsets", "_raw", "_records", "first", "length", "number", "slots")

    def __init__(self, first: int, number: int, length: int, data: bytes) -> None:
        """`first`: the first `seq` of the segment. Raises `zstandard.ZstdError` or `ValueError` where the data are damaged."""
        raw = decompressed(data)
        if len(raw) < 8 * length:
            raise ValueError("a block is shorter than it says")
        self.first = first
        self.number = number
        self.length = length
        self._offsets = _numbers("H", raw[: 2 * length])
        self.slots = _numbers("H", raw[2 * length : 4 * length])
        self._ends = list(accumulate(_numbers("I", raw[4 * length : 8 * length]), initial=8 * length))
        self._raw = raw
        self._records = memoryview(raw)

    def seq(self, place: int) -> int:
        return self.first + self._offsets[place]

    def at(self, place: int) -> Stored | None:
        """One record; None where it is damaged."""
        return stored(self.seq(place), self.number, self._records[self._ends[place] : self._ends[place + 1]])

    def holding(self, sought: Sought | None) -> Iterator[int]:
        """The places of the records in whose JSON `sought` stands, newest first; all where it is None."""
        if sought is None:
            yield from range(self.length - 1, -1, -1)
            return
        raw = self._raw
        if sought.folded:
            if not raw.isascii() and any(odd in raw for odd in _FOLD_TO_ASCII):
                yield from range(self.length - 1, -1, -1)
                return
            raw = raw.lower()
        ends, end = self._ends, len(raw)
        # What is found left of the records, among their numbers, is in none of them.
        while (found := raw.rfind(sought.text, ends[0], end)) >= 0:
            place = bisect_right(ends, found) - 1
            yield place
            end = ends[place]

    def all(self) -> Iterator[Stored]:
        """Oldest first."""
        return (one for place in range(self.length) if (one := self.at(place)) is not None)


def packed(offsets: Sequence[int], slots: Sequence[int], records: Sequence[bytes]) -> bytes:
    """The data of a block: each record's place in the segment, its owner's slot, its length, and the records."""
    lengths = array("I", map(len, records))
    return _compressor().compress(b"".join((_bytes(array("H", offsets)), _bytes(array("H", slots)), _bytes(lengths), *records)))


def compressed(raw: bytes) -> bytes:
    """Quickly, for what is soon packed anew."""
    return _quick().compress(raw)


def decompressed(data: bytes) -> bytes:
    """Raises `zstandard.ZstdError`."""
    if zstandard.frame_content_size(data) > LARGEST:
        # The limit below counts only where the data do not say their size, and room is made for whatever they say.
        raise zstandard.ZstdError("the data claim to be larger than any that are stored")
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
