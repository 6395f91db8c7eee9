"""The server of the accounting: takes batches, changes its temper, and knows what came from whom."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from sdk.tests.conftest import Sink, parse, whole

TEMPERS = ("ok", "slow", "503", "500", "reset", "cut", "hang", "400", "restart")


@dataclass
class Account:
    """What has come in from one process."""

    numbers: set[int] = field(default_factory=set)
    twice: int = 0
    strangers: int = 0
    """Events under this process that another one has emitted."""
    dropped: Counter[str] = field(default_factory=Counter)


class Recorder(Sink):
    """A `Sink` that keeps numbers, not events: a million of them fit."""

    def __init__(self) -> None:
        self.accounts: defaultdict[int, Account] = defaultdict(Account)
        self.ids: set[str] = set()
        self.same_ids = 0
        self.spans: dict[str, tuple[int, int]] = {}
        self.owners: list[tuple[str, int, int]] = []
        self.taking = threading.Lock()
        super().__init__()
        self.shares = True
        self.raw = deque(maxlen=1)  # type: ignore[assignment]
        self.headers = deque(maxlen=1)  # type: ignore[assignment]

    def take(self, raw: bytes, skip: int = 0) -> bool:
        payload = parse(raw)
        with self.taking:
            if payload["batchId"] in self.batches:
                self.resent += 1
                return payload["batchId"] in self.refused
            self.batches.add(payload["batchId"])
            if skip:
                self.refused.add(payload["batchId"])
            account = self.accounts[payload["resource"]["pid"]]
            account.dropped.update(payload.get("dropped", {}))
            for event in whole(payload)[skip:]:
                self.note(payload["resource"]["pid"], account, event)
        return bool(skip)

    def note(self, sender: int, account: Account, event: dict[str, Any]) -> None:
        data = event["data"]
        pid, number, outer = (data["name"] if event["type"] == "span" else data["message"]).split()
        account.strangers += int(pid) != sender
        account.twice += int(number) in account.numbers
        account.numbers.add(int(number))
        # Events in parts come without ids of their own.
        for id in filter(None, (event.get("id"), data.get("spanId"))):
            self.same_ids += id in self.ids
            self.ids.add(id)
        if event["type"] == "span":
            self.spans[data["spanId"]] = (sender, int(number))
        else:
            self.owners.append((event["parentId"], sender, int(outer)))

    def wrong_owners(self) -> int:
        """Logs under a span that is not the one around them; a span that was dropped cannot tell."""
        return sum(self.spans.get(parent, (pid, outer)) != (pid, outer) for parent, pid, outer in self.owners)

    def be_moody(self, until: threading.Event, seed: int) -> Counter[str]:
        """Change the temper every now and then, each in its turn; at the end it is a good one. Returns how often it had which."""
        mood = random.Random(seed)
        seen: Counter[str] = Counter()
        coming: list[str] = []
        while not until.is_set():
            coming = coming or mood.sample(TEMPERS, len(TEMPERS))
            temper = coming.pop()
            seen[temper] += 1
            if temper == "restart":
                self.close()
                until.wait(mood.uniform(0.1, 0.5))
                self.open()
                temper = "ok"
            self.mode = temper
            until.wait(mood.uniform(0.1, 0.5))
            # Whoever hangs is answered at last.
            self.gate.set()
            self.gate = threading.Event()
        self.mode = "ok"
        return seen
