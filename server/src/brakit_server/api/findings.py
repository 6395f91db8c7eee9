"""Issues: `GET /api/insights`, `/api/security`, `/api/findings`, and `POST /api/findings/report`, which says what became of one."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import answers
from brakit_server.api import json_of, pipeline_of

MAX_BYTES = 65_536


async def insights(request: Request) -> Response:
    """`state` wins over `category`; values that do not exist are ignored."""
    state = _one_of(request, "state", get_args(answers.State))
    category = None if state else _one_of(request, "category", get_args(answers.Category))
    return json_of(answers.Insights(issues=pipeline_of(request).engine.issues(state, category)))


async def security(request: Request) -> Response:
    """Those of the category security."""
    found = pipeline_of(request).engine.issues(_one_of(request, "state", get_args(answers.State)))
    return json_of(answers.Insights(issues=[issue for issue in found if issue.category == "security"]))


async def findings(request: Request) -> Response:
    """By `state`."""
    found = pipeline_of(request).engine.issues(_one_of(request, "state", get_args(answers.State)))
    return json_of(answers.Findings(total=len(found), findings=found))


async def report(request: Request) -> Response:
    """`{"findingId", "status": "fixed" | "wont_fix", "notes"}`; 404 when there is no such issue."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                return json_of({"error": "Payload too large"}, 413)
        said: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ClientDisconnect):
        return json_of({"error": "Invalid JSON body"}, 400)
    if not isinstance(said, dict):
        return json_of({"error": "Invalid JSON body"}, 400)
    finding, status, notes = said.get("findingId"), said.get("status"), said.get("notes")
    if not isinstance(finding, str) or not finding:
        return json_of({"error": "findingId is required"}, 400)
    if status not in ("fixed", "wont_fix"):
        return json_of({"error": "status must be 'fixed' or 'wont_fix'"}, 400)
    if not isinstance(notes, str) or not notes:
        return json_of({"error": "notes is required"}, 400)
    if not pipeline_of(request).engine.report(finding, status, notes):
        return json_of({"error": "Finding not found"}, 404)
    return json_of({"ok": True})


def _one_of(request: Request, name: str, values: tuple[Any, ...]) -> Any:
    asked = request.query_params.get(name)
    return asked if asked in values else None


ROUTES = [
    Route("/insights", insights, methods=["GET"]),
    Route("/security", security, methods=["GET"]),
    Route("/findings", findings, methods=["GET"]),
    Route("/findings/report", report, methods=["POST"]),
]
