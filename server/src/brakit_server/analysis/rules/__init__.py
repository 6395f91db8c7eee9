"""The rules: one class a file, found by being in this folder. The file's name is the rule's id.

A rule reads a `Timeline` (one request or job with its events), a `Window` (one endpoint's or job's figures) or a `Service` (all its
windows) and answers with findings. It keeps nothing between calls and never sees the store. Its docstring has the sections *What it
finds*, *Why it matters*, *Fix* and *What it leaves alone*; the page of rules in the docs is made of them
(`python -m brakit_server.analysis.rules`). How to write one: docs/rules-howto.md.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.timeline import Kind, Timeline
from brakit_server.analysis.window import Service, Window
from brakit_server.answers import Category, Confidence, Severity
from brakit_server.records import Callsite

Need = Literal["queries", "marks", "fetches", "logs", "errors", "auth_checks", "spans"]
"""A list of a `Timeline`."""

Level = Literal["timeline", "endpoint", "service"]


class SettingError(ValueError):
    """The settings name a rule or a threshold that does not exist, or give it a value of the wrong type."""


class Rule:
    """A rule. Its thresholds are its annotated class attributes; settings replace them by name.

    A rule has one of `check`, `check_endpoint` and `check_service`. `settings` are those of this rule. Raises `SettingError`.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    category: ClassVar[Category]
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names by which settings may call it."""
    kinds: ClassVar[tuple[Kind, ...]] = ("request", "job")
    """Of what it wants to see timelines and windows; `none`: events that nothing owns."""
    needs: ClassVar[tuple[Need, ...]] = ()
    """It is asked about timelines that have something in at least one of these; all, where there are none."""
    noise: ClassVar[bool] = False
    """True: it is asked about health checks and static files too."""
    level: ClassVar[Level]
    """By which of the three methods it has."""

    enabled: bool = True
    """False: the rule is not asked."""

    def __init_subclass__(cls) -> None:
        cls.id = cls.__module__.rpartition(".")[2].replace("_", "-")
        levels: dict[str, Level] = {"check": "timeline", "check_endpoint": "endpoint", "check_service": "service"}
        own = [level for name, level in levels.items() if getattr(cls, name) is not getattr(Rule, name)]
        if len(own) != 1:
            raise TypeError(f"rule {cls.id} must have one of {', '.join(levels)}")
        cls.level = own[0]

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
            if isinstance(getattr(cls, name, None), bool | int | float) and name not in _NO_THRESHOLDS
        }

    def check(self, timeline: Timeline) -> Iterable[Finding]:  # noqa: ARG002
        """What one request or job shows, or (kind `none`) what nothing owns. Asked once, and again when events of it come late."""
        return ()

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:  # noqa: ARG002
        """What the newest requests of one endpoint show; None while they are too few to tell. Asked soon after new ones came."""
        return None

    def check_service(self, service: Service) -> Iterable[Finding] | None:  # noqa: ARG002
        """What the endpoints of one service show together; None while they are too few to tell. Asked twice a minute at most."""
        return None

    def finding(
        self,
        of: Timeline | Window | Service,
        *,
        severity: Severity,
        title: str,
        desc: str,
        hint: str,
        subject: str,
        detail: str | None = None,
        call_site: Callsite | None = None,
        evidence: Iterable[str] | None = None,
        cost_ms: float | None = None,
        sql: str | None = None,
        confidence: Confidence = "certain",
        fix: str | None = None,
        endpoint: str | None = None,
    ) -> Finding:
        """A finding of this rule about `of`, from which service, endpoint and evidence are taken where they are not given.

        `subject` tells findings of one rule in one endpoint apart: names and hashes only, no counts, times or line numbers.
        """
        shown = tuple(evidence) if evidence is not None else of.evidence() if isinstance(of, Timeline) else ()
        return Finding(
            rule=self.id,
            category=self.category,
            severity=severity,
            title=title,
            desc=desc,
            hint=hint,
            endpoint=endpoint if isinstance(of, Service) else of.endpoint,
            service=of.name if isinstance(of, Service) else of.service,
            subject=subject,
            detail=detail,
            call_site=call_site,
            evidence=shown,
            cost_ms=cost_ms,
            sql=sql,
            confidence=confidence,
            fix=fix,
        )


_NO_THRESHOLDS = frozenset({"noise"})


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
    """The enabled rules. `settings` is an object of rule id (or alias) to object of threshold to value. Raises `SettingError`."""
    chosen = {} if settings is None else settings
    if not isinstance(chosen, Mapping):
        raise SettingError(f"rules is {settings!r}; it must be a table of rule ids")
    known = classes()
    names = {name: rule.id for rule in known for name in (rule.id, *rule.aliases)}
    by_rule: dict[str, Mapping[str, object]] = {}
    for name, thresholds in chosen.items():
        if name not in names:
            raise SettingError(f"there is no rule {name!r}; there are {', '.join(rule.id for rule in known)}")
        if not isinstance(thresholds, Mapping):
            raise SettingError(f"rule {name}: {thresholds!r} must be a table of thresholds")
        by_rule[names[name]] = {**by_rule.get(names[name], {}), **thresholds}
    return [rule for rule in (each(by_rule.get(each.id)) for each in known) if rule.enabled]
