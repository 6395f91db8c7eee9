"""Whose work it is: ids in and out, hosts that may have them, and the owner across tasks, threads and generators."""

from __future__ import annotations

import asyncio
import contextvars
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brakit import context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ID = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@given(st.text() | st.text(alphabet="0123456789abcdefABCDEF-", min_size=30, max_size=40))
@example(ID)
@example("6f9619ff-8b86-d011-b42d-00cf4fc964ff")
@example(ID + "\r\nX-Evil: 1")
@example(ID + "\n")
@example("a" * 1_000_000)
@example("０" * 32)
def test_a_request_id_is_taken_only_in_the_form_of_one(text: str) -> None:
    parsed = context.parse_request_id(text)
    if parsed is not None:
        assert parsed == text
        assert re.fullmatch(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text)


def test_both_forms_of_a_request_id_are_taken() -> None:
    for id in (ID, ID.upper(), "6f9619ff-8b86-d011-b42d-00cf4fc964ff"):
        assert context.parse_request_id(id) == id


@given(st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.{0,3}", fullmatch=True))
@example(f"00-{ID}-{SPAN}-01")
@example(f"ff-{ID}-{SPAN}-01")
@example(f"00-{ID}-{SPAN}-01-more")
@example(f"cc-{ID}-{SPAN}-01-more")
@example(f"00-{'0' * 32}-{SPAN}-01")
@example(f"00-{ID}-{'0' * 16}-01")
@example(f"00-{ID.upper()}-{SPAN}-01")
def test_a_traceparent_is_taken_only_in_the_form_of_one(text: str) -> None:
    trace_id, span_id = context.parse_traceparent(text)
    assert (trace_id is None) == (span_id is None)
    if trace_id is not None and span_id is not None:
        assert re.fullmatch(r"[0-9a-f]{32}", trace_id)
        assert re.fullmatch(r"[0-9a-f]{16}", span_id)
        assert set(trace_id) != {"0"}
        assert set(span_id) != {"0"}
        assert not text.startswith("ff")
        assert text[2:].startswith(f"-{trace_id}-{span_id}-")


def test_versions_of_traceparent() -> None:
    assert context.parse_traceparent(f"00-{ID}-{SPAN}-01") == (ID, SPAN)
    assert context.parse_traceparent(f"00-{ID}-{SPAN}-01-more") == (None, None)
    assert context.parse_traceparent(f"cc-{ID}-{SPAN}-01-more") == (ID, SPAN)
    assert context.parse_traceparent(f"cc-{ID}-{SPAN}-01x") == (None, None)


def test_an_inbound_id_groups_but_never_replaces_our_own() -> None:
    first, inbound, _ = context.request_owner(ID, None)
    second, _, _ = context.request_owner(ID, None)
    assert inbound == first.request_id == second.request_id == ID
    assert len({first.id, second.id, ID}) == 3
    assert first.root is first


def test_what_is_no_id_is_as_if_it_had_not_come() -> None:
    owner, inbound, span_id = context.request_owner("<script>", "00-zz")
    assert (inbound, span_id) == (None, None)
    assert owner.request_id == owner.id == owner.trace_id


def test_the_trace_goes_on() -> None:
    owner, _, span_id = context.request_owner(None, f"00-{ID}-{SPAN}-00")
    assert (owner.trace_id, span_id) == (ID, SPAN)
    headers = dict(context.outgoing_headers(owner, "1" * 16))
    assert headers == {
        "x-brakit-request-id": owner.id,
        "traceparent": f"00-{ID}-{'1' * 16}-01",
        "x-brakit-fetch-id": "1" * 16,
    }
    assert context.outgoing_headers(None, "1" * 16) == [("x-brakit-fetch-id", "1" * 16)]


@given(st.lists(st.none(), min_size=50, max_size=50))
def test_ids_do_not_depend_on_the_apps_random_seed(rounds: list[None]) -> None:
    import random

    ids = set()
    for _ in rounds:
        random.seed(1)
        ids.add(context.new_request_id())
    assert len(ids) == len(rounds)


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST", "shop.localhost", "printer.local", "db.internal", "127.0.0.1", "127.8.8.8", "10.1.2.3",
        "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.0.1", "::1", "[::1]", "fc00::1", "fd12:3456::1", "fe80::1",
        "fe80::1%eth0", "payments", "my_service", "api.partner.test", "API.partner.test",
    ],
)  # fmt: skip
def test_our_ids_may_go_to(host: str) -> None:
    assert context.trusted_host(host, ("api.partner.test",))


@pytest.mark.parametrize(
    "host",
    [
        "", "example.com", "localhost.example.com", "127.0.0.1.example.com", "10.evil.com", "8.8.8.8", "172.15.0.1", "172.32.0.1",
        "192.169.1.1", "11.0.0.1", "2130706433", "134744072", "0x08080808", "0x7f000001", "010.8.8.8", "10.0.0.256", "10.0.0",
        "2001:db8::1", "fc::1", "fd::1", "fe8::1", "::ffff:8.8.8.8", "user@evil", "127.0.0.1@evil.com", "evil。com", "localhost:80",
        "evil%2ecom", "a b", "sub.api.partner.test", "ٱ", "١٢٧.0.0.1",
    ],
)  # fmt: skip
def test_our_ids_may_not_go_to(host: str) -> None:
    assert not context.trusted_host(host, ("api.partner.test",))


@given(st.text(max_size=40))
def test_no_host_makes_it_raise(host: str) -> None:
    assert context.trusted_host(host, ()) in (True, False)


def owner() -> context.Owner:
    return context.request_owner(None, None)[0]


def test_spans_nest() -> None:
    outer = owner()
    context.enter(outer)
    try:
        inner = context.span_owner()
        assert (inner.root, inner.trace_id, inner.request_id) == (outer, outer.trace_id, outer.request_id)
    finally:
        context.enter(None)
    alone = context.span_owner()
    assert alone.root is None
    assert alone.request_id is None


async def test_tasks_and_to_thread_keep_the_owner() -> None:
    async def seen() -> context.Owner | None:
        await asyncio.sleep(0)
        return context.current()

    async def request() -> None:
        mine = owner()
        context.enter(mine)
        found = await asyncio.gather(seen(), asyncio.create_task(seen()), asyncio.to_thread(context.current))
        assert all(one is mine for one in found)

    await asyncio.gather(*(request() for _ in range(50)))
    assert context.current() is None


def test_a_bare_thread_has_no_owner_rather_than_a_wrong_one() -> None:
    found: list[object] = []
    context.enter(owner())
    try:
        thread = threading.Thread(target=lambda: found.append(context.current()))
        thread.start()
        thread.join()
    finally:
        context.enter(None)
    # From 3.14 on a thread may inherit the context; the owner is the right one then.
    assert found == [None] or found[0] is not None


def test_a_generator_closed_in_another_context_leaves_it_clean(recwarn: pytest.WarningsRecorder) -> None:
    async def stream() -> AsyncIterator[int]:
        before = context.enter(owner())
        try:
            yield 1
        finally:
            context.enter(before)

    async def main() -> None:
        generator = stream()
        await anext(generator)
        close = generator.aclose()  # type: ignore[attr-defined]
        await asyncio.get_running_loop().create_task(close)

    contextvars.Context().run(lambda: asyncio.run(main()))
    assert context.current() is None
    assert len(recwarn) == 0


def test_work_in_a_pool_belongs_to_the_request_that_handed_it_over(client: object) -> None:
    with ThreadPoolExecutor(4) as pool:
        owners = [owner() for _ in range(100)]
        futures = []
        for one in owners:
            context.enter(one)
            futures.append(pool.submit(context.current))
        context.enter(None)
        assert [future.result() for future in futures] == owners
        assert pool.submit(context.current).result() is None
