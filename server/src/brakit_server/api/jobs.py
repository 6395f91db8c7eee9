"""`GET /api/jobs`: runs of background jobs, newest first; what happened in one is its activity, by its id."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import answers
from brakit_server.api import json_of, pipeline_of, where_of

MOST = 1000


async def many(request: Request) -> Response:
    """One page. `requestId` is a job, or what enqueued it; `status` how it ended; `endpoint` its name."""
    page = await pipeline_of(request).store.jobs(where_of(request, MOST))
    return json_of(answers.Jobs(total=page.total, entries=page.entries, next=page.next))


ROUTES = [Route("/jobs", many, methods=["GET"])]
