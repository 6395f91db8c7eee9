"""From an event's `data` to the fields of its record, by the tables of `brakit.events`."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from brakit import redact
from brakit.events import KINDS, PARTS, RESOURCE, Field, Shape, camel
from brakit_server import records

Read = Callable[[object], object]
"""Value of JSON → value of the record; None where the type is wrong."""

LIMITS = {
    "sql": 65_536,
    "shape": 65_536,
    "message": 65_536,
    "stack": 131_072,
    "url": 8_192,
    "error": 8_192,
    "request_body": 10_240,
    "response_body": 10_240,
}
"""Characters kept of a text; of all others `TEXT`."""

TEXT = 1_024
CODE = 4_096
ITEMS = 200
"""Members kept of a list or an object."""

MARGIN = 1_024
"""Characters behind the limit that are looked at, so that the cut does not hide half a secret from its pattern."""

MAX_NUMBER = 2.0**53


@lru_cache(maxsize=2048)
def _short_message(value: str) -> str:
    return redact.text(value)


def _said(value: str) -> str:
    """Short messages repeat."""
    return _short_message(value) if len(value) <= 256 else redact.text(value)


@lru_cache(maxsize=1024)
def _short_route(value: str) -> str:
    return redact.route(value)


def _route(value: str) -> str:
    return _short_route(value) if len(value) <= 256 else redact.route(value)


_SCRUBBED: dict[str, Callable[[str], str]] = {
    "url": redact.url,
    "route": _route,
    "message": _said,
    "stack": redact.text,
    "error": redact.text,
}
"""How texts are scrubbed; all others are short, and repeat."""
_SCRUBBED_LATER = ("sql", "shape", "request_body", "response_body")
_HEADERS = ("headers", "response_headers")
_MORE_ALIASES = {"parent_fetch_id": ("parent_fetch_id",)}
_PARTS = {part.name: getattr(records, part.record) for part in PARTS}


is_plain_id = re.compile(r"[0-9a-f-]{1,64}").fullmatch
"""Whether a text has the look of an id, and of nothing else."""
_KEY = secrets.token_bytes(16)


def identifier(value: str) -> str:
    """An id; one that is a secret, or has one in it, becomes another, so that what belongs together stays together."""
    return value if is_plain_id(value) else _clean(value)


@lru_cache(maxsize=1024)
def _clean(value: str) -> str:
    if redact.text(value) == value:
        return value
    return hashlib.blake2b(value.encode("utf-8", "replace"), digest_size=16, key=_KEY).hexdigest()


class Rejected(Exception):
    """An event that cannot be stored: where (a JSON path below the event), and why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason


class Slots:
    """How to read the objects of one shape."""

    def __init__(self, shape: Shape) -> None:
        self.by_key: dict[str, tuple[str, Read, bool]] = {}
        self.required: list[tuple[str, str]] = []
        for field in shape:
            read = _reader(field)
            key = camel(field.name)
            self.by_key[key] = (field.record, read, True)
            for alias in (*field.aliases, *_MORE_ALIASES.get(field.name, ())):
                self.by_key[alias] = (field.record, read, False)
            if field.required:
                self.required.append((field.record, key))

    def read(self, data: dict[str, Any], *, strict: bool) -> dict[str, Any]:
        """The fields that are there and of the right type. `strict`: raise `Rejected` where a required one is not."""
        values: dict[str, Any] = {}
        first: set[str] = set()
        for key, value in data.items():
            if value is None:
                continue
            slot = self.by_key.get(key)
            if slot is None:
                continue
            name, read, leading = slot
            if name in first:
                continue
            got = read(value)
            if got is None:
                continue
            if leading:
                first.add(name)
            elif name in values:
                continue
            values[name] = got
        if strict:
            for name, key in self.required:
                if name not in values:
                    raise Rejected(
                        f".data.{key}", "is missing" if data.get(key) is None else "has the wrong type or is out of range"
                    )
        return values


def string(limit: int, scrub: Callable[[str], str]) -> Read:
    """Texts up to `limit` characters, scrubbed."""

    def read(value: object) -> object:
        if type(value) is not str:
            return None
        return scrub(value[: limit + MARGIN])[:limit]

    def read_id(value: object) -> object:
        return value if type(value) is str and is_plain_id(value) else read(value)

    return read_id if scrub is identifier else read


def number(value: object) -> float | None:
    """Finite numbers."""
    if type(value) is float:
        # Not true of NaN.
        return value if -MAX_NUMBER <= value <= MAX_NUMBER else None
    if type(value) is int:
        return float(value) if -MAX_NUMBER <= value <= MAX_NUMBER else None
    return None


def milliseconds(value: object) -> float | None:
    """Durations; what is below 0 is a clock that was set, and counts as 0."""
    if type(value) is float and 0.0 <= value <= MAX_NUMBER:
        return value
    found = number(value)
    return None if found is None else max(0.0, found)


def integer(value: object) -> int | None:
    if type(value) is int:
        return value if -MAX_NUMBER <= value <= MAX_NUMBER else None
    found = number(value)
    return None if found is None else int(found)


def boolean(value: object) -> bool | None:
    return value if type(value) is bool else None


def strings(value: object) -> dict[str, str] | None:
    """Objects of texts: structured fields, attributes. Members of other types are left out."""
    if type(value) is not dict:
        return None
    kept = {key[:TEXT]: text[: TEXT + MARGIN] for key, text in list(value.items())[:ITEMS] if type(text) is str}
    return {key: text[:TEXT] for key, text in redact.object(kept).items()}


def headers(value: object) -> dict[str, str] | None:
    """Headers: names lower case, values masked. Members of other types are left out."""
    if type(value) is not dict:
        return None
    kept = {}
    for name, text in list(value.items())[:ITEMS]:
        if type(text) is str:
            lower = redact.short(name[:TEXT]).lower()
            kept[lower] = redact.header(lower, text[: LIMITS["url"] + MARGIN])[: LIMITS["url"]]
    return kept


def counts(value: object) -> dict[str, int] | None:
    """Objects of counts."""
    if type(value) is not dict:
        return None
    found = {redact.short(key[:64]): integer(count) for key, count in list(value.items())[:64]}
    return {key: count for key, count in found.items() if count is not None and count > 0}


def _list(read: Read) -> Read:
    def read_all(value: object) -> object:
        if type(value) is not list:
            return None
        return [item for one in value[:ITEMS] if (item := read(one)) is not None]

    return read_all


def _call_site(value: object) -> object:
    """Call sites repeat: each is looked at once."""
    if type(value) is not dict:
        return None
    file, line, function = value.get("file"), value.get("line"), value.get("function")
    if type(file) is not str or type(line) is not int or type(function) is not str or len(file) + len(function) > CODE:
        return None
    ignore = value.get("ignore")
    return _known_site(file, line, function, ignore if type(ignore) is str and len(ignore) <= CODE else None)


def forget() -> None:
    """What is a secret is now another: look at everything again."""
    for known in (_short_message, _short_route, _clean, _known_site):
        known.cache_clear()


@lru_cache(maxsize=4096)
def _known_site(file: str, line: int, function: str, ignore: str | None) -> records.Callsite | None:
    if not 0 <= line <= MAX_NUMBER:
        return None
    said = redact.text(ignore) if ignore is not None else None
    return records.Callsite(file=redact.text(file), line=line, function=redact.text(function), ignore=said)


def _part(name: str) -> Read:
    if name == "callsite":
        return _call_site
    kind = _PARTS[name]

    def read(value: object) -> object:
        if type(value) is not dict:
            return None
        try:
            return msgspec.convert(_trimmed(value, 5), kind)
        except (msgspec.ValidationError, RecursionError):
            return None

    return read


def _trimmed(value: Any, depth: int) -> Any:
    """A part with its texts scrubbed and cut, its lists cut, and no more levels than parts have."""
    if type(value) is str:
        return redact.text(value[: CODE + MARGIN])[:CODE] if len(value) > 8 else value
    if type(value) is list:
        return (_lines(value[:ITEMS]) or [_trimmed(item, depth - 1) for item in value[:ITEMS]]) if depth else None
    if type(value) is dict:
        return {key: _trimmed(item, depth - 1) for key, item in list(value.items())[:ITEMS]} if depth else None
    if type(value) is float and value.is_integer() and abs(value) < MAX_NUMBER:
        return int(value)
    return value


def _lines(value: list[Any]) -> list[str] | None:
    """Lines of source, scrubbed together: some secrets have several. None for any other list."""
    if not all(type(line) is str for line in value):
        return None
    lines = redact.text("\n".join([line[:CODE].replace("\n", " ") for line in value])).split("\n")
    # A mask has as many lines as what it hides.
    return lines if len(lines) == len(value) else [redact.MASK] * len(value)


def _as_it_is(value: str) -> str:
    return value


def _scrub_of(name: str) -> Callable[[str], str]:
    if name == "id" or name.endswith(("_id", "_hash")):
        return identifier
    return _as_it_is if name in _SCRUBBED_LATER else _SCRUBBED.get(name, redact.short)


def _reader(field: Field) -> Read:
    kind = field.type
    if kind.endswith("[]"):
        return _list(string(TEXT, redact.text) if kind == "string[]" else _part(kind[:-2]))
    if kind == "string":
        return string(LIMITS.get(field.name, TEXT), _scrub_of(field.name))
    if kind == "number":
        return milliseconds if field.record.endswith("_ms") else number
    if kind == "object":
        return headers if field.name in _HEADERS else strings
    simple: dict[str, Read] = {"integer": integer, "boolean": boolean, "counts": counts}
    return simple[kind] if kind in simple else _part(kind)


SLOTS = {kind.name: Slots(kind) for kind in KINDS}
RESOURCE_SLOTS = Slots(RESOURCE)
