"""`POST /api/ingest` on a real server: what is answered, and what is then stored."""

from __future__ import annotations

import gzip
import json
import random
import signal
import socket
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

PATH = "/__brakit/api/ingest"
LIMIT = 10 * 1024 * 1024


def good_after(server: Any, event: Any) -> None:
    """The server is alive and takes a batch whose event can then be read."""
    begun = time.monotonic()
    mark = f"mark-{random.random()}"
    assert server.send(event("log", message=mark)) == 204
    assert server.get(f"logs?search={mark}")["total"] == 1
    assert time.monotonic() - begun < 2


def test_nothing_in_it_is_fine(server: Any) -> None:
    assert server.send() == 204
    status, headers, body = server.call("POST", PATH, b'{"_brakit":true,"version":1,"events":[]}')
    assert (status, body) == (204, b"")
    assert "content-type" not in headers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"5",
        b'"text"',
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"9" * 5_000,
        b'{"_brakit":true,"version":1}',
        '{"_brakit":true,"version":1,"events":[]}'.encode("utf-16"),
        b'\xef\xbb\xbf{"_brakit":true,"version":1,"events":[]}',
        b'{"_brakit":true,"version":1,"events":5}',
        b'{"_brakit":true,"version":1,"events":{}}',
        b'{"_brakit":true,"version":1,"events":null}',
        b'{"_brakit":true,"version":1,"events":"log"}',
        b'{"_brakit":false,"version":1,"events":[]}',
        b'{"_brakit":1,"version":1,"events":[]}',
        b'{"version":1,"events":[]}',
        b'{"_brakit":true,"version":"1","events":[]}',
        b'{"_brakit":true,"version":true,"events":[]}',
        b'{"_brakit":true,"version":null,"events":[]}',
        b'{"_brakit":true,"version":NaN,"events":[]}',
        b'{"_brakit":true,"version":1e999,"events":[]}',
        b'{"_brakit":true,"version":1,"events":[null]}',
        b'{"_brakit":true,"version":1,"events":[[]]}',
        b'{"_brakit":true,"version":1,"events":[{"type":5,"data":{}}]}',
        b'{"_brakit":true,"version":1,"events":[{"type":"log"}]}',
        b'{"_brakit":true,"version":1,"events":[{"type":"log","data":[]}]}',
    ],
)
def test_what_is_no_payload_is_refused(server: Any, event: Any, body: bytes) -> None:
    status, headers, answer = server.call("POST", PATH, body, {"Content-Type": "application/json"})
    assert status == 400
    assert headers["content-type"] == "application/json"
    said = json.loads(answer)
    assert said["error"]
    assert (said["accepted"], isinstance(said["rejected"], list)) == (0, True)
    good_after(server, event)


def test_a_newer_version_is_told_what_is_read(server: Any) -> None:
    status, _, body = server.call("POST", PATH, b'{"_brakit":true,"version":2,"events":[]}')
    assert status == 400
    assert "version 1" in json.loads(body)["error"]


def test_one_bad_event_costs_no_good_one(server: Any, event: Any) -> None:
    mark = f"good-{random.random()}"
    bad_table = event("db.query", table=7)
    no_duration = event("fetch")
    del no_duration["data"]["duration"]
    events = [event("log", message=mark), None, bad_table, event("error", message=mark), no_duration, event("new.kind")]
    status, _, body = server.call("POST", PATH, json.dumps({"_brakit": True, "version": 1, "events": events}).encode())
    said = json.loads(body)
    assert status == 400
    assert said["accepted"] == 3
    assert [(one["index"], one["path"]) for one in said["rejected"]] == [
        (1, "$.events[1]"),
        (2, "$.events[2].data.table"),
        (4, "$.events[4].data.duration"),
    ]
    assert all(one["reason"] for one in said["rejected"])
    assert server.get(f"logs?search={mark}")["total"] == 1
    assert server.get(f"errors?search={mark}")["total"] == 1


def test_a_million_bad_events_have_a_short_answer(server: Any, event: Any) -> None:
    status, _, _ = server.call("POST", PATH, b'{"_brakit":true,"version":1,"events":[' + b"0," * 1_000_000 + b"0]}")
    assert status == 413
    status, _, body = server.call("POST", PATH, b'{"_brakit":true,"version":1,"events":[' + b"0," * 50_000 + b"0]}")
    assert status == 400
    assert len(json.loads(body)["rejected"]) == 100
    assert "50001" in json.loads(body)["error"]
    good_after(server, event)


def test_other_methods_are_named(server: Any) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH"):
        status, headers, _ = server.call(method, PATH)
        assert status == 405
        assert "post" in headers["allow"]


def test_the_size_limit_is_exact(server: Any, event: Any) -> None:
    frame = b'{"_brakit":true,"version":1,"events":[],"pad":"%s"}'
    room = LIMIT - len(frame) + 2
    assert server.call("POST", PATH, frame % (b"x" * room))[0] == 204
    assert server.call("POST", PATH, frame % (b"x" * (room + 1)))[0] == 413
    good_after(server, event)


def test_a_body_in_chunks_is_counted_while_it_comes(server: Any, event: Any) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (1 << 20, b"x" * (1 << 20))
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(head.encode())
        try:
            for _ in range(30):
                connection.sendall(chunk)
        except ConnectionError:
            pass
        connection.settimeout(10)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
    good_after(server, event)


def test_gzip(server: Any, event: Any) -> None:
    mark = f"zip-{random.random()}"
    body = json.dumps({"_brakit": True, "version": 1, "events": [event("log", message=mark)]}).encode()
    assert server.call("POST", PATH, gzip.compress(body), {"Content-Encoding": "gzip"})[0] == 204
    assert server.get(f"logs?search={mark}")["total"] == 1
    assert server.call("POST", PATH, gzip.compress(body)[:-9], {"Content-Encoding": "gzip"})[0] == 400
    assert server.call("POST", PATH, body, {"Content-Encoding": "gzip"})[0] == 400
    assert server.call("POST", PATH, zlib.compress(body), {"Content-Encoding": "deflate"})[0] == 415
    assert server.call("POST", PATH, gzip.compress(gzip.compress(body)), {"Content-Encoding": "gzip, gzip"})[0] == 415
    bomb = gzip.compress(b" " * (300 << 20), 9)
    begun = time.monotonic()
    assert server.call("POST", PATH, bomb, {"Content-Encoding": "gzip"})[0] == 413
    assert time.monotonic() - begun < 2
    good_after(server, event)


def test_the_same_batch_again_is_stored_once(server: Any, event: Any) -> None:
    mark = f"once-{random.random()}"
    one = event("log", message=mark)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: server.send(one, batchId=mark), range(16))) == {204}
    assert server.get(f"logs?search={mark}")["total"] == 1
    assert server.send(one, batchId=mark + "x") == 204
    assert server.get(f"logs?search={mark}")["total"] == 2


def test_a_body_that_never_ends_gets_an_answer_and_holds_up_nobody(server: Any, event: Any) -> None:
    """Nor does a head: of a connection's first request, or of a later one."""
    silent, early, later = (socket.create_connection(("127.0.0.1", server.port), 15) for _ in range(3))
    early.sendall(b"GET /__brakit/api/hello HTTP/1.1\r\nHost: local")
    later.sendall(b"GET /__brakit/api/hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert later.recv(65536).startswith(b"HTTP/1.1 200")
    time.sleep(0.1)
    later.sendall(b"GET /__brakit/api/hello HTTP/1.1\r\nHost: localhost\r\n")
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    with socket.create_connection(("127.0.0.1", server.port), 15) as connection:
        connection.sendall(head.encode())
        good_after(server, event)
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")
    for one in (silent, early, later):
        one.settimeout(3)
        while one.recv(65536):
            continue
        one.close()


def test_numbers_and_texts_that_json_has_no_word_for(server: Any, event: Any) -> None:
    events = b"""
        {"type": "log", "data": {"level": "info", "message": "half \\ud83e of a pair"}},
        {"type": "log", "data": {"level": "info", "message": "nul \\u0000 inside"}},
        {"type": "log", "timestamp": NaN, "data": {"level": "info", "message": "no time"}},
        {"type": "log", "timestamp": -1, "data": {"level": "info", "message": "before time"}},
        {"type": "log", "timestamp": 1e300, "data": {"level": "info", "message": "after time"}},
        {"type": "fetch", "data": {"url": "/a", "method": "GET", "statusCode": 200, "duration": NaN}},
        {"type": "fetch", "data": {"url": "/b", "method": "GET", "statusCode": 1e999, "duration": 1}},
        {"type": "fetch", "data": {"url": "/c", "method": "GET", "statusCode": %s, "duration": 1}},
        {"type": "fetch", "data": {"url": "/d", "method": "GET", "statusCode": 9223372036854775808, "duration": 1}},
        {"type": "fetch", "data": {"url": "/e", "method": "GET", "statusCode": 200, "duration": 1, "duration": 2}}
    """ % (b"9" * 5_000)
    begun = time.time() * 1000
    status, _, body = server.call("POST", PATH, b'{"_brakit":true,"version":1,"events":[' + events + b"]}")
    assert status == 400
    assert [one["index"] for one in json.loads(body)["rejected"]] == [5, 6, 7, 8]
    logs = {log["message"]: log for log in server.get("logs?limit=10")["entries"]}
    assert "half \ufffd of a pair" in logs
    assert "nul \0 inside" in logs
    for message in ("no time", "before time", "after time"):
        assert begun - 1 <= logs[message]["timestamp"] <= time.time() * 1000
    assert server.get("fetches?limit=1")["entries"][0]["durationMs"] == 2


def test_ingest_answers_only_what_is_committed(start: Any, event: Any, tmp_path: Any) -> None:
    """Killed in the middle of work, again and again: nothing that was answered with 204 is lost or twice there."""
    acknowledged: set[str] = set()
    counter = 0
    rng = random.Random(7)
    for _ in range(6):
        server = start(tmp_path)
        threading.Timer(rng.uniform(0.1, 0.4), server.process.send_signal, (signal.SIGKILL,)).start()
        try:
            while True:
                marks = [f"n{counter + i}" for i in range(20)]
                counter += 20
                if server.send(*(event("log", message=mark) for mark in marks)) == 204:
                    acknowledged.update(marks)
        except (OSError, IndexError, ValueError):
            server.process.wait(10)
    begun = time.monotonic()
    server = start(tmp_path)
    assert time.monotonic() - begun < 5
    stored: list[str] = []
    before = ""
    while True:
        page = server.get(f"logs?limit=1000{before}")
        stored += [log["message"] for log in page["entries"]]
        if "next" not in page:
            break
        before = f"&before={page['next']}"
    assert len(acknowledged) > 100
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored)) == page["total"]
