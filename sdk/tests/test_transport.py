"""The sender against servers of every temper: nothing twice, nothing lost uncounted, nobody kept waiting."""

from __future__ import annotations

import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from brakit import transport
from brakit.activation import Decision
from brakit.client import Client
from brakit.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sdk.tests.conftest import Sink

    Make = Callable[..., Client]


def emit(client: Client, number: int = 1, start: int = 0, pause: float = 0.0) -> None:
    for index in range(start, start + number):
        client.record("log", level="info", message=f"m{index}").emit(client.buffer)
        if pause:
            time.sleep(pause)


def numbers(sink: Sink) -> list[int]:
    return [int(message[1:]) for message in sink.messages()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_events_arrive_in_order_over_one_connection(sink: Sink, make_client: Make) -> None:
    client = make_client(BRAKIT_PORT=str(sink.port))
    for start in range(0, 500, 50):
        emit(client, 50, start)
        assert client.flush(5)
    assert numbers(sink) == list(range(500))
    assert sink.connections == 1
    assert sink.posts >= 10
    assert sink.headers[0]["content-type"] == "application/json"
    assert "authorization" not in sink.headers[0]


def test_the_sender_sends_by_itself_soon_after_the_first(sink: Sink, make_client: Make) -> None:
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 3)
    assert sink.wait(lambda: len(sink.events) == 3, 2)
    emit(client, 20)
    assert sink.wait(lambda: len(sink.events) == 23, 2)
    assert len(sink.payloads) <= 4


def test_somebody_who_asks_where_the_server_is_makes_us_look(sink: Sink, make_client: Make, tmp_path: Path) -> None:
    client = make_client()
    client.look()
    assert client.sender.address is None
    sink.announce(tmp_path / ".brakit")
    deadline = time.monotonic() + 5
    while client.sender.address is None and time.monotonic() < deadline:
        client.look()
        time.sleep(0.01)
    assert client.sender.address is not None
    assert client.sender.address.port == sink.port
    assert sink.posts == 0


def test_a_token_goes_along(sink: Sink, make_client: Make) -> None:
    client = make_client(BRAKIT_PORT=str(sink.port), BRAKIT_TOKEN="opens-it")
    emit(client)
    assert client.flush(5)
    assert sink.headers[0]["authorization"] == "Bearer opens-it"


def test_a_server_that_starts_late_gets_what_was_kept(make_sink: Callable[..., Sink], make_client: Make, tmp_path: Path) -> None:
    client = make_client()
    emit(client, 100)
    time.sleep(0.3)
    assert not client.flush(0.05)
    sink = make_sink()
    sink.announce(tmp_path / ".brakit")
    assert sink.wait(lambda: len(sink.events) == 100, 5)
    assert numbers(sink) == list(range(100))


def test_while_there_is_no_server_the_newest_are_kept_and_the_others_counted(
    make_sink: Callable[..., Sink], make_client: Make, tmp_path: Path
) -> None:
    client = make_client()
    emit(client, 50)
    deadline = time.monotonic() + 5
    while client.buffer.limit != transport.KEEP_WHILE_ABSENT and time.monotonic() < deadline:
        time.sleep(0.01)
    emit(client, 10_000)
    assert len(client.buffer.records) <= transport.KEEP_WHILE_ABSENT
    sink = make_sink()
    sink.announce(tmp_path / ".brakit")
    # Only the last batches may still be under way when the first ones are in.
    assert sink.wait(lambda: len(sink.events) + sink.dropped().get("buffer_full", 0) == 10_050, 10)
    assert client.flush(5)
    assert client.buffer.limit == 10_000


def test_a_server_that_moves_is_found_again(make_sink: Callable[..., Sink], make_client: Make, tmp_path: Path) -> None:
    first, second = make_sink(), make_sink()
    client = make_client()
    first.announce(tmp_path / ".brakit")
    emit(client, 10)
    assert client.flush(5)
    first.close()
    second.announce(tmp_path / ".brakit")
    emit(client, 10, 10)
    assert second.wait(lambda: len(second.events) == 10, 5)
    assert numbers(first) + numbers(second) == list(range(20))
    first.open()


def test_a_cut_answer_is_no_reason_to_store_a_batch_twice(sink: Sink, make_client: Make, tmp_path: Path) -> None:
    sink.announce(tmp_path / ".brakit")
    sink.mode = "cut"
    client = make_client()
    emit(client, 10)
    assert sink.wait(lambda: sink.resent >= 1, 5)
    sink.mode = "ok"
    assert client.flush(5)
    assert numbers(sink) == list(range(10))
    assert len(sink.batches) == 1


def test_a_server_that_cannot_know_a_batch_again_gets_it_once(sink: Sink, make_client: Make) -> None:
    sink.mode = "cut"
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 10)
    assert sink.wait(lambda: sink.posts == 1, 5)
    sink.mode = "ok"
    emit(client, 1, 10)
    assert sink.wait(lambda: len(sink.events) == 11, 5)
    assert sink.resent == 0
    assert sink.dropped() == {"unanswered": 10}


def test_a_server_that_ends_idle_connections_loses_nothing(sink: Sink, make_client: Make) -> None:
    client = make_client(BRAKIT_PORT=str(sink.port))
    for number in range(3):
        emit(client, 1, number)
        assert client.flush(5)
        for connection in list(sink.sockets):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
    assert numbers(sink) == [0, 1, 2]
    assert sink.dropped() == {}
    assert sink.connections == 3


def test_refused_events_are_counted_and_not_sent_again(sink: Sink, make_client: Make) -> None:
    sink.mode = "400"
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 10)
    assert not client.flush(5)
    sink.mode = "ok"
    emit(client, 1, 10)
    assert client.flush(5)
    assert len(sink.events) + sink.dropped()["rejected"] == 11
    assert sink.resent == 0
    assert client.sender.sent == len(sink.events)


def test_a_server_that_breaks_loses_its_batches_counted(sink: Sink, make_client: Make) -> None:
    sink.mode = "500"
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 10)
    assert not client.flush(5)
    sink.mode = "ok"
    assert client.flush(5)
    assert sink.dropped() == {"status_500": 10}
    assert sink.events == []


def test_a_server_that_is_busy_is_asked_again_with_the_same_batch(sink: Sink, make_client: Make) -> None:
    sink.mode = "503"
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 10)
    assert not client.flush(0.3)
    assert sink.wait(lambda: sink.posts >= 2, 5)
    sink.mode = "ok"
    assert client.flush(5)
    assert numbers(sink) == list(range(10))
    assert client.buffer.limit == 10_000


def test_a_reset_is_survived(sink: Sink, make_client: Make, tmp_path: Path) -> None:
    sink.announce(tmp_path / ".brakit")
    sink.mode = "reset"
    client = make_client()
    emit(client, 10)
    assert sink.wait(lambda: sink.posts >= 2, 5)
    sink.mode = "ok"
    assert client.flush(5)
    assert numbers(sink) == list(range(10))


def test_a_redirect_is_not_followed(sink: Sink, make_sink: Callable[..., Sink], make_client: Make) -> None:
    other = make_sink()
    sink.mode, sink.elsewhere = "redirect", f"http://127.0.0.1:{other.port}"
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 10)
    assert not client.flush(5)
    assert (other.connections, other.raw) == (0, [])


def test_an_answer_without_end_is_not_read(sink: Sink, make_client: Make) -> None:
    import psutil

    sink.mode = "flood"
    client = make_client(BRAKIT_PORT=str(sink.port))
    before = psutil.Process().memory_info().rss
    for start in range(0, 50, 10):
        emit(client, 10, start)
        client.flush(2)
    assert psutil.Process().memory_info().rss - before < 16 * 2**20
    sink.mode = "ok"
    emit(client, 1, 50)
    assert client.flush(5)
    assert sink.dropped() == {"status_200": 50}


def test_what_is_not_ours_gets_no_events(make_sink: Callable[..., Sink], make_client: Make, tmp_path: Path) -> None:
    stranger = make_sink("notours")
    client = make_client()
    stranger.announce(tmp_path / ".brakit")
    emit(client, 10)
    assert not client.flush(0.5)
    assert stranger.raw == []
    assert stranger.gets != []


def test_who_does_not_know_the_nonce_gets_no_events(make_sink: Callable[..., Sink], make_client: Make, tmp_path: Path) -> None:
    impostor = make_sink(nonce="guessed")
    impostor.announce(tmp_path / ".brakit", port_file=False)
    path = tmp_path / ".brakit/server.json"
    path.write_text(path.read_text().replace("guessed", "the real one"))
    client = make_client()
    emit(client, 10)
    assert not client.flush(0.5)
    assert impostor.raw == []
    assert client.sender.last_problem.endswith("is not a brakit server")


def test_a_dashboard_of_the_protocol_is_spoken_to_after_its_port_file(sink: Sink, make_client: Make, tmp_path: Path) -> None:
    (tmp_path / ".brakit").mkdir()
    (tmp_path / ".brakit/port").write_text(f"{sink.port}\n")
    client = make_client()
    emit(client, 10)
    assert client.flush(5)
    assert numbers(sink) == list(range(10))
    assert sink.gets == ["/__brakit/api/requests?limit=1"]


def test_proxy_settings_are_ignored(sink: Sink, make_sink: Callable[..., Sink], make_client: Make, monkeypatch: Any) -> None:
    proxy = make_sink()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client)
    assert client.flush(5)
    assert proxy.connections == 0


def test_a_server_of_http_1_0_is_spoken_to(make_client: Make) -> None:
    import http.server

    got: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = make_client(BRAKIT_PORT=str(server.server_address[1]))
        for number in range(3):
            emit(client, 1, number)
            assert client.flush(5)
        server.shutdown()
        thread.join()
    assert len(got) == 3


@pytest.mark.parametrize("mode", ["hang", "slow", "reset", "500", "503", "cut"])
def test_emitting_never_waits_for_the_server(mode: str, sink: Sink, make_client: Make) -> None:
    sink.mode = mode
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 50)
    sink.wait(lambda: sink.posts > 0, 5)
    slow = 0
    before = threading.active_count() - len([t for t in threading.enumerate() if "process_request" in t.name])
    for number in range(10_000):
        start = time.perf_counter()
        emit(client, 1, number)
        slow += time.perf_counter() - start > 0.001
    after = threading.active_count() - len([t for t in threading.enumerate() if "process_request" in t.name])
    # A slice of another thread's work may fall into a measurement; a wait for the server would fall into many.
    assert slow < 100
    assert after <= before
    assert len(client.buffer.records) <= 10_000
    sink.gate.set()


def test_a_flood_of_events_is_bounded_in_memory_and_counted(sink: Sink, make_client: Make) -> None:
    import psutil

    sink.mode = "hang"
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 20)
    assert sink.wait(lambda: sink.posts == 1, 5)
    before = psutil.Process().memory_info().rss
    emit(client, 200_000)
    assert psutil.Process().memory_info().rss - before < 32 * 2**20
    sink.mode = "ok"
    sink.gate.set()
    assert not client.flush(20), "what had no room has not arrived"
    emit(client)
    assert client.flush(20)
    assert len(sink.events) + sum(sink.dropped().values()) == 200_021


def test_every_event_of_many_restarts_has_arrived_once_or_is_counted(
    make_sink: Callable[..., Sink], make_client: Make, tmp_path: Path
) -> None:
    chance = random.Random(7)
    sink = make_sink()
    sink.announce(tmp_path / ".brakit")
    client = make_client()
    total = 50_000
    done = threading.Event()

    def disturb() -> None:
        while not done.wait(0.05 + chance.random() * 0.1):
            sink.mode = chance.choice(["ok", "cut", "reset", "503", "slow"])
            if chance.random() < 0.4:
                sink.close()
                sink.open()

    disturber = threading.Thread(target=disturb)
    disturber.start()
    for start in range(0, total, 500):
        emit(client, 500, start)
        time.sleep(0.02)
    done.set()
    disturber.join()
    sink.mode = "ok"
    deadline = time.monotonic() + 20
    while not client.flush(2) and time.monotonic() < deadline:
        pass
    client.flush(5)
    arrived = numbers(sink)
    assert len(arrived) == len(set(arrived))
    assert len(arrived) + sum(sink.dropped().values()) == total
    assert client.sender.sent == len(arrived)


def test_stopping_does_not_wait_for_a_server_that_hangs(sink: Sink, make_client: Make) -> None:
    sink.mode = "hang"
    client = make_client(BRAKIT_PORT=str(sink.port))
    emit(client, 50)
    assert not client.flush(0.1)
    start = time.perf_counter()
    client.shutdown(0.3)
    assert time.perf_counter() - start < 0.6


def test_flushing_while_others_go_on_emitting_comes_to_an_end(sink: Sink, make_client: Make) -> None:
    client = make_client(BRAKIT_PORT=str(sink.port))
    done = threading.Event()

    def busy() -> None:
        while not done.is_set():
            emit(client, 10, pause=0.001)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        start = time.perf_counter()
        assert client.flush(10)
        assert time.perf_counter() - start < 5
    finally:
        done.set()
        thread.join()


@pytest.mark.failures
def test_a_failure_of_ours_in_the_sender_costs_one_batch(sink: Sink, tmp_path: Path) -> None:
    client = Client(Config({"BRAKIT_PORT": str(sink.port)}), Decision(True, "on"))
    emit(client)
    assert client.flush(5)
    original = client.sender._post
    client.sender._post = lambda batch, deadline: 1 / 0
    emit(client, 5, 1)
    client.flush(0.2)
    client.sender._post = original
    emit(client, 1, 6)
    assert sink.wait(lambda: len(sink.events) == 2 and client.flush(1), 5)
    assert numbers(sink) == [0, 6]
    assert sum(sink.dropped().values()) + client.sender.drops.get("failed", 0) == 5
    client.shutdown(0)


def test_two_threads_with_the_first_record_start_one_sender(sink: Sink, make_client: Make) -> None:
    client = make_client(BRAKIT_PORT=str(sink.port))
    barrier = threading.Barrier(20)

    def first(number: int) -> None:
        barrier.wait()
        emit(client, 50, number * 50)

    threads = [threading.Thread(target=first, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(5)
    assert len([thread for thread in threading.enumerate() if thread.name == "brakit-sender"]) == 1
    assert sorted(numbers(sink)) == list(range(1000))
