"""`pymongo.py`: real clients, sync and async, against a small server that speaks the wire protocol."""

from __future__ import annotations

import socketserver
import struct
import threading
from typing import TYPE_CHECKING, Any

import bson
import pymongo
import pymongo.errors
import pymongo.monitoring
import pytest

from brakit import context
from brakit.record import release_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

HELLO = {
    "ismaster": True, "isWritablePrimary": True, "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 21, "readOnly": False, "ok": 1.0,
}  # fmt: skip
SECRET = "the-value-of-it"


class Handler(socketserver.BaseRequestHandler):
    """One connection: OP_QUERY for the first hello, OP_MSG for the rest
    (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/)."""

    def handle(self) -> None:
        while header := self.receive(16):
            length, request_id, _, opcode = struct.unpack("<iiii", header)
            body = self.receive(length - 16)
            if opcode == 2004:
                name_end = body.index(b"\0", 4) + 1
                reply = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(answer(bson.decode(body[name_end + 8 :])))
                self.send(request_id, 1, reply)
            else:
                reply = struct.pack("<IB", 0, 0) + bson.encode(answer(self.message(body)))
                self.send(request_id, 2013, reply)

    def message(self, body: bytes) -> Json:
        """The document of an OP_MSG; the documents of its sequences are not looked at."""
        size = struct.unpack_from("<i", body, 5)[0]
        found: Json = bson.decode(body[5 : 5 + size])
        return found

    def receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            piece = self.request.recv(length - len(data))
            if not piece:
                return b""
            data += piece
        return data

    def send(self, to: int, opcode: int, body: bytes) -> None:
        self.request.sendall(struct.pack("<iiii", 16 + len(body), 1, to, opcode) + body)


def answer(command: Json) -> Json:
    name = next(iter(command))
    if name in ("hello", "ismaster", "isMaster"):
        return HELLO
    if name == "find" and command["find"] == "broken":
        return {"ok": 0.0, "errmsg": "no such thing", "code": 2, "codeName": "BadValue"}
    if name == "find":
        return {"ok": 1.0, "cursor": {"id": 7, "ns": "shop.users", "firstBatch": [{"_id": 1}, {"_id": 2}]}}
    if name == "getMore":
        return {"ok": 1.0, "cursor": {"id": 0, "ns": "shop.users", "nextBatch": [{"_id": 3}]}}
    if name == "aggregate":
        return {"ok": 1.0, "cursor": {"id": 0, "ns": "shop.users", "firstBatch": [{"n": 3}]}}
    return {"ok": 1.0, "n": 2, "nModified": 2}


@pytest.fixture
def address() -> Iterator[str]:
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"mongodb://127.0.0.1:{server.server_address[1]}/?serverSelectionTimeoutMS=5000"
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop(address: str, client: Client) -> Iterator[Any]:
    made: Any = pymongo.MongoClient(address)
    yield made.shop
    made.close()


@pytest.fixture
def owner(client: Client) -> Iterator[context.Owner]:
    made, _, _ = context.request_owner(None, None)
    before = context.enter(made)
    yield made
    release_all(made, client.buffer)
    context.enter(before)


def test_commands(shop: Any, events: Events, owner: context.Owner) -> None:
    line = test_commands.__code__.co_firstlineno + 2
    shop.users.find_one({"email": SECRET, "age": {"$gt": 30}, "tags": {"$in": [SECRET, "b"]}})
    shop.users.insert_many([{"email": SECRET}, {"email": "b"}])
    shop.users.update_one({"email": SECRET}, {"$set": {"age": 2}})
    shop.users.delete_many({"age": {"$lt": 3}})
    list(shop.users.aggregate([{"$match": {"email": SECRET}}, {"$count": "n"}]))
    found = events()
    assert SECRET not in str(found)
    queries = [event["data"] for event in found]
    assert [(q["operation"], q["table"], q["sql"], q.get("rowCount"), q.get("batchSize")) for q in queries] == [
        ("SELECT", "users", 'find users {"email": ?, "age": {"$gt": ?}, "tags": {"$in": [?]}}', 2, None),
        ("INSERT", "users", "insert users", 2, 2),
        ("UPDATE", "users", 'update users {"email": ?}', 2, None),
        ("DELETE", "users", 'delete users {"age": {"$lt": ?}}', 2, None),
        ("SELECT", "users", 'aggregate users [{"$match": {"email": ?}}, {"$count": ?}]', 1, None),
    ]
    assert {event["parentId"] for event in found} == {owner.id}
    assert {(q["system"], q["source"]) for q in queries} == {("mongodb", "pymongo")}
    assert (queries[0]["callsite"]["line"], queries[0]["callsite"]["function"]) == (line, "test_commands")
    assert queries[0]["shapeHash"] != queries[3]["shapeHash"]


def test_batches_of_a_cursor(shop: Any, events: Events) -> None:
    assert len(list(shop.users.find({}))) == 3
    assert [(e["data"]["sql"], e["data"]["rowCount"]) for e in events()] == [("find users {}", 2), ("getMore users", 1)]


def test_failures(shop: Any, events: Events) -> None:
    with pytest.raises(pymongo.errors.OperationFailure, match="no such thing"):
        shop.broken.find_one()
    [event] = events()
    assert event["data"]["error"] == "BadValue: no such thing"


def test_ping_is_silent(shop: Any, events: Events) -> None:
    shop.command("ping")
    assert events() == []


@pytest.mark.skipif(not hasattr(pymongo, "AsyncMongoClient"), reason="async clients come with PyMongo 4.9")
async def test_async(address: str, client: Client, events: Events, owner: context.Owner) -> None:
    made: Any = pymongo.AsyncMongoClient(address)
    assert await made.shop.users.find_one({"email": SECRET}) == {"_id": 1}
    await made.close()
    [event] = events()
    assert (event["data"]["sql"], event["parentId"]) == ('find users {"email": ?}', owner.id)
    assert event["data"]["callsite"]["function"] == "test_async"


def test_restored(client: Client) -> None:
    listeners = pymongo.monitoring._LISTENERS.command_listeners
    assert len(listeners) == 1
    client.shutdown(0.0)
    assert listeners == []


def test_a_client_that_lives_longer_than_we_do(shop: Any, client: Client) -> None:
    client.shutdown(0.0)
    assert shop.users.find_one({}) == {"_id": 1}
    assert not client.buffer.records
