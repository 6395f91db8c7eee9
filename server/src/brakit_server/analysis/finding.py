"""`Finding`: what a rule says about one request or one endpoint. Immutable; its identity never depends on its wording."""

from __future__ import annotations

import hashlib
import json

import msgspec

from brakit_server.answers import Category, Issue, Severity
from brakit_server.records import Callsite

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""Worst first."""

EVIDENCE_LIMIT = 10
"""Ids that a finding or an issue names."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One observation of one rule."""

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

    @property
    def identity(self) -> str:
        """16 hex digits over service, rule, endpoint and subject."""
        named = json.dumps([self.service, self.rule, self.endpoint, self.subject], ensure_ascii=False)
        return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:16]

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
        )


def milliseconds(value: float) -> str:
    """A duration for people: `0.4 ms`, `38 ms`, `1.2 s`."""
    if value >= 999.5:
        return f"{value / 1000:.1f} s"
    return f"{value:.1f} ms" if value < 9.95 else f"{value:.0f} ms"


def share(part: float, whole: float) -> str:
    """A fraction for people: `26 %`, at most 100 %."""
    percent = min(100.0, 100.0 * part / whole) if whole > 0 else 0.0
    return "under 1 %" if 0 < percent < 0.5 else f"{percent:.0f} %"
