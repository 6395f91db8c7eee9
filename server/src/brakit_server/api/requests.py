"""`GET /api/requests` and `GET /api/requests/<id>`: what came in, and everything about one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakit_server import answers, records
from brakit_server.analysis.endpoint import key_of
from brakit_server.api import json_of, pipeline_of, where_of
from brakit_server.api.activity import counts, entries
from brakit_server.details import Child, JobChild, RequestChild, RequestDetail
from brakit_server.stores import Store

if TYPE_CHECKING:
    from brakit_server.pipeline import Pipeline

MOST = 500
CHILDREN = 50
"""What one request or job caused, at any depth, that is shown with it."""


async def many(request: Request) -> Response:
    """Newest first."""
    page = await pipeline_of(request).store.requests(where_of(request, MOST))
    return json_of(
        answers.Requests(total=page.total, requests=page.entries, next=page.next, complete=page.complete, at_least=page.at_least)
    )


async def one(request: Request) -> Response:
    """With what it caused, its jobs included. The id of a job leads there; 404 when there is neither."""
    id: str = request.path_params["id"]
    pipeline = pipeline_of(request)
    found = (await pipeline.store.owners([id])).get(id)
    if isinstance(found, records.Job):
        # Whoever links to the owner of an event need not know which of the two it is.
        return RedirectResponse(f"../jobs/{quote(id, safe='')}", 303)
    if found is None:
        return json_of({"error": "Request not found"}, 404)
    return json_of(RequestDetail(request=found, **await around(pipeline, found)))


async def around(pipeline: Pipeline, found: records.Request | records.Job) -> dict[str, Any]:
    """The fields of a `Detail`."""
    store = pipeline.store
    stored = (await store.activity([found.id]))[found.id]
    cause = found.parent_request_id
    above = (await store.owners([cause])).get(cause) if cause else None
    runs = await store.runs()
    return {
        "timeline": entries(stored),
        "counts": counts(stored),
        "children": await caused(store, found.id),
        "parent": above if isinstance(above, records.Request) else None,
        "parent_job": above if isinstance(above, records.Job) else None,
        "issues": [issue for issue in pipeline.engine.issues() if _concerns(issue.issue, found)],
        "run": next((run for run in runs if run.run == found.run), None),
    }


async def caused(store: Store, id: str) -> list[Child]:
    """What a request or job caused, step by step: first all that it caused itself, then what these caused."""
    found: dict[str, records.Request | records.Job] = {}
    waiting = [id]
    while waiting and len(found) < CHILDREN:
        for child in await store.children(waiting.pop(0)):
            # Ids come from outside: two may name each other as their cause.
            if child.id != id and child.id not in found and len(found) < CHILDREN:
                found[child.id] = child
                waiting.append(child.id)
    below = await store.activity(list(found))
    return [
        JobChild(job=child, timeline=entries(below[child.id]))
        if isinstance(child, records.Job)
        else RequestChild(request=child, timeline=entries(below[child.id]))
        for child in found.values()
    ]


def _concerns(issue: answers.Issue, found: records.Request | records.Job) -> bool:
    if found.id in issue.evidence:
        return True
    endpoint = key_of(found) if isinstance(found, records.Request) else found.name
    return issue.endpoint == endpoint and issue.service in (None, found.service)


ROUTES = [Route("/requests", many, methods=["GET"]), Route("/requests/{id}", one, methods=["GET"])]
