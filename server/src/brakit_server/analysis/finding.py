"""`Finding`: what a rule says about one request or one endpoint. Immutable; its identity never depends on its wording."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

import msgspec

from brakit_server.answers import Category, Confidence, Issue, Severity
from brakit_server.records import Callsite

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""Worst first."""

EVIDENCE_LIMIT = 10
"""Ids that a finding or an issue names."""


CRITICAL_SHARE = 0.20
WARNING_SHARE = 0.05
INFO_MS = 5.0
"""What costs less in all is never worse than info, whatever its share."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One observation of one rule. Rules make it with `Rule.finding`."""

    rule: str
    category: Category
    severity: Severity
    title: str
    desc: str
    hint: str
    endpoint: str | None
    """`METHOD route-template`; None for what happened outside any request."""
    service: str | None = None
    subject: str
    """What it is about within the endpoint, made of names and hashes only: no counts, times or line numbers."""
    detail: str | None = None
    call_site: Callsite | None = None
    evidence: tuple[str, ...] = ()
    """Ids of the requests (outside a request: of the events) that show it, newest first."""
    cost_ms: float | None = None
    """Milliseconds that a request would save."""
    sql: str | None = None
    confidence: Confidence = "certain"
    fix: str | None = None
    """The change in code or settings, where it can be said to the letter."""

    @property
    def identity(self) -> str:
        """16 hex digits over service, rule, endpoint and subject."""
        return _identity(self.service, self.rule, self.endpoint, self.subject)

    def issue(self) -> Issue:
        """The finding as the API shows it."""
        return Issue(
            category=self.category,
            rule=self.rule,
            severity=self.severity,
            title=self.title,
            desc=self.desc,
            hint=self.hint,
            detail=self.detail,
            endpoint=self.endpoint,
            service=self.service,
            subject=self.subject,
            call_site=self.call_site,
            evidence=list(self.evidence[:EVIDENCE_LIMIT]),
            cost_ms=self.cost_ms,
            sql=self.sql,
            confidence=self.confidence,
            fix=self.fix,
        )


@lru_cache(maxsize=4096)
def _identity(*fields: str | None) -> str:
    named = json.dumps(fields, ensure_ascii=False)
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def severity_by_cost(
    cost_ms: float,
    whole_ms: float,
    *,
    critical_share: float = CRITICAL_SHARE,
    warning_share: float = WARNING_SHARE,
    info_ms: float = INFO_MS,
) -> Severity:
    """How bad it is to lose `cost_ms` of the `whole_ms` that a request or job takes: by what it costs, not by how often it happens."""
    part = cost_ms / whole_ms if whole_ms > 0 else 0.0
    if cost_ms < info_ms or part < warning_share:
        return "info"
    return "critical" if part >= critical_share else "warning"


def milliseconds(value: float) -> str:
    """A duration for people: `0.4 ms`, `38 ms`, `1.2 s`."""
    if value >= 999.5:
        return f"{value / 1000:.1f} s"
    return f"{value:.1f} ms" if value < 9.95 else f"{value:.0f} ms"


def share(part: float, whole: float) -> str:
    """A fraction for people: `26 %`, at most 100 %."""
    percent = min(100.0, 100.0 * part / whole) if whole > 0 else 0.0
    return "under 1 %" if 0 < percent < 0.5 else f"{percent:.0f} %"
