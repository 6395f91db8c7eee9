from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brakit_server.analysis import issues as life
from brakit_server.analysis.finding import Finding
from brakit_server.analysis.issues import Hits, Issues
from brakit_server.answers import StatefulIssue

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
) -> None:
    hits = Hits()
    hits.add(root)
    issues.clean(place, rules, (), hits, now)


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
    issues.report(finding().identity, "wont_fix", "by design")
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
    for request in (make.request(status=404), make.request(status=502), make.request(cancelled=True), make.request()):
        clean(issues, request, 1)
    clean(issues, make.request(), 1, rules=lambda rule: rule != "n1")
    clean(issues, make.request(), 1, place=("other", PLACE[1]))
    assert {i.issue.rule: i.clean_hits_since_last_seen for i in issues.all()} == {"n1": 1, "error": 3}


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
