"""A real server on a file that a newer version wrote: it shows what is there, takes nothing, and says why."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from brakit_server.stores.sqlite import schema


def test_it_is_shown_and_nothing_is_taken(start: Callable[..., Any], event: Callable[..., dict[str, Any]]) -> None:
    first = start()
    assert first.send(event("request", url="/kept"), event("log", message="kept")) == 204
    first.stop()
    with sqlite3.connect(first.data / "brakit.db") as connection:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'version'", (len(schema.MIGRATIONS) + 1,))
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    connection.close()
    server = start()
    assert [log["message"] for log in server.get("logs")["entries"]] == ["kept"]
    assert server.get("requests")["total"] == 1
    assert server.get("shapes")["total"] == 0
    body = json.dumps({"_brakit": True, "version": 1, "sdk": "test/1", "events": [event("log", message="new")]}).encode()
    status, headers, answer = server.call("POST", "/__brakit/api/ingest", body)
    assert (status, "newer brakit" in json.loads(answer)["error"]) == (503, True), answer
    assert int(headers["retry-after"]) >= 1
    assert server.call("POST", "/__brakit/api/clear", b"{}")[0] == 503
    assert "newer brakit" in server.get("status")["readOnly"]
    assert server.get("logs")["total"] == 1
    code, said = server.stop()
    assert (code, "newer brakit" in said, "Traceback" in said) == (0, True, False), said
