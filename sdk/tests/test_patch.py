"""Arming before and after the import, putting back, and the contract that every instrumentation keeps."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import brakit.instrumentations
import brakit.patch
from brakit.activation import Decision
from brakit.client import Client
from brakit.config import Config
from brakit.patch import supports, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import ModuleType

    from brakit.guard import Call
    from brakit.patch import Patches

FOLDER = Path(brakit.patch.INSTRUMENTATIONS)
OPTIONAL = ("MySQLdb", "arq", "niquests", "pyodbc")
"""What cannot be installed everywhere, or not beside the others."""
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))

LIBRARY = """
__version__ = "1.2.0"

def work(value=1):
    return value

class Base:
    def inherited(self, value):
        return (self, value)

    @classmethod
    def inherited_by_class(cls, value):
        return (cls, value)

class Thing(Base):
    def method(self, value):
        return (self, value)

    @staticmethod
    def static(value):
        return value

    @classmethod
    def of_class(cls, value):
        return (cls, value)

    @property
    def property(self):
        return 1
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """`write(path, source)` puts a module where it can be imported; all of them are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def put(path: str, source: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
        importlib.invalidate_caches()

    yield put
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def calls() -> list[object]:
    return []


@pytest.fixture
def probe(calls: list[object]) -> Callable[[Call], Generator[None, Any, None]]:
    def note(call: Call) -> Generator[None, Any, None]:
        calls.append(call.args)
        yield

    return note


@pytest.fixture
def patches(client: Client) -> Patches:
    return client.patches


def test_armed_before_the_import(patches: Patches, write: Any, probe: Any, calls: list[object]) -> None:
    write("lib_before.py", LIBRARY)
    patches.probe("lib_before:work", probe)
    assert "lib_before" not in sys.modules
    lib: Any = importlib.import_module("lib_before")
    assert (lib.work(5), calls) == (5, [(5,)])


def test_armed_after_the_import(patches: Patches, write: Any, probe: Any, calls: list[object]) -> None:
    write("lib_after.py", LIBRARY)
    lib: Any = importlib.import_module("lib_after")
    patches.probe("lib_after:work", probe)
    assert (lib.work(5), calls) == (5, [(5,)])


def test_a_submodule_is_waited_for(patches: Patches, write: Any, probe: Any, calls: list[object]) -> None:
    write("lib_package/__init__.py", "")
    write("lib_package/inner.py", LIBRARY)
    patches.probe("lib_package.inner:Thing.method", probe)
    importlib.import_module("lib_package")
    inner: Any = importlib.import_module("lib_package.inner")
    thing = inner.Thing()
    assert thing.method(1) == (thing, 1)
    assert calls == [(thing, 1)]


def test_every_form_of_method(patches: Patches, write: Any, probe: Any, calls: list[object]) -> None:
    write("lib_methods.py", LIBRARY)
    lib: Any = importlib.import_module("lib_methods")
    Thing = lib.Thing  # noqa: N806
    untouched = vars(lib.Base)["inherited"]
    for name in ("method", "static", "of_class", "inherited", "inherited_by_class"):
        patches.probe(f"lib_methods:Thing.{name}", probe)
    thing = Thing()
    assert thing.method(1) == (thing, 1)
    assert (thing.static(2), Thing.static(3)) == (2, 3)
    assert (thing.of_class(4), Thing.of_class(5)) == ((Thing, 4), (Thing, 5))
    assert thing.inherited(6) == (thing, 6)
    assert (thing.inherited_by_class(7), Thing.inherited_by_class(8)) == ((Thing, 7), (Thing, 8))
    assert len(calls) == 8
    assert vars(lib.Base)["inherited"] is untouched


def test_twice_is_once(patches: Patches, write: Any, probe: Any, calls: list[object]) -> None:
    write("lib_twice.py", LIBRARY)
    lib: Any = importlib.import_module("lib_twice")
    patches.probe("lib_twice:work", probe)
    patches.probe("lib_twice:work", probe)
    lib.work()
    assert len(calls) == 1


def test_restoring_puts_the_very_same_objects_back(patches: Patches, write: Any, probe: Any) -> None:
    write("lib_restore.py", LIBRARY)
    lib: Any = importlib.import_module("lib_restore")
    before = {name: vars(lib.Thing).get(name) for name in ("method", "static", "of_class", "inherited")}
    work = lib.work
    for name in before:
        patches.probe(f"lib_restore:Thing.{name}", probe)
    patches.probe("lib_restore:work", probe)
    assert lib.work is not work
    patches.restore()
    assert lib.work is work
    assert all(vars(lib.Thing).get(name) is value for name, value in before.items())
    assert "inherited" not in vars(lib.Thing)


def test_what_somebody_else_wrapped_over_us_stays_theirs(client: Client, write: Any, probe: Any, calls: list[object]) -> None:
    write("lib_over.py", LIBRARY)
    lib: Any = importlib.import_module("lib_over")
    client.patches.probe("lib_over:work", probe)
    ours = lib.work

    def theirs(*args: Any) -> Any:
        return ("theirs", ours(*args))

    lib.work = theirs
    client.patches.probe("lib_over:work", probe)
    assert (lib.work(1), len(calls)) == (("theirs", 1), 1)
    client.shutdown(0)
    assert lib.work is theirs
    assert (lib.work(2), len(calls)) == (("theirs", 2), 1)


@pytest.mark.failures
@pytest.mark.parametrize("target", ["lib_missing:nothing", "lib_missing:Nothing.method", "lib_missing:Thing.property"])
def test_a_missing_target_is_counted_and_nothing_else(client: Client, write: Any, probe: Any, target: str) -> None:
    write("lib_missing.py", LIBRARY)
    lib: Any = importlib.import_module("lib_missing")
    client.patches.probe(target, probe)
    assert client.failures.counts == {target: 1}
    assert lib.Thing().property == 1


def test_a_module_that_fails_keeps_its_import_error(client: Client, write: Any, probe: Any, calls: list[object]) -> None:
    write("lib_fails.py", "import does_not_exist_anywhere\ndef work(): return 1\n")
    client.patches.probe("lib_fails:work", probe)
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="does_not_exist_anywhere"):
            importlib.import_module("lib_fails")
    assert "lib_fails" not in sys.modules
    write("lib_fails.py", "def work(): return 12345\n")
    lib: Any = importlib.import_module("lib_fails")
    assert (lib.work(), len(calls)) == (12345, 1)


def test_a_module_that_does_not_exist_is_missing_as_ever(patches: Patches, probe: Any) -> None:
    patches.probe("lib_nowhere_at_all:work", probe)
    with pytest.raises(ModuleNotFoundError, match="lib_nowhere_at_all"):
        importlib.import_module("lib_nowhere_at_all")
    assert importlib.util.find_spec("lib_nowhere_at_all") is None


def test_a_namespace_package_is_imported_as_ever(patches: Patches, write: Any, probe: Any, calls: list[object]) -> None:
    write("lib_namespace/part.py", LIBRARY)
    patches.probe("lib_namespace.part:work", probe)
    patches.when("lib_namespace", "a place", lambda: None)
    part: Any = importlib.import_module("lib_namespace.part")
    part.work()
    assert len(calls) == 1


def test_only_asking_for_a_module_instruments_nothing(patches: Patches, write: Any, probe: Any, calls: list[object]) -> None:
    write("lib_asked.py", LIBRARY)
    patches.probe("lib_asked:work", probe)
    for _ in range(2):
        assert importlib.util.find_spec("lib_asked") is not None
    lib: Any = importlib.import_module("lib_asked")
    lib.work()
    assert len(calls) == 1


def test_another_finder_that_asks_the_whole_path_does_not_go_round_in_circles(patches: Patches, write: Any, probe: Any) -> None:
    class Asking:
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
            for finder in sys.meta_path:
                if finder is not self:
                    spec = finder.find_spec(name, path, target)
                    if spec is not None:
                        return spec
            return None

    write("lib_circle.py", LIBRARY)
    patches.probe("lib_circle:work", probe)
    asking = Asking()
    sys.meta_path.insert(0, asking)
    try:
        assert importlib.import_module("lib_circle").work(3) == 3
    finally:
        sys.meta_path.remove(asking)


def test_a_loader_that_serves_many_modules(patches: Patches, tmp_path: Path, write: Any, probe: Any, calls: list[object]) -> None:
    import zipfile

    archive = tmp_path / "libs.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("lib_zipped.py", "import lib_zipped_too\n" + LIBRARY)
        file.writestr("lib_zipped_too.py", LIBRARY)
    sys.path.insert(0, str(archive))
    try:
        patches.probe("lib_zipped:work", probe)
        patches.probe("lib_zipped_too:work", probe)
        lib: Any = importlib.import_module("lib_zipped")
        lib.work()
        lib.lib_zipped_too.work()
        assert len(calls) == 2
        assert "exec_module" not in vars(lib.__loader__)
    finally:
        sys.path.remove(str(archive))
        sys.path_importer_cache.pop(str(archive), None)


# Instrumentations of our own making


@pytest.fixture
def make(
    tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[Client, list[tuple[object, ...]]]]]:
    """`make(name, SUPPORTS)` writes the instrumentation of one library and starts a client that knows only it."""
    folder = tmp_path / "instrumentations_of_the_test"
    folder.mkdir()
    monkeypatch.setattr(brakit.patch, "INSTRUMENTATIONS", str(folder))
    monkeypatch.setattr(brakit.instrumentations, "__path__", [*brakit.instrumentations.__path__, str(folder)])
    clients: list[Client] = []

    def start(name: str, supports: str) -> tuple[Client, list[tuple[object, ...]]]:
        (folder / f"{name}.py").write_text(
            f'"""For a test."""\nSUPPORTS = "{supports}"\nCALLS = []\ndef instrument(patch):\n'
            f'    patch.probe("{name}:work", work)\ndef work(call):\n    CALLS.append(call.args)\n    yield\n'
        )
        importlib.invalidate_caches()
        client = Client(Config({"BRAKIT_ENABLE": "1"}), Decision(True, "on"))
        clients.append(client)
        client.start()
        found: list[tuple[object, ...]] = importlib.import_module(f"brakit.instrumentations.{name}").CALLS
        return client, found

    yield start
    for client in clients:
        client.shutdown(0)


def test_an_instrumentation_is_found_by_being_in_the_folder(make: Any, write: Any) -> None:
    write("lib_found.py", LIBRARY)
    client, calls = make("lib_found", ">=1.0,<2")
    lib: Any = importlib.import_module("lib_found")
    lib.work(1)
    assert calls == [(1,)]
    assert client.patches.versions == {"lib_found": "1.2.0"}
    assert client.failures.counts == {}


def test_a_version_out_of_range_is_refused_with_a_reason(make: Any, write: Any) -> None:
    write("lib_old.py", LIBRARY)
    client, calls = make("lib_old", ">=2.0")
    lib: Any = importlib.import_module("lib_old")
    lib.work(1)
    assert calls == []
    assert client.patches.versions == {"lib_old": "1.2.0: not supported, >=2.0 is"}
    assert client.failures.counts == {}


def test_an_unknown_version_is_refused_with_a_reason(make: Any, write: Any) -> None:
    write("lib_unknown.py", LIBRARY.replace('__version__ = "1.2.0"', ""))
    client, calls = make("lib_unknown", ">=1.0")
    importlib.import_module("lib_unknown").work(1)
    assert calls == []
    assert client.patches.versions == {"lib_unknown": "unknown: not supported, >=1.0 is"}


def test_a_reload_is_instrumented_again(make: Any, write: Any) -> None:
    write("lib_reload.py", LIBRARY)
    client, calls = make("lib_reload", "")
    lib: Any = importlib.import_module("lib_reload")
    importlib.reload(lib)
    fresh = lib.work.__wrapped__
    lib.work(1)
    assert calls == [(1,)]
    client.shutdown(0)
    assert lib.work is fresh


def test_an_instrumentation_that_fails_costs_nothing_but_itself(make: Any, write: Any, tmp_path: Path) -> None:
    write("lib_changed.py", "__version__ = '1.0'\nother = 1\n")
    client, _ = make("lib_changed", "")
    lib = importlib.import_module("lib_changed")
    assert lib.other == 1
    assert client.failures.counts == {"lib_changed:work": 1}


def test_what_is_skipped_is_not_instrumented(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(Config({"BRAKIT_SKIP": "logging, httpx"}), Decision(True, "on"))
    client.start()
    try:
        assert "logging" not in client.patches.versions
    finally:
        client.shutdown(0)


@pytest.mark.parametrize(
    ("specifier", "version", "expected"),
    [
        ("", "", True),
        ("", "anything", True),
        (">=0.24", "0.24", True),
        (">=0.24", "0.24.1", True),
        (">=0.24", "0.9", False),
        (">=0.24", "", False),
        (">=0.24", "unknown", False),
        (">=1.4,<3", "2.0.0b1", True),
        (">=1.4,<3", "3.0", False),
        (">=2", "2.0.dev3", True),
        (">=2.10", "2.9", False),
        ("<2.0", "2.0.0", False),
        ("<2.0", "1.9", True),
    ],
)
def test_ranges(specifier: str, version: str, expected: bool) -> None:
    assert supports(specifier, version) is expected


def test_a_version_stands_in_the_module_or_beside_it(write: Any) -> None:
    write("lib_beside/__init__.py", "")
    write("lib_beside_login-9.9.dist-info/METADATA", "")
    write("lib-1.0.dist-info/METADATA", "")
    write("lib_beside-4.5.6.dist-info/METADATA", "")
    write("lib_egg.py", "")
    write("lib_egg-7.8-py3.11.egg-info/PKG-INFO", "")
    write("lib_plain.py", "__version__ = (1, 2)\n")
    assert version_of(importlib.import_module("lib_beside")) == "4.5.6"
    write("Lib_Installed_As-1.2.dist-info/METADATA", "")
    assert version_of(importlib.import_module("lib_beside"), "lib-installed-as") == "1.2"
    assert version_of(importlib.import_module("lib_egg")) == "7.8"
    assert version_of(importlib.import_module("lib_plain")) == ""


# The contract that every file in the folder keeps


def library(name: str) -> ModuleType:
    """The target of an instrumentation."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed here")
    return importlib.import_module(name)


def instrumentation(name: str) -> ModuleType:
    return importlib.import_module(f"brakit.instrumentations.{name}")


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_sees_and_which_versions_it_supports(name: str) -> None:
    module = instrumentation(name)
    assert module.__doc__ is not None
    assert module.__doc__.startswith(name) or ":" in module.__doc__.splitlines()[0]
    assert isinstance(module.SUPPORTS, str)
    assert module.SUPPORTS == "" or module.SUPPORTS.startswith(">=")
    assert callable(module.instrument)


@pytest.mark.parametrize("name", NAMES)
def test_each_file_has_the_import_name_of_its_target(name: str) -> None:
    if name in OPTIONAL:
        library(name)
    assert importlib.util.find_spec(name) is not None


@pytest.mark.parametrize("name", NAMES)
def test_each_restores_every_original(name: str) -> None:
    library(name)
    others = ",".join(other for other in NAMES if other != name)
    client = Client(Config({"BRAKIT_SKIP": others}), Decision(True, "on"))
    client.buffer.wake = lambda: None
    client.start()
    patched = list(client.patches.restores)
    assert name in client.patches.versions
    assert "not supported" not in client.patches.versions[name]
    assert client.failures.counts == {}, client.failures.first
    client.patches._imported(name)
    assert len(client.patches.restores) == len(patched), "twice is once"
    client.shutdown(0)
    for holder, attribute, before, value in patched:
        now = vars(holder).get(attribute, brakit.patch.MISSING)
        assert now is before
        assert now is not value
    assert client.failures.counts == {}, client.failures.first


@pytest.mark.parametrize("name", NAMES)
def test_each_refuses_a_version_that_it_does_not_know(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not instrumentation(name).SUPPORTS:
        # A part of the standard library: its version is Python's.
        assert name in sys.stdlib_module_names
        return
    monkeypatch.setitem(vars(library(name)), "__version__", "0.0.1")
    others = ",".join(other for other in NAMES if other != name)
    client = Client(Config({"BRAKIT_SKIP": others}), Decision(True, "on"))
    client.start()
    try:
        assert "not supported" in client.patches.versions[name]
        assert client.patches.restores == []
        assert client.failures.counts == {}
    finally:
        client.shutdown(0)


def test_importing_the_libraries_instruments_them_all(client: Client) -> None:
    installed = [name for name in NAMES if importlib.util.find_spec(name) is not None]
    for name in installed:
        importlib.import_module(name)
    assert set(installed) <= set(client.patches.versions)
