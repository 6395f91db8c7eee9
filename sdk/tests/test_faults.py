"""Faults from outside, in whole processes: what went wrong in other tools of this kind, each with the test that it needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sdk.tests.conftest import Py, Sink

QUIET = """
import brakit, logging, time, sys
log = logging.getLogger('app')
log.propagate = False
log.addHandler(logging.NullHandler())
"""


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_failing_call_goes_out_once(py: Py, make_sink: Callable[..., Sink], sink: Sink, way: str) -> None:
    third = make_sink("reset")
    url = f"http://127.0.0.1:{third.port}/charge"
    call = (
        f"httpx.post('{url}', content='1')" if way == "sync" else f"asyncio.run(httpx.AsyncClient().post('{url}', content='1'))"
    )
    ran = py(
        f"import brakit, httpx, asyncio\ntry: {call}\nexcept httpx.HTTPError as e: print(type(e).__name__)",
        BRAKIT_PORT=str(sink.port),
    )
    assert third.posts == 1
    assert ran.stdout in ("ReadError\n", "RemoteProtocolError\n")
    [fetch] = sink.of("fetch")
    assert fetch["data"]["statusCode"] == 0
    assert fetch["data"]["error"].startswith(ran.stdout.strip())


def test_a_hanging_server_never_blocks_the_app(py: Py, sink: Sink) -> None:
    sink.mode = "hang"
    ran = py(
        QUIET
        + "took = []\nfor i in range(2000):\n    t = time.perf_counter(); log.error('x'); took.append(time.perf_counter() - t)\n"
        "took = sorted(took[20:])\nprint(took[len(took) // 2], took[-1])",
        BRAKIT_PORT=str(sink.port),
    )
    middle, worst = map(float, ran.stdout.split())
    assert middle < 0.0002
    # A slice of the sender's own work may come in between, the server's three seconds may not.
    assert worst < 0.1


def test_a_finalizer_that_logs_in_the_middle_of_logging_does_not_hang(py: Py, sink: Sink) -> None:
    ran = py(
        QUIET + "import gc, threading, faulthandler\nfaulthandler.dump_traceback_later(20, exit=True)\n"
        "class Noisy:\n    def __init__(self): self.me = self\n    def __del__(self): log.error('from a finalizer')\n"
        "gc.set_threshold(1)\n"
        "def emit():\n    for _ in range(2500): Noisy(); log.error('x')\n"
        "threads = [threading.Thread(target=emit) for _ in range(4)]\n[t.start() for t in threads]\n"
        "[t.join() for t in threads]\nprint('done')",
        BRAKIT_PORT=str(sink.port),
    )
    assert (ran.rc, ran.stdout) == (0, "done\n"), ran.stderr


def test_a_signal_handler_that_logs_in_the_middle_of_logging_does_not_hang(py: Py, sink: Sink) -> None:
    ran = py(
        QUIET + "import signal\nsignal.signal(signal.SIGALRM, lambda *a: log.error('from a handler'))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\nfor _ in range(20000): log.error('x')\n"
        "signal.setitimer(signal.ITIMER_REAL, 0)\nprint('done')",
        BRAKIT_PORT=str(sink.port),
        timeout=20,
    )
    assert (ran.rc, ran.stdout) == (0, "done\n"), ran.stderr


@pytest.mark.parametrize("mode", ["nobody", "reset", "500"])
def test_trouble_with_the_server_makes_no_events(py: Py, sink: Sink, mode: str) -> None:
    sink.mode = "ok" if mode == "nobody" else mode
    ran = py(
        "import brakit, logging, time\nlogging.basicConfig(level=logging.DEBUG)\nlogging.error('one')\ntime.sleep(1)\n"
        "c = brakit.client.current()\nprint(len(c.buffer.records) + (c.sender.batch.events if c.sender.batch else 0))",
        BRAKIT_PORT="1" if mode == "nobody" else str(sink.port),
    )
    assert int(ran.stdout) <= 1
    assert ran.stderr == "ERROR:root:one\n"


def test_logging_is_configured_as_ever(py: Py, sink: Sink) -> None:
    code = """
import {brakit}logging, logging.config
logging.warning('last resort')
logging.basicConfig(format='%(levelname)s %(message)s')
logging.error('basic')
handlers = {{'h': {{'class': 'logging.StreamHandler'}}}}
logging.config.dictConfig({{'version': 1, 'handlers': handlers, 'root': {{'handlers': ['h']}}}})
logging.error('dict')
print(len(logging.root.handlers), logging.root.level)
"""
    off = py(code.format(brakit=""))
    on = py(code.format(brakit="brakit, "), BRAKIT_PORT=str(sink.port))
    assert (on.stdout, on.stderr) == (off.stdout, off.stderr)
    assert sink.messages() == ["last resort", "basic", "dict"]


def test_text_that_is_meant_to_take_long_does_not(py: Py, sink: Sink) -> None:
    ran = py(
        "import brakit, threading, time\ndef f(): raise ValueError('a' * 65536 + '://' * 1000)\n"
        "t = time.perf_counter()\nx = threading.Thread(target=f); x.start(); x.join(); took = time.perf_counter() - t\n"
        "s = time.perf_counter(); brakit.flush(); print(took, time.perf_counter() - s)",
        BRAKIT_PORT=str(sink.port),
    )
    app, sender = map(float, ran.stdout.split())
    assert app < 0.2
    assert sender < 1
    assert len(sink.of("error")) == 1


def test_the_callers_headers_are_not_touched_and_strangers_get_no_ids(py: Py, make_sink: Callable[..., Sink], sink: Sink) -> None:
    third = make_sink("500")
    ran = py(
        "import brakit, httpx\nh = {'a': 'b'}\nwith brakit.span('x'):\n"
        f"    for _ in range(2): httpx.post('http://127.0.0.1:{third.port}/', headers=h, content=b'')\n"
        "def stranger(request):\n"
        "    print(sorted(k for k in request.headers if 'brakit' in k or k == 'traceparent'))\n"
        "    return httpx.Response(200)\n"
        "httpx.Client(transport=httpx.MockTransport(stranger)).get('http://example.com/', headers=h)\nprint(h)",
        BRAKIT_PORT=str(sink.port),
    )
    assert ran.stdout == "[]\n{'a': 'b'}\n", ran.stderr
    ids = [headers["x-brakit-fetch-id"] for headers in third.headers]
    assert len(set(ids)) == 2
    assert sorted(ids) == sorted(fetch["data"]["fetchId"] for fetch in sink.of("fetch"))[:2] or len(sink.of("fetch")) == 3


def test_a_value_that_cannot_be_sent_does_not_end_the_sender(py: Py, sink: Sink) -> None:
    ran = py(
        QUIET + "import decimal\nloop = []; loop.append(loop)\n"
        "for value in (object(), decimal.Decimal('1.5'), b'\\xff', {1, 2}, 10**5000, loop, float('nan'), '\\ud800', '\\0'):\n"
        "    log.error('value %s', value, extra={'field': value}); brakit.flush()\n"
        "log.error('after')\nprint(brakit.flush(), brakit.client.current().failures.counts)",
        BRAKIT_PORT=str(sink.port),
    )
    assert ran.stdout == "True {}\n"
    assert len(sink.events) == 10
    assert sink.messages()[-1] == "after"
    assert "value 1.5" in sink.messages()


def test_many_events_of_one_owner_are_all_there(py: Py, sink: Sink) -> None:
    ran = py(
        QUIET + "t = time.perf_counter()\nwith brakit.span('busy'):\n    for i in range(9000): log.error('m%d', i)\n"
        "print((time.perf_counter() - t) / 9000)\nbrakit.flush(20)",
        BRAKIT_PORT=str(sink.port),
    )
    assert float(ran.stdout) < 0.0005
    span = sink.of("span")[0]
    logs = sink.of("log")
    assert [event["data"]["message"] for event in logs] == [f"m{i}" for i in range(9000)]
    assert {event["parentId"] for event in logs} == {span["data"]["spanId"]}


def test_memory_does_not_grow_with_what_is_different_every_time(py: Py, sink: Sink) -> None:
    psutil = pytest.importorskip("psutil")
    assert psutil
    ran = py(
        QUIET + "import psutil\nfrom brakit.activation import Decision\nrss = lambda: psutil.Process().memory_info().rss\n"
        "def some(start, n):\n    for i in range(start, start + n):\n"
        "        exec(compile(f'log.error(\"{i}\")', f'/srv/app/{i}.py', 'exec'))\n        if i % 500 == 0: brakit.flush(10)\n"
        "some(0, 6000); before = rss(); some(6000, 12000); print((rss() - before) / 2**20)",
        BRAKIT_PORT=str(sink.port),
        timeout=60,
    )
    assert float(ran.stdout) < 8, ran


def test_what_the_sender_finds_on_its_port_is_asked_first(py: Py, make_sink: Callable[..., Sink], tmp_path: Path) -> None:
    stranger = make_sink("notours")
    stranger.announce(tmp_path / ".brakit")
    before = {path.name: path.read_text() for path in (tmp_path / ".brakit").iterdir()}
    ran = py("import brakit, logging\nlogging.error('secret business')")
    assert ran.rc == 0
    assert stranger.raw == []
    assert stranger.posts == 0
    assert {path.name: path.read_text() for path in (tmp_path / ".brakit").iterdir()} == before


def test_exceptions_that_make_cycles_and_crowds(py: Py, sink: Sink) -> None:
    ran = py(
        "import brakit, sys\nsys.setrecursionlimit(20000)\n"
        "def down(n):\n    if n: down(n - 1)\n    raise ValueError('deep')\n"
        "try: down(5000)\nexcept ValueError as e:\n    e.__cause__ = e; brakit.capture_error(e)\n"
        "print(brakit.flush(), brakit.client.current().failures.counts)",
        BRAKIT_PORT=str(sink.port),
    )
    assert ran.stdout == "True {}\n", ran.stderr
    [error] = sink.of("error")
    assert len(error["data"]["frames"]) == 100
    assert len(json.dumps(error)) < 256 * 1024


def test_secrets_do_not_leave_by_any_channel(py: Py, sink: Sink, make_sink: Callable[..., Sink]) -> None:
    third = make_sink()
    secret = "hunter2-canary"
    ran = py(
        QUIET + "import httpx, threading\n"
        f"url = 'postgres://shop:{secret}@db.internal/shop'\n"
        "log.error('connecting to %s', url); log.error(f'connecting to {url}'); log.error('x', extra={'password': url[16:30]})\n"
        f"httpx.get('http://127.0.0.1:{third.port}/?access_token={secret}')\n"
        f"with brakit.span('a', api_key='{secret}'): brakit.auth_check('session', 'password={secret}')\n"
        f"try: raise ValueError('password={secret}')\nexcept ValueError as e: brakit.capture_error(e); log.exception('failed')\n"
        "print(brakit.flush())",
        BRAKIT_PORT=str(sink.port),
    )
    assert ran.stdout == "True\n", ran.stderr
    assert len(sink.events) >= 8
    assert not any(secret.encode() in raw for raw in sink.raw)


def test_mocked_clocks_and_seeds_change_nothing(py: Py, sink: Sink) -> None:
    ran = py(
        "import brakit, random, time, os, sys\nreal_sleep = time.sleep\nrandom.seed(1)\n"
        "names = ('time', 'time_ns', 'perf_counter', 'perf_counter_ns', 'monotonic', 'monotonic_ns')\n"
        "reals = {id(getattr(time, name)) for name in names}\nfrozen = lambda *a: 0\n"
        "for module in list(sys.modules.values()):\n"
        "    for name, value in list(vars(module).items()):\n        if id(value) in reals: setattr(module, name, frozen)\n"
        "time.sleep = frozen; os.urandom = lambda n: b'0' * n\n"
        "for _ in range(3):\n    with brakit.span('slept'): real_sleep(0.05)\n"
        "print(brakit.flush())",
        BRAKIT_PORT=str(sink.port),
    )
    assert ran.stdout == "True\n", ran.stderr
    spans = sink.of("span")
    assert len({span["data"]["spanId"] for span in spans}) == 3
    assert all(40 < span["data"]["duration"] < 500 for span in spans)
    assert all(span["timestamp"] > 1.7e12 for span in spans)
