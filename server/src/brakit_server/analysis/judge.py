"""`Judge`: asks the rules that are concerned, and sets aside those that fail or take too long."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeVar

import msgspec

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Level, Need, Rule
from brakit_server.analysis.timeline import Kind, Timeline
from brakit_server.analysis.window import Service, Window

log = logging.getLogger(__name__)

BUDGET_S = 0.050
"""Processor time that a rule may take for one call."""

MARK_S = 0.005
"""The processor's clock costs ten times what the other one costs: it is read so seldom, and when a call took long."""

STRIKES = 3
"""Failures and overruns that set a rule aside."""

FORGIVEN = 10_000
"""Calls without one after which the earlier ones do not count any more."""

_NEEDS: dict[Need, int] = {
    "queries": 1,
    "marks": 2,
    "fetches": 4,
    "logs": 8,
    "errors": 16,
    "auth_checks": 32,
    "spans": 64,
}

T = TypeVar("T")
Check = Callable[[T], Iterable[Finding] | None]


class Notice(msgspec.Struct, kw_only=True):
    """A rule that was set aside."""

    rule: str
    reason: str
    """What it did the last time."""


class Figures(msgspec.Struct):
    """What a rule has cost since the start: seconds by the clock on the wall."""

    calls: int = 0
    seconds: float = 0.0
    strikes: int = 0
    struck: int = 0
    """How many calls there were at the last strike."""


class Judge:
    """The rules in use. One object judges all timelines and windows of a project, one at a time."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.notices: list[Notice] = []
        """Rules that were set aside, in the order in which they were."""
        self.figures: dict[str, Figures] = {}
        """By rule."""
        self._mark = (0.0, 0.0, 0)
        """A moment not long ago, in seconds of the wall and of the processor; how many full collections of garbage there were then."""
        self._rules: list[Rule] = []
        self._levels: dict[str, Level] = {}
        self._aside: set[str] = set()
        self._timeline: dict[tuple[Kind, bool], list[tuple[int, Rule]]] = {}
        self._endpoint: dict[Kind, list[Rule]] = {}
        self._service: list[Rule] = []
        for rule in rules:
            self.add(rule)

    @property
    def quarantined(self) -> list[str]:
        """Ids of rules that were set aside."""
        return [notice.rule for notice in self.notices]

    def add(self, rule: Rule) -> None:
        """Ask this rule too."""
        self._rules.append(rule)
        self.figures.setdefault(rule.id, Figures())
        self._sort()

    def timeline(self, timeline: Timeline) -> list[Finding]:
        """What the rules find in one request or job, or in what nothing owns."""
        has = _has(timeline)
        found: list[Finding] = []
        for needs, rule in self._timeline[timeline.kind, timeline.noise]:
            if not needs or needs & has:
                found += self._ask(rule, rule.check, timeline) or ()
        return found

    def steps(self, timeline: Timeline) -> Iterator[list[Finding]]:
        """The same, rule by rule, so that something else can be done in between."""
        has = _has(timeline)
        for needs, rule in self._timeline[timeline.kind, timeline.noise]:
            if not needs or needs & has:
                yield self._ask(rule, rule.check, timeline) or []

    def window(self, window: Window) -> tuple[list[Finding], set[str]]:
        """What the rules find in one endpoint, and the ids of endpoint rules that cannot tell yet."""
        return self._tell([(rule, rule.check_endpoint) for rule in self._endpoint.get(window.kind, ())], window)

    def service(self, service: Service) -> tuple[list[Finding], set[str]]:
        """What the rules find in one service, and the ids of service rules that cannot tell yet."""
        return self._tell([(rule, rule.check_service) for rule in self._service], service)

    def decides(self, rule: str, level: Level, undecided: Collection[str] = ()) -> bool:
        """Whether what was not found at `level` says that the rule of this id did not find it. Rules that are not known any more
        count as `timeline`."""
        return self._levels.get(rule, "timeline") == level and rule not in undecided and rule not in self._aside

    def _sort(self) -> None:
        self._levels |= {rule.id: rule.level for rule in self._rules}
        kinds: tuple[Kind, ...] = ("request", "job", "none")
        self._timeline = {
            (kind, noise): [
                (sum(_NEEDS[need] for need in rule.needs), rule)
                for rule in self._rules
                if rule.level == "timeline" and kind in rule.kinds and (rule.noise or not noise)
            ]
            for kind in kinds
            for noise in (False, True)
        }
        self._endpoint = {
            kind: [rule for rule in self._rules if rule.level == "endpoint" and kind in rule.kinds] for kind in kinds
        }
        self._service = [rule for rule in self._rules if rule.level == "service"]

    def _tell(self, asked: list[tuple[Rule, Check[T]]], subject: T) -> tuple[list[Finding], set[str]]:
        found: list[Finding] = []
        undecided: set[str] = set()
        for rule, check in asked:
            findings = self._ask(rule, check, subject)
            found += findings or []
            if findings is None:
                undecided.add(rule.id)
        return found, undecided

    def _ask(self, rule: Rule, check: Check[T], subject: T) -> list[Finding] | None:
        figures = self.figures[rule.id]
        begun = time.perf_counter()
        if begun - self._mark[0] > MARK_S:
            self._mark = (begun, time.thread_time(), _collections())
        try:
            answer = check(subject)
            findings = list(answer) if answer is not None else None
        except Exception as error:  # a rule may be anybody's; its failure costs its own answer and nothing else
            log.exception("rule %s failed", rule.id)
            self._strike(rule, figures, f"{type(error).__name__}: {error}"[:300])
            return None
        took = time.perf_counter() - begun
        figures.calls += 1
        figures.seconds += took
        if took > BUDGET_S:
            # Others may have had the processor meanwhile. What was done between the mark and this call took that time at most.
            took = time.thread_time() - self._mark[1] - (begun - self._mark[0])
            if took > BUDGET_S and self._mark[2] == _collections():
                log.warning("rule %s took %.0f ms in one call", rule.id, took * 1000)
                self._strike(rule, figures, f"took {took * 1000:.0f} ms in one call; {BUDGET_S * 1000:.0f} ms is the most")
        return findings

    def _strike(self, rule: Rule, figures: Figures, reason: str) -> None:
        if figures.calls - figures.struck > FORGIVEN:
            figures.strikes = 0
        figures.struck = figures.calls
        figures.strikes += 1
        if figures.strikes >= STRIKES and rule in self._rules:
            self._rules.remove(rule)
            self._aside.add(rule.id)
            self._sort()
            self.notices.append(Notice(rule=rule.id, reason=reason))
            log.error("rule %s is set aside: %s", rule.id, reason)


def _collections() -> int:
    full: int = gc.get_stats()[2]["collections"]
    return full


def _has(timeline: Timeline) -> int:
    return (
        (1 if timeline.queries else 0)
        | (2 if timeline.marks else 0)
        | (4 if timeline.fetches else 0)
        | (8 if timeline.logs else 0)
        | (16 if timeline.errors else 0)
        | (32 if timeline.auth_checks else 0)
        | (64 if timeline.spans else 0)
    )
