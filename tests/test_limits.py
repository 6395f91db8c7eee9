"""docs/limits.md: every fault has its row, and every test that a row names exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"\| ([BPLC]\d+) \| (.+?) \| (.+) \|")
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
NUMBERS = [
    *(f"B{number}" for number in range(1, 53)),
    *(f"P{number}" for number in range(1, 20)),
    *(f"L{number}" for number in range(1, 34)),
    *(f"C{number}" for number in range(1, 41)),
]
ROWS = [match.groups() for line in (ROOT / "docs/limits.md").read_text().splitlines() if (match := ROW.fullmatch(line))]


@cache
def names_in(path: str) -> set[str]:
    return set(re.findall(r"^(?:async )?def (test_\w+)", (ROOT / path).read_text(), re.MULTILINE))


def test_each_fault_has_its_row() -> None:
    assert [number for number, _, _ in ROWS] == NUMBERS


@pytest.mark.parametrize(("number", "proof"), [(number, proof) for number, _, proof in ROWS], ids=[row[0] for row in ROWS])
def test_each_row_names_a_test_that_exists_or_says_why_there_is_none(number: str, proof: str) -> None:
    named = TEST.findall(proof)
    missing = [f"{path}::{name}" for path, name in named if not (ROOT / path).exists() or name not in names_in(path)]
    assert missing == []
    # Without a test, a sentence.
    assert named or proof.endswith(".")
