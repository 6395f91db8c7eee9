"""The page of the corpus in the docs, and what `make corpus` prints: the same tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.corpus.running import Ran, verdict
from tests.corpus.scoring import DETECTORS, Score, ours, theirs

HEAD = """\
# The labelled corpus

Small apps and views that really run: SQLAlchemy (synchronous and on asyncio), Django, Flask, FastAPI, sqlite3, psycopg and
asyncpg on a real PostgreSQL, HTTP calls to a real neighbour. Each is recorded by the SDK and judged by the rules, and each
says what must be found, with the table and, where one line causes it, with the line. Whatever else is found is a false
finding; so a case that expects nothing is a trap for every rule. The cases are in `tests/corpus/families/`. `make corpus`
runs them and writes this page.

Precision is the share of the findings that are right, recall the share of what is there that was found. The rules were
written with these cases in sight: the figures say that they do what they claim, and how the definitions of others fare on
the same ground. They do not foretell the share of right findings in an app that nobody has seen, and where a rule has one or two
cases they say little more than that it works: its made-up cases are in `server/tests/analysis/corpus/`. What takes 50 ms in all
(Sentry) may change with the machine.
"""

OTHERS = """\
## The definitions of others, on the same events

Implemented in `bench/comparison/` after what their authors publish, and given more than they would have seen of a Python
app: every statement of every library as the driver got it, with the whole call stack. Each is compared on its own ground:
cases that are of its kind. Sentry asks for 50 ms in all, which a local database seldom takes; the second row of it counts
without that. The reference's rules about secrets and about earlier sessions are not among them: the events are masked, and
there is one session.
"""


def page(rans: Sequence[Ran]) -> str:
    """The whole page, the same for the same labels and findings."""
    parts = [HEAD, _cases(rans), _rules(rans), OTHERS, _others(rans), _off(rans), _traps(rans)]
    return "\n".join(part for part in parts if part)


def counts(rans: Iterable[Ran]) -> dict[str, int]:
    """How many cases there are of each family."""
    return dict(sorted(Counter(ran.case.family for ran in rans).items()))


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cases(rans: Sequence[Ran]) -> str:
    quiet = Counter(ran.case.family for ran in rans if not ran.case.expect)
    rows = [(name, count, count - quiet[name], quiet[name]) for name, count in counts(rans).items()]
    rows.append(("all", len(rans), len(rans) - quiet.total(), quiet.total()))
    return "## Cases\n\n" + _table(("family", "cases", "with findings", "nothing must be found"), rows)


def _rules(rans: Sequence[Ran]) -> str:
    rows = [(f"`{rule}`", *_figures(score)) for rule, score in ours(rans).items()]
    return "## Our rules\n\n" + _table(("rule", "right", "wrong", "missed", "precision", "recall"), rows)


def _figures(score: Score) -> tuple[object, ...]:
    none = not score.true and not score.false
    return score.true, score.false, score.missed, "–" if none else percent(score.precision), percent(score.recall)


def _others(rans: Sequence[Ran]) -> str:
    rows = []
    for detector in DETECTORS:
        ground = [ran for ran in rans if detector.ground(ran)]
        own = ours(ground)
        for rule, score in theirs(detector, rans).items():
            mine = own.get(rule, Score())
            rows.append(
                (detector.name, f"`{rule}`", len(ground), *_figures(score), percent(mine.precision), percent(mine.recall))
            )
    head = ("detector", "rule", "cases", "right", "wrong", "missed", "precision", "recall", "our precision", "our recall")
    grounds = "\n".join(f"- {detector.name}: {detector.of}" for detector in DETECTORS)
    return f"{_table(head, rows)}\nGround of each:\n\n{grounds}\n"


def _off(rans: Sequence[Ran]) -> str:
    lines = []
    for ran in rans:
        judged = verdict(ran)
        lines += [f"- `{ran.case.name}`: wrong: {rule}. {ran.case.known}" for rule, _ in judged.false]
        lines += [f"- `{ran.case.name}`: missed: {rule} on {table}. {ran.case.known}" for rule, table in judged.missed]
    return "## Where our rules are wrong\n\n" + "\n".join(lines) + "\n" if lines else ""


def _traps(rans: Sequence[Ran]) -> str:
    lines = [f"- `{ran.case.name}`: {ran.case.trap}" for ran in rans if ran.case.trap]
    return "## Traps\n\n" + "\n".join(lines) + "\n"


def percent(share: float) -> str:
    """A share in whole percent, never rounded up to all of it."""
    return f"{int(share * 100 + 1e-9)} %"
