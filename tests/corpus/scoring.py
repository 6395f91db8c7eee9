"""Precision and recall of our rules and of the detectors of others, over the same cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from bench.comparison.bullet import Bullet
from bench.comparison.prosopite import Prosopite
from bench.comparison.reference import Reference
from bench.comparison.seen import Hit, Seen
from bench.comparison.sentry import Sentry
from brakit_server.analysis.rules import classes
from tests.corpus.cases import expected_pairs
from tests.corpus.running import Ran, verdict


class Score(NamedTuple):
    """Counts of findings: those that were right, those that were wrong, and those that are missing."""

    true: int = 0
    false: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        """Share of the findings that are right; 1 where there are none."""
        return self.true / (self.true + self.false) if self.true + self.false else 1.0

    @property
    def recall(self) -> float:
        """Share of what is there that was found; 1 where there is nothing."""
        return self.true / (self.true + self.missed) if self.true + self.missed else 1.0

    def plus(self, true: int, false: int, missed: int) -> Score:
        """With these added."""
        return Score(self.true + true, self.false + false, self.missed + missed)


class Detector(NamedTuple):
    """A detector of others, the rules of ours that mean the same, and its own ground: the cases that are of its kind."""

    name: str
    find: Callable[[Seen], set[Hit]]
    rules: tuple[str, ...]
    ground: Callable[[Ran], bool]
    of: str
    """Its ground in words."""


def _everywhere(_: Ran) -> bool:
    return True


def _selects(ran: Ran) -> bool:
    """Whether what is repeated in the case, if anything, is read and not written."""
    tables = set(ran.case.expect.get("n1", ()))
    queries = [query for timeline in ran.seen.timelines for query in timeline.queries if query.table in tables]
    writes = sum(query.operation in ("INSERT", "UPDATE", "DELETE") for query in queries)
    return writes * 2 <= len(queries)


def _associations(ran: Ran) -> bool:
    """Whether the case is of an ORM, and the first use of an attribute issues what is repeated in it, if anything."""
    queries = [query for timeline in ran.seen.timelines for query in timeline.queries]
    lazy = any(query.lazy_load for query in queries)
    return ran.case.family in _ORMS and (lazy or "n1" not in ran.case.expect)


_ORMS = ("sqlalchemy", "sqlalchemy-async", "django")

_REFERENCE = (
    "n1",
    "redundant-query",
    "select-star",
    "high-rows",
    "query-heavy",
    "error",
    "error-hotspot",
    "large-response",
    "response-overfetch",
)
_SENTRY = ("n1", "slow-query", "sequential-calls")

DETECTORS = (
    Detector("the reference", Reference().find, _REFERENCE, _everywhere, "all cases"),
    Detector("Sentry", Sentry().find, _SENTRY, _everywhere, "all cases"),
    Detector("Sentry, without its 50 ms", Sentry(floor_ms=0.0).find, _SENTRY, _everywhere, "all cases"),
    Detector("Prosopite", Prosopite().find, ("n1",), _selects, "cases in which nothing is written in a loop"),
    Detector("Bullet", Bullet().find, ("n1",), _associations, "cases of an ORM: those of a lazy load, and those without a loop"),
)


def ours(rans: Iterable[Ran]) -> dict[str, Score]:
    """The score of each of our rules that the cases are about, or that has fired."""
    scores: dict[str, Score] = {}
    for ran in rans:
        judged = verdict(ran)
        for rule in {*ran.case.expect, *(rule for rule, _ in judged.false)}:
            counts = [sum(each[0] == rule for each in part) for part in judged]
            scores[rule] = scores.get(rule, Score()).plus(*counts)
    return dict(sorted(scores.items()))


def theirs(detector: Detector, rans: Iterable[Ran]) -> dict[str, Score]:
    """The score of a detector of others on its own ground, for each rule of ours that the cases are about and it knows."""
    scores: dict[str, Score] = {}
    known = {rule.id for rule in classes()}
    for ran in filter(detector.ground, rans):
        left = [hit for hit in detector.find(ran.seen) if hit.rule in known]
        for rule in detector.rules:
            true = missed = 0
            for _, table in (pair for pair in expected_pairs(ran.case) if pair[0] == rule):
                fits = next((hit for hit in left if hit.rule == rule and _means(hit, table)), None)
                if fits is None and not (true and _again(ran, rule, table)):
                    missed += 1
                    continue
                true += 1
                if fits is not None:
                    left.remove(fits)
            false = sum(hit.rule == rule for hit in left)
            if true or false or missed:
                scores[rule] = scores.get(rule, Score()).plus(true, false, missed)
    return scores


def _means(hit: Hit, table: str) -> bool:
    return not table or not hit.table or hit.table == table or table.endswith("Error")


def _again(ran: Ran, rule: str, table: str) -> bool:
    """Whether the case has two findings about one table: others tell tables once."""
    return ran.case.expect[rule].count(table) > 1
