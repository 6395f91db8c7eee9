"""A server that takes batches and keeps every byte; and the search for a needle in them, in the clear and under the usual wrappings."""

from __future__ import annotations

import base64
import http.server
import json
import re
import threading
from typing import Any
from urllib.parse import unquote_plus

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")


class Receiver:
    """Listens from its making to `close`. With `shares` it says that it reads events in parts."""

    def __init__(self, *, shares: bool) -> None:
        receiver = self
        self.bodies: list[bytes] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(204)
                if shares:
                    self.send_header("Brakit-Accepts", "shared, rows")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def payloads(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]

    def events(self) -> list[dict[str, Any]]:
        """Every event, whole: those in parts put together."""
        found = []
        for payload in self.payloads():
            for event in payload["events"]:
                if type(event) is list:
                    named = dict(zip(payload["columns"][event[0]], event[3:], strict=False))
                    event = {"of": event[1], "data": {name: value for name, value in named.items() if value is not None}}
                data: dict[str, Any] = {}
                around: dict[str, Any] = {}
                for layer in (*(payload["shared"][number] for number in event.get("of", ())), event):
                    data |= layer.get("data", {})
                    around |= layer
                found.append({**around, "data": data})
        return found


def readings(body: bytes) -> list[str]:
    """The bytes as text; the texts of the JSON in them; both percent-decoded, twice; and what base64 in them says."""
    found = [body.decode("utf-8", "replace")]
    texts: list[str] = []
    try:
        _texts(json.loads(body), texts)
    except ValueError:
        pass
    found.append("\n".join(texts))
    found += [unquote_plus(text) for text in found]
    found += [unquote_plus(text) for text in found[-2:]]
    # Text that was JSON inside of JSON.
    found.append(found[1].replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\"))
    plain = [base64.urlsafe_b64decode(run[0].rstrip(b"=") + b"==").decode("latin-1") for run in _runs(body)]
    return [*found, "\n".join(plain)]


def _runs(body: bytes) -> list[re.Match[bytes]]:
    return [run for run in _BASE64.finditer(body.replace(b"+", b"-").replace(b"/", b"_")) if len(run[0].rstrip(b"=")) % 4 != 1]


def _texts(value: object, into: list[str]) -> None:
    if isinstance(value, str):
        into.append(value)
    elif isinstance(value, list):
        for item in value:
            _texts(item, into)
    elif isinstance(value, dict):
        for key, item in value.items():
            into.append(key)
            _texts(item, into)
