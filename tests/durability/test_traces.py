"""What stays on the disk: nothing after clearing, nothing for others to read, nothing beyond the caps of age and size."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from brakit_server import ingest
from brakit_server.stores import Where
from brakit_server.stores.sqlite import SqliteStore
from tests.durability.serving import Server, log, payload

LONG = os.environ.get("BRAKIT_LONG") == "1"
EVENTS = 10_000_000 if LONG else 300_000
CANARY = "Canary7f3aQ"
FRAME = zstandard.FRAME_HEADER
HOURS = 3_600.0


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file as it is, and all in it that is compressed and can be read from its beginning on."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        raw = path.read_bytes()
        yield path.name, raw
        at = raw.find(FRAME)
        while at >= 0:
            # A large value lies in several pages: what stands in the first of them is enough to tell.
            reader = zstandard.ZstdDecompressor().stream_reader(raw[at:])
            inflated = b""
            try:
                while piece := reader.read(4096):
                    inflated += piece
            except zstandard.ZstdError:
                pass
            if inflated:
                yield f"{path.name}+{at}", inflated
            at = raw.find(FRAME, at + 4)


def traces(folder: Path) -> list[str]:
    """Where a canary can still be read."""
    needle = CANARY.lower().encode()
    return [name for name, content in contents(folder) if needle in content.lower()]


def planted(number: int) -> bytes:
    """A batch with canaries in every kind of place."""
    name = f"{CANARY}{number}"
    around = {"requestId": f"{name}id", "timestamp": time.time() * 1000}
    request = {
        "id": f"{name}id",
        "method": "GET",
        "url": f"/{name}",
        "route": f"/{name}/{{id}}",
        "statusCode": 500,
        "durationMs": 2,
    }
    request |= {"headers": {"x-note": name}, "responseBody": f'{{"note": "{name}"}}'}
    query = {
        "operation": "SELECT",
        "table": name,
        "sql": f"SELECT {name} FROM {name}",
        "shape": f"SELECT {name}",
        "shapeHash": name,
    }
    frames = [{"file": f"{name}.py", "line": 1, "function": name, "own": True}]
    return payload(
        [
            *({"type": "db.query", **around, "data": {**query, "duration": 1.0}} for _ in range(12)),
            {"type": "log", **around, "data": {"level": "error", "message": name, "logger": name}},
            {"type": "error", **around, "data": {"name": name, "message": name, "frames": frames}},
            {"type": name, **around, "data": {"note": name}},
            {"type": "fetch", **around, "data": {"url": f"http://{name}/", "method": "GET", "statusCode": 200, "duration": 1}},
            {"type": "request", **around, "data": request},
        ],
        f"{name}batch",
        service=name,
    )


@pytest.mark.parametrize("folded", [True, False])
def test_clearing_leaves_nothing(start: Callable[..., Server], tmp_path: Path, folded: bool) -> None:
    data = tmp_path / "data"
    server = start(data)
    for number in range(350 if folded else 20):
        assert server.post(planted(number)) == 204
    deadline = time.monotonic() + 20
    while not server.get("insights")["issues"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    if folded:
        # Until it is in the index too.
        time.sleep(1)
    assert len(traces(data)) > 20
    assert server.call("POST", "/__brakit/api/clear", b"{}")[0] == 200
    assert traces(data) == []
    assert server.get("insights")["issues"] == []
    assert server.post(payload([log("after")])) == 204
    time.sleep(1)
    assert traces(data) == []
    server.kill()
    assert traces(data) == []
    again = start(data)
    assert [one["message"] for one in again.all("logs")] == ["after"]
    assert traces(data) == []


async def test_what_is_old_goes_and_clocks_may_jump(tmp_path: Path) -> None:
    """Two days ahead, all is gone; a clock that was ahead for a while keeps nothing for longer than it should be."""
    now = [1_790_000_000.0]

    def at(hours: float, name: str) -> ingest.Outcome:
        return ingest.read(payload([log(name)], name), (now[0] + hours * HOURS) * 1000)

    store = SqliteStore(tmp_path / "b.db", max_age_days=1, clock=lambda: now[0])
    for place, hours in enumerate((0.0, 1.0, 400 * 24.0, 2.0, -5.0, 3.0)):
        await store.append(at(hours, f"m{place}").batch)
    now[0] += 3 * HOURS
    assert await store.expire() == 0
    assert (await store.logs(Where())).total == 6
    now[0] += 48 * HOURS
    await store.expire()
    assert (await store.logs(Where())).total == 0
    await store.append(at(0, "after").batch)
    now[0] -= 400 * 24 * HOURS
    await store.append(at(0, "before").batch)
    assert await store.expire() == 0
    assert {entry.message for entry in (await store.logs(Where())).entries} == {"after", "before"}
    await store.close()


@pytest.mark.timeout(3_600 if LONG else 240)
async def test_the_cap_of_size_holds_under_load(tmp_path: Path, say: Callable[[str], None]) -> None:
    most = 300_000_000 if LONG else 12_000_000
    path = tmp_path / "b.db"
    store = SqliteStore(path, max_bytes=most)
    stored = largest = with_log = 0
    fewest = EVENTS
    begun = time.process_time()
    while stored < EVENTS:
        texts = [f"{stored + place} {os.urandom(16).hex()}" for place in range(1_000)]
        events = [log(text, logger=f"l{stored % 7}") | {"requestId": f"r{text[:5]}"} for text in texts]
        await store.append(ingest.read(payload(events), time.time() * 1000).batch)
        stored += len(events)
        if stored % 10_000 == 0 and await store.expire():
            fewest = min(fewest, (await store.size()).events["log"])
        sizes = [one.stat().st_size for one in (path, Path(f"{path}-wal")) if one.exists()]
        largest = max(largest, sizes[0])
        with_log = max(with_log, sum(sizes))
    used = time.process_time() - begun
    page = await store.logs(Where(limit=1))
    newest = page.entries[0].message
    assert newest.startswith(f"{EVENTS - 1} ")
    kept = (await store.size()).events["log"]
    assert kept < EVENTS
    # What goes is what is too much, and not all that is old.
    assert fewest > EVENTS / 10 if not LONG else fewest > 100_000
    assert (await store.since(0, 1))[0].seq == EVENTS - kept + 1
    await store.close()
    assert most * 0.8 < largest <= most * 1.05
    # Its log is a ring: SQLite's limit for it, and what one transaction may add.
    assert with_log <= most * 1.05 + 40_000_000
    say(
        f"cap of {most / 1e6:.0f} MB under {EVENTS} events: {largest / 1e6:.1f} MB at most, {with_log / 1e6:.1f} with the log; "
        f"the newest {kept} kept; {used / EVENTS * 1e6:.0f} us of CPU each, sending included"
    )


def test_files_are_for_their_user_alone(start: Callable[..., Server], tmp_path: Path) -> None:
    data = tmp_path / "data"
    tmp_path.chmod(0o755)
    server = start(data, umask=0)
    for number in range(50):
        server.post(planted(number))
    server.stop()
    (data / "brakit.db").write_bytes(b"damaged" * 1_000)
    server = start(data, umask=0)
    server.post(planted(1))
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    names = {path.name for path in data.iterdir()}
    assert {"brakit.db", "brakit.db-wal", "lock", "port", "server.json"} <= names
    assert any(".corrupt-" in name for name in names)
    for path in data.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can try it as another user")
    other = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    for name in ("brakit.db", "brakit.db-wal", "server.json"):
        read = subprocess.run([*other, "cat", str(data / name)], capture_output=True, text=True)
        assert (read.returncode, read.stdout) == (1, ""), name
        assert "Permission denied" in read.stderr


@pytest.mark.parametrize("dangling", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "brakit.db",
        "brakit.db-wal",
        "brakit.db-shm",
        "brakit.db-journal",
        "brakit.db.suspect",
        "lock",
        "port",
        "server.json",
        ".gitignore",
    ],
)
def test_links_lead_nowhere(start: Callable[..., Server], tmp_path: Path, name: str, dangling: bool) -> None:
    """Whether the server starts or says what is in its way: what a link leads to is neither made nor changed."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    if not dangling:
        victim.write_text("precious")
        os.utime(victim, (1, 1))
    (data / name).symlink_to(victim)
    try:
        server = start(data)
    except RuntimeError as refusal:
        said = str(refusal)
    else:
        server.post(planted(1))
        (data / "brakit.db").write_bytes(os.urandom(50_000))
        server.call("GET", "/__brakit/api/logs")
        server.kill()
        said = ""
    assert "Traceback" not in said
    assert victim.exists() is not dangling
    if not dangling:
        assert (victim.read_text(), victim.stat().st_mtime) == ("precious", 1)
