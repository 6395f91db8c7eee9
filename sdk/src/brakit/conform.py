"""What leaves has the types of the shape, in clean and bounded text, whatever an instrumentation or an app has put into a record."""

from __future__ import annotations

import math
import re

from brakit import guard, redact
from brakit.events import KINDS, PARTS, Field, camel
from brakit.record import PLAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_TEXT = 64 * 1024
MAX_URL = 8 * 1024
MAX_NAME = 1024


def clean(text: str, limit: int) -> str:
    """`text` as valid UTF-8 without NUL, at most `limit` characters, the cut marked."""
    if len(text) > limit:
        text = uncut(text[:limit]) + "…"
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\0", "\\x00") if "\0" in text else text


def uncut(text: str) -> str:
    """A text that was cut, without the word at its end if that has letters and digits in it: half a secret looks like none."""
    word = _LAST_WORD.search(text, max(0, len(text) - 200))
    mixed = word is not None and any(map(str.isdigit, word[0])) and any(map(str.isalpha, word[0]))
    return text[: word.start()] + redact.MASK if mixed else text  # type: ignore[union-attr]


_LAST_WORD = re.compile(r"[\w.~+/=-]{8,}\Z")


def plain_text(value: object, limit: int) -> str:
    """Clean text of a plain value; nothing of a foreign object runs, it is named by its type. Bytes are latin-1, as HTTP has them."""
    kind = type(value)
    if kind is str:
        return clean(value, limit)  # type: ignore[arg-type]
    if kind is bytes:
        return clean(value[: limit + 1].decode("latin-1"), limit)  # type: ignore[index]
    if kind is tuple and len(value) == 2 and type(value[0]) in (str, bytes):  # type: ignore[arg-type,index]
        # Cut by `plain_value`: the start, and the whole length.
        return plain_text(value[0], limit).removesuffix("…") + "…"  # type: ignore[index]
    if kind in PLAIN or kind.__module__ in ("datetime", "decimal", "uuid"):
        return clean(guard.text_of(value, limit + 1), limit)
    return f"<{kind.__name__}>"


def tidy(value: Any) -> Any:
    """`value`, of plain parts, with clean text in it, masked: a folder's name may hold bytes that are no text, or a token."""
    if type(value) is dict:
        return {plain_text(key, MAX_NAME): tidy(item) for key, item in value.items() if item is not None}
    return redact.short(plain_text(value, MAX_URL)) if type(value) is str else value


def slim(value: Any) -> Any:
    """An event that is too large, with the start of each of its texts and lists."""
    if type(value) is str:
        return value if len(value) <= 8192 else value[:8192] + "…"
    if type(value) is dict:
        return {key: slim(item) for key, item in list(value.items())[:50]}
    if type(value) is list:
        return [slim(item) for item in value[:10]]
    return value


def conform(kind: str, data: dict[str, Any], known: dict[str, object] | None = None) -> dict[str, object]:
    """The fields of one kind under their names on the wire; `known` are fields that have been through here before.

    Raises KeyError for a field that the shape does not know.
    """
    result: dict[str, object] = {} if known is None else dict(known)
    checks, required = _CHECKS[kind]
    for name, value in data.items():
        if value is not None:
            camel_name, check = checks[name]
            value = check(value)
            if value is not None:
                result[camel_name] = value
    for camel_name, neutral in required:
        if camel_name not in result:
            result[camel_name] = neutral
    return result


def _string(value: object) -> str | None:
    return value if type(value) is str and len(value) < 256 and value.isascii() else plain_text(value, 3 * MAX_TEXT)


def _masked(value: object) -> str | None:
    """Text that nobody has masked before: names of what repeats, most of it."""
    text = _string(value)
    return None if text is None else redact.short(text)


def _route(value: object) -> str | None:
    return None if value is None else redact.route(plain_text(value, MAX_URL))


def _strings(value: object) -> list[str]:
    return [plain_text(item, MAX_URL) for item in value] if type(value) in (list, tuple) else []  # type: ignore[attr-defined]


def _object(value: object) -> dict[str, str]:
    return {plain_text(k, MAX_NAME): plain_text(v, 3 * MAX_TEXT) for k, v in value.items()} if type(value) is dict else {}


def integer(value: object) -> int | None:
    return value if type(value) is int and -(2**53) < value < 2**53 else None


def _number(value: object) -> float | None:
    kind = type(value)
    if kind is int:
        return integer(value)
    return value if kind is float and math.isfinite(value) else None  # type: ignore[arg-type,return-value]


def _boolean(value: object) -> bool | None:
    return value if type(value) is bool else None


def _as_it_is(value: object) -> object:
    return value


def _neutral(field: Field) -> object:
    """What a required field says when nothing is known."""
    if field.enum:
        return "OTHER" if "OTHER" in field.enum else field.enum[0]
    return {"string": "", "integer": 0, "number": 0}.get(field.type)


def _check_of(field: Field) -> Callable[[Any], object]:
    if field.enum:
        allowed, neutral = frozenset(field.enum), _neutral(field) if field.required else None
        return lambda value: value if type(value) is str and value in allowed else neutral
    part = field.type.removesuffix("[]")
    if part in _PARTS:
        if part == field.type:
            return lambda value: conform(part, dict(value))
        return lambda value: [conform(part, dict(item)) for item in value]
    if field.type == "string" and field.name not in MASKED:
        return _route if field.name == "route" else _masked
    return _BY_TYPE[field.type]


MASKED = frozenset(
    (
        *("sql", "shape", "message", "stack", "error", "url", "path", "request_body", "response_body"),
        *("id", "span_id", "fetch_id", "error_id", "connection_id", "transaction_id", "shape_hash", "params_hash"),
    )
)
"""Texts that are masked before they come here, each in its own way, and ids of ours."""


_BY_TYPE: dict[str, Callable[[Any], object]] = {
    "string": _string, "string[]": _strings, "object": _object, "integer": integer, "number": _number, "boolean": _boolean,
}  # fmt: skip
# A call site is made once for all events of a line, and its names are the same on the wire.
_BY_TYPE["callsite"] = _as_it_is
_PARTS = frozenset(shape.name for shape in PARTS if shape.name != "callsite")
_CHECKS = {
    shape.name: (
        {f.name: (camel(f.name), _check_of(f)) for f in shape},
        [(camel(f.name), _neutral(f)) for f in shape if f.required],
    )
    for shape in (*PARTS, *KINDS)
}
