"""Bad surroundings: libraries that are not what we know, halves of them, stand-ins for them. Never an error of the app's."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
import unittest.mock
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
import sqlalchemy
import sqlalchemy.orm

import brakit.patch

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdk.tests.conftest import Py

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

FOLDER = Path(brakit.patch.INSTRUMENTATIONS)
NAMES = sorted(path.stem for path in FOLDER.glob("[a-zA-Z]*.py") if path.stem not in sys.stdlib_module_names)
PUT_TOGETHER = {"mysql": ("mysql.connector.cursor", "mysql.connector.pooling")}
"""Modules that stand in no text as a whole."""

TOLD = """
import json, sys
from brakit.client import current
client = current()
versions = {name: version for name, version in client.patches.versions.items() if name not in sys.stdlib_module_names}
told = {"versions": versions, "failures": client.failures.counts, "framework": client.framework}
print(json.dumps(told))
"""


def modules_of(name: str) -> set[str]:
    """The modules that an instrumentation, and what it has in files beside it, name in their texts."""
    texts = [(FOLDER / f"{name}.py").read_text(), *(path.read_text() for path in FOLDER.glob("_*.py"))]
    return {
        name,
        *PUT_TOGETHER.get(name, ()),
        *(found for text in texts for found in re.findall(rf'"({name}(?:\.\w+)+)[":]', text)),
    }


def stub(folder: Path, module: str, text: str = "") -> None:
    """A package of that name, and packages above it."""
    parts = module.split(".")
    for depth in range(1, len(parts)):
        (folder.joinpath(*parts[:depth])).mkdir(parents=True, exist_ok=True)
        (folder.joinpath(*parts[:depth]) / "__init__.py").touch()
    place = folder.joinpath(*parts)
    place.mkdir(parents=True, exist_ok=True)
    (place / "__init__.py").write_text(text)


@pytest.mark.parametrize("first", ["brakit", "library"])
def test_a_version_of_the_future_has_nothing_of_what_we_know(py: Py, tmp_path: Path, first: str) -> None:
    modules = sorted({module for name in NAMES for module in modules_of(name)})
    for module in modules:
        stub(tmp_path, module, '__version__ = "999.0"\n' if "." not in module else "")
    imports = "".join(f"import {module}\n" for module in modules)
    ran = py((f"import brakit\n{imports}" if first == "brakit" else f"{imports}import brakit\n") + TOLD)
    assert (ran.rc, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert sorted(told["versions"]) == NAMES
    refused = {name for name, version in told["versions"].items() if "not supported" in version}
    bounded = {name for name in NAMES if "<" in supports(name)}
    assert refused == bounded != set()
    # The others are tried, and what is not there is told, by its place.
    failed = {re.split(r"[.:]", place.removeprefix("instrumentations."))[0] for place in told["failures"]}
    assert failed == set(NAMES) - refused


def supports(name: str) -> str:
    return str(importlib.import_module(f"brakit.instrumentations.{name}").SUPPORTS)


def test_files_of_the_app_that_are_named_like_libraries(py: Py, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("def work():\n    return 1\n")
    ran = py("import brakit\n" + "".join(f"import {name}\nassert {name}.work() == 1\n" for name in NAMES) + TOLD)
    assert (ran.rc, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert told["versions"] == {name: f"unknown: not supported, {supports(name)} is" for name in NAMES}
    assert (told["failures"], told["framework"]) == ({}, "")


HALF = """
{brakit}
import sys, traceback
for name in {names}:
    try:
        __import__(name)
    except {error} as error:
        print(name, repr(error), name in sys.modules, len(traceback.extract_tb(error.__traceback__)), file=sys.stderr)
"""


@pytest.mark.parametrize("error", ["ImportError", "RuntimeError", "KeyboardInterrupt", "SystemExit"])
def test_a_library_that_fails_half_way(py: Py, tmp_path: Path, error: str) -> None:
    for name in NAMES:
        stub(tmp_path, name, f'__version__ = "2.0"\nclass Client: ...\nraise {error}("half of {name}")\n')
    plain = py(HALF.format(brakit="TOLD = 0", names=NAMES, error=error))
    ran = py(HALF.format(brakit="import brakit", names=NAMES, error=error) + TOLD)
    assert ran.rc == 0
    told = json.loads(ran.stdout)
    assert len(ran.stderr.splitlines()) == len(NAMES)
    # The traceback has one more frame: the import goes through us.
    assert re.sub(r"\d+$", "", ran.stderr, flags=re.MULTILINE) == re.sub(r"\d+$", "", plain.stderr, flags=re.MULTILINE)
    assert not set(told["versions"]) & set(NAMES)
    assert told["failures"] == {}


def test_a_submodule_that_fails_half_way(py: Py, tmp_path: Path) -> None:
    stub(tmp_path, "starlette", '__version__ = "1.0.0"\n')
    stub(tmp_path, "starlette.routing", "class Mount:\n    def matches(self, scope):\n        return 1, {}\n")
    stub(tmp_path, "starlette.applications", "class Starlette: ...\nimport not_installed_anywhere\n")
    ran = py(
        "import brakit, starlette, starlette.routing\n"
        "for _ in range(2):\n"
        "    try: import starlette.applications\n"
        "    except ModuleNotFoundError as error: assert error.name == 'not_installed_anywhere'\n"
        "    else: raise AssertionError\n"
        "assert starlette.routing.Mount().matches({}) == (1, {})\n" + TOLD
    )
    assert (ran.rc, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["versions"]["starlette"] == "1.0.0"


@pytest.mark.parametrize("there", ["None", "unittest.mock.MagicMock()", "types.SimpleNamespace()", "Hostile()", "5"])
def test_something_else_stands_in_for_the_module(py: Py, there: str) -> None:
    ran = py(
        "import sys, types, unittest.mock\n"
        "class Hostile:\n"
        "    def __getattribute__(self, name): raise RuntimeError('touched ' + name)\n"
        "    def __eq__(self, other): raise RuntimeError('compared')\n"
        f"for name in {NAMES}: sys.modules[name] = {there}\n"
        "import brakit, logging\n"
        "logging.getLogger('app').warning('on we go')\n" + TOLD
    )
    assert (ran.rc, ran.stderr) == (0, "on we go\n")
    told = json.loads(ran.stdout)
    if there == "None":
        # The way to say that there is none; one that is imported later is seen.
        assert told["failures"] == {}
    assert set(told["failures"]) <= {f"instrumentations.{name}" for name in NAMES}


LAZY_BY_HAND = """
spec = importlib.util.find_spec("requests")
spec.loader = importlib.util.LazyLoader(spec.loader)
sys.modules["requests"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["requests"])
"""
LAZY_BY_FINDER = """
class Lazy:
    def find_spec(self, name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and name == "requests":
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec
sys.meta_path.insert({place}, Lazy())
import requests
"""


@pytest.mark.parametrize("brakit", ["first", "last"])
@pytest.mark.parametrize("lazy", [LAZY_BY_HAND, LAZY_BY_FINDER.format(place=0), LAZY_BY_FINDER.format(place=1)])
def test_a_module_that_is_lazy_stays_lazy(py: Py, tmp_path: Path, lazy: str, brakit: str) -> None:
    stub(tmp_path, "requests", 'print("loaded")\n__version__ = "2.31.0"\nfrom requests.sessions import Session\n')
    stub(tmp_path, "requests.sessions", "class Session:\n    def send(self, request):\n        return request\n")
    ours = ("import brakit\n", "") if brakit == "first" else ("", "import brakit\n")
    ran = py(
        f"import importlib.machinery, importlib.util, sys\n{ours[0]}{lazy}{ours[1]}print('before')\n"
        "sys.modules['requests'].__version__\nprint('after')\n" + TOLD
    )
    assert (ran.rc, ran.stderr) == (0, "")
    *seen, told = ran.stdout.splitlines()
    assert seen == ["before", "loaded", "after"]
    assert json.loads(told)["failures"] == {}
    # A finder that was put before ours and asks nobody is not seen.
    unseen = brakit == "first" and "insert(0" in lazy
    assert json.loads(told)["versions"] == ({} if unseen else {"requests": "2.31.0"})


@pytest.mark.parametrize("order", ["libraries first", "brakit first"])
def test_the_real_libraries_in_either_order(py: Py, order: str) -> None:
    installed = [name for name in NAMES if importlib.util.find_spec(name) is not None and name != "gevent"]
    imports = "import warnings; warnings.simplefilter('ignore')\n" + "".join(f"import {name}\n" for name in installed)
    ran = py((f"{imports}import brakit\n" if order == "libraries first" else f"import brakit\n{imports}") + TOLD)
    assert (ran.rc, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert told["failures"] == {}
    assert set(installed) <= set(told["versions"])
    assert [version for version in told["versions"].values() if "not supported" in version] == []


# Stand-ins for a client


def names(events: Events) -> list[str]:
    return [event["type"] for event in events()]


@pytest.mark.parametrize("autospec", [False, True])
def test_a_client_that_a_test_mocks(client: Client, events: Events, autospec: bool) -> None:
    ours: Any = httpx.Client.send
    request = httpx.Request("GET", "http://127.0.0.1:9/")
    with unittest.mock.patch.object(httpx.Client, "send", autospec=autospec, return_value="mocked") as send:
        answer: Any = httpx.Client().send(request, stream=True)
        assert answer == "mocked"
        send.assert_called_once()
        assert send.call_args.args[-1] is request
        assert send.call_args.kwargs == {"stream": True}
    assert names(events) == []
    assert httpx.Client.send is ours
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(204))) as caller:
        assert caller.send(request).status_code == 204
    assert names(events) == ["fetch"]


def test_a_mock_that_is_there_when_we_end_is_left_alone(client: Client) -> None:
    with unittest.mock.patch.object(requests.Session, "send", return_value="mocked") as send:
        client.shutdown(0)
        assert vars(requests.Session)["send"] is send
        answer: Any = requests.get("http://127.0.0.1:9/")
        assert answer == "mocked"


WRAPPED_BEFORE = """
import functools, requests, httpx
def counted(holder, name):
    original, calls = getattr(holder, name), []
    @functools.wraps(original)
    def counting({parameters}):
        calls.append(1)
        return original({parameters})
    setattr(holder, name, counting)
    return calls
first, second = counted(requests.Session, "send"), counted(httpx.Client, "send")
import brakit
from brakit.client import current
client = current()
client.buffer.wake = lambda: None
for get, error in ((requests.get, requests.ConnectionError), (httpx.get, httpx.ConnectError)):
    try: get("http://127.0.0.1:9/")
    except error: pass
assert len(first) == len(second) == 1
assert [record.data["url"] for record in client.buffer.records] == ["http://127.0.0.1:9/"] * 2
"""


@pytest.mark.parametrize("parameters", ["*args, **kwargs", "self, *args, **kwargs"])
def test_clients_that_somebody_has_wrapped_before_us(py: Py, parameters: str) -> None:
    ran = py(WRAPPED_BEFORE.format(parameters=parameters) + TOLD)
    assert (ran.rc, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["failures"] == {}


MOCKED_BEFORE = """
import asyncio, unittest.mock
import httpx, requests, sqlalchemy, redis
made = {made}
asynchronous = unittest.mock.AsyncMock(return_value="mocked")
with (
    unittest.mock.patch.object(httpx.Client, "send", made),
    unittest.mock.patch.object(httpx.AsyncClient, "send", asynchronous),
    unittest.mock.patch.object(requests.Session, "send", made),
    unittest.mock.patch.object(redis.Redis, "execute_command", made),
    unittest.mock.patch("sqlalchemy.create_engine", made),
    unittest.mock.patch("sqlalchemy.engine.default.DefaultDialect.do_execute", made),
):
    import brakit
    assert httpx.get("http://127.0.0.1:9/") == requests.get("http://127.0.0.1:9/") == redis.Redis().get("a") == "mocked"
    assert asyncio.run(httpx.AsyncClient().get("http://127.0.0.1:9/")) == "mocked"
    assert sqlalchemy.create_engine("sqlite://") == "mocked"
    assert made.call_count == 4 and asynchronous.await_count == 1, (made.call_args_list, asynchronous.call_args_list)
with sqlalchemy.create_engine("sqlite://").connect() as connection:
    assert connection.execute(sqlalchemy.text("SELECT 5")).scalar() == 5
"""


@pytest.mark.parametrize("made", ["Mock(return_value='mocked')", "MagicMock(return_value='mocked')"])
def test_mocks_that_are_there_before_us(py: Py, made: str) -> None:
    ran = py(MOCKED_BEFORE.format(made=f"unittest.mock.{made}") + TOLD)
    assert (ran.rc, ran.stderr) == (0, "")
    assert {name for name, version in json.loads(ran.stdout)["versions"].items() if "not supported" in version} == set()


def test_an_engine_that_is_a_mock(client: Client, events: Events) -> None:
    engine = unittest.mock.MagicMock(spec=sqlalchemy.create_engine("sqlite://"))
    engine.connect.return_value.in_transaction.return_value = engine.connect.return_value.in_nested_transaction.return_value = (
        False
    )
    engine.connect.return_value.__enter__.return_value.execute.return_value.scalar.return_value = 5
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT 5")).scalar() == 5
    with sqlalchemy.orm.Session(engine) as session:
        assert session.execute(sqlalchemy.text("SELECT 5")) is not None
    assert names(events) == []


class Counting(httpx.Client):
    """A client of an app's own, which asks the library's first."""

    __slots__ = ("sent",)

    def send(self, request: httpx.Request, **kwargs: Any) -> httpx.Response:
        self.sent = True
        return super().send(request, **kwargs)


class Deaf(httpx.Client):
    """One that asks nobody."""

    def send(self, request: httpx.Request, **kwargs: Any) -> httpx.Response:
        return httpx.Response(204, request=request)


class Strange(requests.Session):
    """One with another signature, whose attributes cannot be relied on."""

    def send(self, *given: Any, **more: Any) -> Any:
        return super().send(*given, **{**more, "timeout": 0.001})

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"touched {name}")


def test_clients_of_the_apps_own(client: Client, events: Events) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(204))
    with Counting(transport=transport) as counting, Deaf(transport=transport) as deaf:
        assert counting.get("http://127.0.0.1:9/").status_code == deaf.get("http://127.0.0.1:9/").status_code == 204
        assert counting.sent
    assert names(events) == ["fetch"]
    with pytest.raises(requests.ConnectionError):
        Strange().get("http://127.0.0.1:9/")
    assert names(events) == ["fetch"]


@pytest.mark.parametrize("place", ["send", "missing"])
def test_a_type_in_c_cannot_be_patched_and_works_as_ever(py: Py, tmp_path: Path, place: str) -> None:
    stub(tmp_path, "requests", '__version__ = "2.31.0"\nfrom requests.sessions import Session\n')
    made = "type(_ for _ in ())" if place == "send" else "complex"
    stub(tmp_path, "requests.sessions", f"Session = {made}\n")
    ran = py("import brakit, requests\nassert requests.Session is requests.sessions.Session\n" + TOLD)
    assert (ran.rc, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["failures"] == {"requests:Session.send": 1}


def test_a_function_in_c_is_called_as_ever(py: Py, tmp_path: Path) -> None:
    stub(tmp_path, "requests", '__version__ = "2.31.0"\nfrom requests.sessions import Session\n')
    stub(tmp_path, "requests.sessions", "import operator\nclass Session:\n    send = operator.itemgetter(1)\n")
    ran = py("import brakit, requests\nassert requests.Session.send([1, 2]) == 2\n" + TOLD)
    assert (ran.rc, ran.stderr) == (0, "")
