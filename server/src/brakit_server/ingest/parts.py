"""Events in parts: what events of a batch have in common stands in the payload once, under `shared`, and an event names its parts.

An event that is a list is a row: its columns, its parts, its time, and its values in the order of the columns (docs/protocol.md).
"""

from __future__ import annotations

from typing import Any

import msgspec

from brakit_server.ingest.decoding import Refused
from brakit_server.ingest.fields import Rejected, number

ACCEPTS = {"brakit-accepts": "shared, rows"}
"""What senders learn from an answer: this server reads events in parts, and as rows."""

MAX_PARTS = 16
"""Parts of one event."""

MAX_EXPANDED = 256 * 1024 * 1024
"""Bytes that the parts of a batch may come to when each event has its own: a small body must not become a large one."""


class Parts:
    """The parts of one payload. Raises `Refused` for what is no list of objects."""

    def __init__(self, shared: object, columns: object = None, base: object = None) -> None:
        if type(shared) is not list or not all(type(part) is dict for part in shared):
            raise Refused(400, "Invalid batch: shared is not a list of objects")
        columns = [] if columns is None else columns
        if type(columns) is not list or not all(type(names) is list and set(map(type, names)) <= {str} for names in columns):
            raise Refused(400, "Invalid batch: columns is not a list of lists of strings")
        start = number(base) if base is not None else 0.0
        if start is None:
            raise Refused(400, "Invalid batch: base is not a number")
        self._parts: list[dict[str, Any]] = shared
        self._columns: list[list[str]] = columns
        self._base = start
        self._sizes: dict[int, int] = {}
        self.expanded = 0
        """Bytes that the parts of all events read so far come to."""

    def row(self, row: list[Any]) -> dict[str, Any]:
        """The event that a row says. Raises `Rejected`, `Refused`."""
        if len(row) < 3:
            raise Rejected("", "is a row without columns, parts and time")
        index, of, time, *values = row
        if type(index) is not int or not 0 <= index < len(self._columns):
            raise Rejected("[0]", "names no columns")
        moved = number(time)
        if moved is None:
            raise Rejected("[2]", "is not a number")
        names = self._columns[index]
        if len(values) > len(names):
            raise Rejected("", "has more values than columns")
        data = {name: value for name, value in zip(names, values, strict=False) if value is not None}
        return self.whole({"of": of, "timestamp": self._base + moved / 1000, "data": data})

    def whole(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event with its parts in it: its own fields win, then those of later parts. Raises `Rejected`, `Refused`."""
        of = event.pop("of")
        if type(of) is not list or len(of) > MAX_PARTS:
            raise Rejected(".of", "is not a list of up to 16 numbers")
        whole: dict[str, Any] = {}
        data: dict[str, Any] = {}
        for place, index in enumerate(of):
            if type(index) is not int or not 0 <= index < len(self._parts):
                raise Rejected(f".of[{place}]", "names no part of shared")
            part = self._parts[index]
            self.expanded += self._sizes.get(index) or self._size(index)
            whole |= part
            inner = part.get("data")
            if type(inner) is dict:
                data |= inner
        if self.expanded > MAX_EXPANDED:
            raise Refused(413, "Payload too large: its events with their parts")
        whole |= event
        owner = whole.pop("owner", None)
        if owner is not None:
            # All the ids of what a request owns, where they are the same; and its own.
            for name in ("requestId", "traceId", "parentId"):
                whole.setdefault(name, owner)
            if whole.get("type") == "request":
                whole.setdefault("id", owner)
        own = event.get("data", data)
        whole["data"] = data | own if type(own) is dict else own
        return whole

    def _size(self, number: int) -> int:
        self._sizes[number] = size = len(msgspec.json.encode(self._parts[number]))
        return size
