"""`GET /api/requests` and `GET /api/requests/<id>`: what came in, and everything about one of them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import answers, records
from brakit_server.analysis.endpoint import key_of
from brakit_server.api import json_of, pipeline_of, where_of
from brakit_server.api.activity import counts, entries
from brakit_server.stores import Timeline

MOST = 500
CHILDREN = 50


async def many(request: Request) -> Response:
    """Newest first."""
    page = await pipeline_of(request).store.requests(where_of(request, MOST))
    return json_of(answers.Requests(total=page.total, requests=page.entries, next=page.next))


async def one(request: Request) -> Response:
    """404 when there is no such request."""
    id: str = request.path_params["id"]
    pipeline = pipeline_of(request)
    store = pipeline.store
    timeline = (await store.timelines([id])).get(id)
    if timeline is None:
        return json_of({"error": "Request not found"}, 404)
    children = (await store.children(id))[:CHILDREN]
    below = await store.activity([child.id for child in children])
    parent = timeline.request.parent_request_id
    above = (await store.timelines([parent])).get(parent) if parent else None
    runs = await store.runs()
    return json_of(
        answers.RequestDetail(
            request=timeline.request,
            timeline=entries(timeline.entries),
            counts=counts(timeline.entries),
            children=[answers.Child(request=child, timeline=entries(below[child.id])) for child in children],
            parent=above.request if above else None,
            issues=[issue for issue in pipeline.engine.issues() if _concerns(issue, timeline)],
            run=next((run for run in runs if run.run == timeline.request.run), None),
        )
    )


def _concerns(issue: answers.StatefulIssue, timeline: Timeline) -> bool:
    request: records.Request = timeline.request
    found = issue.issue
    return request.id in found.evidence or (
        found.endpoint is not None and found.endpoint == key_of(request) and found.service in (None, request.service)
    )


ROUTES = [Route("/requests", many, methods=["GET"]), Route("/requests/{id}", one, methods=["GET"])]
