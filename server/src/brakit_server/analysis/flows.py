"""Flows: the requests of one action of a person, put together by client, page and pauses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from brakit_server.analysis.finding import milliseconds
from brakit_server.analysis.labels import category_of, effective_path, label_of, page_name, page_of, prefetched, pretty, verb
from brakit_server.details import LabeledRequest, RequestFlow
from brakit_server.records import Request

PAUSE_MS = 5_000.0
"""Without a request for so long, what comes next is another action."""

TWICE_MS = 2_000.0
"""A page that loads everything twice within this time probably does so in its framework's development mode."""

POLLS = 3
"""Requests of the same data, one after the other, that are one entry."""

SLOW_MS = 2_000.0

_OWN = "/__brakit"
_READS = ("data-fetch", "auth-check")
_TRIGGERS = ("api-call", "server-action", "page-load", "navigation", "data-fetch")


def flows(requests: Iterable[Request]) -> list[RequestFlow]:
    """The flows among `requests` (in any order), newest first.

    Requests of different clients never share a flow. Requests that another one of `requests` caused are part of that one, and
    assets are left out. Marks (`isDuplicate`, `isStrictModeDupe`) say what the page did twice; they hide nothing from the rules.
    """
    ordered = sorted(requests, key=lambda request: (request.timestamp, request.id))
    ids = {request.id for request in ordered}
    clients: dict[tuple[str | None, str | None], list[LabeledRequest]] = {}
    for request in ordered:
        path = request.path or request.url
        caused = request.parent_request_id in ids and request.parent_request_id != request.id
        if not caused and not request.is_static and not path.startswith(_OWN):
            clients.setdefault((request.client, request.headers.get("user-agent")), []).append(_labeled(request))
    found = [_flow(group) for labeled in clients.values() for group in _actions(labeled)]
    return sorted(found, key=lambda flow: (flow.start_time, flow.id), reverse=True)


def _labeled(request: Request) -> LabeledRequest:
    category = category_of(request)
    return LabeledRequest(
        **msgspec.structs.asdict(request),
        category=category,
        label=label_of(request, category),
        source_page=page_of(request),
    )


class _Action:
    """What a person does on one page, as long as it goes on."""

    def __init__(self, first: LabeledRequest) -> None:
        self.requests = [first]
        self.page = effective_path(first) if _begins(first) else first.source_page
        self.ended = first.timestamp + first.duration_ms

    def add(self, request: LabeledRequest) -> None:
        self.requests.append(request)
        self.page = self.page or request.source_page
        self.ended = max(self.ended, request.timestamp + request.duration_ms)

    def takes(self, request: LabeledRequest) -> bool:
        return self.page is None or request.source_page in (None, self.page)


def _actions(requests: list[LabeledRequest]) -> list[list[LabeledRequest]]:
    """Pages that are open at the same time (in two tabs, or by two people behind one address) each have their own."""
    actions: list[_Action] = []
    going_on: list[_Action] = []
    for request in requests:
        going_on = [action for action in going_on if request.timestamp - action.ended <= PAUSE_MS]
        fitting = None if _begins(request) else next((each for each in reversed(going_on) if each.takes(request)), None)
        if fitting is None:
            fitting = _Action(request)
            actions.append(fitting)
        else:
            fitting.add(request)
            going_on.remove(fitting)
        going_on.append(fitting)
    return [action.requests for action in actions]


def _begins(request: LabeledRequest) -> bool:
    return request.category in ("page-load", "navigation") and not prefetched(request)


def _flow(requests: list[LabeledRequest]) -> RequestFlow:
    _mark_repeats(requests)
    duplicates = [request for request in requests if request.is_duplicate]
    start = requests[0].timestamp
    shown = _polls_collapsed(requests)
    pages = Counter(request.source_page for request in requests if request.source_page)
    page = pages.most_common(1)[0][0] if pages else requests[0].path or "/"
    return RequestFlow(
        id=requests[0].id,
        label=_label(shown, page),
        requests=shown,
        start_time=start,
        total_duration_ms=float(round(max(request.timestamp + request.duration_ms for request in requests) - start)),
        has_errors=any(request.status_code >= 400 for request in requests),
        warnings=_warnings(shown, duplicates, requests),
        source_page=page,
        redundancy_pct=round(100 * len(duplicates) / len(requests)),
    )


def _key(request: Request) -> tuple[str, str]:
    return request.method, effective_path(request)


def _mark_repeats(requests: list[LabeledRequest]) -> None:
    groups: dict[tuple[str, str, str], list[LabeledRequest]] = {}
    for request in requests:
        if request.category in _READS:
            # Other parameters are other data: the query string is part of what is the same.
            groups.setdefault((*_key(request), request.url.partition("?")[2]), []).append(request)
    twice = bool(groups) and all(
        len(group) == 2
        and group[1].timestamp - group[0].timestamp <= TWICE_MS
        and group[0].source_page is not None
        and group[0].source_page == group[1].source_page
        for group in groups.values()
    )
    for group in groups.values():
        for request in group[1:]:
            if twice:
                request.is_strict_mode_dupe = True
            else:
                request.is_duplicate = True


def _polls_collapsed(requests: list[LabeledRequest]) -> list[LabeledRequest]:
    shown: list[LabeledRequest] = []
    index = 0
    while index < len(requests):
        first = requests[index]
        end = index + 1
        if first.category == "data-fetch" and first.method == "GET":
            while end < len(requests) and _key(requests[end]) == _key(first):
                end += 1
        run = requests[index:end]
        if len(run) >= POLLS:
            took = run[-1].timestamp + run[-1].duration_ms - first.timestamp
            shown.append(
                msgspec.structs.replace(
                    first,
                    category="polling",
                    label=f"Polling {pretty(effective_path(first))} ({len(run)}x, {milliseconds(took)})",
                    polling_count=len(run),
                    polling_duration_ms=took,
                    is_duplicate=False,
                )
            )
        else:
            shown += run
        index = end
    return shown


def _warnings(shown: list[LabeledRequest], duplicates: list[LabeledRequest], requests: list[LabeledRequest]) -> list[str]:
    said = []
    if duplicates:
        keys = {_key(request) for request in duplicates}
        firsts: dict[tuple[str, str], LabeledRequest] = {}
        for request in requests:
            firsts.setdefault(_key(request), request)
        same = all(request.response_body == firsts[_key(request)].response_body for request in duplicates)
        requests_word = "request" if len(duplicates) == 1 else "requests"
        endpoints_word = "endpoint" if len(keys) == 1 else "endpoints"
        ending = " — same data loaded twice" if same else ""
        said.append(f"{len(duplicates)} {requests_word} duplicated across {len(keys)} {endpoints_word}{ending}")
    for request in shown:
        if request.category != "polling" and request.duration_ms > SLOW_MS:
            said.append(f"{request.label} took {request.duration_ms / 1000:.1f}s")
        if request.status_code >= 500:
            said.append(f"{request.label} — server error ({request.status_code})")
    return said


def _label(requests: list[LabeledRequest], page: str) -> str:
    by_category = {request.category: request for request in reversed(requests)}
    trigger = next((by_category[category] for category in _TRIGGERS if category in by_category), requests[0])
    path = effective_path(trigger)
    if trigger.category in ("page-load", "navigation"):
        return f"{page_name(path)} Page"
    if trigger.category == "api-call":
        return f"{verb(trigger)} {pretty(path)}"
    if trigger.category == "server-action":
        return pretty(path)
    if trigger.category in ("data-fetch", "polling") and page != "/" and trigger.source_page is not None:
        return f"{page_name(page)} Page"
    return trigger.label
