"""Errors: exceptions that nobody caught, and those that the app reported itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.records import Callsite, Error, Frame

_PYTHON_FRAME = re.compile(r'^\s*File "(.+?)", line (\d+), in (.+)$', re.MULTILINE)
_JAVASCRIPT_FRAME = re.compile(r"^\s*at (?:(.+?) \()?((?:file://)?[^()\s]+?):(\d+):\d+\)?$", re.MULTILINE)
_LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages|node_modules|lib[/\\]python\d)|^node:|^<")

_STOPPED = frozenset({"CancelledError", "ClientDisconnect", "GeneratorExit", "KeyboardInterrupt", "SystemExit"})

_MESSAGE_LIMIT = 300


class UnhandledError(Rule):
    """*What it finds.* Exceptions, grouped by class and by the app's own innermost function in the traceback, for each
    endpoint and job. Those that nobody caught are critical; those that the app caught and reported are warnings. Exceptions outside
    requests and jobs (threads, the main program) are grouped in the same way.

    *Why it matters.* The client got a server error, or a thread ended without anybody noticing.

    *Fix.* The finding names the file, the line and what stands there. Handle the case where it arises, or answer with the
    status that says what is wrong.

    *What it leaves alone.* Cancelled requests, clients that went away, `SystemExit` and Ctrl-C.
    """

    title = "Unhandled error"
    category = "reliability"
    kinds = ("request", "job", "none")
    needs = ("errors",)
    noise = True

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        found: dict[str, Finding] = {}
        for error in timeline.errors:
            if error.name.rpartition(".")[2] in _STOPPED:
                continue
            finding = self._finding(timeline, error)
            other = found.get(finding.identity)
            if other is None or (other.severity, finding.severity) == ("warning", "critical"):
                found[finding.identity] = finding
        return found.values()

    def _finding(self, timeline: Timeline, error: Error) -> Finding:
        frame, site = place(error)
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        handled = bool(error.handled)
        if timeline.endpoint is not None:
            said = f"{timeline.endpoint} {'reports' if handled else 'fails with'} {error.name}"
        else:
            said = f"{error.name} outside a request" + (f" ({error.mechanism})" if error.mechanism else "")
        return self.finding(
            timeline,
            severity="warning" if handled else "critical",
            title=f"{error.name} in {site.function}" if site else error.name,
            desc=f"{said}{where}: {_cut(error.message)}",
            hint=_hint(error, site, handled),
            detail=_detail(error, frame, site),
            subject=f"{error.name} {site.file}:{site.function}" if site else error.name,
            call_site=site,
            evidence=None if timeline.root is not None else (error.id,),
        )


def place(error: Error) -> tuple[Frame | None, Callsite | None]:
    """The app's own innermost frame and line: from the frames, else as the sender says, else from the text of the traceback."""
    for frame in reversed(error.frames or []):
        if frame.own:
            said = error.call_site
            ignore = said.ignore if said is not None and (said.file, said.line) == (frame.file, frame.line) else None
            return frame, Callsite(file=frame.file, line=frame.line, function=frame.function, ignore=ignore)
    if error.call_site is not None:
        return None, error.call_site
    if error.frames:
        innermost = error.frames[-1]
        return innermost, Callsite(file=innermost.file, line=innermost.line, function=innermost.function)
    return None, _from_stack(error.stack or "")


def _from_stack(stack: str) -> Callsite | None:
    # The last traceback of a chain is the exception itself; Python writes outermost first, JavaScript innermost first.
    last = stack.rpartition("Traceback (most recent call last)")[2]
    frames = [(file, int(line), function) for file, line, function in reversed(_PYTHON_FRAME.findall(last))]
    frames = frames or [(file, int(line), name or "anonymous") for name, file, line in _JAVASCRIPT_FRAME.findall(stack)]
    own = [frame for frame in frames if not _LIBRARY.search(frame[0])] or frames
    return Callsite(file=own[0][0], line=own[0][1], function=own[0][2]) if own else None


def _detail(error: Error, frame: Frame | None, site: Callsite | None) -> str | None:
    parts = []
    source = _source_line(frame) or (_stack_line(error.stack or "", site) if site else None)
    if source and site:
        parts.append(f"{site.file}:{site.line}: {source}")
    parts += [f"Caused by {cause.name}: {_cut(cause.message)}" for cause in error.causes or []]
    return "\n".join(parts) or None


def _source_line(frame: Frame | None) -> str | None:
    if frame is None or not frame.code or frame.code_start is None:
        return None
    index = frame.line - frame.code_start
    return frame.code[index].strip() if 0 <= index < len(frame.code) else None


def _stack_line(stack: str, site: Callsite) -> str | None:
    """The source line that Python writes below the frame in a formatted traceback."""
    head = f'File "{site.file}", line {site.line}, in {site.function}\n'
    _, found, rest = stack.rpartition(head)
    line = rest.partition("\n")[0].strip()
    return line if found and line and not line.startswith("File ") else None


def _hint(error: Error, site: Callsite | None, handled: bool) -> str:
    line = f"{site.file}:{site.line}" if site else "the line that raises"
    if handled:
        return f"The app caught this and reported it. Look at {line} for why it happens at all."
    return f"Handle {error.name} at {line}, or answer with a status that says what is wrong instead of a server error."


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE_LIMIT else line[: _MESSAGE_LIMIT - 1] + "…"
