from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import SettingError
from brakit_server.analysis.suppression import FILE, Suppressions, baseline_of, comment
from brakit_server.records import Callsite

SITE = ("app/legacy.py", 12, "Report.rows")


def finding(ignore: str | None = None, **more: Any) -> Finding:
    fields: dict[str, Any] = {
        "rule": "n1",
        "category": "performance",
        "severity": "warning",
        "title": "T",
        "desc": "D",
        "hint": "H",
        "endpoint": "GET /admin/orders/{id}",
        "service": "shop",
        "subject": "s",
        "call_site": Callsite(file=SITE[0], line=SITE[1], function=SITE[2], ignore=ignore),
    }
    return Finding(**{**fields, **more})


@pytest.mark.parametrize(
    ("text", "rules", "reason"),
    [
        ("", None, None),
        ("[n1]", {"n1"}, None),
        ("[n1, slow] a list of three", {"n1", "slow"}, "a list of three"),
        ("[n1]: by design", {"n1"}, "by design"),
        ("known to the team", None, "known to the team"),
        ("[*] all", None, "all"),
        ("[]", set(), None),
        ("[broken", None, "[broken"),
    ],
)
def test_comments(text: str, rules: set[str] | None, reason: str | None) -> None:
    assert comment(text) == (rules, reason)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ({"rule": "n1"}, True),
        ({"rule": "n*"}, True),
        ({"rule": "slow"}, False),
        ({"route": "GET /admin/*"}, True),
        ({"route": "/admin/*"}, True),
        ({"route": "POST /admin/*"}, False),
        ({"route": "/admin"}, False),
        ({"at": "app/legacy.py:*"}, True),
        ({"at": "*:Report.rows"}, True),
        ({"at": "app/*:rows"}, False),
        ({"rule": "n1", "route": "/admin/*", "at": "app/*"}, True),
        ({"rule": "n1", "route": "/other/*", "at": "app/*"}, False),
    ],
)
def test_patterns(pattern: dict[str, str], fits: bool) -> None:
    found = Suppressions([{**pattern, "reason": "old"}]).of(finding())
    assert (found is not None) == fits
    if found is not None:
        assert (found.by, found.what, found.reason) == ("settings", " ".join(pattern.values()), "old")
    assert Suppressions([{"route": "*"}, {"at": "*"}]).of(finding(endpoint=None, call_site=None)) is None


@pytest.mark.parametrize(
    "wrong",
    [["n1"], [{"rule": 5}], [{"rule": "n1", "routes": "/"}], [{"reason": "r"}], [{"rule": "no-such"}], "n1", {"rule": "n1"}],
)
def test_patterns_that_make_no_sense(wrong: object) -> None:
    with pytest.raises(SettingError):
        Suppressions(wrong)


def test_the_nearest_to_the_code_is_named(tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_text(json.dumps({"version": 1, "issues": [{"id": finding().identity, "rule": "n1"}]}))
    suppressions = Suppressions([{"rule": "slow"}], file)
    named = [suppressions.of(finding(ignore=ignore)) for ignore in ("[n1] three", "[slow]", None)]
    assert [(s.by, s.what, s.reason) for s in named if s] == [
        ("comment", "app/legacy.py:12", "three"),
        ("baseline", FILE, None),
        ("baseline", FILE, None),
    ]
    assert suppressions.of(finding(subject="other")) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "issues": []}', '{"version": 1}', "[" * 100_000, "\udcff"])
def test_a_baseline_that_cannot_be_read_changes_nothing_and_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / FILE
    file.write_text(json.dumps({"version": 1, "issues": [{"id": "i1", "rule": "n1"}]}))
    suppressions = Suppressions((), file)
    assert suppressions.known == {"i1"}
    assert suppressions.problem is None
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    suppressions.read()
    assert suppressions.known == {"i1"}
    assert FILE in (suppressions.problem or "")
    file.unlink()
    suppressions.read()
    assert (suppressions.known, suppressions.problem) == (frozenset(), None)


async def test_what_is_suppressed_is_counted_and_comes_back_with_its_comment_gone(bench: Any, make: Any) -> None:
    def loop(id: str, ignore: str | None) -> list[Any]:
        queries = [make.query(params=f"{id}{n}", owner=id) for n in range(6)]
        for query in queries:
            query.call_site.ignore = ignore
        return [*queries, make.request(id)]

    await bench.see(*loop("r1", "[n1] three at most"))
    await bench.see(*loop("r2", "[n1] three at most"))
    (issue,) = bench.engine.issues()
    assert (issue.state, issue.occurrences, issue.suppression.by) == ("ignored", 2, "comment")
    await bench.restart()
    await bench.see(*loop("r3", "[slow]"))
    (issue,) = bench.engine.issues()
    assert (issue.state, issue.occurrences, issue.suppression) == ("open", 3, None)
    await bench.see(*loop("r4", ""))
    assert [(c.state, c.by) for c in bench.engine.issues()[0].history] == [
        ("open", "engine"),
        ("ignored", "engine"),
        ("open", "engine"),
        ("ignored", "engine"),
    ]


async def test_a_baseline_is_made_of_what_is_open_and_stays_what_it_was(bench: Any, make: Any, tmp_path: Path) -> None:
    loop = [*(make.query(params=f"p{n}") for n in range(6)), make.request()]
    await bench.see(*loop)
    made = baseline_of(bench.engine.issues())
    assert [(each.rule, each.endpoint) for each in made.issues] == [("n1", "GET /orders")]
    file = tmp_path / FILE
    file.write_text(json.dumps({"version": 1, "issues": [{"id": made.issues[0].id, "rule": "n1"}]}))
    bench.engine.suppressions._file = file
    bench.engine._sweep()
    await bench.see(*(make.query(params=f"p{n}", owner="r9") for n in range(6)), make.request("r9"))
    assert [(i.state, i.suppression.by) for i in bench.engine.issues()] == [("ignored", "baseline")]
    assert baseline_of(bench.engine.issues()) == made
