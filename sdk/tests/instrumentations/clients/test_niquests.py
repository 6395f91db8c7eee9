"""niquests, in an environment of its own: it brings a urllib3 that takes the place of the real one."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import threading
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h2.config
import h2.connection
import h2.events
import pytest

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[4]
FOLDER = ROOT / ".cache" / "niquests"

HEAD = """
import asyncio, contextlib, sys
import brakit
from brakit import context
import niquests
url, other = sys.argv[1:]

@contextlib.contextmanager
def request():
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    yield owner
    from brakit.record import release_all
    release_all(owner, brakit.client.current().buffer)
    context.enter(before)
    print(owner.id, owner.trace_id)

"""
TAIL = """
client = brakit.client.current()
assert brakit.flush(10)
assert client.failures.counts == {}, client.failures.first
assert "niquests" in client.patches.versions, client.patches.versions
"""


class Ran(NamedTuple):
    lines: list[str]
    fetches: list[Json]


@pytest.fixture(scope="session")
def python() -> str:
    """An interpreter that has niquests: this one, or one that is made at the first run."""
    if importlib.util.find_spec("niquests") is not None:
        return sys.executable
    made = FOLDER / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (FOLDER / "whole").exists():
        venv.create(FOLDER, with_pip=True, clear=True)
        asked = [str(made), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), "niquests"]
        installed = subprocess.run(asked, capture_output=True, text=True, timeout=100, check=False)
        if installed.returncode:
            pytest.skip(f"niquests cannot be installed: {installed.stderr.strip().splitlines()[-1]}")
        (FOLDER / "whole").touch()
    return str(made)


@pytest.fixture
def run(python: str, sink: Any, peer: Any, tmp_path: Path) -> Callable[..., Ran]:
    """`run(code)`: what the code prints, and the fetches that it makes the SDK send."""

    def run(code: str, other: str = "") -> Ran:
        script = tmp_path / "app.py"
        script.write_text(HEAD + code + TAIL)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "sdk/src"),
            "BRAKIT_ENABLE": "1",
            "BRAKIT_PORT": str(sink.port),
        }
        ran = subprocess.run(
            [python, str(script), peer.url, other],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return Ran(ran.stdout.splitlines(), sink.of("fetch"))

    return run


def carried(peer: Any, fetch: Json, line: str) -> None:
    """The last request has the ids of this record and of its owner, which the program has printed."""
    owner, trace = line.split()
    id = fetch["data"]["fetchId"]
    assert fetch["parentId"] == owner
    assert peer.ids() == {
        context.REQUEST_ID_HEADER: owner,
        context.FETCH_ID_HEADER: id,
        context.TRACEPARENT_HEADER: f"00-{trace}-{id}-01",
    }


CALLS = {
    "function": "answer = niquests.post(url + '/a?token=hush', data=b'12345')",
    "session": "session = niquests.Session()\n    answer = session.post(url + '/a?token=hush', data=b'12345')",
    "send": (
        "session = niquests.Session()\n"
        "    prepared = session.prepare_request(niquests.Request('POST', url + '/a?token=hush', data=b'12345'))\n"
        "    answer = session.send(prepared)\n"
        "    assert 'traceparent' not in prepared.headers and 'traceparent' not in answer.request.headers"
    ),
    "async": (
        "async def call():\n"
        "        async with niquests.AsyncSession() as session:\n"
        "            return await session.post(url + '/a?token=hush', data=b'12345')\n"
        "    answer = asyncio.run(call())\n"
        "    assert 'traceparent' not in answer.request.headers"
    ),
    "async function": (
        "async def call():\n"
        "        return await niquests.apost(url + '/a?token=hush', data=b'12345')\n"
        "    answer = asyncio.run(call())"
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_is_one_record(run: Callable[..., Ran], peer: Any, call: str) -> None:
    ran = run(f"with request():\n    {call}\n    assert answer.json() == {{'ok': True}}\n")
    [fetch] = ran.fetches
    data = fetch["data"]
    assert (data["method"], data["url"], data["statusCode"]) == ("POST", peer.url + "/a?token=****", 200)
    assert (data["source"], data["requestSize"], data["responseSize"]) == ("niquests", 5, 12)
    assert data["callsite"]["file"].endswith("app.py")
    assert data["duration"] > 0
    carried(peer, fetch, ran.lines[-1])


def test_redirects_lie_inside_and_strangers_get_no_ids(run: Callable[..., Ran], peer: Any) -> None:
    peer.elsewhere = f"http://stranger.test:{peer.port}/there"
    resolver = "in-memory://default?hosts=stranger.test:127.0.0.1&hosts=localhost:127.0.0.1"
    ran = run(
        f"with request(), niquests.Session(resolver={resolver!r}) as session:\n"
        "    answer = session.get(url.replace('127.0.0.1', 'localhost') + '/hop')\n"
        "    assert answer.status_code == 200 and len(answer.history) == 1\n"
    )
    [fetch] = ran.fetches
    assert (fetch["data"]["url"], fetch["data"]["statusCode"]) == (f"http://localhost:{peer.port}/hop", 200)
    assert [path for _, path, _ in peer.seen] == ["/hop", "/there"]
    assert set(peer.ids(0)) == {context.REQUEST_ID_HEADER, context.FETCH_ID_HEADER, context.TRACEPARENT_HEADER}
    assert peer.ids(1) == {}


@pytest.mark.parametrize("call", ["session.get(url + '/busy')", "asyncio.run(call())"], ids=["sync", "async"])
def test_retries_lie_inside(run: Callable[..., Ran], peer: Any, call: str) -> None:
    ran = run(
        "from niquests.packages.urllib3.util import Retry\n"
        "retries = Retry(total=5, status_forcelist=[503], backoff_factor=0.001)\n"
        "session = niquests.Session(retries=retries)\n"
        "async def call():\n"
        "    async with niquests.AsyncSession(retries=retries) as session:\n"
        "        return await session.get(url + '/busy')\n"
        f"with request():\n    assert {call}.status_code == 200\n"
    )
    [fetch] = ran.fetches
    assert fetch["data"]["statusCode"] == 200
    assert [path for _, path, _ in peer.seen] == ["/busy"] * 3
    carried(peer, fetch, ran.lines[-1])


@pytest.mark.parametrize("form", ["niquests.get(address)", "asyncio.run(niquests.aget(address))"], ids=["sync", "async"])
def test_a_failed_call(run: Callable[..., Ran], peer: Any, form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ran = run(
        f"for address in ('http://127.0.0.1:{port}/', url + '/drop'):\n"
        f"    try:\n        {form}\n"
        "    except niquests.exceptions.ConnectionError as error:\n        print(type(error).__name__)\n"
    )
    assert ran.lines == ["ConnectionError"] * 2
    assert [fetch["data"]["statusCode"] for fetch in ran.fetches] == [0, 0]
    assert all(fetch["data"]["error"].startswith("ConnectionError: ") for fetch in ran.fetches)
    assert len(peer.seen) == 1


def test_an_answer_that_is_an_error_of_the_apps(run: Callable[..., Ran], peer: Any) -> None:
    ran = run(
        "def check(answer, **kwargs):\n    answer.raise_for_status()\n"
        "try:\n    niquests.get(url + '/404', hooks={'response': [check]})\n"
        "except niquests.exceptions.HTTPError:\n    print('raised')\n"
    )
    assert ran.lines == ["raised"]
    [fetch] = ran.fetches
    assert fetch["data"]["statusCode"] == 404
    assert fetch["data"]["error"].startswith("HTTPError: 404")


def test_a_call_of_a_hook_is_a_call_of_its_own(run: Callable[..., Ran], peer: Any) -> None:
    ran = run(
        "def token(prepared, **kwargs):\n    niquests.get(url + '/token')\n    return prepared\n"
        "with request():\n    niquests.get(url + '/a', hooks={'pre_request': [token]})\n"
    )
    assert sorted(fetch["data"]["url"] for fetch in ran.fetches) == [peer.url + "/a", peer.url + "/token"]


def test_a_stream_is_recorded_when_its_headers_are_there(run: Callable[..., Ran], peer: Any) -> None:
    ran = run(
        "with niquests.get(url + '/a', stream=True) as answer:\n"
        "    client = brakit.client.current()\n    print(len(client.buffer.records) + client.sender.taken)\n"
        "    print(b''.join(answer.iter_content(4)))\n"
    )
    [fetch] = ran.fetches
    assert ran.lines == ["1", "b'{\"ok\": true}'"]
    assert (fetch["data"]["statusCode"], fetch["data"]["responseSize"]) == (200, 12)


def test_headers_of_the_apps_own_win(run: Callable[..., Ran], peer: Any) -> None:
    ran = run("with request():\n    niquests.get(url + '/a', headers={'Traceparent': 'mine'})\n")
    assert peer.ids()[context.TRACEPARENT_HEADER] == "mine"
    assert peer.ids()[context.FETCH_ID_HEADER] == ran.fetches[0]["data"]["fetchId"]


class Multiplexed:
    """A server that speaks HTTP/2 without TLS: `/hop` redirects to `/there`, `/drop` ends the connection; it remembers the headers."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.threads = [threading.Thread(target=self.accept)]
        self.open: list[socket.socket] = []
        self.threads[0].start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.open.append(connection)
            self.threads.append(threading.Thread(target=self.serve, args=(connection,)))
            self.threads[-1].start()

    def serve(self, connection: socket.socket) -> None:
        protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        protocol.initiate_connection()
        with connection:
            try:
                connection.sendall(protocol.data_to_send())
                while data := connection.recv(65536):
                    for event in protocol.receive_data(data):
                        if isinstance(event, h2.events.RequestReceived) and not self.answer(protocol, event):
                            return
                    connection.sendall(protocol.data_to_send())
            except OSError:
                return

    def answer(self, protocol: h2.connection.H2Connection, event: h2.events.RequestReceived) -> bool:
        headers = {str(name): str(value) for name, value in event.headers or ()}
        self.seen.append(headers)
        path, stream = headers[":path"], event.stream_id or 0
        if path == "/drop":
            return False
        status = [(":status", "307"), ("location", "/there")] if path == "/hop" else [(":status", "200")]
        protocol.send_headers(stream, [*status, ("content-length", "2")])
        protocol.send_data(stream, b"ok", end_stream=True)
        return True

    def close(self) -> None:
        # Closing alone does not wake who accepts.
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self.threads:
            thread.join(10)


@pytest.fixture
def multiplexed() -> Iterator[Multiplexed]:
    server = Multiplexed()
    yield server
    server.close()


ASKED = "session = niquests.Session(multiplexed=True, disable_http1=True)"


@pytest.mark.parametrize("look", ["session.gather()", "session.gather(*answers)", "pass"], ids=["all", "these", "looked at"])
def test_promises_are_recorded_when_they_are_kept(run: Callable[..., Ran], multiplexed: Multiplexed, look: str) -> None:
    ran = run(
        f"{ASKED}\nwith request():\n"
        "    answers = [session.get(f'{other}/{number}') for number in range(3)]\n"
        "    print([answer.lazy for answer in answers])\n"
        f"    {look}\n"
        "    print([answer.status_code for answer in answers], answers[0].text)\n",
        multiplexed.url,
    )
    assert ran.lines[:2] == ["[True, True, True]", "[200, 200, 200] ok"]
    assert sorted(fetch["data"]["url"][-2:] for fetch in ran.fetches) == ["/0", "/1", "/2"]
    assert [(fetch["data"]["statusCode"], fetch["data"]["responseSize"]) for fetch in ran.fetches] == [(200, 2)] * 3
    ids = {fetch["data"]["fetchId"]: fetch["data"]["url"][-2:] for fetch in ran.fetches}
    assert {headers[context.FETCH_ID_HEADER]: headers[":path"] for headers in multiplexed.seen} == ids
    assert {fetch["data"]["callsite"]["function"] for fetch in ran.fetches} <= {"<module>", "<listcomp>"}


def test_a_promise_that_is_redirected_is_one_record(run: Callable[..., Ran], multiplexed: Multiplexed) -> None:
    ran = run(
        f"{ASKED}\nwith request():\n    answer = session.get(other + '/hop')\n    session.gather()\n"
        "    print(answer.status_code, len(answer.history))\n",
        multiplexed.url,
    )
    assert ran.lines[0] == "200 1"
    [fetch] = ran.fetches
    assert (fetch["data"]["url"], fetch["data"]["statusCode"]) == (multiplexed.url + "/hop", 200)
    assert [headers[context.FETCH_ID_HEADER] for headers in multiplexed.seen] == [fetch["data"]["fetchId"]] * 2


def test_promises_of_an_async_session(run: Callable[..., Ran], multiplexed: Multiplexed) -> None:
    ran = run(
        "async def call():\n"
        "    async with niquests.AsyncSession(multiplexed=True, disable_http1=True) as session:\n"
        "        answers = [await session.get(f'{other}/{number}') for number in range(3)]\n"
        "        await session.gather()\n"
        "        return [answer.status_code for answer in answers]\n"
        "with request():\n    print(asyncio.run(call()))\n",
        multiplexed.url,
    )
    assert ran.lines[0] == "[200, 200, 200]"
    assert [fetch["data"]["statusCode"] for fetch in ran.fetches] == [200] * 3
    assert {headers[context.FETCH_ID_HEADER] for headers in multiplexed.seen} == {f["data"]["fetchId"] for f in ran.fetches}


def test_a_promise_that_is_broken_or_forgotten(run: Callable[..., Ran], multiplexed: Multiplexed) -> None:
    ran = run(
        f"{ASKED}\nwith request():\n    answer = session.get(other + '/forgotten')\n"
        "    broken = niquests.Session(multiplexed=True, disable_http1=True, retries=0)\n"
        "    answer = broken.get(other + '/drop')\n"
        "    try:\n        answer.status_code\n"
        "    except niquests.exceptions.RequestException as error:\n        print('broken')\n",
        multiplexed.url,
    )
    assert ran.lines[0] == "broken"
    broken, forgotten = sorted(ran.fetches, key=lambda fetch: str(fetch["data"]["url"]))
    assert (broken["data"]["statusCode"], "error" in broken["data"]) == (0, True)
    assert (forgotten["data"]["statusCode"], forgotten["data"]["url"][-10:]) == (0, "/forgotten")


def test_everything_comes_back(run: Callable[..., Ran]) -> None:
    ran = run(
        "from niquests import adapters\n"
        "places = [(niquests.Session, 'send'), (niquests.AsyncSession, 'send'), (adapters.HTTPAdapter, '_future_handler'),\n"
        "          (adapters.HTTPConnectionPool, '_make_request'), (adapters.AsyncHTTPConnectionPool, '_make_request')]\n"
        "ours = [vars(holder)[name] for holder, name in places]\n"
        "client = brakit.client.current()\nclient.patches.restore()\n"
        "print(all(vars(holder)[name] is mine.__wrapped__ for (holder, name), mine in zip(places, ours)))\n"
    )
    assert ran.lines == ["True"]
