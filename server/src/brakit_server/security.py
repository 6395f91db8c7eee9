"""Who may talk to the server, on every route and method: localhost is a network like any other, and browsers carry strangers' calls.

Host names are checked against DNS rebinding, origins against other sites' pages, content types against forms; beyond loopback
every call needs a token, or the cookie that a person got for one. No answer carries a CORS header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brakit_server.config import Config
from brakit_server.memory import Ceiling
from brakit_server.meters import Meters
from brakit_server.tokens import Locked, Tokens

PREFIX = "/__brakit"
API = f"{PREFIX}/api"
INGEST = f"{API}/ingest"
HELLO = f"{API}/hello"
LOGIN = f"{API}/login"

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

HEADERS = {
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types svelte-trusted-html",
        )
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}
"""On every answer. `cache-control: no-store` is added where the answer says nothing else."""

_GUARD = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_OURS = frozenset(name for name, _ in _GUARD)

LOGIN_PAGES = Path(__file__).parent / "login"
"""The page that asks for a token, and its parts."""

_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
_JSON = re.compile(rb"application/json\s*(;.*)?", re.IGNORECASE | re.DOTALL)


class Refusal(Exception):
    """A call that may not pass. `status` and `reason` are the answer; `after`: seconds after which to come back."""

    def __init__(self, status: int, reason: str, after: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.after = after


class Security:
    """ASGI middleware around everything else.

    `tokens` are asked for where the server can be reached from elsewhere; `ceiling` and `meters` are of the server.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: Config,
        tokens: Tokens | None = None,
        ceiling: Ceiling | None = None,
        meters: Meters | None = None,
    ) -> None:
        self._app = app
        self._names = frozenset((*LOOPBACK_NAMES, *_own_name(config.host), *config.allowed_hosts))
        self._tokens = tokens or tokens_of(config)
        self._ceiling = ceiling or Ceiling(config.max_memory)
        self._meters = meters or Meters()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # No route speaks WebSocket; the handshake is answered with 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        sending = scope["path"] == INGEST

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [header for header in message.get("headers", ()) if header[0] not in _OURS]
                if all(name != b"cache-control" for name, _ in given):
                    given.append((b"cache-control", b"no-store"))
                message["headers"] = [*given, *_GUARD]
                if sending:
                    self._meters.answered(message["status"])
            await send(message)

        try:
            self._check(scope)
        except Refusal as refusal:
            self._meters.turned_away(refusal.status)
            await self._answer(refusal, scope)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _check(self, scope: Scope) -> None:
        """Raise `Refusal` for a call that may not pass."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = _all(headers, b"host")
        if len(hosts) != 1 or not self._is_ours(host := hosts[0].decode("latin-1").lower(), scope):
            raise Refusal(421, "This server is not known under that name")
        if not _own_page(headers, host, scope):
            raise Refusal(403, "Pages of other sites may not call this server")
        if self._tokens is not None and not _needs_no_token(scope):
            try:
                known = _is_known(self._tokens, headers, host, scope)
            except Locked as locked:
                raise Refusal(429, f"{locked}; try again in {locked.seconds} seconds", locked.seconds) from None
            if not known:
                raise Refusal(401, "A token is needed")
        if scope["method"] in _CHANGING and _has_body(headers) and not _is_json(headers):
            raise Refusal(415, "The content type must be application/json")
        if scope["path"] == INGEST and self._ceiling.is_reached():
            raise Refusal(503, "The server has as much in memory as it may", 1)

    def _answer(self, refusal: Refusal, scope: Scope) -> Response:
        headers = {} if refusal.after is None else {"retry-after": str(refusal.after)}
        if refusal.status == 401:
            if _wants_page(scope):
                return Response((LOGIN_PAGES / "login.html").read_bytes(), 401, headers, "text/html")
            headers["www-authenticate"] = "Bearer"
        return JSONResponse({"error": refusal.reason}, refusal.status, headers)

    def _is_ours(self, host: str, scope: Scope) -> bool:
        if host in self._names:
            return True
        server = scope.get("server")
        name, colon, port = host.rpartition(":")
        return bool(colon) and server is not None and port == str(server[1]) and name in self._names


def tokens_of(config: Config) -> Tokens | None:
    """The tokens of a server that can be reached from elsewhere; None on loopback, where none is asked for."""
    if not config.guarded:
        return None
    assert config.read_token is not None
    assert config.write_token is not None
    return Tokens(config.read_token, config.write_token)


def cookie_name(host: str) -> str:
    """Name of the cookie of the server under this `Host`. Cookies know no ports: two servers on one machine need two names."""
    port = host.rpartition(":")[2]
    return f"brakit-{port}" if port.isdigit() else "brakit"


def _is_known(tokens: Tokens, headers: list[tuple[bytes, bytes]], host: str, scope: Scope) -> bool:
    """Whether the call has what its route asks for. Raises `Locked`."""
    path, address = scope["path"], _address(scope)
    given = _all(headers, b"authorization")
    if not given:
        return path != INGEST and any(tokens.is_session(value) for value in _cookies(headers, cookie_name(host)))
    if len(given) != 1 or given[0][:7].lower() != b"bearer ":
        return False
    token = given[0][7:].strip()
    if path == INGEST:
        return tokens.may_write(token, address)
    if path == HELLO:
        # SDKs ask it before they send, agents before they read.
        return tokens.may_greet(token, address)
    return tokens.may_read(token, address)


def _needs_no_token(scope: Scope) -> bool:
    """The log-in: the page, which holds nothing, and what it posts to."""
    return (scope["method"] == "POST" and scope["path"] == LOGIN) or (
        scope["method"] == "GET" and scope["path"] in (f"{LOGIN}/login.js", f"{LOGIN}/login.css")
    )


def _wants_page(scope: Scope) -> bool:
    """Whether a person opens a page, and not a program an address."""
    path: str = scope["path"]
    page = path in ("/", PREFIX) or (path.startswith(f"{PREFIX}/") and path != API and not path.startswith(f"{API}/"))
    return page and scope["method"] == "GET" and b"text/html" in b",".join(_all(scope["headers"], b"accept"))


def _address(scope: Scope) -> str:
    # Of the connection: what a header says of it, anybody can write.
    client = scope.get("client")
    return client[0] if client else ""


def _cookies(headers: list[tuple[bytes, bytes]], wanted: str) -> list[str]:
    found = []
    for line in _all(headers, b"cookie"):
        for part in line.decode("latin-1").split(";"):
            name, _, value = part.strip().partition("=")
            if name == wanted:
                found.append(value)
    return found


def _own_page(headers: list[tuple[bytes, bytes]], host: str, scope: Scope) -> bool:
    origins = _all(headers, b"origin")
    if any(origin.decode("latin-1").lower() not in (f"http://{host}", f"https://{host}") for origin in origins):
        return False
    sites = _all(headers, b"sec-fetch-site")
    if all(site in (b"same-origin", b"none") for site in sites):
        return True
    # A link from elsewhere to a page of the dashboard: a person's navigation, which reads nothing for the page that it comes from.
    return (
        scope["method"] in ("GET", "HEAD")
        and not origins
        and not (scope["path"] == API or scope["path"].startswith(f"{API}/"))
        and _all(headers, b"sec-fetch-mode") == [b"navigate"]
        and _all(headers, b"sec-fetch-dest") == [b"document"]
    )


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0") for name, value in headers)


def _is_json(headers: list[tuple[bytes, bytes]]) -> bool:
    types = _all(headers, b"content-type")
    return len(types) == 1 and _JSON.fullmatch(types[0].strip()) is not None


def _all(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def _own_name(host: str) -> tuple[str, ...]:
    """The host as it stands in a `Host` header; none where the server listens on every address."""
    return () if host in ("0.0.0.0", "::") else (f"[{host}]" if ":" in host else host.lower(),)
