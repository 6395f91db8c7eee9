"""`Body`: a captured body, read at most once however many rules look at it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

LONGEST = 64 * 1024
"""Characters that are read: SDKs send 10 240 at most."""

DEEPEST = 32
"""Levels of objects and arrays that are walked."""

MOST_FIELDS = 5_000
"""Names that `objects` has in all."""

_decode = msgspec.json.Decoder().decode
_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)("?)|([{}\[\],:])|([^\s"{}\[\],:]++)', re.DOTALL)
_WORDS = {"true": True, "false": False, "null": None}


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

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """Each object in it, at any depth, with its names and plain values; True stands for an object or array that is not empty.

        Of JSON that is cut too, as far as it goes. Strings of cut JSON keep their escapes.
        """
        if self.json is not None:
            return _objects(self.json)
        return _scanned(self.text) if self.cut else []

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


def _objects(whole: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    waiting: list[tuple[Any, int]] = [(whole, 0)]
    left = MOST_FIELDS
    while waiting and left > 0:
        value, depth = waiting.pop()
        if isinstance(value, dict):
            kept = list(value.items())[:left]
            left -= len(kept)
            found.append({name: bool(inner) if isinstance(inner, dict | list) else inner for name, inner in kept})
            inside: Any = [inner for _, inner in kept]
        else:
            inside = value
        if depth < DEEPEST:
            waiting += [(inner, depth + 1) for inner in reversed(inside) if isinstance(inner, dict | list)]
    return found


def _scanned(text: str) -> list[dict[str, Any]]:
    """The same of what is cut: one walk over its tokens, whatever they say."""
    found: list[dict[str, Any]] = []
    open_ones: list[dict[str, Any] | None] = []
    name: str | None = None
    last: str | None = None
    left = MOST_FIELDS
    for match in _TOKEN.finditer(text):
        string, closed, sign, word = match.groups()
        here = open_ones[-1] if open_ones else None
        if string is not None:
            if name is None:
                last = string if closed else None
            elif here is not None and left > 0:
                here[name], name, left = string, None, left - 1
        elif sign == ":":
            name, last = last, None
        elif sign in ("{", "["):
            if name is not None and here is not None:
                here[name] = True
            name = last = None
            opened: dict[str, Any] | None = {} if sign == "{" else None
            if opened is not None:
                found.append(opened)
            if len(found) + len(open_ones) > MOST_FIELDS:
                break
            open_ones.append(opened)
        elif sign in ("}", "]"):
            name = last = None
            if open_ones:
                open_ones.pop()
        elif sign == ",":
            name = last = None
        elif word is not None and match.end() < len(text) and name is not None and here is not None and left > 0:
            here[name], name, left = _WORDS.get(word, _number(word)), None, left - 1
    return found


def _number(word: str) -> float | str:
    try:
        return float(word[:32])
    except ValueError:
        return word[:32]
