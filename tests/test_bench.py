"""The bench counts what is lost, doubled or under a wrong request: a harness that sees nothing would say that nothing happens."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from bench.apps import TAGGED
from bench.parts.loss import Count, count

NUMBERS = (1, 2, 3)


def payload() -> dict[str, Any]:
    """Three requests with all that the app of the bench causes, in parts as the SDK sends them."""
    shared: list[dict[str, Any]] = [{"data": {"operation": "SELECT", "table": "item"}}]
    events: list[dict[str, Any]] = []
    for number in NUMBERS:
        id = f"{number:032x}"
        place = len(shared)
        shared.append({"type": "db.query", "requestId": id, "parentId": id})
        events += [{"of": [place, 0], "data": {"paramsHash": f"h{number}"}} for _ in range(TAGGED)]
        events.append({"type": "fetch", "requestId": id, "data": {"url": f"http://127.0.0.1/tag/{number}"}})
        events.append({"type": "log", "requestId": id, "data": {"message": f"tag {number}"}})
        events.append({"type": "request", "data": {"id": id, "url": f"/tag/{number}?queries={TAGGED}"}})
    return {"resource": {"pid": 7}, "shared": shared, "events": events, "dropped": {"buffer_full": 2}}


def counted(payload: dict[str, Any]) -> Count:
    return count(json.dumps(payload).encode(), set(NUMBERS), TAGGED)


def test_nothing_is_missed_where_all_is_there() -> None:
    found = counted(payload())
    assert (found.answered, found.events, found.lost, found.wrong, found.twice, found.told) == (3, 36, 0, 0, 0, 2)


@pytest.mark.parametrize("kind", ["db.query", "fetch", "log", "request"])
def test_what_is_lost_or_doubled_is_counted(kind: str) -> None:
    whole = payload()
    place = next(index for index, event in enumerate(whole["events"]) if event.get("type", "db.query") == kind)
    without, doubled = copy.deepcopy(whole), copy.deepcopy(whole)
    without["events"].pop(place)
    doubled["events"].append(whole["events"][place])
    # Without its request, what a request has caused is nowhere to be found.
    assert counted(without).lost == (12 if kind == "request" else 1)
    assert counted(doubled).twice == 1


@pytest.mark.parametrize("kind", ["db.query", "fetch", "log"])
def test_what_is_under_another_request_is_counted(kind: str) -> None:
    whole = payload()
    events = [event for event in whole["events"] if event.get("type", "db.query") == kind]
    of_first, of_second = events[0], events[TAGGED if kind == "db.query" else 1]
    name = "of" if kind == "db.query" else "requestId"
    of_first[name], of_second[name] = of_second[name], of_first[name]
    assert counted(whole).wrong == 2
