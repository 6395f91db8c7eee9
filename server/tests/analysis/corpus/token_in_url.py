"""Credentials in URLs, and parameters that are none."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _asked(make: Any, url: str, **more: Any) -> list[Any]:
    return [make.raw_request(url=url, **{"route": url.partition("?")[0], **more})]


def an_api_key(make: Any) -> Labelled:
    return _asked(make, "/orders?api_key=k9f8e7d6c5b4a"), [("token-in-url", "critical", ("api_key", "GET /orders"))]


def an_access_token(make: Any) -> Labelled:
    return _asked(make, "/orders?page=2&access_token=9f8e7d6c"), [("token-in-url", "critical", ("access_token",))]


def in_camel_case(make: Any) -> Labelled:
    return _asked(make, "/orders?apiKey=k9f8e7d6c5b4a"), [("token-in-url", "critical", ("apiKey",))]


def a_password(make: Any) -> Labelled:
    return _asked(make, "/enter?user=ada&password=hunter2"), [("token-in-url", "critical", ("password",))]


def a_session_id(make: Any) -> Labelled:
    return _asked(make, "/orders?PHPSESSID=9f8e7d6c5b4a"), [("token-in-url", "critical", ("PHPSESSID",))]


def although_it_is_refused(make: Any) -> Labelled:
    return _asked(make, "/orders?token=9f8e7d6c5b4a", status=401), [("token-in-url", "critical")]


def for_a_socket(make: Any) -> Labelled:
    return _asked(make, "/live?token=9f8e7d6c5b4a", status=101, messages_received=3), [("token-in-url", "info", ("ticket",))]


def a_long_session(make: Any) -> Labelled:
    return _asked(make, "/orders?session=9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c"), [("token-in-url", "critical")]


def from_a_sender_that_describes_nothing(make: Any) -> Labelled:
    return [make.request(url="/orders?token=****")], [("token-in-url", "critical", ("token",))]


def the_session_of_a_conference(make: Any) -> Labelled:
    return _asked(make, "/talks?session=3&room=a"), []


def pages(make: Any) -> Labelled:
    return _asked(make, "/orders?page_token=9f8e7d6c5b4a&next_token=0f1e2d3c"), []


def empty(make: Any) -> Labelled:
    return _asked(make, "/orders?token=&api_key="), []


def a_link_in_a_mail(make: Any) -> Labelled:
    return _asked(make, "/password/reset?token=9f8e7d6c5b4a"), []


def code_and_state(make: Any) -> Labelled:
    return _asked(make, "/oauth/callback?code=9f8e7d6c5b4a&state=0f1e2d3c4b"), []


def a_signed_url(make: Any) -> Labelled:
    return _asked(make, "/files/a.pdf?X-Amz-Credential=AK/2026&X-Amz-Signature=9f8e7d6c5b4a&X-Amz-Security-Token=9f8e7d6c5b"), []


def nobodys_route(make: Any) -> Labelled:
    return _asked(make, "/wp-admin?token=9f8e7d6c5b4a", status=404), []
