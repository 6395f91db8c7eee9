"""Queries that are documents: the names in them, which may be shown, and their values, of which only a hash is."""

from __future__ import annotations

from brakit.record import plain_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_KEYS = 30
MAX_DEPTH = 5
MAX_VALUES = 100


def names_of(value: Any, depth: int = 0) -> object:
    """The names in a filter: pairs of a name and what is below for a document, lists for lists, None for a value; runs none of it."""
    if isinstance(value, dict):
        if depth >= MAX_DEPTH:
            return ()
        keys = list(dict.keys(value))[:MAX_KEYS]
        return tuple((key, names_of(dict.get(value, key), depth + 1)) for key in keys if type(key) is str)
    if type(value) is list:
        below = [names_of(item, depth + 1) for item in value[:MAX_KEYS]] if depth < MAX_DEPTH else []
        # A list of values says no more than one of them.
        return [item for item in below if item is not None] or [None]
    return None


def written(names: object) -> str:
    """What `names_of` found, as a text with `?` for each value."""
    if type(names) is tuple:
        return "{" + ", ".join(f'"{name}": {written(below)}' for name, below in names) + "}"
    if type(names) is list:
        return "[" + ", ".join(written(item) for item in names) + "]"
    return "?"


def leaves_of(value: Any) -> tuple[object, ...]:
    """The values of a query, in their order: enough to tell two executions apart."""
    found: list[object] = []
    _leaves(value, found, 0)
    return tuple(found)


def _leaves(value: Any, found: list[object], depth: int) -> None:
    if len(found) >= MAX_VALUES or depth > MAX_DEPTH:
        return
    if isinstance(value, dict):
        for key in list(dict.keys(value))[:MAX_KEYS]:
            _leaves(dict.get(value, key), found, depth + 1)
    elif type(value) is list:
        for item in value[:MAX_VALUES]:
            _leaves(item, found, depth + 1)
    elif type(value).__name__ == "ObjectId" and type(value).__module__ == "bson.objectid":
        found.append(value.binary)
    else:
        found.append(plain_value(value))
