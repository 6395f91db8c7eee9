"""What rules about secrets ask of a request: what was masked in it, who sent it, what its path is for."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from brakit.sensitive import NAMES, strength, words
from brakit_server.records import Masked, Request

_FIRST = ("csrf", "one-time code", "session id", "signature")
"""Kinds whose names hold an ordinary one as well: a `csrf_token` is no token."""
_KINDS = [(secret.name, re.compile(secret.pattern)) for secret in sorted(NAMES, key=lambda secret: secret.name not in _FIRST)]

_ACCESS = re.compile(
    r"(?<![a-z])(?:log-?in|log-?out|sign-?in|sign-?up|sign-?out|register|registration|enrol?l|token|tokens|auth|oauth2?|oidc|openid|sso|saml"
    r"|sessions?|refresh|mfa|2fa|totp|otp|jwt|authorize|authenticate|authentication|csrf|verify|activate|activation|confirm|connect"
    r"|impersonate|invite|invitations?|magic|accounts?-?recovery|(?:forgot|reset|change)-?password|password-?(?:reset|forgot|change)|passkeys?"
    r"|webauthn|ticket|handshake|account)(?![a-z])"
)
_ONE_TIME = re.compile(
    r"(?<![a-z])(?:reset|verify|verification|confirm|confirmation|activate|activation|invite|invitation|invitations|unsubscribe|magic|callback"
    r"|accept|opt-?out|set-?password|email-?change|download|share|shared|preview|passwordless)(?![a-z])"
)
_ISSUES = re.compile(
    r"(?<![a-z])(?:api-?)?(?:keys?|tokens?|secrets?|credentials?|webhooks?|apps?|clients?|integrations?|hooks?)(?![a-z])"
)
_SESSION = re.compile(r"sess|(?<![a-z])sid(?![a-z])|auth|token|jwt|remember|logged|(?<![a-z])login|access|refresh|identity")
_NO_SESSION = re.compile(r"csrf|xsrf|(?<![a-z])(?:consent|theme|lang|locale|analytics|ga|gid|state|nonce)(?![a-z])")


@lru_cache(maxsize=1024)
def kind_of(name: str) -> str:
    """What kind of secret stands under `name`, as in the table of docs/privacy.md; empty for none."""
    if not strength(name):
        return ""
    named = words(name)
    return next((kind for kind, pattern in _KINDS if pattern.search(named)), "own")


MOST_MASKS = 100
"""Descriptions of masks of one request that are looked at: our SDK sends 60 at most."""


def masked_in(request: Request, place: str) -> list[Masked]:
    """What was masked in one of its texts, without what the app had hidden itself, and without sentences and labels."""
    return [one for one in (request.masked or ())[:MOST_MASKS] if one.place == place and one.look not in ("hidden", "words")]


def place_words(request: Request) -> str:
    """Words of the route, or of the path where there is no route."""
    return (request.route or request.path or "").lower()[:512].replace("_", "-")


def gives_access(request: Request) -> bool:
    """Whether the route is there to hand out tokens and sessions, or the request itself brought credentials to get one."""
    if _ACCESS.search(place_words(request)):
        return True
    brought = {kind_of(one.name or "") for one in request.masked or () if one.place == "requestBody"}
    return bool(brought & {"password", "secret", "assertion", "one-time code", "token"}) or credentials(request) == "basic"


def issues_keys(request: Request) -> bool:
    """Whether it makes a key of the app's own, which is shown once."""
    return request.method in ("POST", "PUT", "PATCH") and bool(_ISSUES.search(place_words(request)))


def is_one_time(request: Request) -> bool:
    """Whether the route is for links in mails, whose token is good once."""
    return bool(_ONE_TIME.search(place_words(request)))


def credentials(request: Request) -> str:
    """What the request brought to say who it is from: `basic`, `bearer`, `key`, `session`, or empty."""
    headers = request.headers
    authorization = header(headers, "authorization")
    if authorization:
        return "basic" if authorization[:5].lower() == "basic" else "bearer"
    if any(
        kind_of(name) in ("key", "token", "authorization", "auth")
        for name in headers
        if name[:2].lower() == "x-" or "key" in name
    ):
        return "key"
    names = [pair.partition("=")[0].strip() for pair in header(headers, "cookie").split(";")]
    return "session" if any(is_session(name) for name in names if name) else ""


@lru_cache(maxsize=1024)
def is_session(cookie: str) -> bool:
    """Whether a cookie of this name says who somebody is."""
    named = words(cookie)
    return bool(_SESSION.search(named)) and not _NO_SESSION.search(named)


def header(headers: dict[str, str], name: str) -> str:
    """A header's value whatever the case of its name; empty where there is none. `name` is lower case."""
    value = headers.get(name)
    if value is not None:
        return value
    return next((value for key, value in headers.items() if key.lower() == name), "")


_LOCAL = re.compile(
    r"(?:localhost|testserver|testclient|.*\.(?:localhost|test|local|internal|example|invalid)|127\.[\d.]+|\[?::1\]?|0\.0\.0\.0)",
    re.IGNORECASE,
)


def host_of(netloc: str) -> str:
    """The host name in `name:port`, lower case."""
    name = netloc.rpartition("@")[2].lower()
    return name.partition("]")[0].lstrip("[") if name.startswith("[") else name.partition(":")[0]


def is_here(host: str) -> bool:
    """Whether a host name is that of the developer's own machine, of a test, or a bare name of a container."""
    return not host or ("." not in host and ":" not in host) or bool(_LOCAL.fullmatch(host))


def is_https(request: Request) -> bool:
    """Whether the client speaks HTTPS, as far as the app or a proxy says."""
    forwarded = header(request.headers, "x-forwarded-proto").partition(",")[0].strip().lower()
    return forwarded == "https" or (not forwarded and (request.scheme or "").lower() in ("https", "wss"))


class SessionCookie(NamedTuple):
    """A cookie that a response sets, as far as it matters who may read it."""

    name: str
    missing: tuple[str, ...]
    """Attributes that it should have and has not: `HttpOnly`, `Secure`, `SameSite`; `Secure!` where browsers refuse it without."""


_GONE = re.compile(r"max-age=(?:0|-\d+)(?![\d])|expires=[^;]{0,20}(?:19[789]\d|200\d|201\d)(?!\d)", re.IGNORECASE)


def session_cookies(request: Request) -> tuple[SessionCookie, ...]:
    """The cookies that it sets and that say who somebody is, or that browsers will refuse; without those that it takes back."""
    taken_back = _taken_back(request)
    found = []
    for cookie in request.cookies or ():
        if cookie.name in taken_back:
            continue
        missing = []
        if not cookie.secure and (cookie.same_site == "none" or cookie.name.startswith(("__Secure-", "__Host-"))):
            missing.append("Secure!")
        if is_session(cookie.name):
            if not cookie.http_only:
                missing.append("HttpOnly")
            if not cookie.same_site:
                missing.append("SameSite")
            if not cookie.secure and "Secure!" not in missing and is_https(request):
                missing.append("Secure")
        elif not missing:
            continue
        found.append(SessionCookie(cookie.name, tuple(missing)))
    return tuple(found)


def _taken_back(request: Request) -> set[str]:
    sets = header(request.response_headers, "set-cookie")
    if not _GONE.search(sets):
        return set()
    gone = set()
    for one in _COOKIES.split(sets):
        name, _, rest = one.partition("=")
        if _GONE.search(rest):
            gone.add(name.strip())
    return gone


_COOKIES = re.compile(r"[,\n][ \t]{0,8}(?=[^\s;,=]{1,256}=)")

_OPEN = re.compile(
    r"(?<![a-z])(?:log-?in|log-?out|sign-?in|sign-?up|sign-?out|register|registration|token|tokens|auth|oauth2?|sso|saml|refresh|mfa|otp"
    r"|forgot|reset|recover|verify|activate|confirm|magic|webhooks?|hooks?|callbacks?|contact|newsletter|subscribe|unsubscribe|feedback|search"
    r"|track|tracking|events|metrics|analytics|beacon|collect|csp|report|health|ping|graphql|public|demo|seed|internal|sessions?|accept"
    r"|invite|cart|basket|checkout|guest|consent|cookies?|comments?|rsvp|survey|vote|signup|waitlist|leads?|inquiry|enquiries|jobs)(?![a-z])"
)
_OWN_TABLE = re.compile(
    r"session|(?<![a-z])(?:log|logs|audit|audits|metrics?|events?|cache|visits?|hits?|views|page-?views|tracking|analytics|outbox|jobs?|tasks?"
    r"|queue|throttle|rate-?limits?|nonces?|tokens?|migrations?|counters?|stats)(?![a-z])"
)


def is_open_route(endpoint: str) -> bool:
    """Whether an endpoint has to be open for people who are not known, or often is."""
    return bool(_OPEN.search(endpoint.lower()[:512].replace("_", "-")))


@lru_cache(maxsize=2048)
def is_own_table(table: str) -> bool:
    """Whether a table is one of sessions, logs, metrics and caches, that is written to on any request."""
    return bool(_OWN_TABLE.search(table.lower()[:128].replace("_", "-")))
