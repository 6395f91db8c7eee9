"""`GET /api/activity`: the events of one request, or of several."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import details
from brakit_server.api import json_of, pipeline_of
from brakit_server.records import AuthCheck, Error, Fetch, Log, Query, Span
from brakit_server.stores import Stored

MOST = 50


async def get(request: Request) -> Response:
    """`requestId` wins over `requestIds`; unknown ids have empty timelines."""
    store = pipeline_of(request).store
    single = request.query_params.get("requestId")
    if single:
        stored = (await store.activity([single]))[single]
        return json_of(
            details.Activity(request_id=single, total=len(entries(stored)), timeline=entries(stored), counts=counts(stored))
        )
    ids = [part.strip() for part in request.query_params.get("requestIds", "").split(",") if part.strip()][:MOST]
    if not ids:
        return json_of({"error": "requestId or requestIds parameter required"}, 400)
    found = await store.activity(list(dict.fromkeys(ids)))
    activities = {
        id: details.ActivityOfOne(total=len(entries(stored)), timeline=entries(stored), counts=counts(stored))
        for id, stored in found.items()
    }
    return json_of(details.Activities(request_ids=ids, activities=activities))


def entries(stored: Iterable[Stored]) -> list[details.TimelineEntry]:
    """The events that a timeline shows, in their order."""
    result: list[details.TimelineEntry] = []
    for each in stored:
        match each.entry:
            case Query() as query:
                result.append(details.QueryEntry(timestamp=query.timestamp, data=query))
            case Fetch() as fetch:
                result.append(details.FetchEntry(timestamp=fetch.timestamp, data=fetch))
            case Log() as log:
                result.append(details.LogEntry(timestamp=log.timestamp, data=log))
            case Error() as error:
                result.append(details.ErrorEntry(timestamp=error.timestamp, data=error))
            case Span() as span:
                result.append(details.SpanEntry(timestamp=span.timestamp, data=span))
            case AuthCheck() as check:
                result.append(details.AuthEntry(timestamp=check.timestamp, data=check))
    return result


def counts(stored: Iterable[Stored]) -> details.Counts:
    """Events by type; what begins and ends a transaction is no query."""
    result = details.Counts()
    for each in stored:
        match each.entry:
            case Query(transaction_mark=None):
                result.queries += 1
            case Fetch():
                result.fetches += 1
            case Log():
                result.logs += 1
            case Error():
                result.errors += 1
            case Span():
                result.spans += 1
    return result


ROUTES = [Route("/activity", get, methods=["GET"])]
