"""Runs cases: each with a recorder of its own, its database new, and the statements noted as they were."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import greenlet  # type: ignore[import-untyped]

from bench.comparison.seen import Original, Seen, Stack
from brakit.instrumentations._dbapi import Query as Written
from brakit_server.answers import Issue
from brakit_server.local import Recorder
from brakit_server.records import Query
from tests.corpus import families
from tests.corpus.cases import Case, expected_pairs

ROOT = Path(__file__).resolve().parent.parent.parent
_OURS = str(ROOT / "sdk" / "src")


class Ran(NamedTuple):
    """One case, what the rules said, and what others are given of it."""

    case: Case
    issues: list[Issue]
    seen: Seen


class Verdict(NamedTuple):
    """Findings against labels, as pairs of rule and table or, of what is false, title."""

    true: list[tuple[str, str]]
    false: list[tuple[str, str]]
    missed: list[tuple[str, str]]


def cases() -> list[Case]:
    """The cases of each file in families/."""
    found: list[Case] = []
    for module in pkgutil.iter_modules(families.__path__):
        loaded: Any = importlib.import_module(f"{families.__name__}.{module.name}")
        for family in loaded.FAMILIES:
            found += family.cases
    return found


def run(case: Case) -> Ran:
    """The case in this process, recorded and judged."""
    with _noted() as stacks, Recorder(ROOT, service="corpus", settings=case.settings) as recorder:
        with case.host.open(case) as exercise:
            recorder.take()
            for _ in range(case.requests):
                exercise(recorder)
            written = [record for record in recorder._client.buffer.records if isinstance(record, Written)]
            recorded = recorder.take()
        if recorder.failures:
            raise AssertionError(f"{case.name}: the SDK failed: {recorder.failures}")
    queries = sorted(
        (entry for timeline in recorded.timelines for entry in timeline.entries if isinstance(entry, Query)),
        key=lambda query: query.timestamp,
    )
    written.sort(key=lambda record: record.started)
    if len(queries) != len(written):
        raise AssertionError(f"{case.name}: {len(written)} statements were written down, {len(queries)} recorded")
    originals = {
        query.id: Original(str(record.sql), record.params, stacks.get(id(record), ()))
        for query, record in zip(queries, written, strict=True)
    }
    return Ran(case, [issue.issue for issue in recorded.issues], Seen(recorded.timelines, originals))


@contextmanager
def _noted() -> Iterator[dict[int, Stack]]:
    """The whole stack of each statement, by the identity of its record. We keep one line of it, others compare them all."""
    stacks: dict[int, Stack] = {}
    kept: list[object] = []
    plain = Written.__init__

    def noting(self: Written, *given: Any, **named: Any) -> None:
        plain(self, *given, **named)
        kept.append(self)
        stacks[id(self)] = _stack(sys._getframe(1))

    Written.__init__ = noting  # type: ignore[method-assign]
    try:
        yield stacks
    finally:
        Written.__init__ = plain  # type: ignore[method-assign]


def _stack(frame: Any) -> Stack:
    frames: list[tuple[str, int, str]] = []
    current: Any = greenlet.getcurrent()
    while frame is not None:
        while frame is not None:
            if not frame.f_code.co_filename.startswith(_OURS):
                frames.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
            frame = frame.f_back
        # SQLAlchemy runs async drivers in a greenlet; who waits for it stands in its parent.
        current = current.parent
        frame = current.gr_frame if current is not None else None
    return tuple(frames)


def verdict(ran: Ran) -> Verdict:
    """The findings of a case against its labels: the rule, the table that it names and, where the case marks one, the line."""
    left = list(ran.issues)
    true, missed = [], []
    for rule, table in expected_pairs(ran.case):
        fits = next((issue for issue in left if issue.rule == rule and _names(issue, table) and _at(issue, ran.case)), None)
        if fits is None:
            missed.append((rule, table))
        else:
            left.remove(fits)
            true.append((rule, table))
    false = [(issue.rule, f"{issue.title} ({_place(issue)})") for issue in left]
    return Verdict(true, false, missed)


def _names(issue: Issue, table: str) -> bool:
    text = "\n".join(part for part in (issue.title, issue.desc, issue.sql) if part)
    return not table or re.search(rf"(?<!\w){re.escape(table)}(?!\w)", text) is not None


def _at(issue: Issue, case: Case) -> bool:
    lines = case.lines.get(issue.rule)
    return lines is None or (issue.call_site is not None and issue.call_site.line in lines)


def _place(issue: Issue) -> str:
    site = issue.call_site
    return f"{Path(site.file).name}:{site.line}" if site else "no line"
