"""Emitted = received + dropped and reported, for each process, exactly; nothing twice, nothing under another process or owner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.accounting.producer import MEMBERS
from tests.accounting.recorder import TEMPERS, Recorder

ROOT = Path(__file__).resolve().parent.parent.parent
EVENTS = 1_000_000 if os.environ.get("BRAKIT_LONG") else 50_000
SHARE = {"preforked": 0.5, "methods": 0.3, "hookless": 0.2}
Say = Callable[[list[str]], None]


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder()
    # With its nonce, as a server of ours: it knows a batch that comes again.
    made.announce(tmp_path / ".brakit", port_file=False)
    yield made
    made.close()
    assert made.problems == []


def run(plan: str, events: int, folder: Path) -> None:
    """One tree of processes, to its end."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.accounting.producer", plan, str(events), str(folder / "ledger")],
        cwd=ROOT,
        env={**kept, "PYTHONFAULTHANDLER": "1", "BRAKIT_ENABLE": "1", "BRAKIT_DIR": str(folder / ".brakit")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, stderr = process.communicate(timeout=110 + events / 500)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.communicate()
    assert (process.returncode, stderr) == (0, "")


def table(ledger: list[dict[str, int]], recorder: Recorder) -> list[str]:
    """A row for each process; the last column has to be 0."""
    lines = [f"{'process':<28}{'emitted':>9}{'received':>10}{'dropped and reported':>56}{'twice':>7}{'strange':>9}{'missing':>9}"]
    for row in ledger:
        account = recorder.accounts[row["pid"]]
        reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(account.dropped.items())) or "0"
        missing = row["emitted"] - len(account.numbers) - account.dropped.total()
        lines.append(
            f"{row['name']:<28}{row['emitted']:>9}{len(account.numbers):>10}{reasons:>56}"
            f"{account.twice:>7}{account.strangers:>9}{missing:>9}"
        )
    return lines


@pytest.mark.timeout(3600 if os.environ.get("BRAKIT_LONG") else 180)
@pytest.mark.parametrize("plan", MEMBERS)
def test_every_event_is_received_or_reported_as_dropped(plan: str, recorder: Recorder, tmp_path: Path, say: Say) -> None:
    over = threading.Event()
    moods: Counter[str] = Counter()
    driver = threading.Thread(target=lambda: moods.update(recorder.be_moody(over, seed=len(plan))))
    driver.start()
    try:
        run(plan, int(EVENTS * SHARE[plan]), tmp_path)
    finally:
        over.set()
        driver.join()
    ledger = [json.loads(line) for line in (tmp_path / "ledger").read_text().splitlines()]
    lines = table(ledger, recorder)
    say([f"{plan}: the server was {', '.join(f'{temper} {times}x' for temper, times in moods.most_common())}", *lines, ""])
    shown = "\n".join(lines)
    assert len(ledger) == MEMBERS[plan]
    assert all(row["settled"] for row in ledger), ledger
    assert set(recorder.accounts) == {row["pid"] for row in ledger}
    for row in ledger:
        account = recorder.accounts[row["pid"]]
        assert row["emitted"] == len(account.numbers) + account.dropped.total(), shown
        assert (account.twice, account.strangers) == (0, 0), shown
        assert account.numbers <= set(range(row["emitted"]))
    assert recorder.same_ids == 0
    assert recorder.wrong_owners() == 0
    # It has had every temper while events were on their way, or this would prove little.
    assert set(moods) == set(TEMPERS)
