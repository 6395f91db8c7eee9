"""Cookies without flags, and cookies that need none."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _sets(make: Any, cookie: str, **more: Any) -> list[Any]:
    return [make.raw_request(response_headers={"set-cookie": cookie}, **more)]


def no_http_only(make: Any) -> Labelled:
    return _sets(make, "sessionid=9f8e7d; Path=/; SameSite=Lax"), [("insecure-cookie", "warning", ("sessionid", "HttpOnly"))]


def neither(make: Any) -> Labelled:
    return _sets(make, "access_token=9f8e7d"), [("insecure-cookie", "warning", ("HttpOnly", "SameSite"))]


def not_secure_over_https(make: Any) -> Labelled:
    return _sets(make, "sid=9f8e7d; HttpOnly; SameSite=Lax", scheme="https"), [("insecure-cookie", "warning", ("Secure",))]


def behind_a_proxy_with_https(make: Any) -> Labelled:
    made = _sets(make, "sid=9f8e7d; HttpOnly; SameSite=Lax", scheme="http", headers={"x-forwarded-proto": "https"})
    return made, [("insecure-cookie", "warning", ("Secure",))]


def only_same_site(make: Any) -> Labelled:
    return _sets(make, "session=9f8e7d; HttpOnly"), [("insecure-cookie", "info", ("SameSite",))]


def refused_by_browsers(make: Any) -> Labelled:
    return _sets(make, "theme=dark; SameSite=None"), [("insecure-cookie", "warning", ("Browsers refuse",))]


def a_prefix_without_secure(make: Any) -> Labelled:
    return _sets(make, "__Host-sid=9f8e7d; HttpOnly; SameSite=Lax; Path=/"), [("insecure-cookie", "warning", ("Secure",))]


def with_a_redirect(make: Any) -> Labelled:
    return _sets(make, "sessionid=9f8e7d; SameSite=Lax", status=302), [("insecure-cookie", "warning", ("HttpOnly",))]


def one_of_two(make: Any) -> Labelled:
    cookies = "theme=dark, sid=9f8e7d; Expires=Wed, 21 Oct 2099 07:28:00 GMT; SameSite=Lax"
    return _sets(make, cookies), [("insecure-cookie", "warning", ("sid",))]


def on_many_endpoints_it_is_one(make: Any) -> Labelled:
    made = []
    for n in range(4):
        make.now += 1000
        made += _sets(make, "sid=9f8e7d; SameSite=Lax", id=f"r{n}", route=f"/page{n}")
    return made, [("insecure-cookie", "warning")]


def all_flags_masked_value(make: Any) -> Labelled:
    return _sets(make, "sid=9f8e7d; HttpOnly; Secure; SameSite=strict", scheme="https"), []


def plain_http_on_the_developers_machine(make: Any) -> Labelled:
    return _sets(make, "sid=9f8e7d; HttpOnly; SameSite=Lax", scheme="http"), []


def for_scripts(make: Any) -> Labelled:
    return _sets(make, "csrftoken=9f8e7d; SameSite=Lax, XSRF-TOKEN=1; SameSite=Lax, lang=en, theme=dark"), []


def taken_back(make: Any) -> Labelled:
    return _sets(make, "sessionid=; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/"), []


def mended(make: Any) -> Labelled:
    before = _sets(make, "sid=9f8e7d; SameSite=Lax", id="r0")
    make.now += 5000
    return [*before, *_sets(make, "sid=9f8e7d; HttpOnly; SameSite=Lax", id="r1", route="/other")], []
