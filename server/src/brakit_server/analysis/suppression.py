"""What is not to be shown as open: by a comment at the line, by a pattern in the settings, or because the baseline file knows it.

A suppressed finding is an issue all the same, in state `ignored` and counted, so that nothing disappears without a trace.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import SettingError, classes
from brakit_server.answers import StatefulIssue, Suppression
from brakit_server.details import Baseline, BaselineIssue

log = logging.getLogger(__name__)

FILE = "brakit-baseline.json"
MAX_BYTES = 20_000_000

_COMMENT = re.compile(r"\s*(?:\[([\w\-*, ]*)\])?[\s:,-]*(.*)", re.DOTALL)


class Pattern(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One table `[[tool.brakit.ignore]]`: every pattern (as for file names: `*`, `?`, `[ab]`) that is set must fit."""

    rule: str | None = None
    route: str | None = None
    """`GET /admin/*`, or without a method."""
    at: str | None = None
    """`app/legacy.py:*`: file and function of the call site."""
    reason: str | None = None

    @property
    def text(self) -> str:
        """For people."""
        return " ".join(each for each in (self.rule, self.route, self.at) if each is not None)

    def fits(self, finding: Finding) -> bool:
        """Whether it is to be ignored."""
        return (
            (self.rule is None or fnmatchcase(finding.rule, self.rule))
            and (self.route is None or _route_fits(self.route, finding.endpoint))
            and (self.at is None or _site_fits(self.at, finding))
        )


class Suppressions:
    """Of one engine. `patterns` are the tables of the settings, `baseline` the file. Raises `SettingError`."""

    def __init__(self, patterns: object = (), baseline: Path | None = None) -> None:
        self._aliases = {alias: rule.id for rule in classes() for alias in rule.aliases}
        self.patterns = _patterns(patterns, self._aliases)
        self.problem: str | None = None
        """Why the baseline file cannot be read, where that is so."""
        self._file = baseline
        self._stamp: tuple[int, int] | None = None
        self._known: frozenset[str] = frozenset()
        self.read()

    @property
    def known(self) -> frozenset[str]:
        """Identities that the baseline has."""
        return self._known

    def read(self) -> None:
        """Read the baseline again, where it is another file than the last time."""
        if self._file is None:
            return
        try:
            state = self._file.stat()
        except OSError:
            self._stamp, self._known, self.problem = None, frozenset(), None
            return
        stamp = (state.st_mtime_ns, state.st_size)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            if not self._file.is_file() or state.st_size > MAX_BYTES:
                raise ValueError(f"no file of at most {MAX_BYTES} bytes")
            found = msgspec.json.decode(self._file.read_bytes(), type=Baseline)
        except (OSError, ValueError, RecursionError) as error:
            # What was known stays known: a file that is being edited makes nothing new.
            self.problem = f"{FILE} cannot be read: {error}"
            log.warning("%s", self.problem)
        else:
            self.problem, self._known = None, frozenset(issue.id for issue in found.issues)

    def of(self, finding: Finding) -> Suppression | None:
        """What suppresses it: the nearest to the code first."""
        site = finding.call_site
        if site is not None and site.ignore is not None:
            rules, reason = comment(site.ignore)
            if rules is None or finding.rule in {self._aliases.get(rule, rule) for rule in rules}:
                return Suppression(by="comment", what=f"{site.file}:{site.line}", reason=reason)
        for pattern in self.patterns:
            if pattern.fits(finding):
                return Suppression(by="settings", what=pattern.text, reason=pattern.reason)
        return Suppression(by="baseline", what=FILE) if finding.identity in self._known else None


def comment(text: str) -> tuple[frozenset[str] | None, str | None]:
    """What stands behind `# brakit: ignore`: rule ids, None for all, and the reason."""
    found = _COMMENT.fullmatch(text)
    assert found is not None
    named = None if found[1] is None else frozenset(each.strip() for each in found[1].split(",") if each.strip())
    return (None if named is None or "*" in named else named), found[2].strip() or None


def baseline_of(issues: Iterable[StatefulIssue]) -> Baseline:
    """The document that makes all of them known: those that are open, and those that a baseline ignores already."""
    kept: tuple[Literal["open", "fixing", "regressed"], ...] = ("open", "fixing", "regressed")
    known = [
        BaselineIssue(
            id=each.issue_id,
            rule=each.issue.rule,
            service=each.issue.service,
            endpoint=each.issue.endpoint,
            subject=each.issue.subject,
            title=each.issue.title,
        )
        for each in issues
        if each.state in kept or (each.suppression is not None and each.suppression.by == "baseline")
    ]
    known.sort(key=lambda each: (each.rule, each.service or "", each.endpoint or "", each.id))
    return Baseline(version=1, issues=known)


def _patterns(said: object, aliases: dict[str, str]) -> tuple[Pattern, ...]:
    try:
        patterns = msgspec.convert(said, tuple[Pattern, ...])
    except msgspec.ValidationError as error:
        raise SettingError(f"ignore in [tool.brakit]: {error}") from error
    ids = [rule.id for rule in classes()]
    found = []
    for pattern in patterns:
        if pattern.rule is None and pattern.route is None and pattern.at is None:
            raise SettingError("ignore in [tool.brakit]: a table has none of rule, route and at")
        rule = aliases.get(pattern.rule, pattern.rule) if pattern.rule is not None else None
        if rule is not None and not any(fnmatchcase(id, rule) for id in ids):
            raise SettingError(f"ignore in [tool.brakit]: there is no rule {rule!r}; there are {', '.join(ids)}")
        found.append(msgspec.structs.replace(pattern, rule=rule))
    return tuple(found)


def _route_fits(pattern: str, endpoint: str | None) -> bool:
    if endpoint is None:
        return False
    return fnmatchcase(endpoint if " " in pattern else endpoint.rpartition(" ")[2], pattern)


def _site_fits(pattern: str, finding: Finding) -> bool:
    site = finding.call_site
    return site is not None and fnmatchcase(f"{site.file}:{site.function}", pattern)
