"""Pages that ask several times at once, and pages that ask again."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

PAGE = {"referer": "http://127.0.0.1:8000/shop", "user-agent": "Firefox"}


def _burst(make: Any, name: str, count: int, ms: float = 60.0, gap: float = 5.0, **more: Any) -> list[Any]:
    make.now += 30_000
    entries = []
    for n in range(count):
        fields = {"ms": ms, "headers": PAGE, "url": "/orders?page=1", "client": "127.0.0.1", **more}
        entries.append(make.request(f"{name}-{n}", **fields))
        make.now += gap
    return entries


def three_at_once(make: Any) -> Labelled:
    words = ("up to 3 times", "2 occasions", "120 ms")
    return _burst(make, "a", 3) + _burst(make, "b", 3), [("duplicate", "warning", words)]


def one_in_each_part_of_a_page(make: Any) -> Labelled:
    return _burst(make, "a", 8) + _burst(make, "b", 6), [("duplicate", "warning", ("up to 8 times",))]


def that_cost_little(make: Any) -> Labelled:
    return _burst(make, "a", 4, 3.0) + _burst(make, "b", 4, 3.0), [("duplicate", "info", ("9.0 ms",))]


def one_after_the_other(make: Any) -> Labelled:
    return _burst(make, "a", 3, gap=90) + _burst(make, "b", 3, gap=90), [("duplicate", "warning")]


def among_others(make: Any) -> Labelled:
    others = [_burst(make, f"o{n}", 1, url=f"/orders?page={n + 2}") for n in range(5)]
    entries = [*_burst(make, "a", 3), *(entry for other in others for entry in other), *_burst(make, "b", 3)]
    return entries, [("duplicate", "warning")]


def in_two_browsers(make: Any) -> Labelled:
    entries = _burst(make, "a", 3) + _burst(make, "b", 3, headers={**PAGE, "user-agent": "Chromium"})
    return entries, [("duplicate", "warning")]


def from_two_pages(make: Any) -> Labelled:
    entries = _burst(make, "a", 3) + _burst(make, "b", 4, headers={**PAGE, "referer": "http://127.0.0.1:8000/cart"})
    return entries, [("duplicate", "warning", ("up to 4 times",))]


def not_twice(make: Any) -> Labelled:
    return [entry for n in range(6) for entry in _burst(make, f"b{n}", 2)], []


def not_once_only(make: Any) -> Labelled:
    return _burst(make, "a", 5), []


def not_polling(make: Any) -> Labelled:
    return _burst(make, "a", 30, gap=1000), []


def not_other_parameters(make: Any) -> Labelled:
    return [entry for b in "ab" for n in range(5) for entry in _burst(make, f"{b}{n}", 1, url=f"/orders?page={n}")], []


def not_different_people(make: Any) -> Labelled:
    entries = []
    for n in range(8):
        entries += [make.request(f"r{n}", url="/orders", headers=PAGE, client=f"10.0.0.{n}", ms=60)]
    return entries, []


def not_other_programs(make: Any) -> Labelled:
    return _burst(make, "a", 5, headers={"user-agent": "curl"}) + _burst(make, "b", 5, headers={"user-agent": "curl"}), []


def not_what_changes_something(make: Any) -> Labelled:
    return _burst(make, "a", 4, method="POST") + _burst(make, "b", 4, method="POST"), []
