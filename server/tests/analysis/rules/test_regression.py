"""Regressions between git revisions, and the test that tells them from chance."""

from __future__ import annotations

import random

import pytest

from brakit_server.analysis.point import Point
from brakit_server.analysis.rules.regression import Regression, p_greater
from brakit_server.analysis.window import Window


def _window(*runs: tuple[str | None, float, int]) -> Window:
    """Ten requests a run: revision, about how long, how many statements."""
    window = Window("shop", "GET /orders")
    now = 1_760_000_000_000.0
    for number, (revision, ms, queries) in enumerate(runs):
        for n in range(10):
            now += 10_000
            window.put(
                Point(
                    request_id=f"{number}-{n}",
                    run=f"run{number}",
                    started=now,
                    duration_ms=ms + n,
                    status=200,
                    revision=revision,
                    queries=queries,
                )
            )
    return window


def _found(window: Window) -> list[tuple[str, str]] | None:
    findings = Regression().check_endpoint(window)
    return None if findings is None else [(finding.subject, finding.desc) for finding in findings]


def test_it_names_the_revision_before() -> None:
    found = _found(_window(("aaaa1111bbbb2222", 100, 2), ("cccc3333dddd4444", 200, 9)))
    assert found is not None
    assert [subject for subject, _ in found] == ["duration", "queries"]
    assert all("in revision aaaa1111bb" in desc for _, desc in found)


def test_restarts_of_the_slower_revision_do_not_hide_it() -> None:
    slow = ("cccc3333dddd4444", 200.0, 9)
    found = _found(_window(("aaaa1111bbbb2222", 100, 2), slow, slow, slow, slow, slow))
    assert found is not None
    assert len(found) == 2


def test_without_revisions_three_runs_are_looked_at() -> None:
    slow = (None, 200.0, 2)
    assert _found(_window((None, 100, 2), slow, slow, slow)) is not None
    assert _found(_window((None, 100, 2), slow, slow, slow)) != []
    assert _found(_window((None, 100, 2), slow, slow, slow, slow)) == []


def test_a_revision_that_is_as_fast_says_so() -> None:
    assert _found(_window(("aaaa1111", 200, 9), ("cccc3333", 100, 2))) == []


def test_one_run_says_nothing() -> None:
    assert _found(_window((None, 100, 2))) is None


def test_the_rank_test_agrees_with_tables() -> None:
    # Critical values of U for 8 and 8 at 0.01 one-sided: 9, at 0.05: 15 (any table of the test).
    low, high = [1.0, 2, 3, 4, 5, 6, 7, 8], [9.0, 10, 11, 12, 13, 14, 15, 16]
    assert p_greater(high, low) == pytest.approx(0.00046, abs=0.0001)
    assert p_greater(low, high) > 0.999
    assert p_greater(low, low) == pytest.approx(0.52, abs=0.03)
    assert p_greater([5.0] * 8, [5.0] * 8) == 1.0


def test_chance_alone_is_rarely_taken_for_a_change() -> None:
    chance = random.Random(7)
    samples = [[chance.expovariate(1 / 100) for _ in range(20)] for _ in range(1000)]
    wrong = sum(p_greater(these, those) < 0.01 for these, those in zip(samples[::2], samples[1::2], strict=True))
    assert wrong <= 15
