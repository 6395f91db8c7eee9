"""Whether a record meets the conditions of a list: one answer for every store, checked on the record itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from brakit_server.filters import Matcher
from brakit_server.filters.matching import ProcessOf
from brakit_server.records import KINDS, Entry, Error, Fetch, Job, Log, Query, Request
from brakit_server.stores import Where

Matches = Callable[[Any], bool]
OwnerEndpoint = Callable[[str], str | None]
"""Id of a request or job → its endpoint; None where it is not known."""

EndpointOf = Callable[[Request], str]

TEXTS: dict[type[Entry], Callable[[Any], tuple[str | None, ...]]] = {
    Request: attrgetter("url", "request_body", "response_body"),
    Query: lambda query: (query.sql,),
    Fetch: lambda fetch: (fetch.url,),
    Log: attrgetter("message", "logger"),
    Error: attrgetter("name", "message"),
    Job: attrgetter("name", "queue", "message_id", "error"),
}
"""Main texts of a record, which a search looks through."""


_NAMES = {kind: name for name, kind in KINDS.items()}


def plain_endpoint(request: Request) -> str:
    """`METHOD route`, or `METHOD path` where no route is known."""
    return f"{request.method} {request.route or request.path}"


def status_range(status: str) -> tuple[int, int]:
    """`404` → (404, 404), `4xx` → (400, 499); a range that nothing is in for anything else."""
    if status.isascii() and len(status) <= 3:
        if status.isdigit():
            return int(status), int(status)
        if status[:1].isdigit() and status[1:].lower() == "xx":
            return int(status[0]) * 100, int(status[0]) * 100 + 99
    return 1, 0


def position(before: str | None) -> int | None:
    """The `seq` of a cursor; None where there is none, or none of ours."""
    return int(before) if before and before.isascii() and before.isdigit() and len(before) < 19 else None


def texts(entry: Entry) -> Iterable[str]:
    """The main texts of a record that it has."""
    getter = TEXTS.get(type(entry))
    return () if getter is None else (text for text in getter(entry) if text)


def matcher(
    kind: type[Entry], where: Where, endpoint_of: EndpointOf, owner_endpoint: OwnerEndpoint, process_of: ProcessOf, now: float
) -> Matches:
    """A function that says of a record of `kind` whether it meets every condition of `where` but those of the page.

    `now`: Unix seconds.
    """
    checks = [*_about_owner(kind, where, endpoint_of, owner_endpoint), *_about_fields(kind, where)]
    if where.search:
        checks.append(_searched(where.search))
    if where.filter is not None:
        fits = Matcher(where.filter, now * 1000, process_of).of(_NAMES[kind])
        if fits is False:
            return lambda _: False
        if fits is not True:
            checks.append(fits)
    if not checks:
        return lambda _: True
    return checks[0] if len(checks) == 1 else lambda entry: all(check(entry) for check in checks)


def _about_owner(kind: type[Entry], where: Where, endpoint_of: EndpointOf, owner_endpoint: OwnerEndpoint) -> list[Matches]:
    checks: list[Matches] = []
    id, endpoint = where.request_id, where.endpoint
    if id is not None:
        if kind is Request:
            checks.append(lambda entry: entry.id == id)
        elif kind is Job:
            checks.append(lambda entry: id in (entry.id, entry.parent_request_id))
        else:
            checks.append(lambda entry: entry.parent_request_id == id)
    if endpoint is not None:
        if kind is Request:
            checks.append(lambda entry: endpoint_of(entry) == endpoint)
        elif kind is Job:
            checks.append(lambda entry: entry.name == endpoint)
        else:
            checks.append(
                lambda entry: entry.parent_request_id is not None and owner_endpoint(entry.parent_request_id) == endpoint
            )
    return checks


def _about_fields(kind: type[Entry], where: Where) -> list[Matches]:
    checks: list[Matches] = []
    if where.service is not None:
        checks.append(lambda entry: entry.service == where.service)
    if where.method is not None and kind in (Request, Fetch):
        checks.append(lambda entry: entry.method == where.method)
    if where.level is not None and kind is Log:
        checks.append(lambda entry: entry.level == where.level)
    if where.shape_hash is not None and kind is Query:
        checks.append(lambda entry: entry.shape_hash == where.shape_hash)
    if where.status is not None and kind in (Request, Fetch):
        low, high = status_range(where.status)
        checks.append(lambda entry: low <= entry.status_code <= high)
    elif where.status is not None and kind is Job:
        checks.append(lambda entry: entry.status == where.status)
    if where.since is not None:
        since = where.since
        checks.append(lambda entry: entry.timestamp >= since)
    return checks


def _searched(text: str) -> Matches:
    wanted = text.casefold()

    def found(entry: Entry) -> bool:
        # Clients of the reference look a request up by searching for its id.
        return any(wanted in text.casefold() for text in texts(entry)) or (type(entry) is Request and entry.id == text)

    return found
