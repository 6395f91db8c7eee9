"""One record from the fields of one event, with what can be known without its sender saying it."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any

import msgspec

from brakit import redact
from brakit.events import OPERATIONS
from brakit.masked import seen
from brakit.sql import NO_SQL, summarize
from brakit_server.records import KINDS, Cookie, Entry, Masked

LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warn",
    "warn": "warn",
    "error": "error",
    "critical": "error",
    "log": "log",
}
"""Level on the wire → level; everything else is `log`."""

STATIC_EXTENSIONS = frozenset(
    ["js", "css", "map", "ico", "png", "jpg", "jpeg", "gif", "svg", "webp", "woff", "woff2", "ttf", "eot"]
)
STATIC_PREFIXES = (
    *("/favicon", "/node_modules/", "/_next/", "/__nextjs", "/@vite/", "/__vite", "/@fs/", "/@id/", "/__remix", "/_nuxt/"),
    *("/__nuxt", "/@astro", "/_astro/", "/static/", "/media/", "/__debug__/", "/_debugtoolbar/", "/openapi.json", "/docs"),
    *("/redoc", "/assets/", "/packs/", "/.well-known/"),
)
HEALTH_PATHS = frozenset(
    (
        *("/health", "/healthz", "/healthcheck", "/ping", "/ready", "/readiness", "/liveness", "/status", "/__health"),
        *("/api/health", "/api/healthz", "/api/healthcheck"),
    )
)

LENIENT: dict[str, dict[str, Any]] = {
    "db.query": {"operation": "OTHER", "table": "", "duration_ms": 0.0},
    "fetch": {"url": "", "method": "GET", "status_code": 0, "duration_ms": 0.0},
    "log": {"level": "log", "message": ""},
    "error": {"name": "Error", "message": ""},
    "request": {"method": "GET", "url": "", "status_code": 200},
}
"""What stands in for a field that is missing, in kinds and payloads whose fields nobody is obliged to send."""


_KEY = secrets.token_bytes(16)
"""Of hashes over values that were masked: who reads the file cannot try values out."""

_PLACEHOLDER = re.compile(r"\$\w|%\(\w+\)s|%s|(?<![:\w]):[A-Za-z_]|(?<![@\w])@\w")


class Envelope(msgspec.Struct):
    """What stands around the data of one event, made sense of."""

    id: str
    timestamp: float
    owner: str | None
    parent_id: str | None
    trace_id: str | None
    service: str
    run: str


def entry(kind: str, values: dict[str, Any], envelope: Envelope) -> Entry:
    """The record of a known kind from its fields."""
    finish = _FINISH.get(kind)
    if finish is not None:
        finish(values)
    values["id"] = envelope.id
    values["timestamp"] = envelope.timestamp
    if kind == "request":
        values["started_at"] = envelope.timestamp
    return KINDS[kind](
        parent_request_id=envelope.owner,
        parent_id=envelope.parent_id,
        trace_id=envelope.trace_id,
        service=envelope.service,
        run=envelope.run,
        **values,
    )


def is_static(path: str) -> bool:
    """Whether a path is that of an asset or of a framework's own page."""
    name = path.rpartition("/")[2]
    _, dot, extension = name.rpartition(".")
    return (bool(dot) and extension.lower() in STATIC_EXTENSIONS) or path.startswith(STATIC_PREFIXES)


def is_health_check(path: str) -> bool:
    return path.lower() in HEALTH_PATHS


def _query(values: dict[str, Any]) -> None:
    operation = values["operation"].upper()
    values["operation"] = operation if operation in OPERATIONS else "OTHER"
    values.setdefault("normalized_op", values["operation"])
    values["driver"] = values.get("source") or "sdk"
    if values.get("row_count", 0) < 0:
        # What drivers say when they cannot tell.
        del values["row_count"]
    sql, shape = values.get("sql"), values.get("shape")
    if shape:
        values["shape"] = redact.short(shape) if values.get("system") in NO_SQL else summarize(shape).sql
    if sql and values.get("system") in NO_SQL and values.get("shape_hash"):
        values["sql"] = redact.text(sql)
        values.setdefault("shape", values["sql"])
    elif sql:
        summary = summarize(sql)
        values["sql"] = summary.sql
        values["transaction_mark"] = summary.mark
        if summary.sql != sql and "params_hash" not in values and not ("?" in sql or _PLACEHOLDER.search(summary.sql)):
            # All values stood in the text, which is now without them: whether they differ must not be lost.
            values["params_hash"] = hashlib.blake2b(sql.encode("utf-8", "replace"), digest_size=8, key=_KEY).hexdigest()
        if not values.get("shape_hash"):
            values["shape"], values["shape_hash"] = summary.shape, summary.shape_hash
        elif "shape" not in values:
            values["shape"] = summary.shape
    elif not values.get("shape_hash"):
        shape = f"{values['operation']} {values.get('model') or values['table']}".strip()
        values["shape"] = shape
        values["shape_hash"] = hashlib.blake2b(shape.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _fetch(values: dict[str, Any]) -> None:
    values["method"] = values["method"].upper()


def _log(values: dict[str, Any]) -> None:
    values["level"] = LEVELS.get(values["level"], "log")


def _request(values: dict[str, Any]) -> None:
    values["method"] = values["method"].upper()
    path = values["url"].partition("?")[0]
    values["path"] = path
    values.setdefault("duration_ms", 0.0)
    values.setdefault("response_size", 0)
    values.setdefault("is_static", is_static(path))
    values.setdefault("is_health_check", is_health_check(path))
    told = frozenset(values)
    for headers, body in (("headers", "request_body"), ("response_headers", "response_body")):
        values.setdefault(headers, {})
        text = values.setdefault(body, None)
        if text is not None:
            masked = redact.body(text, values[headers].get("content-type", ""))
            values[body] = masked[:10_240]
            if masked != text and "masked" not in told:
                values["masked"] = (values.get("masked") or []) + described(text, masked, body)
    set_cookie = values["response_headers"].get("set-cookie")
    if set_cookie and "cookies" not in values:
        values["cookies"] = [_cookie(flags) for flags in redact.cookies([set_cookie])]


def described(given: str, masked: str, body: str) -> list[Masked]:
    """What this server has masked in a body, for senders that mask nothing themselves, as `events.MASKED` has it."""
    place = "requestBody" if body == "request_body" else "responseBody"
    return [Masked(**about) for about in seen(given, masked, place)]


def _cookie(flags: dict[str, str | bool]) -> Cookie:
    same_site = flags.get("same_site")
    return Cookie(
        name=str(flags["name"]),
        secure=bool(flags.get("secure")),
        http_only=bool(flags.get("http_only")),
        same_site=str(same_site) if same_site else None,
        expires=bool(flags.get("expires")),
    )


_FINISH = {"db.query": _query, "fetch": _fetch, "log": _log, "request": _request}
