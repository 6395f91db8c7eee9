"""What an app's user sees of one run of it, and what was captured of it: both in a form that can be compared with another run's."""

from __future__ import annotations

import contextlib
import contextvars
import io
import json
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Run = Callable[["See"], None]

HOOKS = ("<brakit.guard>", "/brakit/", "/tests/faults/injection.py")
NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{12,}\b|\d+")
KEPT = (
    "name", "message", "level", "sql", "url", "path", "method", "statusCode", "route", "error", "provider", "result", "checked",
    "rowCount", "transactionMark", "lazyLoad", "model", "batchSize", "status", "attempt", "handled", "mechanism", "source",
    "responseSize", "requestSize", "cancelled", "framework", "causes",
)  # fmt: skip


class See:
    """What a run does is told here: `see(value)`; how often something was done out there: `see.did`."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.counts: Counter[str] = Counter()
        self.leaks: list[str] = []

    def __call__(self, *values: object) -> None:
        self.said.append(NUMBERS.sub("#", repr(values)) if len(values) > 1 else repr(values[0]))

    def did(self, what: str, times: int = 1) -> None:
        self.counts[what] += times

    @contextlib.contextmanager
    def error(self) -> Iterator[None]:
        """An exception is expected: its type, its text, its frames and what led to it."""
        try:
            yield
        except Exception as error:
            self.said.append(described(error))
        else:
            self.said.append("no exception")

    def same(self, before: dict[str, object], after: dict[str, object]) -> None:
        """The context of the app's own code is the same after a piece of work as before."""
        self.leaks += [name for name in before.keys() | after.keys() if before.get(name) is not after.get(name)]


def described(error: BaseException | None) -> str:
    """An exception as its catcher sees it, without our frames."""
    text = ""
    while error is not None:
        frames = []
        traceback = error.__traceback__
        while traceback is not None:
            file = traceback.tb_frame.f_code.co_filename
            if not any(hook in file for hook in HOOKS):
                # A library may go by another line when somebody listens.
                line = traceback.tb_lineno if "/tests/faults/" in file else ""
                frames.append(f"{file.rpartition('/')[2]}:{traceback.tb_frame.f_code.co_name}:{line}")
            traceback = traceback.tb_next
        text += f"{type(error).__module__}.{type(error).__name__}: {NUMBERS.sub('#', str(error))} {frames} <- "
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text


def ours() -> dict[str, object]:
    """What our context variables hold, where they hold something."""
    return {
        variable.name: value
        for variable, value in contextvars.copy_context().items()
        if variable.name.startswith("brakit_") and variable.name != "brakit_error" and value is not None
    }


class Notes(logging.Handler):
    """Log lines, by what they say."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(NUMBERS.sub("#", f"{record.name} {record.levelname} {record.getMessage()}"))


@dataclass
class Seen:
    """One run from outside."""

    said: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    logs: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def differs(self, other: Seen) -> str:
        """In what the app's user, or its operator, sees a difference; empty when in nothing."""
        for name in ("said", "counts", "logs", "printed"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                if name == "said":
                    pairs = [(one, two) for one, two in zip(mine, theirs, strict=False) if one != two]
                    mine, theirs = pairs[0] if pairs else (mine, theirs)
                return f"{name}: {mine!s:.700} instead of {theirs!s:.700}"
        return ""

    def doubled(self, other: Seen) -> bool:
        """Whether something was done more often than in the other run."""
        return bool(self.counts - other.counts)


def observe(run: Run) -> Seen:
    """Run it, and look."""
    see, notes, printed = See(), Notes(), io.StringIO()
    root = logging.getLogger()
    root.addHandler(notes)
    outside = ours()
    started = time.perf_counter()
    with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
        try:
            run(see)
        except Exception as error:
            see.said.append(f"escaped: {described(error)}")
        hook = sys.exc_info()[1]
    assert hook is None
    seconds = time.perf_counter() - started
    root.removeHandler(notes)
    see.same(outside, ours())
    # A traceback has our frames in it with us in the process, also when all is well; its last line tells.
    lines = [NUMBERS.sub("#", line) for line in printed.getvalue().splitlines() if line and not line.startswith(" ")]
    return Seen(see.said, see.counts, sorted(notes.lines), sorted(lines), see.leaks, seconds)


def captured(events: list[dict[str, Any]]) -> list[str]:
    """Events without what differs from run to run, each with the name of whom it belongs to."""
    names = {"": "-"}
    for event in events:
        if event["type"] in ("request", "job", "span"):
            data = event["data"]
            names[str(data.get("id") or data.get("spanId"))] = str(data.get("name") or data.get("path"))
    made = []
    for event in events:
        data = event["data"]
        # Whether it is there is a matter of milliseconds.
        if event["type"] == "span" and data["name"] in ("background tasks", "wait for a connection"):
            continue
        kept = {name: data[name] for name in KEPT if data.get(name) is not None}
        site = data.get("callsite")
        kept["site"] = f"{site['file']}:{site['function']}:{site['line']}" if site else ""
        owner = names.get(event.get("parentId") or event.get("ownerId") or "", "somebody else")
        made.append(f"{event['type']} of {owner}: " + NUMBERS.sub("#", json.dumps(kept, sort_keys=True)))
    return sorted(made)
