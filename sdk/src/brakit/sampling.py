"""What is left out on request: paths, jobs and outgoing calls that are ignored, and routes of which only a share is kept.

A pattern is literal text in which `*` stands for any characters. It means outgoing calls when it has `://` in it, paths of requests
when it begins with `/`, and names of jobs otherwise.
"""

from __future__ import annotations

from itertools import count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from brakit.config import Config
    from brakit.context import Owner

KEPT = 0
SAMPLED_OUT = 1
"""Left out for now: comes back when it fails."""
IGNORED = 2


RANKS = {"debug": 0, "info": 1, "warn": 2, "error": 3}
"""Levels of logs by their weight."""


class Pattern:
    """`*` stands for any characters, everything else for itself. Takes time linear in the text."""

    __slots__ = ("parts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts = text.split("*")

    def matches(self, text: str) -> bool:
        first, *middle = self.parts
        if not middle:
            return text == first
        last = middle.pop()
        at, end = len(first), len(text) - len(last)
        if at > end or not text.startswith(first) or not text.endswith(last):
            return False
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


class Share:
    """Keeps an even share of what matches: of every 10 at a rate of 0.1 the first. No random numbers: the app may have seeded them."""

    __slots__ = ("counter", "pattern", "rate")

    def __init__(self, pattern: str, rate: float) -> None:
        self.pattern = Pattern(pattern)
        self.rate = rate
        self.counter = count()

    def keeps(self) -> bool:
        number = next(self.counter)
        # The ceiling goes up by one at the first of each share; a rate of 0.1 is a little more than a tenth as a float.
        return _ceiling((number + 1) * self.rate) > _ceiling(number * self.rate)


class Sampler:
    """The rules of one process. `kind` is `/` for a path, `://` for a URL, `` for the name of a job."""

    def __init__(
        self,
        ignored: tuple[str, ...],
        shares: tuple[tuple[str, float], ...],
        level: str = "",
        loggers: tuple[str, ...] = (),
    ) -> None:
        self.rank = RANKS.get(level, 0)
        self.loggers = [Pattern(text) for text in loggers]
        self.ignored: dict[str, list[Pattern]] = {}
        self.shares: dict[str, list[Share]] = {}
        for text in ignored:
            self.ignored.setdefault(_kind(text), []).append(Pattern(text))
        for text, rate in shares:
            self.shares.setdefault(_kind(text), []).append(Share(text, rate))

    def decide(self, kind: str, text: str) -> int:
        """`KEPT`, `SAMPLED_OUT` or `IGNORED`."""
        for pattern in self.ignored.get(kind, ()):
            if pattern.matches(text):
                return IGNORED
        for share in self.shares.get(kind, ()):
            if share.pattern.matches(text):
                return KEPT if share.keeps() else SAMPLED_OUT
        return KEPT

    def wants(self, level: object, logger: object) -> bool:
        """Whether a log is recorded; one whose level or logger is not known is."""
        if type(level) is str and RANKS.get(level, 3) < self.rank:
            return False
        return type(logger) is not str or not any(pattern.matches(logger) for pattern in self.loggers)


def _ceiling(number: float) -> int:
    return -int(-(number - 1e-9) // 1)


def _kind(pattern: str) -> str:
    return "://" if "://" in pattern else "/" if pattern.startswith("/") else ""


def parse_share(text: str) -> tuple[str, float] | None:
    """`/poll=0.1` or `/poll=10%`: a pattern and a share from 0 to 1; None for anything else."""
    pattern, _, number = text.rpartition("=")
    percent = number.endswith("%")
    digits = number[:-1] if percent else number
    if not pattern or not digits.isascii() or not digits.replace(".", "", 1).isdigit():
        return None
    rate = float(digits) / (100 if percent else 1)
    return (pattern, rate) if rate <= 1 else None


def bring_back(owner: Owner) -> None:
    """Something has failed in it: keep what comes from here on, unless it is ignored."""
    root = owner.root
    if owner.muted == SAMPLED_OUT:
        owner.muted = KEPT
    if root is not None and root.muted == SAMPLED_OUT:
        root.muted = KEPT


def sampler_of(config: Config) -> Sampler | None:
    """None where everything is recorded."""
    if config.ignore or config.sample or config.log_level or config.log_ignore:
        return Sampler(config.ignore, config.sample, config.log_level, config.log_ignore)
    return None
