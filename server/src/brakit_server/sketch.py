"""`Sketch`: the distribution of any number of durations in a bounded place, that can be added to another one."""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

GROWTH = 1.04
"""Each bucket is 4 % wider than the one before: a quantile is at most 2 % off."""

SMALLEST_MS = 0.01
LARGEST_MS = 86_400_000.0

_LOG = math.log(GROWTH)
_LANE = 4
"""Bytes of a bucket's count in a packed sketch: 4 thousand million at most."""


class Sketch:
    """Counts in buckets of equal relative width, fewer than 600 of them. The order of adding does not matter."""

    __slots__ = ("_buckets", "count", "largest", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.largest = 0.0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        return (self._buckets, self.total, self.largest) == (other._buckets, other.total, other.largest)

    __hash__ = None  # type: ignore[assignment]

    def add(self, value_ms: float) -> None:
        """Count one duration; below 0 counts as 0, beyond a day as a day."""
        value_ms = min(max(value_ms, 0.0), LARGEST_MS)
        bucket = 0 if value_ms <= SMALLEST_MS else math.ceil(math.log(value_ms / SMALLEST_MS) / _LOG)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1
        self.total += value_ms
        self.largest = max(self.largest, value_ms)

    @classmethod
    def of(cls, counts: dict[int, int], total_ms: float, largest_ms: float) -> Sketch:
        """One with the counts of `buckets`, whose durations add up to `total_ms` and are `largest_ms` at most."""
        made = cls()
        made._buckets = counts
        made.count = sum(counts.values())
        made.total = total_ms
        made.largest = largest_ms
        return made

    def merge(self, other: Sketch) -> None:
        """Count all that `other` has counted."""
        buckets = self._buckets
        for bucket, count in other._buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + count
        self.count += other.count
        self.total += other.total
        self.largest = max(self.largest, other.largest)

    def packed(self) -> bytes:
        """The buckets, in 2 bytes and 4 for each from the first to the last; the sum and the largest are not among them."""
        if not self._buckets:
            return b""
        first = min(self._buckets)
        lanes = array("I", bytes(_LANE * (max(self._buckets) - first + 1)))
        for bucket, count in self._buckets.items():
            lanes[bucket - first] = count
        if sys.byteorder == "big":
            lanes.byteswap()
        return first.to_bytes(2, "little") + lanes.tobytes()

    @classmethod
    def merged(cls, parts: Iterable[bytes], total_ms: float, largest_ms: float) -> Sketch:
        """One of all that was packed in `parts`, whose durations add up to `total_ms` and are `largest_ms` at most."""
        # All counts of a sketch are the digits of one long number: adding two of them is one step.
        digits = 0
        for part in parts:
            digits += int.from_bytes(part[2:], "little") << (8 * _LANE * int.from_bytes(part[:2], "little"))
        made = cls()
        size = -(-digits.bit_length() // (8 * _LANE))
        lanes = array("I", digits.to_bytes(size * _LANE, sys.byteorder))
        if sys.byteorder == "big":
            lanes.reverse()
        made._buckets = {bucket: count for bucket, count in enumerate(lanes) if count}
        made.count = sum(lanes)
        made.total = total_ms
        made.largest = largest_ms
        return made

    def quantile(self, q: float) -> float:
        """The nearest-rank quantile in milliseconds, `q` from 0 to 1; 0 when nothing was added."""
        return _quantile(sorted((self._middle(bucket), count) for bucket, count in self._buckets.items()), q)

    def quantiles(self, *wanted: float) -> list[float]:
        """Several quantiles, which must ascend, in one go."""
        ranks = [max(1, math.ceil(q * self.count)) for q in wanted]
        found: list[float] = []
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            while len(found) < len(ranks) and seen >= ranks[len(found)]:
                found.append(self._middle(bucket))
        return found or [0.0] * len(wanted)

    def median(self) -> float:
        """Milliseconds; 0 when nothing was added."""
        return self.quantile(0.5)

    def mad(self) -> float:
        """Median absolute deviation from the median, in milliseconds."""
        median = self.median()
        return _quantile(sorted((abs(self._middle(bucket) - median), count) for bucket, count in self._buckets.items()), 0.5)

    def mean(self) -> float:
        """Milliseconds; 0 when nothing was added."""
        return self.total / self.count if self.count else 0.0

    def _middle(self, bucket: int) -> float:
        if bucket == 0:
            return SMALLEST_MS / 2
        return min(SMALLEST_MS * math.pow(GROWTH, bucket - 0.5), self.largest)


def buckets(values_ms: Sequence[float]) -> dict[int, int]:
    """How many of some durations are in which bucket of a sketch."""
    if not values_ms:
        return {}
    values = values_ms
    if not (min(values) >= 0.0 and max(values) <= LARGEST_MS):
        values = [min(max(value, 0.0), LARGEST_MS) if value == value else 0.0 for value in values_ms]
    log, ceil = math.log, math.ceil
    return dict(Counter([ceil(log(value / SMALLEST_MS) / _LOG) if value > SMALLEST_MS else 0 for value in values]))


def _quantile(weighted: list[tuple[float, int]], q: float) -> float:
    rank = max(1, math.ceil(q * sum(count for _, count in weighted)))
    for value, count in weighted:
        rank -= count
        if rank <= 0:
            return value
    return 0.0


def quantile(values: list[float], q: float) -> float:
    """The nearest-rank quantile of `values`; 0 when there are none."""
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)] if values else 0.0


def median(values: list[float]) -> float:
    """The lower median of `values`; 0 when there are none."""
    return quantile(values, 0.5)


def mad(values: list[float]) -> float:
    """Median absolute deviation from the median of `values`."""
    middle = median(values)
    return median([abs(value - middle) for value in values])
