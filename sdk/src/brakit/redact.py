"""Masks secrets in headers, cookies, URLs, bodies, structured fields and free text.

Two things give a secret away: the name that it stands under (`NAMES`) and its own look (`PATTERNS`). The tables of
docs/privacy.md are generated from both.

Every function takes any string (lone surrogates and NUL included), never raises, takes time linear in the length of its input,
and leaves its own output as it is: `f(f(x)) == f(x)`. What is not a secret stays as it was, character for character.
"""

from __future__ import annotations

import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MASK = "****"


class Secret:
    """One kind of secret: its regular expression, what that covers, and an example that it matches.

    A name's `pattern` is searched in the name's lower-case words joined by `-` (`X-Api-Key`, `apiKey` and `api_key` are all
    `api-key`). A `weak` name is an ordinary word too: in free text it counts before `=`, or in quotes, but not before a bare `:`.
    A look's `needles` are substrings of which one is in every text that it matches.
    """

    __slots__ = ("example", "name", "needles", "pattern", "weak", "what")

    def __init__(
        self, name: str, pattern: str, what: str, example: str, *, weak: bool = False, needles: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self.pattern = pattern
        self.what = what
        self.example = example
        self.weak = weak
        self.needles = needles


_KEY_OF = "api|app|access|account|secret|private|encryption|decryption|signing|shared|master|auth|client|consumer|storage|license"
_KEY_OF += "|service|subscription|ssh|aes|rsa|webhook|deploy|admin|django-secret|session|write|read"
_NOT_TOKENS = "".join(rf"(?<!{word}-)" for word in ("page", "next", "continuation", "cancel", "cancellation", "pad", "eos", "bos"))

NAMES = (
    Secret(
        "password",
        r"pass-?w(?:or)?ds?(?![a-z])|passwort|pwds?(?![a-z])|pass-?phrases?(?![a-z])|pass-?codes?(?![a-z])",
        "passwords and pass phrases",
        "db_password",
    ),
    Secret("pass", r"(?:(?<![a-z])|db|user|my|smtp|admin|root)pass$", "the short word for it", "DB_PASS", weak=True),
    Secret("secret", r"secrets?(?![a-z])", "anything called a secret", "client_secret"),
    Secret(
        "token",
        rf"{_NOT_TOKENS}token(?![a-z])|(?:access|refresh|auth|api|bearer|session|id|device)-?tokens(?![a-z])",
        "tokens, but not those of pagination, nor counts of tokens",
        "access_token",
    ),
    Secret("key", rf"(?:{_KEY_OF})-?keys?(?![a-z])", "keys that open something", "x-api-key"),
    Secret("authorization", r"(?<![a-z])authorization(?![a-z])", "authorization", "Proxy-Authorization"),
    Secret("auth", r"^(?:(?:x|http|basic|proxy|digest)-)?auth$", "the short word for it", "x-auth", weak=True),
    Secret("credential", r"credentials?(?![a-z])|(?<![a-z])creds?(?![a-z])", "credentials", "X-Amz-Credential"),
    Secret("cookie", r"(?<![a-z])cookies?(?:2|$)", "cookies", "cookie"),
    Secret("session id", r"sess(?:ion)?-?(?:id|key|hash|cookie)(?![a-z])", "ids of sessions", "PHPSESSID"),
    Secret("session", r"(?<![a-z])(?:session|sess|sid)$", "the short words for it", "connect.sid", weak=True),
    Secret("signature", r"(?<![a-z])(?:sig$|signature(?![a-z])|hmac(?![a-z]))", "signatures", "X-Hub-Signature-256", weak=True),
    Secret("csrf", r"(?<![a-z])[cx]srf(?![a-z])", "cross-site request forgery tokens", "X-CSRFToken"),
    Secret(
        "assertion",
        r"(?<![a-z])(?:jwts?|dpop|code-?verifier|(?:client|jwt)-?assertion|saml-?(?:request|response|assertion))(?![a-z])",
        "proofs of identity",
        "client_assertion",
    ),
    Secret(
        "one-time code",
        r"(?<![a-z])[th]?otp(?![a-z])|(?<![a-z])(?:backup|recovery|verification|mfa|2fa|one-?time|security)-?codes?(?![a-z])",
        "codes for one use",
        "verification_code",
    ),
    Secret("seed", r"(?<![a-z])(?:mnemonic|seed-?phrase)(?![a-z])", "seed phrases of wallets", "mnemonic"),
    Secret("card", r"(?:card|cc)-?(?:number|num|no)(?![a-z])|(?<![a-z])cv[vc]2?(?![a-z])", "payment cards", "card_number"),
    Secret("pin", r"(?<![a-z])pin(?:-?code)?$", "personal numbers", "pin", weak=True),
    Secret("ssn", r"(?<![a-z])ssn(?![a-z])|social-?security", "social security numbers", "ssn"),
)
"""Names of secrets, for headers, cookies, parameters, JSON keys, fields and `name=value` in text."""

PATTERNS = (
    Secret(
        "user info",
        r"(?<=://)(?!git@|\*\*\*\*@)(?:[^\s/?#\"'<>\\]*@|[^\s/:@?#\"'<>\\]{0,128}:(?!\d{1,5}[/?#])[^\s:\"'<>\\]{0,256}@)",
        "user and password in a URL or a connection string",
        "postgres://shop:hunter2@db.internal/shop",
        needles=("://",),
    ),
    Secret(
        "private key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----",
        "private key blocks (PEM), also truncated ones",
        "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBg\\n-----END PRIVATE KEY-----",
        needles=("PRIVATE KEY",),
    ),
    Secret(
        "JWT",
        r"eyJ[\w-]*(?:\.[\w-]*){0,4}",
        "JSON Web Tokens",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl",
        needles=("eyJ",),
    ),
    Secret(
        "AWS key id",
        r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",
        "ids of AWS access keys",
        "AKIAIOSFODNN7EXAMPLE",
        needles=("AKIA", "ASIA", "ABIA", "ACCA"),
    ),
    Secret(
        "payment key",
        r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk)_(?:live|test)_|whsec_)[A-Za-z0-9+/=]{8,}",
        "Stripe keys and webhook secrets",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        needles=("_live_", "_test_", "whsec_"),
    ),
    Secret(
        "code host token",
        r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(?:pat|dt|rt|ptt|cbt)-[\w-]{16,}|ATBB\w{20,})",
        "GitHub, GitLab and Bitbucket tokens",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        needles=("gh", "gl", "ATBB"),
    ),
    Secret(
        "chat token",
        r"(?<![A-Za-z0-9])xox[a-z](?:-|\.)[\w.-]{10,}|(?<![A-Za-z0-9])xapp-[\w-]{10,}|(?<=hooks\.slack\.com/)[\w/]{8,}"
        r"|(?<=discord\.com/api/webhooks/)[\w/-]{8,}|(?<=/bot)\d{6,12}:[\w-]{30,}",
        "Slack, Discord and Telegram tokens and webhooks",
        "xoxb-123456789012-abcdefGHIJKL",
        needles=("xox", "xapp-", "hooks.slack", "discord.com/api", "/bot"),
    ),
    Secret(
        "model key",
        r"(?<![A-Za-z0-9_-])(?:sk-(?:proj|ant|svcacct|or|admin)-[\w-]{16,}|sk-[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,})",
        "OpenAI, Anthropic, Hugging Face, Groq keys",
        "sk-proj-abcDEF0123456789abcDEF",
        needles=("sk-", "hf_", "gsk_"),
    ),
    Secret(
        "cloud key",
        r"(?<![A-Za-z0-9])(?:AIza[\w-]{30,}|ya29\.[\w-]{16,}|GOCSPX-[\w-]{16,}|dop_v1_[0-9a-f]{32,}|hv[sb]\.[\w-]{20,}|glsa_\w{20,}"
        r"|sntry[su]_[\w=+/-]{20,}|AGE-SECRET-KEY-[A-Z0-9]{20,}|shp(?:at|ss|ca|pa)_[0-9a-fA-F]{20,}|sq0(?:atp|csp)-[\w-]{20,})",
        "Google, DigitalOcean, Vault, Grafana, Sentry, age, Shopify, Square keys",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        needles=("AIza", "ya29.", "GOCSPX", "dop_v1", "hvs.", "hvb.", "glsa_", "sntry", "AGE-S", "shp", "sq0"),
    ),
    Secret(
        "registry or mail key",
        r"(?<![A-Za-z0-9])(?:npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}|dckr_pat_[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|key-[0-9a-f]{32}"
        r"|SK[0-9a-f]{32})(?![A-Za-z0-9])",
        "npm, PyPI, Docker, SendGrid, Mailgun, Twilio keys",
        "npm_abcdefghijklmnopqrstuvwxyz0123456789",
        needles=("npm_", "pypi-", "dckr_", "SG.", "key-", "SK"),
    ),
    Secret(
        "bearer",
        r"(?<![A-Za-z])([Bb]earer|BEARER|[Bb]asic|BASIC)((?:\s|%20|\+){1,4})([A-Za-z0-9._~+/=-]{6,})",
        "credentials behind `Bearer` and `Basic`",
        "Bearer 3f9a8c1e77",
        needles=("earer", "EARER", "asic", "ASIC"),
    ),
    Secret(
        "card number",
        r"(?<![\w.-])(?:[2-6]\d{12,18}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}|3\d{3}([ -])\d{6}\2\d{5})(?!\w|[.-]\d)",
        "numbers of payment cards whose check digit is right",
        "4242 4242 4242 4242",
    ),
)
"""Looks of secrets, found anywhere in a text."""

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_STRONG = re.compile("|".join(name.pattern for name in NAMES if not name.weak))
_WEAK = re.compile("|".join(name.pattern for name in NAMES if name.weak))
_ABOUT = re.compile(
    r"-(?:length|len|size|count|counts|limit|type|types|expires|expiry|expiration|ttl|seconds|age|at|in|url|uri|endpoint|policy|min"
    r"|max|required|enabled|usage|budget|strength|name|field|header|algorithm|alg|method|methods|version|scope|scopes|domain|path"
    r"|secure|httponly|samesite|prefix|class|backend|form|view|validators|manager|middleware|service|provider|status)$"
)
"""Last words that make a name one about a secret (`password_min_length`, `token_type`)."""

_WORD_STEMS = ("pass", "pwd", "secret", "token", "key", "auth", "cred", "cookie", "sess", "sid", "sig", "hmac", "srf", "jwt", "dpop")
_WORD_STEMS += ("verifier", "assertion", "saml", "otp", "code", "mnemonic", "seed", "card", "cc", "cv", "pin", "ssn", "social")

_KEEP = frozenset(
    "none null nil undefined true false yes no on off str string bytes int bool any required missing invalid must should is are was "
    "cannot not the a an and or for of may be wrong empty expired field this changed updated include same-origin omit "
    "redacted filtered hidden masked scrubbed".split()
)
_STAND_IN = re.compile(r"%s|%\(\w{1,64}\)s|\?|\$\d{1,4}|\{\w{0,64}\}|\$\{\w{1,64}\}|<[\w -]{1,64}>|\.{3}|…|\W?\W?")
_KEPT_START = ("<", "SecretStr(", "[REDACTED", "[Filtered", "[redacted")


@lru_cache(maxsize=2048)
def _strength(name: str) -> int:
    """2 for the name of a secret, 1 for a weak one, 0 for any other."""
    words = _WORDS.sub("-", name[-128:]).lower().strip("-")
    if _ABOUT.search(words):
        return 0
    if _STRONG.search(words):
        return 2
    return 1 if _WEAK.search(words) else 0


def _keep(value: str) -> bool:
    """Whether a value under a secret's name tells nothing: masked already, a flag, a placeholder, the sentence of a validator."""
    if value.startswith(MASK) or value.startswith(_KEPT_START):
        return True
    if value.strip(" .,!").lower() in _KEEP or _STAND_IN.fullmatch(value):
        return True
    return value.count(" ") >= 2 and value[-1] == "." and value[0].isupper() and value[:-1].replace(" ", "").isalpha()


def _settled(value: str, once: Callable[[str], str]) -> str:
    """Repeat `once` until it changes nothing, since a mask can bring to light what stands beside it."""
    for _ in range(6):
        masked = once(value)
        if masked == value:
            return value
        value = masked
    return value


# Looks


def _jwt(found: re.Match[str]) -> str:
    head, _, rest = found[0].partition(".")
    return MASK if len(head) >= 10 and len(rest) >= 4 else found[0]


def _bearer(found: re.Match[str]) -> str:
    scheme, gap, value = found.groups()
    if scheme.lower() == "basic":
        try:
            plain = b":" in a2b_base64(value)
        except NotBase64:
            plain = False
        return scheme + gap + MASK if plain else found[0]
    mixed = any(c.isdigit() for c in value) or (not value.islower() and not value.istitle() and not value.isupper())
    return scheme + gap + MASK if mixed or len(value) >= 24 else found[0]


def _card(found: re.Match[str]) -> str:
    digits = [int(c) for c in found[0] if c.isdigit()]
    tens = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return MASK if (sum(digits[-1::-2]) + sum(tens)) % 10 == 0 and any(digits[1:]) else found[0]


_BASE64_LINES = re.compile(r"(?:[A-Za-z0-9+/=\s]|\\[nr])*")


def _private_keys(value: str, begin: re.Pattern[str]) -> str:
    out: list[str] = []
    at, more = 0, True
    while found := begin.search(value, at):
        out.append(value[at : found.end()])
        at = found.end()
        end = value.find("-----END", at) if more else -1
        if end < 0:
            more = False
            end = at if value.startswith(MASK, at) else len(_BASE64_LINES.match(value, at)[0]) + at  # type: ignore[index]
            out.append("" if end == at else MASK)
        else:
            out.append(MASK)
        at = end
    return "".join(out) + value[at:] if out else value


_HOW: dict[str, Callable[[re.Match[str]], str]] = {
    "user info": lambda found: MASK + "@",
    "JWT": _jwt,
    "bearer": _bearer,
    "card number": _card,
}
_LOOKS = tuple(
    (needle, re.compile(look.pattern, re.ASCII), _HOW.get(look.name, MASK))
    for look in PATTERNS
    if look.name != "private key"
    for needle in look.needles
)
_CARD = re.compile(PATTERNS[-1].pattern, re.ASCII)
_LONG_NUMBER = re.compile(r"\d{4}[ -]?\d{4}|3\d{3}[ -]\d{6}", re.ASCII)
_BEGIN_KEY = re.compile(PATTERNS[1].pattern)


# Names with their values


_PAIR = re.compile(
    r"(?<![\w.\-])((?:(?:api|access|secret|private|card|session|security|one-time)[ ])?\d?[A-Za-z_][\w.\-]*)"
    r"(\\{0,3}[\"'])?\]?[ \t]{0,8}(=>|:=|={1,3}|:)[ \t]{0,8}",
    re.ASCII,
)
_OPEN = re.compile(r"\s{0,64}[bBuUrRfF]{0,2}(\\{0,3}[\"'])")
_STRING = {'"': re.compile(r'(?:[^"\\\n]|\\.)*'), "'": re.compile(r"(?:[^'\\\n]|\\.)*")}
_BARE = re.compile(r"[^\s&;,\"'<>)\]}|]+")
_LINE = re.compile(r"[^\r\n\"']*")
_SCHEMES = "Basic|Bearer|Digest|Token|ApiKey|Api-Key|Key|JWT|DPoP|Negotiate|NTLM|Hawk|OAuth|Signature|SSWS|GNAP|AWS4-HMAC-SHA256"
_SCHEME = re.compile(rf"(?:{_SCHEMES})(?:\s|%20|\+){{1,4}}(?=\S)", re.IGNORECASE)
_COOKIE_PAIR = re.compile(r"[^\s=;,\"']{1,128}=")
_CONTAINER_PART = re.compile(r"[bBuU]?(\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?)|([\[{(])|([\]})])|([^\s\[\]{}(),:\"']+)", re.DOTALL)
_COLON = re.compile(r"\s*:")
_CONTAINER = re.compile(r"[\[{]\s{0,64}[\[{\"'\d\]}]")


def _pairs(value: str) -> str:
    """Mask the values of `name=value`, `name: value`, `"name": value`, `name => value`."""
    out: list[str] = []
    done = at = 0
    while found := _PAIR.search(value, at):
        at = found.end()
        strength = _strength(found[1])
        if not strength or (strength == 1 and not found[2] and found[3] == ":"):
            continue
        at, start, mask = _value(value, at, found[1], found[2], strength)
        if mask:
            out.append(value[done:start] + mask)
            done = at
    return "".join(out) + value[done:] if out else value


def _value(value: str, at: int, name: str, quote: str | None, strength: int) -> tuple[int, int, str]:
    """Where the value at `at` ends, where its secret part begins, and what to put in its place (empty: leave it)."""
    opened = _OPEN.match(value, at)
    if opened and (quote or "\n" not in opened[0]):
        start = opened.end()
        end = _end_of_string(value, start, opened[1])
        scheme = _SCHEME.match(value, start, end)
        if scheme:
            start = scheme.end()
        return end, start, "" if _keep(value[start:end]) else MASK
    if strength == 2 and _CONTAINER.match(value, at):
        return _container(value, at, quote or "")
    if value.startswith("//", at) or (name[-3:].lower() == "pwd" and value.startswith(("/", "~"), at)):
        return at, at, ""
    if "ookie" in name:
        if not _COOKIE_PAIR.match(value, at):
            return at, at, ""
        bare = _LINE.match(value, at)
    else:
        scheme = _SCHEME.match(value, at)
        if scheme:
            at = scheme.end()
        bare = (_LINE if scheme and scheme[0][:2].lower() in ("di", "aw", "oa", "ha", "si") else _BARE).match(value, at)
    if not bare or _keep(bare[0]):
        return (at + len(MASK) if value.startswith(MASK, at) else at), at, ""
    return bare.end(), at, (quote + MASK + quote if quote and quote[-1] == '"' else MASK)


def _end_of_string(value: str, start: int, quote: str) -> int:
    if len(quote) == 1:
        return _STRING[quote].match(value, start).end()  # type: ignore[union-attr]
    line = value.find("\n", start)
    line = len(value) if line < 0 else line
    end = start
    while (end := value.find(quote, end, line)) >= 0:
        if value[end - 1] != "\\":
            return end
        end += len(quote)
    return line


def _container(value: str, at: int, quote: str) -> tuple[int, int, str]:
    """A list or an object under a secret's name: every scalar in it is masked, keys stay."""
    out: list[str] = []
    done = start = at
    depth = 0
    for part in _CONTAINER_PART.finditer(value, at):
        string, opening, closing, scalar = part.groups()
        if opening:
            depth += 1
        elif closing:
            depth -= 1
            if depth == 0:
                break
        else:
            text_at, end = part.start(1 if string else 4), part.end()
            if _COLON.match(value, end):
                continue
            inner = string[1:-1] if string and string[-1] == string[0] and len(string) > 1 else (string or "")[1:] or scalar
            if inner and not _keep(inner):
                mark = string[0] if string else quote
                out.append(value[done:text_at] + mark + MASK + mark)
                done = end
    else:
        part = None
    end = part.end() if part else len(value)
    return end, start, "".join(out) + value[done:end] if out else ""
