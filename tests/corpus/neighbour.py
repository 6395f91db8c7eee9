"""A service that the cases call: `/wait/<milliseconds>/…` and `/slowly/…` answer late, `/fail/…` fails, any other path answers."""

from __future__ import annotations

import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOWLY_S = 0.12


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[0] in ("wait", "slowly"):
            time.sleep(float(parts[1]) / 1000 if parts[0] == "wait" else SLOWLY_S)
        body = b'{"path": "%s"}' % self.path.encode()
        self.send_response(503 if parts[0] == "fail" else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  # the name that its base asks for

    def log_message(self, *_: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True


@cache
def address() -> str:
    """Where it listens; it runs until the process ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, name="neighbour", daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
