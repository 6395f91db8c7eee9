"""Arms an instrumentation when the app imports its target, and puts everything back.

Importing brakit imports no library: a finder in front of `sys.meta_path` notices when one is imported, lets the ordinary finders
do their work, and runs the instrumentation right after the module has been executed.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident

from brakit import entry_points, guard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from brakit.client import Client
    from brakit.config import Setting
    from brakit.guard import Probe

MISSING = object()
INSTRUMENTATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instrumentations")


class Finder:
    """A meta path finder that finds nothing itself: it tells when a module that we watch has been executed.

    `attempt` guards what is ours: an import of the app's does not fail for it.
    """

    def __init__(self, attempt: Callable[..., Any], done: Callable[[str, bool], None]) -> None:
        self.attempt = attempt
        self.done = done
        self.watched: set[str] = set()
        self.busy: set[tuple[int, str]] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        # Somebody else's finder may ask the whole path as well, and so come back here.
        key = (get_ident(), name)
        if name not in self.watched or key in self.busy:
            return None
        self.busy.add(key)
        try:
            for finder in list(sys.meta_path):
                if finder is self or not hasattr(finder, "find_spec"):
                    continue
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    self.attempt("import", self.watch, name, spec.loader, name in sys.modules)
                    return spec
        finally:
            self.busy.discard(key)
        return None

    def watch(self, name: str, loader: Any, again: bool) -> None:
        """Let `loader` execute the module as it would, then tell. Only this one loader object is changed, and only until then."""
        execute = getattr(loader, "exec_module", None)
        if execute is None or isinstance(loader, type):
            return

        def exec_module(module: ModuleType) -> None:
            # One loader may serve many modules: that of a zip file does, and pytest's.
            if module.__name__ != name:
                execute(module)
                return
            loader.__dict__.pop("exec_module", None)
            execute(module)
            self.attempt("import", self.done, name, again)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            return


class Patches:
    """Everything that is patched in this process, and what was there before."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.finder = Finder(client.attempt, self._imported)
        self.restores: list[tuple[Any, str, Any, Any]] = []
        self.undos: list[Callable[[], None]] = []
        self.versions: dict[str, str] = {}
        self.later: dict[str, list[tuple[str, Callable[..., None], tuple[Any, ...]]]] = {}
        self.modules: dict[str, str] = {}
        self.ready: set[str] = set()

    def arm(self) -> None:
        """Wait for every target; those that are already imported are instrumented now."""
        # One that comes with another distribution takes the place of ours: somebody has put it there.
        known = {**shipped(), **entry_points.find(sys.path)}
        skip = self.client.config.skip
        self.modules = {name: module for name, module in known.items() if name not in skip}
        self.client.config.problems += [
            f"BRAKIT_SKIP: there is no instrumentation {name!r}" for name in skip if name not in known
        ]
        self.finder.watched.update(self.modules)
        sys.meta_path.insert(0, self.finder)
        for name in self.modules:
            # None stands there for a module that somebody does not want to be found.
            if sys.modules.get(name) is not None:
                self._imported(name)

    def _imported(self, module: str, again: bool = False) -> None:
        if self._asleep(module):
            return
        self.ready.add(module)
        if again:
            # A reload has put new functions into the module; what is remembered of its old ones is void.
            self.restores = [entry for entry in self.restores if entry[0] is not sys.modules.get(module)]
        for place, function, args in self.later.pop(module, ()):
            guard.run(self.client.failures, place, function, *args)
        if module in self.modules:
            guard.run(self.client.failures, f"instrumentations.{module}", self._instrument, module)

    def _asleep(self, name: str) -> bool:
        """Whether a module is one of `importlib.util.LazyLoader` that nobody has needed so far. Then its execution is waited for."""
        module, lazy = sys.modules.get(name), getattr(sys.modules.get("importlib.util"), "_LazyModule", None)
        if lazy is None or type(module) is not lazy:
            return False
        spec = object.__getattribute__(module, "__spec__")
        if spec.loader_state.get("is_loading"):
            return False
        self.finder.watch(name, spec.loader, False)
        return True

    def _instrument(self, name: str) -> None:
        """Run one instrumentation, unless the version of its target is out of the range that it supports."""
        instrumentation = __import__(self.modules[name], fromlist=("instrument",))
        version = version_of(sys.modules[name], getattr(instrumentation, "DISTRIBUTION", name))
        if not supports(instrumentation.SUPPORTS, version):
            self.versions[name] = f"{version or 'unknown'}: not supported, {instrumentation.SUPPORTS} is"
            return
        self.versions[name] = version
        if getattr(instrumentation, "FRAMEWORK", False):
            self.client.framework = self.client.framework or name
        instrumentation.instrument(self)

    def option(self, setting: Setting) -> Any:
        """The value of a setting that an instrumentation declares in its `OPTIONS`."""
        return self.client.config.read(setting)

    def probe(self, target: str, probe: Probe) -> None:
        """Put `probe` around `module:function` or `module:Class.method`, now or when the module is imported. Twice is once.

        Raises nothing: a target that does not exist is counted as a failure of ours.
        """
        self.when(target.partition(":")[0], target, self._probe, target, probe)

    def when(self, module: str, place: str, function: Callable[..., None], *args: Any) -> None:
        """Call `function` once `module` is imported, which may be now; `place` names it where it fails."""
        if module in self.ready or (module in sys.modules and module not in self.finder.watched):
            guard.run(self.client.failures, place, function, *args)
        else:
            self.later.setdefault(module, []).append((place, function, args))
            self.finder.watched.add(module)

    def _probe(self, target: str, probe: Probe) -> None:
        module, _, path = target.partition(":")
        holder: Any = sys.modules[module]
        *outer, name = path.split(".")
        for part in outer:
            holder = getattr(holder, part)
        self.wrap(holder, name, target, probe)

    def wrap(self, holder: Any, name: str, place: str, probe: Probe) -> None:
        """Put `probe` around the attribute `name` of a module or class."""
        current = _raw(holder, name)
        kind = type(current) if isinstance(current, (staticmethod, classmethod)) else None
        original = current.__func__ if kind is not None else current
        if self._holds(holder, name):
            return
        if not callable(original):
            raise TypeError(f"{place} is no function")
        wrapper: Any = guard.bracket(self.client, place, original, probe)
        self.replace(holder, name, kind(wrapper) if kind is not None else wrapper)

    def hook(
        self,
        holder: Any,
        name: str,
        place: str,
        before: Callable[..., Any],
        after: Callable[..., Any] | None = None,
        failed: Callable[..., Any] | None = None,
        *,
        takes: int | None = None,
        interest: str = "",
        instead: str = "",
    ) -> None:
        """Put functions around a method of a class, as `guard.around` says: the cheap form, for hot methods. Twice is once."""
        if self._holds(holder, name):
            return
        original = getattr(holder, name)
        wrapper = guard.around(
            self.client, place, original, before, after, failed, takes=takes, interest=interest, instead=instead
        )
        self.replace(holder, name, wrapper)

    def replace(self, holder: Any, name: str, value: Any) -> None:
        """Set an attribute and remember what was there. Twice is once."""
        if self._holds(holder, name):
            return
        before = vars(holder).get(name, MISSING)
        setattr(holder, name, value)
        self.restores.append((holder, name, before, value))

    def _holds(self, holder: Any, name: str) -> bool:
        return any(held is holder and attribute == name for held, attribute, _, _ in self.restores)

    def undo(self, function: Callable[[], None]) -> None:
        """Call `function` at shutdown: for a change that is not an attribute."""
        self.undos.append(function)

    def restore(self) -> None:
        """Put every original back, newest first. What somebody else has wrapped since stays theirs: our part in it goes quiet."""
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        self.finder.watched.clear()
        self.later.clear()
        for undo in reversed(self.undos):
            guard.run(self.client.failures, "undo", undo)
        self.undos.clear()
        for holder, name, before, value in reversed(self.restores):
            if vars(holder).get(name) is value:
                guard.run(self.client.failures, "restore", _put_back, holder, name, before)
        self.restores.clear()


def shipped() -> dict[str, str]:
    """The instrumentations in our own folder: the import name of the target, and the module."""
    files = sorted(os.listdir(INSTRUMENTATIONS))
    return {
        file[:-3]: f"brakit.instrumentations.{file[:-3]}" for file in files if file.endswith(".py") and not file.startswith("_")
    }


def _put_back(holder: Any, name: str, before: Any) -> None:
    if before is MISSING:
        delattr(holder, name)
    else:
        setattr(holder, name, before)


def _raw(holder: Any, name: str) -> Any:
    """The attribute as it stands in the class (or a base of it): a staticmethod object, not the function in it."""
    for place in (holder, *getattr(holder, "__mro__", ())):
        if name in vars(place):
            return vars(place)[name]
    return getattr(holder, name)


def version_of(module: ModuleType, distribution: str = "") -> str:
    """Version of an imported library: its `__version__`, else its metadata folder beside it; empty when neither tells.

    `distribution` is what it is installed as, where that is not the module's name.

    `importlib.metadata` would import the email package into the app for this.
    """
    version = vars(module).get("__version__")
    if isinstance(version, str):
        return version
    file = getattr(module, "__file__", None)
    if not file or module.__name__ in sys.stdlib_module_names:
        return ""
    folder = os.path.dirname(file)
    if os.path.basename(file).startswith("__init__."):
        folder = os.path.dirname(folder)
    name = (distribution or module.__name__).lower().replace("-", "_")
    for entry in os.listdir(folder):
        stem, _, suffix = entry.rpartition(".")
        # A dash in the name of a distribution is written as an underscore here: `Flask_Login-0.6.3.dist-info`.
        found, _, version_part = stem.partition("-")
        if suffix in ("dist-info", "egg-info") and found.lower() == name:
            return str(version_part.partition("-")[0])
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
