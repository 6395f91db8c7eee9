"""Tokens by themselves: their files, sessions, who has tried too often."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from brakit_server import tokens
from brakit_server.config import Config, ConfigError
from brakit_server.tokens import LOCKED_SECONDS, SESSION_SECONDS, TRIES, Locked, TokenError, Tokens


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_and_cannot_be_made_up() -> None:
    clock = Clock()
    ours = Tokens("r" * 32, "w" * 32, clock)
    value = ours.session()
    assert ours.is_session(value)
    ends, _, signature = value.partition(".")
    for wrong in (
        f"{int(ends) + 1}.{signature}",
        f"{ends}.{signature[:-1]}0",
        f"{ends}.",
        ends,
        "",
        "١.x",
        f"{ends}.é",
        "9" * 400,
    ):
        assert not ours.is_session(wrong) or wrong == value
    # Another token, another server, or the same after `brakit tokens --renew`.
    assert not Tokens("x" * 32, "w" * 32, clock).is_session(value)
    clock.now += SESSION_SECONDS
    assert not ours.is_session(value)


def test_nothing_of_a_token_stands_in_a_session() -> None:
    assert "secret" not in Tokens("secret" * 6, "w" * 32).session()


def test_a_lock_opens_by_itself() -> None:
    clock = Clock()
    ours = Tokens("r" * 32, "w" * 32, clock)
    for _ in range(TRIES):
        assert not ours.may_read(b"wrong", "10.0.0.1")
    with pytest.raises(Locked) as locked:
        ours.may_read(b"r" * 32, "10.0.0.1")
    assert 0 < locked.value.seconds <= LOCKED_SECONDS
    clock.now += LOCKED_SECONDS
    assert ours.may_read(b"r" * 32, "10.0.0.1")


def test_an_ipv6_network_is_one_address_and_mapped_ones_are_what_they_map() -> None:
    ours = Tokens("r" * 32, "w" * 32, Clock())
    for number in range(TRIES):
        ours.may_read(b"wrong", f"2001:db8:1:2::{number:x}")
    with pytest.raises(Locked):
        ours.may_read(b"wrong", "2001:db8:1:2:ffff::1")
    assert not ours.may_read(b"wrong", "2001:db8:1:3::1")
    for _ in range(TRIES):
        ours.may_read(b"wrong", "::ffff:10.0.0.1")
    with pytest.raises(Locked):
        ours.may_read(b"wrong", "10.0.0.1")


def test_what_is_remembered_is_bounded() -> None:
    ours = Tokens("r" * 32, "w" * 32, Clock())
    for number in range(tokens.ADDRESSES + 500):
        ours.may_read(b"wrong", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(ours._wrong) == tokens.ADDRESSES


def test_tokens_lie_in_files_that_nobody_else_can_read(tmp_path: Path) -> None:
    folder = tmp_path / ".brakit"
    folder.mkdir(mode=0o700)
    read, write = folder / tokens.READ_FILE, folder / tokens.WRITE_FILE
    for path, text in ((read, "r" * 32), (write, "w" * 32)):
        path.touch(0o600)
        path.write_text(f"{text}\n")
    config = Config.load({}, tmp_path, host="0.0.0.0")
    assert (config.read_token, config.write_token) == ("r" * 32, "w" * 32)
    assert Config.load({"BRAKIT_READ_TOKEN": "e" * 32}, tmp_path).read_token == "e" * 32
    for mode in (0o640, 0o604, 0o660, 0o601):
        read.chmod(mode)
        with pytest.raises(ConfigError, match="read by others"):
            Config.load({}, tmp_path, host="0.0.0.0")
    read.unlink()
    (tmp_path / "elsewhere").write_text("e" * 32)
    read.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be opened"):
        Config.load({}, tmp_path)
    read.unlink()
    os.mkfifo(read, 0o600)
    with pytest.raises(TokenError, match="not a regular file"):
        tokens.read(read)
    read.unlink()
    read.touch(0o600)
    read.write_text("short")
    with pytest.raises(ConfigError, match="5 characters"):
        Config.load({}, tmp_path)
