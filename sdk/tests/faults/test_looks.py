"""What is patched looks as it did before: to `inspect`, to pickle, to a class that inherits from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sdk.tests.conftest import Py, Sink

LOOKS = """
import importlib, inspect, pickle, sys, warnings
import brakit
from brakit.patch import shipped
warnings.simplefilter("ignore")
for name in shipped():
    # What patches the world, or what wants settings before it is imported.
    if name.split(".")[0] in ("gevent", "eventlet"):
        continue
    try:
        importlib.import_module(name)
    except Exception:
        continue
client = brakit.client.current()
seen = 0
for holder, name, before, value in client.patches.restores:
    # A bound method that a module offers as a function is called as one: without `self`.
    was = before if inspect.ismethod(before) else getattr(before, "__func__", before)
    now = getattr(value, "__func__", value)
    if not inspect.isroutine(was) or not inspect.isfunction(now):
        continue
    seen += 1
    where = f"{getattr(holder, '__name__', holder)}.{name}"
    try:
        expected = inspect.signature(was)
    except (ValueError, TypeError):
        expected = None
    if expected is not None and inspect.signature(now) != expected:
        print(where, "signature", inspect.signature(now), expected)
    for ask in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        # Generators of a library's own machinery are made by a plain function of ours: nobody but the library calls those.
        if ask(was) != ask(now) and not name.startswith("_"):
            print(where, ask.__name__, ask(was))
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        if getattr(was, attribute, None) != getattr(now, attribute, None):
            print(where, attribute, getattr(now, attribute, None), getattr(was, attribute, None))
    if isinstance(before, (staticmethod, classmethod)) and type(value) is not type(before):
        print(where, "is a", type(value), "was a", type(before))
    if inspect.ismodule(holder) and holder.__name__ == was.__module__ and pickle.loads(pickle.dumps(value)) is not value:
        print(where, "is not pickled by name")
assert client.failures.counts == {}, client.failures.first
print("seen", seen)
"""


def test_every_patched_function_has_the_looks_of_its_original(py: Py) -> None:
    ran = py(LOOKS, timeout=100)
    assert ran.rc == 0, ran.stderr
    *wrong, seen = ran.stdout.splitlines()
    assert wrong == []
    assert int(seen.removeprefix("seen ")) > 100


def test_a_class_that_inherits_is_seen_once_however_deep(py: Py, sink: Sink) -> None:
    ran = py(
        "import brakit, httpx, pickle, copy\n"
        "class One(httpx.Client):\n    def send(self, *args, **kwargs): return super().send(*args, **kwargs)\n"
        "class Two(One):\n    def send(self, *args, **kwargs): return super().send(*args, **kwargs)\n"
        "class Three(Two):\n    def request(self, *args, **kwargs): return super().request(*args, **kwargs)\n"
        "transport = httpx.MockTransport(lambda request: httpx.Response(200, text='fine'))\n"
        "with Three(transport=transport) as client: answer = client.get('http://shop.test/a')\n"
        "print(answer.text, issubclass(Three, httpx.Client), type(client).__mro__[3] is httpx.Client)\n"
        "again = pickle.loads(pickle.dumps(answer)); print(again.text, copy.deepcopy(httpx.Headers({'a': 'b'})))\n"
        "print(brakit.flush())",
        BRAKIT_PORT=str(sink.port),
    )
    assert ran.stdout == "fine True True\nfine Headers({'a': 'b'})\nTrue\n", ran.stderr
    assert [fetch["data"]["url"] for fetch in sink.of("fetch")] == ["http://shop.test/a"]


def test_nothing_of_ours_stands_in_what_the_app_pickles(py: Py, sink: Sink) -> None:
    ran = py(
        "import brakit, pickle, logging, sqlite3, contextvars\n"
        "def fail(): sqlite3.connect(':memory:').execute('select nothing')\n"
        "with brakit.span('busy'):\n"
        "    record = logging.makeLogRecord({'msg': 'hello', 'levelno': 20}); logging.getLogger('a').handle(record)\n"
        "    try: fail()\n"
        "    except sqlite3.Error as error: text = pickle.dumps((error, record.__dict__))\n"
        "print(b'brakit' in text, type(pickle.loads(text)[0]).__name__)\n",
        BRAKIT_PORT=str(sink.port),
    )
    assert ran.stdout == "False OperationalError\n", ran.stderr
