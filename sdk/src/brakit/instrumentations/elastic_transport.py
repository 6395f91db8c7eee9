"""Elasticsearch 8 and later: every call of its clients, sync and async, through `Transport.perform_request`, retries inside of it.

Shown are the method and the path: `POST /orders/_search`; of the body only a hash is made. The HTTP calls below are no records of
their own.

Not recorded: the clients' look around for nodes.
"""

from __future__ import annotations

import sys

from brakit import callsite, context, errors
from brakit.context import covered
from brakit.guard import Raised
from brakit.instrumentations._documents import leaves_of
from brakit.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=8,<10"

_READS = frozenset(
    ("_search", "_count", "_mget", "_msearch", "_source", "_explain", "_field_caps", "_termvectors", "_sql", "_query")
)
_ACTIONS = {
    "_update": "UPDATE", "_update_by_query": "UPDATE", "_delete_by_query": "DELETE", "_create": "INSERT",
}  # fmt: skip
_BY_ID = frozenset(("_doc", "_create", "_update", "_source", "_explain", "_termvectors"))


def instrument(patch: Patches) -> None:
    patch.probe("elastic_transport:Transport.perform_request", perform)
    patch.probe("elastic_transport:AsyncTransport.perform_request", perform)


def perform(call: Call) -> Generator[None, Any, None]:
    """One logical call. An answer that says no is no exception here."""
    method, target, body = call.arg("method"), call.arg("target"), call.kwargs.get("body")
    site = callsite.find(sys._getframe(2))
    if (
        covered.get() == "db.query"
        or type(method) is not str
        or type(target) is not str
        or (site is None and not context.current())
    ):
        yield
        return
    path, _, query = target.partition("?")
    operation, index, shape = judged(method, path)
    record = Record(
        "db.query",
        {
            "operation": operation,
            "table": index,
            "sql": f"{method} {path}",
            "shape": f"{method} {shape}",
            "source": "elasticsearch",
            "system": "elasticsearch",
            "params": (path, query, *leaves_of(body)),
        },
    )
    record.site = site
    before = covered.get()
    covered.set("fetch")
    try:
        answer = yield
    except Raised as raised:
        record.finish(call.client.buffer, error=errors.text_of(raised.error))
    else:
        status = answer.meta.status
        failed = type(status) is int and status >= 400 and status != 404
        record.finish(call.client.buffer, error=f"HTTP {status}" if failed else None, row_count=_rows(answer.body))
    finally:
        covered.set(before)


def judged(method: str, path: str) -> tuple[str, str, str]:
    """What a call does, to which index, and its path without the id of a document."""
    parts = path.strip("/").split("/")
    index = parts[0] if parts[0] and not parts[0].startswith("_") else ""
    action = next((part for part in parts if part.startswith("_")), "")
    if action in _READS or method in ("GET", "HEAD"):
        operation = "SELECT"
    elif action in _ACTIONS:
        operation = _ACTIONS[action]
    elif method == "DELETE":
        operation = "DELETE"
    else:
        operation = "INSERT" if action == "_doc" else "OTHER"
    if action in _BY_ID and parts[-1] != action:
        at = parts.index(action) + 1
        parts = [*parts[:at], "?", *parts[at + 1 :]]
    return operation, index, "/" + "/".join(parts)


def _rows(body: Any) -> int | None:
    hits = body.get("hits") if type(body) is dict else None
    found = hits.get("hits") if type(hits) is dict else None
    return len(found) if type(found) is list else None
