"""The data folder: private, one server's at a time, and never somebody else's file."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from brakit_server.running import AlreadyRunning, Folder, FolderError, find, prepare


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_all_of_it_is_private(tmp_path: Path) -> None:
    folder = Folder(tmp_path / ".brakit")
    folder.announce(4747, "http://127.0.0.1:4747/__brakit")
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.path.iterdir()}
    assert modes == dict.fromkeys((".gitignore", "lock", "port", "server.json"), 0o600)
    assert (folder.path / ".gitignore").read_text() == "*\n"
    folder.close()


def test_a_folder_that_was_open_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / ".brakit").mkdir(mode=0o755)
    prepare(tmp_path / ".brakit")
    assert stat.S_IMODE((tmp_path / ".brakit").stat().st_mode) == 0o700


def test_what_is_announced(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "d")
    assert find(tmp_path / "d") is None
    folder.announce(4747, "http://127.0.0.1:4747/__brakit")
    assert (folder.path / "port").read_text() == "4747"
    said = json.loads((folder.path / "server.json").read_text())
    assert set(said) == {"port", "pid", "started", "version", "nonce", "url"}
    assert (said["port"], said["pid"], len(said["nonce"])) == (4747, os.getpid(), 32)
    server = find(folder.path)
    assert server is not None
    assert (server.port, server.url, server.nonce) == (4747, said["url"], folder.nonce)
    folder.close()
    assert find(folder.path) is None
    assert {file.name for file in folder.path.iterdir()} == {".gitignore", "lock"}
    again = Folder(tmp_path / "d")
    assert again.nonce != folder.nonce
    again.close()


def test_what_another_server_announced_is_left_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "d")
    folder.announce(4747, "u")
    (folder.path / "port").write_text("5000")
    folder.close()
    assert (folder.path / "port").read_text() == "5000"
    assert not (folder.path / "server.json").exists()


def test_what_a_killed_server_left_is_not_believed(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "d")
    folder.announce(4747, "u")
    os.close(folder._lock)
    folder._lock = -1
    assert find(folder.path) is None
    again = Folder(tmp_path / "d")
    assert not (again.path / "port").exists()
    again.close()


def test_a_second_server_is_told_about_the_first(tmp_path: Path) -> None:
    first = Folder(tmp_path / "d")
    with pytest.raises(AlreadyRunning):
        Folder(tmp_path / "d")
    first.announce(4747, "http://127.0.0.1:4747/__brakit")
    with pytest.raises(AlreadyRunning, match=rf"pid {os.getpid()}.*http://127.0.0.1:4747/__brakit"):
        Folder(tmp_path / "d")
    first.close()
    Folder(tmp_path / "d").close()


@pytest.mark.parametrize("name", ["lock", "port", "server.json", ".gitignore"])
def test_links_are_never_written_through(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "d" / name).symlink_to(victim)
    try:
        folder = Folder(tmp_path / "d")
    except FolderError:
        assert name == "lock"
    else:
        folder.announce(1, "u")
        folder.close()
    assert victim.read_text() == "precious"


def test_the_folder_itself_is_no_link_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(FolderError, match="link"):
        Folder(tmp_path / "link")
    (tmp_path / "file").touch()
    with pytest.raises(FolderError):
        Folder(tmp_path / "file")
    assert find(tmp_path / "file") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    os.chown(tmp_path / "d", 12345, 12345)
    with pytest.raises(FolderError, match="another user"):
        Folder(tmp_path / "d")


def test_one_that_only_looks_keeps_nobody_from_starting(tmp_path: Path) -> None:
    Folder(tmp_path / "d").close()
    looking = os.open(tmp_path / "d" / "lock", os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_SH)
    timer = threading.Timer(0.05, os.close, (looking,))
    timer.start()
    Folder(tmp_path / "d").close()
    timer.join()
