"""The shape of a JSON answer: which names it has where, and of what types. Never a value, and no name that is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brakit_server.analysis.endpoint import templated
from brakit_server.details import ShapeChange

PATHS = 500
DEPTH = 12
ITEMS = 50
"""Of a list, looked at."""
NAMES = 100
"""An object with more of them is a map: its names are data."""

Shape = dict[str, frozenset[str]]
"""Types by path: `items[].id` → `number`; the whole is the empty path."""


def shape_of(value: Any) -> Shape:
    """Of JSON that was read."""
    found: dict[str, set[str]] = {}
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    while waiting:
        path, each, depth = waiting.pop()
        if path not in found and len(found) >= PATHS:
            continue
        found.setdefault(path, set()).add(_type(each))
        if depth < DEPTH and isinstance(each, dict):
            several = len(each) > NAMES
            waiting += [(_inside(path, "*" if several else _name(name)), inner, depth + 1) for name, inner in each.items()]
        elif depth < DEPTH and isinstance(each, list):
            waiting += [(f"{path}[]", inner, depth + 1) for inner in each[:ITEMS]]
    return {path: frozenset(types) for path, types in found.items()}


def changes(before: Sequence[Shape], after: Sequence[Shape]) -> list[ShapeChange]:
    """What all of `after` have otherwise than all of `before`, by path. What is there only now and then is no change, and neither is
    what is inside something that is not there."""
    found: list[ShapeChange] = []
    for path in sorted({*_paths(before), *_paths(after)}):
        if any(change.path and path.startswith((f"{change.path}.", f"{change.path}[]")) for change in found):
            continue
        was, then = _seen(before, path), _seen(after, path)
        if was is None or then is None:
            continue
        gone = bool(was) and all(was) and not any(then)
        new = bool(then) and all(then) and not any(was)
        types, others = ({each for one in seen for each in one if each != "null"} for seen in (was, then))
        if gone or new or (types and others and types != others and not types & others):
            found.append(
                ShapeChange(
                    path=path, before="|".join(sorted(types)) or _null(was), after="|".join(sorted(others)) or _null(then)
                )
            )
    return found


def _null(seen: list[frozenset[str]]) -> str | None:
    return "null" if any(seen) else None


def _paths(shapes: Sequence[Shape]) -> set[str]:
    return {path for shape in shapes for path in shape}


def _seen(shapes: Sequence[Shape], path: str) -> list[frozenset[str]] | None:
    """Types at the path in each of them that could have it; None where none could."""
    above, of = _parent(path)
    able = [shape.get(path, frozenset()) for shape in shapes if above is None or of in shape.get(above, ())]
    if of == "array":
        able = [types for types in able if types]
    return able or None


def _parent(path: str) -> tuple[str | None, str]:
    if not path:
        return None, ""
    if path.endswith("[]"):
        return path[:-2], "array"
    return path.rpartition(".")[0], "object"


def _inside(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _name(name: str) -> str:
    return templated(name.replace(".", "·").replace("/", "·"))[:100]


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
