"""`?filter=` of the lists and of the stream, and what helps to type it, on a real server."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

LISTS = ("requests", "queries", "fetches", "logs", "errors", "errors/groups", "shapes", "jobs", "flows")


def ids(seen: Any, filter: str, more: str = "") -> list[str]:
    return [request["id"] for request in seen.get(f"requests?filter={quote(filter)}{more}")["requests"]]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("", ["p1", "r2", "r1"]),
        ("status:5xx", ["r2"]),
        ("status:(200 OR 500) -method:post", ["r1"]),
        ("duration>50ms OR service:payments", ["p1", "r2"]),
        ("route:/orders/*", ["r1"]),
        ("url~/page=\\d/", ["r1"]),
        ('"ok"', ["r1"]),
        ("host:box pid:2", ["p1"]),
        ("request:r1", ["r1"]),
        ("cause:r1", ["p1"]),
        ("since:10m", []),
        ("at<2027-01-01", ["p1", "r2", "r1"]),
        ("kind:query", []),
        ("-kind:query method:GET", ["r1"]),
    ],
)
def test_requests(seen: Any, filter: str, found: list[str]) -> None:
    assert ids(seen, filter) == found


def test_the_other_lists(seen: Any) -> None:
    def total(path: str, filter: str) -> int:
        return int(seen.get(f"{path}?filter={quote(filter)}")["total"])

    assert (total("queries", "table:items"), total("queries", "file:shop/* line:12"), total("queries", "operation:INSERT")) == (
        2,
        2,
        1,
    )
    assert (total("fetches", "payments"), total("fetches", "status:404")) == (1, 0)
    assert (total("logs", "ÜNDER"), total("logs", "-has:request")) == (1, 1)
    assert (total("errors", "name:ValueError"), total("errors/groups", "order"), total("errors/groups", "nothing")) == (1, 1, 0)
    assert (total("shapes", "table:items"), total("shapes", "duration>8ms")) == (1, 1)
    assert (total("jobs", "status:failed"), total("flows", "status:500")) == (0, 1)


def test_pages_and_other_conditions_go_with_it(seen: Any) -> None:
    page = seen.get("requests?filter=method:(GET%20OR%20POST)&limit=2")
    assert ([request["id"] for request in page["requests"]], page["total"], page.get("complete", True)) == (["p1", "r2"], 3, True)
    assert ids(seen, "method:(GET OR POST)", f"&limit=2&before={page['next']}") == ["r1"]
    assert ids(seen, "method:(GET OR POST)", "&status=5xx") == ["r2"]


@pytest.mark.parametrize("path", [*LISTS, "events"])
def test_a_filter_that_cannot_be_read_is_refused_everywhere(seen: Any, path: str) -> None:
    status, headers, body = seen.call("GET", f"/__brakit/api/{path}?filter={quote('tabel:items')}")
    assert (status, headers["content-type"]) == (400, "application/json")
    answer = json.loads(body)
    assert (answer["column"], answer["expected"]) == (1, ["table"])
    assert "'table'" in answer["error"]


def test_a_filter_too_long_is_refused_before_it_is_read(seen: Any) -> None:
    status, _, body = seen.call("GET", f"/__brakit/api/requests?filter={'(' * 3000}")
    assert (status, json.loads(body)["column"]) == (400, 2001)


def test_the_fields(seen: Any) -> None:
    language = seen.get("filter")
    fields = {field["name"]: field for field in language["fields"]}
    types = {type["name"]: type for type in language["types"]}
    assert fields["duration"]["type"] == "duration"
    assert "ms" in types["duration"]["units"]
    assert ">" in types["duration"]["operators"]
    assert (fields["table"]["kinds"], fields["service"]["kinds"]) == (["query"], [])
    assert fields["header"]["keyed"]
    assert {field["type"] for field in fields.values()} <= set(types)


def complete(seen: Any, text: str, more: str = "") -> Any:
    return seen.get(f"filter/complete?text={quote(text)}{more}")


def texts(answer: Any) -> list[str]:
    return [item["text"] for item in answer["items"]]


def test_completion(seen: Any) -> None:
    found = complete(seen, "status:5xx tab")
    assert (found["start"], found["end"], texts(found)[0]) == (11, 14, "table:")
    assert found["error"] is None
    assert texts(complete(seen, "tab:x", "&at=3"))[0] == "table:"
    assert "table:" not in texts(complete(seen, "tab", "&kind=request"))
    values = complete(seen, "table:")
    assert [(item["text"], item["count"]) for item in values["items"]] == [("items", 2), ("charges", 1)]
    assert values["error"] == {"error": values["error"]["error"], "column": 7, "expected": values["error"]["expected"]}
    assert "a value" in values["error"]["expected"]
    assert set(texts(complete(seen, "service:"))) == {"shop", "payments"}
    assert texts(complete(seen, "host:", "&kind=request")) == ["box"]
    assert texts(complete(seen, "level:wa")) == ["warn"]
    assert texts(complete(seen, "result:")) == ["allowed"]
    assert texts(complete(seen, "route:")) == ["/orders/{id}"]


def test_the_stream_sends_what_fits(server: Any, event: Any) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        path = f"/__brakit/api/events?filter={quote('find -level:debug')}"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode())
        received = b""
        while b"retry" not in received:
            received += connection.recv(65536)
        server.send(event("log", message="find 1"), event("log", message="no"), event("log", message="find 2", level="debug"))
        server.send(event("log", message="find the last"))
        while b"find the last" not in received:
            received += connection.recv(65536)
    messages = re.findall(rb'"message":"([^"]*)"', received)
    assert messages == [b"find 1", b"find the last"]


def test_a_hostile_filter_ends_and_the_server_goes_on_meanwhile(start: Any, event: Any) -> None:
    running = start()
    chance = random.Random(7)
    large = "".join(chance.choice("ab") for _ in range(60_000))
    for _ in range(4):
        assert running.send(*(event("log", message=large) for _ in range(6))) == 204
    hostile = quote(" OR ".join(f"message~/a.{{{170 + number}}}q/" for number in range(5)))
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(running.get, f"logs?filter={hostile}") for _ in range(2)]
        running.get("hello")
        assert running.send(event("log", message="meanwhile")) == 204
        pages = [each.result() for each in asked]
    for page in pages:
        assert (page["total"], page["entries"], page["complete"]) == (0, [], False)
        # The next page begins where this one ended.
        after = running.get(f"logs?filter=kind:log&before={page['next']}")
        assert 0 < after["total"] <= 25
    assert running.get("logs?filter=meanwhile")["total"] == 1


def test_a_hostile_filter_of_a_stream_does_not_hold_up_the_others(start: Any, event: Any) -> None:
    running = start()
    chance = random.Random(7)
    large = "".join(chance.choice("ab") for _ in range(60_000))
    hostile = quote(" OR ".join(f"message~/a.{{{170 + number}}}q/" for number in range(10)))
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(socket.create_connection(("127.0.0.1", running.port), 20)) for _ in range(3)]
        for connection, asked in zip(streams, (hostile, hostile, ""), strict=True):
            head = f"GET /__brakit/api/events?filter={asked} HTTP/1.1\r\nHost: localhost:{running.port}\r\n\r\n"
            connection.sendall(head.encode())
            received = b""
            while b"retry" not in received:
                received += connection.recv(65536)
        assert running.send(*(event("log", message=large) for _ in range(10))) == 204
        assert running.send(event("log", message="meanwhile")) == 204
        received = b""
        while b"meanwhile" not in received:
            received += streams[2].recv(1 << 20)
        running.get("hello")
    assert "Traceback" not in running.stop()[1]
