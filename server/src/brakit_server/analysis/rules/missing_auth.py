"""Routes that write without a check of who asks, where the others check."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.point import Point
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.secrecy import is_open_route, is_own_table
from brakit_server.analysis.window import Service, Window
from brakit_server.answers import Confidence, Severity


class MissingAuth(Rule):
    """*What it finds.* Endpoints other than GET that wrote to tables, at least `min_requests` times with success, and in none
    of these requests was a check of identity or permission observed, while at least `min_others` other writing endpoints of
    the service had one in each. A warning where the requests brought no credentials at all and most of the others are
    checked; else info.

    *Why it matters.* The one route that was forgotten is the one that is found.

    *Fix.* Put the dependency, decorator or middleware of the other routes on this one; if it is meant to be open, switch the
    finding off.

    *What it leaves alone.* Services in which no checks are observed at all, routes that have to be open (log-in, sign-up,
    password resets, webhooks and callbacks, contact forms, search), and writes to tables of sessions, logs, metrics and
    caches. A check that brakit does not see (code of your own without `brakit.auth_check`) is not observed: that is why it
    says no more than this.
    """

    title = "No auth check observed"
    category = "security"

    min_requests: int = 2
    """Successful requests that wrote."""
    min_others: int = 3
    """Other writing endpoints that are always checked."""
    usual_share: float = 0.75
    """Of all writing endpoints, from which on checks are the rule."""

    def check_service(self, service: Service) -> Iterable[Finding] | None:
        checked, unchecked = 0, []
        for window in service.windows:
            if (
                window.kind != "request"
                or window.endpoint is None
                or window.endpoint.partition(" ")[0] in ("GET", "HEAD", "OPTIONS")
            ):
                continue
            if is_open_route(window.endpoint):
                continue
            wrote = [
                point for point in window.points if point.status < 400 and any(not is_own_table(table) for table in point.written)
            ]
            if not wrote:
                continue
            if all(point.auth_checks for point in wrote):
                checked += 1
            elif len(wrote) >= self.min_requests and not any(point.auth_checks for point in window.points):
                unchecked.append((window, wrote))
        if checked < self.min_others:
            return None if not checked else []
        usual = checked / (checked + len(unchecked)) >= self.usual_share
        return [self._finding(service, window, wrote, checked, usual) for window, wrote in unchecked]

    def _finding(self, service: Service, window: Window, wrote: list[Point], checked: int, usual: bool) -> Finding:
        tables = sorted({table for point in wrote for table in point.written if not is_own_table(table)})
        anonymous = not any(point.credentials for point in wrote)
        severity: Severity = "warning" if anonymous and usual else "info"
        confidence: Confidence = "likely" if anonymous and usual else "possible"
        shown = ", ".join(tables[:3])
        return self.finding(
            service,
            severity=severity,
            confidence=confidence,
            title=f"No auth check observed before writing to {shown}",
            desc=f"{window.endpoint} wrote to {shown} in {len(wrote)} requests, and no auth check was observed in any"
            + (", nor did they bring credentials" if anonymous else "")
            + f"; {checked} other writing endpoints have one each time.",
            hint="Put the dependency, decorator or middleware of the other routes on this one. If it checks in a way that is not"
            " observed, say so with brakit.auth_check(...).",
            endpoint=window.endpoint,
            subject="write",
            evidence=tuple(point.request_id for point in reversed(wrote))[:10],
        )
