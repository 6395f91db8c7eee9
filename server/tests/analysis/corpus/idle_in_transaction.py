"""Transactions left open while other things are done."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _write(make: Any, **more: Any) -> Any:
    return make.query("UPDATE items SET sold = ? WHERE id = ?", "a", **{"transaction_id": "t", **more})


def _end(make: Any, idle: float, mark: str = "commit", **more: Any) -> Any:
    make.now += idle
    return make.query(mark.upper(), **{"transaction_id": "t", **more}, transaction_mark=mark, table="")


def before_the_commit(make: Any) -> Labelled:
    entries = [make.request(ms=500), _write(make), _end(make, 300.0)]
    return entries, [("idle-in-transaction", "info", ("300 ms", "app/orders.py:42", "before commit", "items"))]


def for_long(make: Any) -> Labelled:
    return [make.request(ms=400), _write(make), _end(make, 1500.0)], [("idle-in-transaction", "warning", ("1.5 s",))]


def before_the_next_statement(make: Any) -> Labelled:
    entries = [make.request(ms=500), _write(make)]
    make.now += 300
    entries += [make.query("SELECT id FROM items WHERE id = ?", "b", transaction_id="t"), _end(make, 1.0)]
    return entries, [("idle-in-transaction", "info", ("before SELECT items",))]


def before_the_rollback(make: Any) -> Labelled:
    return [make.request(ms=500), _write(make), _end(make, 250.0, "rollback")], [("idle-in-transaction", "info", ("rollback",))]


def in_a_job(make: Any) -> Labelled:
    entries = [make.job("j1", ms=500), _write(make, owner="j1"), _end(make, 300.0, owner="j1")]
    return entries, [("idle-in-transaction", "info", ("send_invoices",))]


def after_a_read_and_a_write(make: Any) -> Labelled:
    read = make.query("SELECT id FROM items WHERE id = ?", "b", transaction_id="t")
    return [make.request(ms=500), read, _write(make), _end(make, 220.0)], [("idle-in-transaction", "info")]


def besides_a_call(make: Any) -> Labelled:
    entries = [make.request(ms=490), _write(make)]
    call = make.fetch(ms=50.0)
    entries += [call, _end(make, 400.0)]
    return entries, [("fetch-in-transaction", "info"), ("idle-in-transaction", "info", ("35",))]


def only_reads(make: Any) -> Labelled:
    read = make.query("SELECT id FROM items WHERE id = ?", "b", transaction_id="t")
    return [make.request(ms=490), read, _end(make, 400.0)], []


def a_short_while(make: Any) -> Labelled:
    return [make.request(ms=300), _write(make), _end(make, 150.0)], []


def before_the_first_write(make: Any) -> Labelled:
    read = make.query("SELECT id FROM items WHERE id = ?", "b", transaction_id="t")
    make.now += 400
    return [make.request(ms=490), read, _write(make), _end(make, 1.0)], []


def a_slow_statement(make: Any) -> Labelled:
    entries = [make.request(ms=490), _write(make, ms=390.0)]
    return [*entries, _end(make, 391.0)], []


def in_calls_side_by_side(make: Any) -> Labelled:
    entries = [make.request(ms=900), _write(make)]
    # One inside the other, then two that overlap: all in all they fill the time but for 100 ms.
    lengths = (("a", 200.0, 20.0), ("b", 50.0, 230.0), ("c", 200.0, 150.0), ("d", 150.0, 199.0))
    for name, ms, then in lengths:
        entries.append(make.fetch(f"http://127.0.0.1:9/{name}", ms=ms))
        make.now += then
    # Each call is one inside the transaction.
    return [*entries, _end(make, 0.0)], [("fetch-in-transaction", "warning")] * 3 + [("fetch-in-transaction", "info")]
