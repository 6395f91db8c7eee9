"""Much of everything: events of one request, names that never come twice, requests without end. What is kept stays bounded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdk.tests.conftest import Py, Sink

REQUEST = """
import brakit, gc, io, logging, sqlite3, sys, threading, time, tracemalloc, weakref
log = logging.getLogger("shop"); log.propagate = False; log.addHandler(logging.NullHandler())

class App:
    def __init__(self, view): self.view = view
    def __call__(self, environ, start_response):
        self.view(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

def ask(app, path="/", method="GET"):
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "shop.test", "SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
    }
    answer = app(environ, lambda status, headers, exc_info=None: None)
    body = b"".join(answer)
    if hasattr(answer, "close"): answer.close()
    return body
"""
LONG = bool(os.environ.get("BRAKIT_LONG"))


def test_ten_thousand_queries_in_one_request_are_all_there(py: Py, sink: Sink) -> None:
    ran = py(
        REQUEST + "connection = sqlite3.connect(':memory:'); connection.execute('create table item (id integer primary key)')\n"
        "def view(environ):\n    for i in range(10000): connection.execute('select * from item where id = ?', (i,)).fetchall()\n"
        "brakit.flush(5); ask(brakit.wsgi(App(view))); print(brakit.flush(30), brakit.client.current().failures.counts)",
        BRAKIT_PORT=str(sink.port),
        timeout=60,
    )
    assert ran.stdout == "True {}\n", ran.stderr
    [request] = sink.of("request")
    queries = [query for query in sink.of("db.query") if query["data"]["sql"].startswith("select")]
    assert len(queries) + sum(sink.dropped().values()) == 10_000
    assert {query["parentId"] for query in queries} == {request["data"]["id"]}
    # 10 000 wait at most; the sender has taken some while they came.
    assert len(queries) >= 9_000


def test_what_is_different_every_time_is_not_kept(py: Py, sink: Sink) -> None:
    rounds = 100_000 if LONG else 6_000
    ran = py(
        REQUEST + "connection = sqlite3.connect(':memory:')\nimport psutil\nrss = lambda: psutil.Process().memory_info().rss\n"
        "def view(environ):\n"
        "    path = environ['PATH_INFO']\n"
        "    connection.execute(f'select 1 as {path[1:]}').fetchall(); log.error('%s', path); log.error(path)\n"
        "    logging.getLogger('shop').error('x', extra={path[1:]: 1})\n"
        "app = brakit.wsgi(App(view))\n"
        "def some(start, end):\n"
        "    for i in range(start, end):\n        ask(app, f'/p{i}', f'M{i}')\n        if i % 200 == 0: brakit.flush(20)\n"
        "    brakit.flush(20); gc.collect()\n"
        f"some(0, {rounds}); before = rss(); some({rounds}, {2 * rounds}); print((rss() - before) / 2**20)\n"
        "wire = brakit.client.current().sender.wire\n"
        "sizes = {name: len(value) for place in (wire, wire.fragments)"
        " for name, value in vars(place).items() if isinstance(value, dict)}\n"
        "print(max(sizes.values()), sizes)",
        BRAKIT_PORT=str(sink.port),
        timeout=110 if not LONG else 1200,
    )
    assert ran.rc == 0, ran.stderr
    grown, sizes = ran.stdout.splitlines()
    assert float(grown) < 10
    assert int(sizes.split()[0]) <= 10_000


def test_ten_thousand_requests_leave_nothing_behind(py: Py, sink: Sink) -> None:
    ran = py(
        REQUEST + "refs = []\n"
        "class Thing: pass\n"
        "class Failure(Exception): pass\n"
        "def view(environ):\n"
        "    thing = Thing(); refs.append(weakref.ref(thing)); refs.append(weakref.ref(sys._getframe().f_globals['App'](view)))\n"
        "    with brakit.span('inside'): log.error('thing', extra={'thing': 'a'})\n"
        "    if int(environ['PATH_INFO'][1:]) % 10 == 0:\n"
        "        error = Failure('no'); refs.append(weakref.ref(error)); error.thing = thing\n"
        "        try: raise error\n"
        "        except Failure as caught: log.exception('failed'); brakit.capture_error(caught); del error\n"
        "app = brakit.wsgi(App(view))\n"
        "def some(start, n):\n"
        "    for i in range(start, start + n):\n        ask(app, f'/{i % 50}')\n        if i % 500 == 0: brakit.flush(20)\n"
        "    brakit.flush(20); gc.collect()\n"
        "def alive():\n    left = sum(ref() is not None for ref in refs); refs.clear(); gc.collect(); return left\n"
        "some(0, 7000); left = alive()\n"
        "tracemalloc.start(); some(0, 1000); left += alive(); before = tracemalloc.get_traced_memory()[0]\n"
        "some(0, 2000); left += alive(); print(left, (tracemalloc.get_traced_memory()[0] - before) // 1024)",
        BRAKIT_PORT=str(sink.port),
        timeout=110,
    )
    assert ran.rc == 0, ran.stderr
    left, grown = map(int, ran.stdout.split())
    assert left == 0
    # Kilobytes over 2000 requests: one object that stayed of each would be hundreds.
    assert grown < 100


def test_a_system_without_fork_is_one_as_any(py: Py, sink: Sink) -> None:
    ran = py(
        "import os, sys\nfor name in ('fork', 'register_at_fork', 'geteuid', 'waitpid'): delattr(os, name)\n"
        "sys.modules['mmap'] = None\nimport brakit, logging\nlogging.getLogger('a').error('here')\n"
        "print(brakit.flush(), type(brakit.client.current().buffer.here).__name__)",
        BRAKIT_PORT=str(sink.port),
    )
    assert (ran.rc, ran.stdout) == (0, "True Mark\n"), ran.stderr
    assert sink.messages() == ["here"]
