"""A route as Django joins it, some of them regular expressions, as a template: `^orders/(?P<pk>[0-9]+)/$` is `orders/<pk>/`."""

from __future__ import annotations

MAX_ROUTES = 1000
_templates: dict[str, str] = {}
"""A few dozen, the same for every request."""


def template(route: str) -> str:
    """`route` without what a regular expression has in it: named groups become `<name>`, others `<var>`. That of `path()` stays."""
    known = _templates.get(route)
    if known is None:
        if len(_templates) >= MAX_ROUTES:
            _templates.clear()
        known = _templates[route] = simplified(route) if any(mark in route for mark in "^$(\\") else route
    return known


def simplified(pattern: str) -> str:
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\" and position + 1 < len(pattern):
            position += 1
            escaped = pattern[position]
            if escaped not in "AZzbB":  # marks of a place, not of a character
                parts.append(f"\\{escaped}" if escaped.isalnum() else escaped)
        elif character == "(":
            end = closing(pattern, position)
            parts.append(group(pattern[position + 1 : end]))
            position = end
        elif character not in "^$?*+":
            parts.append(character)
        position += 1
    return "".join(parts)


def group(inner: str) -> str:
    if inner.startswith("?P<"):
        return f"<{inner[3:].partition('>')[0]}>"
    if inner.startswith("?:"):
        return simplified(inner[2:])
    return "" if inner.startswith("?") else "<var>"


def closing(pattern: str, start: int) -> int:
    """Where the group ends that begins at `start`."""
    depth = 0
    in_class = False
    position = start
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            position += 1
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return len(pattern)
