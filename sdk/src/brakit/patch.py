"""Arms an instrumentation when the app imports its target, and puts everything back.

Importing brakit imports no library: a finder in front of `sys.meta_path` notices when one is imported, lets the ordinary finders
do their work, and runs the instrumentation right after the module has been executed.
"""

from __future__ import annotations

import os
import sys

from brakit import guard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Probe

MISSING = object()
INSTRUMENTATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instrumentations")


class Finder:
    """A meta path finder that finds nothing itself: it tells when a module that we wait for has been executed."""

    def __init__(self, done: Callable[[str], None]) -> None:
        self.done = done
        self.waiting: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self.waiting:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self._watch(name, spec.loader)
                return spec
        return None

    def _watch(self, name: str, loader: Any) -> None:
        """Let `loader` execute the module as it would, then tell. Only this one loader object is changed, and only until then."""
        execute = getattr(loader, "exec_module", None)
        if execute is None or isinstance(loader, type):
            return

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            execute(module)
            self.waiting.discard(name)
            self.done(name)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            return


class Patches:
    """Everything that is patched in this process, and what was there before."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.finder = Finder(self._imported)
        self.restores: list[tuple[Any, str, Any, Any]] = []
        self.undos: list[Callable[[], None]] = []
        self.versions: dict[str, str] = {}
        self.later: dict[str, list[tuple[str, Probe]]] = {}
        self.names = sorted(
            file[:-3] for file in os.listdir(INSTRUMENTATIONS) if file.endswith(".py") and not file.startswith("_")
        )

    def arm(self) -> None:
        """Wait for every target; those that are already imported are instrumented now."""
        names = [name for name in self.names if name not in self.client.config.skip]
        self.finder.waiting.update(names)
        sys.meta_path.insert(0, self.finder)
        for name in names:
            if name in sys.modules:
                self.finder.waiting.discard(name)
                self._imported(name)

    def _imported(self, module: str) -> None:
        for target, probe in self.later.pop(module, ()):
            guard.run(self.client.failures, target, self._probe, target, probe)
        if module in self.names:
            guard.run(self.client.failures, f"instrumentations.{module}", self._instrument, module)

    def _instrument(self, name: str) -> None:
        """Run one instrumentation, unless the version of its target is out of the range that it supports."""
        instrumentation = __import__(f"brakit.instrumentations.{name}", fromlist=("instrument",))
        version = version_of(sys.modules[name])
        if not supports(instrumentation.SUPPORTS, version):
            self.versions[name] = f"{version or 'unknown'}: not supported, {instrumentation.SUPPORTS} is"
            return
        self.versions[name] = version
        if getattr(instrumentation, "FRAMEWORK", False):
            self.client.framework = self.client.framework or name
        instrumentation.instrument(self)

    def probe(self, target: str, probe: Probe) -> None:
        """Put `probe` around `module:function` or `module:Class.method`, now or when the module is imported. Twice is once.

        Raises nothing: a target that does not exist is counted as a failure of ours.
        """
        module = target.partition(":")[0]
        if module in sys.modules and module not in self.finder.waiting:
            guard.run(self.client.failures, target, self._probe, target, probe)
        else:
            self.later.setdefault(module, []).append((target, probe))
            self.finder.waiting.add(module)

    def _probe(self, target: str, probe: Probe) -> None:
        module, _, path = target.partition(":")
        holder: Any = sys.modules[module]
        *outer, name = path.split(".")
        for part in outer:
            holder = getattr(holder, part)
        self.wrap(holder, name, target, probe)

    def wrap(self, holder: Any, name: str, place: str, probe: Probe) -> None:
        """Put `probe` around the attribute `name` of a module or class."""
        before = vars(holder).get(name, MISSING)
        current = getattr(holder, name) if before is MISSING else before
        kind = type(current) if isinstance(current, (staticmethod, classmethod)) else None
        original = current.__func__ if kind is not None else current
        if any(held is holder and attribute == name for held, attribute, _, _ in self.restores):
            return
        wrapper: Any = guard.bracket(self.client, place, original, probe)
        self.replace(holder, name, kind(wrapper) if kind is not None else wrapper)

    def replace(self, holder: Any, name: str, value: Any) -> None:
        """Set an attribute and remember what was there."""
        before = vars(holder).get(name, MISSING)
        setattr(holder, name, value)
        self.restores.append((holder, name, before, value))

    def undo(self, function: Callable[[], None]) -> None:
        """Call `function` at shutdown: for a change that is not an attribute."""
        self.undos.append(function)

    def restore(self) -> None:
        """Put every original back, newest first. What somebody else has wrapped since stays theirs: our part in it goes quiet."""
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        self.finder.waiting.clear()
        self.later.clear()
        for undo in reversed(self.undos):
            guard.run(self.client.failures, "undo", undo)
        self.undos.clear()
        for holder, name, before, value in reversed(self.restores):
            if vars(holder).get(name) is not value:
                continue
            if before is MISSING:
                delattr(holder, name)
            else:
                setattr(holder, name, before)
        self.restores.clear()


def version_of(module: ModuleType) -> str:
    """Version of an imported library: its `__version__`, else its metadata folder beside it; empty when neither tells.

    `importlib.metadata` would import the email package into the app for this.
    """
    version = vars(module).get("__version__")
    if isinstance(version, str):
        return version
    file = getattr(module, "__file__", None)
    if not file:
        return ""
    folder = os.path.dirname(file)
    if os.path.basename(file).startswith("__init__."):
        folder = os.path.dirname(folder)
    prefix = module.__name__.lower() + "-"
    for entry in os.listdir(folder):
        if entry.endswith(".dist-info") and entry.lower().replace("_", "-").startswith(prefix):
            return str(entry[len(prefix) : -len(".dist-info")])
    return ""


def supports(specifier: str, version: str) -> bool:
    """Whether `version` is within `specifier`, a comma-separated list of `>=`, `<` with dotted numbers; "" takes any."""
    if not specifier:
        return True
    numbers = _numbers(version)
    if not numbers:
        return False
    for clause in specifier.split(","):
        clause = clause.strip()
        bound = _numbers(clause.lstrip("<>="))
        if clause.startswith(">=") and numbers < bound:
            return False
        if clause.startswith("<") and not clause.startswith("<=") and numbers >= bound:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.split(".")[:4]:
        digits = ""
        for character in part:
            if not ("0" <= character <= "9"):
                break
            digits += character
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
