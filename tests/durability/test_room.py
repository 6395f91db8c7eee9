"""Disks that are full, broken, read-only or locked: senders are told to wait, readers are served, and it heals by itself."""

from __future__ import annotations

import contextlib
import errno
import json
import random
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.durability import disk
from tests.durability.serving import INGEST, Server, integrity, log, payload, set_aside

MOUNT_BYTES = 16 * 1024 * 1024


def big(name: str, rng: random.Random, events: int = 100) -> bytes:
    """A batch that no compression makes small."""
    return payload([log(f"{name} {place} {rng.randbytes(1_000).hex()}") for place in range(events)], name)


def mount(*command: str) -> None:
    done = subprocess.run(["mount", *command], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 16 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={MOUNT_BYTES}", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(filler: Path) -> None:
    """Take all the room that there is."""
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def refused(server: Server, body: bytes) -> str:
    """Why a batch is not taken; it must be said when to come back."""
    status, headers, answer = server.call("POST", INGEST, body)
    assert status == 503, (status, answer)
    assert int(headers["retry-after"]) >= 1
    reason: str = json.loads(answer)["error"]
    return reason


def heals(server: Server, body: bytes) -> float:
    """Seconds until a batch is taken again."""
    begun = time.monotonic()
    while (status := server.post(body)) != 204:
        assert status == 503
        assert time.monotonic() - begun < 20, "it does not heal"
        time.sleep(0.1)
    return time.monotonic() - begun


def messages(server: Server, query: str = "") -> list[str]:
    return [" ".join(one["message"].split()[:2]) for one in server.all("logs", query)]


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_a_full_disk(start: Callable[..., Server], small: Path, say: Callable[[str], None], durability: str) -> None:
    rng = random.Random(1)
    server = start(small / "data", "--durability", durability)
    filler = small / "filler"
    filler.write_bytes(bytes(6_000_000))
    taken = []
    for number in range(200):
        if (status := server.post(big(f"b{number}", rng))) != 204:
            break
        taken.append(number)
    assert status == 503
    assert taken
    assert "full" in refused(server, big("waiting", rng))
    assert server.get("health")["status"] == "degraded"
    assert "full" in server.get("health")["problems"][0]
    page = server.get("logs?limit=3")
    assert page["entries"][0]["message"].startswith(f"b{taken[-1]} ")
    assert server.get("status")["events"] == {"log": 100 * len(taken)}
    assert messages(server, "filter=b0&limit=500").count("b0 7") == 1
    filler.unlink()
    took = heals(server, big("waiting", rng))
    assert server.get("health")["problems"] == []
    expected = {f"{name} {place}" for name in (*(f"b{number}" for number in taken), "waiting") for place in range(100)}
    assert sorted(messages(server)) == sorted(expected)
    server.kill()
    again = start(small / "data")
    assert sorted(messages(again)) == sorted(expected)
    assert integrity(small / "data") == "ok"
    say(f"full disk, durability {durability}: {len(taken)} batches, then 503; taken again {took:.1f} s after there was room")


def test_killed_on_a_full_disk_and_started_on_it(start: Callable[..., Server], small: Path) -> None:
    rng = random.Random(2)
    server = start(small / "data")
    filler = small / "filler"
    filler.write_bytes(bytes(6_000_000))
    taken = 0
    while server.post(big(f"b{taken}", rng)) == 204:
        taken += 1
    server.kill()
    fill(filler)
    again = start(small / "data")
    assert len(messages(again)) == 100 * taken
    refused(again, big("more", rng))
    assert set_aside(small / "data") == []
    filler.unlink()
    heals(again, big("more", rng))
    assert len(messages(again)) == 100 * taken + 100


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT], ids=errno.errorcode.get)
def test_a_disk_that_fails_and_comes_back(start: Callable[..., Server], tmp_path: Path, number: int) -> None:
    rng = random.Random(number)
    fault = tmp_path / "fault"
    data = tmp_path / "data"
    server = start(data, variables=disk.preloaded(tmp_path, data / "brakit.db", fault=fault))
    names = []
    for round in range(2):
        for place in range(3):
            assert server.post(big(f"r{round}p{place}", rng)) == 204
            names.append(f"r{round}p{place}")
        disk.tells(fault, number)
        for _ in range(3):
            refused(server, big("lost", rng))
        assert server.get("health")["status"] == "degraded"
        assert sorted(messages(server)) == sorted(f"{name} {place}" for name in names for place in range(100))
        disk.tells(fault, None)
        heals(server, big(f"h{round}", rng))
        names.append(f"h{round}")
        assert server.get("health")["status"] == "ok"
    assert sorted(messages(server)) == sorted(f"{name} {place}" for name in names for place in range(100))
    server.kill()
    assert sorted(messages(start(data))) == sorted(f"{name} {place}" for name in names for place in range(100))
    assert integrity(data) == "ok"
    assert set_aside(data) == []


def test_a_folder_that_cannot_be_written(start: Callable[..., Server], small: Path, tmp_path: Path) -> None:
    first = start(small / "data")
    assert first.post(payload([log("before")])) == 204
    assert first.stop()[0] == 0
    view = tmp_path / "view"
    view.mkdir()
    mount("--bind", str(small), str(view))
    try:
        mount("-o", "remount,ro,bind", str(view))
        with pytest.raises(RuntimeError, match=r"Read-only file system") as refusal:
            start(view / "data")
        assert "Traceback" not in str(refusal.value)
    finally:
        subprocess.run(["umount", "--lazy", str(view)], check=True)
    assert messages(start(small / "data")) == ["before"]


def test_a_file_of_which_nothing_may_be_changed(start: Callable[..., Server], tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = start(data)
    assert first.post(payload([log("before")])) == 204
    first.stop()
    if (
        shutil.which("chattr") is None
        or subprocess.run(["chattr", "+i", str(data / "brakit.db")], capture_output=True).returncode
    ):
        pytest.skip("this user or file system knows no files that nobody may change")
    try:
        with pytest.raises(
            RuntimeError, match=r"brakit\.db cannot be opened: (Operation not permitted|Permission denied)"
        ) as refusal:
            start(data)
        assert "Traceback" not in str(refusal.value)
    finally:
        subprocess.run(["chattr", "-i", str(data / "brakit.db")], check=True)
    assert messages(start(data)) == ["before"]


def test_a_lock_of_somebody_elses(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start()
    assert server.post(payload([log("before")])) == 204
    other = sqlite3.connect(tmp_path / "data" / "brakit.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    released: list[float] = []
    answered: list[tuple[int, float]] = []

    def send(name: str) -> None:
        status = server.post(payload([log(name)], name))
        answered.append((status, time.monotonic()))

    senders = [threading.Thread(target=send, args=(f"b{number}",)) for number in range(8)]
    for sender in senders:
        sender.start()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        assert messages(server) == ["before"]
        time.sleep(0.3)
    assert answered == []
    released.append(time.monotonic())
    other.execute("ROLLBACK")
    other.close()
    for sender in senders:
        sender.join(30)
    assert [status for status, _ in answered] == [204] * 8
    assert min(at for _, at in answered) >= released[0]
    assert sorted(messages(server)) == sorted([*(f"b{number}" for number in range(8)), "before"])


def test_a_lock_that_is_there_at_the_start(start: Callable[..., Server], tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = start(data)
    assert first.post(payload([log("before")])) == 204
    first.stop()
    other = sqlite3.connect(data / "brakit.db", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RuntimeError, match=r"brakit\.db cannot be opened: database is locked"):
        start(data)
    other.execute("ROLLBACK")
    other.close()
    assert set_aside(data) == []
    assert messages(start(data)) == ["before"]


def test_a_second_server(start: Callable[..., Server], tmp_path: Path) -> None:
    """However it names the folder; and after a kill the lock is nobody's."""
    data = tmp_path / "data"
    first = start(data)
    assert first.post(payload([log("before")])) == 204
    link = tmp_path / "link"
    link.symlink_to(data)
    said: list[Any] = []
    for path in (data, tmp_path / "link" / ".." / "data", link):
        with pytest.raises(RuntimeError) as refusal:
            start(path)
        said.append(str(refusal.value))
    assert all(f"pid {first.process.pid}" in one for one in said[:2])
    assert "link" in said[2]
    assert first.post(payload([log("still")])) == 204
    first.kill()
    second = start(data)
    assert sorted(messages(second)) == ["before", "still"]
