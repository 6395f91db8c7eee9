"""What a request means to the person who caused it: a category and a label."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from brakit_server.records import Request

_VERBS = (
    ("enhance", "Enhanced"),
    ("generate", "Generated"),
    ("create", "Created"),
    ("update", "Updated"),
    ("delete", "Deleted"),
    ("remove", "Deleted"),
    ("send", "Sent"),
    ("upload", "Uploaded"),
    ("save", "Saved"),
    ("submit", "Submitted"),
    ("login", "Logged in"),
    ("signin", "Logged in"),
    ("logout", "Logged out"),
    ("signout", "Logged out"),
    ("register", "Registered"),
    ("signup", "Registered"),
)
_METHOD_VERBS = {"POST": "Created", "PUT": "Updated", "PATCH": "Updated", "DELETE": "Deleted"}

_AUTH_PATHS = ("/api/auth", "/clerk", "/api/clerk")
_REWRITE = "x-middleware-rewrite"


def effective_path(request: Request) -> str:
    """The path that was served: the one that a middleware rewrote to, else the requested one, without query."""
    path = request.path or request.url.partition("?")[0]
    rewritten = request.response_headers.get(_REWRITE)
    return _path(rewritten) or path if rewritten else path


def page_of(request: Request) -> str | None:
    """The path of the page that made the request, by its referer."""
    referer = request.headers.get("referer")
    return (_path(referer) or "/") if referer else None


def navigates(request: Request) -> bool:
    """Whether the browser says that it goes to a page: known of an answer without content too, such as 304."""
    return request.headers.get("sec-fetch-mode") == "navigate" and request.headers.get("sec-fetch-dest") == "document"


def prefetched(request: Request) -> bool:
    """Whether the browser fetched it in advance: nobody has gone there yet."""
    return "prefetch" in request.headers.get("sec-purpose", request.headers.get("purpose", ""))


def category_of(request: Request) -> str:
    """What kind of action the request is; the first that fits."""
    path = effective_path(request)
    content_type = request.response_headers.get("content-type", "")
    # Outside `/api/`, what answers with JSON is an API all the same.
    under_api = path.startswith("/api/") or "json" in content_type
    reading = request.method in ("GET", "HEAD")
    handshake = "__clerk_handshake" in request.url or "__clerk_db_jwt" in request.url
    kinds = (
        (request.is_static, "static"),
        (request.is_health_check, "health-check"),
        (request.status_code == 307 and handshake, "auth-handshake"),
        (path.lower().startswith(_AUTH_PATHS), "auth-check"),
        (request.method == "POST" and not under_api, "server-action"),
        (under_api and not reading, "api-call"),
        (under_api and request.method == "GET", "data-fetch"),
        ("_rsc=" in request.url, "navigation"),
        (_REWRITE in request.response_headers, "middleware"),
        (request.method == "GET" and ("text/html" in content_type or navigates(request)), "page-load"),
    )
    return next((category for fits, category in kinds if fits), "unknown")


def label_of(request: Request, category: str) -> str:
    """The request in words: `Loaded Order`, `Failed to load Order`."""
    path = effective_path(request)
    failed = request.status_code >= 400
    ending = " failed" if failed else ""
    if category == "auth-handshake":
        return "Auth handshake"
    if category == "auth-check":
        return "Auth check failed" if failed else "Checked auth"
    if category == "middleware":
        return f"Redirected to {path}" if path != request.path else "Middleware"
    if category == "server-action":
        return pretty(path) + ending
    if category == "api-call":
        return f"{verb(request)} {pretty(path)}{ending}"
    if category == "data-fetch":
        return f"{'Failed to load' if failed else 'Loaded'} {pretty(path)}"
    if category == "page-load":
        return "Page error" if failed else "Loaded page"
    if category == "navigation":
        return "Navigated"
    if category == "static":
        return f"Static: {path.rpartition('/')[2]}"
    return f"{request.method} {path}{ending}"


def verb(request: Request) -> str:
    """What the request did, by a word in its path, else by its method."""
    name = effective_path(request).lower()
    return next((said for word, said in _VERBS if word in name), _METHOD_VERBS.get(request.method, "Called"))


def pretty(path: str) -> str:
    """The path as words in the singular: `/api/order-items/17` → `Order-item 17`; long ids left out."""
    parts = [part for part in path.removeprefix("/api/").split("/") if part]
    if len(parts) > 2:
        parts = [part for part in parts if len(part) <= 12]
    words = " ".join(_singular(part) for part in parts)
    return words[:1].upper() + words[1:] if words else "Data"


def page_name(path: str) -> str:
    """A page's path as a name: `/` → `Home`, `/order-history` → `Order History`."""
    segments = [re.sub(r"[-_]+", " ", part).strip() for part in path.strip("/").split("/")]
    return " ".join(word[:1].upper() + word[1:] for part in segments for word in part.split()) or "Home"


def _singular(word: str) -> str:
    if word.endswith(("ses", "us", "ss")) or len(word) <= 3:
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word.removesuffix("s")


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""
