"""Every event that was taken is sent, on its way or counted as dropped, wherever the sender is interrupted or fails."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from brakit.transport import Batch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sdk.tests.conftest import Sink

    from brakit.client import Client

    Make = Callable[..., Client]


def emit(client: Client, number: int) -> None:
    for index in range(number):
        client.record("log", level="info", message=f"m{index}").emit(client.buffer)


def accounted(sink: Sink, client: Client) -> int:
    """Events that have arrived, with those that the server was told of."""
    return len(sink.events) + sum(sink.dropped().values())


@pytest.mark.parametrize(("mode", "told"), [("400", {"rejected": 1}), ("500", {"status_500": 10})])
def test_what_the_last_batch_loses_is_told_by_the_same_flush(
    sink: Sink, make_client: Make, mode: str, told: dict[str, int]
) -> None:
    client = make_client(BRAKIT_PORT=str(sink.port))
    client.buffer.wake = lambda: None
    client._start_sender()
    emit(client, 10)
    sink.mode = mode
    posted, post = [], client.sender._post

    def calm_down(batch: Any, deadline: float) -> bool:
        posted.append(batch.events)
        done = post(batch, deadline)
        sink.mode = "ok"
        return bool(done)

    client.sender._post = calm_down
    assert not client.flush(5)
    assert posted == [10, 0]
    assert sink.dropped() == told
    assert accounted(sink, client) == 10


def test_a_server_that_takes_nothing_is_told_once_a_flush(sink: Sink, make_client: Make) -> None:
    sink.mode = "500"
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 10)
    assert not client.flush(5)
    assert sink.posts <= 3
    # Nothing is left but to tell of it, and nobody has listened.
    assert not client.flush(5)
    sink.mode = "ok"
    assert client.flush(5)
    assert sink.dropped() == {"status_500": 10}


@pytest.mark.parametrize("place", ["pieces", "resource", "bytes", "post"])
def test_a_failure_of_ours_at_any_step_is_counted(
    sink: Sink, make_client: Make, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 3)
    assert client.flush(5)
    emit_into_silence(client, 100)
    client.sender.drop("before", 1)
    with monkeypatch.context() as patched:
        owners: dict[str, Any] = {"pieces": client.sender.wire, "resource": client, "bytes": Batch, "post": client.sender}
        patched.setattr(owners[place], place if place != "post" else "_post", fail)
        assert not client.flush(1)
    assert client.flush(5)
    assert accounted(sink, client) == 3 + 100 + 1
    client.failures.counts.clear()


def emit_into_silence(client: Client, number: int) -> None:
    """The sender's thread stays asleep: it is the flush that sends."""
    client.buffer.awake = True
    client.buffer.wake = lambda: None
    emit(client, number)


def fail(*args: object, **kwargs: object) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize("at", [1, 30, 64, 65, 99])
def test_an_interrupted_flush_is_counted(sink: Sink, make_client: Make, at: int) -> None:
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 3)
    assert client.flush(5)
    emit_into_silence(client, 100)
    calls, original = [], client.sender.wire._piece

    def interrupted(record: Any) -> Any:
        calls.append(record)
        if len(calls) == at:
            # As Ctrl-C or a handler of SIGTERM does it, in the middle of our work on the app's thread.
            raise KeyboardInterrupt
        return original(record)

    client.sender.wire._piece = interrupted
    with pytest.raises(KeyboardInterrupt):
        client.flush(5)
    assert not client.sender.lock.locked()
    assert client.flush(5)
    assert accounted(sink, client) == 103
    assert sink.dropped() == {"failed": 64 if at <= 64 else 36}


def test_an_interruption_with_records_in_the_hand_is_counted(sink: Sink, make_client: Make) -> None:
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 3)
    assert client.flush(5)
    emit_into_silence(client, 100)

    class Records(deque[Any]):
        left = 30

        def popleft(self) -> Any:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
            return super().popleft()

    client.buffer.records = Records(client.buffer.records)
    with pytest.raises(KeyboardInterrupt):
        client.flush(5)
    assert client.flush(5)
    assert accounted(sink, client) == 103
    assert sink.dropped() == {"failed": 29}


def test_what_may_have_arrived_is_asked_for_again_before_it_counts_as_lost(sink: Sink, make_client: Make, tmp_path: Path) -> None:
    sink.announce(tmp_path / ".brakit")
    client = make_client()
    emit(client, 3)
    assert client.flush(5)
    emit_into_silence(client, 100)
    sink.mode = "cut"
    assert not client.flush(1.5)
    assert sink.posts > 4
    sink.mode = "500"
    assert not client.flush(0.3)
    sink.mode = "ok"
    assert client.flush(5)
    assert (len(sink.events), sink.dropped()) == (103, {})


def test_a_batch_does_not_come_for_ever(sink: Sink, make_client: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brakit.transport.TRY_S", 0.0)
    monkeypatch.setattr("brakit.transport.MAX_TRIES", 3)
    sink.announce(tmp_path / ".brakit")
    client = make_client()
    emit(client, 3)
    assert client.flush(5)
    emit_into_silence(client, 100)
    sink.mode = "reset"
    assert not client.flush(2)
    sink.mode = "ok"
    client.flush(5)
    assert sink.dropped() == {"unanswered": 100}
