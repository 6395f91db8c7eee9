"""Outgoing calls that would wait for ever."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.endpoint import target_of
from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.records import Fetch

_FIXES = {
    "requests": "timeout=(3, 10)",
    "httpx": "timeout=10",
    "aiohttp": "timeout=aiohttp.ClientTimeout(total=10)",
    "urllib": "urlopen(…, timeout=10)",
    "urllib3": "timeout=urllib3.Timeout(connect=3, read=10)",
    "http.client": "HTTPConnection(…, timeout=10)",
}
"""By library, how it is told."""


class MissingTimeout(Rule):
    """*What it finds.* Outgoing HTTP calls for which the library has no limit of time at all: as the socket has it when the
    answer is waited for (requests, urllib, urllib3, http.client), or as the call and its client say (httpx, aiohttp).

    *Why it matters.* When the other service hangs, so does this request, with its thread and its connection to the database,
    until somebody restarts the process; a few of them and nothing answers any more. It works for months and fails when it
    matters.

    *Fix.* Give each call a limit that fits what the user would wait: `timeout=` of the call or of its client, and handle the
    exception.

    *What it leaves alone.* Calls with any limit, also one that the library has by itself or that was set for all sockets, and
    calls whose limit is unknown. A limit around the call (`asyncio.timeout`, a deadline of the server's) cannot be seen: the
    finding says "likely".
    """

    title = "No timeout"
    category = "reliability"
    needs = ("fetches",)

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        groups: dict[tuple[str, str] | str, list[Fetch]] = {}
        for fetch in timeline.fetches:
            if fetch.has_timeout is False:
                site = fetch.call_site
                groups.setdefault((site.file, site.function) if site else target_of(fetch), []).append(fetch)
        for place, calls in groups.items():
            yield self._finding(timeline, place, calls)

    def _finding(self, timeline: Timeline, place: tuple[str, str] | str, calls: list[Fetch]) -> Finding:
        first = calls[0]
        site = first.call_site
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        targets = list(dict.fromkeys(target_of(call) for call in calls))
        more = f" and {len(targets) - 1} more" if len(targets) > 1 else ""
        fix = _FIXES.get(first.source or "")
        return self.finding(
            timeline,
            severity="warning" if timeline.request is not None and not timeline.afterwards(first) else "info",
            title=f"No timeout for {targets[0]}",
            desc=f"{timeline.endpoint} calls {targets[0]}{more}{where} without a timeout: if no answer comes, it waits for ever.",
            hint="Give the call, or its client, a limit that fits what the user would wait, and handle the exception"
            + (f": {fix}." if fix else "."),
            subject=place if isinstance(place, str) else ":".join(place),
            call_site=site,
            confidence="likely",
            fix=fix,
        )
