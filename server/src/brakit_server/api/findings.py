"""Issues: `GET /api/insights`, `/api/security`, `/api/findings`; `POST /api/findings/report` and `/api/findings/<id>/state` say what
became of one."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import answers
from brakit_server.analysis.issues import Said
from brakit_server.api import json_of, pipeline_of

MAX_BYTES = 65_536
REASON = 2_000
"""Characters of a reason."""


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


async def one(request: Request) -> Response:
    """One issue with its whole history; 404 when there is none."""
    id = request.path_params["id"]
    if id == "report":
        raise HTTPException(405, headers={"Allow": "POST"})
    found = next((issue for issue in pipeline_of(request).engine.issues() if issue.issue_id == id), None)
    return json_of({"error": "Finding not found"}, 404) if found is None else json_of(found)


async def report(request: Request) -> Response:
    """`{"findingId", "status": "fixed" | "wont_fix", "notes"}` of an agent; 404 when there is no such issue."""
    said, refused = await _said(request)
    if refused is not None:
        return refused
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


async def state(request: Request) -> Response:
    """`{"state": "open" | "fixing" | "resolved" | "ignored", "reason", "by": "person" | "agent"}`: answers with the issue once that is
    saved; 404 when there is none. An ignored issue goes on to be counted and stays ignored until somebody opens it."""
    said, refused = await _said(request)
    if refused is not None:
        return refused
    wanted: Any = said.get("state")
    reason, by = said.get("reason"), said.get("by", "person")
    if wanted not in get_args(Said):
        return json_of({"error": "state must be 'open', 'fixing', 'resolved' or 'ignored'"}, 400)
    if not isinstance(reason, str) or not reason.strip() or len(reason) > REASON:
        return json_of({"error": f"reason is required, of at most {REASON} characters"}, 400)
    if by not in ("person", "agent"):
        return json_of({"error": "by must be 'person' or 'agent'"}, 400)
    found = await pipeline_of(request).engine.set_state(request.path_params["id"], wanted, reason.strip(), by)
    return json_of({"error": "Finding not found"}, 404) if found is None else json_of(found)


async def _said(request: Request) -> tuple[dict[str, Any], Response | None]:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                return {}, json_of({"error": "Payload too large"}, 413)
        said: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ClientDisconnect):
        said = None
    return (said, None) if isinstance(said, dict) else ({}, json_of({"error": "Invalid JSON body"}, 400))


def _one_of(request: Request, name: str, values: tuple[Any, ...]) -> Any:
    asked = request.query_params.get(name)
    return asked if asked in values else None


ROUTES = [
    Route("/insights", insights, methods=["GET"]),
    Route("/security", security, methods=["GET"]),
    Route("/findings", findings, methods=["GET"]),
    Route("/findings/report", report, methods=["POST"]),
    Route("/findings/{id}", one, methods=["GET"]),
    Route("/findings/{id}/state", state, methods=["POST"]),
]
