"""The stub's process: an HTTP server and a bit of MongoDB, which count what they are asked. Ends with its standard input."""

from __future__ import annotations

import http.server
import json
import socketserver
import struct
import sys
import threading
from collections import Counter
from typing import Any

import bson

asked: Counter[str] = Counter()
lock = threading.Lock()
HELLO = {
    "ismaster": True, "isWritablePrimary": True, "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 21, "readOnly": False, "ok": 1.0,
}  # fmt: skip


class Web(http.server.BaseHTTPRequestHandler):
    """`/ok`, `/fail` (500), `/away` (a redirect to `/ok`), `/drop` (no answer); Elasticsearch and S3 get theirs."""

    protocol_version = "HTTP/1.1"
    # Head and body go out together: else the second waits for the acknowledgement of the first.
    wbufsize = -1

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/__asked":
            with lock:
                text = "\n".join(f"{path} {times}" for path, times in sorted(asked.items())).encode()
                asked.clear()
            self.give(200, text)
            return
        with lock:
            asked[f"{self.command} {self.path}"] += 1
        if self.path == "/drop":
            self.close_connection = True
        elif self.path == "/away":
            self.give(302, b"", Location="/ok")
        elif "_search" in self.path:
            self.give(200, json.dumps({"hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}}).encode())
        else:
            self.give(500 if "fail" in self.path else 404 if "missing" in self.path else 200, b'{"ok": true}')

    def give(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        return


class Mongo(socketserver.BaseRequestHandler):
    """One connection (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/)."""

    def handle(self) -> None:
        while len(header := self.request.recv(16, 0x100)) == 16:  # MSG_WAITALL
            length, number, _, opcode = struct.unpack("<iiii", header)
            body = self.request.recv(length - 16, 0x100)
            if opcode == 2004:
                start = body.index(b"\0", 4) + 9
                reply, kind = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(self.said(bson.decode(body[start:]))), 1
            else:
                size = struct.unpack_from("<i", body, 5)[0]
                reply, kind = struct.pack("<IB", 0, 0) + bson.encode(self.said(bson.decode(body[5 : 5 + size]))), 2013
            self.request.sendall(struct.pack("<iiii", 16 + len(reply), 1, number, kind) + reply)

    def said(self, command: dict[str, Any]) -> dict[str, Any]:
        name = next(iter(command))
        if name.lower() in ("hello", "ismaster"):
            return HELLO
        with lock:
            asked[f"mongo {name}"] += 1
        if name == "find" and command["find"] == "broken":
            return {"ok": 0.0, "errmsg": "no such thing", "code": 2, "codeName": "BadValue"}
        if name == "find":
            return {"ok": 1.0, "cursor": {"id": 7, "ns": "shop.users", "firstBatch": [{"_id": 1}, {"_id": 2}]}}
        if name == "getMore":
            return {"ok": 1.0, "cursor": {"id": 0, "ns": "shop.users", "nextBatch": [{"_id": 3}]}}
        return {"ok": 1.0, "n": 2, "nModified": 2}


def main() -> None:
    servers: list[Any] = [
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web),
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mongo),
    ]
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(*[server.server_address[1] for server in servers], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
