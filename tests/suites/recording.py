"""The server that a suite's events go to: it counts them, and holds them against the schema."""

from __future__ import annotations

import threading
from collections import Counter, deque

from sdk.tests.conftest import VALIDATOR, Sink, parse, whole

CHECKED_EACH = 200
"""Events of each kind that are all held against the schema; of those beyond, one in fifty is."""


class Recorder(Sink):
    """A `Sink` that keeps numbers, not events: `kinds`, `drops` by reason, `failures` of ours by place, `problems` with the shape."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()
        self.failures: dict[str, str] = {}
        self.taking = threading.Lock()
        super().__init__()
        self.shares = True
        self.raw = deque(maxlen=1)  # type: ignore[assignment]
        self.headers = deque(maxlen=1)  # type: ignore[assignment]

    def take(self, raw: bytes, skip: int = 0) -> bool:
        payload = parse(raw)
        with self.taking:
            if payload["batchId"] in self.batches:
                return False
            self.batches.add(payload["batchId"])
            self.drops.update(payload.get("dropped", {}))
            self.failures.update(payload["resource"].get("failures") or {})
            checked = []
            for event, full in zip(payload["events"], whole(payload), strict=True):
                self.kinds[full["type"]] += 1
                if self.kinds[full["type"]] < CHECKED_EACH or self.kinds[full["type"]] % 50 == 0:
                    checked.append(event)
            found = VALIDATOR.iter_errors({**payload, "events": checked}) if checked else ()
            self.problems += [f"{error.json_path}: {error.message[:300]}" for error in found]
        return False

    def told(self) -> str:
        """What has come, in a line."""
        return ", ".join(f"{number:,} {kind}" for kind, number in self.kinds.most_common()) or "nothing"
