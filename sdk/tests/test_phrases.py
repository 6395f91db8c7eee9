"""Secrets in flags, elements, forms, sentences and paths; what only looks like one stays."""

from __future__ import annotations

import pytest

from brakit import phrases

NEEDLE = "Hun7erNeedle9"

SECRET = [
    f"--password {NEEDLE}",
    f"run --api-key '{NEEDLE}' now",
    f'["--password", "{NEEDLE}"]',
    f"curl -u bob:{NEEDLE} https://x",
    f"curl --user 'bob:{NEEDLE}' https://x",
    f"machine x login bob password {NEEDLE}",
    f'client.set_password("{NEEDLE}")',
    f"<password>{NEEDLE}</password>",
    f"<password><![CDATA[{NEEDLE}]]></password>",
    f'<wsse:Password Type="x#PasswordText">{NEEDLE}</wsse:Password>',
    f"<user></user><password>{NEEDLE}",
    f"[('token', '{NEEDLE}')]",
    f"issued token {NEEDLE}",
    f"password is {NEEDLE}",
    f"the new api key: is {NEEDLE}".replace(":", ""),
    f"token -> {NEEDLE}",
    f"password → '{NEEDLE}'",
    f"https://x/reset-password/{NEEDLE}abcdef/",
    f"/accounts/reset/MQ/c5x3z1-{NEEDLE}/",
    f"/magic-link/{NEEDLE}abcdef",
    f"/callback?code={NEEDLE}&state=xyz",
]

BESIDE_A_NAME = [
    f'[{{"op":"replace","path":"/password","value":"{NEEDLE}"}}]',
    f'{{"value":"{NEEDLE}","name":"password"}}',
    f'{{"field":"password","value":"{NEEDLE}"}}',
    f'<input type="password" value="{NEEDLE}">',
    f'<input value="{NEEDLE}" name="csrf_token">',
    f'<meta name="csrf-token" content="{NEEDLE}">',
    f'form-data; name="password"\r\n\r\nline1\r\n{NEEDLE}\r\n--b--',
    f'{{"kty":"RSA","n":"public","d":"{NEEDLE}"}}',
    f"redirect=https%3A%2F%2Fbob%3A{NEEDLE}%40db.internal%2F",
    f"/x?next=%252Fx%253Ftoken%253D{NEEDLE}",
    f"/x?q=%7B%22password%22%3A%22{NEEDLE}%22%7D",
]

INNOCENT = [
    "password reset for order 4711",
    "unexpected token '<' at line 3",
    "the secret of success is hard work",
    "password is required",
    "next page token abc123def456ghi789",
    "--verbose --token-file /run/x --name bob",
    "<b>token</b> <name>bob</name>",
    "/static/token/app.3f9a8c1e77b2.js",
    'File "/app/verify/test_integration_2024_suite.py", line 12',
    "/orders/550e8400-e29b-41d4-a716-446655440000/items",
    "/confirm/the-order-of-today",
    "/search?state=CA&code=94105",
    '<input name="q" value="shoes">',
    '<meta name="viewport" content="width=device-width">',
    '{"name":"color","value":"red"}',
    "redirect=https%3A%2F%2Fexample.org%2F%40bob",
    'form-data; name="title"\r\n\r\nline1\r\nline2\r\n--b--',
]


@pytest.mark.parametrize("text", SECRET)
def test_what_needs_no_separator_is_masked(text: str) -> None:
    masked = phrases.said(text)
    assert NEEDLE not in masked
    assert phrases.said(masked) == masked


@pytest.mark.parametrize("text", BESIDE_A_NAME)
def test_what_stands_beside_a_name_is_masked(text: str) -> None:
    masked = phrases.masked(text)
    assert NEEDLE not in masked
    assert phrases.masked(masked) == masked


@pytest.mark.parametrize("text", INNOCENT)
def test_the_rest_stays(text: str) -> None:
    assert phrases.said(phrases.masked(text)) == text
