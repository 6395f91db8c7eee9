"""Events lost, doubled or under a wrong request: at full speed, after SIGTERM, while uvicorn reloads; and what goes over the wire.

Every request has a number of its own, and all that it causes tells it: queries by the hash of their parameter, calls by their address,
logs by their text. What was answered has to be there.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.apps import TAGGED
from bench.load import Result, drive, get
from bench.processes import APP_CORE, Process, end, environment, on, pinned, serving, sink, stub
from bench.sheet import ROUNDS, SECONDS, Sheet, console, most, rounds

TAG = re.compile(r"/tag/(\d+)|tag (\d+)")
RELOADED = """
from bench import variants
variants.activate()
from bench.apps import fastapi_app
app = fastapi_app()
"""


class Count(NamedTuple):
    """What became of the events of one run. `wrong` is under a request that it does not belong to."""

    answered: int
    events: int
    lost: int
    wrong: int
    twice: int
    told: int
    posts: int
    bytes: int

    def plus(self, other: Count) -> Count:
        return Count(*(one + two for one, two in zip(self, other, strict=True)))


def whole(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Its events, put together from their parts (docs/protocol.md)."""
    shared = payload.get("shared", [])
    for event in payload["events"]:
        if type(event) is list:
            named = zip(payload["columns"][event[0]], event[3:], strict=False)
            event = {"of": event[1], "data": {name: value for name, value in named if value is not None}}
        made: dict[str, Any] = {}
        data: dict[str, Any] = {}
        for part in (*(shared[place] for place in event.get("of", ())), event):
            made |= part
            data |= part.get("data", {})
        made["data"] = data
        if "owner" in made:
            made = {"requestId": made["owner"], "parentId": made["owner"], **made}
            if made["type"] == "request":
                data.setdefault("id", made["owner"])
        yield made


def number_in(text: str) -> int:
    """The number that a text tells, -1 for none."""
    found = TAG.search(text)
    return int(found[1] or found[2]) if found else -1


def count(bodies: bytes, answered: set[int], queries: int) -> Count:
    payloads = [json.loads(line) for line in bodies.splitlines()]
    requests: dict[str, int] = {}
    owned: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    hashes: dict[tuple[int, str], set[str]] = collections.defaultdict(set)
    said: dict[str, list[int]] = collections.defaultdict(list)
    events = told = 0
    for payload in payloads:
        told += sum(payload.get("dropped", {}).values())
        for event in whole(payload):
            data, kind = event["data"], event["type"]
            if kind == "request":
                if number_in(data["url"]) < 0:
                    continue
                events += 1
                requests[data["id"]] = number_in(data["url"])
                owned[data["id"]]["request"] += 1
                continue
            owner = event.get("ownerId") or event.get("parentId") or event.get("requestId") or ""
            if kind == "db.query" and data["operation"] == "SELECT":
                hashes[payload["resource"]["pid"], data["paramsHash"]].add(owner)
            elif kind in ("log", "fetch") and number_in(data.get("message", data.get("url"))) >= 0:
                said[owner].append(number_in(data.get("message", data.get("url"))))
            elif kind != "db.query":
                continue
            events += 1
            owned[owner][kind] += kind != "db.query" or data["operation"] == "SELECT"
    expected = {"request": 1, "db.query": queries, "log": 1, "fetch": 1 if queries else 0}
    lost = twice = 0
    owners = {number: id for id, number in requests.items()}
    for number in answered:
        had = owned[owners.get(number, "")]
        lost += sum(max(0, wanted - had.get(kind, 0)) for kind, wanted in expected.items())
    for id in requests:
        twice += sum(max(0, owned[id][kind] - wanted) for kind, wanted in expected.items())
    wrong = sum(len(who) - 1 for who in hashes.values())
    wrong += sum(number != requests[owner] for owner, numbers in said.items() if owner in requests for number in numbers)
    # What a request that the app had no time to end has left behind has no request to be under, and is not answered either.
    wrong += max(0, len(requests) - len(owners))
    return Count(len(answered), events, lost, wrong, twice, told, len(payloads), len(bodies) - max(0, len(payloads) - 1))


def numbers(result: Result) -> set[int]:
    return {number_in(request[:60].decode()) for request in result.answered}


def tags(queries: int) -> Iterator[bytes]:
    number = 0
    while True:
        yield get(f"/tag/{number}?queries={queries}")
        number += 1


def settled(server: Process) -> bytes:
    """What a sink has, when no more comes."""
    before = -1
    while (posts := server.stats()["posts"]) != before:
        before = posts
        time.sleep(0.5)
    return server.ask("/bodies")


@contextlib.contextmanager
def app(framework: str) -> Iterator[tuple[Process, Process]]:
    """The app, and the sink that it sends to."""
    with contextlib.ExitStack() as stack:
        server, outgoing = stack.enter_context(sink("keep")), stack.enter_context(stub())
        extra = {**on(server.port), "BENCH_STUB": str(outgoing.port)}
        yield stack.enter_context(serving(["-m", "bench.apps", framework], extra)), server


def full_speed(framework: str, queries: int) -> Count:
    with app(framework) as (running, server):
        requests = tags(queries)
        # The first requests have much to import and to connect to.
        result = drive(running.port, requests, 1)
        result.add(drive(running.port, requests, SECONDS))
        running.quiet()
        return count(settled(server), numbers(result), queries)


def terminated() -> Count:
    """The app is told to end in the midst of it."""
    with app("fastapi") as (running, server):
        timer = threading.Timer(SECONDS + 1, os.kill, (running.pid, signal.SIGTERM))
        timer.start()
        result = drive(running.port, tags(TAGGED), SECONDS * 2 + 1)
        timer.join()
        return count(settled(server), numbers(result), TAGGED)


def reloaded() -> Count:
    """`uvicorn --reload` starts the app anew, twice."""
    with contextlib.ExitStack() as stack:
        server, outgoing = stack.enter_context(sink("keep")), stack.enter_context(stub())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        file = folder / "reloaded.py"
        file.write_text(RELOADED)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        extra = {**on(server.port), "BENCH_STUB": str(outgoing.port), "BENCH_FOLDER": str(folder)}
        arguments = ["-m", "uvicorn", "--reload", "--reload-dir", str(folder), "--app-dir", str(folder), "--port", str(port)]
        process = subprocess.Popen(
            [*pinned(APP_CORE), *arguments, "--log-level", "error", "--no-access-log", "reloaded:app"],
            env=environment(extra),
            stdin=subprocess.PIPE,
            text=True,
        )
        try:
            assert drive(port, iter([get("/hello")]), 20, 1, again=True).answered, "the app did not start"
            timers = [threading.Timer(after, file.touch) for after in (1.5, 4.5)]
            for timer in timers:
                timer.start()
            result = drive(port, tags(TAGGED), 8, again=True)
            for timer in timers:
                timer.join()
            time.sleep(0.5)
        finally:
            process.send_signal(signal.SIGINT)
            end(process)
        return count(settled(server), numbers(result), TAGGED)


SCENARIOS: dict[str, Callable[[], Count]] = {
    "fastapi, 12 events a request": lambda: full_speed("fastapi", TAGGED),
    "fastapi, 2 events a request": lambda: full_speed("fastapi", 0),
    "flask, 12 events a request": lambda: full_speed("flask", TAGGED),
    "flask, 2 events a request": lambda: full_speed("flask", 0),
    "fastapi, SIGTERM under load": terminated,
    "fastapi, uvicorn --reload, twice": reloaded,
}


def run() -> None:
    counted: dict[str, Count] = {}
    for _ in rounds(70, max(1, ROUNDS // 3)):
        for name, scenario in SCENARIOS.items():
            found = scenario()
            counted[name] = found.plus(counted[name]) if name in counted else found
    sheet = Sheet(
        "events at full speed: requests that were answered, and what of theirs did not arrive, once and in its place",
        "requests", "events", "told as dropped", "twice", "wrong request", "lost",
    )  # fmt: skip
    for name, of in counted.items():
        sheet.row(name, [of.answered], [of.events], [of.told], [of.twice], [of.wrong], [of.lost], must=most(0))
    sheet.show()
    wire = Sheet("on the wire, at full speed", "events per request", "brakit")
    for name in ("fastapi, 12 events a request", "flask, 12 events a request"):
        of = counted[name]
        wire.row(f"{name}: bytes per event", [of.events / of.answered], [of.bytes / of.events], must=most(150))
        wire.row(f"{name}: posts per request", [of.events / of.answered], [of.posts / of.answered], must=most(0.05))
    wire.show()
    if any(of.wrong or of.twice for of in counted.values()):
        console.print("[bold]events under a wrong request, or twice[/bold]")
