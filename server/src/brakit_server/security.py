"""Who may talk to the server, on every route and method: localhost is a network like any other, and browsers carry strangers' calls.

Host names are checked against DNS rebinding, origins against other sites' pages, content types against forms; beyond loopback
every call needs a token. No answer carries a CORS header.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brakit_server.config import Config

PREFIX = "/__brakit"
API = f"{PREFIX}/api"
INGEST = f"{API}/ingest"
HELLO = f"{API}/hello"

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

_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
_JSON = re.compile(rb"application/json\s*(;.*)?", re.IGNORECASE | re.DOTALL)


class Security:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        self._app = app
        self._names = frozenset((*LOOPBACK_NAMES, *_own_name(config.host), *config.allowed_hosts))
        self._guarded = not config.loopback
        self._tokens = {
            INGEST: (config.write_token,),
            # SDKs ask it before they send, agents before they read.
            HELLO: (config.write_token, config.read_token),
        }
        self._read_token = config.read_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # No route speaks WebSocket; the handshake is answered with 403.
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            status, reason = refusal
            answer = JSONResponse({"error": reason}, status, {"www-authenticate": "Bearer"} if status == 401 else None)
            await answer(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and sentence, or None for a call that may pass."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = _all(headers, b"host")
        if len(hosts) != 1 or not self._is_ours(host := hosts[0].decode("latin-1").lower(), scope):
            return 421, "This server is not known under that name"
        if not _own_page(headers, host, scope):
            return 403, "Pages of other sites may not call this server"
        if self._guarded and not self._has_token(headers, scope["path"]):
            return 401, "A token is needed"
        if scope["method"] in _CHANGING and _has_body(headers) and not _is_json(headers):
            return 415, "The content type must be application/json"
        return None

    def _is_ours(self, host: str, scope: Scope) -> bool:
        if host in self._names:
            return True
        server = scope.get("server")
        name, colon, port = host.rpartition(":")
        return bool(colon) and server is not None and port == str(server[1]) and name in self._names

    def _has_token(self, headers: list[tuple[bytes, bytes]], path: str) -> bool:
        given = _all(headers, b"authorization")
        if len(given) != 1 or given[0][:7].lower() != b"bearer ":
            return False
        found = given[0][7:].strip()
        wanted = self._tokens.get(path, (self._read_token,))
        return any(token is not None and hmac.compare_digest(found, token.encode()) for token in wanted)


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
