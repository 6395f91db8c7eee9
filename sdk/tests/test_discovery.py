"""Where the server is: inside the project, in files of our own user, and nowhere else."""

from __future__ import annotations

import hmac
import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakit import discovery
from brakit.config import Config
from brakit.discovery import Address, find, folders, project_root

if TYPE_CHECKING:
    from pathlib import Path

NONCE = "n" * 32


def put(folder: Path, port: str | None = None, server: object = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if port is not None:
        (folder / "port").write_text(port)
    if server is not None:
        (folder / "server.json").write_text(server if isinstance(server, str) else json.dumps(server))


def found(start: Path, **settings: str) -> list[tuple[str, int, str | None]]:
    return [(address.host, address.port, address.nonce) for address in find(Config(settings), str(start))]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a repository, inside a folder that is none."""
    folder = tmp_path / "work" / "project"
    (folder / ".git").mkdir(parents=True)
    return folder


def test_a_server_of_ours_is_found_from_any_folder_of_the_project(project: Path) -> None:
    put(project / ".brakit", "5000", {"port": 5000, "nonce": NONCE})
    deep = project / "src" / "shop"
    deep.mkdir(parents=True)
    assert found(project) == found(deep) == [("127.0.0.1", 5000, NONCE)]


def test_the_nearest_comes_first(project: Path) -> None:
    put(project / ".brakit", None, {"port": 5000, "nonce": NONCE})
    put(project / "api" / ".brakit", None, {"port": 6000, "nonce": NONCE})
    assert [port for _, port, _ in found(project / "api")] == [6000, 5000]


def test_another_dashboard_beside_ours_is_tried_after_it(project: Path) -> None:
    put(project / ".brakit", "3000", {"port": 5000, "nonce": NONCE})
    assert found(project) == [("127.0.0.1", 5000, NONCE), ("127.0.0.1", 3000, None)]


def test_nothing_beyond_the_project_root_and_no_sibling(project: Path) -> None:
    put(project.parent / ".brakit", "1111")
    put(project.parent / "sibling" / ".brakit", "2222")
    put(project / "child" / ".brakit", "3333")
    assert found(project) == []
    assert all(folder.startswith(str(project)) for folder in folders(Config({}), str(project / "child")))


def test_without_a_repository_the_root_is_what_looks_like_a_project(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert project_root(str(tmp_path / "a" / "b")) == str(tmp_path / "a" / "b")
    (tmp_path / "a" / "pyproject.toml").touch()
    assert project_root(str(tmp_path / "a" / "b")) == str(tmp_path / "a")
    (tmp_path / ".hg").mkdir()
    assert project_root(str(tmp_path / "a" / "b")) == str(tmp_path)


def test_an_address_goes_before_host_and_port(project: Path) -> None:
    put(project / ".brakit", "1234")
    config = Config({"BRAKIT_URL": "https://team.internal/x", "BRAKIT_PORT": "99"})
    [address] = find(config, str(project))
    assert (address.url, address.explicit, address.secure) == ("https://team.internal:443/x", True, True)


def test_a_named_server_or_folder_goes_first(project: Path, tmp_path: Path) -> None:
    put(project / ".brakit", "5000")
    put(tmp_path / "elsewhere", "7000")
    assert found(project, BRAKIT_DIR=str(tmp_path / "elsewhere")) == [("127.0.0.1", 7000, None)]
    [named] = find(Config({"BRAKIT_PORT": "9000", "BRAKIT_HOST": "10.0.0.5"}), str(project))
    assert (named.host, named.port, named.explicit) == ("10.0.0.5", 9000, True)


@pytest.mark.parametrize("text", ["", "abc", "0", "-1", "99999", "70000", "3000 4000", "٣٠٠٠", "1" * 4000, "\0", "3e3"])
def test_a_port_file_that_says_nothing(project: Path, text: str) -> None:
    put(project / ".brakit", text)
    assert found(project) == []


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "5", "null", '{"port": 5000}', '{"nonce": "x"}', '{"port": "5000", "nonce": "x"}',
        '{"port": true, "nonce": "x"}',
        '{"port": 5000, "nonce": ""}', '{"port": 0, "nonce": "x"}', '{"port": 5000, "nonce": 5}', '{"port": 5000, "nonce": "x"',
        "[" * 4000, '{"port": 5000, "nonce": "' + "x" * 5000 + '"}',
    ],
)  # fmt: skip
def test_a_server_file_that_says_nothing(project: Path, text: str) -> None:
    put(project / ".brakit", None, text)
    assert found(project) == []


@given(st.binary(max_size=200))
def test_no_content_of_a_file_makes_it_raise(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / ".brakit"
    folder.mkdir(exist_ok=True)
    (folder / "port").write_bytes(content)
    (folder / "server.json").write_bytes(content)
    assert isinstance(find(Config({"BRAKIT_DIR": str(folder)}), str(tmp_path)), list)


def test_links_are_not_followed(project: Path, tmp_path: Path) -> None:
    put(tmp_path / "theirs", "5000", {"port": 5000, "nonce": NONCE})
    (project / ".brakit").mkdir()
    for name in ("port", "server.json"):
        (project / ".brakit" / name).symlink_to(tmp_path / "theirs" / name)
    assert found(project) == []
    (project / "inner").mkdir()
    (project / "inner" / ".brakit").symlink_to(tmp_path / "theirs", target_is_directory=True)
    assert found(project / "inner") == []


def test_what_is_no_file_is_not_read(project: Path) -> None:
    (project / ".brakit" / "port").mkdir(parents=True)
    os.mkfifo(project / ".brakit" / "server.json")
    assert found(project) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_files_of_another_user_are_not_believed(project: Path) -> None:
    put(project / ".brakit", "5000", {"port": 5000, "nonce": NONCE})
    for name in ("port", "server.json"):
        os.chown(project / ".brakit" / name, 12345, 12345)
    assert found(project) == []
    put(project / "inner" / ".brakit", "5000")
    os.chown(project / "inner" / ".brakit", 12345, 12345)
    assert found(project / "inner") == []


def test_looking_changes_nothing(project: Path) -> None:
    put(project / ".brakit", "5000", {"port": 5000, "nonce": NONCE})
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    found(project)
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*")} == before


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (json.dumps({"proof": hmac.digest(NONCE.encode(), b"c", "sha256").hex()}).encode(), True),
        (json.dumps({"proof": hmac.digest(b"other", b"c", "sha256").hex()}).encode(), False),
        (b'{"proof": null}', False),
        (b'{"proof": "\\u00e9"}', False),
        (b"{}", False),
        (b"[]", False),
        (b"", False),
        (b"\xff\xfe", False),
        (b"[" * 100_000, False),
    ],
)
def test_a_proof(answer: bytes, expected: bool) -> None:
    assert Address("127.0.0.1", 1, NONCE).proves("c", answer) is expected
    assert Address("127.0.0.1", 1, None).proves("c", answer) is False


def test_the_walk_upwards_is_bounded(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 30)
    deep.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    assert project_root(str(deep)) == str(deep)
    assert len(folders(Config({}), str(deep))) <= discovery.MAX_LEVELS
