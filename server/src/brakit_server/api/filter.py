"""The filter language for whoever types it: its fields, and what could be typed next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import suggestions
from brakit_server.api import json_of, pipeline_of, processes_of, whole
from brakit_server.filters import MAX_LENGTH, FilterError, parse
from brakit_server.filters.completion import Place, Suggested, fields_at, keys_at, place, values_at
from brakit_server.filters.fields import ALL, FIELDS, NAMES, names_of
from brakit_server.filters.values import TYPES
from brakit_server.records import Entry
from brakit_server.stores import Page, Store, Where

SAMPLE = 500
"""Newest events of a kind whose values are suggested."""


async def fields(request: Request) -> Response:  # noqa: ARG001
    """Every field with its type and the kinds of event that have it, and every type with its operators and units."""
    return json_of(
        suggestions.FilterLanguage(
            fields=[
                suggestions.FilterField(
                    name=field.name,
                    type=field.type,
                    doc=field.doc,
                    kinds=[] if ALL in field.kinds else list(names_of(field.kinds)),
                    keyed=field.keyed,
                    values=list(field.values),
                    example=field.example or None,
                )
                for field in FIELDS.values()
            ],
            types=[
                suggestions.FilterType(name=name, doc=type.doc, operators=list(type.operators), units=list(type.units))
                for name, type in TYPES.items()
            ],
        )
    )


async def complete(request: Request) -> Response:
    """What could stand at the cursor of a filter: `text`, `at` (characters before the cursor; without it, the end), `kind` of the list.
    `error` is what the whole text would be refused with."""
    asked = request.query_params
    text = (asked.get("text") or "")[: MAX_LENGTH + 1]
    cursor = whole(asked.get("at")) if asked.get("at") else len(text)
    kind = NAMES.get(asked.get("kind") or "", asked.get("kind")) or None
    where = place(text, cursor)
    pipeline = pipeline_of(request)
    keyed = where.field is None and "." in where.typed
    process_of = await processes_of(pipeline)
    seen = await _seen(pipeline.store, where, kind) if keyed or where.field is not None else []

    def suggested() -> list[Suggested]:
        if where.field is not None:
            return values_at(where, seen, process_of)
        return (keys_at(where, seen, process_of) if keyed else []) + fields_at(where, kind)

    items = await asyncio.to_thread(suggested)
    return json_of(
        suggestions.Completion(
            start=where.start,
            end=where.end,
            items=[
                suggestions.Suggestion(text=each.text, kind=each.kind, doc=each.doc or None, count=each.count) for each in items
            ],
            error=problem(text),
        )
    )


def problem(text: str) -> suggestions.FilterProblem | None:
    """What a filter is refused with, None where it can be read."""
    try:
        parse(text)
    except FilterError as error:
        return suggestions.FilterProblem(error=error.error, column=error.column, expected=list(error.expected))
    return None


async def _seen(store: Store, where: Place, kind: str | None) -> list[tuple[str, Entry]]:
    """The newest events that may show values of the field."""
    lists: dict[str, Callable[[Where], Awaitable[Page[Any]]]] = {
        "request": store.requests,
        "db.query": store.queries,
        "fetch": store.fetches,
        "log": store.logs,
        "error": store.errors,
        "job": store.jobs,
    }
    kinds = [kind] if kind is not None else [each for each in (where.field.kinds if where.field else ()) if each != ALL]
    named = [each for each in kinds if each in lists]
    if not named:
        # Of any kind, or of one that has no list.
        stored = await store.since(max(0, await store.last_seq() - SAMPLE), SAMPLE)
        return [(each.kind, each.entry) for each in stored]
    pages = [(each, await lists[each](Where(limit=SAMPLE // len(named)))) for each in named]
    return list(chain.from_iterable(((each, entry) for entry in page.entries) for each, page in pages))


ROUTES = [Route("/filter", fields, methods=["GET"]), Route("/filter/complete", complete, methods=["GET"])]
