"""What a filter costs: reading it, and asking it of a record, beside what it costs to decode that record from JSON."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from bench.parts.analysis import owned
from bench.sheet import Sheet, most, rounds
from brakit_server.filters import Matcher, parse
from brakit_server.filters.grammar import MAX_DEPTH, MAX_LENGTH, MAX_TERMS
from brakit_server.records import Entry, Query, Request

OFTEN = {
    "status:5xx": Request,
    "route:/items*/{id} duration>200ms -service:other": Request,
    "orders": Request,
    "url~/items\\d+\\/9/": Request,
    "header.user-agent:curl": Request,
    "table:users OR rows>1000": Query,
    "sql~/(?i)from\\s+users/": Query,
}
"""Filters that fit none of the records: nothing of them is left out."""

HARD = {
    "parentheses": "(" * (MAX_LENGTH // 2 - 1) + "x" + ")" * (MAX_LENGTH // 2 - 1),
    "terms": "x " * MAX_TERMS,
    "levels": "-(a OR " * (MAX_DEPTH // 2 - 1) + "x" + ")" * (MAX_DEPTH // 2 - 1),
}


def cpu_us(do: Callable[[], object], times: int) -> float:
    """Microseconds of CPU for one call."""
    begun = time.thread_time()
    for _ in range(times):
        do()
    return (time.thread_time() - begun) / times * 1e6


def run() -> None:
    entries = owned("0" * 32, 1.0, 3)
    samples: dict[object, Entry] = {type(entry): entry for entry in entries}
    kinds = {Request: "request", Query: "db.query"}
    reading: dict[str, list[float]] = {}
    decoding: dict[str, list[float]] = {}
    asking: dict[str, list[float]] = {}
    for _ in rounds(20):
        for text, kind in OFTEN.items():
            tree = parse(text)
            assert tree is not None
            holds = Matcher(tree, 1.0).of(kinds[kind])
            assert not isinstance(holds, bool)
            record, json = samples[kind], msgspec.json.encode(samples[kind])
            decode = msgspec.json.Decoder(kind).decode
            reading.setdefault(text, []).append(cpu_us(lambda text=text: parse(text), 200))  # type: ignore[misc]
            decoding.setdefault(text, []).append(cpu_us(lambda decode=decode, json=json: decode(json), 5_000))  # type: ignore[misc]
            asking.setdefault(text, []).append(cpu_us(lambda holds=holds, record=record: holds(record), 5_000))  # type: ignore[misc]
        for name, text in HARD.items():
            reading.setdefault(name, []).append(cpu_us(lambda text=text: parse(text), 5))  # type: ignore[misc]
    sheet = Sheet("Filters, µs of CPU", "decoding the record", "asking it")
    for text in OFTEN:
        sheet.row(text, decoding[text], asking[text], must=most(5))
    sheet.show()
    sheet = Sheet("Reading a filter, µs of CPU", "reading")
    for text in OFTEN:
        sheet.row(text, reading[text], must=most(1_000))
    for name in HARD:
        sheet.row(
            f"{MAX_LENGTH} characters: {name}" if name == "parentheses" else f"most {name}", reading[name], must=most(50_000)
        )
    sheet.show()
