"""Fifty people at once in both services of the demo: everything is captured once, under the request that it belongs to.

The truth is the demo's own ledger (`demo/counters.py`), which knows nothing of brakit: counts by visit, a visit being one request of
a person, named in a header that the shop passes on to the payments service.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo import verdict
from demo.__main__ import Town
from demo.counters import HEADER, KINDS
from demo.traffic import Tally, drive

CLIENTS = 50
SECONDS = 12
EVENTS = ("queries", "fetches", "logs", "errors")


async def pages(client: httpx.AsyncClient, url: str, **params: str) -> list[dict[str, Any]]:
    """Every entry of a list, page by page."""
    found: list[dict[str, Any]] = []
    before = None
    while True:
        answer = (
            (await client.get(url, params={**params, "limit": 500, **({"before": before} if before else {})}))
            .raise_for_status()
            .json()
        )
        found += answer.get("requests", answer.get("entries"))
        before = answer.get("next")
        if not before:
            return found


async def counted(client: httpx.AsyncClient, api: str, ids: list[str]) -> dict[str, Counter[str]]:
    """Events of each request, by the API's word for their list."""
    counts: dict[str, Counter[str]] = {}
    for start in range(0, len(ids), 50):
        part = ids[start : start + 50]
        answer = (await client.get(f"{api}/activity", params={"requestIds": ",".join(part)})).raise_for_status().json()
        counts |= {id: Counter(activity["counts"]) for id, activity in answer["activities"].items()}
    return counts


@pytest.mark.timeout(180)
async def test_fifty_people_at_once(tmp_path: Path) -> None:
    town = Town(tmp_path, seed=7)
    api = f"{town.brakit}/api"
    try:
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            await town.ready(client, seconds=40)
            closing = asyncio.Event()
            crowd = asyncio.create_task(drive(town.shop, town.past, closing, Tally(), clients=CLIENTS, think=0.2, seed=7))
            await asyncio.sleep(SECONDS)
            closing.set()
            await crowd
            expected = await verdict.quiet(client, town.counters, seconds=30)
            _, differences = await verdict.settled(client, town.brakit, expected, seconds=30)
            assert not differences
            assert expected["shop"]["requests"] > 300
            assert sum(counts[kind] for counts in expected.values() for kind in KINDS) > 3000

            ledger = {name: (await client.get(f"{url}/visits")).json() for name, url in town.counters.items()}
            for service, visits in ledger.items():
                requests = await pages(client, f"{api}/requests", service=service)
                by_visit: dict[str, list[str]] = {}
                for request in requests:
                    if HEADER in request["headers"]:
                        by_visit.setdefault(request["headers"][HEADER], []).append(request["id"])
                assert {visit: len(ids) for visit, ids in by_visit.items()} == {
                    visit: counts["requests"] for visit, counts in visits.items()
                }
                counts = await counted(client, api, [request["id"] for request in requests])
                caused = await pages(client, f"{api}/jobs", service=service)
                for job in caused:
                    counts[job["parentRequestId"]] += (await counted(client, api, [job["id"]]))[job["id"]]
                found = {visit: sum((counts[id] for id in ids), Counter()) for visit, ids in by_visit.items()}
                wrong = {
                    visit: (found[visit], visits[visit])
                    for visit in visits
                    if any(found[visit][kind] != visits[visit][kind] for kind in EVENTS)
                }
                assert not wrong

            for kind in KINDS:
                ids = [entry["id"] for entry in await pages(client, f"{api}/{kind}")]
                assert len(ids) == len(set(ids)) == sum(counts[kind] for counts in expected.values()), kind
    finally:
        town.stop()
