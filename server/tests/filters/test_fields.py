"""Every field of the shape has a name in filters."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from brakit.events import RESOURCE
from brakit_server import records
from brakit_server.filters.fields import FIELDS, NAMES, PROCESS, field_of, folded, paths_of, suggestion
from brakit_server.filters.grammar import parse
from brakit_server.filters.matching import Matcher
from brakit_server.filters.values import TYPES
from brakit_server.records import KINDS

NOW = 1_790_000_000_000.0


def leaves(cls: type[Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every value in a record, as a path of `Field.paths`."""
    for name, hint in typing.get_type_hints(cls, vars(records)).items():
        yield from _leaves(hint, (*path, name))


def _leaves(hint: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(hint, types.UnionType):
        hint = next(each for each in typing.get_args(hint) if each is not type(None))
    if typing.get_origin(hint) is list:
        yield from _leaves(typing.get_args(hint)[0], (*path, "*"))
    elif typing.get_origin(hint) is dict:
        yield (*path, "?")
    elif isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield from leaves(hint, path)
    else:
        yield path


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_of_every_record_has_a_field(kind: str) -> None:
    reached = {path for field in FIELDS.values() for path in paths_of(field, kind)}
    missing = [".".join(path) for path in leaves(KINDS[kind]) if path not in reached]
    assert missing == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_field_stands_for_a_value_that_is_not_there(kind: str) -> None:
    there = set(leaves(KINDS[kind]))
    wrong = [
        (field.name, path)
        for field in FIELDS.values()
        for path in paths_of(field, kind)
        if not path[0].startswith("@") and not path[-1].startswith("=") and path not in there
    ]
    assert wrong == []


def test_every_field_of_the_process_has_a_field() -> None:
    reached = {path[1] for field in FIELDS.values() for path in paths_of(field, "log") if path[0] == PROCESS}
    # The service stands in the record itself.
    assert {field.record for field in RESOURCE} - {"service"} <= reached


def test_no_two_fields_share_a_name() -> None:
    names = [folded(name) for field in FIELDS.values() for name in (field.name, *field.aliases)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_a_field_has_a_type_a_sentence_and_an_example_that_can_be_read(field: Any) -> None:
    assert field.type in TYPES
    assert field.doc.endswith((".", "…"))
    assert set(field.kinds) <= {*KINDS, "*"}
    if field.example:
        assert parse(field.example) is not None
        assert field.name in field.example


def test_the_names_that_are_asked_for_often() -> None:
    asked = "route method status table operation shape level logger error service host run user-agent header.x response.header.x "
    asked += "cookie body sql rows line file function trace request kind duration size since until at has text"
    for name in asked.split():
        assert field_of(name) is not None, name
    assert set(NAMES.values()) == set(KINDS)


@pytest.mark.parametrize(
    ("written", "name", "key"),
    [
        ("statusCode", "status", None),
        ("STATUS", "status", None),
        ("row_count", "rows", None),
        ("callSite.file", "file", None),
        ("header.Accept-Language", "header", "accept-language"),
        ("headers.accept", "header", "accept"),
        ("response.header.Set-Cookie", "response.header", "set-cookie"),
        ("responseHeaders.a", "response.header", "a"),
        ('fields."a b"', "fields", "a b"),
        (r'fields."a\"b".c', "fields", 'a"b.c'),
        ("attributes.Http.Url", "attributes", "Http.Url"),
        ("process.failures.httpx", "process.failures", "httpx"),
    ],
)
def test_spellings(written: str, name: str, key: str | None) -> None:
    found = field_of(written)
    assert found is not None
    assert (found[0].name, found[1]) == (name, key)


def test_what_is_no_field() -> None:
    assert [field_of(name) for name in ("", "nothing", "table.x", "http", ".", "header..")][:4] == [None] * 4
    assert suggestion("tabel") == "table"
    assert suggestion("zzzzz") is None


def test_every_field_can_be_matched_against_a_record_of_every_kind() -> None:
    for field in FIELDS.values():
        example = (
            field.example
            or f"{field.name}:{'1' if field.type in ('number', 'duration', 'size', 'flag') else '1h' if field.type == 'time' else 'x'}"
        )
        tree = parse(example)
        assert tree is not None
        for kind, cls in KINDS.items():
            entry = msgspec.convert(minimal(cls), cls)
            assert Matcher(tree, NOW)(kind, entry) in (True, False)


def minimal(cls: type[Any]) -> dict[str, Any]:
    """A record with what it must have and nothing else, as JSON has it."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(cls):
        if field.required:
            hint = str(field.type)
            found[field.encode_name] = (
                {} if "dict" in hint else None if "None" in hint else "x" if "str" in hint else False if "bool" in hint else 1
            )
    return found
