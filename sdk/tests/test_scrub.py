"""The app's own say over what leaves: `brakit.scrub`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

import brakit
from brakit.scrub import scrubbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sdk.tests.conftest import Py, Sink

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

LOG = logging.getLogger("shop")


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    yield
    scrubbers.clear()


def test_it_sees_every_event_as_it_would_leave_and_may_change_it(client: Client, events: Events) -> None:
    seen: list[Json] = []

    @brakit.scrub
    def scrub(event: Json) -> Json:
        seen.append(dict(event))
        event["data"]["message"] = event["data"]["message"].replace("Ada", "someone")
        return event

    LOG.warning("Ada has password=hunter2")
    [event] = events()
    assert seen[0]["type"] == "log"
    assert "hunter2" not in seen[0]["data"]["message"]
    assert event["data"]["message"].startswith("someone has password=")


def test_they_run_in_the_order_of_their_registration_each_once(client: Client, events: Events) -> None:
    def first(event: Json) -> Json:
        event["data"]["message"] += "1"
        return event

    def second(event: Json) -> Json:
        event["data"]["message"] += "2"
        return event

    for scrub in (first, second, first):
        brakit.scrub(scrub)
    LOG.warning("x")
    assert events()[0]["data"]["message"] == "x12"


def test_none_leaves_an_event_out(client: Client, events: Events) -> None:
    @brakit.scrub
    def scrub(event: Json) -> Json | None:
        return None if event["type"] == "log" else event

    LOG.warning("out")
    brakit.auth_check("session")
    assert [event["type"] for event in events()] == ["auth.check"]


@pytest.mark.failures
@pytest.mark.parametrize("answer", ["raise", "text", "unserialisable"])
def test_an_event_for_which_it_fails_is_dropped_and_counted(client: Client, answer: str) -> None:
    from brakit.wire import Wire

    @brakit.scrub
    def scrub(event: Json) -> Any:
        if answer == "raise":
            raise RuntimeError("mine")
        return "event" if answer == "text" else {**event, "data": object()}

    LOG.warning("secret")
    encoded, failed = Wire(client).encode(client.buffer.take(10))
    assert (encoded, failed) == ([], 1)
    assert "wire.log" in client.failures.counts


def test_what_it_does_itself_is_not_recorded(client: Client, events: Events) -> None:
    @brakit.scrub
    def scrub(event: Json) -> Json:
        LOG.warning("scrubbing")
        return event

    LOG.warning("once")
    assert [event["data"]["message"] for event in events()] == ["once"]
    assert events() == []


def test_in_an_app_of_its_own(py: Py, sink: Sink) -> None:
    code = """
import brakit, logging

@brakit.scrub
def scrub(event):
    if event["type"] == "log" and "drop" in event["data"]["message"]:
        raise ValueError("no")
    event["data"]["message"] = event["data"]["message"].upper()
    return event

logging.getLogger("shop").warning("keep")
logging.getLogger("shop").warning("drop")
print(brakit.flush(5))
"""
    ran = py(code, BRAKIT_PORT=str(sink.port))
    assert (ran.rc, ran.stderr.count("Traceback")) == (0, 0)
    assert sink.messages() == ["KEEP"]
    assert b"drop" not in b"".join(sink.raw).replace(b'"dropped"', b"")
    assert sink.dropped() == {"encoding": 1}
