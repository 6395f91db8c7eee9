"""`Judge`: asks the rules, and sets aside those that fail or take too long."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.analysis.window import Window

log = logging.getLogger(__name__)

LIMIT_S = 0.050
"""Processor time that a rule may take for one request."""

STRIKES = 3
"""Failures and overruns that set a rule aside."""

T = TypeVar("T")


class Judge:
    """The rules in use."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = list(rules)
        self.quarantined: list[str] = []
        """Ids of rules that were set aside."""
        self._strikes: dict[str, int] = {}

    def timeline(self, timeline: Timeline) -> list[Finding]:
        """What the rules find in one request."""
        found: list[Finding] = []
        for rule in self.rules[:]:
            found += self._ask(rule, rule.check, timeline) or []
        return found

    def window(self, window: Window) -> tuple[list[Finding], set[str]]:
        """What the rules find in one endpoint, and the ids of endpoint rules that cannot tell yet."""
        found: list[Finding] = []
        undecided = set(self.quarantined)
        for rule in self.rules[:]:
            if type(rule).check_endpoint is Rule.check_endpoint:
                continue
            findings = self._ask(rule, rule.check_endpoint, window)
            found += findings or []
            if findings is None:
                undecided.add(rule.id)
        return found, undecided

    def _ask(self, rule: Rule, check: Callable[[T], Iterable[Finding] | None], subject: T) -> list[Finding] | None:
        started = time.thread_time()
        try:
            answer = check(subject)
            findings = list(answer) if answer is not None else None
        except Exception:  # a rule may be anybody's; its failure costs its own answer and nothing else
            log.exception("rule %s failed", rule.id)
            self._strike(rule)
            return None
        took = time.thread_time() - started
        if took > LIMIT_S:
            log.warning("rule %s took %.0f ms for one request", rule.id, took * 1000)
            self._strike(rule)
        return findings

    def _strike(self, rule: Rule) -> None:
        self._strikes[rule.id] = self._strikes.get(rule.id, 0) + 1
        if self._strikes[rule.id] >= STRIKES and rule in self.rules:
            self.rules.remove(rule)
            self.quarantined.append(rule.id)
            log.error("rule %s is set aside", rule.id)
