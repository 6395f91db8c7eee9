"""What the tests of the SDK share: a client in the slot, its events as they would go out, a server to send to, fresh interpreters."""

from __future__ import annotations

import contextlib
import hmac
import http.server
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import hypothesis
import jsonschema
import pytest

import brakit.client
from brakit.activation import Decision
from brakit.client import Client
from brakit.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Json = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent.parent


def _closed(schema: Any) -> Any:
    """The schema, with what it does not name forbidden: our own events have no field that it does not know."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **closed} if schema.get("type") == "object" and "properties" in schema else closed


VALIDATOR = jsonschema.Draft202012Validator(_closed(json.loads((ROOT / "schema/brakit.schema.json").read_text())))
CHECKED_IN_FULL = 2000
"""Events of one sink that are all held against the schema; of those beyond, one in a hundred is (a validation costs a millisecond)."""
PATH = "/__brakit/api/ingest"

hypothesis.settings.register_profile(
    "brakit",
    derandomize=True,
    deadline=None,
    max_examples=1000 if os.environ.get("BRAKIT_LONG") else 60,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
    database=None,
)
hypothesis.settings.load_profile("brakit")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "failures: the test makes lines of ours fail on purpose; the client may have counted some")


class Ran(NamedTuple):
    """How a fresh interpreter ended."""

    rc: int
    stdout: str
    stderr: str
    seconds: float


class Py:
    """Runs code in a fresh interpreter, in a folder of its own, with an environment in which brakit is on.

    `py(code, *args, timeout=…, cwd=…, **env)` waits for the end; `py.start(…)` returns the process, which is killed with the test.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, code: str, *args: str, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
        folder = cwd or self.folder
        script = folder / f"app{len(self.processes)}.py"
        script.write_text(code)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        process = subprocess.Popen(
            [sys.executable, str(script), *args],
            cwd=folder,
            env={**kept, "PYTHONFAULTHANDLER": "1", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def __call__(self, code: str, *args: str, cwd: Path | None = None, timeout: float = 30, **env: str) -> Ran:
        start = time.perf_counter()
        process = self.start(code, *args, cwd=cwd, **env)
        stdout, stderr = process.communicate(timeout=timeout)
        return Ran(process.returncode, stdout, stderr, time.perf_counter() - start)

    def close(self) -> None:
        for process in self.processes:
            # Its own session: what it has started goes with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


class Sink:
    """A real HTTP server that takes batches. `mode` may be changed at any time.

    | mode | what a POST gets |
    | --- | --- |
    | ok | 204 |
    | hang | nothing, until `gate` is set; then 204 |
    | slow | 204 after 0.2 s |
    | reset | a reset connection, the body unread |
    | cut | the batch is taken, then the connection ends without an answer |
    | 400 | the first event of the batch is refused, the others are taken |
    | 500, 503 | that status, nothing is taken |
    | redirect | 307 to `elsewhere` |
    | flood | 200 and a body without end |
    | notours | 404, also for the question who it is; `raw` has what it was sent all the same |

    With `shares`, its answers say that it reads events in parts.
    """

    def __init__(self, mode: str = "ok", nonce: str = "n" * 32) -> None:
        self.mode = mode
        self.nonce = nonce
        self.elsewhere = ""
        self.gate = threading.Event()
        self.changed = threading.Condition()
        self.events: list[Json] = []
        self.payloads: list[Json] = []
        self.problems: list[str] = []
        self.batches: set[str] = set()
        self.refused: set[str] = set()
        self.posts = 0
        self.resent = 0
        self.shares = False
        self.gets: list[str] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.sockets: set[socket.socket] = set()
        self.port = 0
        self._server: Any = None
        self.open()

    def open(self) -> None:
        """Listen; on the port of the last time, if there was one."""
        sink = self

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                error = sys.exc_info()[1]
                if not isinstance(error, (OSError, ValueError)):
                    sink.problems.append(repr(error))

            def process_request(self, request: Any, client_address: Any) -> None:
                sink.connections += 1
                sink.sockets.add(request)
                super().process_request(request, client_address)

        self._server = Server(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and end every connection."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in list(self.sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.gate = threading.Event()

    def announce(self, folder: Path, *, port_file: bool = True) -> None:
        """Write what a server of ours writes into its data folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "server.json").write_text(json.dumps({"port": self.port, "nonce": self.nonce, "pid": os.getpid()}))
        if port_file:
            (folder / "port").write_text(str(self.port))

    def wait(self, condition: Callable[[], bool], timeout: float = 10) -> bool:
        """Whether `condition` comes true, asked again after each request that comes in."""
        with self.changed:
            return self.changed.wait_for(condition, timeout)

    def messages(self) -> list[str]:
        """Texts of the logs and errors that were taken."""
        return [event["data"]["message"] for event in self.events if "message" in event["data"]]

    def of(self, kind: str) -> list[Json]:
        """The events of one kind that were taken."""
        return [event for event in self.events if event["type"] == kind]

    def dropped(self) -> dict[str, int]:
        """What the sender said it had dropped, summed up over the batches that were taken."""
        total: dict[str, int] = {}
        for payload in self.payloads:
            for reason, number in payload.get("dropped", {}).items():
                total[reason] = total.get(reason, 0) + number
        return total

    def take(self, raw: bytes, skip: int = 0) -> bool:
        """Keep a batch, but for its first events; whether some of it are refused. One that was here before is not kept again."""
        payload = parse(raw)
        self.check(payload)
        if payload["batchId"] in self.batches:
            self.resent += 1
            return payload["batchId"] in self.refused
        self.batches.add(payload["batchId"])
        self.events += whole(payload)[skip:]
        self.payloads.append(payload)
        if skip:
            self.refused.add(payload["batchId"])
        return bool(skip)

    def check(self, payload: Json) -> None:
        if len(self.events) > CHECKED_IN_FULL:
            payload = {**payload, "events": payload["events"][::100]}
        self.problems += [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(payload)]


def _handler(sink: Sink) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            sink.gets.append(self.path)
            path, _, query = self.path.partition("?challenge=")
            if sink.mode == "notours":
                self.answer(404, b"not here")
            elif path == "/__brakit/api/hello":
                self.answer(200, json.dumps({"proof": hmac.digest(sink.nonce.encode(), query.encode(), "sha256").hex()}).encode())
            elif path.startswith("/__brakit/api/requests"):
                self.answer(200, b'{"requests": [], "total": 0}')
            else:
                self.answer(404, b"")

        def do_POST(self) -> None:
            mode = sink.mode
            sink.posts += 1
            sink.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.tell()
            try:
                getattr(self, f"on_{mode}", self.on_status)()
            finally:
                self.tell()

        def tell(self) -> None:
            with sink.changed:
                sink.changed.notify_all()

        def body(self) -> bytes:
            raw = self.rfile.read(int(self.headers["content-length"]))
            sink.raw.append(raw)
            return raw

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if sink.shares:
                self.send_header("Brakit-Accepts", "shared, rows")
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def taken(self, raw: bytes, skip: int = 0) -> None:
            """A batch that comes again gets the answer that it got."""
            if sink.take(raw, skip):
                refused = [{"index": 0, "path": "$.events[0].data", "reason": "refused by the test"}]
                self.answer(400, json.dumps({"error": "one event was refused", "accepted": 0, "rejected": refused}).encode())
            else:
                self.answer(204)

        def on_ok(self) -> None:
            self.taken(self.body())

        def on_hang(self) -> None:
            raw = self.body()
            sink.gate.wait(60)
            self.taken(raw)

        def on_slow(self) -> None:
            raw = self.body()
            sink.gate.wait(0.2)
            self.taken(raw)

        def on_reset(self) -> None:
            # Lingering for zero seconds makes closing a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def on_cut(self) -> None:
            sink.take(self.body())
            self.close_connection = True

        def on_400(self) -> None:
            self.taken(self.body(), skip=1)

        def on_status(self) -> None:
            self.body()
            self.answer(int(sink.mode))

        def on_redirect(self) -> None:
            self.body()
            self.answer(307, Location=sink.elsewhere + PATH)

        def on_notours(self) -> None:
            self.body()
            self.answer(404, b"not here")

        def on_flood(self) -> None:
            self.body()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
            with contextlib.suppress(OSError):
                while not sink.gate.is_set():
                    self.wfile.write(b"x" * 65536)
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler


def whole(payload: Json) -> list[Json]:
    """The events of a payload, those in rows and in parts put together as docs/protocol.md says."""
    return [_whole(event, payload) if type(event) is list or "of" in event else event for event in payload["events"]]


def _whole(event: Any, payload: Json) -> Json:
    if type(event) is list:
        columns, of, time, *values = event
        named = zip(payload["columns"][columns], values, strict=False)
        data = {name: value for name, value in named if value is not None}
        event = {"of": of, "timestamp": payload["base"] + time / 1000, "data": data}
    layers = [*(payload["shared"][number] for number in event["of"]), {key: event[key] for key in event if key != "of"}]
    around = {key: value for layer in layers for key, value in layer.items()}
    owner = around.pop("owner", None)
    if owner is not None:
        around = {"requestId": owner, "traceId": owner, "parentId": owner, **around}
    made: Json = {}
    for layer in layers:
        made.update(layer.get("data", {}))
    if around["type"] == "request":
        made = {"id": owner, "path": made["url"].partition("?")[0], **made}
        around["id"] = made["id"]
        if around["parentId"] == made["id"]:
            del around["parentId"]
    return {**around, "data": made}


def parse(raw: bytes) -> Json:
    """A payload, as strictly as JSON may be read: UTF-8, no NaN, no lone surrogates."""

    def refuse(text: str) -> object:
        raise AssertionError(f"{text} is not JSON")

    payload: Json = json.loads(raw.decode("utf-8"), parse_constant=refuse)
    json.dumps(payload, ensure_ascii=False).encode("utf-8")
    return payload


def qualified(name: str) -> str:
    """The name of a function as a call site has it: code knows its qualified one from Python 3.11 on."""
    return name if sys.version_info >= (3, 11) else name.rpartition(".")[2]


@pytest.fixture
def py(tmp_path: Path) -> Iterator[Py]:
    """Runs code in fresh interpreters."""
    runner = Py(tmp_path)
    yield runner
    runner.close()


@pytest.fixture
def make_sink() -> Iterator[Callable[..., Sink]]:
    """Makes servers: `make_sink(mode)`."""
    sinks: list[Sink] = []

    def make(mode: str = "ok", **kwargs: Any) -> Sink:
        sinks.append(Sink(mode, **kwargs))
        return sinks[-1]

    yield make
    for sink in sinks:
        sink.close()
    assert [problem for sink in sinks for problem in sink.problems] == []


@pytest.fixture
def sink(make_sink: Callable[..., Sink]) -> Sink:
    """A server that takes everything; its `mode` may be changed."""
    return make_sink()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The settings of `client`; a test may override this fixture, or change the dict before it asks for `client`."""
    return {"BRAKIT_ENABLE": "1", "BRAKIT_DIR": str(tmp_path / "nowhere")}


@pytest.fixture
def client(environ: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Client]:
    """A started client in the slot. What it records stays in its buffer: `events` takes it from there, nothing is sent."""
    made = Client(Config(environ), Decision(True, "on: for a test"))
    made.buffer.wake = lambda: None
    made.look = lambda: None  # type: ignore[method-assign]
    before, brakit.client._client = brakit.client._client, made
    made.start()
    yield made
    made.shutdown(0.0)
    brakit.client._client = before
    if request.node.get_closest_marker("failures") is None:
        assert made.failures.counts == {}, made.failures.first


@pytest.fixture
def events(client: Client) -> Callable[..., list[Json]]:
    """`events()` or `events("db.query")`: what was recorded since the last call, as it would go out, held against the schema."""
    from brakit.wire import Wire

    wire = Wire(client)
    wire.root = str(ROOT)

    def drain(kind: str | None = None) -> list[Json]:
        records = client.buffer.take(client.buffer.limit + 1)
        encoded, failed = wire.encode(records)
        assert failed == 0, client.failures.first
        payload = parse(b'{"_brakit": true, "version": 1, "events": [' + b",".join(encoded) + b"]}")
        assert [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(payload)] == []
        drained: list[Json] = payload["events"]
        return [event for event in drained if kind is None or event["type"] == kind]

    return drain


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """`make_client(**settings)`: a client that sends, without patches; `.brakit` of the test's folder is its data folder."""
    made: list[Client] = []

    def make(**settings: str) -> Client:
        client = Client(Config({"BRAKIT_DIR": str(tmp_path / ".brakit"), **settings}), Decision(True, "on"))
        client.folder = str(tmp_path)
        client.open = True
        made.append(client)
        return client

    yield make
    for client in made:
        client.shutdown(0.0)
        assert client.failures.counts == {}, client.failures.first
    for thread in threading.enumerate():
        if thread.name == "brakit-sender":
            thread.join(10)
            assert not thread.is_alive()
