"""The engine: once per request, whatever the order, the delay or the restarts; bounded; cheap."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brakit_server.analysis import backlog
from brakit_server.analysis.engine import Engine
from brakit_server.analysis.rules import Rule, SettingError
from brakit_server.answers import Run
from brakit_server.records import KINDS, Request
from brakit_server.stores import Batch, Resource
from brakit_server.stores.sqlite import SqliteStore

NewBench = Callable[[], Awaitable[Any]]


def loop(make: Any, id: str, count: int = 6) -> list[Any]:
    return [*(make.query(params=f"{id}{n}", owner=id) for n in range(count)), make.request(id)]


def fixed(make: Any, id: str) -> list[Any]:
    return [make.query("SELECT id, name FROM items WHERE order_id IN (?, ?)", owner=id), make.request(id)]


def facts(issues: list[Any]) -> list[tuple[Any, ...]]:
    return sorted((i.issue_id, i.state, i.occurrences, i.clean_hits_since_last_seen, i.issue.desc) for i in issues)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(3):
        while not holds():  # noqa: ASYNC110 (what is waited for has no event of its own)
            await asyncio.sleep(0.02)


async def test_judges_by_itself_shortly_after_the_request(bench: Any, make: Any) -> None:
    bench.engine.observe(bench.store.append(loop(make, "r1")))
    assert bench.engine.issues() == []
    await until(lambda: bench.store.saved)
    (issue,) = bench.engine.issues()
    assert (issue.issue.rule, issue.state, issue.occurrences, issue.issue.evidence) == ("n1", "open", 1, ["r1"])
    assert [i.issue_id for i in bench.published[-1]] == [issue.issue_id]
    assert bench.store.reads == 0


async def test_findings_become_issues_of_the_same_id(bench: Any, case: Any, judge: Callable[[list[Any]], list[Any]]) -> None:
    for entry in sorted(case.entries, key=lambda e: e.timestamp + (e.duration_ms if isinstance(e, Request) else 0)):
        bench.engine.observe(bench.store.append([entry]))
    await bench.engine.settle()
    alive = {i.issue_id for i in bench.engine.issues() if i.state != "resolved"}
    expected = {finding.identity for finding in judge(case.entries)}
    # What endpoints show together may have been otherwise for a while: a slow start that was overtaken by fast requests.
    assert expected <= alive
    others = {i.issue.rule for i in bench.engine.issues() if i.issue_id not in expected}
    assert not any(bench.engine.judge.decides(rule, "timeline") for rule in others)


async def test_counts_a_request_once_when_events_come_late(bench: Any, make: Any) -> None:
    *queries, request = loop(make, "r1", 12)
    await bench.see(request, *queries[:6])
    await bench.see(*queries[6:9])
    await bench.see(*queries[9:])
    (issue,) = bench.engine.issues()
    assert issue.occurrences == 1
    assert "12 times" in issue.issue.desc
    (figures,) = bench.engine.live_metrics()
    assert [point.query_count for point in figures.requests] == [12]
    assert figures.summary.total_requests == 1
    assert figures.sessions[0].avg_query_count == 12


async def test_events_before_their_request_wait_for_it(bench: Any, make: Any) -> None:
    *queries, request = loop(make, "r1")
    await bench.see(*queries)
    assert bench.engine.issues() == []
    await bench.see(request)
    assert len(bench.engine.issues()) == 1
    assert bench.store.reads == 0


async def test_late_events_of_a_request_that_had_to_go_are_read_again(
    bench: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "JUDGED", 3)
    *queries, request = loop(make, "first", 6)
    await bench.see(request, *queries[:2])
    for n in range(5):
        await bench.see(make.request(f"other{n}", route="/other"))
    assert bench.engine.issues() == []
    await bench.see(*queries[2:])
    (issue,) = bench.engine.issues()
    assert "6 times" in issue.issue.desc
    assert issue.issue.evidence == ["first"]
    assert bench.store.reads == 1
    assert next(each for each in bench.engine.live_metrics() if each.endpoint == "GET /orders").summary.total_requests == 1


async def test_events_that_had_to_go_before_their_request_are_read_again(
    bench: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "WAITING", 2)
    *queries, request = loop(make, "first", 6)
    await bench.see(*queries)
    for n in range(5):
        await bench.see(make.query(owner=f"other{n}"))
    await bench.see(request)
    assert len(bench.engine.issues()) == 1


async def test_a_request_in_flight_over_a_restart_is_complete(bench: Any, make: Any) -> None:
    *queries, request = loop(make, "r1")
    await bench.see(*queries)
    bench.now = request.timestamp + 5
    await bench.restart()
    await bench.see(request)
    (issue,) = bench.engine.issues()
    assert "6 times" in issue.issue.desc


async def test_what_began_before_the_start_is_not_looked_for_where_nothing_was_stored_since(bench: Any, make: Any) -> None:
    bench.now = make.request("r1").timestamp + 60_000
    await bench.restart()
    reads = bench.store.reads
    await bench.see(*loop(make, "r2"))
    assert bench.store.reads == reads
    (issue,) = bench.engine.issues()
    assert "6 times" in issue.issue.desc


@pytest.mark.parametrize(
    ("stored_until", "arrives", "ms", "reread"),
    [
        (9_000.0, 1.0, 10.0, True),
        (9_000.0, 60.0, 10.0, False),
        (9_000.0, 60.0, 6_000.0, True),
        (3_000.0, 1.0, 10.0, False),
    ],
    ids=["sent-again", "sent-late", "ran-over-the-start", "began-when-nothing-was-stored-any-more"],
)
def test_only_what_may_be_in_two_parts_is_read_again(
    make: Any, stored_until: float, arrives: float, ms: float, reread: bool
) -> None:
    held = backlog.Backlog(10_000.0)
    held.resume(stored_until, 0.0)
    request = make.request("r1", ms=ms)
    request.timestamp = 5_000.0
    held.root(request, 1, arrives)
    due = held.take_due(arrives)
    assert due is not None
    assert due.reread == reread


async def test_what_was_stored_but_not_judged_is_found_after_a_crash(bench: Any, make: Any) -> None:
    for n in range(30):
        await bench.see(*loop(make, f"r{n}"))
    bench.store.append([*loop(make, "last"), make.error(owner="other"), make.request("other", route="/pay")])
    for _ in range(3):
        await bench.restart()
        errors, loops = sorted(bench.engine.issues(), key=lambda issue: issue.occurrences)
        assert (errors.occurrences, errors.issue.evidence) == (1, ["other"])
        assert (loops.occurrences, loops.issue.evidence[:2]) == (31, ["last", "r29"])


async def test_restarts_change_nothing(new_bench: NewBench, make: Any) -> None:
    sequence = [loop(make, f"r{n}") if n % 4 else [make.request(f"r{n}")] for n in range(24)]
    sequence += [[make.error(owner=f"e{n}"), make.request(f"e{n}", route="/pay", status=500)] for n in range(4)]
    straight, broken = await new_bench(), await new_bench()
    for n, entries in enumerate(sequence):
        await straight.see(*entries)
        await broken.see(*entries)
        if n % 5 == 4:
            await broken.restart()
    assert facts(straight.engine.issues()) == facts(broken.engine.issues())
    assert straight.engine.live_metrics() == broken.engine.live_metrics()
    assert straight.engine.metrics() == broken.engine.metrics()
    assert facts(list(straight.store.saved.values())) == facts(straight.engine.issues())
    for each in (straight, broken):
        await each.engine.stop()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), pieces=st.integers(1, 6))
def test_arrival_does_not_matter(seed: int, pieces: int, make_new: Callable[[], Any], new_bench: NewBench) -> None:
    async def run() -> None:
        make = make_new()
        entries = [*loop(make, "a", 8), make.error(owner="a"), make.error("KeyError", owner="b"), make.request("b", route="/b")]
        plain, mixed = await new_bench(), await new_bench()
        await plain.see(*entries)
        shuffled = random.Random(seed).sample(entries, len(entries))
        size = len(entries) // pieces + 1
        for begin in range(0, len(shuffled), size):
            await mixed.see(*shuffled[begin : begin + size])
        await mixed.see(*shuffled[:3])
        assert facts(plain.engine.issues()) == facts(mixed.engine.issues())
        assert [e.summary for e in plain.engine.live_metrics()] == [e.summary for e in mixed.engine.live_metrics()]
        for each in (plain, mixed):
            await each.engine.stop()

    asyncio.run(run())


async def test_memory_is_bounded(bench: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "EVENTS", 4_000)
    monkeypatch.setattr(backlog, "ABSENT", 1_000)
    held = bench.engine._backlog
    query = make.query()
    for n in range(100):
        # A thousand events each: of one owner, of owners that never come, of requests; nothing is judged in between.
        entries = [type(query)(**{**fields(query), "id": f"{n}-{i}", "parent_request_id": owner(n, i)}) for i in range(995)]
        entries += [make.request(f"r{n}-{i}", route=f"/path{n}/{i}") for i in range(5)]
        bench.engine.observe(bench.store.append(entries))
        assert held.events() <= 4_000
        assert len(held.waiting) <= backlog.WAITING
        assert len(held._absent) <= 1_000
    await bench.engine.settle()
    assert len(bench.engine._windows) <= 500
    assert len(bench.engine.issues()) <= 1_000


def fields(entry: Any) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


def owner(n: int, i: int) -> str:
    return ("giant", f"never{n}-{i}", f"r{n}-{i % 5}")[n % 3]


async def test_the_store_may_be_away_for_a_while(bench: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brakit_server.analysis.saving.RETRY_S", 0.05)
    bench.store.unavailable = True
    bench.engine.observe(bench.store.append(loop(make, "r1")))
    await until(bench.engine.issues)
    await asyncio.sleep(0.6)
    assert bench.store.saved == {}
    bench.store.unavailable = False
    await until(lambda: bench.store.saved)


async def test_errors_whose_request_never_comes_are_found_once(bench: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brakit_server.analysis.engine.ORPHAN_S", 0.0)
    await bench.see(make.error(owner="gone"), make.log(owner="gone"))
    for _ in range(3):
        bench.engine._sweep()
    (issue,) = bench.engine.issues()
    assert (issue.occurrences, issue.issue.endpoint) == (1, None)


async def test_five_clean_requests_resolve_and_the_next_finding_regresses(bench: Any, make: Any) -> None:
    await bench.see(*loop(make, "r1"))
    for n in range(4):
        await bench.see(*fixed(make, f"clean{n}"))
    await bench.see(
        make.request("cached"),
        make.request("elsewhere", route="/other"),
        make.log(owner="clean1"),
        make.request("failed", status=404),
    )
    assert [(i.state, i.clean_hits_since_last_seen) for i in bench.engine.issues()] == [("open", 4)]
    await bench.see(*fixed(make, "clean4"))
    assert [i.state for i in bench.engine.issues()] == ["resolved"]
    assert bench.engine.issues(state="open") == []
    await bench.see(*loop(make, "again"))
    assert [(i.state, i.occurrences, i.resolved_at) for i in bench.engine.issues()] == [("regressed", 2, None)]


async def test_report_and_clear(bench: Any, make: Any) -> None:
    await bench.see(*loop(make, "r1"))
    (issue,) = bench.engine.issues()
    assert not bench.engine.report("nothing", "fixed", "n")
    assert bench.engine.report(issue.issue_id, "fixed", "eager loading")
    await bench.engine.settle()
    assert [(i.state, i.ai_status, i.ai_notes) for i in bench.store.saved.values()] == [("fixing", "fixed", "eager loading")]
    await bench.engine.clear()
    assert (bench.engine.issues(), bench.store.saved, bench.engine.live_metrics(), bench.published[-1]) == ([], {}, [], [])


async def test_services_are_apart(bench: Any, make: Any) -> None:
    await bench.see(make.request("a", service="shop"), make.request("b", service="payments"))
    assert {(each.endpoint, each.service) for each in bench.engine.live_metrics()} == {
        ("GET /orders", "shop"),
        ("GET /orders", "payments"),
    }
    assert bench.engine.metrics("GET /nothing") == []
    assert len(bench.engine.metrics("GET /orders")) == 2


class Broken(Rule):
    title = "Broken"
    category = "reliability"

    def check(self, timeline: Any) -> Any:
        raise RuntimeError("boom")


class Endless(Rule):
    title = "Endless"
    category = "reliability"

    def check(self, timeline: Any) -> Any:
        until = time.thread_time() + 0.06
        while time.thread_time() < until:
            yield from ()


@pytest.mark.parametrize("rule", [Broken, Endless])
async def test_a_bad_rule_is_set_aside_and_the_others_go_on(bench: Any, make: Any, rule: type[Rule]) -> None:
    bad = rule()
    bench.engine.judge.add(bad)
    for n in range(4):
        await bench.see(*loop(make, f"r{n}"))
    assert bench.engine.quarantined == [bad.id]
    assert [i.occurrences for i in bench.engine.issues()] == [4]


def test_settings_reach_the_rules(bench_settings: Callable[[dict[str, object]], Engine]) -> None:
    bench_settings({"rules": {"n1": {"min_count": 5}, "slow": {"enabled": False}}})
    with pytest.raises(SettingError, match="no threshold 'minimum'"):
        bench_settings({"rules": {"n1": {"minimum": 5}}})
    with pytest.raises(SettingError, match="there is no rule 'n2'"):
        bench_settings({"rules": {"n2": {}}})
    with pytest.raises(SettingError, match="must be a int"):
        bench_settings({"rules": {"n1": {"min_count": "5"}}})


async def test_over_the_real_store(tmp_path: Path, make: Any) -> None:
    def engine(store: SqliteStore) -> Engine:
        return Engine(store, project="shop", settings={}, on_issues=lambda _: None)

    def batch(*entries: Any) -> Batch:
        kinds = {kind: name for name, kind in KINDS.items()}
        named = [(kinds[type(entry)], entry) for entry in entries]
        return Batch(batch_id=None, resource=Resource(run="run1", service="shop"), entries=named, dropped={}, received_at=1.0)

    store = SqliteStore(tmp_path / "brakit.db")
    first = engine(store)
    await first.start()
    first.observe(await store.append(batch(*loop(make, "r1"))))
    first.observe(await store.append(batch(make.error(owner="r2"), make.request("r2", status=500))))
    await first.stop()
    before = facts(first.issues())
    second = engine(store)
    await second.start()
    assert facts(second.issues()) == before
    assert [each.requests for each in second.live_metrics()] == [each.requests for each in first.live_metrics()]
    second.observe(await store.append(batch(make.query(params="late", owner="r1"))))
    await second.settle()
    assert [(i.issue.rule, i.occurrences) for i in second.issues()] == [("error", 1), ("n1", 1)]
    assert "7 times" in second.issues()[1].issue.desc
    await second.stop()
    await store.close()


async def test_jobs_are_judged_as_requests_are(bench: Any, make: Any) -> None:
    def run(id: str, *entries: Any, status: str = "succeeded") -> list[Any]:
        return [*entries, make.job(id, "send_invoices", status=status)]

    await bench.see(
        *run("j1", *(make.query(params=f"p{n}", owner="j1") for n in range(8)), make.error(owner="j1"), status="failed")
    )
    errors, loops = bench.engine.issues()
    assert [(i.issue.rule, i.issue.endpoint, i.issue.evidence) for i in (errors, loops)] == [
        ("error", "send_invoices", ["j1"]),
        ("n1", "send_invoices", ["j1"]),
    ]
    assert "8 times in one run" in loops.issue.desc
    assert bench.engine.live_metrics() == []
    await bench.see(*run("j2", status="retried"))
    assert [i.clean_hits_since_last_seen for i in bench.engine.issues()] == [0, 0]
    for n in range(5):
        await bench.see(*run(f"good{n}", *fixed(make, f"good{n}")[:1]))
    assert {i.state for i in bench.engine.issues()} == {"resolved"}
    await bench.restart()
    await bench.see(make.query(params="late", owner="good4"))
    assert {i.state for i in bench.engine.issues()} == {"resolved"}


async def test_a_job_in_flight_over_a_restart_is_complete(bench: Any, make: Any) -> None:
    await bench.see(*(make.query(params=f"p{n}", owner="j1") for n in range(8)), make.error(owner="j1"))
    job = make.job("j1", timestamp=make.now - 9)
    bench.now = make.now + 1
    await bench.restart()
    await bench.see(job)
    assert [(i.issue.rule, i.issue.endpoint) for i in bench.engine.issues()] == [
        ("error", "send_invoices"),
        ("n1", "send_invoices"),
    ]


async def test_a_request_with_very_many_queries_is_judged_in_steps(bench: Any, make: Any) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while not bench.engine.issues():
            turns += 1
            await asyncio.sleep(0)

    bench.engine.observe(bench.store.append(loop(make, "r1", 3_000)))
    counting = asyncio.ensure_future(count())
    await bench.engine.settle()
    await counting
    (issue,) = bench.engine.issues()
    assert "3000 times" in issue.issue.desc
    assert turns > 1


async def test_what_is_found_in_windows_is_counted_by_requests(bench: Any, make: Any) -> None:
    requests = [make.request(f"r{n}", ms=900) for n in range(7)]
    bench.engine.observe(bench.store.append(requests[:4]))
    await bench.engine.settle()
    await bench.see(*requests[4:])
    (issue,) = bench.engine.issues()
    assert (issue.issue.rule, issue.occurrences, issue.issue.evidence[0]) == ("slow", 7, "r6")


async def test_the_server_does_not_wait_for_the_rebuilding(
    new_bench: NewBench, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brakit_server.analysis.engine.START_S", 0.01)
    bench = await new_bench()
    for n in range(4):
        await bench.see(make.request(f"r{n}"))
    free = asyncio.Event()
    activity = bench.store.activity

    async def slow(ids: list[str]) -> Any:
        await free.wait()
        return await activity(ids)

    monkeypatch.setattr(bench.store, "activity", slow)
    await bench.restart()
    bench.engine.observe(bench.store.append(loop(make, "new")))
    await asyncio.sleep(0.4)
    assert bench.engine.issues() == []
    free.set()
    await until(bench.engine.issues)
    await until(lambda: bench.engine.live_metrics()[0].summary.total_requests == 5)
    await bench.engine.stop()


async def test_earlier_runs_are_known_from_their_rollups(new_bench: NewBench, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brakit_server.analysis.restoring.REBUILT", 5)
    bench = await new_bench()
    bench.now = make.now + 100_000
    for number, run in enumerate(("first", "second")):
        bench.store.known[run] = Run(
            run=run, service="shop", first_seen_at=make.now, last_seen_at=make.now + 10, events=0, revision=f"v{number}"
        )
        await bench.restart()
        await bench.see(*(make.request(f"{run}{n}", run=run, ms=100.0) for n in range(8)))
    await bench.see(make.job("j", run="first"), *(make.request(f"other{n}", route="/other", run="first") for n in range(5)))
    await bench.restart()
    orders, other, job = sorted(bench.engine._windows.all(), key=lambda window: window.endpoint)[:3]
    assert (orders.endpoint, other.endpoint, job.endpoint, job.kind) == ("GET /orders", "GET /other", "send_invoices", "job")
    assert {run: (figures.warm.count, figures.revision) for run, figures in orders.runs.items()} == {
        "first": (8, "v0"),
        "second": (8, "v1"),
    }
    assert bench.engine.live_metrics()[0].endpoint == "GET /other"
    await bench.see(*(make.request(f"third{n}", run="third", ms=300.0) for n in range(10)))
    (issue,) = bench.engine.issues()
    assert "3.0 times as long as in 2 earlier run(s) (99 ms)" in issue.issue.desc
    await bench.engine.stop()
