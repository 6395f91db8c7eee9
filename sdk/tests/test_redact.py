"""Planted secrets through every function, innocent texts that must stay, and the properties that hold for any text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brakit import events, redact
from brakit.sensitive import NAMES, PATTERNS, strength

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq0\nq83vEjRWeJCrze8SNFZ4\n-----END RSA PRIVATE KEY-----"
"""Made up, like every secret here."""

_SPLIT = [
    JWT,
    JWT[:60],
    "q83vEjRWeJCrze8SNFZ4",
    "AK|IAIOSFODNN7EXAMPLE",
    "AS|IAY34FZKBOKMUTVV7A",
    "sk_|live_4eC39HqLyjWDarjtT1zdp7dc",
    "sk_|test_4eC39HqLyjWDarjtT1zdp7dc",
    "rk_|live_51H8xYz2eZvKYlo2C",
    "pk_|live_51H8xYz2eZvKYlo2C",
    "wh|sec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "gh|p_16C7e42F292c6912E7710c838347Ae178B4a",
    "gh|o_16C7e42F292c6912E7710c838347Ae178B4a",
    "gi|thub_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "gl|pat-ABCdef123456ghiJKL78",
    "xo|xb-123456789012-abcdefGHIJKL",
    "xo|xp-123456789012-345678901234-abcdef",
    "xa|pp-1-A0123456789-0123456789",
    "sk|-proj-abcDEF0123456789abcDEF",
    "sk-|ant-api03-abcdEFGH0123456789",
    "sk|-abcdefghijklmnopqrstuvwxyz012345",
    "hf|_abcdefghijklmnopqrstuvwxyzABCD",
    "gs|k_abcdefghijklmnopqrstuvwxyz012345",
    "AI|zaSyA1234567890abcdefghijklmnopqrstuv",
    "ya|29.a0AfH6SMBx1234567890",
    "GO|CSPX-1234567890abcdefghij",
    "dop|_v1_" + "0123456789abcdef" * 4,
    "hv|s.CAESIJ1234567890abcdefghij",
    "gl|sa_1234567890abcdefghijABCD",
    "sn|trys_eyAiaWF0IjogMTIzNDU2Nzg5MCB9",
    "sh|pat_0123456789abcdef0123456789abcdef",
    "sq|0atp-1234567890abcdefghijkl",
    "np|m_abcdefghijklmnopqrstuvwxyz0123456789",
    "py|pi-AgEIcHlwaS5vcmcCJDAwMDAwMDAwLTAwMDAt",
    "dc|kr_pat_1234567890abcdefghijkl",
    "SG|.1234567890abcdefgh.1234567890abcdefghijkl",
    "ke|y-0123456789abcdef0123456789abcdef",
    "4242424242424242",
    "4242 4242 4242 4242",
    "5555-5555-5555-4444",
    "378282246310005",
    "3782 822463 10005",
    "6011111111111117",
]
LOOKS = [look.replace("|", "") for look in _SPLIT]
"""Written in two parts, so that no scanner of repositories takes them for real."""
CARRIED = {  # secret: text in which only its place or its scheme gives it away
    "hunter2-dsn": "postgres://shop:hunter2-dsn@db.internal:5432/shop",
    "hun/ter@2": "mysql+pymysql://root:hun/ter@2@localhost/shop",
    "redispw77": "redis://:redispw77@cache:6379/0",
    "mongopw%40": "mongodb://app:mongopw%40@a:27017,b:27017/shop",
    "3b6e9sentrykey": "https://3b6e9sentrykey@o1.ingest.sentry.io/42",
    "dXNlcjpodW50ZXIy": "proxy said Basic dXNlcjpodW50ZXIy",
    "3f9a8c1e77": "sent with Bearer 3f9a8c1e77",
    "T00000000/B00000000/XXXX": "https://hooks.slack.com/services/T00000000/B00000000/XXXX",
    "123456789:AAEhBP0av28frTWMuFdaRC7kvCDabcdefgh": "https://api.telegram.org/bot123456789:AAEhBP0av28frTWMuFdaRC7kvCDabcdefgh/send",
}
SECRET_NAMES = [
    *(
        "password",
        "passwd",
        "PASSWORD",
        "db_password",
        "userPassword",
        "PGPASSWORD",
        "new_password",
        "password_confirmation",
        "pwd",
    ),
    *("passphrase", "secret", "client_secret", "clientSecret", "SECRET_KEY", "aws_secret_access_key", "webhook_secret", "token"),
    *(
        "access_token",
        "refreshToken",
        "id_token",
        "csrf_token",
        "csrfmiddlewaretoken",
        "authenticity_token",
        "X-CSRFToken",
        "api_key",
    ),
    *(
        "apiKey",
        "API-KEY",
        "x-api-key",
        "private_key",
        "encryption_key",
        "authorization",
        "credentials",
        "session_id",
        "sessionid",
    ),
    *(
        "PHPSESSID",
        "JSESSIONID",
        "jwt",
        "client_assertion",
        "code_verifier",
        "otp",
        "verification_code",
        "recovery_codes",
        "mnemonic",
    ),
    *("card_number", "cardNumber", "cvv", "cvc2", "ssn", "AccountKey", "SharedAccessKey", "storage_key"),
]
WEAK_NAMES = ["pass", "auth", "session", "connect.sid", "sig", "signature", "pin", "DB_PASS"]
CANARY = "Zq7.canary+W3"

WAYS_OF_A_NAME: dict[str, Callable[[str, str], str]] = {
    "text: =": lambda name, value: redact.text(f"login with {name}={value}, user=bob"),
    "text: quoted": lambda name, value: redact.text(f"login with {name}='{value} and more' for bob"),
    "text: dict": lambda name, value: redact.text(repr({"user": "bob", name: value, "n": 3})),
    "text: nested JSON": lambda name, value: redact.text(json.dumps({"payload": json.dumps({name: value})})),
    "text: query string": lambda name, value: redact.text(f'"GET /cb?page=2&{name}={value}&x=1 HTTP/1.1" 200'),
    "text: URL in a parameter": lambda name, value: redact.text("next=" + quote(f"/x?a=1&{name}={value}&b=2", safe="") + " ok"),
    "text: hash rocket": lambda name, value: redact.text('{:a=>1, :"' + name + '"=>"' + value + '"}'),
    "url: query": lambda name, value: redact.url(f"https://shop.test/cb?page=2&{name}={value}#top"),
    "url: fragment": lambda name, value: redact.url(f"/cb?page=2#{name}={value}&x=1"),
    "url: escaped name": lambda name, value: redact.url(f"/cb?{''.join(f'%{ord(c):02x}' for c in name)}={value}"),
    "url: nested": lambda name, value: redact.url("/login?" + urlencode({"next": f"/x?{name}={value}"})),
    "url: brackets": lambda name, value: redact.url(f"/cb?user[{name}]={value}&x=1"),
    "body: JSON": lambda name, value: redact.body(json.dumps({"a": [{name: value}], "b": 1}), "application/json"),
    "body: indented": lambda name, value: redact.body(json.dumps({"a": {name: value}}, indent=2), "application/json"),
    "body: quotes in it": lambda name, value: redact.body(json.dumps({name: f'x" {value}'}), "application/json"),
    "body: truncated": lambda name, value: redact.body('{"a": 1, "' + name + '": "' + value, "application/json"),
    "body: escaped key": lambda name, value: redact.body(
        '{"' + "".join(f"\\u{ord(c):04x}" for c in name) + '": "' + value + '"}', "application/json"
    ),
    "body: form": lambda name, value: redact.body(
        urlencode({"user": "bob", name: value, "n": 1}), "application/x-www-form-urlencoded"
    ),
    "body: form first": lambda name, value: redact.body(urlencode({name: value, "n": 1}), "application/x-www-form-urlencoded"),
    "body: multipart": lambda name, value: redact.body(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n--b--', "multipart/form-data; boundary=b"
    ),
    "body: XML": lambda name, value: redact.body(f"<r><{name}>{value}</{name}></r>", "text/xml"),
    "body: HTML": lambda name, value: redact.body(f'<input type="hidden" name="{name}" value="{value}">', "text/html"),
    "header": redact.header,
    "object": lambda name, value: json.dumps(redact.object({name: value})),
}

INNOCENT = [
    "",
    "GET /orders/4711 200 in 13.2 ms",
    "2024-05-01T10:20:30.123Z INFO shop.orders order 4711 created, status=ok total=99.90",
    "user 550e8400-e29b-41d4-a716-446655440000 loaded",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit 05f6c3f9d1e2a3b4c5d6e7f8a9b0c1d2e3f4a5b6",
    "mail bob@example.org about https://example.org/path?page=2&sort=name#top",
    "https://medium.com/@user/story and http://localhost:8080/@vite/client",
    "cloned ssh://git@github.com/shop/shop.git",
    "the secret of success; a password is needed; tokens are counted; the key to it",
    "Enter your password: ",
    "password: must be at least 8 characters",
    '{"password": ["This field may not be blank."]}',
    '{"has_password": true, "password": null, "token": false}',
    "max_tokens=100 total_tokens: 512 token_count=7 token_type=bearer next_page_token=abc expires_in=3600",
    "password_min_length=12 SESSION_COOKIE_NAME=sid SESSION_COOKIE_SECURE=True token_url=/oauth/token",
    "auth: failed for bob",
    "session: opened for user root by (uid=0)",
    "key: value, monkey=5 primary_key=id cache_key=orders:1 foreign key: id",
    "Bearer authentication is required; Basic information; basic training",
    'WWW-Authenticate: Bearer realm="shop", error="invalid_token"',
    "timestamp 1708000000000 id 1234567890123456 snowflake 1189320489203847168",
    "4242424242424241 is no card",
    "0.4242424242424242 nor is this",
    "SELECT * FROM users WHERE password = %s AND token = ?",
    'password = request.form["password"]',
    "token = create_token(user)",
    "self.login(user, password=self.password)",
    "def login(username: str, password: str) -> None:",
    'File "/app/shop/auth.py", line 12, in check_token',
    "KeyError: 'token'",
    "PWD=/home/bob/shop",
    "eyJ is how it starts, and eyJhbG.x is too short",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "a task-list, a disk-full, a desk-top-computer-with-a-screen",
    "npm_config_registry npm_package_version ghost_writer glad_to",
    "100% of 50%3 and 20%",
    "(('a', 'b'), ('token', 3), ('name', 'bob'))",
    "<b>token</b> <name>bob</name>",
    "--verbose --token-file /run/x --name bob",
    "Cookies: we use them",
    "\ud800 lone \udfff and \0 NUL",
]
FUNCTIONS: dict[str, Callable[[str], str]] = {
    "text": redact.text,
    "url": redact.url,
    "body json": lambda value: redact.body(value, "application/json"),
    "body form": lambda value: redact.body(value, "application/x-www-form-urlencoded"),
    "body": redact.body,
    "authorization": lambda value: redact.header("authorization", value),
    "cookie": lambda value: redact.header("Cookie", value),
    "set-cookie": lambda value: redact.header("Set-Cookie", value),
    "referer": lambda value: redact.header("referer", value),
    "x-other": lambda value: redact.header("x-other", value),
    "object": lambda value: redact.object({"a": value})["a"],
}
PIECES = st.sampled_from(
    [
        *(row.example for row in (*NAMES, *PATTERNS)),
        *(*INNOCENT, *LOOKS, *CARRIED.values()),
        *("=:&;?#@/%\"'\\[]{}()<>,- \n\t"),
        *("://", "****", "password", "token", "=>", ":=", '\\"', "%3D", "Bearer ", "name=", "value=", '"loc"'),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join), st.text("pasword=:&\"'\\[]{}%3dD* \n", max_size=60))


@pytest.mark.parametrize("secret", LOOKS)
@pytest.mark.parametrize("function", [*FUNCTIONS])
def test_a_secret_is_known_by_its_look(function: str, secret: str) -> None:
    if secret == "q83vEjRWeJCrze8SNFZ4":
        secret, given_text = "q83vEjRWeJCrze8SNFZ4", PEM
    else:
        given_text = secret
    for around in ("{}", "before {} behind", "a='{}'", "x={}", "[{}]"):
        assert secret not in FUNCTIONS[function](around.format(given_text))


@pytest.mark.parametrize("secret", [*CARRIED])
@pytest.mark.parametrize("function", ["text", "url", "body", "body json", "x-other", "referer", "object"])
def test_a_secret_is_known_by_its_place(function: str, secret: str) -> None:
    masked = FUNCTIONS[function]("could not reach " + CARRIED[secret])
    assert secret not in masked
    assert masked.startswith("could not reach ")


@pytest.mark.parametrize("name", SECRET_NAMES + WEAK_NAMES)
@pytest.mark.parametrize("way", [*WAYS_OF_A_NAME])
def test_a_secret_is_known_by_its_name(way: str, name: str) -> None:
    masked = WAYS_OF_A_NAME[way](name, CANARY)
    assert "canary" not in masked
    assert redact.MASK in masked


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("form", ["{}: {}", "{}:{}", "--{} {}", "('{}', '{}')", "(b'{}', b'{}')", '\\"{}\\": \\"{}\\"'])
def test_a_strong_name_needs_no_equals_sign(form: str, name: str) -> None:
    assert "canary" not in redact.text("got " + form.format(name, CANARY) + "\nnext line")


@pytest.mark.parametrize("value", INNOCENT)
@pytest.mark.parametrize("function", ["text", "body", "x-other", "body json", "object"])
def test_innocent_text_stays(function: str, value: str) -> None:
    assert FUNCTIONS[function](value) == value


@given(TEXTS)
@settings(max_examples=400, deadline=None)
@example("token=" + "****" * 3)
@example("/* password=a*/")
def test_any_text_is_taken_and_a_masked_text_stays(value: str) -> None:
    for name, function in FUNCTIONS.items():
        masked = function(value)
        assert function(masked) == masked, name
    redact.cookies([value])
    redact.header(value, value)
    redact.object({value: value})


@given(st.sampled_from(SECRET_NAMES), st.text(), st.text("abcdefgh0123456789", min_size=12), st.text())
@settings(max_examples=200, deadline=None)
def test_whatever_stands_around_it(name: str, before: str, secret: str, behind: str) -> None:
    """JSON in the middle of anything, as long as the text before does not open a string of its own."""
    before = before.translate(dict.fromkeys(map(ord, "\"'\\<&;#=:")))
    assert secret not in redact.text(before + json.dumps({name: secret}) + behind) or secret in before + behind


def test_authorization_keeps_its_scheme() -> None:
    assert redact.header("Authorization", "Bearer abc.def") == "Bearer ****"
    assert redact.header("proxy-authorization", "Basic dTpw") == "Basic ****"
    assert redact.header("authorization", 'Digest username="bob", response="123"') == "Digest ****"
    assert redact.header("authorization", "mysecret value") == "****"
    assert redact.header("authorization", "") == ""


def test_cookies_keep_their_names_and_flags() -> None:
    assert redact.header("cookie", "sid=abc; theme=dark; empty=; bare") == "sid=****; theme=****; empty=; ****"
    assert (
        redact.header("set-cookie", "sid=abc; HttpOnly; Path=/; SameSite=lax, b=c; Expires=Wed, 21 Oct 2015 07:28:00 GMT")
        == "sid=****; HttpOnly; Path=/; SameSite=lax, b=****; Expires=Wed, 21 Oct 2015 07:28:00 GMT"
    )
    assert redact.header("set-cookie", 'sid="a;leak"; Secure') == "sid=****; Secure"


def test_cookies_of_a_response_are_told_by_their_flags() -> None:
    values = ["sid=abc; HttpOnly; Secure; Path=/; SameSite=Strict", "seen=1; Max-Age=60", "no name"]
    assert redact.cookies(values) == [
        {"name": "sid", "secure": True, "http_only": True, "same_site": "strict", "expires": False},
        {"name": "seen", "secure": False, "http_only": False, "expires": True},
    ]
    assert {field.name for field in events.COOKIE} == set(redact.cookies(values)[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-headers", "authorization, x-api-key"),
        ("x-request-id", "0af7651916cd43dd8448eb211c80319c"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("idempotency-key", "order-4711"),
        ("etag", 'W/"33a64df551425fcc55e4d42a148795d9f25f89d4"'),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
        ("content-length", "4242"),
    ],
)
def test_other_headers_stay(name: str, value: str) -> None:
    assert redact.header(name, value) == value


def test_a_url_changes_nowhere_else() -> None:
    assert redact.url("/a%20b?q=%E2%82%AC+x&TOKEN=1;2&empty=&b#f=1") == "/a%20b?q=%E2%82%AC+x&TOKEN=****&empty=&b#f=1"
    assert redact.url("/x;jsessionid=ABC?page=2") == "/x;jsessionid=****?page=2"
    assert redact.url("//bob:pw@shop.test/") == "//****@shop.test/"
    assert redact.url("token=abc&page=2") == "token=****&page=2"
    assert redact.url("/x?token=&page=2") == "/x?token=&page=2"


def test_json_stays_json() -> None:
    given_body = {
        "pin": 1234,
        "api_keys": ["a1", {"x": 2}],
        "credentials": {"user": "bob", "n": [1, "z"]},
        "page": 3,
        "token": None,
    }
    masked = json.loads(redact.body(json.dumps(given_body), "application/json; charset=utf-8"))
    assert masked == {
        "pin": "****",
        "api_keys": ["****", {"x": "****"}],
        "credentials": {"user": "****", "n": ["****", "****"]},
        "page": 3,
        "token": None,
    }


def test_a_validator_does_not_give_the_value_away() -> None:
    answer = {"detail": [{"type": "string_too_short", "loc": ["body", "password"], "msg": "Too short", "input": "hunter2"}]}
    assert "hunter2" not in redact.body(json.dumps(answer), "application/json")


def test_object_judges_each_name() -> None:
    assert redact.object({"password": "x1", "user": "bob", "url": "/?token=abc", "token": ""}) == {
        "password": "****",
        "user": "bob",
        "url": "/?token=****",
        "token": "",
    }


@pytest.mark.parametrize("row", NAMES, ids=lambda row: row.name)
def test_each_name_matches_its_example(row: redact.Secret) -> None:
    assert strength(row.example) == (1 if row.weak else 2)


@pytest.mark.parametrize("row", PATTERNS, ids=lambda row: row.name)
def test_each_look_matches_its_example(row: redact.Secret) -> None:
    example_text = row.example.replace("\\n", "\n")
    assert redact.text(f"see {example_text} there") != f"see {example_text} there"
    assert not row.needles or any(needle in row.example for needle in row.needles)


def test_the_page_lists_every_row() -> None:
    page = (Path(__file__).parents[2] / "docs/privacy.md").read_text()
    for row in (*NAMES, *PATTERNS):
        assert f"| {row.name} | {row.what} | `{row.example}` |" in page, "run `make generate`"


@pytest.fixture
def own() -> Iterator[None]:
    redact.own(["tenant_ref", "Müller", "", "acme_*", "x*", "*"])
    yield
    redact.own(())


OF_ONES_OWN = [
    *("tenant_ref=Zq7canary", "tenantRef: Zq7canary", '{"tenant-ref": "Zq7canary"}', "--tenant-ref Zq7canary", "acme_Zq7canary"),
    *("a" * 400 + " TENANT_REF=Zq7canary", "/x?tenant_ref=Zq7canary&b=1", "/x/acme_Zq7canary", "/acme_Zq7canary"),
]


@pytest.mark.parametrize("text", OF_ONES_OWN)
@pytest.mark.parametrize("function", [*FUNCTIONS])
def test_secrets_of_ones_own_are_masked_everywhere(own: None, function: str, text: str) -> None:
    masked = FUNCTIONS[function](text)
    assert "canary" not in masked
    assert FUNCTIONS[function](masked) == masked


@pytest.mark.parametrize("value", [*INNOCENT, "the tenant and its ref", "macme_x acme xylophone", "other_tenant_references=5"])
def test_they_mask_nothing_else(own: None, value: str) -> None:
    assert redact.text(value) == value


@pytest.mark.parametrize("value", OF_ONES_OWN)
def test_nobody_elses_are(value: str) -> None:
    assert redact.text(value) == value
    assert redact.object({"tenant_ref": "x1"}) == {"tenant_ref": "x1"}


def test_they_mask_headers_and_fields(own: None) -> None:
    assert redact.header("X-Tenant-Ref", "a1") == "****"
    assert redact.object({"tenantRef": "a1"}) == {"tenantRef": "****"}


@pytest.mark.parametrize(
    ("route", "masked"),
    [
        ("/verify/{token:path}", "/verify/{token:path}"),
        ("/reset/<str:token>/<uidb64>", "/reset/<str:token>/<uidb64>"),
        ("^reset/(?P<token>[0-9a-z]+)/$", "^reset/(?P<token>[0-9a-z]+)/$"),
        ("/x/token=abc/{a}", "/x/token=****{a}"),
        ("/x/ghp_0123456789abcdefghijkl/<a>", "/x/****/<a>"),
    ],
)
def test_a_route_keeps_its_parameters(route: str, masked: str) -> None:
    assert redact.route(route) == masked


def test_a_name_of_a_field_may_be_a_secret_itself() -> None:
    token = "ghp_" + "0123456789abcdefghijkl"
    assert redact.object({token: "bob"}) == {"****": "bob"}
    assert redact.header("Cookie", f"{token}=1") == "****=****"


def test_a_websocket_s_token_comes_as_a_protocol() -> None:
    given_value = "graphql-transport-ws, bearer.v1.shop, 3f9a8c1e77b2d4556677aa"
    assert redact.header("Sec-WebSocket-Protocol", given_value) == "graphql-transport-ws, bearer.v1.shop, ****"


@pytest.mark.parametrize(
    "url", ["https://hooks.slack.com/services/T0/B0/abcdefgh", "https://discord.com/api/webhooks/12345678/abcdefghij"]
)
def test_a_short_webhook_takes_no_short_way(url: str) -> None:
    assert redact.url(url) == redact._settled(url, redact._url) != url


NAMES_OF_PARAMETERS = st.sampled_from([row.example.partition("=")[0] for row in NAMES]) | st.from_regex(
    r"[A-Za-z0-9_.-]{1,20}", fullmatch=True
)
PARAMETERS = st.lists(st.tuples(NAMES_OF_PARAMETERS, st.from_regex(r"[A-Za-z0-9.-]{0,12}", fullmatch=True)), max_size=3)


@settings(max_examples=400)
@given(st.from_regex(redact._PLAIN_URL, fullmatch=True), PARAMETERS)
def test_a_url_that_looks_plain_is_masked_as_the_long_look_would(base: str, parameters: list[tuple[str, str]]) -> None:
    value = base + ("?" + "&".join(f"{name}={text}" for name, text in parameters) if parameters else "")
    assert redact.url(value) == redact._settled(value, redact._url)


@pytest.mark.parametrize("value", ["\x1b[", "\x1b[2K\x1b[1G50 %", "\x1b[31", "\x1b" * 20_000 + "[0m" * 20_000])
def test_escapes_that_are_no_colours_are_text_like_any_other(value: str) -> None:
    assert redact.text(value) == value
    assert "hunter2hunter2" not in redact.text(f"{value} password=hunter2hunter2")
