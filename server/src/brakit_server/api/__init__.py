"""The API under `/__brakit/api`: one file a resource. A module in this folder with `ROUTES` is served."""

from __future__ import annotations

import importlib
import math
import pkgutil
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import suggestions
from brakit_server.filters import FilterError, ProcessOf, parse
from brakit_server.stores import Where

if TYPE_CHECKING:
    from brakit_server.pipeline import Pipeline

SEARCH = 200
"""Characters of a text that is searched for."""

_encode = msgspec.json.Encoder().encode


def routes() -> list[Route]:
    """Every route of every resource."""
    found: list[Route] = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        found += importlib.import_module(f"{__name__}.{module.name}").ROUTES
    for route in found:
        if route.methods == {"GET", "HEAD"}:
            # A stream without its body would stay open for nobody, and the others have nothing to say in headers.
            route.methods = {"GET"}
    return found


def pipeline_of(request: Request) -> Pipeline:
    """The pipeline of the server that answers."""
    pipeline: Pipeline = request.app.state.pipeline
    return pipeline


def json_of(answer: msgspec.Struct | dict[str, object], status: int = 200) -> Response:
    """An answer of `answers.py`, or a small object, as JSON."""
    return Response(_encode(answer), status, media_type="application/json")


def where_of(request: Request, most: int) -> Where:
    """The conditions of a list from the query string: `limit` from 1 to `most`, which is also its default and what 0 means; what
    makes no sense is as if it were not there. But a `filter` that cannot be read raises `FilterError`."""
    asked = request.query_params
    since = asked.get("since")
    method = asked.get("method")
    return Where(
        request_id=asked.get("requestId") or None,
        service=asked.get("service") or None,
        method=method.upper() if method else None,
        status=asked.get("status") or None,
        search=(asked.get("search") or "")[:SEARCH] or None,
        level=asked.get("level") or None,
        endpoint=asked.get("endpoint") or None,
        shape_hash=asked.get("shapeHash") or None,
        since=moment(since),
        before=asked.get("before") or None,
        filter=parse(asked.get("filter") or ""),
        limit=1 if _negative(asked.get("limit")) else min(whole(asked.get("limit")) or most, most),
        offset=min(whole(asked.get("offset")), 2**31),
    )


async def refused_filter(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """400, with what is wrong, where, and what could stand there."""
    assert isinstance(error, FilterError)
    return json_of(suggestions.FilterProblem(error=error.error, column=error.column, expected=list(error.expected)), 400)


async def processes_of(pipeline: Pipeline) -> ProcessOf:
    """What is known of the process that a record's `run` names, as of now."""
    runs: dict[str | None, object] = {run.run: run for run in await pipeline.store.runs()}
    return runs.get


def whole(text: str | None) -> int:
    """A number from 0; 0 for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else 0


def _negative(text: str | None) -> bool:
    return text is not None and text[:1] == "-" and whole(text[1:]) > 0


def moment(text: str | None) -> float | None:
    """A time in epoch milliseconds; None for anything else."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e15 else None
