"""Types of fields: which operators each has, how its values are written, and what it means that a value of a record fits."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from brakit_server.filters.fields import FIELDS, NAMES, field_of
from brakit_server.filters.patterns import PatternError, pattern
from brakit_server.filters.tree import Compare, FilterError, Value

Test = Callable[[object], bool]
"""Whether a value of a record fits. Never raises."""

DURATIONS = {"us": 0.001, "µs": 0.001, "ms": 1.0, "s": 1e3, "m": 60e3, "min": 60e3, "h": 3600e3, "d": 86_400e3, "w": 604_800e3}
"""Unit → milliseconds."""

SIZES = {
    "b": 1.0,
    "kb": 1e3,
    "mb": 1e6,
    "gb": 1e9,
    "kib": 1024.0,
    "mib": 1024.0**2,
    "gib": 1024.0**3,
}
"""Unit → bytes."""

_EQUAL = (":", "=")
_ORDER = (">", ">=", "<", "<=")


class Type(msgspec.Struct, frozen=True):
    """What values of a type look like."""

    doc: str
    operators: tuple[str, ...]
    units: tuple[str, ...] = ()


_ALIKE = "upper and lower case the same, `*` is any run of characters"
_AGES = ("s", "m", "h", "d", "w")

TYPES = {
    "text": Type(f"Found anywhere in it, {_ALIKE}; `=` is the whole of it, letter by letter.", (*_EQUAL, "~")),
    "word": Type(f"The whole of it, {_ALIKE}; `=` is letter by letter.", (*_EQUAL, "~")),
    "id": Type("The whole of it, letter by letter; `*` is any run of characters, but not to `=`.", (*_EQUAL, "~")),
    "number": Type("`3`, `1.5`, `10..20`.", (*_EQUAL, *_ORDER)),
    "duration": Type("`200ms`, `1.5s`, `100ms..1s`; without a unit, milliseconds.", (*_EQUAL, *_ORDER), tuple(DURATIONS)),
    "size": Type(
        "`512`, `10kB`, `1MB`, `1MiB`, `1kB..1MB`; without a unit, bytes.",
        (*_EQUAL, *_ORDER),
        ("B", "kB", "MB", "GB", "KiB", "MiB", "GiB"),
    ),
    "time": Type(
        "`10m` (so long ago), `2026-01-01`, `2026-01-01T10:00`, with `Z` or `+02:00` behind it or in the server's own time; "
        "`10:00` today; `now`; epoch milliseconds. `:` is within the day, minute or second that is named.",
        (*_EQUAL, *_ORDER),
        _AGES,
    ),
    "since": Type("A time, as of `at`.", (":",), _AGES),
    "until": Type("A time, as of `at`.", (":",), _AGES),
    "status": Type("`404`, `4xx`, `400..404`; of a job, `failed`.", (*_EQUAL, *_ORDER, "~")),
    "level": Type("`warn`, or `warning` as others say; from `debug` over `log` and `info` to `error`.", (*_EQUAL, *_ORDER, "~")),
    "flag": Type("`true` or `false`.", _EQUAL),
    "kind": Type("Name of a kind.", _EQUAL),
    "has": Type("Name of a field.", (":",)),
}

_NUMBER = re.compile(r"([+-]?[0-9]{1,15}(?:\.[0-9]{1,9})?)([a-zµ]*)", re.IGNORECASE)
_AGO = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|min|h|d|w)")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(:[0-9]{2}(?:\.[0-9]{1,6})?)?)(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_TODAY = re.compile(r"([0-9]{1,2}):([0-9]{2})(:[0-9]{2})?")
_EPOCH = re.compile(r"[0-9]{11,15}(?:\.[0-9]{1,3})?")
_CLASS = re.compile(r"([1-9])xx", re.IGNORECASE)
_LEVELS = {"debug": 0, "log": 1, "info": 1, "warn": 2, "error": 3}
_CALLED = {"warning": "warn", "critical": "error", "fatal": "error"}
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Span(msgspec.Struct, frozen=True):
    """Numbers from `low` to `high`; both belong to it, `high` unless it is `open`."""

    low: float
    high: float
    open: bool = False

    def holds(self, value: float) -> bool:
        return self.low <= value and (value < self.high if self.open else value <= self.high)


def test_of(node: Compare, now: float) -> Test:
    """What a comparison asks of a value. `now`: epoch milliseconds, what times that are so long ago count from.

    Raises `FilterError` where the operator or a value does not go with the field.
    """
    field = FIELDS[node.field]
    type = TYPES[field.type]
    if node.operator not in type.operators:
        raise FilterError(f"{field.name!r} has no {node.operator!r}", node.column, type.operators)
    if field.keyed and node.key is not None and not node.key:
        raise FilterError("a name is missing behind the dot", node.column, (f"{field.name}.name",))
    tests = [_test(field.type, node.operator, value, now) for value in node.values]
    if len(tests) == 1:
        return tests[0]
    return lambda found: any(test(found) for test in tests)


def _test(type: str, operator: str, value: Value, now: float) -> Test:
    if operator == "~":
        return _matches(value)
    if operator == ":" and value.text == "*" and not value.literal:
        return present
    match type:
        case "text":
            return _whole(value) if operator == "=" else _inside(value)
        case "word" | "kind":
            word = Value(NAMES.get(value.text.lower(), value.text), value.literal) if type == "kind" else value
            return _whole(word) if operator == "=" else _same(word)
        case "id":
            return _whole(value) if operator == "=" else _same(value, str)
        case "flag":
            wanted = _FLAGS.get(value.text.lower())
            if wanted is None:
                raise FilterError(f"{value.text[:20]!r} is neither true nor false", value.column, ("true", "false"))
            return lambda found: found is wanted
        case "level":
            level = Value(_CALLED.get(value.text.lower(), value.text), value.literal)
            if operator in _EQUAL:
                return _whole(level) if operator == "=" else _same(level)
            rank = _LEVELS.get(level.text.lower())
            if rank is None:
                raise FilterError(f"{value.text[:20]!r} is no level", value.column, tuple(_LEVELS))
            order = _ordered(operator, Span(rank, rank))
            return lambda found: isinstance(found, str) and order(_LEVELS.get(found))
        case "has":
            if field_of(value.text) is None:
                raise FilterError(f"there is no field {value.text[:50]!r}", value.column, ("a field",))
            return present
        case "status":
            spans = status_of(value)
            if spans is None:
                if operator in _ORDER:
                    raise FilterError(f"{value.text[:20]!r} is no number", value.column, ("404", "4xx"))
                return _whole(value) if operator == "=" else _same(value)
            return _ordered(operator, spans)
        case _:
            return _ordered("<=" if type == "until" else ">=" if type == "since" else operator, span_of(type, value, now))


def present(found: object) -> bool:
    """Whether a value is one: an empty text stands for none."""
    return found is not None and found != ""


def _whole(value: Value) -> Test:
    wanted = value.text
    return lambda found: found == wanted and isinstance(found, str)


def _same(value: Value, folded: Callable[[str], str] = str.casefold) -> Test:
    wanted = folded(value.text)
    if "*" not in wanted or value.literal:
        return lambda found: isinstance(found, str) and folded(found) == wanted
    first, *middle, last = wanted.split("*")

    def glob(found: object) -> bool:
        if not isinstance(found, str):
            return False
        text = folded(found)
        if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return False
        return _in_order(text, middle, len(first), len(text) - len(last))

    return glob


def _inside(value: Value) -> Test:
    wanted = value.text.casefold()
    if "*" not in wanted or value.literal:
        return lambda found: isinstance(found, str) and wanted in found.casefold()
    parts = wanted.split("*")
    return lambda found: isinstance(found, str) and _in_order(text := found.casefold(), parts, 0, len(text))


def _in_order(text: str, parts: list[str], start: int, end: int) -> bool:
    """Whether the parts follow each other in the text. The first place of each is the best one for those behind it."""
    for part in parts:
        place = text.find(part, start, end)
        if place < 0:
            return False
        start = place + len(part)
    return True


def _matches(value: Value) -> Test:
    try:
        found_in = pattern(value.text)
    except PatternError as error:
        raise FilterError(f"not a pattern: {error}", value.column, ("a regular expression, as RE2 takes it",)) from None
    return lambda found: isinstance(found, str) and found_in(found)


def _ordered(operator: str, span: Span) -> Test:
    def number(found: object) -> bool:
        return isinstance(found, int | float) and not isinstance(found, bool)

    low, high = span.low, span.high
    match operator:
        case ">":
            # Behind the whole of what was named: `status>4xx` begins at 500.
            if span.open:
                return lambda found: number(found) and found >= high  # type: ignore[operator]
            return lambda found: number(found) and found > high  # type: ignore[operator]
        case ">=":
            return lambda found: number(found) and found >= low  # type: ignore[operator]
        case "<":
            return lambda found: number(found) and found < low  # type: ignore[operator]
        case "<=":
            if span.open:
                return lambda found: number(found) and found < high  # type: ignore[operator]
            return lambda found: number(found) and found <= high  # type: ignore[operator]
        case _:
            return lambda found: number(found) and span.holds(found)  # type: ignore[arg-type]


def status_of(value: Value) -> Span | None:
    """The numbers that a status means; None for a word."""
    found = _CLASS.fullmatch(value.text)
    if found:
        first = int(found[1]) * 100
        return Span(first, first + 99)
    return _span(value.text, {"": 1.0})


def span_of(type: str, value: Value, now: float) -> Span:
    """The numbers that a value of a number, duration, size or time means. Raises `FilterError`."""
    if type in ("time", "since", "until"):
        found = _time(value.text, now)
        if found is None:
            raise FilterError(f"{value.text[:40]!r} is no time", value.column, ("10m", "2026-01-01T10:00"))
        return found
    units = {"number": {"": 1.0}, "duration": {"": 1.0, **DURATIONS}, "size": {"": 1.0, **SIZES}}[type]
    span = _span(value.text, units)
    if span is None:
        example = {"number": ("3", "10..20"), "duration": ("200ms", "1.5s"), "size": ("512", "1MB")}[type]
        raise FilterError(f"{value.text[:40]!r} is no {type}", value.column, example)
    return span


def _span(text: str, units: dict[str, float]) -> Span | None:
    low, dots, high = text.partition("..")
    if not dots:
        number = _number(low, units)
        return None if number is None else Span(number, number)
    first = _number(low, units) if low else -math.inf
    last = _number(high, units) if high else math.inf
    return None if first is None or last is None or not (low or high) else Span(first, last)


def _number(text: str, units: dict[str, float]) -> float | None:
    found = _NUMBER.fullmatch(text)
    unit = units.get(found[2].lower()) if found else None
    return None if found is None or unit is None else float(found[1]) * unit


def _time(text: str, now: float) -> Span | None:
    low, dots, high = text.partition("..")
    if not dots:
        return _moment(text, now)
    first = _moment(low, now) if low else Span(-math.inf, -math.inf)
    last = _moment(high, now) if high else Span(math.inf, math.inf)
    if first is None or last is None or not (low or high):
        return None
    return Span(first.low, last.high, last.open)


def _moment(text: str, now: float) -> Span | None:
    try:
        if text == "now":
            return Span(now, now)
        if found := _AGO.fullmatch(text):
            moment = now - float(found[1]) * DURATIONS[found[2]]
            return Span(moment, moment)
        if _EPOCH.fullmatch(text):
            return Span(float(text), float(text))
        if found := _TODAY.fullmatch(text):
            today = datetime.fromtimestamp(now / 1000).replace(hour=0, minute=0, second=0, microsecond=0)
            clock = timedelta(hours=int(found[1]), minutes=int(found[2]), seconds=int((found[3] or ":0")[1:]))
            return _named(today + clock, 1e3 if found[3] else 60e3) if clock < timedelta(days=1) else None
        if found := _MOMENT.fullmatch(text):
            if found[2] is None:
                day = datetime.fromisoformat(found[1])
                return Span(_ms(day), _ms(day + timedelta(days=1)), True)
            return _named(datetime.fromisoformat(text), 0.0 if "." in (found[3] or "") else 1e3 if found[3] else 60e3)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _named(moment: datetime, length: float) -> Span:
    start = _ms(moment)
    return Span(start, start + length, length > 0)


def _ms(moment: datetime) -> float:
    return moment.timestamp() * 1000
