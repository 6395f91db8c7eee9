from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakit_server.analysis import schemas
from brakit_server.analysis.schemas import changes, shape_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def test_names_and_types() -> None:
    assert shape_of({"a": 1, "items": [{"id": 1.5, "x": None}, {"id": "s"}], "17": {"b.c": True}}) == {
        "": {"object"},
        "a": {"number"},
        "items": {"array"},
        "items[]": {"object"},
        "items[].id": {"number", "string"},
        "items[].x": {"null"},
        ":id": {"object"},
        ":id.b·c": {"boolean"},
    }


def found(before: list[Any], after: list[Any]) -> list[tuple[str, str | None, str | None]]:
    shapes = ([shape_of(each) for each in side] for side in (before, after))
    return [(each.path, each.before, each.after) for each in changes(*shapes)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([{"a": 1, "b": 1}], [{"a": 1}], [("b", "number", None)]),
        ([{"a": 1}], [{"a": 1, "b": "x"}], [("b", None, "string")]),
        ([{"a": 1}], [{"a": "1"}], [("a", "number", "string")]),
        ([{"a": 1}], [{"a": None}], []),
        ([{"a": 1}, {}], [{}, {}], []),
        ([{"a": 1}, {"a": 2}], [{}, {"a": 1}], []),
        ([[{"a": 1}]], [[]], []),
        ([[{"a": 1}]], [[{"b": 1}]], [("[].a", "number", None), ("[].b", None, "number")]),
        ([{"a": {"b": 1, "c": 1}}], [{}], [("a", "object", None)]),
        ([[1]], [{"a": 1}], [("", "array", "object")]),
        ([{"a": None}], [{}], [("a", "null", None)]),
        ([{"a": 1}], [], []),
    ],
)
def test_changes(before: list[Any], after: list[Any], expected: list[Any]) -> None:
    assert found(before, after) == expected


@given(st.lists(JSON, max_size=4))
def test_the_same_answers_have_no_changes(answers: list[Any]) -> None:
    assert found(answers, answers[::-1]) == []


@given(JSON)
def test_values_are_never_told(value: Any) -> None:
    told = json.dumps([sorted(types) for types in shape_of({"v": ["secret-value", value]}).values()])
    assert "secret-value" not in told
    assert set(json.loads(told)[0]) <= {"null", "boolean", "number", "string", "array", "object"}


def test_is_bounded() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = {"a": deep}
    assert len(shape_of(deep)) == schemas.DEPTH + 1
    assert shape_of({f"user{n}@example.com": n for n in range(schemas.NAMES + 1)}).keys() == {"", "*"}
    wide = {f"k{n}": {f"k{m}": 1 for m in range(90)} for n in range(90)}
    assert len(shape_of(wide)) == schemas.PATHS
