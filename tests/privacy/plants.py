"""The secrets that are planted: each with the channel that it goes through, the text that it stands in, and its needle, which may not
be found in anything that leaves the process. All of them are made up."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

_RANDOM = random.Random(4)
_LETTERS = string.ascii_letters + string.digits


class Plant(NamedTuple):
    channel: str
    form: str
    text: str
    needle: str


def _mixed(length: int = 20) -> str:
    """Letters and digits, both there, never the same again."""
    return "q7" + "".join(_RANDOM.choice(_LETTERS) for _ in range(length - 2))


def _hex(length: int) -> str:
    return "".join(_RANDOM.choice("0123456789abcdef") for _ in range(length))


def _upper(length: int) -> str:
    return "".join(_RANDOM.choice(string.ascii_uppercase + string.digits) for _ in range(length))


def _around(before: str, behind: str = "", make: Callable[[], str] = _mixed) -> Callable[[], tuple[str, str]]:
    def form() -> tuple[str, str]:
        needle = make()
        return before + needle + behind, needle

    return form


def _card() -> tuple[str, str]:
    digits = [4] + [_RANDOM.randrange(10) for _ in range(14)]
    total = sum(sum(divmod(digit * (2 - at % 2), 10)) for at, digit in enumerate(digits))
    number = "".join(map(str, [*digits, -total % 10]))
    return f"card {number[:4]} {number[4:8]} {number[8:12]} {number[12:]}", f"{number[4:8]} {number[8:12]}"


def _basic() -> tuple[str, str]:
    needle = _mixed()
    return "Basic " + base64.b64encode(f"bob:{needle}".encode()).decode(), needle


def _jwt() -> tuple[str, str]:
    needle = _mixed(43)
    return f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.{needle}", needle


# Prefixes in two parts, so that no scanner of repositories takes them for real.
LOOKS: dict[str, Callable[[], tuple[str, str]]] = {
    "AWS": _around("AK" + "IA", make=lambda: _upper(16)),
    "Stripe": _around("sk_" + "live_"),
    "webhook secret": _around("wh" + "sec_"),
    "GitHub": _around("gh" + "p_", make=lambda: _mixed(36)),
    "GitLab": _around("gl" + "pat-"),
    "Slack": _around("xo" + "xb-123456789012-"),
    "OpenAI": _around("sk-" + "proj-"),
    "Google": _around("AI" + "za", make=lambda: _mixed(35)),
    "Vault": _around("hv" + "s.", make=lambda: _mixed(24)),
    "npm": _around("np" + "m_", make=lambda: _mixed(36)),
    "Databricks": _around("da" + "pi", make=lambda: _hex(32)),
    "PASETO": _around("v4" + ".local.", make=lambda: _mixed(40)),
    "JWT": _jwt,
}
"""Known by what they look like, wherever they stand."""

FORMS: dict[str, Callable[[], tuple[str, str]]] = {
    **LOOKS,
    "card": _card,
    "bearer": _around("sent Bearer "),
    "basic": _basic,
    "DSN": _around("postgres://shop:", "@db.internal/shop"),
    "password=": _around("login with password=", " failed"),
    "token:": _around("token: "),
    "quoted": _around("{'user': 'bob', 'api_key': '", "'}"),
    "in JSON": _around('{"a": {"clientSecret": "', '"}}'),
    "in a query string": _around("GET /cb?page=2&access_token=", "&x=1 HTTP/1.1"),
    "flag": _around("run --password ", " now"),
    "key and value": _around("Driver={X};Uid=sa;Pwd=", ";"),
    "said": _around("issued token "),
    "element": _around("<r><password>", "</password></r>"),
    "cookie": _around("Cookie: theme=dark; sid="),
    "reset link": _around("see https://shop.test/reset-password/", "/"),
}
"""Known by what stands around them, in any text."""

LINES: dict[str, Callable[[], tuple[str, str]]] = {
    "private key": _around("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n", "\n-----END PRIVATE KEY-----", lambda: _mixed(64)),
    "headers": _around("POST / HTTP/1.1\r\nX-Api-Key: ", "\r\nHost: x\r\n"),
    "YAML": _around("db:\n  password: |\n    ", "\n  host: x\n"),
}

TEXT_CHANNELS = (
    *("log", "log_args", "log_extra", "loguru", "structlog", "exception", "cause", "logged_exception", "handled_error"),
    *("span_name", "span_attribute", "job_error", "body_json", "body_text", "answer_json", "answer_text"),
)
SHORT_CHANNELS = ("query_value", "fetch_query", "header", "answer_header", "sql_comment", "job_name", "auth_check", "form_value")
LOOK_CHANNELS = ("path", "logger_name", "fetch_path", "websocket_path", "method")

NAMED: dict[str, tuple[str, ...]] = {
    "cookie": ("sid", "theme", "remember"),
    "set_cookie": ("sid", "csrftoken"),
    "request_header": ("X-Api-Key", "X-Vault-Token", "Proxy-Authorization", "X-Hub-Signature-256", "Ocp-Apim-Subscription-Key"),
    "authorization": ("Bearer", "Token", "ApiKey", "Digest", ""),
    "secret_header": ("X-Auth-Token", "X-Session-Secret"),
    "query_name": ("password", "api_key", "access_token", "pin", "sig", "X-Amz-Signature", "user[password]", "pass%77ord", "jwt"),
    "fetch_name": ("token", "client_secret", "apikey"),
    "fetch_user": ("bob",),
    "form_name": ("password", "csrfmiddlewaretoken", "new_password", "card_number", "cvc", "otp"),
    "json_name": ("password", "refreshToken", "private_key", "session_id", "ssn", "security_code", "mnemonic"),
    "multipart_name": ("password", "secret"),
    "xml_name": ("password", "apiKey"),
    "websocket_name": ("token",),
    "websocket_protocol": ("bearer",),
    "log_mapping": ("password", "token"),
    "log_field": ("api_key", "db_password"),
    "bound_field": ("token", "secret"),
    "attribute": ("password", "authToken"),
    "sqlite_literal": ("'", '"'),
    "sqlite_param": ("?",),
    "sqlalchemy_literal": ("'",),
    "sqlalchemy_param": (":",),
    "sqlalchemy_error": (":",),
    "sqlalchemy_statement_error": ("'",),
    "psycopg_literal": ("'", "$$", "E'"),
    "psycopg_param": ("%s",),
    "psycopg_error": ("duplicate key", "bad integer", "bad statement", "missing"),
    "pymysql_literal": ("'", '"'),
    "pymysql_param": ("%s",),
    "pymysql_error": ("duplicate key", "bad integer", "bad statement"),
    "source_line": ("PASSWORD = '{}'", "API_KEY: str = '{}'", "os.environ.get('TOKEN', '{}')", "login(password='{}')"),
    "source_lines": ("private key", "in brackets"),
    "resource": ("service",),
    "folder": ("module",),
}
"""Where the place alone tells: names, schemes, or how it is written."""


def planted() -> list[Plant]:
    """Every secret, the same ones each time."""
    _RANDOM.seed(4)
    found: list[Plant] = []
    for channels, forms in (
        (TEXT_CHANNELS, {**FORMS, **LINES}),
        (SHORT_CHANNELS, FORMS),
        (LOOK_CHANNELS, LOOKS),
    ):
        found += [Plant(channel, form, *make()) for channel in channels for form, make in forms.items()]
    for channel, names in NAMED.items():
        for name in names:
            text, needle = LOOKS["GitHub"]() if channel in ("folder", "resource") else _around("")()
            found.append(Plant(channel, name, text, needle))
    return found


def traces(needle: str) -> tuple[str, ...]:
    """The needle, and the ends of one that is long: half a secret is one too."""
    return (needle, needle[:10], needle[-10:]) if len(needle) >= 20 else (needle,)


INNOCENT = [
    *(
        "GET /orders/4711 200 in 13.2 ms",
        "order 4711 created, status=ok total=99.90",
        "commit 05f6c3f9d1e2a3b4c5d6e7f8a9b0c1d2e3f4a5b6",
    ),
    *("user 550e8400-e29b-41d4-a716-446655440000 loaded", "mail bob@example.org about https://example.org/path?page=2#top"),
    *("sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "https://medium.com/@user/story is read"),
    *("cloned ssh://git@github.com/shop/shop.git", "the secret of success; a password is needed", "Enter your password: "),
    *(
        "password: must be at least 8 characters",
        "max_tokens=100 total_tokens: 512 token_count=7",
        "token_type=bearer expires_in=3600",
    ),
    *("password_min_length=12 SESSION_COOKIE_NAME=sid", "next_page_token=abc page_token=def", "auth: failed for bob"),
    *("session: opened for user bob by (uid=0)", "key: value, monkey=5 primary_key=id cache_key=orders:1", "foreign key: id"),
    *("Bearer authentication is required", "basic training", "timestamp 1708000000000 id 1234567890123456"),
    *("4242424242424241 is no card", "0.4242424242424242 nor is this", "SELECT * FROM users WHERE password = %s AND token = ?"),
    *("token = create_token(user)", "self.login(user, password=self.password)", "KeyError: 'token'", "PWD=/home/bob/shop"),
    *(
        "eyJ is how it starts",
        "a task-list, a disk-full, a desk-top-computer-with-a-screen",
        "npm_config_registry npm_package_version",
    ),
    *("100% of 50%3 and 20%", "(('a', 'b'), ('token', 3), ('name', 'bob'))", "--verbose --token-file /run/x --name bob"),
    *("Cookies: we use them", "unexpected token '<' at line 3", "password reset for order 4711", "secret santa 2024 begins"),
    *("DETAIL:  Key (id)=(4711) already exists.", "UNIQUE constraint failed: users.email", "SELECT password::text FROM users"),
    *(
        "listening on [::1]:8080",
        "ratio 3:4, at 10:20:30",
        "C:\\Users\\bob\\shop",
        "ab:cd:ef:01:23:45 is up",
        "10.0.0.1:5432 answers",
    ),
    *(
        "{'id': 5, 'name': 'bob', 'tags': ['a', 'b']}",
        '{"page": 2, "has_password": true, "password": null}',
        "color=#ff8800 width=10px",
    ),
    *(
        "v1.2.3-rc.1+build.5",
        "2024-05-01T10:20:30.123Z",
        "P1DT2H of 3.5e10",
        "x = y == z != w",
        "a -> b => c",
        "x/y/z.tar.gz",
        "item-us-east-1a",
    ),
    *(
        "def login(username: str, password: str) -> None:",
        "password = request.form['password']",
        "price: 12.99 EUR",
        "[raw sql] ()",
    ),
    *(
        "state=CA&code=94105",
        "SKU-0012345 is sold out",
        "tracking 1Z999AA10123456784",
        "ISBN 978-3-16-148410-0",
        "signed in",
        "pinned: yes",
    ),
]
"""What only looks like a secret: it is left as it is."""


def encoded(text: str) -> str:
    return quote(text, safe="")
