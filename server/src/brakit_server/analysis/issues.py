"""The life of issues: findings that stay, with a state and counts that follow requests, not runs of the analysis."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

import msgspec

from brakit_server.analysis.finding import EVIDENCE_LIMIT, SEVERITIES, Finding
from brakit_server.analysis.paths import REFINED, Walk, common, succeeded
from brakit_server.analysis.timeline import Place, Root
from brakit_server.answers import Category, Change, CodePath, State, StatefulIssue, Suppression

CLEAN_HITS = 5
"""Requests of the endpoint without it, one after the other, that make an issue resolved."""

PATIENCE = 4
MAX_CLEAN_HITS = 320
"""An issue that comes back after it was resolved takes `PATIENCE` times as many, up to this: what fails now and then is not fixed
by a few requests that went well."""

STALE_MS = 30 * 60_000.0
"""Without traffic of its endpoint for so long, an issue is stale."""

RESOLVED_KEPT_MS = 24 * 3_600_000.0
STALE_KEPT_MS = 7 * 24 * 3_600_000.0
LIMIT = 1000
"""Issues that are kept."""

WORDING_MS = 60_000.0
"""A milder finding replaces the words of a worse one only when that is so old: single fast requests do not hide it."""

HISTORY = 50
"""Changes of an issue that are kept."""

ALIVE = ("open", "fixing", "regressed")
Who = Literal["engine", "person", "agent"]
Said = Literal["open", "fixing", "resolved", "ignored"]
"""States that people and agents set."""


class Hits(msgspec.Struct):
    """Requests or jobs of one endpoint that were judged together."""

    judged: int = 0
    """All of them."""
    succeeded: int = 0
    """Those that did what they were asked for."""

    def add(self, root: Root) -> None:
        """Count one more."""
        self.judged += 1
        self.succeeded += succeeded(root)


def place_of(issue: StatefulIssue) -> Place:
    """Where the issue is."""
    return issue.issue.service, issue.issue.endpoint


class Issues:
    """All issues by id. What changed since the last `take_changes` is remembered. All times epoch milliseconds."""

    def __init__(self, known: Collection[StatefulIssue] = ()) -> None:
        self._issues: dict[str, StatefulIssue] = {}
        self._places: dict[Place, set[str]] = {}
        self._worded: dict[str, float] = {}
        self._changed: set[str] = set()
        self._removed: set[str] = set()
        self.urgent = False
        """Whether there is more than other counts since the last `take_changes`: new issues, or new states."""
        for issue in known:
            self._add(_copy(issue))

    def __len__(self) -> int:
        return len(self._issues)

    def names(self, issue_id: str, request_id: str) -> bool:
        """Whether the request is evidence of the issue."""
        issue = self._issues.get(issue_id)
        return issue is not None and request_id in issue.issue.evidence

    def all(self, state: State | None = None, category: Category | None = None) -> list[StatefulIssue]:
        """Copies, worst first, then newest first. `state` wins over `category`."""
        chosen = [
            _copy(issue)
            for issue in self._issues.values()
            if (issue.state == state if state else category is None or issue.category == category)
        ]
        chosen.sort(key=lambda issue: (SEVERITIES.index(issue.issue.severity), -issue.last_seen_at, issue.issue_id))
        return chosen

    def found(
        self,
        finding: Finding,
        now: float,
        *,
        count: int,
        path: Callable[[], CodePath] | None = None,
        suppression: Suppression | None = None,
    ) -> None:
        """So many requests show it that were not counted before: 0 when the same request was. `path` of that request, where it is
        one; `suppression` that fits it."""
        issue = self._issues.get(finding.identity)
        self._changed.add(finding.identity)
        where = f"found in {finding.evidence[0]}" if finding.evidence else "found"
        if issue is None:
            issue = StatefulIssue(
                issue_id=finding.identity,
                state="open",
                source="passive",
                category=finding.category,
                issue=finding.issue(),
                first_seen_at=now,
                last_seen_at=now,
                occurrences=max(1, count),
                clean_hits_since_last_seen=0,
                clean_hits_needed=CLEAN_HITS,
                path=path() if path is not None else None,
            )
            self._add(issue)
            self._worded[finding.identity] = now
            self._become(issue, "open", now, "engine", where)
            self._suppress(issue, suppression, now)
            self._bound()
            return
        evidence = list(dict.fromkeys([*finding.evidence, *issue.issue.evidence]))[:EVIDENCE_LIMIT]
        milder = SEVERITIES.index(finding.severity) > SEVERITIES.index(issue.issue.severity)
        if not milder or now - self._worded.get(issue.issue_id, 0.0) > WORDING_MS or issue.state not in ALIVE:
            issue.issue = finding.issue()
            self._worded[issue.issue_id] = now
        issue.issue.evidence = evidence
        issue.last_seen_at = now
        issue.clean_hits_since_last_seen = 0
        issue.hits_off_path_since_last_seen = 0
        if path is not None and count and issue.occurrences < REFINED:
            issue.path = common(issue.path, path()) if issue.path is not None else path()
        issue.occurrences += count
        if self._suppress(issue, suppression, now) or issue.state in ALIVE or issue.state == "ignored":
            return
        if issue.ai_status != "wont_fix":
            if issue.state == "resolved":
                issue.clean_hits_needed = min(issue.clean_hits_needed * PATIENCE, MAX_CLEAN_HITS)
            self._become(issue, "regressed" if issue.state == "resolved" else "open", now, "engine", f"{where} again")

    def alive(self, place: Place) -> bool:
        """Whether requests of `place` without an issue can make one better."""
        return any(self._issues[issue_id].state in ALIVE for issue_id in self._places.get(place, ()))

    def clean(self, place: Place, rules: Callable[[str], bool], found: Collection[str], hits: Hits | Walk, now: float) -> None:
        """Requests of `place` were judged by the `rules`, many together or one: issues of these that are not `found` are better."""
        for issue_id in self._places.get(place, ()):
            issue = self._issues[issue_id]
            if issue.state not in ALIVE or issue_id in found or not rules(issue.issue.rule):
                continue
            if isinstance(hits, Hits):
                self._clean(issue, hits.succeeded, now)
            elif hits.succeeded(issue.path):
                if issue.path is None or hits.went(issue.path):
                    self._clean(issue, 1, now)
                else:
                    self._off_path(issue, hits, now)

    def clean_service(self, service: str | None, rules: Callable[[str], bool], found: Collection[str], now: float) -> None:
        """All endpoints of a service were judged together by the `rules`: those of their issues that are not `found` had a hit."""
        for issue in self._issues.values():
            if (
                issue.issue.service == service
                and issue.state in ALIVE
                and issue.issue_id not in found
                and rules(issue.issue.rule)
            ):
                self._clean(issue, 1, now)

    def _clean(self, issue: StatefulIssue, hits: int, now: float) -> None:
        if hits == 0:
            return
        issue.clean_hits_since_last_seen += hits
        self._changed.add(issue.issue_id)
        if issue.clean_hits_since_last_seen >= issue.clean_hits_needed:
            self._become(issue, "resolved", now, "engine", f"{issue.clean_hits_since_last_seen} requests like it did not show it")

    def _off_path(self, issue: StatefulIssue, walk: Walk, now: float) -> None:
        issue.hits_off_path_since_last_seen += 1
        self._changed.add(issue.issue_id)
        # Nobody goes where the code is gone. That takes somebody who says so, another process, and more requests.
        gone = issue.state == "fixing" and issue.path is not None and walk.run != issue.path.run
        if gone and issue.hits_off_path_since_last_seen >= PATIENCE * issue.clean_hits_needed:
            why = f"{issue.hits_off_path_since_last_seen} requests since the fix did not come by there any more"
            self._become(issue, "resolved", now, "engine", why)

    def _suppress(self, issue: StatefulIssue, suppression: Suppression | None, now: float) -> bool:
        """Ignore what is suppressed, and show again what was and is not; whether it is ignored now."""
        if issue.state == "ignored" and issue.suppression is None:
            return True
        was, issue.suppression = issue.suppression, suppression
        if suppression is not None and issue.state != "ignored":
            reason = f": {suppression.reason}" if suppression.reason else ""
            self._become(issue, "ignored", now, "engine", f"by {suppression.by} ({suppression.what}){reason}")
        elif suppression is None and was is not None and issue.state == "ignored":
            self._become(issue, "open", now, "engine", f"not ignored any more by {was.by} ({was.what})")
        return issue.state == "ignored"

    def _become(self, issue: StatefulIssue, state: State, now: float, by: Who, why: str) -> None:
        if state != issue.state:
            issue.state = state
            issue.resolved_at = now if state == "resolved" else None
        issue.history.append(Change(at=now, state=state, by=by, why=why))
        if len(issue.history) > HISTORY:
            del issue.history[1]
        self._changed.add(issue.issue_id)
        self.urgent = True

    def sweep(self, now: float, last_traffic: Callable[[Place], float]) -> None:
        """Make stale what saw no traffic for long, and forget what was resolved or stale for long."""
        for issue in list(self._issues.values()):
            seen = max(issue.last_seen_at, last_traffic(place_of(issue)))
            if issue.state in ALIVE and now - seen > STALE_MS:
                self._become(issue, "stale", now, "engine", f"no request of its endpoint for {STALE_MS / 60_000:.0f} minutes")
            if issue.ai_status == "wont_fix":
                continue
            if issue.suppression is not None and now - issue.last_seen_at > STALE_KEPT_MS:
                self._remove(issue.issue_id)
                continue
            resolved = issue.state == "resolved" and now - (issue.resolved_at or issue.last_seen_at) > RESOLVED_KEPT_MS
            if resolved or (issue.state == "stale" and now - seen > STALE_KEPT_MS):
                self._remove(issue.issue_id)

    def report(self, issue_id: str, status: Literal["fixed", "wont_fix"], notes: str, now: float) -> bool:
        """What an agent did about it; False when there is no such issue."""
        issue = self._issues.get(issue_id)
        if issue is None:
            return False
        issue.ai_status, issue.ai_notes = status, notes
        if status == "fixed":
            self.set(issue_id, "fixing", notes, "agent", now)
        else:
            self._become(issue, issue.state, now, "agent", f"won't fix: {notes}")
        return True

    def set(self, issue_id: str, state: Said, why: str, by: Who, now: float) -> StatefulIssue | None:
        """Somebody says what state it has; None when there is no such issue."""
        issue = self._issues.get(issue_id)
        if issue is None:
            return None
        issue.clean_hits_since_last_seen = issue.hits_off_path_since_last_seen = 0
        if state != "ignored":
            issue.suppression = None
        if state == "open":
            issue.ai_status = issue.ai_notes = None
        self._become(issue, state, now, by, why)
        return _copy(issue)

    def clear(self) -> None:
        """Forget all."""
        for issue_id in list(self._issues):
            self._remove(issue_id)

    @property
    def dirty(self) -> bool:
        """Whether `take_changes` would bring something."""
        return bool(self._changed or self._removed)

    def take_changes(self) -> tuple[list[StatefulIssue], list[str]]:
        """Copies of what changed and ids of what went since the last call."""
        changed = [_copy(self._issues[issue_id]) for issue_id in sorted(self._changed)]
        removed = sorted(self._removed)
        self._changed, self._removed = set(), set()
        self.urgent = False
        return changed, removed

    def return_changes(self, changed: Collection[StatefulIssue], removed: Collection[str]) -> None:
        """They could not be saved: bring them again with the next `take_changes`."""
        self._changed.update(issue.issue_id for issue in changed if issue.issue_id in self._issues)
        self._removed.update(issue_id for issue_id in removed if issue_id not in self._issues)

    def _add(self, issue: StatefulIssue) -> None:
        self._issues[issue.issue_id] = issue
        self._places.setdefault(place_of(issue), set()).add(issue.issue_id)
        self._removed.discard(issue.issue_id)

    def _remove(self, issue_id: str) -> None:
        place = place_of(self._issues.pop(issue_id))
        self._places[place].discard(issue_id)
        if not self._places[place]:
            del self._places[place]
        self._worded.pop(issue_id, None)
        self._changed.discard(issue_id)
        self._removed.add(issue_id)
        self.urgent = True

    def _bound(self) -> None:
        if len(self._issues) > LIMIT:
            oldest = min(
                self._issues.values(),
                key=lambda issue: (_decided(issue), issue.state in ALIVE, issue.last_seen_at),
            )
            self._remove(oldest.issue_id)


def _decided(issue: StatefulIssue) -> bool:
    """Whether somebody said that it is to stay as it is."""
    return issue.ai_status == "wont_fix" or (issue.state == "ignored" and issue.suppression is None)


def _copy(issue: StatefulIssue) -> StatefulIssue:
    inner = msgspec.structs.replace(issue.issue, evidence=list(issue.issue.evidence))
    return msgspec.structs.replace(issue, issue=inner, history=list(issue.history))
