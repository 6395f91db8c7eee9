from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from brakit_server.analysis.flows import flows

HTML = {"content-type": "text/html; charset=utf-8"}


def page(make: Any, id: str, path: str, at: float, **more: Any) -> Any:
    return make.request(id, route=None, path=path, url=path, timestamp=at, response_headers=HTML, ms=50, **more)


def api(make: Any, id: str, path: str, at: float, *, referer: str | None = None, **more: Any) -> Any:
    headers = {"referer": f"http://127.0.0.1:8000{referer}"} if referer else {}
    return make.request(id, **{"route": None, "path": path, "url": path, "timestamp": at, "headers": headers, "ms": 50, **more})


def ids(found: list[Any]) -> list[list[str]]:
    return [[request.id for request in flow.requests] for flow in found]


def test_pages_pauses_and_referers_begin_flows(make: Any) -> None:
    requests = [
        page(make, "p1", "/products", 0),
        api(make, "a1", "/api/products", 100, referer="/products"),
        api(make, "a2", "/api/cart", 200, referer="/products"),
        page(make, "p2", "/checkout", 2000),
        api(make, "a3", "/api/orders", 2100, referer="/checkout", method="POST"),
        api(make, "a4", "/api/orders/7", 9000, referer="/checkout"),
        api(make, "a5", "/api/me", 9100, referer="/account"),
    ]
    found = flows(requests)
    assert ids(found) == [["a5"], ["a4"], ["p2", "a3"], ["p1", "a1", "a2"]]
    assert [flow.label for flow in found] == ["Account Page", "Checkout Page", "Created Order", "Products Page"]
    assert [flow.source_page for flow in found] == ["/account", "/checkout", "/checkout", "/products"]
    assert found[3].total_duration_ms == 250
    assert flows(requests[::-1]) == found


def test_clients_do_not_mix(make: Any) -> None:
    requests = [api(make, f"r{n}", "/api/items", n * 10, client=f"10.0.0.{n % 2}") for n in range(4)]
    assert ids(flows(requests)) == [["r1", "r3"], ["r0", "r2"]]


def test_what_a_page_loads_belongs_to_it_wherever_the_person_came_from(make: Any) -> None:
    coming = {"headers": {"referer": "http://127.0.0.1:8000/products"}}
    requests = [page(make, "p", "/checkout", 0, **coming), api(make, "a", "/api/cart", 60, referer="/checkout")]
    assert ids(flows(requests)) == [["p", "a"]]


def test_two_tabs_of_one_browser_do_not_mix(make: Any) -> None:
    requests = [page(make, "p1", "/a", 0), page(make, "p2", "/b", 10)]
    for n in range(3):
        requests += [api(make, f"{name}{n}", f"/api/{name}{n}", 100 + n, referer=f"/{name}") for name in "ab"]
    assert ids(flows(requests)) == [["p2", "b0", "b1", "b2"], ["p1", "a0", "a1", "a2"]]


def test_what_the_browser_says_of_a_request_counts(make: Any) -> None:
    going = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    again = make.request("again", route=None, path="/a", url="/a", timestamp=200, status=304, headers=going, ms=5)
    ahead = page(make, "ahead", "/b", 400, headers={**going, "sec-purpose": "prefetch", "referer": "http://h/a"})
    requests = [page(make, "p", "/a", 0), api(make, "a", "/api/x", 100, referer="/a"), again, ahead]
    assert ids(flows(requests)) == [["again", "ahead"], ["p", "a"]]


STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 2), st.sampled_from([1, 40, 3000, 6000])),
    max_size=8,
)


@given(STEPS, STEPS, st.booleans())
def test_two_people_at_once_have_the_flows_that_each_has_alone(
    make_new: Any, one: list[Any], other: list[Any], same_address: bool
) -> None:
    def did(name: str, steps: list[Any], client: str) -> list[Any]:
        at, made = 0.0, []
        make = make_new()
        for n, (loads, where, pause) in enumerate(steps):
            at += pause
            place = f"/{name}{where}"
            if loads:
                made.append(page(make, f"{name}{n}", place, at, client=client))
            else:
                made.append(api(make, f"{name}{n}", "/api/x", at, referer=place, client=client))
        return made

    first, second = did("a", one, "10.0.0.1"), did("b", other, "10.0.0.1" if same_address else "10.0.0.2")
    together = {tuple(flow) for flow in ids(flows([*first, *second]))}
    assert together == {tuple(flow) for each in (first, second) for flow in ids(flows(each))}


def test_two_views_of_a_page_are_no_duplicates(make: Any) -> None:
    requests = []
    for n in range(2):
        at = n * 60_000.0
        requests += [page(make, f"p{n}", "/", at), api(make, f"a{n}", "/api/items", at + 60, referer="/")]
    assert [flow.redundancy_pct for flow in flows(requests)] == [0, 0]
    assert not any(request.is_duplicate for flow in flows(requests) for request in flow.requests)


def test_repeats_are_marked_and_counted(make: Any) -> None:
    requests = [
        api(make, "a", "/api/items", 0, referer="/shop", response_body="[1]"),
        api(make, "b", "/api/me", 10, referer="/shop"),
        api(make, "c", "/api/items", 20, referer="/shop", response_body="[1]"),
        api(make, "d", "/api/items", 30, url="/api/items?page=2", referer="/shop"),
    ]
    (flow,) = flows(requests)
    assert [request.is_duplicate for request in flow.requests] == [None, None, True, None]
    assert flow.redundancy_pct == 25
    assert flow.warnings == ["1 request duplicated across 1 endpoint — same data loaded twice"]


def test_a_page_that_loads_everything_twice_at_once(make: Any) -> None:
    requests = [
        api(make, f"{name}{n}", f"/api/{name}", n * 40 + i, referer="/shop") for n in range(2) for i, name in enumerate("ab")
    ]
    (flow,) = flows(requests)
    assert [request.is_strict_mode_dupe for request in flow.requests] == [None, None, True, True]
    assert flow.redundancy_pct == 0
    # Without a page that could have done it, or too far apart, they are repeats like any other.
    for request in requests:
        request.headers = {}
    assert flows(requests)[0].redundancy_pct == 50


def test_polling_is_one_entry(make: Any) -> None:
    requests = [api(make, f"r{n}", "/api/jobs/7", n * 1000, referer="/jobs") for n in range(5)]
    (flow,) = flows(requests)
    (entry,) = flow.requests
    assert (entry.category, entry.polling_count, entry.polling_duration_ms) == ("polling", 5, 4050)
    assert entry.label == "Polling Job 7 (5x, 4.0 s)"


def test_assets_own_pages_and_caused_requests_are_left_out(make: Any) -> None:
    requests = [
        page(make, "p", "/", 0),
        make.request("css", path="/static/a.css", is_static=True, timestamp=10.0),
        make.request("own", path="/__brakit/api/requests", timestamp=20.0),
        api(make, "child", "/charge", 30, parent_request_id="p", service="payments"),
        api(make, "other", "/api/x", 40, parent_request_id="a request of somebody else"),
    ]
    assert ids(flows(requests)) == [["p", "other"]]


def test_slow_and_failed_requests_are_warned_of(make: Any) -> None:
    requests = [api(make, "a", "/api/pay", 0, method="POST", status=502, ms=2500)]
    (flow,) = flows(requests)
    assert flow.has_errors
    assert flow.warnings == ["Created Pay failed took 2.5s", "Created Pay failed — server error (502)"]


def test_nothing() -> None:
    assert flows([]) == []
