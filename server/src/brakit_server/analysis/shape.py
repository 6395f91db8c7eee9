"""The shape of a statement, for senders that send none, and what a rule must know of its text."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from brakit_server.records import Query

_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_STRING = re.compile(r"'(?:[^']|'')*'")
_PLACEHOLDER = re.compile(r"\$\d+(?:::\w+)?|%\(\w+\)s|%s|(?<![:\w]):[A-Za-z_]\w*|\?\d*|(?<![\w.\"])-?\d+(?:\.\d+)?(?![\w\"])")
_SPACE = re.compile(r"\s+")
_LIST = re.compile(r"\(\s*\?\s*(?:,\s*\?\s*)*\)")
_ROWS = re.compile(r"\(\?…\)(?:\s*,\s*\(\?…\))+")
_IN = re.compile(r"\bin\s*\(\s*(\?\s*(?:,\s*\?\s*)*)\)", re.IGNORECASE)

_TEXT_LIMIT = 20_000


def shape_key(query: Query) -> str:
    """16 hex digits, equal for statements that differ in their values only; the sender's own where it sent one."""
    if query.shape_hash:
        return query.shape_hash
    return _digest(collapsed(query.sql) if query.sql else f"{query.operation}:{query.model or query.table}")


@lru_cache(maxsize=2048)
def unified(sql: str) -> str:
    """The text without comments, every value and placeholder a `?`, white space single. Lists keep their length."""
    text = _STRING.sub("?", _COMMENT.sub(" ", sql[:_TEXT_LIMIT]))
    return _SPACE.sub(" ", _PLACEHOLDER.sub("?", text)).strip()


@lru_cache(maxsize=2048)
def collapsed(sql: str) -> str:
    """`unified`, with every list of values one length."""
    return _ROWS.sub("(?…)", _LIST.sub("(?…)", unified(sql))).lower()


@lru_cache(maxsize=2048)
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def list_length(sql: str) -> int:
    """The length of the longest `IN (…)` list of values; 0 when there is none."""
    return max((found.group(1).count("?") for found in _IN.finditer(unified(sql))), default=0)


def values_outside_lists(sql: str) -> int:
    """How many values or placeholders stand outside `IN (…)` lists."""
    return _IN.sub("", unified(sql)).count("?")
