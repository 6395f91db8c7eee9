"""The key of an endpoint, and of what is called: what requests have in common that differ in ids only."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from brakit_server.records import Fetch, Request

_DIGITS = re.compile(r"\d+")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_HEX = re.compile(r"(?=.*\d)[0-9a-fA-F]{12,}")
_ULID = re.compile(r"(?=.*\d)[0-7](?:[0-9A-HJKMNP-TV-Z]{25}|[0-9a-hjkmnp-tv-z]{25})")
_IDS = (_DIGITS, _UUID, _HEX, _ULID)


def key_of(request: Request) -> str:
    """`METHOD route`; without a route, `METHOD path` with the segments that are certainly ids replaced by `:id`."""
    return f"{request.method} {request.route or templated(request.path or request.url.partition('?')[0])}"


def templated(path: str) -> str:
    """The path with ids replaced: all digits, UUIDs, ULIDs, and hex of 12 characters and more with a digit in it."""
    return "/".join(":id" if any(kind.fullmatch(part) for kind in _IDS) else part for part in path.split("/"))


def target_of(fetch: Fetch) -> str:
    """What an outgoing call is to: `METHOD host/path` with ids in the path replaced."""
    return _target(fetch.method, fetch.url)


@lru_cache(maxsize=2048)
def _target(method: str, url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{method} {url}"
    return f"{method} {parts.netloc.rpartition('@')[2]}{templated(parts.path)}"
