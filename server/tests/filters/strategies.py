"""Random filters and random records, of so few words that many of them fit each other."""

from __future__ import annotations

import types
import typing
from functools import cache
from typing import Any

from hypothesis import strategies as st

from brakit.events import LEVELS
from brakit_server import records
from brakit_server.filters.fields import FIELDS, Field
from brakit_server.filters.tree import And, Compare, Node, Not, Operator, Or, Value
from brakit_server.filters.values import TYPES
from brakit_server.records import KINDS, Entry

NOW = 1_790_000_000_000.0

WORDS = (
    "shop",
    "Users",
    "users",
    "GET",
    "post",
    "/users/1",
    "/Users/{id}",
    "SELECT * FROM Users",
    "Straße",
    "STRASSE",
    "K",  # the sign for Kelvin, whose small letter is k
    "k",
    'a"b',
    "a\\b",
    "a*b",
    "%_!",
    "AND",
    "-x",
    "a:b",
    "error",
    "timed out",
    "id1",
    "id2",
    "\0",
    "/",
    "=",
)
NUMBERS = (0, 1, 3, 200, 404, 499, 500, 512, 1000)
TIMES = (NOW, NOW - 1, NOW - 600_000, NOW - 86_400_000, NOW + 5)
KEYS = ("accept", "user-agent", "my key", "a.b", "Ä", "x", 'q"q')
STATUSES = ("succeeded", "failed")


@cache
def entries(kind: str) -> st.SearchStrategy[Entry]:
    """Records of a kind."""
    found: st.SearchStrategy[Entry] = _struct(KINDS[kind])
    return found


@cache
def _struct(cls: type[Any]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls, vars(records))
    return st.fixed_dictionaries({name: _value(name, hint) for name, hint in hints.items()}).map(lambda fields: cls(**fields))


def _value(name: str, hint: Any) -> st.SearchStrategy[Any]:
    arguments = typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return st.none() | _value(name, next(each for each in arguments if each is not type(None)))
    if typing.get_origin(hint) is list:
        return st.lists(_value(name, arguments[0]), max_size=2)
    if typing.get_origin(hint) is dict:
        return st.dictionaries(st.sampled_from(KEYS), st.sampled_from(WORDS), max_size=3)
    if hint is str:
        return st.sampled_from(STATUSES if name == "status" else LEVELS if name == "level" else WORDS)
    if hint is bool:
        return st.booleans()
    if hint in (int, float):
        return st.sampled_from(TIMES if name in ("timestamp", "started_at") else NUMBERS).map(hint)
    return _struct(hint)


_FREE_OF_STARS = [word for word in WORDS if "*" not in word]
_GLOBS = ("*", "u*", "*S", "/users/*", "*e*e*", "s*x", "**", "*:*")
_PATTERNS = ("users", "(?i)USERS|shop", "^/", "o$", "a\\\\b", "[[:upper:]]{3}", "/users/\\d+", "", "x/y", "\\)\\(")


@cache
def _values(type: str, operator: str) -> st.SearchStrategy[Value]:
    if operator == "~":
        return st.sampled_from(_PATTERNS).map(Value)
    texts = st.sampled_from(_FREE_OF_STARS).map(Value)
    words = texts | st.sampled_from(_GLOBS).map(Value) | st.sampled_from(("a*b", "*", '*"')).map(lambda text: Value(text, True))
    numbers = st.sampled_from(NUMBERS).map(str)
    some: dict[str, st.SearchStrategy[Value]] = {
        "number": st.sampled_from(("3", "0..10", "500..", "..3", "-1", "1.5")).map(Value) | numbers.map(Value),
        "duration": st.sampled_from(("200ms", "1s", "0.5s..1m", "3", "500us")).map(Value),
        "size": st.sampled_from(("512", "1kB", "0..1KiB", "3b")).map(Value),
        "status": st.sampled_from(("404", "4xx", "5XX", "400..499", "0")).map(Value),
        "level": st.sampled_from(("info", "warn", "WARNING", "debug")).map(Value),
        "flag": st.sampled_from(("true", "false", "yes")).map(Value),
        "kind": st.sampled_from(("query", "db.query", "request", "log", "job", "nothing")).map(Value),
        "has": st.sampled_from(("error", "table", "header.accept", "process.host", "id", "frame.code")).map(Value),
    }
    times = st.sampled_from(
        ("10m", "1d", str(int(NOW)), "2026-09-21", "2026-09-21T13:33:20Z", "now", "1d..10m", "..5s", "9:30")
    ).map(Value)
    if type in ("time", "since", "until"):
        return times
    if type == "status" and operator in (":", "="):
        return some["status"] | st.sampled_from(STATUSES).map(Value)
    return some.get(type, words)


@st.composite
def _compare(draw: st.DrawFn, names: tuple[str, ...]) -> Compare:
    field: Field = FIELDS[draw(st.sampled_from(names))]
    operator = typing.cast("Operator", draw(st.sampled_from(TYPES[field.type].operators)))
    values = draw(st.lists(_values(field.type, operator), min_size=1, max_size=2))
    key = draw(st.none() | st.sampled_from(KEYS)) if field.keyed else None
    if key is not None and field.name in ("header", "response.header"):
        key = key.lower()
    return Compare(field.name, operator, tuple(values), key)


@cache
def trees(names: tuple[str, ...] = tuple(FIELDS)) -> st.SearchStrategy[Node]:
    """Filters as reading gives them: no AND directly within an AND, no OR within an OR."""

    def joined(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        def of(kind: type[And] | type[Or]) -> st.SearchStrategy[Node]:
            others = children.filter(lambda node: not isinstance(node, kind))
            return st.lists(others, min_size=2, max_size=3).map(lambda parts: kind(tuple(parts)))

        return of(And) | of(Or) | children.map(Not)

    found: st.SearchStrategy[Node] = st.recursive(_compare(names), joined, max_leaves=6)
    # No more regular expressions than a filter may have: 12 at most are drawn.
    return found.filter(lambda node: _patterns(node) <= 10)


def _patterns(node: Node) -> int:
    match node:
        case Compare():
            return len(node.values) if node.operator == "~" else 0
        case Not(part):
            return _patterns(part)
        case And(parts) | Or(parts):
            return sum(_patterns(part) for part in parts)
