"""Bodies: whole, cut, hostile."""

from __future__ import annotations

import json

import pytest

from brakit_server.analysis.body import MOST_FIELDS, Body

WHOLE = '{"data": {"users": [{"id": 1, "email": "a@b.c", "tags": []}, {"id": 2, "on": true, "off": null}]}, "total": 2.5}'


def objects(text: str) -> list[dict[str, object]]:
    return Body(text, {}).objects


def test_objects_of_a_whole_body() -> None:
    assert objects(WHOLE) == [
        {"data": True, "total": 2.5},
        {"users": True},
        {"id": 1, "email": "a@b.c", "tags": False},
        {"id": 2, "on": True, "off": None},
    ]


@pytest.mark.parametrize("at", range(1, len(WHOLE)))
def test_a_cut_body_says_the_same_as_far_as_it_goes(at: int) -> None:
    whole = [(name, value) for one in objects(WHOLE) for name, value in one.items() if not isinstance(value, bool)]
    for name, value in ((name, value) for one in objects(WHOLE[:at]) for name, value in one.items()):
        if isinstance(value, bool):
            continue
        # The last one may have lost its end.
        assert (name, value) in whole or any(
            name == known and (value is None or str(said).startswith(str(value).removesuffix(".0"))) for known, said in whole
        )


def test_a_cut_body_keeps_what_stood_before_the_cut() -> None:
    assert objects(WHOLE[:70])[2]["email"] == "a@b.c"


def test_names_in_strings_are_none() -> None:
    text = json.dumps({"a": '"password": "x"', "b": '{"c": 1}', "d": "\\\\", "e": 2})
    assert [list(one) for one in objects(text)] == [["a", "b", "d", "e"]]
    assert [list(one) for one in objects(text[:-1] + ",")] == [["a", "b", "d", "e"]]


@pytest.mark.parametrize(
    "text", ["", "plain", "[", "{", '{"', '{"a', '{"a":', '{"a":{', "}}}]]]", '{,,:"a":::"b"}', "[1,2", '{"a":1}x', "\x00{"]
)
def test_what_is_no_json_does_not_matter(text: str) -> None:
    assert isinstance(objects(text), list)


def test_bounds() -> None:
    many = "[" + ",".join(f'{{"a{n}":1}}' for n in range(9000)) + "]"
    assert sum(map(len, objects(many))) <= MOST_FIELDS
    assert sum(map(len, objects(many[:-1]))) <= MOST_FIELDS
    assert objects("{" * 20_000) is not None
