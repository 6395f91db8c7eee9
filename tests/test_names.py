"""Names and sizes of files, and what must stand in none of them."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "shared", "misc", "core", "constants", "types", "base", "manager"}
HARD_LIMIT = 500
CODE = {".py", ".ts", ".svelte", ".js", ".css"}
GENERATED = {"dashboard/src/schema.ts", "server/src/brakit_server/records.py"}
NOT_OURS = ("dashboard/package-lock.json",)


@cache
def committed() -> list[Path]:
    """Every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def texts() -> list[tuple[str, str]]:
    found = []
    for path in committed():
        try:
            found.append((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def test_a_file_is_named_after_what_is_in_it() -> None:
    wrong = [str(path.relative_to(ROOT)) for path in committed() if path.stem.lower().removeprefix("test_") in FORBIDDEN]
    assert not wrong, "\n".join(wrong)


def test_no_file_is_too_long_to_read() -> None:
    wrong = [
        f"{name}: {len(text.splitlines())} lines"
        for name, text in texts()
        if Path(name).suffix in CODE and name not in GENERATED and len(text.splitlines()) > HARD_LIMIT
    ]
    assert not wrong, "\n".join(wrong)


# Written in pieces, so that this file does not find itself.
FOREIGN = {
    "the home of a developer": re.compile(
        r"(?<![\w.])/(?:home|Users)/(?!(?:user|app|you|me|ada|alice|bob|shop|dev)\b)\w+/|(?<![\w.])/ro{2}t/[\w.]+/"
    ),
    "the working folder of this machine": re.compile(r"(?<![\w.])/wor" + r"k/(?:main|shared)\b"),
    "the address of a package index": re.compile(
        r"https?://[^\s\"'<>)]*(?:artifactory|nexus|devpi|/simple/|registry\.npmjs|pypi\.python|files\.python" + r"hosted)",
        re.IGNORECASE,
    ),
    "a promise instead of code": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_nothing_of_it_is_committed(what: str) -> None:
    wrong = []
    for name, text in texts():
        if name in NOT_OURS and what != "the address of a package index":
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) < 5000 and FOREIGN[what].search(line):
                wrong.append(f"{name}:{number}: {line.strip()[:100]}")
    assert not wrong, "\n".join(wrong)


def test_test_folders_are_no_packages() -> None:
    assert [str(path) for path in committed() if path.name == "__init__.py" and "tests" in path.parts] == []


def test_decisions_are_numbered_once() -> None:
    pages = sorted((ROOT / "docs/adr").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        assert page.read_text().startswith(f"# {int(page.name[:4])}. "), page.name
