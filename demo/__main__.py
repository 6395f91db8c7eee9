"""`python -m demo`: start the brakit server and both services, let people in, and compare at the end.

Settings, from the environment: `DEMO_SECONDS` (how long the traffic runs; without it, until Ctrl-C), `DEMO_CLIENTS` (people at
the same time, 6), `DEMO_SEED` (another number, other people) and `DEMO_DIR` (where the demo keeps its files, `.brakit/demo`).

Exit codes: 0 when brakit captured exactly what was sent, 1 when it did not, 2 when something could not run, 130 after a second
Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic

import httpx
from rich.console import Console
from rich.markup import escape

from demo import verdict
from demo.counters import KINDS
from demo.payments.seed import seed as seed_payments
from demo.processes import ROOT, Ended, Process, free_ports, stop
from demo.shop.seed import Past
from demo.shop.seed import seed as seed_shop
from demo.traffic import Tally, drive


@dataclass(frozen=True)
class Plan:
    """How to run the demo."""

    folder: Path
    seconds: float | None
    clients: int
    seed: int


def plan_from_environment() -> Plan:
    """Read the settings; raise `ValueError` for one that is no number."""
    seconds = os.environ.get("DEMO_SECONDS")
    return Plan(
        folder=Path(os.environ.get("DEMO_DIR") or ROOT / ".brakit" / "demo").resolve(),
        seconds=float(seconds) if seconds else None,
        clients=int(os.environ.get("DEMO_CLIENTS") or 6),
        seed=int(os.environ.get("DEMO_SEED") or 20),
    )


class Town:
    """The three processes of a demo and their addresses."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Make `folder` new, seed the databases and start everything."""
        for part in ("data", "databases", "logs", "uploads"):
            shutil.rmtree(folder / part, ignore_errors=True)
        data, databases, logs = folder / "data", folder / "databases", folder / "logs"
        databases.mkdir(parents=True)
        logs.mkdir()
        random = Random(seed)
        self.past: Past = seed_shop(databases / "shop.db", random)
        seed_payments(databases / "payments.db", self.past.payments)

        server_port, shop_port, payments_port, shop_counts, payments_counts = free_ports(5)
        self.brakit = f"http://127.0.0.1:{server_port}/__brakit"
        self.shop = f"http://127.0.0.1:{shop_port}"
        self.payments = f"http://127.0.0.1:{payments_port}"
        self.counters = {"shop": f"http://127.0.0.1:{shop_counts}", "payments": f"http://127.0.0.1:{payments_counts}"}
        self.processes: list[Process] = []
        command = str(Path(sys.executable).parent / "brakit")
        try:
            self._start(
                "brakit",
                [command, "serve", "--port", str(server_port), "--dir", str(data), "--until-exit", str(os.getpid())],
                logs,
                {},
            )
            self._start(
                "payments",
                [sys.executable, "-m", "demo.payments", str(payments_port), str(payments_counts)],
                logs,
                {**_observed("payments", data), "PAYMENTS_DATABASE": str(databases / "payments.db")},
            )
            self._start(
                "shop",
                [sys.executable, "-m", "demo.shop", str(shop_port), str(shop_counts)],
                logs,
                {
                    **_observed("shop", data),
                    "SHOP_DATABASE": str(databases / "shop.db"),
                    "SHOP_UPLOADS": str(folder / "uploads"),
                    "PAYMENTS_URL": self.payments,
                },
            )
        except BaseException:
            self.stop()
            raise

    def _start(self, name: str, command: list[str], logs: Path, variables: dict[str, str]) -> None:
        self.processes.append(Process(name, command, logs / f"{name}.log", variables))

    async def ready(self, client: httpx.AsyncClient, seconds: float) -> None:
        """Wait until everything answers. Raises `Ended`, and `TimeoutError` after `seconds`."""
        until = monotonic() + seconds
        for url in (f"{self.brakit}/api/status", f"{self.payments}/health", f"{self.shop}/health"):
            while not await _answers(client, url):
                self.check()
                if monotonic() > until:
                    raise TimeoutError(f"{url} does not answer")
                await asyncio.sleep(0.05)

    def check(self) -> None:
        """Raise `Ended` when one of the processes does not run."""
        for process in self.processes:
            process.check()

    def stop(self) -> None:
        """End the services, then the server that their last words go to."""
        stop(self.processes[1:], seconds=4)
        stop(self.processes[:1], seconds=4)


def _observed(service: str, data: Path) -> dict[str, str]:
    return {"BRAKIT_DIR": str(data), "BRAKIT_SERVICE": service, "BRAKIT_ENABLE": "1"}


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.TransportError:
        return False


async def run(plan: Plan, console: Console) -> int:
    """Run the whole demo; return its exit code."""
    closing = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _closer(closing, asyncio.current_task()))
    town = Town(plan.folder, plan.seed)
    try:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            await town.ready(client, seconds=30)
            console.print(f"\n  [bold]brakit[/]     {town.brakit}/", highlight=False)
            console.print(f"  [dim]shop[/]       {town.shop}\n  [dim]payments[/]   {town.payments}\n", highlight=False)
            until = f"for {plan.seconds:g} seconds" if plan.seconds else "until Ctrl-C"
            console.print(f"{plan.clients} people walk through the shop {until}. Open the first address to watch.")
            tally = await _open_hours(plan, town, client, closing, console)
            return await _close(town, client, tally, console)
    finally:
        town.stop()


def _closer(closing: asyncio.Event, task: asyncio.Task[int] | None) -> Callable[[], None]:
    def close() -> None:
        # Whoever asks twice does not want the comparison.
        if closing.is_set() and task is not None:
            task.cancel()
        closing.set()

    return close


async def _open_hours(plan: Plan, town: Town, client: httpx.AsyncClient, closing: asyncio.Event, console: Console) -> Tally:
    tally = Tally()
    opened = monotonic()
    crowd = asyncio.create_task(drive(town.shop, town.past, closing, tally, clients=plan.clients, seed=plan.seed))
    try:
        with console.status("opening") as line:
            while not closing.is_set() and not crowd.done():
                if plan.seconds and monotonic() - opened >= plan.seconds:
                    break
                await asyncio.sleep(0.25)
                town.check()
                counts = await verdict.sent(client, town.counters)
                line.update(" · ".join(f"{sum(each[kind] for each in counts.values())} {kind}" for kind in KINDS))
        closing.set()
        await crowd
    finally:
        crowd.cancel()
    return tally


async def _close(town: Town, client: httpx.AsyncClient, tally: Tally, console: Console) -> int:
    expected = await verdict.quiet(client, town.counters, seconds=10)
    counts, differences = await verdict.settled(client, town.brakit, expected, seconds=8)
    console.print()
    verdict.show_counts(console, expected, counts)
    verdict.show_issues(console, await verdict.issues(client, town.brakit))
    answers = ", ".join(f"{number} × {code}" for code, number in sorted(tally.answers.items()))
    console.print(f"The people got {answers}." + (f" {tally.cut_short} visits were cut short." if tally.cut_short else ""))
    report = await verdict.status(client, town.brakit)
    if report["dropped"] or report["rejected"]:
        console.print(f"[red]dropped by the SDK: {report['dropped']}, rejected by the server: {report['rejected']}[/]")
    for each in differences:
        console.print(f"[bold red]{each.service}: {each.sent} {each.kind} were sent, {each.captured} captured[/]")
    if not differences:
        console.print("[bold green]Everything that was sent was captured, once.[/]")
    return 1 if differences else 0


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Ended(f"another demo runs in {folder}: stop it, or set DEMO_DIR to another folder") from None
        yield


def main() -> int:
    """Run the demo as the environment says; return the exit code."""
    console = Console()
    try:
        plan = plan_from_environment()
        with _alone(plan.folder):
            return asyncio.run(run(plan, console))
    except (Ended, TimeoutError, ValueError, httpx.HTTPError) as problem:
        console.print(f"[bold red]The demo stopped:[/] {escape(str(problem) or repr(problem))}")
        return 2
    except asyncio.CancelledError:
        return 130


if __name__ == "__main__":
    sys.exit(main())
