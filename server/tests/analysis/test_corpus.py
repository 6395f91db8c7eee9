"""The labelled corpus: exactly the expected findings, whichever way the events come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import classes


def test_exactly_the_expected_findings(case: Any, judge: Callable[[list[Any]], list[Finding]]) -> None:
    found = judge(case.entries)
    assert sorted((f.rule, f.severity) for f in found) == sorted((e.rule, e.severity) for e in case.expected)
    for expected in case.expected:
        texts = ["\n".join(str(part) for part in (f.title, f.desc, f.hint, f.detail)) for f in found if f.rule == expected.rule]
        assert any(all(word in text for word in expected.words) for text in texts), (expected, texts)


def test_findings_do_not_depend_on_the_order_of_events(case: Any, judge: Callable[[list[Any]], list[Finding]]) -> None:
    forward = {finding.identity: finding for finding in judge(case.entries)}
    backward = {finding.identity: finding for finding in judge(case.entries[::-1])}
    assert set(forward) == set(backward)
    assert {f.desc for f in forward.values() if f.rule != "error"} == {f.desc for f in backward.values() if f.rule != "error"}


def test_evidence_names_what_is_there(case: Any, judge: Callable[[list[Any]], list[Finding]]) -> None:
    ids = {entry.id for entry in case.entries}
    for finding in judge(case.entries):
        assert finding.evidence
        assert set(finding.evidence) <= ids
        assert len(finding.evidence) <= 10


def test_the_corpus_has_both_kinds_of_every_rule(cases: list[Any]) -> None:
    for rule in classes():
        named = [case for case in cases if case.name.startswith(f"{rule.id.replace('-', '_')}:")]
        assert len([case for case in named if case.expected]) >= 7, rule.id
        assert len([case for case in named if not case.expected]) >= 3, rule.id
