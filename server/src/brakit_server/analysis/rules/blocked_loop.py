"""Async code that blocks the event loop."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import Finding, milliseconds
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Severity
from brakit_server.records import Span

_BLOCKED = "event loop blocked"
"""What SDKs call it. Attributes: `delayed`, how many other requests were open; `requests`, their ids; `call`, what the line called."""

_INSTEAD = {
    "requests": "httpx.AsyncClient",
    "urllib3": "httpx.AsyncClient",
    "urllib": "httpx.AsyncClient",
    "http": "httpx.AsyncClient",
    "psycopg2": "psycopg (its AsyncConnection) or asyncpg",
    "pymysql": "aiomysql or asyncmy",
    "sqlite3": "aiosqlite",
    "redis": "redis.asyncio",
    "subprocess": "asyncio.create_subprocess_exec",
    "pymongo": "pymongo's AsyncMongoClient",
    "smtplib": "aiosmtplib",
    "boto3": "aioboto3",
    "botocore": "aioboto3",
}
"""By the first part of the name of what was called: what does the same without blocking."""


class BlockedLoop(Rule):
    """*What it finds.* Stretches of `min_ms` and more in which one task of an async app kept the event loop to itself, as a
    thread of the SDK has seen it: the line, the request that it belongs to, and how many other requests were open meanwhile.

    *Why it matters.* While the loop is blocked, this process answers nobody: every other request waits, time limits run out,
    health checks fail. One user's slow page is everybody's.

    *Fix.* Await instead of waiting (an async client or driver, `asyncio.sleep`); what has no async form, and what computes for
    long, in a thread (`await asyncio.to_thread(…)`, `run_in_threadpool`) or a process. In FastAPI and Starlette a plain `def`
    endpoint runs in a thread by itself.

    *What it leaves alone.* Shorter stretches, and tasks that give the loop back in between. Not seen: what keeps the
    interpreter's lock as well, and event loops that serve no requests.
    """

    title = "Event loop blocked"
    category = "performance"
    kinds = ("request", "job", "none")
    needs = ("spans",)
    noise = True

    min_ms: float = 100.0
    """About where people notice a wait (https://www.nngroup.com/articles/response-times-3-important-limits/)."""
    critical_ms: float = 1000.0
    """Of all requests together: what was blocked, times those that were open."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        groups: dict[str, list[Span]] = {}
        for span in timeline.spans:
            if span.name == _BLOCKED and span.duration_ms >= self.min_ms:
                site = span.call_site
                place = f"{site.file}:{site.function}" if site else _attribute(span, "call") or "a task"
                groups.setdefault(place, []).append(span)
        for place, spans in groups.items():
            yield self._finding(timeline, place, spans)

    def _finding(self, timeline: Timeline, place: str, spans: list[Span]) -> Finding:
        longest = max(spans, key=lambda span: span.duration_ms)
        total = sum(span.duration_ms for span in spans)
        site = longest.call_site
        where = f"{site.file}:{site.line} in {site.function}" if site else place
        call = _attribute(longest, "call")
        named = f" ({call})" if call and site else ""
        delayed = max(_number(span) for span in spans)
        times = f" in {len(spans)} stretches" if len(spans) > 1 else ""
        waiting = f" {delayed} other request{'s' if delayed > 1 else ''} had to wait." if delayed else ""
        severity: Severity = "critical" if total * (1 + delayed) >= self.critical_ms else "warning"
        return self.finding(
            timeline,
            severity=severity,
            title=f"Event loop blocked in {site.function}" if site else "Event loop blocked",
            desc=f"{timeline.endpoint or 'A task outside of requests'} blocks the event loop for {milliseconds(total)}{times} at"
            f" {where}{named}.{waiting}",
            hint=_hint(call),
            subject=place,
            call_site=site,
            cost_ms=total,
            evidence=_evidence(timeline, spans),
            confidence="likely",
        )


def _hint(call: str) -> str:
    instead = _INSTEAD.get(call.partition(".")[0])
    first = f"Use {instead} there, or move" if instead else "Await an async form of it, or move"
    return f"{first} the work to a thread: await asyncio.to_thread(…); in FastAPI and Starlette, a plain def endpoint."


def _evidence(timeline: Timeline, spans: list[Span]) -> tuple[str, ...]:
    return timeline.evidence() if timeline.root is not None else tuple(span.id for span in spans)


def _attribute(span: Span, name: str) -> str:
    return (span.attributes or {}).get(name, "")


def _number(span: Span) -> int:
    text = _attribute(span, "delayed")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0
