"""What is left out on request, with all that it causes; what fails comes back."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import brakit
from brakit import context
from brakit.config import Config
from brakit.instrumentations import _asgi, _jobs
from brakit.sampling import IGNORED, KEPT, SAMPLED_OUT, Pattern, Sampler, parse_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Events = Callable[..., list[dict[str, Any]]]


@given(st.text("ab*/", max_size=12), st.text("ab/", max_size=20))
def test_a_star_stands_for_any_characters(pattern: str, text: str) -> None:
    truth = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
    assert Pattern(pattern).matches(text) == truth


@pytest.mark.parametrize(("rate", "kept"), [(0.0, 0), (0.001, 1), (0.05, 50), (0.1, 100), (1 / 3, 334), (0.5, 500), (1.0, 1000)])
def test_an_even_share_is_kept_the_first_among_it(rate: float, kept: int) -> None:
    sampler = Sampler((), (("/poll", rate),))
    made = [sampler.decide("/", "/poll") for _ in range(1000)]
    assert made.count(KEPT) == kept
    assert made.count(SAMPLED_OUT) == 1000 - kept
    assert (made[0] == KEPT) == (rate > 0)
    if 0 < rate < 1:
        gaps = [index for index, one in enumerate(made) if one == KEPT]
        assert max(b - a for a, b in itertools.pairwise(gaps)) <= 1 / rate + 1 if len(gaps) > 1 else True


def test_a_pattern_is_for_paths_for_jobs_or_for_calls() -> None:
    sampler = Sampler(("/healthz", "tasks.*", "http://metrics:*"), (("/a/*", 0.0),))
    assert sampler.decide("/", "/healthz") == IGNORED
    assert sampler.decide("/", "/healthz/deep") == KEPT
    assert sampler.decide("/", "/a/b") == SAMPLED_OUT
    assert sampler.decide("", "tasks.sync") == IGNORED
    assert sampler.decide("://", "http://metrics:8086/write") == IGNORED
    assert sampler.decide("://", "http://shop/healthz") == KEPT
    assert sampler.decide("/", "tasks.sync") == KEPT


@pytest.mark.parametrize(
    "text", ["/a", "=0.5", "/a=", "/a=x", "/a=1.5", "/a=-1", "/a=1e3", "/a=200%", "/a=nan", "/a=1.2.3", "/a=%"]
)
def test_what_is_no_share_is_named(text: str) -> None:
    assert parse_share(text) is None
    config = Config({"BRAKIT_SAMPLE": f"/b=0.1,{text}"})
    assert config.sample == ()
    assert text in config.problems[0]


def test_shares_are_read() -> None:
    assert Config({"BRAKIT_SAMPLE": "/poll=0.1, /x?a=b=5%,j=1"}).sample == (("/poll", 0.1), ("/x?a=b", 0.05), ("j", 1.0))


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return {**environ, "BRAKIT_IGNORE": "/quiet/*,beat,http://127.0.0.1:*/ping", "BRAKIT_SAMPLE": "/rare=0.5,sweep=0"}


def ask(client: Client, path: str, inside: Callable[[], object] = lambda: None, status: int = 200) -> None:
    """One request through the ASGI instrumentation."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        inside()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(_: dict[str, Any]) -> None:
            return

        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": b"", "headers": [], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        }  # fmt: skip
        await _asgi.outermost(client, app)(scope, receive, send)

    asyncio.run(run())
    assert context.current() is None


def test_an_ignored_request_and_all_that_it_causes(client: Client, events: Events) -> None:
    def inside() -> None:
        logging.getLogger("shop").warning("quiet")
        with brakit.span("also quiet"):
            logging.getLogger("shop").warning("quiet too")
        brakit.capture_error(ValueError("quiet error"))

    ask(client, "/quiet/1", inside)
    assert events() == []
    ask(client, "/loud", lambda: logging.getLogger("shop").warning("loud"))
    assert [event["type"] for event in events()] == ["log", "request"]


def test_of_a_noisy_route_a_share_is_kept(client: Client, events: Events) -> None:
    for _ in range(6):
        ask(client, "/rare", lambda: logging.getLogger("shop").warning("once in a while"))
    found = events()
    assert [event["type"] for event in found] == ["log", "request"] * 3
    assert {event["parentId"] for event in found if event["type"] == "log"} == {
        event["data"]["id"] for event in found if event["type"] == "request"
    }


def test_one_that_fails_is_kept_from_its_failure_on(client: Client, events: Events) -> None:
    ask(client, "/rare")
    assert len(events("request")) == 1
    ask(client, "/rare", status=503)
    [request] = events()
    assert request["data"]["statusCode"] == 503
    ask(client, "/rare")
    events()

    def fail() -> None:
        logging.getLogger("shop").warning("before")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        ask(client, "/rare", fail)
    assert [event["type"] for event in events()] == ["error", "request"]
    with pytest.raises(ValueError, match="broken"):
        ask(client, "/quiet/x", fail)
    assert events() == []


def test_jobs_are_left_out_by_name(client: Client, events: Events) -> None:
    for name, error in (("beat", None), ("beat", ValueError("x")), ("sweep", None), ("other", None)):
        run = _jobs.Run(client, "test", name)
        logging.getLogger("shop").warning(name)
        run.end(error=error)
    assert [event["data"].get("name", event["data"].get("message")) for event in events()] == ["other", "other"]
    run = _jobs.Run(client, "test", "sweep")
    run.end(error=ValueError("broken"))
    assert [event["type"] for event in events()] == ["error", "job"]


def test_outgoing_calls_are_left_out_by_their_url(client: Client, events: Events) -> None:
    for path in ("ping", "pong"):
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"http://127.0.0.1:1/{path}", timeout=2)
    assert [event["data"]["url"] for event in events("fetch")] == ["http://127.0.0.1:1/pong"]


class TestLogs:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return {**environ, "BRAKIT_LOG_LEVEL": "Warn", "BRAKIT_LOG_IGNORE": "noisy,django.db.*"}

    def test_by_level_and_logger(self, client: Client, events: Events) -> None:
        for name in ("shop", "noisy", "noisy.deep", "django.db.backends"):
            logger = logging.getLogger(name)
            logger.setLevel(logging.DEBUG)
            for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
                logger.log(level, "%s at %d", name, level)
        assert [event["data"]["message"] for event in events()] == [
            "shop at 30", "shop at 40", "noisy.deep at 30", "noisy.deep at 40",
        ]  # fmt: skip


def test_a_level_that_is_none_is_named() -> None:
    config = Config({"BRAKIT_LOG_LEVEL": "loud"})
    assert config.log_level == ""
    assert "BRAKIT_LOG_LEVEL='loud'" in config.problems[0]
