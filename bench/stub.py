"""`python -m bench.stub`: answers the app's outgoing calls, as fast as it can."""

from __future__ import annotations

import asyncio
import sys

BODY = b'{"price": 42}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


class Stub(asyncio.Protocol):
    """One answer for each end of a header block: what is asked for has no body."""

    def __init__(self) -> None:
        self.rest = b""
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        *whole, self.rest = (self.rest + data).split(b"\r\n\r\n")
        if whole:
            self.transport.write(ANSWER * len(whole))


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        sys.exit(0)
