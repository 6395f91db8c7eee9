"""The shape of a query, and what a rule must know of its text."""

from __future__ import annotations

import re
from functools import lru_cache

from brakit_server.records import Query

_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_STRING = re.compile(r"'(?:[^']|'')*'")
_VALUE = re.compile(r"\$\d+(?:::\w+)?|%\(\w+\)s|%s|(?<![:\w]):[A-Za-z_]\w*|\?\d*|(?<![\w.\"])-?\d+(?:\.\d+)?(?![\w\"])")
_SPACE = re.compile(r"\s+")
_IN = re.compile(r"\bin\s*\(\s*(\?\s*(?:,\s*\?\s*)*)\)", re.IGNORECASE)

_BOUND = re.compile(r"\blimit\b|\bfetch\s+(?:first|next)\b|\btop\s*\(?\s*[?\d]", re.IGNORECASE)
_CATALOGUE = re.compile(
    r"\b(?:information_schema|pg_catalog|pg_\w+|sqlite_master|sqlite_schema|pragma\w*|mysql\.|performance_schema)", re.IGNORECASE
)

_TEXT_LIMIT = 20_000


def shape_key(query: Query) -> str:
    """Equal for queries that differ in their values only: the hash that every stored query has."""
    return query.shape_hash or f"{query.operation} {query.sql or query.model or query.table}"


@lru_cache(maxsize=1024)
def unified(sql: str) -> str:
    """The text without comments, every value and placeholder a `?`, white space single. Lists keep their length."""
    return _SPACE.sub(" ", _VALUE.sub("?", _STRING.sub("?", _COMMENT.sub(" ", sql[:_TEXT_LIMIT])))).strip()


def list_length(sql: str) -> int:
    """The length of the longest `IN (…)` list of values; 0 when there is none."""
    return max((found.group(1).count("?") for found in _IN.finditer(unified(sql))), default=0)


def values_outside_lists(sql: str) -> int:
    """How many values or placeholders stand outside `IN (…)` lists."""
    return _IN.sub("", unified(sql)).count("?")


@lru_cache(maxsize=2048)
def bounded(sql: str) -> bool:
    """Whether the text itself says how many rows it brings at most."""
    return bool(_BOUND.search(sql[:_TEXT_LIMIT]))


@lru_cache(maxsize=2048)
def of_catalogue(sql: str) -> bool:
    """Whether it asks the database about itself."""
    return bool(_CATALOGUE.search(sql[:_TEXT_LIMIT]))
