"""Debug pages, for others and for the developer."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

WERKZEUG = "<title>ZeroDivisionError: x // Werkzeug Debugger</title><script>var EVALEX = true</script>"
DJANGO = '<html><head><meta name="robots" content="NONE,NOARCHIVE"><title>ZeroDivisionError at /pay</title>'
STARLETTE = "<html><head><title>Starlette Debugger</title></head>"
TORNADO = "<html><title>500: Internal Server Error</title><body>Traceback (most recent call last):\n</body></html>"


def _answer(make: Any, body: str, host: str, status: int = 500, **more: Any) -> list[Any]:
    headers = {"host": host, **more.pop("headers", {})}
    return [make.raw_request(route="/pay", response_body=body, status=status, headers=headers, **more)]


def werkzeug(make: Any) -> Labelled:
    return _answer(make, WERKZEUG, "shop.io"), [("debug-mode", "critical", ("Werkzeug", "shop.io"))]


def django(make: Any) -> Labelled:
    return _answer(make, DJANGO, "www.shop.io:8000"), [("debug-mode", "warning", ("Django",))]


def djangos_not_found(make: Any) -> Labelled:
    body = "<p>You're seeing this error because you have <code>DEBUG = True</code> in your settings</p>"
    return _answer(make, body, "shop.io", 404), [("debug-mode", "warning")]


def starlette(make: Any) -> Labelled:
    return _answer(make, STARLETTE, "shop.io"), [("debug-mode", "warning")]


def tornado(make: Any) -> Labelled:
    return _answer(make, TORNADO, "shop.io"), [("debug-mode", "warning")]


def in_the_local_network(make: Any) -> Labelled:
    return _answer(make, DJANGO, "192.168.1.20:8000"), [("debug-mode", "warning")]


def behind_a_proxy(make: Any) -> Labelled:
    return _answer(make, WERKZEUG, "127.0.0.1:5000", headers={"x-forwarded-host": "shop.io"}), [("debug-mode", "critical")]


def by_ipv6(make: Any) -> Labelled:
    return _answer(make, DJANGO, "[2001:db8::1]:8000"), [("debug-mode", "warning")]


def on_localhost(make: Any) -> Labelled:
    return _answer(make, WERKZEUG, "localhost:5000"), []


def on_loopback(make: Any) -> Labelled:
    return _answer(make, DJANGO, "127.0.0.1:8000"), []


def on_loopback_by_ipv6(make: Any) -> Labelled:
    return _answer(make, DJANGO, "[::1]:8000"), []


def in_a_container(make: Any) -> Labelled:
    return _answer(make, DJANGO, "web:8000"), []


def in_a_test(make: Any) -> Labelled:
    return _answer(make, STARLETTE, "testserver"), []


def a_page_about_it(make: Any) -> Labelled:
    return _answer(make, "<h1>How the Werkzeug Debugger works</h1>", "docs.shop.io", 200), []
