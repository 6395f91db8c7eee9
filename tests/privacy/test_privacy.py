"""Secrets that are planted in real apps, over every channel, are in no byte that leaves the process; what only looks like one is."""

from __future__ import annotations

import base64
import json
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.line.processes import ROOT, Process, free_port, listens, wait_for
from tests.privacy.driving import Asked, ask, asked, opens
from tests.privacy.plants import INNOCENT, Plant, planted, traces
from tests.privacy.receiver import Receiver, readings

PLANTS = planted()
FRAMEWORKS = ("fastapi", "flask", "django")
SERVERS = {"psycopg": 5432, "pymysql": 3306}
"""Databases that channels need, by the beginnings of their names."""


class Seen:
    """What left one app."""

    def __init__(self, receiver: Receiver, missed: list[str]) -> None:
        self.bodies = receiver.bodies
        self.events = receiver.events()
        self.payloads = receiver.payloads()
        # Much stands in many events: each line is looked at once.
        self.text = "\n".join({line for body in receiver.bodies for text in readings(body) for line in text.split("\n")})
        self.missed = missed

    def leaks(self, plants: list[Plant]) -> list[str]:
        return [
            f"{plant.channel}, {plant.form}: {plant.text!r}"
            for plant in plants
            if any(trace in self.text for trace in traces(plant.needle))
        ]


def _driven(framework: str, folder: Path) -> Seen:
    plants = folder / "plants.json"
    innocent = [Plant("log_args", "innocent", text, text)._asdict() for text in INNOCENT]
    plants.write_text(json.dumps([plant._asdict() for plant in PLANTS] + innocent))
    service = next(plant for plant in PLANTS if plant.channel == "resource")
    receiver = Receiver(shares=framework == "fastapi")
    port = free_port()
    project = folder / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text("")
    process = Process(
        [sys.executable, "-m", f"tests.privacy.apps.{framework}_app", str(port)],
        project,
        {
            "PRIVACY_PLANTS": str(plants),
            "PYTHONPATH": str(ROOT),
            "BRAKIT_ENABLE": "1",
            "BRAKIT_PORT": str(receiver.port),
            "BRAKIT_SERVICE": service.text,
        },
        "app",
    )
    missed = []
    try:
        wait_for(lambda: listens(port), 30, process)
        for number, plant in enumerate(PLANTS):
            if plant.channel.startswith("websocket"):
                if framework == "fastapi":
                    opens(port, plant)
            elif plant.channel != "resource" and ask(port, asked(number, plant)) == 404:
                missed.append(f"{plant.channel}, {plant.form}")
        for number in range(len(innocent)):
            ask(port, Asked(f"/work/{len(PLANTS) + number}"))
        ask(
            port,
            Asked("/echo/x?state=CA&sort=name&page=2", cookie="a=1; theme=dark", accept_language="de-CH", x_request_id="a" * 32),
        )
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/flush", timeout=30) as answer:
            assert b"rue" in answer.read()
    finally:
        process.stop()
        receiver.close()
    return Seen(receiver, missed)


@pytest.fixture(scope="module", params=FRAMEWORKS)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return _driven(request.param, tmp_path_factory.mktemp(request.param))


def _plants(seen: Seen) -> list[Plant]:
    down = tuple(name for name, port in SERVERS.items() if not listens(port))
    return [plant for plant in PLANTS if not (down and plant.channel.startswith(down))]


def test_there_are_enough_of_them() -> None:
    assert len({plant.needle for plant in PLANTS}) == len(PLANTS) >= 200
    assert len(set(INNOCENT)) == len(INNOCENT) >= 60


def test_none_leaves_the_process(seen: Seen) -> None:
    leaks = seen.leaks(_plants(seen))
    assert not leaks, "\n".join([f"{len(leaks)} of {len(PLANTS)}", *leaks])


def test_each_got_where_it_was_planted(seen: Seen) -> None:
    """A search that finds nothing says something only when there was something to find."""
    assert seen.missed == []
    kinds = Counter(event["type"] for event in seen.events)
    assert kinds["request"] >= len(PLANTS) - 20
    for kind, least in {"log": 150, "error": 30, "db.query": 15, "fetch": 25, "span": 40, "job": 20, "auth.check": 15}.items():
        assert kinds[kind] >= least, kinds


def test_what_only_looks_like_one_is_left_as_it_is(seen: Seen) -> None:
    said = {event["data"]["message"] for event in seen.events if event["type"] == "log"}
    missing = [text for text in INNOCENT if f"said {text}, 3 times" not in said]
    assert not missing, "\n".join(missing)


def test_what_rules_judge_by_is_left(seen: Seen) -> None:
    requests: list[Any] = [event["data"] for event in seen.events if event["type"] == "request"]
    headers = [request["headers"] for request in requests]
    cookies = {
        (cookie["name"], cookie["httpOnly"], cookie.get("sameSite"))
        for request in requests
        for cookie in request.get("cookies", ())
    }
    assert {("sid", True, "lax"), ("csrftoken", True, "lax")} <= cookies
    set_cookies = [request["responseHeaders"].get("set-cookie", "") for request in requests]
    assert any(value.startswith("sid=****;") and "HttpOnly" in value and "Path=/" in value for value in set_cookies)
    sent = {value["authorization"] for value in headers if "authorization" in value}
    assert sent == {"Bearer ****", "Token ****", "ApiKey ****", "Digest ****", "****"}
    assert {value["x-api-key"] for value in headers if "x-api-key" in value} == {"****"}
    last = next(request for request in requests if "state=CA" in request["url"])
    assert last["url"] == "/echo/x?state=CA&sort=name&page=2"
    assert last["headers"]["cookie"] == "a=****; theme=****"
    assert (last["headers"]["accept-language"], last["headers"]["x-request-id"]) == ("de-CH", "a" * 32)
    keys = {
        key
        for request in requests
        if request.get("requestBody", "").startswith('{"user"')
        for key in json.loads(request["requestBody"])["user"]
    }
    assert {"a", "password", "refreshToken", "ssn"} <= keys


def test_source_lines_keep_their_numbers(seen: Seen) -> None:
    frames = [frame for event in seen.events if event["type"] == "error" for frame in event["data"].get("frames", ())]
    made = [
        frame
        for frame in frames
        if frame["file"].startswith("made/") and "raise ValueError('no')" in "".join(frame.get("code", ()))
    ]
    for frame in made:
        place = frame["line"] - frame["codeStart"]
        assert frame["code"][place].strip() in ("raise ValueError('no')", "login()") or "login(" in frame["code"][place], frame
    assert len(made) >= 4


def test_a_needle_that_is_there_is_found() -> None:
    """In the clear, escaped, percent-encoded, in base64."""
    needle = "q7Needle/With+More"
    for body in (
        json.dumps({"a": needle}).encode(),
        json.dumps({"a": json.dumps({"b": needle})}).encode(),
        json.dumps({"a": "q7Needle%2FWith%2BMore"}).encode(),
        json.dumps({"a": "".join(f"\\u{ord(c):04x}" for c in needle)}).replace("\\\\", "\\").encode(),
        b'{"a": "' + base64.b64encode(b"bob:" + needle.encode()) + b'"}',
    ):
        assert any(needle in text for text in readings(body)), body
