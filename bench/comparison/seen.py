"""`Seen`: what a detector of others is given, the same events that our rules had and what those detectors would have seen besides."""

from __future__ import annotations

from typing import NamedTuple

from brakit_server.analysis.timeline import Timeline

Stack = tuple[tuple[str, int, str], ...]
"""File, line and function of each frame, innermost first, without our own."""


class Original(NamedTuple):
    """A statement as the driver got it: nothing masked, with the whole stack that led to it."""

    sql: str
    params: tuple[object, ...] | None
    stack: Stack


class Seen(NamedTuple):
    """One case: its requests and jobs by start, and by the query's id each statement as it was."""

    timelines: list[Timeline]
    originals: dict[str, Original]


class Hit(NamedTuple):
    """What a detector says: the id of the rule of ours that means the same, and the table (or "" where it names none)."""

    rule: str
    table: str
