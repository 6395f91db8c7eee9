"""What is asked of the apps for each plant: requests with raw bytes, so that nothing is encoded or refused on the way."""

from __future__ import annotations

import base64
import http.client
import json

import pytest

from tests.privacy.plants import Plant, encoded

FORM = "application/x-www-form-urlencoded"


class Asked:
    """One request."""

    def __init__(self, path: str, method: str = "GET", body: str = "", content_type: str = "", **headers: str) -> None:
        self.path = path
        self.method = method
        self.body = body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type:
            self.headers["Content-Type"] = content_type


def asked(number: int, plant: Plant) -> Asked:
    """The request by which the plant with this number gets where it belongs."""
    channel, form, text = plant.channel, plant.form, plant.text
    if channel.startswith("answer") or channel in ("set_cookie", "secret_header"):
        return Asked(f"/answer/{number}")
    if channel == "authorization":
        if form == "Digest":
            return Asked("/echo/x", authorization=f'Digest username="bob", response="{text}", nonce="x"')
        return Asked("/echo/x", authorization=f"{form} {text}".strip())
    simple = {
        "path": lambda: Asked(f"/echo/{text}/items"),
        "method": lambda: Asked("/echo/x", method=text),
        "query_value": lambda: Asked(f"/echo/x?page=2&q={encoded(text)}"),
        "query_name": lambda: Asked(f"/echo/x?page=2&{form}={text}&b=1"),
        "header": lambda: Asked("/echo/x", x_note=text),
        "request_header": lambda: Asked("/echo/x", **{form: text}),
        "cookie": lambda: Asked("/echo/x", cookie=f"a=1; {form}={text}; b=2"),
        "form_name": lambda: Asked("/echo/x", "POST", f"user=bob&{encoded(form)}={text}&n=1", FORM),
        "form_value": lambda: Asked("/echo/x", "POST", f"user=bob&note={encoded(text)}&n=1", FORM),
        "body_json": lambda: Asked("/echo/x", "POST", json.dumps({"a": [{"note": text}]}), "application/json"),
        "body_text": lambda: Asked("/echo/x", "POST", text, "text/plain"),
        "json_name": lambda: Asked("/echo/x", "POST", json.dumps({"user": {"a": 1, form: text}}), "application/json"),
        "xml_name": lambda: Asked("/echo/x", "POST", f"<r><{form}>{text}</{form}></r>", "text/xml"),
        "multipart_name": lambda: Asked("/echo/x", "POST", _multipart(form, text), "multipart/form-data; boundary=b"),
    }
    return simple[channel]() if channel in simple else Asked(f"/work/{number}")


def _multipart(name: str, value: str) -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nfirst line\r\n{value}\r\n--b--\r\n'


def ask(port: int, request: Asked) -> int:
    """Sends it and returns the answer's status; 0 where the server has none for it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(request.method, request.path, skip_accept_encoding=True)
        body = request.body.encode()
        if body:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except http.client.HTTPException:
        return 0
    finally:
        connection.close()


def opens(port: int, plant: Plant) -> None:
    """Opens a WebSocket with the plant in its address, or among its protocols."""
    target, protocol = {
        "websocket_path": (f"/ws/{plant.text}", ""),
        "websocket_name": (f"/ws/x?{plant.form}={plant.text}", ""),
        "websocket_protocol": ("/ws/x", f"{plant.form}, {plant.text}"),
    }[plant.channel]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest("GET", target)
    key = base64.b64encode(b"0123456789abcdef").decode()
    for name, value in {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": protocol,
    }.items():
        if value:
            connection.putheader(name, value)
    connection.endheaders()
    assert connection.sock is not None
    received = b""
    while b"done" not in received:
        received += connection.sock.recv(4096) or pytest.fail(f"no WebSocket: {received!r}")
    connection.close()
