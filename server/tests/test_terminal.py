"""What was captured reaches a terminal as text."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from brakit_server.terminal import Formatter, line, plain

HOSTILE = [
    "\x1b]52;c;aGk=\x07",
    "\x1b[2J",
    "\x9b31m",
    "\r\x1b[K",
    "\x08\x08",
    "\u202egpj.exe",
    "\u2028",
    "\x7f",
    "\x85",
    "\ud83e",
    "\U000e0041",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_control_characters_are_written_out(text: str) -> None:
    for made in (plain(f"a{text}b"), line(f"a{text}b")):
        assert made.isprintable(), made
        made.encode()
        assert made.startswith("a")
        assert made.endswith("b")


def test_what_a_terminal_may_have_stays() -> None:
    assert plain("tab\tline\nümläut 日本 🤡") == "tab\tline\nümläut 日本 🤡"
    assert line("a\tb\nc") == "a\\tb\\nc"


@pytest.mark.parametrize("text", HOSTILE)
def test_log_lines(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "said %s", (text,), sys.exc_info())
    for each in Formatter("%(message)s").format(record).split("\n"):
        assert each.isprintable(), each


def test_arguments_that_are_wrong_are_shown_as_text(tmp_path: Path) -> None:
    for hostile in ("\x1b]52;c;aGk=\x07", "\u202e"):
        for arguments in (
            ["serve", "--host", f"x {hostile}"],
            ["serve", "--durability", hostile],
            ["tokens", "--dir", f"/dev/null/{hostile}"],
        ):
            ran = subprocess.run(
                [sys.executable, "-m", "brakit_server.cli", *arguments], cwd=tmp_path, timeout=60, capture_output=True, text=True
            )
            assert ran.returncode == 2
            assert hostile not in ran.stdout + ran.stderr
