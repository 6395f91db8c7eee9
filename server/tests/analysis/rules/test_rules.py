"""The folder of rules: what each file must be, its settings and its page."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from brakit_server.analysis import rules
from brakit_server.analysis.rules import Rule, SettingError, classes, load
from brakit_server.analysis.rules.__main__ import SECTIONS, page


def test_every_file_is_a_rule_with_the_name_of_the_file() -> None:
    files = Path(rules.__file__).parent.glob("[!_]*.py")
    assert [rule.id for rule in classes()] == sorted(file.stem.replace("_", "-") for file in files)
    assert {"error", "n1", "slow"} <= {rule.id for rule in classes()}


@pytest.mark.parametrize("rule", classes(), ids=lambda rule: rule.id)
def test_a_rule_says_what_it_must(rule: type[Rule]) -> None:
    text = inspect.getdoc(rule) or ""
    positions = [text.find(f"*{section}.*") for section in SECTIONS]
    assert -1 not in positions
    assert positions == sorted(positions)
    assert rule.title
    assert rule.category in ("security", "performance", "reliability")


def test_the_page_is_the_same_every_time() -> None:
    command = [sys.executable, "-m", "brakit_server.analysis.rules"]
    printed = subprocess.run(command, capture_output=True, check=True, encoding="utf-8", env={"PYTHONIOENCODING": "utf-8"}).stdout
    assert printed == page()
    assert "| `min_count` | 3 |" in printed


def test_thresholds_are_set_by_name() -> None:
    n1 = next(rule for rule in load({"n1": {"min_count": 9, "warning_share": 1}}) if rule.id == "n1")
    assert (vars(n1)["min_count"], vars(n1)["warning_share"]) == (9, 1)
    assert "n1" not in [rule.id for rule in load({"n1": {"enabled": False}})]
    assert [rule.id for rule in load()] == [rule.id for rule in classes()]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([], "must be a table of rule ids"),
        ({"n1": 3}, "must be a table of thresholds"),
        ({"n1": {"min_count": True}}, "must be a int"),
        ({"n1": {"enabled": 1}}, "must be a bool"),
        ({"slow": {"title": "x"}}, "it has enabled, factor"),
    ],
)
def test_wrong_settings_say_what_is_wrong(settings: object, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        load(settings)
