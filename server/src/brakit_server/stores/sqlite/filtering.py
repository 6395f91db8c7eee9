"""Filters: which segments may hold what fits. What fits is decided on the records; here nothing may be left out that does.

A comparison is asked of the words that a field has in any segment, by the filter's own test: so capitals, `*` and regular expressions
mean the same here and there. Only numbers that the file itself gave, texts as parameters, and constants of this folder reach SQL.
"""

from __future__ import annotations

import math

import msgspec

from brakit_server.filters import Node
from brakit_server.filters.fields import FIELDS, PROCESS, TEXTS, Field, Path, field_of, paths_of
from brakit_server.filters.tree import And, Compare, Not, Or, Value
from brakit_server.filters.values import Span, Test, span_of, test_of
from brakit_server.stores.sqlite import search, terms
from brakit_server.stores.sqlite.kinds import kind_of
from brakit_server.stores.sqlite.terms import MANY, TEXT, Fragment
from brakit_server.stores.sqlite.view import EVERYWHERE, View

NOWHERE: Fragment = ("0", [])

WORDS = 20_000
"""Words of a field that are asked; where there are more, its segments are read."""

_OF_WORDS = "segment.id IN (SELECT segment FROM posting WHERE term IN (SELECT value FROM json_each(?)))"
_CONTAINS = (":", "=")


def fragment(view: View, number: int, node: Node) -> Fragment:
    """Segments where a record of the kind may fit."""
    match node:
        case Compare():
            return _compared(view, number, node)
        case Not():
            # Where all that is known is what may fit, anything may not.
            return EVERYWHERE
        case And(parts):
            return _all([fragment(view, number, part) for part in parts])
        case Or(parts):
            return _any([fragment(view, number, part) for part in parts])


def _all(parts: list[Fragment]) -> Fragment:
    if NOWHERE in parts:
        return NOWHERE
    return _joined(" AND ", [part for part in parts if part != EVERYWHERE]) or EVERYWHERE


def _any(parts: list[Fragment]) -> Fragment:
    if EVERYWHERE in parts:
        return EVERYWHERE
    return _joined(" OR ", [part for part in parts if part != NOWHERE]) or NOWHERE


def _joined(word: str, parts: list[Fragment]) -> Fragment | None:
    if not parts:
        return None
    return word.join(f"({sql})" for sql, _ in parts), [each for _, some in parts for each in some]


def _compared(view: View, number: int, node: Compare) -> Fragment:
    now = view.now * 1000
    field, kind, test = FIELDS[node.field], kind_of(number), test_of(node, now)
    if field.type == "kind":
        return EVERYWHERE if test(kind) else NOWHERE
    if field.type == "has":
        named = [found[0] for value in node.values if (found := field_of(value.text)) is not None]
        return _any([_at(view, number, path, test) for one in named for path in paths_of(one, kind)])
    if any(value.text == "*" and not value.literal for value in node.values) and node.operator == ":":
        return _any([_at(view, number, path, test) for path in paths_of(field, kind)])
    if field.type in ("time", "since", "until"):
        return _any([_during(node, field, span_of(field.type, value, now)) for value in node.values])
    paths = paths_of(field, kind)
    if field.type == "duration" and paths == (("duration_ms",),) and node.operator != "~":
        return _any([_lasting(number, node, value, now) for value in node.values])
    if field.type == "id" and node.operator in _CONTAINS and paths in ((("id",),), (("parent_request_id",),)):
        return _any([_owned(view, number, field, value, node) for value in node.values])
    if node.operator in _CONTAINS and field.type == "text" and paths and _main(kind, paths):
        return _any([_text(view, number, value) for value in node.values])
    return _any([_at(view, number, path, test) for path in paths])


def _at(view: View, number: int, path: Path, test: Test) -> Fragment:
    """Where a value at a path passes the test."""
    if path[0] == PROCESS:
        return _of_process(view, number, path, test)
    attribute = path[0] if len(path) == 1 else ""
    if attribute == "error" and number in terms.FAILING and not test(""):
        return terms.has(number, "failed", [terms.text_of(1)])
    term = next((name for name, at in (*terms.FIELDS[number].items(), *terms.EVERY.items()) if at == attribute), None)
    if term is None:
        return EVERYWHERE
    sql = "SELECT id, text FROM word WHERE kind = ? AND field = ? LIMIT ?"
    words = view.connection.execute(sql, (number, term, WORDS + 1)).fetchall()
    if len(words) > WORDS:
        return EVERYWHERE
    # What is cut, or stands for many, may be anything.
    ids = [id for id, text in words if text == MANY or len(text) >= TEXT or test(_value(attribute, text))]
    return (_OF_WORDS, [msgspec.json.encode(ids).decode()]) if ids else NOWHERE


def _value(attribute: str, text: str) -> object:
    """What `terms.text_of` made a word of."""
    if attribute == "status_code":
        return int(text)
    return text == "true" if attribute == "handled" else text


def _of_process(view: View, number: int, path: Path, test: Test) -> Fragment:
    """Processes are few: where one of those is that pass."""
    if len(path) != 2:
        return EVERYWHERE
    runs = [run for run, process in view.runs.items() if test(getattr(process, path[1], None))]
    if len(runs) > terms.VALUES:
        return EVERYWHERE
    return terms.has(number, "run", runs) if runs else NOWHERE


def _during(node: Compare, field: Field, span: Span) -> Fragment:
    parts: list[Fragment] = []
    if field.type != "until" and node.operator not in ("<", "<="):
        parts.append(("segment.at_max >= ?", [span.low]))
    if field.type != "since" and node.operator not in (">", ">="):
        parts.append(("segment.at_min <= ?", [span.high]))
    return _all(parts)


def _lasting(number: int, node: Compare, value: Value, now: float) -> Fragment:
    if node.operator in ("<", "<="):
        return EVERYWHERE
    return terms.slower(number, math.nextafter(span_of("duration", value, now).low, -math.inf))


def _owned(view: View, number: int, field: Field, value: Value, node: Compare) -> Fragment:
    if field.name not in ("request", "cause", "id", "parent-request-id") or ("*" in value.text and node.operator == ":"):
        return EVERYWHERE
    if field.name == "id" and kind_of(number) not in ("request", "job"):
        return EVERYWHERE
    return view.owner_fragment(value.text)


def _main(kind: str, paths: tuple[Path, ...]) -> bool:
    """Whether all of the paths lead to main texts."""
    return all(len(path) == 1 and path[0] in TEXTS.get(kind, ()) for path in paths)


def _text(view: View, number: int, value: Value) -> Fragment:
    """Where the parts of a text are that stand between its stars."""
    parts = [value.text] if value.literal else value.text.split("*")
    return _all([search.fragment(view, number, part) for part in parts if part])
