"""Events in parts: put together right, refused where they are not, and no way to make much of little."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakit_server.ingest import Refused, read
from brakit_server.ingest import parts as module
from brakit_server.ingest.fields import Rejected
from brakit_server.ingest.parts import Parts

PAGE = Path(__file__).resolve().parents[3] / "docs/protocol.md"
NOW = 1_760_000_000_000.0


def payload(**fields: Any) -> bytes:
    return json.dumps({"_brakit": True, "version": 1, **fields}).encode()


def test_the_examples_of_the_page_are_read() -> None:
    smallest, parts = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)[:2]
    assert [kind for kind, _ in read(smallest.encode(), NOW).batch.entries] == ["log"]
    outcome = read(parts.encode(), NOW)
    assert outcome.rejected == []
    assert [(kind, entry.duration_ms, entry.table) for kind, entry in outcome.batch.entries] == [  # type: ignore[attr-defined]
        ("db.query", 0.4, "orders"),
        ("db.query", 0.3, "orders"),
    ]
    assert {entry.parent_request_id for _, entry in outcome.batch.entries} == {"0123456789abcdef0123456789abcdef"}


def test_the_example_of_rows_is_read() -> None:
    outcome = read(re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)[2].encode(), NOW)
    assert outcome.rejected == []
    (_, first), (_, second), (kind, request) = outcome.batch.entries
    assert [first.timestamp, second.timestamp, request.timestamp] == [NOW, NOW + 1, NOW - 0.25]
    assert [getattr(entry, "row_count", None) for entry in (first, second)] == [None, 1]
    assert {entry.parent_request_id for entry in (first, second)} == {request.id} == {"0123456789abcdef0123456789abcdef"}
    assert (kind, request.path, request.route, request.status_code) == ("request", "/orders/7", "/orders/{id}", 200)  # type: ignore[attr-defined]


LOG = {"type": "log", "data": {"level": "info"}}


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ([], "$.events[1]"),
        ([0, [0]], "$.events[1]"),
        ([1, [0], 0, "x"], "$.events[1][0]"),
        ([-1, [0], 0, "x"], "$.events[1][0]"),
        ([True, [0], 0, "x"], "$.events[1][0]"),
        ([0, [1], 0, "x"], "$.events[1].of[0]"),
        ([0, "x", 0, "x"], "$.events[1].of"),
        ([0, [0], "soon", "x"], "$.events[1][2]"),
        ([0, [0], None, "x"], "$.events[1][2]"),
        ([0, [0], 0, "x", "y"], "$.events[1]"),
        ([0, [0], 0], "$.events[1].data.message"),
    ],
)
def test_a_row_that_says_nothing_is_refused_alone(row: list[object], path: str) -> None:
    good = [0, [0], 0, "good"]
    outcome = read(payload(shared=[LOG], columns=[["message"]], base=NOW, events=[good, row, good]), NOW)
    assert [(rejection.index, rejection.path) for rejection in outcome.rejected] == [(1, path)]
    assert [entry.message for _, entry in outcome.batch.entries] == ["good", "good"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("fields", [{"columns": {}}, {"columns": [{}]}, {"columns": [[1]]}, {"base": "now"}, {"base": []}])
def test_columns_and_base_that_are_none_are_no_payload(fields: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        read(payload(shared=[LOG], events=[[0, [0], 0, "x"]], **fields), NOW)
    assert refused.value.status == 400


def test_a_row_without_parts_is_no_event() -> None:
    assert [rejection.path for rejection in read(payload(events=[[0, [], 0]]), NOW).rejected] == ["$.events[0]"]


@given(st.lists(st.none() | st.integers() | st.text(max_size=5), max_size=3), st.integers(-(10**9), 10**9))
def test_a_row_is_the_event_that_it_says(values: list[object], time: int) -> None:
    names = ["a", "b", "c"]
    made = Parts([LOG, {"owner": "1" * 32}], [[], names], NOW).row([1, [1, 0], time, *values])
    data = {name: value for name, value in zip(names, values, strict=False) if value is not None}
    ids = dict.fromkeys(("requestId", "traceId", "parentId"), "1" * 32)
    assert made == {"type": "log", **ids, "timestamp": NOW + time / 1000, "data": {"level": "info", **data}}


FIELDS = st.dictionaries(st.sampled_from(["type", "requestId", "timestamp"]), st.integers(), max_size=2)
OBJECTS = st.builds(
    lambda outer, inner: {**outer, **({} if inner is None else {"data": inner})},
    FIELDS,
    st.none() | st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=2),
)


@given(st.lists(OBJECTS, min_size=1, max_size=4), OBJECTS, st.data())
def test_parts_are_laid_over_one_another(shared: list[dict[str, Any]], own: dict[str, Any], data: st.DataObject) -> None:
    of = data.draw(st.lists(st.integers(0, len(shared) - 1), max_size=4))
    expected: dict[str, Any] = {"data": {}}
    for layer in [*(shared[number] for number in of), own]:
        expected = {**expected, **layer, "data": {**expected["data"], **layer.get("data", {})}}
    before = json.dumps(shared)
    assert Parts(shared).whole({**own, "of": of}) == expected
    assert json.dumps(shared) == before


@pytest.mark.parametrize(
    ("of", "path"),
    [("x", ".of"), (None, ".of"), ([0] * 17, ".of"), ([1], ".of[0]"), ([0, -1], ".of[1]"), ([True], ".of[0]"), ([0.0], ".of[0]")],
)
def test_an_event_of_parts_that_are_not_there_is_refused_alone(of: object, path: str) -> None:
    good = {"of": [0], "data": {"level": "info", "message": "m"}}
    outcome = read(payload(shared=[{"type": "log"}], events=[{**good, "of": of}, good]), NOW)
    assert [(one.index, one.path) for one in outcome.rejected] == [(0, f"$.events[0]{path}")]
    assert len(outcome.batch.entries) == 1


@pytest.mark.parametrize("shared", ["x", {}, [1], [{}, None]])
def test_what_is_no_list_of_objects_is_no_payload(shared: object) -> None:
    with pytest.raises(Refused) as caught:
        read(payload(shared=shared, events=[]), NOW)
    assert caught.value.status == 400


def test_without_parts_an_event_that_names_some_is_read_as_it_is() -> None:
    event = {"type": "log", "of": [0], "data": {"level": "info", "message": "m"}}
    assert len(read(payload(events=[event]), NOW).batch.entries) == 1


def test_data_that_is_no_object_is_refused_though_its_parts_are() -> None:
    with pytest.raises(Rejected):
        Parts([]).whole({"of": [0]})
    outcome = read(
        payload(shared=[{"type": "log", "data": {"level": "info", "message": "m"}}], events=[{"of": [0], "data": 5}]), NOW
    )
    assert [one.path for one in outcome.rejected] == ["$.events[0].data"]


def test_a_small_body_does_not_become_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EXPANDED", 100_000)
    part = {"type": "log", "data": {"level": "info", "message": "x" * 1000}}
    assert len(read(payload(shared=[part], events=[{"of": [0]}] * 90), NOW).batch.entries) == 90
    with pytest.raises(Refused) as caught:
        read(payload(shared=[part], events=[{"of": [0]}] * 100), NOW)
    assert caught.value.status == 413
