"""What the API answers about the filter language: its fields, what could be typed next, and why one cannot be read."""

from __future__ import annotations

from brakit_server.answers import Answer


class FilterField(Answer, omit_defaults=False, kw_only=True):
    """A field that a filter can name."""

    name: str
    type: str
    doc: str
    kinds: list[str]
    """Kinds of event that have it, as `kind:` calls them; none: all."""
    keyed: bool
    """Whether a name follows behind a dot: `header.accept`."""
    values: list[str]
    """Values that are known to occur."""
    example: str | None = None


class FilterType(Answer, omit_defaults=False, kw_only=True):
    """A type of field."""

    name: str
    doc: str
    operators: list[str]
    units: list[str]


class FilterLanguage(Answer, omit_defaults=False, kw_only=True):
    """`GET /api/filter`."""

    fields: list[FilterField]
    types: list[FilterType]


class FilterProblem(Answer, omit_defaults=False, kw_only=True):
    """Why a filter cannot be read: what every list answers with 400."""

    error: str
    column: int
    """Characters from 1."""
    expected: list[str]
    """What could stand there."""


class Suggestion(Answer, kw_only=True):
    """Something that could be typed."""

    text: str
    kind: str
    """`field`, `value` or `keyword`."""
    doc: str | None = None
    count: int | None = None
    """How often it was seen among the newest events."""


class Completion(Answer, omit_defaults=False, kw_only=True):
    """`GET /api/filter/complete`."""

    start: int
    """What is chosen replaces the characters from here, counted from 0, ..."""
    end: int
    """... to here."""
    items: list[Suggestion]
    error: FilterProblem | None = None
