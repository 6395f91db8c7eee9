"""Our own hold on the clocks, taken when brakit is imported: a test that freezes time must not freeze us.

Not the functions themselves: freezegun looks for those in every module and replaces them.
"""

from __future__ import annotations

import time

from brakit.native import original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

clock: Callable[[], int] = time.perf_counter_ns.__call__  # type: ignore[operator]
"""Monotonic nanoseconds: what durations are made of."""
wall: Callable[[], int] = time.time_ns.__call__  # type: ignore[operator]
"""Unix epoch nanoseconds."""
monotonic: Callable[[], float] = time.monotonic.__call__  # type: ignore[operator]
"""Seconds, for deadlines."""
sleep: Callable[[float], None] = original("time", "sleep").__call__
