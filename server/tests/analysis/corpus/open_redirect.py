"""Redirects to where the client says, and to where it may."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _goes(make: Any, url: str, location: str, status: int = 302, **more: Any) -> list[Any]:
    headers = {"host": "shop.io", **more.pop("headers", {})}
    answered = {"location": location}
    return [make.raw_request(route="/go", url=url, status=status, headers=headers, response_headers=answered, **more)]


def to_another_site(make: Any) -> Labelled:
    return _goes(make, "/go?next=https%3A%2F%2Fevil.com%2Fx", "https://evil.com/x"), [
        ("open-redirect", "warning", ("next", "GET /go"))
    ]


def not_encoded(make: Any) -> Labelled:
    return _goes(make, "/go?url=https://evil.com", "https://evil.com", 307), [("open-redirect", "warning")]


def without_a_scheme(make: Any) -> Labelled:
    return _goes(make, "/go?next=//evil.com/x", "//evil.com/x"), [("open-redirect", "warning")]


def with_backslashes(make: Any) -> Labelled:
    return _goes(make, "/go?next=/%5Cevil.com", "/\\evil.com"), [("open-redirect", "warning")]


def from_a_form(make: Any) -> Labelled:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    made = _goes(
        make, "/go", "https://evil.com/x", 303, method="POST", headers=headers, request_body="next=https%3A%2F%2Fevil.com%2Fx"
    )
    return made, [("open-redirect", "warning", ("POST /go",))]


def that_only_begins_alike(make: Any) -> Labelled:
    return _goes(make, "/go?next=https://shop.io.evil.com/", "https://shop.io.evil.com/"), [("open-redirect", "warning")]


def with_a_user_that_looks_like_the_host(make: Any) -> Labelled:
    return _goes(make, "/go?next=https://evil.com:8443/shop.io", "https://evil.com:8443/shop.io"), [("open-redirect", "warning")]


def another_site_of_one_ending(make: Any) -> Labelled:
    made = _goes(make, "/go?next=https://evil.co.uk/", "https://evil.co.uk/", headers={"host": "shop.co.uk"})
    return made, [("open-redirect", "warning")]


def to_a_path(make: Any) -> Labelled:
    return _goes(make, "/go?next=/orders", "/orders"), []


def to_itself(make: Any) -> Labelled:
    return _goes(make, "/go?next=https://shop.io/orders", "https://shop.io/orders"), []


def to_a_subdomain(make: Any) -> Labelled:
    return _goes(make, "/go?next=https://login.shop.io/", "https://login.shop.io/"), []


def to_the_frontend_of_the_developer(make: Any) -> Labelled:
    made = _goes(make, "/go?next=http://localhost:3000/", "http://localhost:3000/", headers={"host": "127.0.0.1:8000"})
    return made, []


def as_oauth_says(make: Any) -> Labelled:
    return _goes(make, "/go?redirect_uri=https://app.example.net/cb", "https://app.example.net/cb"), []


def to_a_partner_that_the_code_names(make: Any) -> Labelled:
    return _goes(make, "/go?next=stripe", "https://checkout.stripe.com/x"), []


def what_is_only_created(make: Any) -> Labelled:
    return _goes(make, "/go?url=https://evil.com/x", "https://evil.com/x", 201), []
