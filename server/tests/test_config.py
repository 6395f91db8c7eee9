"""Where settings come from, and what is said of those that make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brakit_server.config import Config, ConfigError, is_loopback, project_root


def load(cwd: Path, environ: dict[str, str] | None = None, **arguments: Any) -> Config:
    return Config.load(environ or {}, cwd, **arguments)


def test_defaults(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert (config.host, config.port, config.port_fallback) == ("127.0.0.1", 4747, True)
    assert (config.root, config.dir, config.database) == (tmp_path, tmp_path / ".brakit", tmp_path / ".brakit" / "brakit.db")
    assert (config.max_bytes, config.max_age_days, config.durability) == (1_000_000_000, 7, "normal")


def test_arguments_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.brakit]\nport = 1001\nmax-age-days = 3\nmax_bytes = "5MB"\nallowed-hosts = ["A.lan"]\n'
        "[tool.brakit.rules.n1]\nmin_count = 9\n"
    )
    config = load(tmp_path, {"BRAKIT_PORT": "1002", "BRAKIT_DURABILITY": "full", "BRAKIT_HOST": ""}, port=1003, host=None)
    assert (config.port, config.port_fallback, config.max_age_days, config.max_bytes) == (1003, False, 3, 5_000_000)
    assert (config.durability, config.allowed_hosts, config.rules) == ("full", ("a.lan",), {"n1": {"min_count": 9}})
    assert load(tmp_path, {"BRAKIT_PORT": "1002"}).port == 1002
    assert load(tmp_path).port == 1001


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("port", "x", ["--port", "'x'"]),
        ("port", 65_536, ["--port", "65536"]),
        ("port", True, ["--port"]),
        ("host", "a b", ["--host", "'a b'"]),
        ("max_bytes", "many", ["--max-bytes", "'many'"]),
        ("max_bytes", 10, ["--max-bytes", "10", "1MB"]),
        ("max_age_days", "nan", ["--max-age-days", "nan"]),
        ("max_age_days", 0, ["--max-age-days", "0"]),
        ("durability", "extra", ["--durability", "extra"]),
        ("allowed_hosts", "a.lan, b/c", ["--allowed-hosts", "b/c"]),
        ("until_exit", 0, ["--until-exit", "0"]),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, setting: str, value: object, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        Config.load({}, tmp_path, **{setting: value})
    assert all(word in str(error.value) for word in words)


def test_the_place_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BRAKIT_PORT"):
        load(tmp_path, {"BRAKIT_PORT": "eighty"})
    (tmp_path / "pyproject.toml").write_text("[tool.brakit]\nport = -1\n")
    with pytest.raises(ConfigError, match=r"\[tool.brakit\]"):
        load(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.brakit\n")
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        load(tmp_path)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.test"])
def test_beyond_loopback_tokens_are_needed(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="BRAKIT_READ_TOKEN"):
        load(tmp_path, host=host)
    tokens = {"BRAKIT_READ_TOKEN": "r" * 22, "BRAKIT_WRITE_TOKEN": "w" * 22}
    assert load(tmp_path, tokens, host=host).read_token == "r" * 22
    with pytest.raises(ConfigError, match="same"):
        load(tmp_path, dict.fromkeys(tokens, "r" * 22), host=host)


def test_tokens_are_long_and_never_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, {"BRAKIT_READ_TOKEN": "hunter2"})
    assert "hunter2" not in str(error.value)
    (tmp_path / "pyproject.toml").write_text('[tool.brakit]\nread-token = "hunter2hunter2hunter2hunter2"\n')
    with pytest.raises(ConfigError) as error:
        load(tmp_path)
    assert "hunter2" not in str(error.value)


def test_the_project_is_the_repository_else_the_nearest_project(tmp_path: Path) -> None:
    inner = tmp_path / "services" / "shop" / "src"
    inner.mkdir(parents=True)
    (inner.parent / "pyproject.toml").touch()
    assert project_root(inner) == inner.parent
    (tmp_path / ".git").mkdir()
    assert project_root(inner) == tmp_path
    assert load(inner).dir == tmp_path / ".brakit"
    assert load(inner, dir="data").dir == inner / "data"


def test_loopback() -> None:
    assert [host for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "0.0.0.0", "x") if is_loopback(host)] == [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "localhost",
    ]
