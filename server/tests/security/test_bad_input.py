"""Whatever arrives: no 5xx, no hang, no half of a batch in silence. Prints how many were tried (`pytest -s`)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from starlette.applications import Starlette

from brakit.events import KINDS
from brakit_server.app import create_app
from brakit_server.config import Config
from brakit_server.running import prepare
from brakit_server.security import INGEST

LONG = os.environ.get("BRAKIT_LONG") == "1"
EXAMPLES = 20_000 if LONG else 60
EACH = 300 if LONG else 3
pytestmark = pytest.mark.timeout(7_200 if LONG else 120)
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

# Texts that stand for others: surrogates are what a careless encoder writes.
texts = st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(
    ["", "\0", "\ud83e", "\x1b]52;c;aGk=\x07", "a" * 5_000, "/../..", "1e999", "__proto__", "🤡" * 50]
)
numbers = (
    st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from([0, -1, 2**31, 2**53 + 1, 2**63, 2**64, 10**400, 1e308, 5e-324, float("nan"), float("inf")])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=8,
)
FIELDS = sorted({field.name for kind in KINDS for field in kind} | {"requestId", "callsite", "frames"})
CAMEL = [name.split("_")[0] + "".join(part.title() for part in name.split("_")[1:]) for name in FIELDS]


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Now and then it is anything."""
    return st.integers(0, 11).flatmap(lambda choice: usual if choice else values)


RIGHT: dict[str, dict[str, Any]] = {
    "request": {"id": "r1", "method": "GET", "url": "/x?y=1", "statusCode": 200, "durationMs": 1.5},
    "db.query": {"sql": "SELECT 1", "operation": "SELECT", "table": "t", "duration": 1},
    "fetch": {"url": "http://a/b", "method": "POST", "statusCode": 200, "duration": 2},
    "log": {"level": "info", "message": "m"},
    "error": {"name": "ValueError", "message": "bad"},
    "job": {"id": "j1", "name": "mail", "duration": 3, "status": "ok"},
    "span": {"name": "work", "duration": 1},
}
data_of = st.sampled_from(list(RIGHT)).flatmap(
    lambda kind: st.fixed_dictionaries(
        {
            "type": mostly(st.just(kind)),
            "timestamp": mostly(st.just(1_790_000_000_000.0)),
            "data": mostly(st.dictionaries(st.sampled_from(CAMEL), values, max_size=4).map(lambda more: {**RIGHT[kind], **more})),
        },
        optional={
            "requestId": mostly(texts),
            "parentId": mostly(texts),
            "of": mostly(st.lists(st.integers(-1, 3), max_size=3)),
        },
    )
)
events = mostly(data_of)
rows = mostly(st.tuples(st.integers(-1, 2), st.lists(st.integers(-1, 2), max_size=3), numbers, values).map(list))
payloads = st.fixed_dictionaries(
    {
        "_brakit": mostly(st.just(True)),
        "version": mostly(st.just(1)),
        "events": mostly(st.lists(events | events | rows, max_size=6)),
    },
    optional={
        "sdk": mostly(texts),
        "resource": mostly(st.dictionaries(st.sampled_from(["service", "pid", "host", "started", "root", "framework"]), values)),
        "dropped": mostly(st.dictionaries(texts, numbers, max_size=3)),
        "batchId": mostly(texts),
        "shared": mostly(st.lists(st.dictionaries(st.sampled_from([*CAMEL, "type", "data"]), values, max_size=4), max_size=4)),
        "columns": mostly(st.lists(st.lists(st.sampled_from(CAMEL), max_size=3), max_size=3)),
        "base": mostly(numbers),
    },
)


class App:
    """The app in this process, on one event loop."""

    def __init__(self, folder: Path) -> None:
        config = Config(root=folder, dir=folder / ".brakit")
        prepare(config.dir)
        self.app: Starlette = create_app(config)
        self.loop = asyncio.new_event_loop()
        self.lifespan = self.app.router.lifespan_context(self.app)
        self.loop.run_until_complete(self.lifespan.__aenter__())
        self.meters = self.app.state.pipeline.meters
        self.tried: Counter[int] = Counter()

    def close(self) -> None:
        self.loop.run_until_complete(self.lifespan.__aexit__(None, None, None))
        self.loop.close()

    def post(self, body: bytes, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a POST to ingest; whatever is wrong must have been said, and nothing of it is stored in silence."""
        before = self.meters.received
        status, answer = self.loop.run_until_complete(asyncio.wait_for(self._call(body, headers), 20))
        self.tried[status] += 1
        assert status in (204, 400, 413, 415), (status, answer)
        stored = self.meters.received - before
        if status == 204:
            assert answer is None
        else:
            assert isinstance(answer["error"], str)
            # A batch that came before is accepted once more and not stored again.
            assert stored == answer.get("accepted", 0) or (stored == 0 and b'"batchId"' in body)
        return status, answer

    async def _call(self, body: bytes, more: dict[str, str]) -> tuple[int, Any]:
        found: list[Any] = []
        unread = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return unread.pop() if unread else await asyncio.sleep(60, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            found.append(message)

        headers = {"host": "localhost", "content-type": "application/json", "content-length": str(len(body)), **more}
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/__brakit/api/ingest",
            "raw_path": b"/__brakit/api/ingest",
            "root_path": "",
            "query_string": b"",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "http_version": "1.1",
            "scheme": "http",
            "state": {},
        }
        await self.app(scope, receive, send)
        said = b"".join(message.get("body", b"") for message in found[1:])
        return found[0]["status"], json.loads(said) if said else None


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    made = App(tmp_path_factory.mktemp("app"))
    yield made
    print(f"\ntried: {made.tried.total()} bodies, answered {dict(made.tried)}")
    made.close()
    assert made.tried.total() >= 3 * EXAMPLES
    assert made.tried[204] > 3
    assert made.tried[400] > EXAMPLES


@BOUNDED
@given(
    body=st.binary(max_size=300)
    | st.binary(max_size=100).map(lambda junk: b'{"_brakit":true,"version":1,"events":[' + junk + b"]}")
)
def test_bytes(app: App, body: bytes) -> None:
    app.post(body)
    app.post(gzip.compress(body), content_encoding="gzip")
    app.post(body, content_encoding="gzip")


@BOUNDED
@given(payload=payloads)
def test_payloads(app: App, payload: Any) -> None:
    events = payload["events"]
    status, answer = app.post(json.dumps(payload).encode("utf-8", "surrogatepass"))
    if status == 204 and payload.get("batchId") is None:
        assert isinstance(events, list)
    elif status == 400 and answer.get("accepted"):
        # Each that was not taken is named, or counted; the batch is neither lost nor cut in two.
        assert answer["rejected"]
        assert answer["accepted"] + len(answer["rejected"]) <= len(events)
        assert [each["index"] for each in answer["rejected"]] == sorted({each["index"] for each in answer["rejected"]})


@BOUNDED
@given(payload=payloads, cut=st.integers(1, 200), at=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_payloads_that_were_damaged(app: App, payload: Any, cut: int, at: int, flip: int) -> None:
    body = bytearray(json.dumps(payload).encode("utf-8", "surrogatepass"))
    app.post(bytes(body[:-cut]))
    body[at % len(body)] ^= flip
    app.post(bytes(body))


def test_a_process_is_asked_all_that_its_description_names(server: Any, event: Any) -> None:
    """Schemathesis makes calls that fit the description, and in the long run calls that do not; the answers must fit it."""
    server.send(event("request", id="a" * 32), event("db.query", sql="SELECT 1"), event("log"), event("error"), event("fetch"))
    described = schemathesis.openapi.from_dict(server.get("openapi.json"))
    described.config.update(base_url=f"http://127.0.0.1:{server.port}")
    tried: Counter[int] = Counter()
    operations = [operation for found in described.get_all_operations() if (operation := cast(Any, found).ok()) is not None]
    assert len(operations) > 30
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    for operation in operations:
        if operation.path in ("/__brakit/api/events", "/__brakit/api/clear", INGEST):
            # An answer without end; what it would be asked about; and what is tried above, whose conditions are beyond Schemathesis.
            continue
        for mode in schemathesis.GenerationMode if LONG else [schemathesis.GenerationMode.POSITIVE]:

            @settings(BOUNDED, max_examples=EACH)
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                response = case.call(timeout=10)
                tried[response.status_code] += 1
                case.validate_response(response, checks=checks)

            with contextlib.suppress(Unsatisfiable):
                # Where anything fits there are no calls that do not.
                ask()
    print(f"\ntried: {tried.total()} calls of {len(operations)} operations, answered {dict(tried)}")
    assert tried[200] > 50
    assert tried.total() > 20 * EACH
    assert server.send(event("log")) == 204
