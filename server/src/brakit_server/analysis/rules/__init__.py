"""The rules: one class a file, found by being in this folder. The file's name is the rule's id.

A rule reads a `Timeline` (one request with its events) or a `Window` (one endpoint's figures) and answers with findings. It keeps
nothing between calls and never sees the store. Its docstring has the sections *What it finds*, *Why it matters*, *Fix* and *What
it leaves alone*; the page of rules in the docs is made of them (`python -m brakit_server.analysis.rules`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import ClassVar

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.timeline import Timeline
from brakit_server.analysis.window import Window
from brakit_server.answers import Category


class SettingError(ValueError):
    """The settings name a rule or a threshold that does not exist, or give it a value of the wrong type."""


class Rule:
    """A rule. Its thresholds are its annotated class attributes; settings replace them by name.

    `settings` are those of this rule. Raises `SettingError`.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    category: ClassVar[Category]

    enabled: bool = True
    """False: the rule is not asked."""

    def __init_subclass__(cls) -> None:
        cls.id = cls.__module__.rpartition(".")[2].replace("_", "-")

    def __init__(self, settings: Mapping[str, object] | None = None) -> None:
        known = self.thresholds()
        for name, value in (settings or {}).items():
            if name not in known:
                raise SettingError(f"rule {self.id} has no threshold {name!r}; it has {', '.join(known)}")
            wanted = type(known[name])
            number = wanted in (int, float) and isinstance(value, int | float) and not isinstance(value, bool)
            if not number and not (wanted is bool and isinstance(value, bool)):
                raise SettingError(f"rule {self.id}: {name} is {value!r}; it must be a {wanted.__name__}")
            setattr(self, name, value)

    @classmethod
    def thresholds(cls) -> dict[str, bool | int | float]:
        """Every threshold and its default, `enabled` first."""
        return {
            name: getattr(cls, name)
            for each in (Rule, cls)
            for name in each.__annotations__
            if isinstance(getattr(cls, name, None), bool | int | float)
        }

    def check(self, timeline: Timeline) -> Iterable[Finding]:  # noqa: ARG002
        """What one request shows, or (its `request` None) what happened outside any."""
        return ()

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:  # noqa: ARG002
        """What the newest requests of one endpoint show; None while they are too few to tell. Asked after each request."""
        return None


def classes() -> list[type[Rule]]:
    """The class of each file of this folder, by id."""
    found: list[type[Rule]] = []
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("_"):
            continue
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        own = [each for each in vars(loaded).values() if isinstance(each, type) and each.__module__ == loaded.__name__]
        (rule,) = (each for each in own if issubclass(each, Rule))
        found.append(rule)
    return sorted(found, key=lambda rule: rule.id)


def load(settings: object = None) -> list[Rule]:
    """The enabled rules. `settings` is an object of rule id to object of threshold to value. Raises `SettingError`."""
    chosen = {} if settings is None else settings
    if not isinstance(chosen, Mapping):
        raise SettingError(f"rules is {settings!r}; it must be a table of rule ids")
    known = classes()
    for name, thresholds in chosen.items():
        if name not in {rule.id for rule in known}:
            raise SettingError(f"there is no rule {name!r}; there are {', '.join(rule.id for rule in known)}")
        if not isinstance(thresholds, Mapping):
            raise SettingError(f"rule {name}: {thresholds!r} must be a table of thresholds")
    return [rule for rule in (each(chosen.get(each.id)) for each in known) if rule.enabled]
