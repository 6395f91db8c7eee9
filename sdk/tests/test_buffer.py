"""Bounded in count and bytes, never blocking, every drop counted."""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakit.buffer import MAX_BYTES, RECORD, SLICE, Buffer
from brakit.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable


def record(cost: int = 0, number: int = 0) -> Record:
    made = Record("log", {"number": number})
    made.cost = cost
    return made


def quiet(limit: int) -> Buffer:
    return Buffer(limit, lambda: None, lambda: None)


@given(st.integers(1, 20), st.lists(st.one_of(st.integers(1, 30), st.just("take"), st.just("shrink")), max_size=60))
def test_what_comes_in_is_taken_or_counted_as_dropped_in_order(limit: int, steps: list[int | str]) -> None:
    buffer = quiet(limit)
    emitted = 0
    taken: list[Record] = []
    for step in steps:
        if step == "take":
            taken += buffer.take(7)
        elif step == "shrink":
            buffer.bound(limit, MAX_BYTES)
        else:
            for _ in range(int(step)):
                buffer.append(record(number=emitted))
                emitted += 1
        assert len(buffer.records) <= limit
    taken += buffer.take(limit + 1)
    assert emitted == len(taken) + buffer.overflow.value()
    numbers = [one.data["number"] for one in taken]
    assert numbers == sorted(numbers)  # type: ignore[type-var]


def test_the_oldest_go_first() -> None:
    buffer = quiet(3)
    for number in range(10):
        buffer.append(record(number=number))
    assert [one.data["number"] for one in buffer.take(10)] == [7, 8, 9]
    assert buffer.overflow.value() == 7
    assert buffer.overflow.value() == 7


@given(st.lists(st.integers(0, 100), max_size=50))
def test_bytes_are_bounded_and_come_back_to_zero(costs: list[int]) -> None:
    buffer = quiet(1000)
    buffer.max_bytes = most = 3 * RECORD + 150
    for cost in costs:
        buffer.append(record(cost))
        assert buffer.bytes <= most or len(buffer.records) == 1
        assert buffer.bytes == sum(one.cost + RECORD for one in buffer.records)
    taken = buffer.take(1000)
    assert len(taken) + buffer.overflow.value() == len(costs)
    assert buffer.bytes == 0


def test_shrinking_keeps_the_newest() -> None:
    buffer = quiet(100)
    for number in range(50):
        buffer.append(record(number=number))
    buffer.bound(10, MAX_BYTES)
    assert [one.data["number"] for one in buffer.records] == list(range(40, 50))
    buffer.bound(10, 3 * RECORD)
    assert [one.data["number"] for one in buffer.take(100)] == list(range(47, 50))
    assert buffer.overflow.value() == 47


def test_the_sender_is_woken_by_the_first_and_at_the_threshold() -> None:
    woken: list[int] = []
    buffer = Buffer(100, lambda: woken.append(len(buffer.records)), lambda: None)
    for _ in range(3 * SLICE):
        buffer.append(record())
    assert woken == [1, SLICE]


def test_threads_lose_nothing_uncounted() -> None:
    buffer = quiet(500)
    each, threads = 20_000, 4
    taken = 0
    done = threading.Event()

    def emit() -> None:
        for number in range(each):
            buffer.append(record(cost=number % 3))

    def consume() -> None:
        nonlocal taken
        while not done.is_set():
            taken += len(buffer.take(64))
            time.sleep(0)

    consumer = threading.Thread(target=consume)
    emitters = [threading.Thread(target=emit) for _ in range(threads)]
    consumer.start()
    for thread in emitters:
        thread.start()
    for thread in emitters:
        thread.join()
    done.set()
    consumer.join()
    taken += len(buffer.take(10**6))
    assert taken + buffer.overflow.value() == each * threads


def test_a_finalizer_that_records_in_the_middle_of_recording_does_not_hang() -> None:
    buffer = quiet(100)

    class Noisy:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            buffer.append(record())

    before = gc.get_threshold()
    gc.set_threshold(1)
    finished = []

    def emit() -> None:
        for _ in range(3000):
            Noisy()
            buffer.append(record())
        finished.append(1)

    try:
        threads = [threading.Thread(target=emit, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        gc.set_threshold(*before)
    assert len(finished) == 4


def test_another_process_starts_empty_even_where_no_fork_hook_ran() -> None:
    forked: list[int] = []

    def reset() -> None:
        forked.append(1)
        buffer.reset()

    buffer = Buffer(100, lambda: None, reset)
    buffer.append(record(number=1))
    buffer.here[0] = 0
    buffer.append(record(number=2))
    assert [one.data["number"] for one in buffer.take(10)] == [2]
    assert forked == [1]


@pytest.mark.parametrize("limit", [1, 10_000])
def test_a_full_buffer_is_as_quick_as_an_empty_one(limit: int) -> None:
    buffer = quiet(limit)
    one = record()
    start = time.perf_counter()
    for _ in range(50_000):
        buffer.append(one)
    assert (time.perf_counter() - start) / 50_000 < 20e-6
    check: Callable[[], int] = buffer.overflow.value
    assert check() == 50_000 - limit
