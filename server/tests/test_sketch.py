from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from brakit_server.sketch import Sketch, mad, median, quantile

durations = st.lists(st.floats(0.02, 1e7), min_size=1, max_size=60)


@given(values=durations, q=st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_quantiles_are_within_two_percent(values: list[float], q: float) -> None:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    exact = quantile(values, q)
    assert abs(sketch.quantile(q) - exact) <= 0.021 * exact
    assert sketch.count == len(values)
    assert sketch.quantiles(0.0, 0.5, 0.5, 0.95, 1.0) == [sketch.quantile(each) for each in (0.0, 0.5, 0.5, 0.95, 1.0)]


@given(values=durations, seed=st.integers(0, 99))
def test_order_does_not_matter(values: list[float], seed: int) -> None:
    one, other = Sketch(), Sketch()
    for value in values:
        one.add(value)
    for value in random.Random(seed).sample(values, len(values)):
        other.add(value)
    assert (one.median(), one.mad(), one.quantile(0.95)) == (other.median(), other.mad(), other.quantile(0.95))


def test_is_bounded_whatever_comes() -> None:
    sketch = Sketch()
    for n in range(20_000):
        sketch.add(10 ** (n / 1000 - 5))
    sketch.add(-5)
    sketch.add(float("inf"))
    assert len(sketch._buckets) < 600
    assert sketch.count == 20_002


def test_nothing_is_nothing() -> None:
    assert (Sketch().median(), Sketch().mad(), Sketch().mean(), median([]), mad([])) == (0, 0, 0, 0, 0)


def test_spread() -> None:
    assert mad([1.0, 2.0, 3.0, 100.0]) == 1.0
    assert median([1.0, 2.0, 3.0, 100.0]) == 2.0


@given(parts=st.lists(st.lists(st.floats(0.0, 1e8), max_size=40), max_size=5))
def test_added_together_they_are_one_of_all(parts: list[list[float]]) -> None:
    whole, sketches = Sketch(), []
    for values in parts:
        sketch = Sketch()
        for value in values:
            sketch.add(value)
            whole.add(value)
        sketches.append(sketch)
    one = Sketch()
    for sketch in sketches:
        one.merge(sketch)
    again = Sketch.merged([sketch.packed() for sketch in sketches], whole.total, whole.largest)
    for q in (0.0, 0.5, 0.95, 1.0):
        assert whole.quantile(q) == one.quantile(q) == again.quantile(q)
    assert whole.count == one.count == again.count
    assert (whole.largest, whole.packed()) == (one.largest, one.packed())
    assert again.packed() == whole.packed()
