"""Secrets in log messages."""

from __future__ import annotations

import re
from collections.abc import Iterable

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.secrecy import kind_of
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Severity
from brakit_server.records import Log

_KINDS = frozenset(
    {
        "password",
        "pass",
        "secret",
        "token",
        "key",
        "authorization",
        "auth",
        "credential",
        "session id",
        "cookie",
        "seed",
        "card",
        "ssn",
        "own",
    }
)
_LOUD = frozenset({"", "text", "key", "hash", "user info"})
_NAMED = re.compile(r"([A-Za-z_][\w.-]{0,63})[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:Bearer |Basic )?\*{4}(?!\*)")


class SensitiveLogs(Rule):
    """*What it finds.* Log records whose message or fields held the value of a password, a token, a key, a card number or a
    connection string with a password, in requests, in jobs and outside of both. One finding for each logger, function and set
    of names. The sender masks the value before it leaves, and tells of its look and length; your handlers have written it as
    it was.

    *Why it matters.* Logs are kept for long, copied into other systems and read by more people than the database.

    *Fix.* Log an id instead, or the fact that it was there.

    *What it leaves alone.* What the app or a library has hidden itself (`password=****`, `amqp://guest:**@`), sentences
    ("password: must not be empty"), values below `min_length`, CSRF tokens, signatures and ordinary words such as `session:
    3`. What is logged at debug level is info.
    """

    title = "Secret in the logs"
    category = "security"
    kinds = ("request", "job", "none")
    needs = ("logs",)
    noise = True

    min_length: int = 8
    """Characters from which a value may be a secret, other than a password."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        found: dict[str, Finding] = {}
        for log in timeline.logs:
            names = self._names(log)
            if names:
                finding = self._finding(timeline, log, names)
                found.setdefault(finding.identity, finding)
        return found.values()

    def _names(self, log: Log) -> list[str]:
        if log.masked is not None:
            return sorted(
                {
                    one.name or one.look or ""
                    for one in log.masked
                    if self._counts(one.name or "", one.look or "", one.length or "")
                }
            )
        if "****" not in log.message or log.logger is not None or log.call_site is not None:
            # Senders that tell where a record comes from tell of its masks as well: there were none.
            return []
        return sorted({name for name in _NAMED.findall(log.message[:20_000]) if kind_of(name) in _KINDS})

    def _counts(self, name: str, look: str, length: str) -> bool:
        kind = kind_of(name)
        if look in ("hash", "user info", "key"):
            return kind not in ("csrf", "signature")
        if look == "number":
            return kind in ("card", "ssn") or (not name and length != "short")
        if look not in _LOUD or kind not in _KINDS:
            return False
        return kind in ("password", "pass") or length != "short" or self.min_length < 8

    def _finding(self, timeline: Timeline, log: Log, names: list[str]) -> Finding:
        site = log.call_site
        where = f" at {site.file}:{site.line} in {site.function}" if site else f" by {log.logger}" if log.logger else ""
        severity: Severity = "info" if log.level == "debug" else "warning"
        shown = ", ".join(names[:5])
        return self.finding(
            timeline,
            severity=severity,
            title=f"{shown} in the logs",
            desc=f"A log record{where} holds {shown}.",
            hint="Log an id instead, or only that it was there; and make invalid what the logs have by now.",
            subject=f"{log.logger or ''} {site.file + ':' + site.function if site else ''} {' '.join(names[:5])}".strip(),
            call_site=site,
            evidence=timeline.evidence() if timeline.root is not None else (log.id,),
        )
