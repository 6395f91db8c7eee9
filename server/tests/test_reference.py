"""Clients of the reference find here what they find there: its routes, fields, orders, filters, clamps, statuses and texts.

What senders of three kinds send is on the server: the published SDK 0.1.7, the Node runtime's batch without a version, and ours.
Where the reference is wrong (its clocks, its lost evidence) the answers here are right.
"""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

NOW = 1_790_000_000_000.0
API = "/__brakit/api"
ORDER, FAILED, LOADED, MANY = (name * 16 for name in ("0a", "0b", "0c", "0d"))
SITE = {"file": "shop/views.py", "line": 12, "function": "users"}

# Shapes: name → JSON types; `?` marks what may be absent (and is then not null), `null` what may be null.

REQUEST = """
    id:str method:str url:str path:str headers:dict requestBody:str|null statusCode:int responseHeaders:dict responseBody:str|null
    startedAt:num durationMs:num responseSize:int isStatic:bool isHealthCheck:bool
"""
QUERY = """
    id:str driver:str source:str? sql:str? model:str? operation:str? normalizedOp:str table:str durationMs:num rowCount:int?
    parentRequestId:str|null parentFetchId:str? timestamp:num callSite:dict?
"""
FETCH = (
    "id:str fetchId:str? url:str method:str statusCode:int durationMs:num parentRequestId:str|null timestamp:num callSite:dict?"
)
LOG = "id:str level:str message:str parentRequestId:str|null timestamp:num"
ERROR = "id:str name:str message:str stack:str? parentRequestId:str|null timestamp:num"
LABELED = (
    REQUEST
    + "category:str label:str sourcePage:str? isDuplicate:bool? isStrictModeDupe:bool? pollingCount:int? pollingDurationMs:num?"
)
FLOW = """
    id:str label:str requests:list startTime:num totalDurationMs:num hasErrors:bool warnings:list sourcePage:str redundancyPct:int
"""
ISSUE = "category:str rule:str severity:str title:str desc:str hint:str detail:str? endpoint:str?"
STATEFUL = """
    issueId:str state:str source:str category:str issue:dict firstSeenAt:num lastSeenAt:num resolvedAt:num|null occurrences:int
    cleanHitsSinceLastSeen:int aiStatus:str|null aiNotes:str|null
"""
SESSION = """
    sessionId:str startedAt:num avgDurationMs:num p95DurationMs:num requestCount:int errorCount:int avgQueryCount:num
    avgQueryTimeMs:num avgFetchTimeMs:num
"""
POINT = "timestamp:num durationMs:num statusCode:int queryCount:int queryTimeMs:num fetchTimeMs:num"
SUMMARY = """
    p95Ms:num medianMs:num errorRate:num avgQueryCount:num totalRequests:int avgQueryTimeMs:num avgFetchTimeMs:num avgAppTimeMs:num
"""
LIVE = "endpoint:str requests:list summary:dict sessions:list? baselineP95Ms:num|null"
METRICS = "endpoint:str sessions:list dataPoints:list?"
COUNTS = "fetches:int logs:int errors:int queries:int"

TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "num": (int, float),
    "int": (int,),
    "bool": (bool,),
    "dict": (dict,),
    "list": (list,),
    "null": (type(None),),
}


def fits(value: dict[str, Any], shape: str) -> dict[str, Any]:
    """The object, which must have every field of the shape with its type; it may have more."""
    for field in shape.split():
        name, _, kinds = field.partition(":")
        if kinds.endswith("?") and name not in value:
            continue
        allowed = tuple(kind for word in kinds.removesuffix("?").split("|") for kind in TYPES[word])
        found = value[name]
        assert isinstance(found, allowed), (name, found)
        assert not (isinstance(found, bool) and bool not in allowed), (name, found)
    return value


def old(kind: str, owner: str | None, ended: float, **data: Any) -> dict[str, Any]:
    """An event as SDK 0.1.7 sends it: stamped at its end in the data, at its sending around them; null for what is not known."""
    id = data.pop("id", "e" * 32)
    inside = {"id": id, "timestamp": NOW + ended, **({} if kind == "request" else {"parentRequestId": owner}), **data}
    return {"type": kind, "timestamp": NOW + ended + 70.25, **({"requestId": owner} if owner else {}), "data": inside}


def old_request(id: str, ended: float, method: str, url: str, status: int, took: float, **more: Any) -> dict[str, Any]:
    headers = {"host": "127.0.0.1:8000", "authorization": "Bear... abc", "cookie": "sid=...mnop", "x-api-key": "****"}
    return old(
        "request",
        id,
        ended,
        id=id,
        method=method,
        url=url,
        statusCode=status,
        durationMs=took,
        headers=headers,
        responseHeaders={"content-type": "application/json", "content-length": "36"},
        **{"requestBody": None, "responseBody": '{"n":3}', "responseSize": 36, "isStatic": False, "isHealthCheck": False, **more},
    )


def published() -> list[dict[str, Any]]:
    hello = {"framework": "fastapi", "adapters": ["sqlalchemy"], "pythonVersion": "3.11.7", "os": "linux-6", "arch": "x86_64"}
    query: dict[str, Any] = {
        "driver": "sqlalchemy",
        "operation": "SELECT",
        "table": "items",
        "rowCount": None,
        "parentFetchId": None,
    }
    return [
        {"type": "sdk.hello", "timestamp": NOW, "data": hello},
        old("log", ORDER, 12, level="warning", message="looking it up"),
        old("db.query", ORDER, 40, sql="select * from items where id=?", durationMs=20.5, **query),
        old("fetch", ORDER, 90, url="http://pay/x?a=1&a=2", method="GET", statusCode=200, durationMs=30, fetchId="f" * 32),
        old("db.query", ORDER, 95, sql="select * from prices where id=?", durationMs=1.5, **{**query, "table": "prices"}),
        old_request(ORDER, 110.5, "GET", "/api/items/3", 200, 100.5),
        old("error", FAILED, 205, name="ValueError", message="no such item", stack="Traceback ..."),
        old("log", FAILED, 204, level="error", message="it failed"),
        old_request(
            FAILED, 210, "POST", "/api/items", 500, 10, requestBody='{"name": "Lamp"}', responseBody="Internal Server Error"
        ),
        old_request("e0" * 16, 300, "GET", "/health", 200, 1, isHealthCheck=True),
        old("log", None, 310, level="info", message="outside"),
    ]


def node() -> list[dict[str, Any]]:
    """The runtime's clock counts from the start of its process."""
    around = {"parentRequestId": LOADED, "timestamp": 5123.4}
    return [
        {
            "type": "query",
            "data": {"driver": "pg", "sql": "SELECT 1", "normalizedOp": "SELECT", "table": "", "durationMs": 3, **around},
        },
        {"type": "fetch", "data": {"url": "http://pay/y", "method": "POST", "statusCode": 0, "durationMs": 4, **around}},
        {"type": "log", "data": {"level": "warn", "message": "from node", **around}},
        {"type": "error", "data": {"name": "TypeError", "message": "x is not a function", "stack": "at f", **around}},
        {"type": "request", "data": {"id": "ignored"}},
    ]


def ours() -> list[dict[str, Any]]:
    """A sender whose statements have their values in the text."""
    queries = [
        {
            "type": "db.query",
            "requestId": MANY,
            "timestamp": NOW + 500 + 5 * number,
            "data": {"operation": "SELECT", "table": "users", "duration": 4, "sql": f"SELECT * FROM users WHERE id = {number}"},
        }
        for number in range(12)
    ]
    request = {
        "id": MANY,
        "method": "GET",
        "url": "/api/users?page=2",
        "statusCode": 200,
        "durationMs": 80,
        "route": "/api/users",
    }
    check = {
        "type": "auth.check",
        "requestId": MANY,
        "timestamp": NOW + 499,
        "data": {"provider": "session", "result": "allowed"},
    }
    return [check, *queries, {"type": "request", "requestId": MANY, "timestamp": NOW + 498, "data": request}]


@pytest.fixture(scope="module")
def reference(server: Any) -> Any:
    """The server, after everybody has sent; asked as `localhost`, as the reference's clients do."""

    def post(payload: dict[str, Any]) -> None:
        urllib = {"User-Agent": "Python-urllib/3.11", "Accept-Encoding": "identity", "Host": f"localhost:{server.port}"}
        status, headers, body = server.call("POST", f"{API}/ingest", json.dumps(payload).encode(), urllib)
        assert (status, body) == (204, b"")
        assert "content-type" not in headers

    post({"_brakit": True, "version": 1, "sdk": "brakit-python/0.1.7", "events": published()})
    post({"_brakit": True, "events": node()})
    resource = {"service": "users", "pid": 7, "host": "box", "started": NOW}
    for _ in range(2):
        post({"_brakit": True, "version": 1, "sdk": "other/1", "batchId": "b1", "resource": resource, "events": ours()})
    server.wait_for("findings", lambda found: found["total"] >= 2)
    server.wait_for("metrics/live", lambda found: len(found["endpoints"]) >= 3)
    return server


def ids(page: Any) -> list[str]:
    return [request["id"] for request in page["requests"]]


def test_the_port_file(reference: Any) -> None:
    assert (reference.root / ".brakit" / "port").read_bytes() == str(reference.port).encode()


def test_requests(reference: Any) -> None:
    page = reference.get("requests")
    assert page["total"] == 4
    assert ids(page) == [MANY, "e0" * 16, FAILED, ORDER]
    for request in page["requests"]:
        fits(request, REQUEST)
    failed, order = page["requests"][2:]
    assert (order["url"], order["path"], order["method"], order["statusCode"]) == ("/api/items/3", "/api/items/3", "GET", 200)
    # The end that was sent, less the duration.
    assert (order["startedAt"], order["durationMs"], order["responseSize"]) == (NOW + 10, 100.5, 36)
    assert (order["requestBody"], order["responseBody"], failed["requestBody"]) == (None, '{"n":3}', '{"name": "Lamp"}')
    assert order["headers"]["host"] == "127.0.0.1:8000"
    assert page["requests"][1]["isHealthCheck"] is True
    assert page["requests"][0]["path"] == "/api/users"


@pytest.mark.parametrize(
    ("query", "total", "found"),
    [
        ("method=post", 1, [FAILED]),
        ("method=brew", 0, []),
        ("status=2xx&limit=1", 3, [MANY]),
        ("status=500", 1, [FAILED]),
        ("status=50", 0, []),
        ("status=junk", 0, []),
        ("search=LAMP", 1, [FAILED]),
        ("search=%22N%22:3", 2, ["e0" * 16, ORDER]),
        ("search=page=2", 1, [MANY]),
        ("search=fastapi", 0, []),
        (f"search={ORDER}", 1, [ORDER]),
        ("limit=1", 4, [MANY]),
        ("limit=1&offset=2", 4, [FAILED]),
        ("limit=-3&offset=-3", 4, [MANY]),
        ("limit=0&offset=3", 4, [ORDER]),
        ("limit=x&offset=x", 4, [MANY, "e0" * 16, FAILED, ORDER]),
        ("limit=9999&offset=9", 4, []),
        ("method=get&status=2xx&search=items", 1, [ORDER]),
    ],
)
def test_filters_and_clamps_of_requests(reference: Any, query: str, total: int, found: list[str]) -> None:
    page = reference.get(f"requests?{query}")
    assert (page["total"], ids(page)) == (total, found)


@pytest.mark.parametrize(
    ("path", "shape", "all_of_it", "of_order"),
    [("queries", QUERY, 15, 2), ("fetches", FETCH, 2, 1), ("logs", LOG, 4, 1), ("errors", ERROR, 2, 0)],
)
def test_lists(reference: Any, path: str, shape: str, all_of_it: int, of_order: int) -> None:
    page = reference.get(path)
    assert page["total"] == len(page["entries"]) == all_of_it
    for entry in page["entries"]:
        fits(entry, shape)
    mine = reference.get(f"{path}?requestId={ORDER}")
    assert mine["total"] == len(mine["entries"]) == of_order
    assert {entry["parentRequestId"] for entry in mine["entries"]} <= {ORDER}
    assert reference.get(f"{path}?requestId=") == page
    assert reference.get(f"{path}?requestId=nobody") == {"total": 0, "entries": []}


def test_what_the_lists_say(reference: Any) -> None:
    prices, items = reference.get(f"queries?requestId={ORDER}")["entries"]
    assert (items["table"], prices["table"]) == ("items", "prices")
    assert (items["driver"], items["source"], items["operation"], items["normalizedOp"]) == (
        "sqlalchemy",
        "sqlalchemy",
        "SELECT",
        "SELECT",
    )
    assert (items["sql"], items["durationMs"], items["timestamp"]) == ("select * from items where id=?", 20.5, NOW + 19.5)
    assert not {"rowCount", "parentFetchId", "model"} & set(items)
    [fetch] = reference.get(f"fetches?requestId={ORDER}")["entries"]
    assert (fetch["fetchId"], fetch["url"], fetch["method"], fetch["timestamp"]) == (
        "f" * 32,
        "http://pay/x?a=1&a=2",
        "GET",
        NOW + 60,
    )
    node_log, outside, failed, order = reference.get("logs")["entries"]
    assert (node_log["level"], outside["level"], failed["level"], order["level"]) == ("warn", "info", "error", "warn")
    assert outside["parentRequestId"] is None
    theirs, mine = reference.get("errors")["entries"]
    assert (mine["name"], mine["message"], mine["stack"]) == ("ValueError", "no such item", "Traceback ...")
    assert (theirs["parentRequestId"], theirs["stack"]) == (LOADED, "at f")
    # A clock that counts from the process's start is no time: that of arrival is.
    assert theirs["timestamp"] > NOW - 1e12 / 2
    assert reference.get(f"queries?requestId={LOADED}")["entries"][0]["driver"] == "pg"
    assert reference.get(f"fetches?requestId={LOADED}")["entries"][0]["statusCode"] == 0


def test_activity(reference: Any) -> None:
    found = reference.get(f"activity?requestId={ORDER}&requestIds={FAILED}")
    assert found["requestId"] == ORDER
    assert found["total"] == len(found["timeline"]) == 4
    assert [entry["type"] for entry in found["timeline"]] == ["log", "query", "fetch", "query"]
    for entry in found["timeline"]:
        fits(entry, "type:str timestamp:num data:dict")
        fits(entry["data"], {"log": LOG, "query": QUERY, "fetch": FETCH, "error": ERROR}[entry["type"]])
        assert entry["timestamp"] == entry["data"]["timestamp"]
    fits(found["counts"], COUNTS)
    assert [found["counts"][name] for name in ("fetches", "logs", "errors", "queries")] == [1, 1, 0, 2]
    several = reference.get(f"activity?requestIds=,{FAILED},%20,nobody,{ORDER}")
    assert several["requestIds"] == [FAILED, "nobody", ORDER]
    assert [entry["type"] for entry in several["activities"][FAILED]["timeline"]] == ["log", "error"]
    assert (several["activities"]["nobody"]["total"], several["activities"]["nobody"]["timeline"]) == (0, [])
    for one in several["activities"].values():
        fits(one, "total:int timeline:list counts:dict")
        fits(one["counts"], COUNTS)
    many = ",".join(f"id{number}" for number in range(80))
    assert len(reference.get(f"activity?requestIds={many}")["activities"]) == 50
    for nothing in ("activity", "activity?requestId=", "activity?requestIds=", "activity?requestIds=,%20,"):
        status, _, body = reference.call("GET", f"{API}/{nothing}")
        assert (status, json.loads(body)) == (400, {"error": "requestId or requestIds parameter required"})


def test_metrics(reference: Any) -> None:
    endpoints = reference.get("metrics/live")["endpoints"]
    assert [one["endpoint"] for one in endpoints] == ["GET /api/items/:id", "GET /api/users", "POST /api/items"]
    for one in endpoints:
        fits(one, LIVE)
        fits(one["summary"], SUMMARY)
        assert [fits(point, POINT) for point in one["requests"]]
        assert [fits(session, SESSION) for session in one["sessions"]]
    items = endpoints[0]
    assert items["requests"][0]["timestamp"] == NOW + 10
    assert (items["requests"][0]["queryCount"], items["requests"][0]["queryTimeMs"], items["requests"][0]["fetchTimeMs"]) == (
        2,
        22,
        30,
    )
    assert (items["summary"]["p95Ms"], items["summary"]["totalRequests"], items["baselineP95Ms"]) == (100.5, 1, None)
    assert items["summary"]["avgAppTimeMs"] == 48.5
    assert endpoints[2]["summary"]["errorRate"] == 1
    history = reference.get("metrics")["endpoints"]
    assert {one["endpoint"] for one in history} == {one["endpoint"] for one in endpoints}
    for one in history:
        fits(one, METRICS)
        assert [fits(session, SESSION) for session in one["sessions"]]
        assert [fits(point, POINT) for point in one["dataPoints"]]
    assert [one["endpoint"] for one in reference.get("metrics?endpoint=POST%20/api/items")["endpoints"]] == ["POST /api/items"]
    assert reference.get("metrics?endpoint=nothing") == {"endpoints": []}


def test_flows(reference: Any) -> None:
    found = reference.get("flows")
    assert found["total"] == len(found["flows"]) >= 1
    starts = [flow["startTime"] for flow in found["flows"]]
    assert starts == sorted(starts, reverse=True)
    for flow in found["flows"]:
        fits(flow, FLOW)
        assert [fits(request, LABELED) for request in flow["requests"]]
        assert [request["startedAt"] for request in flow["requests"]] == sorted(
            request["startedAt"] for request in flow["requests"]
        )
    shown = {request["id"]: request for flow in found["flows"] for request in flow["requests"]}
    assert (shown[ORDER]["category"], shown[FAILED]["category"]) == ("data-fetch", "api-call")
    assert shown[FAILED]["label"] == "Created Item failed"


def test_findings(reference: Any) -> None:
    found = reference.get("findings")
    assert found["total"] == len(found["findings"])
    assert reference.get("insights")["issues"] == found["findings"]
    for one in found["findings"]:
        fits(one, STATEFUL)
        fits(one["issue"], ISSUE)
        assert (one["state"], one["source"], one["category"]) == ("open", "passive", one["issue"]["category"])
    by_rule = {one["issue"]["rule"]: one for one in found["findings"]}
    loop = by_rule["n1"]["issue"]
    # The values stood in the text: that they differ is known though they are masked.
    assert (loop["title"], loop["severity"], loop["endpoint"]) == ("N+1 queries on users", "critical", "GET /api/users")
    assert "12 different" in loop["desc"]
    assert by_rule["n1"]["occurrences"] == 1
    assert by_rule["error"]["category"] == "reliability"
    for state, total in (
        ("open", found["total"]),
        ("fixing", 0),
        ("resolved", 0),
        ("stale", 0),
        ("regressed", 0),
        ("junk", found["total"]),
    ):
        page = reference.get(f"findings?state={state}")
        assert page["total"] == len(page["findings"]) == total
        assert len(reference.get(f"insights?state={state}&category=security")["issues"]) == (0 if state == "junk" else total)
    assert {one["category"] for one in reference.get("insights?category=performance")["issues"]} == {"performance"}
    assert reference.get("insights?category=junk")["issues"] == found["findings"]
    # The reference answers with all categories here.
    assert reference.get("security") == {"issues": []}


GETS = [
    *("requests", "flows", "fetches", "logs", "errors", "queries", f"activity?requestId={ORDER}", "metrics", "metrics/live"),
    *("insights", "security", "findings"),
]


@pytest.mark.parametrize("path", GETS)
def test_answers_are_json_and_only_got(reference: Any, path: str) -> None:
    status, headers, _ = reference.call("GET", f"{API}/{path}")
    assert (status, headers["content-type"]) == (200, "application/json")
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        status, headers, body = reference.call(method, f"{API}/{path}")
        assert (status, json.loads(body)) == (405, {"error": "Method not allowed"})
        assert headers["allow"] == "get"
    assert reference.call("HEAD", f"{API}/{path}")[0] == 405


@pytest.mark.parametrize("path", ["ingest", "clear", "findings/report"])
def test_what_is_only_posted(reference: Any, path: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
        status, headers, body = reference.call(method, f"{API}/{path}")
        assert (status, json.loads(body), headers["allow"]) == (405, {"error": "Method not allowed"}, "post")


def test_tab(reference: Any) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        status, _, body = reference.call(method, f"{API}/tab?tab=requests&event=open&detail=x")
        assert (status, body) == (204, b"")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"{", 400, "Invalid JSON"),
        (b"", 400, "Invalid JSON"),
        (b"[]", 400, "Invalid batch"),
        (b'{"_brakit": true, "version": "1", "events": []}', 400, "Invalid batch"),
        (b'{"version": 1, "events": []}', 400, "Invalid batch"),
        (b'"' + b"x" * 10_485_759 + b'"', 413, "Payload too large"),
    ],
)
def test_ingest_refuses_in_its_words(reference: Any, body: bytes, status: int, error: str) -> None:
    found, headers, answer = reference.call("POST", f"{API}/ingest", body, {"Content-Type": "application/json"})
    assert (found, headers["content-type"]) == (status, "application/json")
    assert json.loads(answer)["error"].startswith(error)


def test_the_stream_has_its_names(reference: Any) -> None:
    with socket.create_connection(("127.0.0.1", reference.port), 10) as connection:
        connection.sendall(f"GET {API}/events HTTP/1.1\r\nHost: localhost:{reference.port}\r\n\r\n".encode())
        received = b""
        while b":ok\n" not in received:
            received += connection.recv(65536)
        head = received.partition(b"\r\n\r\n")[0].lower()
        assert b"http/1.1 200" in head
        assert b"content-type: text/event-stream" in head
        owner = "0f" * 16
        events = [
            old("fetch", owner, 901, url="http://pay/", method="GET", statusCode=200, durationMs=1, fetchId=None),
            old("log", owner, 902, level="info", message="seen"),
            old("db.query", owner, 903, operation="SELECT", table="t", durationMs=1, sql=None, driver="asyncpg", rowCount=None),
            old("error", owner, 904, name="KeyError", message="k", stack=""),
            old_request(owner, 905, "GET", "/api/seen", 200, 5),
        ]
        assert reference.send(*events, sdk="brakit-python/0.1.7") == 204
        while b"event: issues" not in received or not received.endswith(b"\r\n"):
            received += connection.recv(65536)
    frames = [frame.split("\n") for frame in received.decode().split("\n\n") if "data: " in frame]
    shapes = {"": REQUEST, "fetch": FETCH, "log": LOG, "query": QUERY, "error_event": ERROR}
    seen = []
    for frame in frames:
        fields = dict(line.split(": ", 1) for line in frame if ": " in line)
        name = fields.get("event", "")
        if name in shapes:
            fits(json.loads(fields["data"]), shapes[name])
            seen.append(name)
    assert seen == ["fetch", "log", "query", "error_event", ""]
    assert "sid=...mnop" not in received.decode()


def test_what_its_tools_for_agents_call(reference: Any) -> None:
    """Last: it clears."""
    assert len(reference.get("requests?limit=1")["requests"]) == 1
    loop = next(one for one in reference.get("findings?state=open")["findings"] if one["issue"]["rule"] == "n1")
    method, _, path = loop["issue"]["endpoint"].partition(" ")
    [newest] = reference.get(f"requests?search={path}&method={method}&limit=1")["requests"]
    activity = reference.get(f"activity?requestIds={newest['id']}")["activities"][newest["id"]]
    assert activity["counts"]["queries"] == 12
    assert [request["id"] for request in reference.get(f"requests?search={newest['id']}")["requests"]] == [MANY]

    def report(**said: Any) -> tuple[int, Any]:
        status, _, body = reference.call("POST", f"{API}/findings/report", json.dumps(said).encode())
        return status, json.loads(body)

    id = loop["issueId"]
    assert report(findingId="none", status="fixed", notes="n") == (404, {"error": "Finding not found"})
    assert report(findingId=id, status="fixed", notes="joined") == (200, {"ok": True})
    [fixing] = reference.get("findings?state=fixing")["findings"]
    assert (fixing["issueId"], fixing["aiStatus"], fixing["aiNotes"]) == (id, "fixed", "joined")
    assert report(findingId=id, status="wont_fix", notes="on purpose") == (200, {"ok": True})
    assert [one["aiStatus"] for one in reference.get("findings?state=fixing")["findings"]] == ["wont_fix"]
    status, _, body = reference.call("POST", f"{API}/clear")
    assert (status, json.loads(body)) == (200, {"cleared": True})
    for path in ("requests", "queries", "fetches", "logs", "errors", "findings", "flows"):
        assert reference.get(path)["total"] == 0
    assert reference.get("metrics") == reference.get("metrics/live") == {"endpoints": []}
