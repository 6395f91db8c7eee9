"""What rules see of a request or job."""

from __future__ import annotations

from typing import Any

import pytest

from brakit_server.analysis import body
from brakit_server.analysis.body import Body
from brakit_server.analysis.timeline import Timeline, by_site

JSON = {"content-type": "application/json; charset=utf-8"}


def test_a_job_is_a_root_as_a_request_is(make: Any) -> None:
    job = make.job("j1", "reports.send", ms=80, status="failed")
    timeline = Timeline(job, [make.query(owner="j1"), make.error(owner="j1")], "abc123")
    assert (timeline.kind, timeline.endpoint, timeline.service, timeline.run) == ("job", "reports.send", "shop", "run1")
    assert (timeline.duration_ms, timeline.ended, timeline.evidence()) == (80, job.timestamp + 80, ("j1",))
    assert (timeline.job, timeline.request, timeline.noise, timeline.unit) == (job, None, False, "run")
    assert timeline.revision == "abc123"
    assert timeline.response_body.json is None


def test_events_are_in_order_and_once_however_they_came(make: Any) -> None:
    first, second = make.query(params="a"), make.log()
    same = make.query(params="c", timestamp=second.timestamp)
    straight = Timeline(make.request(), [first, second, same])
    mixed = Timeline(make.request(), [same, second, first, second, same])
    assert [entry.id for entry in straight.entries] == [entry.id for entry in mixed.entries]
    assert [len(mixed.queries), len(mixed.logs), len(mixed.entries)] == [2, 1, 3]


def test_lists_by_kind_shape_line_target_and_span(make: Any) -> None:
    span = make.span(span_id="a" * 16)
    entries = [
        span,
        make.query(parent_id="a" * 16),
        make.query(params="2"),
        make.query("SELECT 1", site=None),
        make.query("COMMIT", transaction_mark="commit"),
        make.fetch("http://u:p@pay:9/charge/17?x=1"),
        make.fetch("http://pay:9/charge/18"),
        make.fetch("http://[broken"),
        make.auth(),
        make.error(),
    ]
    timeline = Timeline(make.request(), entries)
    assert [len(group) for group in timeline.by_shape.values()] == [2, 1]
    assert list(by_site(timeline.queries)) == [("app/orders.py", 42, "list_orders"), None]
    assert {target: len(calls) for target, calls in timeline.by_target.items()} == {
        "POST pay:9/charge/:id": 2,
        "POST http://[broken": 1,
    }
    assert [len(timeline.marks), len(timeline.auth_checks), len(timeline.errors), len(timeline.spans)] == [1, 1, 1, 1]
    assert [type(entry).__name__ for entry in timeline.io] == ["Query"] * 3 + ["Fetch"] * 3
    assert timeline.inside == {"a" * 16: [entries[1]]}


def test_what_was_going_on_meanwhile(make: Any) -> None:
    request = make.request(ms=50)
    before = make.query(timestamp=request.timestamp + 1, ms=3, fetch_ms=2)
    call = make.fetch(timestamp=request.timestamp + 10, ms=20)
    late = make.query(timestamp=request.timestamp + 60, ms=5)
    timeline = Timeline(request, [before, call, late])
    assert timeline.during(request.timestamp + 5, request.timestamp + 15) == [before, call]
    assert timeline.during(request.timestamp + 6, request.timestamp + 15) == [call]
    assert [timeline.afterwards(entry) for entry in timeline.entries] == [False, False, True]


def test_transactions_are_spans_of_time(make: Any) -> None:
    start = make.now
    both: dict[str, Any] = {"transaction_id": "t1", "connection_id": "c1"}
    entries = [
        make.query(timestamp=start + 10, ms=2, **both),
        make.query("SAVEPOINT a", timestamp=start + 14, ms=1, transaction_mark="savepoint", **both),
        make.query(timestamp=start + 20, ms=2, fetch_ms=3, **both),
        make.query("COMMIT", timestamp=start + 40, ms=4, transaction_mark="commit", **both),
        make.query(timestamp=start + 12, ms=1, transaction_id="t2"),
        make.query("ROLLBACK", timestamp=start + 13, ms=1, transaction_id="t2", transaction_mark="rollback"),
        make.query(timestamp=start + 50, ms=1, transaction_id="t3"),
        make.query(timestamp=start + 60, ms=1),
    ]
    one, two, three = Timeline(make.request(), entries).transactions
    assert (one.id, one.connection, one.outcome, len(one.queries), len(one.marks)) == ("t1", "c1", "commit", 2, 2)
    assert (one.started, one.duration_ms, one.busy_ms) == (start + 10, 34, 12)
    assert (two.outcome, three.outcome) == ("rollback", "open")


def test_a_body_is_read_as_far_as_it_goes() -> None:
    whole = Body('{"a": {"b": 1, "c": [{"d": 2}]}}', JSON)
    assert whole.json == {"a": {"b": 1, "c": [{"d": 2}]}}
    assert sorted(name for name, _ in whole.fields()) == ["a", "b", "c", "d"]
    assert len(list(whole.fields(most=2))) == 2
    assert (whole.content_type, whole.cut) == ("application/json", False)
    cut = Body('{"a": {"b": 1, "c": [{"d', JSON)
    assert (cut.json, cut.cut, list(cut.fields())) == (None, True, [])


@pytest.mark.parametrize("text", [None, "", "   ", "<html>", '"text"', "[" * 60_000, '{"a":' * 50_000, "{" + "9" * 100_000])
def test_a_hostile_body_is_none_at_all(text: str | None) -> None:
    one = Body(text, {})
    assert one.json is None
    assert list(one.fields()) == []
    assert len(one.text) <= body.LONGEST


def test_a_deep_body_is_walked_as_far_as_is_sensible() -> None:
    deep = Body('{"a":' * 300 + "1" + "}" * 300, JSON)
    assert len(list(deep.fields())) == body.DEEPEST + 1
