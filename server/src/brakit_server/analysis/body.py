"""`Body`: a captured body, read at most once however many rules look at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

LONGEST = 64 * 1024
"""Characters that are read: SDKs send 10 240 at most."""

DEEPEST = 32
"""Levels of objects and arrays that are walked."""

_decode = msgspec.json.Decoder().decode


class Body:
    """A request's or response's body as far as it was captured: hostile, perhaps cut in the middle."""

    def __init__(self, text: str | None, headers: Mapping[str, str]) -> None:
        self.text = (text or "")[:LONGEST]
        self.content_type = headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def json(self) -> Any:
        """What it says in JSON; None where it is none, or cut."""
        if self.text[:1] not in "{[" and self.text.lstrip()[:1] not in ("{", "["):
            return None
        try:
            return _decode(self.text)
        except (msgspec.DecodeError, RecursionError, ValueError):
            return None

    @cached_property
    def cut(self) -> bool:
        """Whether it looks like JSON of which the end is missing."""
        return self.json is None and self.text.lstrip()[:1] in ("{", "[")

    def fields(self, most: int = 2_000) -> Iterator[tuple[str, Any]]:
        """Names and values of all objects in it, at any depth, at most `most`; nothing where it is cut or no JSON."""
        waiting: list[tuple[Any, int]] = [(self.json, 0)]
        while waiting and most > 0:
            value, depth = waiting.pop()
            if isinstance(value, dict):
                for name, inner in value.items():
                    most -= 1
                    if most < 0:
                        return
                    yield name, inner
                inside: Any = value.values()
            elif isinstance(value, list):
                inside = value
            else:
                continue
            if depth < DEEPEST:
                waiting += [(inner, depth + 1) for inner in inside if isinstance(inner, dict | list)]
