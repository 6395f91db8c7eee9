"""Debug pages of frameworks, shown beyond the developer's own machine."""

from __future__ import annotations

import re
from collections.abc import Iterable

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.secrecy import header, host_of, is_here
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Severity

_PAGES = (
    ("Werkzeug", re.compile(r"Werkzeug Debugger|__debugger__=yes"), "critical", "app.run(debug=False), and no FLASK_DEBUG"),
    ("Django", re.compile(r"name=\"robots\" content=\"NONE,NOARCHIVE\"|<code>DEBUG = True</code>"), "warning", "DEBUG = False"),
    ("Starlette", re.compile(r"<title>Starlette Debugger</title>"), "warning", "debug=False"),
    (
        "Tornado",
        re.compile(r"<title>\d{3}: [^<]{1,80}</title><body>.{0,40}Traceback", re.DOTALL),
        "warning",
        "serve_traceback=False",
    ),
)


class DebugMode(Rule):
    """*What it finds.* Errors (from 400 on) that are answered with the debug page of Werkzeug, Django, Starlette or Tornado
    to somebody who asked by a name or an address that is not this machine's.

    *Why it matters.* The pages show source, settings and variables; Werkzeug's runs code for whoever has its PIN.

    *Fix.* Switch debug off where others can reach the app, or bind it to 127.0.0.1.

    *What it leaves alone.* Debug pages on `localhost`, in tests, under `.test`, `.local` and the bare names of containers:
    that is what they are for. Tracebacks without such a page are the `stack-trace-leak` rule's.
    """

    title = "Debug page beyond this machine"
    category = "security"
    noise = True

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        request = timeline.request
        if request is None or request.status_code < 400 or not request.response_body:
            return
        host = host_of(header(request.headers, "x-forwarded-host").partition(",")[0].strip() or header(request.headers, "host"))
        if is_here(host):
            return
        text = timeline.response_body.text[:20_000]
        for name, page, severity, fix in _PAGES:
            if page.search(text):
                worst: Severity = "critical" if severity == "critical" else "warning"
                yield self.finding(
                    timeline,
                    severity=worst,
                    title=f"{name}'s debug page is shown to others",
                    desc=f"{timeline.endpoint} answers {request.status_code} with {name}'s debug page to whoever asks for {host[:80]}.",
                    hint="Switch debug off where others can reach the app, or bind it to 127.0.0.1.",
                    fix=fix,
                    subject=name,
                )
                return
