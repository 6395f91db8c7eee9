"""CORS answers that let anybody in with the user's cookies, or nobody."""

from __future__ import annotations

from collections.abc import Iterable

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.secrecy import header
from brakit_server.analysis.timeline import Timeline


class CorsCredentials(Rule):
    """*What it finds.* Answers with `Access-Control-Allow-Credentials: true` whose `Access-Control-Allow-Origin` is `*` (or a
    list), which browsers refuse, or `null`, which any page can be from within a sandboxed frame.

    *Why it matters.* With `*` the call fails in the browser although it works elsewhere. With `null` every site can read what
    the user can read.

    *Fix.* Name the origins that may send cookies, one in each answer; or leave credentials off.

    *What it leaves alone.* `*` without credentials, and an origin that is named, also when it is the one that asked: whether
    a list stands behind it cannot be seen from outside.
    """

    title = "CORS with credentials"
    category = "security"
    noise = True

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        request = timeline.request
        if request is None:
            return
        allowed = header(request.response_headers, "access-control-allow-credentials")
        if allowed.strip().lower() != "true":
            return
        origin = header(request.response_headers, "access-control-allow-origin").strip().lower()
        if origin == "null":
            yield self.finding(
                timeline,
                severity="critical",
                title="CORS allows the origin null with credentials",
                desc=f"{timeline.endpoint} allows the origin null to read answers with the user's cookies.",
                hint="Take null out of the allowed origins: any page can have it, in a sandboxed frame.",
                subject="null",
            )
        elif origin == "*" or "," in origin:
            shown = "*" if origin == "*" else "several origins"
            yield self.finding(
                timeline,
                severity="warning",
                title=f"CORS allows {shown} with credentials",
                desc=f"{timeline.endpoint} answers with credentials allowed and {shown} as the origin. Browsers refuse this.",
                hint="Answer with the one origin that asked, if it is on your list, and `Vary: Origin`; or leave credentials off.",
                subject=shown,
            )
