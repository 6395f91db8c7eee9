"""What a filter is once it is read: comparisons joined by AND, OR and NOT; and how it is written again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as declared
from typing import Literal

Operator = Literal[":", "=", ">", ">=", "<", "<=", "~"]

TEXT = "text"
"""The field that a free word is compared with: the main texts of an event."""


class FilterError(Exception):
    """A filter that cannot be read: what is wrong, where (`column`, characters from 1), and what could stand there instead."""

    def __init__(self, error: str, column: int, expected: tuple[str, ...] = ()) -> None:
        super().__init__(f"{error} (column {column})")
        self.error = error
        self.column = column
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Value:
    """What a field is compared with. `literal`: a `*` in it is a star and nothing else."""

    text: str
    literal: bool = False
    column: int = declared(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """A field against a list of values: any of them. `key` is the name behind the dot of `header.x`."""

    field: str
    operator: Operator
    values: tuple[Value, ...]
    key: str | None = None
    column: int = declared(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Node, ...]


Node = Compare | Not | And | Or


def comparisons(node: Node) -> Iterator[Compare]:
    """Every comparison, from left to right."""
    match node:
        case Compare():
            yield node
        case Not(part):
            yield from comparisons(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from comparisons(part)


def text_of(node: Node) -> str:
    """The filter in words; reading it gives an equal tree."""
    match node:
        case Or(parts):
            return " OR ".join(_inside(part, Or) for part in parts)
        case And(parts):
            return " ".join(_inside(part, Or, And) for part in parts)
        case Not(part):
            return "-" + _inside(part, Or, And)
        case Compare():
            return written(node)


def _inside(node: Node, *weaker: type[Or] | type[And]) -> str:
    return f"({text_of(node)})" if isinstance(node, weaker) else text_of(node)


def written(node: Compare) -> str:
    """One comparison in words."""
    if node.operator == "~":
        values = [f"/{_ESCAPED.sub(_slash, value.text)}/" for value in node.values]
    else:
        values = [_value(value, _BARE) for value in node.values]
    if node.field == TEXT and node.operator == ":" and len(node.values) == 1:
        return _value(node.values[0], _FREE)
    name = node.field
    if node.key is not None:
        name += "." + (node.key if _KEY.fullmatch(node.key) else quoted(node.key))
    return name + node.operator + (values[0] if len(values) == 1 else f"({' OR '.join(values)})")


def quoted(text: str) -> str:
    """A text between quotes, as a filter writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_KEYWORD = r"(?!(?:AND|OR|NOT)(?:[\s()\"]|$))"
_OPERATOR = r"\s*(?::|!?=|!?~|[<>]=?)"
_KEY = re.compile(r"[\w$@\-]+(?:\.[\w$@\-]+)*")
_BARE = re.compile(rf"{_KEYWORD}(?!=)[^\s()\"]+")
_FREE = re.compile(rf"{_KEYWORD}(?![-:=<>~!])(?![A-Za-z][\w-]*(?:\.[\w$@\-]+)*{_OPERATOR})[^\s()\"]+")
_ESCAPED = re.compile(r"\\[\s\S]|/")


def _value(value: Value, bare: re.Pattern[str]) -> str:
    return quoted(value.text) if value.literal or not bare.fullmatch(value.text) else value.text


def _slash(found: re.Match[str]) -> str:
    return "\\/" if found.group() == "/" else found.group()
