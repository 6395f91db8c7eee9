"""The labelled corpus runs once, in a process of its own: findings as the labels say, and better than the definitions of others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from bench.comparison.bullet import Bullet
from bench.comparison.prosopite import Prosopite
from bench.comparison.seen import Seen
from bench.comparison.sentry import Sentry
from tests.corpus.cases import Case, Family
from tests.corpus.families import postgres, sqlalchemy_orm, sqlite3_plain
from tests.corpus.hosts import Job
from tests.corpus.running import ROOT, run, verdict
from tests.corpus.scoring import Score
from tests.corpus.shop import sqlite

MIN_PRECISION, MIN_RECALL_N1 = 0.95, 0.95
SECONDS = 110


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    if not postgres.FAMILIES:
        pytest.skip("no PostgreSQL on 127.0.0.1:5432")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.corpus", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_the_findings_are_as_the_labels_say(figures: dict[str, Any]) -> None:
    off = {
        name: {"false": case["false"], "missed": case["missed"]}
        for name, case in figures["cases"].items()
        if not case["known"] and (case["false"] or case["missed"])
    }
    assert not off, json.dumps(off, indent=1)


def test_what_is_known_to_be_wrong_still_is(figures: dict[str, Any]) -> None:
    known = {name: case for name, case in figures["cases"].items() if case["known"]}
    assert all(case["false"] or case["missed"] for case in known.values()), list(known)


def test_precision_and_recall(figures: dict[str, Any]) -> None:
    assert {rule: precision for rule, (precision, _) in figures["rules"].items() if precision < MIN_PRECISION} == {}
    assert figures["rules"]["n1"][1] >= MIN_RECALL_N1


def test_better_than_others_on_their_own_ground(figures: dict[str, Any]) -> None:
    for other in figures["others"]:
        theirs, ours = Score(*other["n1"]), Score(*other["ours"])
        assert theirs.true + theirs.missed > 0, other["name"]
        assert ours.recall >= theirs.recall, other
        # One that says next to nothing is seldom wrong.
        assert ours.precision >= theirs.precision or ours.true >= 2 * theirs.true or ours.false == 0, other


def test_there_are_enough_of_both_kinds(figures: dict[str, Any]) -> None:
    expecting = [case for case in figures["cases"].values() if case["expected"]]
    assert len(figures["cases"]) >= 80
    assert len(expecting) >= 40
    assert len(figures["cases"]) - len(expecting) >= 40


def test_the_page_has_the_cases_that_there_are(figures: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "corpus.md").read_text(encoding="utf-8")
    told = {name: int(count) for name, count in re.findall(r"^\| ([\w-]+) \| (\d+) \| \d+ \| \d+ \|$", page, re.MULTILINE)}
    assert told == {**figures["families"], "all": len(figures["cases"])}, "`make corpus` writes the page"


# The harness itself: it must see what is missing and what is wrong.


def named(family: Family, name: str) -> Case:
    (case,) = [case for case in family.cases if case.name == f"{family.name}.{name}"]
    return case


def test_a_finding_that_is_missing_or_not_expected_is_seen() -> None:
    case = named(sqlite3_plain.case, "loop_with_parameters")
    ran = run(case)
    assert verdict(ran) == ([("n1", "items")], [], [])
    assert verdict(ran._replace(issues=[])) == ([], [], [("n1", "items")])
    labels: tuple[dict[str, tuple[str, ...]], ...] = ({"n1": ("orders",)}, {"slow": ("",)})
    for label in labels:
        wrong = verdict(ran._replace(case=case._replace(expect=label)))
        assert wrong.missed
        assert wrong.false
    elsewhere = case._replace(lines={"n1": frozenset({1})})
    assert verdict(ran._replace(case=elsewhere)).missed == [("n1", "items")]


def test_a_finding_that_is_told_twice_is_wrong_once() -> None:
    ran = run(named(sqlite3_plain.case, "loop_with_parameters"))
    assert len(verdict(ran._replace(issues=ran.issues * 2)).false) == 1


def test_a_label_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="says which trap"):
        Family("none", Job(sqlite))()
    with pytest.raises(ValueError, match="which it does not expect"):
        Family("none", Job(sqlite))(trap="none")(_marked_without_expecting)


def _marked_without_expecting(db: object) -> None:
    return  # here: n1


def seen(family: Family, name: str) -> Seen:
    return run(named(family, name)).seen


def test_prosopite_compares_stacks() -> None:
    assert {hit.table for hit in Prosopite().find(seen(sqlite3_plain.case, "loop_with_parameters"))} == {"items"}
    # Three lines call the reader: three stacks. Each depth of a tree has one of its own, but those of one depth are alike.
    assert Prosopite().find(seen(sqlite3_plain.case, "one_reader_for_three")) == set()
    assert Prosopite().find(seen(sqlite3_plain.case, "the_same_user_twice")) == set()


def test_sentry_wants_a_row_without_a_break() -> None:
    plain = Sentry(floor_ms=0.0)
    assert {hit.table for hit in plain.find(seen(sqlalchemy_orm.case, "lazy_collection"))} == {"items"}
    assert plain.find(seen(sqlalchemy_orm.case, "get_in_a_loop")) == set(), "no statement of another kind before it"
    assert Sentry().find(seen(sqlalchemy_orm.case, "lazy_collection")) == set(), "not 50 ms in all"


def test_bullet_knows_the_orm_alone() -> None:
    assert {hit.table for hit in Bullet().find(seen(sqlalchemy_orm.case, "lazy_collection"))} == {"items"}
    assert Bullet().find(seen(sqlalchemy_orm.case, "detail_page")) == set(), "one object is no result of several"
    assert Bullet().find(seen(sqlite3_plain.case, "loop_with_parameters")) == set()
