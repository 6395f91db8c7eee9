"""`POST /api/login` and `/api/logout`: a person gives the read token once and has a cookie from then on."""

from __future__ import annotations

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from brakit_server.api import json_of
from brakit_server.security import LOGIN_PAGES, PREFIX, cookie_name
from brakit_server.tokens import SESSION_SECONDS, Locked, Tokens

MAX_BYTES = 4096
KINDS = {"login.js": "text/javascript", "login.css": "text/css"}


class Given(msgspec.Struct):
    """What the page sends."""

    token: str


async def log_in(request: Request) -> Response:
    """`{"token"}`: 204 with the cookie, 401 for a wrong token, 429 after many; 404 where the server asks for none."""
    tokens: Tokens | None = request.app.state.tokens
    if tokens is None:
        return json_of({"error": "This server asks for no token"}, 404)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                return json_of({"error": "Payload too large"}, 413)
        given = msgspec.json.decode(body, type=Given)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ClientDisconnect):
        return json_of({"error": "token is required"}, 400)
    try:
        right = tokens.may_read(given.token.encode("utf-8", "replace"), request.client.host if request.client else "")
    except Locked as locked:
        answer = json_of({"error": f"{locked}; try again in {locked.seconds} seconds"}, 429)
        answer.headers["retry-after"] = str(locked.seconds)
        return answer
    if not right:
        return json_of({"error": "That is not the read token"}, 401)
    answer = Response(status_code=204)
    _set_cookie(request, answer, tokens.session(), SESSION_SECONDS)
    return answer


async def log_out(request: Request) -> Response:
    """204; the browser forgets the cookie."""
    answer = Response(status_code=204)
    _set_cookie(request, answer, "", 0)
    return answer


async def part(request: Request) -> Response:
    """A part of the page that asks for the token; it holds nothing of the project."""
    kind = KINDS.get(request.path_params["name"])
    if kind is None:
        return json_of({"error": "Not found"}, 404)
    return FileResponse(LOGIN_PAGES / request.path_params["name"], media_type=kind, headers={"cache-control": "no-cache"})


def _set_cookie(request: Request, answer: Response, value: str, seconds: int) -> None:
    answer.set_cookie(
        cookie_name(request.headers["host"]),
        value,
        max_age=seconds,
        path=PREFIX,
        # What the page says of itself: the connection to us is a plain one where a proxy does the encrypting.
        secure=request.headers.get("origin", "").lower().startswith("https://"),
        httponly=True,
        samesite="strict",
    )


ROUTES = [
    Route("/login", log_in, methods=["POST"]),
    Route("/login/{name}", part, methods=["GET"]),
    Route("/logout", log_out, methods=["POST"]),
]
