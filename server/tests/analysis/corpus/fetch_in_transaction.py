"""Calls to others while a transaction is open, and calls that only look like it."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

PAY = "http://pay.example/charge"


def _write(make: Any, id: str | None = "t", **more: Any) -> Any:
    return make.query("UPDATE items SET sold = ? WHERE id = ?", "a", transaction_id=id, **more)


def _read(make: Any, id: str | None = "t", **more: Any) -> Any:
    return make.query("SELECT id FROM items WHERE id = ?", "a", transaction_id=id, **more)


def _commit(make: Any, id: str | None = "t", mark: str = "commit", **more: Any) -> Any:
    return make.query(mark.upper(), transaction_id=id, transaction_mark=mark, table="", **more)


def _call(make: Any, ms: float = 150.0, **more: Any) -> Any:
    call = make.fetch(PAY, ms=ms, **more)
    make.now += ms
    return call


def after_a_write(make: Any) -> Labelled:
    entries = [make.request(ms=200), _write(make), _call(make), _commit(make)]
    words = ("POST pay.example/charge", "app/pay.py:9", "Rows of items are locked", "before the transaction begins")
    return entries, [("fetch-in-transaction", "warning", words)]


def between_two_reads(make: Any) -> Labelled:
    entries = [make.request(ms=200), _read(make), _call(make), make.query("SELECT id FROM users", "b", transaction_id="t")]
    return entries, [("fetch-in-transaction", "info")]


def a_short_one(make: Any) -> Labelled:
    return [make.request(ms=60), _write(make), _call(make, 20.0), _commit(make)], [("fetch-in-transaction", "info")]


def in_a_job(make: Any) -> Labelled:
    entries = [make.job("j1", ms=300), _write(make, owner="j1"), _call(make, owner="j1"), _commit(make, owner="j1")]
    return entries, [("fetch-in-transaction", "warning", ("send_invoices",))]


def rolled_back_in_the_end(make: Any) -> Labelled:
    entries = [make.request(ms=200), _write(make), _call(make), _commit(make, mark="rollback")]
    return entries, [("fetch-in-transaction", "warning")]


def two_calls_to_one_place(make: Any) -> Labelled:
    entries = [make.request(ms=400), _write(make), _call(make, 120.0), _call(make, 180.0), _commit(make)]
    return entries, [("fetch-in-transaction", "warning", ("180 ms",))]


def before_the_write_of_a_transaction_that_has_begun(make: Any) -> Labelled:
    entries = [make.request(ms=200), _read(make), _call(make), _write(make), _commit(make)]
    return entries, [("fetch-in-transaction", "info")]


def before_the_transaction(make: Any) -> Labelled:
    return [make.request(ms=200), _call(make), _write(make), _commit(make)], []


def after_the_commit(make: Any) -> Labelled:
    return [make.request(ms=200), _write(make), _commit(make), _call(make)], []


def after_the_last_read_of_one_that_never_ends(make: Any) -> Labelled:
    return [make.request(ms=200), _read(make), _call(make)], []


def of_no_transaction(make: Any) -> Labelled:
    return [make.request(ms=200), _write(make, None), _call(make), _write(make, None)], []


def of_a_millisecond(make: Any) -> Labelled:
    return [make.request(ms=20), _write(make), _call(make, 3.0), _commit(make)], []


def between_two_transactions(make: Any) -> Labelled:
    first = [_write(make, "a"), _commit(make, "a")]
    return [make.request(ms=300), *first, _call(make), _write(make, "b"), _commit(make, "b")], []
