"""How long records wait, and as what: until a batch is worth a post, encoded while an answer is waited for, not for a dead server."""

from __future__ import annotations

import gc
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from sdk.tests.test_transport import emit, free_port

from brakit import transport
from brakit.buffer import SLICE
from brakit.clocks import monotonic

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdk.tests.conftest import Sink

    from brakit.client import Client

    Make = Callable[..., Client]


def until(happens: Callable[[], bool]) -> None:
    """Wait for what a sink is not told of. The time limit of a test ends it."""
    while not happens():
        time.sleep(0.005)


def test_what_comes_soon_after_the_first_goes_out_with_it(sink: Sink, make_client: Make) -> None:
    sink.shares = True
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client)
    assert client.flush(5)
    for start in range(0, 400, 20):
        # Below the size of a batch, above that of a slice.
        emit(client, 20, start)
    assert sink.wait(lambda: len(sink.events) == 401, 5)
    assert sink.posts <= 3


def test_whole_events_go_out_in_small_batches(sink: Sink, make_client: Make) -> None:
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 300)
    assert client.flush(5)
    assert max(len(payload["events"]) for payload in sink.payloads) == transport.MAX_WHOLE
    assert len({event["id"] for event in sink.events}) == 300


def test_what_waits_for_a_server_that_hangs_is_encoded_and_bounded(
    sink: Sink, make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_READY_BYTES", 500 * (transport.PIECE + 120))
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client)
    assert client.flush(5)
    # Until it is known for a server that does not answer at all.
    monkeypatch.setattr("brakit.connection.ANSWER_S", 600.0)
    sink.mode = "hang"
    emit(client)
    assert sink.wait(lambda: sink.posts == 2, 5)
    for start in range(0, 5000, 100):
        emit(client, 100, start)
        # A record is no longer there when its slice has been encoded.
        until(lambda: len(client.buffer.records) < SLICE)
    assert client.sender.ready_bytes <= transport.MAX_READY_BYTES + 2 * SLICE * (transport.PIECE + 200)
    sink.mode = "ok"
    sink.gate.set()
    client.flush(10)
    assert client.flush(10)
    dropped = sink.dropped()
    assert dropped["buffer_full"] > 3000
    assert len(sink.events) + sum(dropped.values()) == 5002
    assert client.sender.ready_bytes == 0
    assert sink.messages()[-1] == "m4999", "the newest are kept"


def test_last_words_are_not_kept_for_a_server_that_is_not_there(make_client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_client(BRAKIT_PORT=str(free_port()))
    emit(client, 3)
    tried: list[float] = []

    def refused(deadline: float) -> bool:
        tried.append(deadline)
        return False

    monkeypatch.setattr(client.sender, "_connected", refused)
    assert not client.sender.flush(60, last=True)
    assert 2 <= len(tried) < 10


@pytest.mark.parametrize(("asked", "given"), [(0.0, 0.4), (0.5, 0.4), (2.0, transport.LAST_WORDS_S)])
def test_a_server_that_has_long_not_answered_gets_no_more_time(
    make_client: Make, monkeypatch: pytest.MonkeyPatch, asked: float, given: float
) -> None:
    client = make_client(BRAKIT_PORT=str(free_port()))
    emit(client)
    client.sender.asked = monotonic() - asked if asked else 0.0
    timeouts: list[float] = []
    monkeypatch.setattr(client.sender, "flush", lambda timeout, last: timeouts.append(timeout))
    client.sender.stop(0.4)
    assert timeouts == [given]


def test_a_request_that_has_been_sent_leaves_nothing_to_the_collector() -> None:
    from brakit import context

    class Marked(context.Owner):
        """One that can be watched."""

        __slots__ = ("__weakref__",)

    owner: Any = Marked("1" * 32, "1" * 32, "1" * 32, None)
    owner.root = owner
    assert owner.root is owner
    watched = weakref.ref(owner)
    gc.disable()
    try:
        del owner
        assert watched() is None
    finally:
        gc.enable()
