"""The judge: which rules are asked about what, and what becomes of bad ones."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pytest

from brakit_server.analysis.finding import Finding, severity_by_cost
from brakit_server.analysis.judge import STRIKES, Judge
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.analysis.window import Service, Window


class Named(Rule):
    title = "T"
    category = "performance"

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        return [self.finding(timeline, severity="info", title="T", desc="D", hint="H", subject="s", fix="do(it)")]


class OfCalls(Named):
    needs = ("fetches", "logs")
    kinds = ("request",)


class OfAnything(Named):
    kinds = ("request", "job", "none")
    noise = True


def test_a_rule_is_asked_about_what_it_wants_to_see(make: Any) -> None:
    named, calls, anything = Named(), OfCalls(), OfAnything()
    for rule, id in ((named, "named"), (calls, "calls"), (anything, "anything")):
        type(rule).id = id
    judge = Judge([named, calls, anything])

    def who(root: Any, *entries: Any) -> list[str]:
        return [finding.rule for finding in judge.timeline(Timeline(root, entries))]

    assert who(make.request()) == ["named", "anything"]
    assert who(make.request(), make.log()) == ["named", "calls", "anything"]
    assert who(make.request(is_health_check=True), make.fetch()) == ["anything"]
    assert who(make.job(), make.fetch()) == ["named", "anything"]
    assert who(None, make.error(owner=None)) == ["anything"]
    assert judge.figures["anything"].calls == 5


def test_a_finding_takes_what_it_is_about(make: Any) -> None:
    (finding,) = Judge([Named()]).timeline(Timeline(make.job("j1", "send"), []))
    assert (finding.endpoint, finding.service, finding.evidence, finding.fix) == ("send", "shop", ("j1",), "do(it)")
    assert (finding.issue().fix, finding.issue().confidence) == ("do(it)", "certain")


def test_a_rule_has_one_level() -> None:
    with pytest.raises(TypeError, match="must have one of check, check_endpoint, check_service"):
        type("None_", (Rule,), {})
    with pytest.raises(TypeError, match="must have one of"):
        type("Both", (Named,), {"check_endpoint": lambda self, window: None})


class OfService(Rule):
    title = "T"
    category = "performance"

    def check_service(self, service: Service) -> Iterable[Finding] | None:
        if len(service.windows) < 2:
            return None
        return [
            self.finding(service, severity="info", title="T", desc="D", hint="H", subject="s", endpoint="GET /a", evidence=["r"])
        ]


def test_a_service_is_judged_as_a_whole() -> None:
    rule = OfService()
    judge = Judge([rule])
    assert judge.service(Service("shop", [Window("shop", "GET /a")])) == ([], {rule.id})
    findings, undecided = judge.service(Service("shop", [Window("shop", "GET /a"), Window("shop", "send", "job")]))
    assert [(finding.endpoint, finding.service, finding.evidence) for finding in findings] == [("GET /a", "shop", ("r",))]
    assert not undecided
    assert judge.decides(rule.id, "service")
    assert not judge.decides(rule.id, "service", {rule.id})
    assert not judge.decides(rule.id, "timeline")


class Raises(Named):
    def check(self, timeline: Timeline) -> Iterable[Finding]:
        raise RuntimeError("boom")


class Burns(Named):
    def check(self, timeline: Timeline) -> Iterable[Finding]:
        until = time.thread_time() + 0.08
        while time.thread_time() < until:
            yield from ()


class Waits(Named):
    def check(self, timeline: Timeline) -> Iterable[Finding]:
        time.sleep(0.06)
        yield from ()


@pytest.mark.parametrize(("rule", "reason"), [(Raises, "RuntimeError: boom"), (Burns, "ms in one call")])
def test_one_that_fails_or_takes_too_long_is_set_aside_with_a_notice(make: Any, rule: type[Rule], reason: str) -> None:
    bad, good = rule(), Named()
    judge = Judge([bad, good])
    for number in range(STRIKES + 1):
        assert len(judge.timeline(Timeline(make.request(), []))) == 1, number
    assert [notice.rule for notice in judge.notices] == [bad.id]
    assert reason in judge.notices[0].reason
    # Whether its issues are still there nobody can tell.
    assert not judge.decides(bad.id, "timeline")


def test_one_that_only_had_to_wait_for_the_processor_is_not(make: Any) -> None:
    judge = Judge([Waits()])
    for _ in range(STRIKES):
        judge.timeline(Timeline(make.request(), []))
    assert judge.notices == []


@pytest.mark.parametrize(
    ("cost", "whole", "severity"),
    [(50, 100, "critical"), (20, 100, "critical"), (10, 100, "warning"), (4, 5, "info"), (10, 1000, "info"), (10, 0, "info")],
)
def test_severity_follows_the_cost(cost: float, whole: float, severity: str) -> None:
    assert severity_by_cost(cost, whole) == severity
