"""CORS with credentials."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

TRUE = {"access-control-allow-credentials": "true"}


def _answer(make: Any, origin: str | None, credentials: bool = True, **more: Any) -> list[Any]:
    headers = {**(TRUE if credentials else {}), **({"access-control-allow-origin": origin} if origin else {})}
    return [make.request(response_headers=headers, **more)]


def with_a_star(make: Any) -> Labelled:
    return _answer(make, "*"), [("cors-credentials", "warning", ("GET /orders", "Browsers refuse"))]


def with_title_case(make: Any) -> Labelled:
    headers = {"Access-Control-Allow-Credentials": "True", "Access-Control-Allow-Origin": "*"}
    return [make.request(response_headers=headers)], [("cors-credentials", "warning")]


def with_null(make: Any) -> Labelled:
    return _answer(make, "null"), [("cors-credentials", "critical", ("sandboxed",))]


def with_a_list(make: Any) -> Labelled:
    return _answer(make, "https://a.shop.io, https://b.shop.io"), [("cors-credentials", "warning", ("several origins",))]


def on_a_preflight(make: Any) -> Labelled:
    return _answer(make, "*", method="OPTIONS", status=204), [("cors-credentials", "warning")]


def on_an_error(make: Any) -> Labelled:
    return _answer(make, "*", status=404), [("cors-credentials", "warning")]


def on_a_health_check(make: Any) -> Labelled:
    return _answer(make, "*", is_health_check=True), [("cors-credentials", "warning")]


def a_star_without(make: Any) -> Labelled:
    return _answer(make, "*", credentials=False), []


def a_named_origin(make: Any) -> Labelled:
    return _answer(make, "https://shop.io", headers={"origin": "https://shop.io"}), []


def no_origin(make: Any) -> Labelled:
    return _answer(make, None), []


def credentials_off(make: Any) -> Labelled:
    headers = {"access-control-allow-credentials": "false", "access-control-allow-origin": "*"}
    return [make.request(response_headers=headers)], []
