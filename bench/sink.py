"""`python -m bench.sink MODE`: stands in for the server, so that its cost is not counted: ok, keep, slow (answers after 0.5 s), hang.

It answers as ours does (docs/protocol.md), and counts. GET /stats tells posts and bytes, and GET /bodies, in mode keep, what came.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

ANSWER = b"HTTP/1.1 204 No Content\r\nBrakit-Accepts: shared, rows\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Sink:
    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.posts = 0
        self.bytes = 0
        self.bodies: list[bytes] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = LENGTH.search(head)
                body = await reader.readexactly(int(found[1]) if found else 0)
                writer.write(await self.answer(head, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    async def answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET "):
            told = (
                b"\n".join(self.bodies)
                if b"/bodies " in head
                else json.dumps({"posts": self.posts, "bytes": self.bytes}).encode()
            )
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told
        self.posts += 1
        self.bytes += len(body)
        if self.mode == "keep":
            self.bodies.append(body)
        elif self.mode in ("hang", "slow"):
            await asyncio.sleep(3600 if self.mode == "hang" else 0.5)
        return ANSWER


async def serve(mode: str) -> None:
    server = await asyncio.start_server(Sink(mode).handle, "127.0.0.1", 0, limit=2**24)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(serve(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(0)
