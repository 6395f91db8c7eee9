"""`python -m tests.corpus` runs every case, prints the page of the corpus and writes it to docs/corpus.md.

With words, only cases whose names contain one of them, and of each what was found; `--json` prints figures for the test instead and
writes nothing. Ends with 1 where a case is not as its labels say, unless the case says that this is known.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Sequence

from tests.corpus.cases import Case
from tests.corpus.families import postgres
from tests.corpus.page import counts, page
from tests.corpus.running import ROOT, Ran, Verdict, cases, run, verdict
from tests.corpus.scoring import DETECTORS, ours, theirs

PAUSES = (0.2, 1.0)
"""Seconds before a case is run again."""
PAGE = ROOT / "docs" / "corpus.md"


def main(words: Sequence[str]) -> int:
    # What the cases log is recorded; it is not to be read here.
    logging.getLogger().addHandler(logging.NullHandler())
    names = [word for word in words if not word.startswith("--")]
    rans = [run_again(case) for case in cases() if not names or any(word in case.name for word in names)]
    verdicts = {ran.case.name: verdict(ran) for ran in rans}
    off = [ran for ran in rans if _off(verdicts[ran.case.name]) and not ran.case.known]
    if "--json" in words:
        print(json.dumps(figures(rans)))
        return 0
    if names:
        for ran in rans:
            print(ran.case.name, *(f"{name} {pairs}" for name, pairs in verdicts[ran.case.name]._asdict().items() if pairs))
        return bool(off)
    text = page(rans)
    print(text)
    for ran in off:
        print(f"not as labelled: {ran.case.name}: {verdicts[ran.case.name]}", file=sys.stderr)
    if postgres.FAMILIES:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print("no PostgreSQL on 127.0.0.1:5432: its cases did not run, and docs/corpus.md stays as it is", file=sys.stderr)
    return bool(off)


def run_again(case: Case) -> Ran:
    """A machine that stands still for a moment looks like an app that does: what is not as labelled has to be so each time."""
    for pause in PAUSES:
        ran = run(case)
        if case.known or not _off(verdict(ran)):
            return ran
        time.sleep(pause)
    return run(case)


def figures(rans: Sequence[Ran]) -> dict[str, object]:
    """All that the test looks at."""
    return {
        "cases": {
            ran.case.name: {"expected": bool(ran.case.expect), "known": ran.case.known, **verdict(ran)._asdict()} for ran in rans
        },
        "families": counts(rans),
        "rules": {rule: (score.precision, score.recall) for rule, score in ours(rans).items()},
        "others": [
            {
                "name": detector.name,
                "n1": theirs(detector, rans)["n1"][:],
                "ours": ours([ran for ran in rans if detector.ground(ran)])["n1"][:],
            }
            for detector in DETECTORS
        ],
    }


def _off(judged: Verdict) -> bool:
    return bool(judged.false or judged.missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
