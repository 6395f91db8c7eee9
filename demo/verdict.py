"""What the services did, against what brakit has of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

import httpx
from rich.console import Console
from rich.table import Table

from demo.counters import KINDS

Counts = dict[str, int]


@dataclass(frozen=True)
class Difference:
    """One count that is not what it should be."""

    service: str
    kind: str
    sent: int
    captured: int


async def sent(client: httpx.AsyncClient, counters: Mapping[str, str]) -> dict[str, Counts]:
    """What each service counted itself; `counters` maps its name to the URL of its counts."""
    counts = {}
    for name, url in counters.items():
        counts[name] = cast("Counts", (await client.get(url)).raise_for_status().json())
    return counts


async def quiet(client: httpx.AsyncClient, counters: Mapping[str, str], seconds: float) -> dict[str, Counts]:
    """The services' counts once no request is at work in any; raise `TimeoutError` when one still is after `seconds`."""
    until = monotonic() + seconds
    while True:
        counts = await sent(client, counters)
        if not any(of_service["active"] for of_service in counts.values()):
            return counts
        if monotonic() > until:
            raise TimeoutError(f"the services are still at work: {counts}")
        await asyncio.sleep(0.05)


async def captured(client: httpx.AsyncClient, brakit: str, services: Iterable[str]) -> dict[str, Counts]:
    """What the brakit server at the URL `brakit` has of each service."""
    counts = {}
    for name in services:
        counts[name] = {kind: int((await _ask(client, f"{brakit}/api/{kind}", service=name, limit=1))["total"]) for kind in KINDS}
    return counts


async def settled(
    client: httpx.AsyncClient, brakit: str, expected: Mapping[str, Counts], seconds: float
) -> tuple[dict[str, Counts], list[Difference]]:
    """What the server has once it is what was sent, or after `seconds`; a moment longer, so that too much would show too."""
    until = monotonic() + seconds
    while True:
        counts = await captured(client, brakit, expected)
        if not differences(expected, counts) or monotonic() > until:
            break
        await asyncio.sleep(0.2)
    await asyncio.sleep(0.5)
    counts = await captured(client, brakit, expected)
    return counts, differences(expected, counts)


def differences(expected: Mapping[str, Counts], counts: Mapping[str, Counts]) -> list[Difference]:
    """Where `counts` are not the `expected` ones."""
    return [
        Difference(service, kind, expected[service][kind], counts[service][kind])
        for service in expected
        for kind in KINDS
        if expected[service][kind] != counts[service][kind]
    ]


async def status(client: httpx.AsyncClient, brakit: str) -> dict[str, Any]:
    """The server's own report."""
    return await _ask(client, f"{brakit}/api/status")


async def issues(client: httpx.AsyncClient, brakit: str) -> list[dict[str, Any]]:
    """The issues that the server found, as its API gives them."""
    return cast("list[dict[str, Any]]", (await _ask(client, f"{brakit}/api/insights"))["issues"])


async def _ask(client: httpx.AsyncClient, url: str, **params: str | int) -> dict[str, Any]:
    return cast("dict[str, Any]", (await client.get(url, params=params)).raise_for_status().json())


def show_counts(console: Console, expected: Mapping[str, Counts], counts: Mapping[str, Counts]) -> None:
    """Print what was sent beside what was captured."""
    table = Table("service", "kind", title="Sent and captured", title_justify="left")
    table.add_column("sent", justify="right")
    table.add_column("captured", justify="right")
    table.add_column("")
    for service, of_service in expected.items():
        for kind in KINDS:
            same = of_service[kind] == counts[service][kind]
            mark = "[green]same[/]" if same else f"[bold red]{counts[service][kind] - of_service[kind]:+d}[/]"
            table.add_row(service, kind, str(of_service[kind]), str(counts[service][kind]), mark)
        table.add_section()
    console.print(table)


def show_issues(console: Console, found: list[dict[str, Any]]) -> None:
    """Print the issues, one a line."""
    table = Table("rule", "endpoint", "what", title="Issues", title_justify="left")
    table.add_column("times", justify="right")
    for each in found:
        issue = each["issue"]
        table.add_row(issue["rule"], issue.get("endpoint", ""), issue["title"], str(each["occurrences"]))
    console.print(table)
