"""`GET /api/jobs` and `GET /api/jobs/<id>`: runs of background jobs, and everything about one of them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import answers, records
from brakit_server.api import json_of, pipeline_of, where_of
from brakit_server.api.requests import around
from brakit_server.details import JobDetail

MOST = 1000


async def many(request: Request) -> Response:
    """Newest first. `requestId` is a job, or what enqueued it; `status` how it ended; `endpoint` its name."""
    page = await pipeline_of(request).store.jobs(where_of(request, MOST))
    return json_of(
        answers.Jobs(total=page.total, entries=page.entries, next=page.next, complete=page.complete, at_least=page.at_least)
    )


async def one(request: Request) -> Response:
    """As of a request, `parent` or `parentJob` is what enqueued it; 404 when there is no such job."""
    id: str = request.path_params["id"]
    pipeline = pipeline_of(request)
    found = (await pipeline.store.owners([id])).get(id)
    if not isinstance(found, records.Job):
        return json_of({"error": "Job not found"}, 404)
    return json_of(JobDetail(job=found, **await around(pipeline, found)))


ROUTES = [Route("/jobs", many, methods=["GET"]), Route("/jobs/{id}", one, methods=["GET"])]
