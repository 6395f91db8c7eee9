"""From what an instrumentation wrote down to clean text: structured fields, messages, headers, bodies."""

from __future__ import annotations

import zlib

from brakit import redact
from brakit.conform import MAX_NAME, MAX_TEXT, MAX_URL, clean, plain_text, uncut
from brakit.masked import described
from brakit.record import MAX_BODY, TEXT_TYPES
from brakit.sensitive import strength

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_HEADERS = 200
MAX_HEADERS_TEXT = 64 * 1024
STATIC_SUFFIXES = ("js", "css", "map", "ico", "png", "jpg", "jpeg", "gif", "svg", "webp", "woff", "woff2", "ttf", "eot")
STATIC_PREFIXES = (
    "/favicon", "/static/", "/media/", "/assets/", "/__debug__/", "/_debugtoolbar/", "/openapi.json", "/docs", "/redoc",
    "/.well-known/", "/node_modules/", "/@vite/", "/packs/",
)  # fmt: skip
HEALTH_PATHS = frozenset(
    ("/health", "/healthz", "/healthcheck", "/ping", "/ready", "/readyz", "/readiness", "/livez", "/liveness", "/status",
     "/__health", "/api/health", "/api/healthz", "/api/healthcheck")
)  # fmt: skip


def fields(fields: dict[str, object] | None) -> dict[str, str] | None:
    if not fields:
        return None
    return redact.object({plain_text(name, MAX_NAME): plain_text(value, 2048) for name, value in fields.items()})


def masked_fields(fields: dict[str, object]) -> list[dict[str, str]]:
    """What `fields` masks whole, as the fields of `events.MASKED`."""
    found = []
    for name, value in fields.items():
        key, text = plain_text(name, MAX_NAME), plain_text(value, 2048)
        if text and strength(key) and redact.object({key: text}).get(key) == redact.MASK != text:
            found.append({"place": "fields", "name": key[:64], **described(text, key)})
    return found


def message(message: object, args: object) -> str:
    """A log message with its arguments, which are known to be plain values."""
    if not args or type(message) is not str:
        return plain_text(message, MAX_TEXT)
    if type(args) is dict:
        # In the text they stand without their names.
        args = {name: redact.MASK if type(name) is str and strength(name) else value for name, value in args.items()}
    try:
        return clean(message % args, MAX_TEXT)
    except (TypeError, ValueError, KeyError, IndexError, OverflowError, MemoryError):
        values = args.items() if type(args) is dict else args if type(args) is tuple else (args,)
        return clean(f"{plain_text(message, MAX_TEXT)} ({', '.join(plain_text(value, 1024) for value in values)})", MAX_TEXT)


def headers(pairs: Iterable[tuple[object, object]]) -> dict[str, list[str]]:
    """Header pairs by lower-case name."""
    headers: dict[str, list[str]] = {}
    size = 0
    for name, value in list(pairs)[:MAX_HEADERS]:
        key, text = redact.short(plain_text(name, MAX_NAME)).lower(), plain_text(value, MAX_URL)
        size += len(key) + len(text)
        if size > MAX_HEADERS_TEXT:
            break
        headers.setdefault(key, []).append(text)
    return headers


def first(headers: dict[str, list[str]], name: str) -> str:
    return headers.get(name, [""])[0]


def body(body: object, content_type: str, encoding: str) -> str | None:
    """The text of a body, scrubbed; None for one that is no text."""
    text = plain_body(body, content_type, encoding)
    return None if text is None else redact.body(text, content_type)


def plain_body(body: object, content_type: str, encoding: str) -> str | None:
    """The text of a body as it came: not to leave this process."""
    if type(body) is not bytes or not body or (content_type and not any(word in content_type.lower() for word in TEXT_TYPES)):
        return None
    encoding = encoding.strip().lower()
    if encoding in ("gzip", "deflate"):
        try:
            # 32 lets zlib tell gzip from zlib headers; the limit makes a bomb harmless.
            body = zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(body, MAX_BODY)
        except zlib.error:
            return None
    elif encoding and encoding != "identity":
        return None
    if not content_type and b"\0" in body:
        return None
    charset = "utf-8"
    if "charset=" in content_type.lower():
        charset = content_type.lower().split("charset=", 1)[1].split(";")[0].strip("\"' ")
    try:
        text = body[:MAX_BODY].decode(charset, "replace")
    except (LookupError, UnicodeError):
        text = body[:MAX_BODY].decode("utf-8", "replace")
    if len(body) >= MAX_BODY:
        text = uncut(text)
    return clean(text, MAX_BODY)


def is_static(path: str) -> bool:
    """Whether a path is that of an asset or of a framework's own page."""
    return path.rpartition(".")[2].lower() in STATIC_SUFFIXES or path.startswith(STATIC_PREFIXES)


def is_health_check(path: str) -> bool:
    return path.lower() in HEALTH_PATHS
