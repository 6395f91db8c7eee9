"""Events in parts: what events of a batch have in common stands in the payload once, under `shared`, and an event names its parts."""

from __future__ import annotations

from typing import Any

import msgspec

from brakit_server.ingest.decoding import Refused
from brakit_server.ingest.fields import Rejected

ACCEPTS = {"brakit-accepts": "shared"}
"""What senders learn from an answer: this server reads events in parts."""

MAX_PARTS = 16
"""Parts of one event."""

MAX_EXPANDED = 256 * 1024 * 1024
"""Bytes that the parts of a batch may come to when each event has its own: a small body must not become a large one."""


class Parts:
    """The parts of one payload. Raises `Refused` for what is no list of objects."""

    def __init__(self, shared: object) -> None:
        if type(shared) is not list or not all(type(part) is dict for part in shared):
            raise Refused(400, "Invalid batch: shared is not a list of objects")
        self._parts: list[dict[str, Any]] = shared
        self._sizes: dict[int, int] = {}
        self._expanded = 0

    def whole(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event with its parts in it: its own fields win, then those of later parts. Raises `Rejected`, `Refused`."""
        of = event.pop("of")
        if type(of) is not list or len(of) > MAX_PARTS:
            raise Rejected(".of", "is not a list of up to 16 numbers")
        whole: dict[str, Any] = {}
        data: dict[str, Any] = {}
        for place, number in enumerate(of):
            if type(number) is not int or not 0 <= number < len(self._parts):
                raise Rejected(f".of[{place}]", "names no part of shared")
            part = self._parts[number]
            self._expanded += self._sizes.get(number) or self._size(number)
            whole |= part
            inner = part.get("data")
            if type(inner) is dict:
                data |= inner
        if self._expanded > MAX_EXPANDED:
            raise Refused(413, "Payload too large: its events with their parts")
        whole |= event
        own = event.get("data", data)
        whole["data"] = data | own if type(own) is dict else own
        return whole

    def _size(self, number: int) -> int:
        self._sizes[number] = size = len(msgspec.json.encode(self._parts[number]))
        return size
