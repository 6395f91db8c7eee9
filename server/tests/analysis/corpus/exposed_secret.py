"""Secrets in answers, and what only stands under such a name."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _answer(make: Any, body: str, **more: Any) -> list[Any]:
    return [make.raw_request(response_body=body, **{"route": "/users/{id}", **more})]


def a_hash_of_a_password(make: Any) -> Labelled:
    body = '{"id": 1, "passwordHash": "$2b$12$notARealHash0123456789abcdefghij"}'
    return _answer(make, body), [("exposed-secret", "critical", ("passwordHash", "GET /users/{id}"))]


def a_password_in_any_spelling(make: Any) -> Labelled:
    return _answer(make, '{"id": 1, "Password": "hunter2!x"}'), [("exposed-secret", "critical", ("Password",))]


def in_a_body_that_was_cut(make: Any) -> Labelled:
    body = '{"users": [{"id": 1, "password": "hunter2!x", "name": "Ada"}, {"id": 2, "na'
    return _answer(make, body), [("exposed-secret", "critical", ("password",))]


def an_access_token_of_somebody(make: Any) -> Labelled:
    return _answer(make, '{"id": 1, "access_token": "9f8e7d6c5b4a39281706"}'), [("exposed-secret", "warning", ("access_token",))]


def a_refresh_token_and_a_token(make: Any) -> Labelled:
    body = '{"refresh_token": "9f8e7d6c5b4a39281706", "token": "0f1e2d3c4b5a69788796"}'
    return _answer(make, body), [("exposed-secret", "warning", ("refresh_token, token",))]


def settings_with_a_client_secret(make: Any) -> Labelled:
    body = '{"stripe": {"client_secret": "s3cr3t-9f8e7d6c"}, "debug": false}'
    return _answer(make, body, route="/settings"), [("exposed-secret", "critical", ("client_secret",))]


def an_address_with_a_password(make: Any) -> Labelled:
    return _answer(make, '{"dsn": "postgres://shop:hunter2@db/shop"}', route="/config"), [("exposed-secret", "critical")]


def a_key_under_a_harmless_name(make: Any) -> Labelled:
    return _answer(make, '{"note": "ghp_notARealToken0123456789"}', route="/notes"), [("exposed-secret", "critical")]


def sign_up_that_answers_with_the_password(make: Any) -> Labelled:
    sent = '{"email": "ada@lovelace.io", "password": "hunter2!x"}'
    found = [("exposed-secret", "critical", ("comes back as it is",))]
    return _answer(make, sent, route="/signup", method="POST", request_body=sent), found


def no_secret_configured(make: Any) -> Labelled:
    return _answer(make, '{"secret": "no secret configured", "id": 3}'), []


def translations(make: Any) -> Labelled:
    return _answer(make, '{"password": "Password", "forgotPassword": "Forgot your password?"}', route="/i18n/en"), []


def log_in(make: Any) -> Labelled:
    sent = '{"user": "ada", "password": "hunter2!x"}'
    return _answer(make, '{"access_token": "9f8e7d6c5b4a39281706"}', route="/login", method="POST", request_body=sent), []


def in_return_for_a_password_elsewhere(make: Any) -> Labelled:
    sent = '{"user": "ada", "password": "hunter2!x"}'
    return _answer(make, '{"token": "9f8e7d6c5b4a39281706"}', route="/v1/users", method="POST", request_body=sent), []


def a_key_that_was_just_made(make: Any) -> Labelled:
    body = '{"id": 4, "api_key": "k-9f8e7d6c5b4a39281706"}'
    return _answer(make, body, route="/api-keys", method="POST", status=201), []


def hidden_by_the_app(make: Any) -> Labelled:
    return _answer(make, '{"password": "********", "api_key": "[REDACTED]", "token": "xxxxxxxxxx"}'), []


def configuration_of_a_browser_sdk(make: Any) -> Labelled:
    body = '{"apiKey": "AIzaNotARealKey0123456789abcdefghi", "authDomain": "shop.firebaseapp.com"}'
    return _answer(make, body, route="/config"), []


def a_publishable_key(make: Any) -> Labelled:
    return _answer(make, '{"publishableKey": "pk_live_not0a0real1key"}', route="/config"), []


def csrf(make: Any) -> Labelled:
    return _answer(make, '{"csrf_token": "9f8e7d6c5b4a39281706"}', route="/form"), []


def an_answer_that_refuses(make: Any) -> Labelled:
    return _answer(make, '{"errors": {"password": ["too short"]}}', method="POST", status=422), []


def a_schema(make: Any) -> Labelled:
    return _answer(make, '{"properties": {"password": {"type": "string"}, "token": null}}', route="/schema"), []
