"""Runs other people's tests with us in their process: `python -m tests.suites [flask ...]`, or `make suites NAME=flask`.

The suite in the source distribution of each library runs twice, in an environment of its own under .cache/suites/: without us, and with
the SDK active from the first import on, in the children of the tests too, against a server that counts what comes. What fails only with
us is run again by itself, three times each way. Ends with 1 where a test fails for no reason that the catalogue names, where a line of
ours has failed, and where an event is not of the schema.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.matrix import CACHE, environment
from tests.suites import sources
from tests.suites.catalogue import SUITES, TESTLESS, Suite
from tests.suites.recording import Recorder
from tests.suites.running import AGAIN, SECONDS, Ran, Runner, alone, missing, newly, own_redis

MOST_ALONE = 12
"""Newly failing tests of one suite that are run again by themselves; those beyond count as they are."""
SHOWN = 12
"""Lines of a failure that are printed, of its end."""


@dataclass
class Row:
    """A row of the table."""

    name: str
    release: str = ""
    note: str = ""
    without: Ran = field(default_factory=Ran)
    with_us: Ran = field(default_factory=Ran)
    came: str = ""
    ours: dict[str, str] = field(default_factory=dict)
    """Tests that fail with us and by themselves, and do not without us: why they must, or how they fail."""
    unsteady: dict[str, str] = field(default_factory=dict)
    """Tests that failed in the whole run with us, and by themselves not each time or without us too."""
    expected: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.note and not self.ours and not self.faults


def attempt(name: str, suite: Suite) -> Row:
    """Both runs of one suite."""
    row = Row(name, sources.release(name))
    with tempfile.TemporaryDirectory(prefix="suites-") as folder, contextlib.ExitStack() as stack:
        try:
            source = sources.fetch(name, Path(folder))
            needs = [one for one in sources.requirements(source) if not sources.named(one, (*suite.without, "pytest"))]
            wanted = [*needs, *suite.needs, f"{name}=={row.release}", suite.pytest, "pytest-timeout"]
            python = environment(CACHE / "suites" / name, Path(sys.executable), wanted)
        except sources.NotThere as reason:
            row.note = str(reason)
            return row
        except subprocess.CalledProcessError:
            row.note = "not installed: what its tests need does not install here"
            return row
        if not suite.installed:
            sources.unshadow(source, name)
        redis = stack.enter_context(own_redis(Path(folder))) if suite.redis else ""
        runner = Runner(suite, source, python, redis)
        recorder = Recorder()
        stack.callback(recorder.close)
        row.without = runner.run(0, SECONDS)
        row.with_us = runner.run(recorder.port, SECONDS)
        row.came = recorder.told()
        if not recorder.kinds:
            row.faults.append("nothing was recorded: the run with us proves nothing")
        judge(row, runner, recorder.port)
        for place, text in recorder.failures.items():
            if place in suite.fails:
                row.expected[place] = suite.fails[place]
            else:
                row.faults.append(f"a line of ours failed: {place}: {text}")
        row.faults += [f"not of the schema: {problem}" for problem in dict.fromkeys(recorder.problems)][:20]
        if recorder.drops:
            row.came += f"; dropped: {dict(recorder.drops)}"
    return row


def judge(row: Row, runner: Runner, port: int) -> None:
    """Sort what fails with us only: by its reason, by whether it does so each time."""
    for ran, what in ((row.without, "without us"), (row.with_us, "with us")):
        if not ran.count("passed"):
            row.faults.append(f"nothing passed {what}:\n{ran.output[-2000:]}")
    tried = 0
    for id in newly(row.without, row.with_us):
        reason = next((why for start, why in runner.suite.must.items() if id.startswith(start)), "")
        text = row.with_us.outcomes[id].text
        if reason:
            row.expected[id] = reason
        elif tried == MOST_ALONE:
            row.ours[id] = f"not run by itself, one of too many\n{text}"
        else:
            tried += 1
            print(
                f"  {row.name}: {id} fails with us; again, by itself: {(text.strip().splitlines() or [''])[-1][:200]}", flush=True
            )
            with_us, without = alone(runner, id, port)
            said = f"by itself it fails {with_us} of {AGAIN} times with us, {without} without"
            kind = row.ours if with_us == AGAIN and not without else row.unsteady
            kind[id] = f"{said}\n{text}"
    row.faults += [f"not run with us: {id}" for id in missing(row.without, row.with_us)][:20]


def show(row: Row) -> None:
    """The line of one suite, and all that is to say of it."""
    print(f"\n{'ok    ' if row.good else 'FAILED'} {row.name} {row.release}: {row.note or line(row)}", flush=True)
    for title, found in (("only with us", row.ours), ("unsteady", row.unsteady)):
        for id, text in found.items():
            said, *rest = text.splitlines()
            print("\n        ".join((f"  {title}: {id}: {said}", *rest[-SHOWN:])))
    for id, reason in row.expected.items():
        print(f"  has to differ: {id}: {reason}")
    for fault in row.faults:
        print(f"  {fault}")


def line(row: Row) -> str:
    cut = ", ".join(what for ran, what in ((row.without, "without"), (row.with_us, "with")) if ran.code is None)
    return (
        f"{row.without.count('passed')} passed, {row.without.count('failed')} failed, {row.without.count('skipped')} skipped "
        f"without us in {row.without.seconds:.0f} s; {row.with_us.count('passed')}, {row.with_us.count('failed')}, "
        f"{row.with_us.count('skipped')} with us in {row.with_us.seconds:.0f} s"
        + (f" (time was over {cut})" if cut else "")
        + f"; recorded: {row.came}"
    )


def main() -> int:
    names = sys.argv[1:] or list(SUITES)
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        print(f"no such suite: {', '.join(unknown)}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 2
    # Whoever ends us ends the tests as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows = []
    for name in names:
        rows.append(attempt(name, SUITES[name]))
        show(rows[-1])
    print()
    print(f"{'':7}{'library':14}{'release':10}{'tests':>7}{'only with us':>14}{'has to differ':>15}{'unsteady':>10}  note")
    for row in rows:
        numbers = f"{len(row.with_us.outcomes):>7}{len(row.ours):>14}{len(row.expected):>15}{len(row.unsteady):>10}"
        print(f"{'ok' if row.good else 'FAILED':7}{row.name:14}{row.release:10}{numbers}  {row.note}")
    if not sys.argv[1:]:
        print(f"no tests in their source distributions: {', '.join(TESTLESS)}")
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
