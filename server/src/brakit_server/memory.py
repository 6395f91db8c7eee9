"""How much memory the process has, and a ceiling above which senders are asked to wait."""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

CHECK_SECONDS = 0.2
"""The memory is looked at no more often."""

GIVE_BACK_SECONDS = 2.0
"""Wait between two attempts to give unused memory back."""

_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident() -> int | None:
    """Bytes of memory that the process has now; None where the system does not say."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return None


def give_back() -> None:
    """Return to the system what is not in use: the C library would keep it."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        # Another C library: it has its own ways.
        return


class Ceiling:
    """Whether the process has more than `most` bytes. There is no ceiling where the system does not say how many it has."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._looked = float("-inf")
        self._gave_back = float("-inf")
        self._above = False

    def is_reached(self) -> bool:
        """Cheap: looks now and then. While it is reached, what can be freed is freed, so that it does not stay so."""
        now = self._clock()
        if now < self._looked + CHECK_SECONDS:
            return self._above
        self._looked = now
        self._above = (resident() or 0) > self.most
        if self._above and now >= self._gave_back + GIVE_BACK_SECONDS:
            self._gave_back = now
            give_back()
            self._above = (resident() or 0) > self.most
        return self._above
