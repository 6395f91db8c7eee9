"""`GET /api/status`: the server, what it holds and what sends to it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import brakit_server
from brakit_server import answers
from brakit_server.api import json_of, pipeline_of


async def get(request: Request) -> Response:
    """The newest process first."""
    pipeline = pipeline_of(request)
    size = await pipeline.store.size()
    runs = await pipeline.store.runs()
    dropped: dict[str, int] = {}
    for run in runs:
        for reason, count in run.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return json_of(
        answers.Status(
            version=brakit_server.__version__,
            started_at=pipeline.started_at,
            project=pipeline.config.project,
            database_bytes=size.bytes,
            max_bytes=pipeline.config.max_bytes,
            max_age_days=pipeline.config.max_age_days,
            events=size.events,
            dropped=dropped,
            rejected=pipeline.rejected,
            read_only=pipeline.store.read_only,
            runs=runs,
            quarantined_rules=list(pipeline.engine.quarantined),
            rule_notices=[answers.RuleNotice(rule=notice.rule, reason=notice.reason) for notice in pipeline.engine.judge.notices],
            requests_to_judge=pipeline.engine.behind,
            requests_not_judged=pipeline.engine.given_up,
        )
    )


ROUTES = [Route("/status", get, methods=["GET"])]
