"""What every store promises, asked of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from brakit_server.answers import Issue, StatefulIssue
from brakit_server.records import Job, Request
from brakit_server.stores import Opaque, Store, StoreUnavailable, Where
from brakit_server.stores.memory import MemoryStore
from brakit_server.stores.sqlite import SqliteStore, tail

NOW = 1_790_000_000_000.0

Open = Callable[..., Store]
STORES: dict[str, Callable[[Path, dict[str, Any]], Store]] = {
    "memory": lambda _, settings: MemoryStore(**settings),
    "sqlite": lambda folder, settings: SqliteStore(folder / "events.db", **settings),
    "sqlite, every batch a segment": lambda folder, settings: SqliteStore(folder / "events.db", **settings),
}


@pytest.fixture(params=sorted(STORES))
async def opening(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Opens a store."""
    if "segment" in request.param:
        monkeypatch.setattr(tail, "FULL", 1)
    opened: list[Store] = []

    def begin(**settings: Any) -> Store:
        opened.append(STORES[request.param](tmp_path, settings))
        return opened[-1]

    yield begin
    for each in opened:
        await each.close()


@pytest.fixture
def store(opening: Open) -> Store:
    return opening()


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def issue(id: str, occurrences: int = 1) -> StatefulIssue:
    found = Issue(category="performance", rule="n1", severity="warning", title="t", desc="d", hint="h", evidence=["r1"])
    return StatefulIssue(
        issue_id=id,
        state="open",
        source="passive",
        category="performance",
        issue=found,
        first_seen_at=1.0,
        last_seen_at=2.0,
        occurrences=occurrences,
        clean_hits_since_last_seen=0,
    )


async def test_numbers_grow_by_one_and_come_back_in_order(store: Store, make: Any, batch: Any) -> None:
    results = await asyncio.gather(*(store.append(batch(*(make.log(None) for _ in range(3)))) for _ in range(40)))
    assert [each.seq for stored in results for each in stored] == list(range(1, 121))
    assert await store.last_seq() == 120
    assert [each.seq for each in await store.since(100, 5)] == [101, 102, 103, 104, 105]
    assert await store.since(120, 5) == []


async def test_a_batch_id_counts_once(store: Store, make: Any, batch: Any) -> None:
    assert len(await store.append(batch(make.log(None), batch_id="b"))) == 1
    repeated = await asyncio.gather(*(store.append(batch(make.log(None), batch_id="b")) for _ in range(5)))
    assert repeated == [[]] * 5
    assert (await store.logs(Where())).total == 1
    assert len(await store.append(batch(make.log(None)))) == 1


async def test_every_kind_comes_back_as_it_was(store: Store, make: Any, batch: Any) -> None:
    opaque = Opaque(id="o", timestamp=NOW, parent_request_id="r1", data=msgspec.Raw(b'{"a":[1,null]}'))
    entries = [
        make.query("r1", call_site=make.site(3)),
        make.fetch("r1"),
        make.log("r1", "nul \0 and \u2028 and 'quotes'; DROP TABLE event; --"),
        make.error("r1"),
        make.span("r1"),
        ("job.start", opaque),
        make.request("r1"),
    ]
    stored = await store.append(batch(*entries))
    read = await store.since(0, 100)
    assert [(each.seq, each.kind) for each in read] == [(each.seq, each.kind) for each in stored]
    for before, after in zip(stored, read, strict=True):
        if isinstance(after.entry, Opaque):
            assert bytes(after.entry.data) == b'{"a":[1,null]}'
        else:
            assert after.entry == before.entry
    assert (await store.size()).events == {"request": 1, "db.query": 1, "fetch": 1, "log": 1, "error": 1, "span": 1, "other": 1}


async def test_lists_are_newest_first_in_pages(store: Store, make: Any, batch: Any) -> None:
    await store.append(batch(*(make.log(None, f"m{number}") for number in range(10))))
    page = await store.logs(Where(limit=4))
    assert ([log.message for log in page.entries], page.total) == (["m9", "m8", "m7", "m6"], 10)
    await store.append(batch(make.log(None, "new")))
    second = await store.logs(Where(limit=4, before=page.next))
    assert [log.message for log in second.entries] == ["m5", "m4", "m3", "m2"]
    last = await store.logs(Where(limit=4, before=second.next))
    assert ([log.message for log in last.entries], last.next) == (["m1", "m0"], None)
    assert [log.message for log in (await store.logs(Where(limit=2, offset=1))).entries] == ["m9", "m8"]


@pytest.mark.parametrize("where", [{"search": "/FIND/1"}, {"status": "201"}, {"search": "/find/1", "status": "2xx"}])
async def test_pages_while_more_arrives(store: Store, make: Any, batch: Any, where: dict[str, Any]) -> None:
    """Every request begins at the same time: the cursor still neither skips nor repeats one."""

    def request(id: str, number: int) -> Any:
        return make.request(id, url=f"/find/{number % 3}", timestamp=NOW, status_code=200 + number % 3)

    await store.append(batch(*(request(f"r{number}", number) for number in range(15))))
    page = await store.requests(Where(limit=2, **where))
    found = [request.id for request in page.entries]
    total = page.total
    while page.next is not None:
        await store.append(batch(request(f"new{total}", 1)))
        total += 1
        page = await store.requests(Where(limit=2, before=page.next, **where))
        assert page.total == total
        found += [request.id for request in page.entries]
    assert found == ["r13", "r10", "r7", "r4", "r1"]
    # The eighth stored is r7.
    assert [one.id for one in (await store.requests(Where(limit=2, offset=1, before="8", **where))).entries] == ["r1"]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (Where(), {"a", "b", "c"}),
        (Where(request_id="a"), {"a"}),
        (Where(request_id="nobody"), set()),
        (Where(method="POST"), {"b"}),
        (Where(status="4xx"), {"b"}),
        (Where(status="404"), {"b"}),
        (Where(status="junk"), set()),
        (Where(status="40"), set()),
        (Where(service="shop"), {"a", "b"}),
        (Where(endpoint="GET /users/{id}"), {"a", "c"}),
        (Where(search="PAID"), {"b"}),
        (Where(search="üNDER"), {"a", "b", "c"}),
        (Where(search='say "hi" 100%'), {"c"}),
        (Where(search="shop"), set()),
        (Where(search="\\"), set()),
        (Where(since=NOW + 3), {"c"}),
        (Where(since=NOW - 1e9), {"a", "b", "c"}),
        (Where(status="2xx", service="shop", since=0.0, method="GET"), {"a"}),
        (Where(service="' OR 1=1 --"), set()),
    ],
)
async def test_conditions(store: Store, make: Any, batch: Any, where: Where, found: set[str]) -> None:
    a, b = make.request("a"), make.request("b", method="POST", status_code=404, response_body="not Paid")
    c = make.request("c", service="payments", status_code=302, request_body='{"note": "say \\"hi\\" 100%"}'.replace("\\", ""))
    await store.append(batch(a, b, c))
    page = await store.requests(where)
    assert {request.id for request in page.entries} == found
    assert page.total == len(found)


async def test_conditions_of_other_kinds(store: Store, make: Any, batch: Any) -> None:
    await store.append(batch(make.query("a"), make.query("b", "s2"), make.request("a"), make.request("b", route="/b")))
    await store.append(batch(make.log("a", level="warn"), make.log(None, logger="shop.cart"), make.fetch("b"), make.error("a")))
    assert (await store.queries(Where(endpoint="GET /b"))).total == 1
    assert (await store.queries(Where(shape_hash="s2"))).entries[0].parent_request_id == "b"
    assert (await store.logs(Where(level="warn"))).total == 1
    assert (await store.logs(Where(search="CART"))).total == 1
    assert (await store.fetches(Where(status="5xx", method="POST", search="charge"))).total == 1
    assert (await store.errors(Where(request_id="a", search="valueerror"))).total == 1


async def test_one_request_with_its_events(store: Store, make: Any, batch: Any, hex_id: Any) -> None:
    own, other = hex_id(), hex_id()
    await store.append(batch(make.query(own), make.log(other), make.span(own, timestamp=NOW - 5)))
    assert await store.timelines([own]) == {}
    assert [each.kind for each in (await store.activity([own]))[own]] == ["span", "db.query"]
    await store.append(batch(make.request(own), make.request("child", own), make.log(own)))
    timeline = (await store.timelines([own, "nobody"]))[own]
    assert timeline.request.id == own
    assert [each.kind for each in timeline.entries] == ["span", "db.query", "log"]
    assert [request.id for request in await store.children(own)] == ["child"]
    assert await store.children("nobody") == []
    activity = await store.activity([own, "nobody"])
    assert (len(activity[own]), activity["nobody"]) == (3, [])


async def test_jobs(store: Store, make: Any, batch: Any, hex_id: Any) -> None:
    request, first, second = hex_id(), hex_id(), hex_id()
    await store.append(batch(make.request(request), make.log(request), make.query(first, "s9"), make.log(first, "in the job")))
    await store.append(batch(make.job(first, request), make.job(second, first, name="shop.bill", status="failed", error="E: no")))
    assert [job.id for job in (await store.jobs(Where())).entries] == [second, first]
    assert [job.id for job in (await store.jobs(Where(request_id=first))).entries] == [second, first]
    assert [job.id for job in (await store.jobs(Where(request_id=request))).entries] == [first]
    assert [job.id for job in (await store.jobs(Where(status="failed"))).entries] == [second]
    assert [job.id for job in (await store.jobs(Where(endpoint="shop.mail"))).entries] == [first]
    assert [job.id for job in (await store.jobs(Where(search="BILL"))).entries] == [second]
    assert (await store.jobs(Where(status="junk"))).total == (await store.jobs(Where(request_id="nobody"))).total == 0
    activity = await store.activity([request, first, second])
    assert [[each.kind for each in activity[id]] for id in (request, first, second)] == [["log"], ["db.query", "log"], []]
    timeline = (await store.timelines([request]))[request]
    assert [each.kind for each in timeline.entries] == ["log"]
    assert [[job.id for job in await store.children(id)] for id in (request, first, second)] == [[first], [second], []]
    owners = await store.owners([request, second, "nobody"])
    assert {id: type(owner) for id, owner in owners.items()} == {request: Request, second: Job}
    assert await store.timelines([first]) == {}
    assert (await store.queries(Where(endpoint="shop.mail"))).total == 1
    assert (await store.query_shapes(Where()))[0].endpoints == ["shop.mail"]


async def test_what_ends_a_transaction_is_in_the_timeline_and_no_query(store: Store, make: Any, batch: Any, hex_id: Any) -> None:
    id = hex_id()
    entries = [make.query(id), make.query(id, "c1", sql="COMMIT", transaction_mark="commit"), make.request(id)]
    await store.append(batch(*entries))
    assert (await store.queries(Where())).total == 1
    assert (await store.size()).events == {"request": 1, "db.query": 1, "mark": 1}
    assert [shape.shape_hash for shape in await store.query_shapes(Where())] == ["s1"]
    [timeline] = (await store.timelines([id])).values()
    assert [(each.kind, each.entry) for each in timeline.entries] == entries[:2]
    assert [each.kind for each in await store.since(0, 10)] == ["db.query", "db.query", "request"]


async def test_shapes(store: Store, make: Any, batch: Any) -> None:
    slow = [make.query("a", "slow", duration_ms=ms, call_site=make.site(3)) for ms in (100.0, 200.0, 300.0)]
    await store.append(batch(make.request("a"), *slow, make.query("a", "quick", error="E: no"), make.query(None, "quick")))
    first, second = await store.query_shapes(Where())
    assert (first.shape_hash, first.count, first.total_ms, first.max_ms) == ("slow", 3, 600, 300)
    assert first.p50_ms == pytest.approx(200, rel=0.02)
    assert first.p95_ms == pytest.approx(300, rel=0.02)
    assert (first.rows, first.requests, first.endpoints, first.services) == (9, 1, ["GET /users/{id}"], ["shop"])
    assert (first.call_sites, first.last_request_id) == ([make.site(3)], "a")
    assert (second.shape_hash, second.errors, second.requests) == ("quick", 1, 1)
    assert [shape.shape_hash for shape in await store.query_shapes(Where(shape_hash="quick"))] == ["quick"]


async def test_error_groups(store: Store, make: Any, batch: Any) -> None:
    await store.append(
        batch(make.request("a"), make.error("a"), make.error("a", message="worse"), make.error(None, line=9, handled=True))
    )
    newest, older = await store.error_groups(Where())
    assert (newest.count, newest.handled, newest.endpoints) == (1, True, [])
    assert (older.count, older.message, older.endpoints, older.last_request_id) == (2, "worse", ["GET /users/{id}"], "a")
    assert older.frame is not None
    assert (older.frame.file, older.frame.line, older.first_seen_at < older.last_seen_at) == ("app.py", 7, True)
    assert newest.key != older.key


async def test_points_counts_and_runs(store: Store, make: Any, batch: Any) -> None:
    await store.append(batch(make.request("a"), make.log("a")))
    await store.append(batch(make.request("b", status_code=500), run="run2", service="payments", pid=5))
    points = await store.points(NOW - 60_000, 10)
    assert [(point.status_code, point.endpoint, point.service) for point in points] == [
        (500, "GET /users/{id}", "shop"),
        (200, "GET /users/{id}", "shop"),
    ]
    assert await store.points(NOW + 60_000, 10) == []
    assert await store.counts(NOW - 60_000) == {"request": 2, "log": 1}
    runs = {run.run: run for run in await store.runs()}
    assert (runs["run1"].service, runs["run1"].events) == ("shop", 2)
    assert (runs["run2"].service, runs["run2"].pid) == ("payments", 5)


async def test_issues_are_kept(store: Store) -> None:
    await store.save_issues([issue("a"), issue("b")], [])
    await store.save_issues([issue("a", 5)], ["b", "nobody"])
    [kept] = await store.issues()
    assert kept == issue("a", 5)


async def test_clear_leaves_nothing_but_the_numbering(store: Store, make: Any, batch: Any, tmp_path: Path) -> None:
    await store.append(batch(*(make.log("r1", "find-me-" + "x" * 500) for _ in range(200)), batch_id="b"))
    await store.save_issues([issue("find-me-issue")], [])
    await store.clear()
    assert (await store.logs(Where())).total == 0
    assert await store.issues() == []
    assert await store.runs() == []
    assert (await store.size()).events == {}
    for file in files(tmp_path):
        assert b"find-me" not in file.read_bytes(), file
    [stored] = await store.append(batch(make.log("r1"), batch_id="b"))
    assert stored.seq == 201
    assert (await store.logs(Where(request_id="r1"))).total == 1


async def test_old_events_go(opening: Open, make: Any, batch: Any) -> None:
    now = [NOW / 1000]
    store = opening(max_age_days=1, clock=lambda: now[0])
    old = [
        make.request("old", route="/old"),
        make.query("old", "gone", duration_ms=900.0),
        make.query("old", "both"),
        make.error("old"),
    ]
    await store.append(batch(*old, received_at=NOW))
    await store.append(batch(make.request("new"), make.query("new", "both", duration_ms=5.0), received_at=NOW + 86_400_000))
    assert await store.expire() == 0
    now[0] += 86_400 + 60
    assert await store.expire() == 4
    assert await store.expire() == 0
    assert (await store.size()).events == {"request": 1, "db.query": 1}
    assert [request.id for request in (await store.requests(Where())).entries] == ["new"]
    assert (await store.requests(Where(endpoint="GET /old"))).total == 0
    [shape] = await store.query_shapes(Where())
    assert (shape.shape_hash, shape.count, shape.total_ms, shape.requests) == ("both", 1, 5.0, 1)
    assert shape.endpoints == ["GET /users/{id}"]
    assert await store.error_groups(Where()) == []
    assert (await store.owners(["old", "new"])).keys() == {"new"}
    assert (await store.activity(["old"])) == {"old": []}
    assert [each.seq for each in await store.since(0, 9)] == [5, 6]


async def test_a_closed_store_says_so(store: Store, make: Any, batch: Any) -> None:
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.append(batch(make.log(None)))
    with pytest.raises(StoreUnavailable):
        await store.logs(Where())
