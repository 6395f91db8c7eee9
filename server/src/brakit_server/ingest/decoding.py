"""Bytes to a JSON value, whatever the bytes: no size, depth or number in them does harm."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

import msgspec

MAX_BYTES = 10 * 1024 * 1024
"""Size of a body, as sent and inflated."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class Refused(Exception):
    """A payload of which nothing can be stored: `status` is 400, 413 or 415."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def inflate(body: bytes) -> bytes:
    """A gzip body in the clear. Raises `Refused`."""
    inflater = zlib.decompressobj(31)
    try:
        plain = inflater.decompress(body, MAX_BYTES + 1)
    except zlib.error as error:
        raise Refused(400, "The body is not gzip.") from error
    if len(plain) > MAX_BYTES:
        raise Refused(413, "Payload too large")
    if not inflater.eof or inflater.unused_data:
        raise Refused(400, "The body is not one whole gzip stream.")
    return plain


def decoded(body: bytes) -> Any:
    """The JSON value of a body. Raises `Refused`."""
    try:
        return msgspec.json.decode(body)
    except RecursionError as error:
        raise Refused(400, "Invalid JSON: nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _forgiving(body)


def _forgiving(body: bytes) -> Any:
    """JSON that Python's own encoder writes and the standard has no word for: NaN, Infinity, halves of surrogate pairs, numbers of
    any length. They become numbers that are not finite, and replacement characters; the events that need them are rejected."""
    try:
        text = body.decode()
        return _repaired(json.loads(text, parse_int=_int))
    except RecursionError as error:
        raise Refused(400, "Invalid JSON: nested too deeply") from error
    except ValueError as error:
        raise Refused(400, "Invalid JSON") from error


def _int(digits: str) -> int | float:
    return int(digits) if len(digits) < 20 else float(digits)


def _repaired(value: Any) -> Any:
    if type(value) is str:
        return _SURROGATE.sub("\ufffd", value)
    if type(value) is list:
        return [_repaired(item) for item in value]
    if type(value) is dict:
        return {_SURROGATE.sub("\ufffd", key): _repaired(item) for key, item in value.items()}
    return value
