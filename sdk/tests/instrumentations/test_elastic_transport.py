"""`elastic_transport.py`: real clients, sync and async, against a small HTTP server that answers as Elasticsearch does."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import elastic_transport
import elasticsearch
import pytest

from brakit import context
from brakit.record import release_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

SECRET = "the-value-of-it"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status, body = 200, {"result": "created"}
        if "_search" in self.path:
            body = {"hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}}  # type: ignore[dict-item]
        elif "missing" in self.path:
            status, body = 404, {"found": False}  # type: ignore[dict-item]
        elif "broken" in self.path:
            status, body = 400, {"error": "no"}
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def owner(client: Client) -> Iterator[context.Owner]:
    made, _, _ = context.request_owner(None, None)
    before = context.enter(made)
    yield made
    release_all(made, client.buffer)
    context.enter(before)


def test_calls(address: str, client: Client, events: Events, owner: context.Owner) -> None:
    es = elasticsearch.Elasticsearch(address)
    line = test_calls.__code__.co_firstlineno + 3
    es.search(index="orders", query={"match": {"email": SECRET}})
    es.search(index="orders", query={"match": {"email": "b"}})
    es.index(index="orders", id="42", document={"email": SECRET})
    es.update(index="orders", id="42", doc={"a": 1})
    es.delete(index="orders", id="42")
    es.close()
    found = [event for event in events() if event["type"] != "log"]
    assert SECRET not in str(found)
    queries = [event["data"] for event in found]
    assert [(q["operation"], q["table"], q["sql"], q["shape"], q.get("rowCount")) for q in queries] == [
        ("SELECT", "orders", "POST /orders/_search", "POST /orders/_search", 2),
        ("SELECT", "orders", "POST /orders/_search", "POST /orders/_search", 2),
        ("INSERT", "orders", "PUT /orders/_doc/42", "PUT /orders/_doc/?", None),
        ("UPDATE", "orders", "POST /orders/_update/42", "POST /orders/_update/?", None),
        ("DELETE", "orders", "DELETE /orders/_doc/42", "DELETE /orders/_doc/?", None),
    ]
    assert queries[0]["paramsHash"] != queries[1]["paramsHash"]
    assert queries[0]["callsite"]["line"] == line
    assert {event["parentId"] for event in found} == {owner.id}


def test_answers_that_say_no(address: str, client: Client, events: Events) -> None:
    es = elasticsearch.Elasticsearch(address)
    with pytest.raises(elasticsearch.NotFoundError):
        es.get(index="missing", id="1")
    with pytest.raises(elasticsearch.BadRequestError):
        es.get(index="broken", id="1")
    es.close()
    assert [event["data"].get("error") for event in events("db.query")] == [None, "HTTP 400"]


def test_no_server(client: Client, events: Events) -> None:
    es = elasticsearch.Elasticsearch("http://127.0.0.1:1", max_retries=0)
    with pytest.raises(elasticsearch.ConnectionError):
        es.info()
    es.close()
    [event] = events("db.query")
    assert event["data"]["error"].startswith("ConnectionError: ")
    assert event["data"]["sql"] == "GET /"


async def test_async(address: str, client: Client, events: Events, owner: context.Owner) -> None:
    es = elasticsearch.AsyncElasticsearch(address)
    await es.search(index="orders", query={"match": {"email": SECRET}})
    await es.close()
    found = [event for event in events() if event["type"] != "log"]
    assert [event["type"] for event in found] == ["db.query"], found
    [event] = found
    assert (event["type"], event["data"]["sql"], event["parentId"]) == ("db.query", "POST /orders/_search", owner.id)
    assert event["data"]["callsite"]["function"] == "test_async"


def test_restored(client: Client) -> None:
    patched: Any = (elastic_transport.Transport, elastic_transport.AsyncTransport)
    originals = [holder.perform_request.__wrapped__ for holder in patched]
    client.shutdown(0.0)
    assert [holder.perform_request for holder in patched] == originals
