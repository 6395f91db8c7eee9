"""Suppression over HTTP, by a real server in a project that has settings and a baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SETTINGS = """
[[tool.brakit.ignore]]
rule = "slow"
reason = "never"

[[tool.brakit.ignore]]
rule = "error"
at = "app/old.py:*"
reason = "old"
"""


def test_each_suppression_is_listed_and_counted(start: Any, event: Any, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    server = start()

    def error(name: str, file: str, **site: Any) -> dict[str, Any]:
        at = {"file": file, "line": 3, "function": "f"}
        frames = [{**at, "own": True}]
        made: dict[str, Any] = event("error", {"requestId": None}, name=name, message="m", frames=frames, callsite={**at, **site})
        return made

    server.send(
        error("KeyError", "app/old.py"),
        error("ValueError", "app/new.py"),
        error("TypeError", "app/said.py", ignore="[error] as it is meant"),
    )
    server.wait_for("findings", lambda found: found["total"] == 3)
    listed = server.get("suppressions")
    assert [(one["by"], one["what"], one["reason"], one["occurrences"]) for one in listed["suppressions"]] == [
        ("comment", "app/said.py:3", "as it is meant", 1),
        ("settings", "error app/old.py:*", "old", 1),
        ("settings", "slow", "never", 0),
    ]
    assert (listed["total"], listed["occurrences"], listed["known"]) == (2, 2, 0)
    baseline = server.get("baseline")
    assert [issue["title"] for issue in baseline["issues"]] == ["ValueError in f"]
    (tmp_path / "brakit-baseline.json").write_text(json.dumps(baseline))
    assert server.get("suppressions")["known"] == 1
    server.send(error("ValueError", "app/new.py"))
    server.wait_for("findings?state=ignored", lambda found: found["total"] == 3)
    assert server.get("baseline") == baseline
    (tmp_path / "brakit-baseline.json").write_text("{")
    assert "cannot be read" in server.get("suppressions")["problem"]
