"""What could be typed next: fields, operators' values, names behind a dot, by what the events show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import msgspec

from brakit_server.filters.fields import FIELDS, NAMES, Field, field_of, folded, paths_of, split
from brakit_server.filters.matching import Matcher, ProcessOf, no_process
from brakit_server.filters.tree import TEXT, Compare, Value, written
from brakit_server.records import Entry

MOST = 50
"""Suggestions."""

LONGEST = 120
"""Characters of a value that is suggested."""

KEYWORDS = {"AND": "both", "OR": "either", "NOT": "not what follows"}

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<field>[A-Za-z][\w-]*(?:\.(?:[\w$@\-]+|"(?:[^"\\]|\\.)*"))*)\s*(?P<operator>:|!?=|!?~|[<>]=?)
    | (?P<open>\() | (?P<close>\))
    | (?P<quoted>"(?:[^"\\]|\\.)*"?)
    | (?P<word>[^\s()"]+)""",
    re.VERBOSE | re.DOTALL,
)
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"?|/(?:[^/\\]|\\.)*/?i?|[^\s()"]+', re.DOTALL)
_EXAMPLES = {
    "duration": ("10ms", "100ms", "1s", "10s"),
    "size": ("1kB", "100kB", "1MB"),
    "time": ("5m", "1h", "1d", "now"),
    "since": ("5m", "15m", "1h", "1d"),
    "until": ("5m", "15m", "1h", "1d"),
    "flag": ("true", "false"),
    "kind": tuple(NAMES),
}


class Place(msgspec.Struct, frozen=True):
    """What stands at the cursor: the characters from `start` to `end` are replaced by what is chosen."""

    start: int
    end: int
    typed: str
    """What of it stands before the cursor, without quotes."""

    field: Field | None = None
    """The field of which a value is typed; None where a field, or a word, is."""

    key: str | None = None
    pattern: bool = False
    """Whether a regular expression is typed: there is nothing to suggest."""


class Suggested(msgspec.Struct, frozen=True):
    """One suggestion: what to put in place, what it is, how often it was seen."""

    text: str
    kind: str
    """`field`, `value` or `keyword`."""

    doc: str = ""
    count: int | None = None


def place(text: str, cursor: int) -> Place:
    """What is typed at a cursor, a number of characters from 0 to the length of the text."""
    cursor = max(0, min(cursor, len(text)))
    field: Field | None = None
    key: str | None = None
    pattern = listed = False
    at = 0
    while at < cursor:
        found = (_VALUE if field is not None else _TOKEN).match(text, at)
        if field is not None and not listed and found is None and text[at] == "(":
            listed, at = True, at + 1
            continue
        if found is None:
            # A space or a parenthesis in a list or before a value.
            if text[at] == ")":
                field, listed = None, False
            at += 1
            continue
        end = found.end()
        operator = found.groupdict().get("operator")
        if field is not None:
            keyword = listed and found.group() == "OR"
            if end >= cursor and not keyword:
                return Place(at, end, _plain(text[at:cursor]), field, key, pattern)
            field = field if listed else None
        elif operator is not None and end <= cursor:
            named = field_of(found["field"])
            # A value that has no field is a value of nothing that could be suggested.
            field, key = named or (FIELDS[TEXT], None)
            pattern = operator.endswith("~")
        elif end >= cursor and not found.groupdict().get("space") and found.group() not in "()":
            end = found.end("field") if operator is not None else end
            return Place(at, end, _plain(text[at:cursor]))
        at = end
    return Place(cursor, cursor, "", field, key, pattern)


def _plain(typed: str) -> str:
    return re.sub(r"\\(.)", r"\1", typed[1:].removesuffix('"')) if typed.startswith('"') else typed


def fields_at(where: Place, kind: str | None) -> list[Suggested]:
    """Fields, and the words that join, by what was typed of them: those that begin with it first."""
    wanted = folded(where.typed.removeprefix("-"))
    minus = "-" if where.typed.startswith("-") else ""
    rows = []
    for field in FIELDS.values():
        if kind is not None and field.name != "has" and not paths_of(field, kind):
            continue
        rank = min(_rank(folded(name), wanted, name != field.name) for name in (field.name, *field.aliases))
        if rank < _NOT_AT_ALL:
            rows.append((rank, Suggested(minus + field.name + _behind(field), "field", field.doc)))
    if where.typed:
        typed = where.typed.lower()
        rows += [(1, Suggested(word, "keyword", doc)) for word, doc in KEYWORDS.items() if word.lower().startswith(typed)]
    rows.sort(key=lambda row: row[0])
    return [suggested for _, suggested in rows[:MOST]]


_NOT_AT_ALL = 4


def _rank(name: str, wanted: str, alias: bool) -> int:
    return (0 if name.startswith(wanted) else 2 if wanted in name else _NOT_AT_ALL) + alias


def _behind(field: Field) -> str:
    if field.keyed:
        return "."
    return ">" if field.type in ("duration", "size", "time") else ":"


def values_at(where: Place, seen: Iterable[tuple[str, Entry]], process_of: ProcessOf = no_process) -> list[Suggested]:
    """Values of the field, those that were seen most often first."""
    field = where.field
    if field is None or where.pattern:
        return []
    typed = where.typed.casefold()
    if field.type == "has":
        return [Suggested(each.text.rstrip(":>."), "value", each.doc) for each in fields_at(where, None) if each.kind == "field"]
    known = dict.fromkeys((*field.values, *_EXAMPLES.get(field.type, ())))
    found = [Suggested(text, "value") for text in known if typed in text.casefold()]
    if field.type in ("word", "id", "text", "status", "level", "number") and field.name != TEXT:
        counts = counted(field, where.key, seen, process_of)
        fitting = [(text, count) for text, count in counts.most_common() if typed in text.casefold()]
        shown = {text for text, _ in fitting}
        found = [Suggested(_quoted(text), "value", count=count) for text, count in fitting] + [
            each for each in found if each.text not in shown
        ]
    found.sort(key=lambda each: not each.text.strip('"').casefold().startswith(typed))
    return found[:MOST]


def keys_at(where: Place, seen: Iterable[tuple[str, Entry]], process_of: ProcessOf = no_process) -> list[Suggested]:
    """Where `header.acc` is typed: the names of headers that were seen."""
    minus = "-" if where.typed.startswith("-") else ""
    head, *rest = split(where.typed.removeprefix("-"))
    for length in range(len(rest) + 1):
        named = field_of(".".join([head, *rest[:length]]))
        if named is None or not named[0].keyed or named[1] is not None or length == len(rest):
            continue
        typed = ".".join(rest[length:]).lower()
        counts: Counter[str] = Counter()
        for kind, entry in seen:
            for mapping in _mappings(named[0], kind, entry, process_of):
                counts.update(key for key in mapping if typed in key.lower())
        return [
            Suggested(minus + written(Compare(named[0].name, ":", (Value(""),), key)).removesuffix('""'), "field", count=count)
            for key, count in counts.most_common(MOST)
            if len(key) <= LONGEST
        ]
    return []


def _mappings(field: Field, kind: str, entry: Entry, process_of: ProcessOf) -> Iterable[dict[str, str]]:
    for path in paths_of(field, kind):
        found: object = process_of(entry.run) if path[0].startswith("@") else entry
        for step in path[1 if path[0].startswith("@") else 0 : -1]:
            found = getattr(found, step, None)
        if isinstance(found, dict):
            yield found


def counted(field: Field, key: str | None, seen: Iterable[tuple[str, Entry]], process_of: ProcessOf) -> Counter[str]:
    """How often each value of a field stands in events; long ones and those of several lines are left out."""
    reads = Matcher(Compare(TEXT, ":", (Value(""),)), 0.0, process_of)
    counts: Counter[str] = Counter()
    for kind, entry in seen:
        for read in reads.readers(field, kind, key):
            for value in read(entry):
                if value is None or value == "" or isinstance(value, bool):
                    continue
                text = f"{value:g}" if isinstance(value, float) else str(value)
                if len(text) <= LONGEST and text.isprintable():
                    counts[text] += 1
    return counts


def _quoted(text: str) -> str:
    return written(Compare("table", "=", (Value(text, "*" in text),))).removeprefix("table=")
