"""Session cookies that scripts can read, or that travel where they should not."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.point import Point
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.secrecy import SessionCookie
from brakit_server.analysis.window import Service
from brakit_server.answers import Severity

_ARGUMENTS = {
    "django": "SESSION_COOKIE_HTTPONLY, SESSION_COOKIE_SAMESITE and SESSION_COOKIE_SECURE in the settings",
    "flask": "SESSION_COOKIE_HTTPONLY, SESSION_COOKIE_SAMESITE and SESSION_COOKIE_SECURE in the app's config",
}
_SET = {"HttpOnly": "httponly=True", "SameSite": 'samesite="lax"', "Secure": "secure=True", "Secure!": "secure=True"}


class InsecureCookie(Rule):
    """*What it finds.* Cookies that say who somebody is (`sessionid`, `access_token`, `remember_me` …) and are set without
    `HttpOnly`, without `SameSite`, or, over HTTPS, without `Secure`; and any cookie that browsers refuse: `SameSite=None`,
    `__Secure-` or `__Host-` without `Secure`. The newest response that sets the cookie counts, wherever in the service. Names
    and flags are all that is looked at.

    *Why it matters.* A script that got into the page reads a cookie without `HttpOnly` and is the user from then on. Without
    `Secure` it also travels unencrypted.

    *Fix.* Set the flags where the cookie is set, or in the framework's settings.

    *What it leaves alone.* CSRF cookies, which scripts must read; languages, themes, consent and analytics; `Secure` over
    plain HTTP, as on the developer's machine; cookies that are being deleted. A missing `SameSite` alone is info: browsers
    take `Lax` for it.
    """

    title = "Insecure cookie"
    category = "security"

    recent_points: int = 20
    """Newest requests of each endpoint that are looked at."""

    def check_service(self, service: Service) -> Iterable[Finding] | None:
        newest: dict[str, tuple[float, Point, SessionCookie, str]] = {}
        for window in service.windows:
            for point in islice(reversed(window.points), self.recent_points):
                for cookie in point.cookies:
                    if cookie.name not in newest or point.ended > newest[cookie.name][0]:
                        newest[cookie.name] = (point.ended, point, cookie, window.endpoint)
        if not newest:
            return None
        return [self._finding(service, *found[1:]) for _, found in sorted(newest.items()) if found[2].missing]

    def _finding(self, service: Service, point: Point, cookie: SessionCookie, endpoint: str) -> Finding:
        names = [name.rstrip("!") for name in cookie.missing]
        refused = "Secure!" in cookie.missing
        severity: Severity = "info" if names == ["SameSite"] else "warning"
        return self.finding(
            service,
            severity=severity,
            title=f"Cookie {cookie.name} without {' and '.join(names)}",
            desc=f"{endpoint} sets the cookie {cookie.name} without {', '.join(names)}."
            + (" Browsers refuse it that way." if refused else ""),
            hint="Set the flags where the cookie is set, or by the framework's settings for its session.",
            detail="; ".join(f"{name}: {text}" for name, text in _ARGUMENTS.items()),
            fix=", ".join(dict.fromkeys(_SET[name] for name in cookie.missing)),
            subject=cookie.name,
            evidence=(point.request_id,),
        )
