"""Any order of sending, asking, filtering, clearing, reporting, expiring, restarting and killing agrees with a list in memory.

`BRAKIT_LONG=1` takes 100 000 steps.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from brakit_server.app import create_app
from brakit_server.config import Config
from brakit_server.running import prepare
from brakit_server.stores.sqlite import tail
from tests.durability.serving import payload

LONG = os.environ.get("BRAKIT_LONG") == "1"
STEPS = 100
EXAMPLES = 1_000 if LONG else 8
LEVELS = ("debug", "info", "warn", "error")
SERVICES = ("shop", "mail")
WORDS = ("timeout", "Straße", "out of stock", "100%", "_", "it's")
STATUSES = (200, 204, 404, 500)
KINDS = {"log": "logs", "request": "requests", "db.query": "queries", "error": "errors"}


class Model(RuleBasedStateMachine):
    """The real app on a real file, asked over its API in this process, next to `self.events`: all that must be stored, in order."""

    steps: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="machine"))
        self.generation = 0
        self.events: list[dict[str, Any]] = []
        self.sent: dict[str, bytes] = {}
        self.number = 0
        self.reported: dict[str, str] = {}
        self.left: list[Any] = []
        self.open()

    # What is done

    @rule(
        kinds=some.lists(some.sampled_from(sorted(KINDS)), min_size=1, max_size=30),
        word=some.sampled_from(WORDS),
        service=some.sampled_from(SERVICES),
        owner=some.integers(0, 9),
        choice=some.integers(0, 3),
    )
    def send(self, kinds: list[str], word: str, service: str, owner: int, choice: int) -> None:
        made = [self.event(kind, word, f"r{owner}", choice) for kind in kinds]
        name = f"b{self.number}"
        self.sent[name] = payload([one["sent"] for one in made], name, service)
        self.post(self.sent[name])
        self.events += [{**one, "service": service} for one in made]

    @precondition(lambda self: self.sent)
    @rule(data=some.data(), times=some.integers(1, 3))
    def send_again(self, data: Any, times: int) -> None:
        body = self.sent[data.draw(some.sampled_from(sorted(self.sent)))]
        for _ in range(times):
            self.post(body)

    @rule()
    def clear(self) -> None:
        assert self.call("POST", "clear", b"{}") == {"cleared": True}
        self.forget()
        self.reported.clear()
        assert self.call("GET", "insights")["issues"] == []

    @rule()
    def expire(self) -> None:
        """Eight days later, everything is too old; nothing is, right away."""
        store = self.app.state.pipeline.store
        assert self.run(store.expire()) == 0
        store._keeper._clock = lambda: time.time() + 8 * 86_400
        assert self.run(store.expire()) == len(self.events)
        store._keeper._clock = time.time
        self.forget()

    @rule(status=some.sampled_from(["fixed", "wont_fix"]))
    def report(self, status: str) -> None:
        issues = self.call("GET", "insights")["issues"]
        if not issues:
            return
        id = issues[0]["issueId"]
        said = json.dumps({"findingId": id, "status": status, "notes": f"because of {self.number}"}).encode()
        assert self.call("POST", "findings/report", said) == {"ok": True}
        self.reported[id] = f"because of {self.number}"

    @rule()
    def settle(self) -> None:
        self.run(self.app.state.pipeline.store.settle())

    @rule()
    def restart(self) -> None:
        self.close(self.app, self.context, self.client)
        self.open()

    @rule()
    def kill(self) -> None:
        """What lies on the disk at this moment is all that there is: another server goes on with a copy of it."""
        old = self.data
        self.left.append((self.app, self.context, self.client))
        self.generation += 1
        shutil.copytree(old, self.data)
        self.open()

    # What must hold

    @rule(kind=some.sampled_from(sorted(KINDS)), size=some.integers(1, 50))
    def lists(self, kind: str, size: int) -> None:
        """Every page of a list, of every service and of one."""
        for service in (None, *SERVICES):
            expected = [
                self.id(one) for one in reversed(self.events) if one["kind"] == kind and service in (None, one["service"])
            ]
            assert self.all(KINDS[kind], f"limit={size}" + (f"&service={service}" if service else "")) == expected

    @rule(level=some.sampled_from(LEVELS), word=some.sampled_from(WORDS))
    def logs(self, level: str, word: str) -> None:
        logs = [one for one in reversed(self.events) if one["kind"] == "log"]
        with_level = [self.id(one) for one in logs if one["level"] == level]
        with_both = [self.id(one) for one in logs if one["level"] == level and one["word"] == word]
        without = [self.id(one) for one in logs if one["level"] != level]
        assert self.all("logs", f"level={level}") == with_level
        assert self.all("logs", "", filter=f'level={level} "{word}"') == with_both
        assert self.all("logs", "", filter=f"-level={level}") == without
        assert self.all("logs", "", search=word.upper() if word.isascii() else word) == [
            self.id(one) for one in logs if one["word"] == word
        ]

    @rule(status=some.sampled_from(STATUSES), owner=some.integers(0, 9))
    def requests(self, status: int, owner: int) -> None:
        requests = [one for one in reversed(self.events) if one["kind"] == "request"]
        assert self.all("requests", f"status={status}") == [self.id(one) for one in requests if one["status"] == status]
        assert self.all("requests", f"status={status // 100}xx") == [
            self.id(one) for one in requests if one["status"] // 100 == status // 100
        ]
        owned = [self.id(one) for one in reversed(self.events) if one["kind"] == "db.query" and one["owner"] == f"r{owner}"]
        assert self.all("queries", f"requestId=r{owner}") == owned

    @rule()
    def groups(self) -> None:
        found = {(one["shapeHash"], one["count"]) for one in self.call("GET", "shapes")["shapes"]}
        counts = Counter((one["shape"], one["service"]) for one in self.events if one["kind"] == "db.query")
        assert Counter(count for _, count in found) <= Counter(counts.values()) or sum(counts.values()) == sum(
            c for _, c in found
        )

    @invariant()
    def all_is_counted(self) -> None:
        if not hasattr(self, "app"):
            return
        Model.steps += 1
        assert self.call("GET", "status")["events"] == dict(Counter(one["kind"] for one in self.events))

    @invariant()
    def what_was_reported_stays(self) -> None:
        if hasattr(self, "app") and self.reported:
            states = {one["issueId"]: one for one in self.call("GET", "insights")["issues"]}
            assert set(self.reported) <= set(states)

    def teardown(self) -> None:
        if not hasattr(self, "app"):
            return
        for one in [*self.left, (self.app, self.context, self.client)]:
            self.close(*one)
        self.loop.close()
        shutil.rmtree(self.folder)

    # How

    @property
    def data(self) -> Path:
        return self.folder / str(self.generation)

    def open(self) -> None:
        config = Config.load({}, self.folder, dir=str(self.data))
        prepare(config.dir)
        self.app = create_app(config)
        self.context = self.app.router.lifespan_context(self.app)
        self.run(self.context.__aenter__())
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost/__brakit/api/")

    def close(self, app: Any, context: Any, client: httpx.AsyncClient) -> None:
        self.run(client.aclose())
        self.run(context.__aexit__(None, None, None))

    def run(self, doing: Any) -> Any:
        return self.loop.run_until_complete(doing)

    def call(self, method: str, path: str, body: bytes | None = None, query: dict[str, str] | None = None) -> Any:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        answer = self.run(self.client.request(method, path, content=body, headers=headers, params=query))
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.json()

    def post(self, body: bytes) -> None:
        answer = self.run(self.client.post("ingest", content=body, headers={"Content-Type": "application/json"}))
        assert answer.status_code == 204, answer.text

    def all(self, path: str, query: str, **more: str) -> list[str]:
        """Ids of all pages."""
        asked = dict(part.split("=", 1) for part in query.split("&") if part) | more
        found: list[str] = []
        while True:
            page = self.call("GET", path, query=asked)
            assert page.get("complete", True)
            found += [self.id(one) for one in page.get("entries", page.get("requests"))]
            if not page.get("next"):
                assert page["total"] == len(found)
                return found
            asked["before"] = page["next"]

    def id(self, one: dict[str, Any]) -> str:
        found: str = one["id"]
        return found

    def forget(self) -> None:
        """Batches too: they are remembered for a day, and no longer than what was in them."""
        self.events.clear()
        self.sent.clear()

    def event(self, kind: str, word: str, owner: str, choice: int) -> dict[str, Any]:
        self.number += 1
        id = f"e{self.number}"
        known: dict[str, Any] = {"kind": kind, "id": id, "word": word, "owner": owner}
        match kind:
            case "log":
                known["level"] = LEVELS[choice]
                data: dict[str, Any] = {"level": LEVELS[choice], "message": f"{self.number} {word} (1)"}
            case "request":
                known |= {"status": STATUSES[choice]}
                data = {"id": id, "method": "GET", "url": "/", "route": "/", "statusCode": STATUSES[choice], "durationMs": 2}
            case "error":
                data = {"name": "ValueError", "message": word}
            case _:
                known["shape"] = f"{choice:016x}"
                data = {
                    "operation": "SELECT",
                    "table": "users",
                    "duration": 1,
                    "sql": f"SELECT {choice}",
                    "shapeHash": known["shape"],
                }
        around = {} if kind == "request" else {"requestId": owner}
        known["sent"] = {"type": kind, "id": id, "timestamp": time.time() * 1000, **around, "data": data}
        return known


@pytest.mark.timeout(4 * 3_600 if LONG else 300)
def test_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "FULL", 60)
    machine = Model.TestCase
    machine.settings = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=not LONG,
        # A shorter example would take as long to find as many new ones.
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    machine("runTest").runTest()
    assert Model.steps > EXAMPLES * STEPS / 10
