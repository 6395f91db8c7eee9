from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from brakit_server.analysis import issues as life
from brakit_server.analysis.finding import Finding
from brakit_server.analysis.issues import Hits, Issues
from brakit_server.analysis.paths import Walk, path_of
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import StatefulIssue, Suppression
from brakit_server.records import Callsite, Entry

MINUTE = 60_000.0
PLACE = ("shop", "GET /orders")


def finding(subject: str = "s", severity: Any = "warning", **more: Any) -> Finding:
    fields: dict[str, Any] = {
        "rule": "n1",
        "category": "performance",
        "severity": severity,
        "title": "T",
        "desc": "17 times",
        "hint": "H",
        "endpoint": PLACE[1],
        "service": PLACE[0],
        "subject": subject,
        "evidence": ("r1",),
    }
    return Finding(**{**fields, **more})


def clean(
    issues: Issues,
    root: Any,
    now: float,
    place: tuple[str | None, str | None] = PLACE,
    rules: Callable[[str], bool] = lambda _: True,
    entries: Iterable[Entry] = (),
) -> None:
    issues.clean(place, rules, (), Walk(Timeline(root, entries)), now)


def only(issues: Issues) -> StatefulIssue:
    (issue,) = issues.all()
    return issue


def test_identity_is_not_prose() -> None:
    assert finding().identity == finding(desc="18 times", title="U", severity="info", hint="", evidence=()).identity
    different = [finding("t"), finding(rule="slow"), finding(endpoint="GET /"), finding(endpoint=None), finding(service="other")]
    assert len({each.identity for each in [finding(), *different]}) == 6


def test_a_wont_fix_stays_and_does_not_regress(make: Any) -> None:
    issues = Issues()
    issues.found(finding(), 0, count=True)
    issues.report(finding().identity, "wont_fix", "by design", 0)
    for _ in range(life.CLEAN_HITS):
        clean(issues, make.request(), 1)
    assert only(issues).state == "resolved"
    issues.found(finding(), 2, count=True)
    assert (only(issues).state, only(issues).occurrences, only(issues).ai_status) == ("resolved", 2, "wont_fix")
    issues.sweep(life.RESOLVED_KEPT_MS * 10, lambda _: 0.0)
    assert only(issues).ai_notes == "by design"


def test_what_comes_back_needs_longer_to_be_resolved(make: Any) -> None:
    issues = Issues()
    for needed in (5, 20, 80, 320, 320):
        issues.found(finding(), 0, count=True)
        assert only(issues).clean_hits_needed == needed
        for hit in range(needed):
            assert only(issues).state in ("open", "regressed"), hit
            clean(issues, make.request(), 1)
        assert only(issues).state == "resolved"


def test_stale_without_traffic_only() -> None:
    issues = Issues()
    issues.found(finding(), 0, count=True)
    issues.sweep(40 * MINUTE, lambda place: 20 * MINUTE if place == PLACE else 0.0)
    assert only(issues).state == "open"
    issues.sweep(51 * MINUTE, lambda _: 20 * MINUTE)
    assert only(issues).state == "stale"
    issues.found(finding(), 60 * MINUTE, count=True)
    assert only(issues).state == "open"


def test_resolved_and_stale_are_forgotten_in_the_end(make: Any) -> None:
    issues = Issues()
    issues.found(finding(), 0, count=True)
    for _ in range(life.CLEAN_HITS):
        clean(issues, make.request(), 5)
    assert only(issues).resolved_at == 5
    issues.take_changes()
    issues.sweep(life.RESOLVED_KEPT_MS + 6, lambda _: 0.0)
    assert issues.take_changes() == ([], [finding().identity])
    assert not issues.dirty


def test_clean_hits_need_a_request_that_got_as_far(make: Any) -> None:
    issues = Issues()
    issues.found(finding(), 0, count=True)
    issues.found(finding(rule="error", category="reliability"), 0, count=True)
    refused = [make.request(status=status) for status in (304, 400, 404, 422, 502)]
    for request in (*refused, make.request(cancelled=True), make.request()):
        clean(issues, request, 1)
    clean(issues, make.request(), 1, rules=lambda rule: rule != "n1")
    clean(issues, make.request(), 1, place=("other", PLACE[1]))
    assert {i.issue.rule: i.clean_hits_since_last_seen for i in issues.all()} == {"n1": 1, "error": 2}


def test_together_only_those_count_that_did_what_they_were_asked_for(make: Any) -> None:
    issues = Issues()
    issues.found(finding(rule="slow"), 0, count=1)
    hits = Hits()
    for status in (200, 201, 302, 304, 404, 500):
        hits.add(make.request(status=status))
    issues.clean(PLACE, lambda _: True, (), hits, 1)
    assert (hits.judged, only(issues).clean_hits_since_last_seen) == (6, 3)


LOOP = Callsite(file="app/orders.py", line=42, function="list_orders")


def parent(make: Any, rows: int | None = 9) -> Any:
    return make.query("SELECT id FROM orders", table="orders", row_count=rows, site=("app/orders.py", 40, "list_orders"))


def item(make: Any, n: int) -> Any:
    return make.query(params=f"p{n}", row_count=1)


def joined(make: Any) -> Any:
    return make.query("SELECT id FROM items WHERE order_id IN (?, ?)", row_count=9, site=("app/orders.py", 41, "list_orders"))


@pytest.fixture
def looped(make: Any) -> Issues:
    issues = Issues()
    timeline = Timeline(make.request(), [parent(make), *(item(make, n) for n in range(5))])
    one = finding(call_site=LOOP, sql="SELECT id, name FROM items WHERE order_id = ?")
    issues.found(one, 0, count=1, path=lambda: path_of(timeline, one))
    return issues


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ("", False),
        ("auth", False),
        ("parent item", False),
        ("few item", False),
        ("none", False),
        ("parent joined", True),
        ("auth parent", True),
        ("unknown", True),
        ("joined", True),
    ],
)
def test_only_requests_that_went_the_same_way_say_anything(make: Any, looped: Issues, made: str, says: bool) -> None:
    events = {
        "auth": lambda: make.query("SELECT id FROM users WHERE id = ?", table="users"),
        "parent": lambda: parent(make),
        "unknown": lambda: parent(make, None),
        "few": lambda: parent(make, 1),
        "none": lambda: parent(make, 0),
        "item": lambda: item(make, 1),
        "joined": lambda: joined(make),
    }
    for _ in range(life.CLEAN_HITS):
        clean(looped, make.request(), 1, entries=[events[name]() for name in made.split()])
    issue = only(looped)
    assert (issue.state == "resolved", issue.clean_hits_since_last_seen, issue.hits_off_path_since_last_seen) == (
        (True, 5, 0) if says else (False, 0, 5)
    )


def test_what_different_requests_have_in_common_is_the_path(make: Any, looped: Issues) -> None:
    extra = make.query("SELECT id FROM users", table="users", site=None)
    one = finding(call_site=LOOP, sql="SELECT id, name FROM items WHERE order_id = ?")
    timeline = Timeline(make.request(), [parent(make), extra, *(item(make, n) for n in range(5))])
    looped.found(one, 1, count=1, path=lambda: path_of(timeline, one))
    path = only(looped).path
    assert path is not None
    assert (path.needs, path.many, path.own) == (["SELECT orders"], ["SELECT orders"], ["SELECT items"])


def test_where_the_code_is_gone_it_takes_a_word_and_a_new_process(make: Any, looped: Issues) -> None:
    for run, said in (("run1", False), ("run2", False), ("run1", True), ("run2", True)):
        if said:
            looped.set(only(looped).issue_id, "fixing", "from the cache now", "agent", 2)
        for _ in range(life.PATIENCE * life.CLEAN_HITS):
            clean(looped, make.request(run=run), 3)
        assert only(looped).state == ("resolved" if said and run == "run2" else "fixing" if said else "open"), run
    assert "did not come by there" in only(looped).history[-1].why


def test_every_change_is_kept_with_who_and_why(make: Any) -> None:
    issues = Issues()
    issues.found(finding(), 1, count=1)
    id = only(issues).issue_id
    issues.report(id, "fixed", "joined", 2)
    for _ in range(life.CLEAN_HITS):
        clean(issues, make.request(), 3)
    issues.found(finding(evidence=("r7",)), 4, count=1)
    issues.set(id, "ignored", "a list of three", "person", 5)
    issues.found(finding(), 6, count=1)
    issues.sweep(10 * life.STALE_KEPT_MS, lambda _: 0.0)
    assert (only(issues).state, only(issues).occurrences) == ("ignored", 3)
    issues.set(id, "open", "not three any more", "person", 7)
    assert [(c.at, c.state, c.by, c.why) for c in Issues(issues.all()).all()[0].history] == [
        (1, "open", "engine", "found in r1"),
        (2, "fixing", "agent", "joined"),
        (3, "resolved", "engine", "5 requests like it did not show it"),
        (4, "regressed", "engine", "found in r7 again"),
        (5, "ignored", "person", "a list of three"),
        (7, "open", "person", "not three any more"),
    ]
    assert issues.set("other", "open", "why", "person", 8) is None


def test_history_is_bounded_and_keeps_its_beginning() -> None:
    issues = Issues()
    issues.found(finding(), 1, count=1)
    for n in range(2 * life.HISTORY):
        issues.set(only(issues).issue_id, "fixing", f"try {n}", "person", n + 2)
    history = only(issues).history
    assert (len(history), history[0].state, history[-1].why) == (life.HISTORY, "open", f"try {2 * life.HISTORY - 1}")


def test_a_milder_finding_does_not_hide_a_worse_one_at_once() -> None:
    issues = Issues()
    issues.found(finding(severity="critical", evidence=("r1",)), 0, count=True)
    issues.found(finding(severity="info", evidence=("r2",)), 1000, count=True)
    assert (only(issues).issue.severity, only(issues).issue.evidence) == ("critical", ["r2", "r1"])
    issues.found(finding(severity="info", evidence=("r3",)), 2 * life.WORDING_MS, count=True)
    assert (only(issues).issue.severity, only(issues).occurrences) == ("info", 3)


def test_evidence_is_the_newest_ten() -> None:
    issues = Issues()
    for n in range(25):
        issues.found(finding(evidence=(f"r{n}",)), n, count=True)
    assert only(issues).issue.evidence == [f"r{n}" for n in range(24, 14, -1)]


def test_worst_first_and_filters() -> None:
    issues = Issues()
    for n, severity in enumerate(("info", "critical", "warning")):
        issues.found(finding(severity, severity), n, count=True)
    issues.found(finding("e", "critical", rule="error", category="reliability"), 9, count=True)
    assert [i.issue.subject for i in issues.all()] == ["e", "critical", "warning", "info"]
    assert [i.issue.subject for i in issues.all(category="reliability")] == ["e"]
    assert len(issues.all(state="open", category="reliability")) == 4


def test_is_bounded() -> None:
    issues = Issues()
    for n in range(life.LIMIT + 50):
        issues.found(finding(f"s{n}"), n, count=True)
    changed, removed = issues.take_changes()
    assert (len(issues), len(changed), len(removed)) == (life.LIMIT, life.LIMIT, 50)


def test_what_is_handed_out_is_a_copy() -> None:
    issues = Issues()
    issues.found(finding(), 0, count=True)
    (changed,), _ = issues.take_changes()
    changed.issue.evidence.append("x")
    changed.state = "resolved"
    again = Issues([only(issues)])
    assert (only(issues).state, only(again).issue.evidence) == ("open", ["r1"])


def test_changes_that_could_not_be_saved_come_again() -> None:
    issues = Issues()
    issues.found(finding(), 0, count=True)
    changed, removed = issues.take_changes()
    issues.return_changes(changed, removed)
    assert [i.issue_id for i in issues.take_changes()[0]] == [finding().identity]


def test_what_a_person_ignored_does_not_depend_on_a_suppression_that_comes_and_goes() -> None:
    issues = Issues()
    issues.found(finding(), 1, count=1)
    issues.set(only(issues).issue_id, "ignored", "a list of three", "person", 2)
    known = Suppression(by="baseline", what="brakit-baseline.json")
    for now, suppression in ((3, known), (4, None)):
        issues.found(finding(), now, count=1, suppression=suppression)
        assert (only(issues).state, only(issues).suppression, len(only(issues).history)) == ("ignored", None, 2)
