"""Tracebacks that the client gets to see."""

from __future__ import annotations

import re
from collections.abc import Iterable

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.rules.error import place
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Confidence

_PYTHON = re.compile(r"File (?:\\?\"|&quot;|&#34;)[^\"&\\]{1,300}(?:\\?\"|&quot;|&#34;), line \d{1,7}(?:, in |\\n|\n|</|<br)")
_JAVASCRIPT = re.compile(
    r"(?:\n|\\n)\s{0,8}at (?:[\w.$<>\[\] ]{1,120} \()?(?:file://|node:|/|[A-Za-z]:)?[^()\s\"]{1,300}:\d{1,6}:\d{1,6}"
)
_JAVA = re.compile(r"(?:\n|\\n|\\t|\t)\s{0,8}at [\w.$]{3,200}\(\w{1,80}\.(?:java|kt|scala):\d{1,6}\)")
_DEBUGGER = re.compile(r"Werkzeug Debugger|Starlette Debugger|name=\"robots\" content=\"NONE,NOARCHIVE\"")


class StackTraceLeak(Rule):
    """*What it finds.* Answers that hold the frames of a traceback (file and line; Python, JavaScript, Java), escaped in JSON
    or HTML too: those with a status from 400 on, and others where an exception of this very request is named beside it
    (errors that are answered with 200, as of GraphQL).

    *Why it matters.* Paths, versions and lines of code tell an attacker where to look, and mean nothing to anybody else.

    *Fix.* Answer with a sentence and an id, and log the traceback under that id.

    *What it leaves alone.* Pages about tracebacks (documentation, issue trackers), the heading without a frame, and the debug
    pages of frameworks, which are the `debug-mode` rule's.
    """

    title = "Stack trace in a response"
    category = "security"

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        request = timeline.request
        if request is None or not request.response_body:
            return
        text = timeline.response_body.text
        if (", line " not in text and "at " not in text) or _DEBUGGER.search(text):
            return
        if not (_PYTHON.search(text) or _JAVASCRIPT.search(text) or _JAVA.search(text)):
            return
        names = {error.name.rpartition(".")[2] for error in timeline.errors}
        names |= {log.exception.name.rpartition(".")[2] for log in timeline.logs if log.exception is not None}
        if request.status_code < 400 and not any(name in text for name in names):
            return
        site = next((found for error in reversed(timeline.errors) if (found := place(error)[1]) is not None), None)
        confidence: Confidence = "certain" if names or request.status_code >= 500 else "likely"
        where = f" The exception comes from {site.file}:{site.line} in {site.function}." if site else ""
        whole = request.framework in ("starlette", "fastapi") and text.startswith("Traceback (most recent call last)")
        yield self.finding(
            timeline,
            severity="critical",
            confidence=confidence,
            title="Stack trace in a response",
            desc=f"{timeline.endpoint} answers {request.status_code} with the frames of a traceback.{where}",
            hint="Switch `debug` off outside of development: the framework then answers with a sentence."
            if whole
            else "Answer with a sentence and an id, and log the traceback under that id.",
            subject="frames",
            call_site=site,
        )
