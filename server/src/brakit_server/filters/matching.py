"""`Matcher`: whether a record fits a filter. What a store answers is what this says of each of its records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter

import msgspec

from brakit_server.filters.fields import FIELDS, PROCESS, RAW, Field, Path, field_of, paths_of
from brakit_server.filters.tree import And, Compare, Node, Not, Or
from brakit_server.filters.values import Test, test_of
from brakit_server.records import Entry

Holds = Callable[[Entry], bool]
ProcessOf = Callable[[str | None], object]
"""The process that a record's `run` names, or None."""


def no_process(run: str | None) -> object:  # noqa: ARG001
    """Where nothing is known of processes."""
    return None


class Matcher:
    """Decides record by record: `Matcher(parse("status:5xx"), now)("request", request)`.

    `now`: epoch milliseconds, what `since:10m` counts from. A comparison with a field that the record has not is false.
    """

    def __init__(self, node: Node, now: float, process_of: ProcessOf = no_process) -> None:
        self._node = node
        self._now = now
        self._process_of = process_of
        self._by_kind: dict[str, Holds | bool] = {}

    def __call__(self, kind: str, entry: Entry) -> bool:
        holds = self.of(kind)
        return holds if isinstance(holds, bool) else holds(entry)

    def of(self, kind: str) -> Holds | bool:
        """What is asked of records of a kind; True or False where all or none of them fit."""
        if kind not in self._by_kind:
            if len(self._by_kind) > 100:
                self._by_kind.clear()
            self._by_kind[kind] = self._holds(self._node, kind)
        return self._by_kind[kind]

    def _holds(self, node: Node, kind: str) -> Holds | bool:
        match node:
            case Compare():
                return self._compares(node, kind)
            case Not(part):
                inner = self._holds(part, kind)
                return not inner if isinstance(inner, bool) else lambda entry: not inner(entry)
            case And(parts):
                found = [self._holds(part, kind) for part in parts]
                if False in found:
                    return False
                every = [one for one in found if not isinstance(one, bool)]
                return (lambda entry: all(one(entry) for one in every)) if every else True
            case Or(parts):
                found = [self._holds(part, kind) for part in parts]
                if True in found:
                    return True
                some = [one for one in found if not isinstance(one, bool)]
                return (lambda entry: any(one(entry) for one in some)) if some else False

    def _compares(self, node: Compare, kind: str) -> Holds | bool:
        test = test_of(node, self._now)
        field, key = FIELDS[node.field], node.key
        if field.type == "kind":
            return test(kind)
        places = [(path, key) for path in paths_of(field, kind)]
        if field.type == "has":
            named = [found for value in node.values if (found := field_of(value.text))]
            places = [(path, name) for found, name in named for path in paths_of(found, kind)]
        some = [self._at(path, name, test) for path, name in places]
        if len(some) == 1:
            return some[0]
        return (lambda entry: any(one(entry) for one in some)) if some else False

    def _at(self, path: Path, key: str | None, test: Test) -> Holds:
        """Whether a value at a path fits."""
        if len(path) == 1 and not path[0].startswith("@"):
            get = attrgetter(path[0])
            return lambda entry: test(get(entry))
        read = self._reader(path, key)
        return lambda entry: any(test(value) for value in read(entry))

    def readers(self, field: Field, kind: str, key: str | None = None) -> list[Callable[[Entry], Iterator[object]]]:
        """For each place where records of a kind have the field: what gives its values."""
        return [self._reader(path, key) for path in paths_of(field, kind)]

    def _reader(self, path: Path, key: str | None) -> Callable[[Entry], Iterator[object]]:
        if path == (RAW,):
            return _raw
        if path[0] == PROCESS:
            process_of, rest = self._process_of, path[1:]
            return lambda entry: _values(process_of(entry.run), rest, key)
        if len(path) == 1:
            get = attrgetter(path[0])
            return lambda entry: iter((get(entry),))
        return lambda entry: _values(entry, path, key)


def _values(found: object, path: Path, key: str | None) -> Iterator[object]:
    """All that stands at the end of a path."""
    for place, step in enumerate(path):
        if found is None:
            return
        if step == "*":
            assert isinstance(found, list)
            for each in found:
                yield from _values(each, path[place + 1 :], key)
            return
        if step == "?" and key is None:
            assert isinstance(found, dict)
            yield from found.values()
            return
        if step == "?" or step[0] == "=":
            assert isinstance(found, dict)
            found = found.get(step[1:] or key if step[0] == "=" else key)
        else:
            found = getattr(found, step, None)
    yield found


def _raw(entry: Entry) -> Iterator[object]:
    """The JSON of an event of an unknown kind."""
    data = getattr(entry, "data", None)
    if isinstance(data, msgspec.Raw):
        yield bytes(data).decode("utf-8", "replace")
