"""What is a secret: by the name that it stands under (`NAMES`), and by its own look (`PATTERNS`).

The tables of docs/privacy.md are generated from both (`make generate`). `redact.py` masks what this file recognises.
"""

from __future__ import annotations

import re
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

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
_KEY_OF += "|service|subscription|ssh|aes|rsa|webhook|deploy|admin|django-secret|session|write|read|pass|licen[cs]e|ingest"
_NOT_TOKENS = "".join(
    rf"(?<!{word}-)" for word in ("page", "next", "continuation", "cancel", "cancellation", "pad", "eos", "bos")
)

NAMES = (
    Secret(
        "password",
        r"pass-?w(?:or)?ds?(?![a-z])|passwort|kennwort|mot-?de-?passe|contrasen|wachtwoord|pwds?(?![a-z])|pass-?phrases?(?![a-z])"
        r"|pass-?codes?(?![a-z])|(?<![a-z])(?:pw|psw|passw|passwrd|psswd|senha|haslo)(?![a-z])",
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
    Secret("auth", r"^(?:(?:x|http|basic|proxy|digest)-)?auth$|^bearer$", "the short words for it", "x-auth", weak=True),
    Secret("credential", r"credentials?(?![a-z])|(?<![a-z])creds?(?![a-z])", "credentials", "X-Amz-Credential"),
    Secret("cookie", r"(?<![a-z])cookies?(?:2|$)", "cookies", "cookie"),
    Secret("session id", r"sess(?:ion)?-?(?:id|key|hash|cookie|data)(?![a-z])", "ids of sessions", "PHPSESSID"),
    Secret("session", r"(?<![a-z])(?:session|sess|sid)$", "the short words for it", "connect.sid", weak=True),
    Secret("signature", r"(?<![a-z])(?:sig$|signature(?![a-z])|hmac(?![a-z]))", "signatures", "X-Hub-Signature-256", weak=True),
    Secret("csrf", r"(?<![a-z])[cx]srf(?![a-z])", "cross-site request forgery tokens", "X-CSRFToken"),
    Secret(
        "assertion",
        r"(?<![a-z])(?:jwts?|dpop|code-?verifier|(?:client|jwt)-?assertion|saml-?(?:request|response|assertion)|captcha-?response)(?![a-z])",
        "proofs of identity",
        "client_assertion",
    ),
    Secret(
        "one-time code",
        r"(?<![a-z])[th]?otp(?![a-z])|(?<![a-z])(?:backup|recovery|verification|mfa|2fa|one-?time|security|auth|invite|reset|sms|device|pairing|login|access)"
        r"-?codes?(?![a-z])",
        "codes for one use",
        "verification_code",
    ),
    Secret("seed", r"(?<![a-z])(?:mnemonic|seed-?phrase)(?![a-z])", "seed phrases of wallets", "mnemonic"),
    Secret("card", r"(?:card|cc)-?(?:number|num|no)(?![a-z])|(?<![a-z])cv[vcn]2?(?![a-z])", "payment cards", "card_number"),
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
        r"(?<![A-Za-z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])",
        "ids of AWS access keys",
        "AKIAIOSFODNN7EXAMPLE",
        needles=("AKIA", "ASIA"),
    ),
    Secret(
        "payment key",
        r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk)_(?:live|test)_|whsec_)[A-Za-z0-9+/=]{8,}",
        "Stripe keys and webhook secrets",
        "sk_live_not0a0real1key",
        needles=("_live_", "_test_", "whsec_"),
    ),
    Secret(
        "code host token",
        r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(?:pat|dt|rt|ptt|cbt)-[\w-]{16,})",
        "GitHub and GitLab tokens",
        "ghp_notARealToken0123456789",
        needles=("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat", "glpat-", "gldt-", "glrt-", "glptt-", "glcbt-"),
    ),
    Secret(
        "chat token",
        r"(?<![A-Za-z0-9])xox[abeprs][.-][\w.-]{10,}|(?<![A-Za-z0-9])xapp-[\w-]{10,}|(?<=hooks\.slack\.com/)[\w/]{8,}"
        r"|(?<=discord\.com/api/webhooks/)[\w/-]{8,}|(?<=/bot)\d{6,12}:[\w-]{30,}",
        "Slack, Discord and Telegram tokens and webhooks",
        "xoxb-not-a-real-token",
        needles=(
            "xoxa-",
            "xoxb-",
            "xoxp-",
            "xoxs-",
            "xoxr-",
            "xoxe-",
            "xoxe.",
            "xapp-",
            "hooks.slack",
            "discord.com/api",
            "/bot",
        ),
    ),
    Secret(
        "model key",
        r"(?<![A-Za-z0-9_-])(?:sk-(?:proj|ant|svcacct|or|admin)-[\w-]{16,}|sk-[A-Za-z0-9]{20,}|hf_[A-Za-z0-9]{20,}|gsk_[A-Za-z0-9]{20,})",
        "OpenAI, Anthropic, Hugging Face, Groq keys",
        "sk-proj-notARealKey012345",
        needles=("sk-", "hf_", "gsk_"),
    ),
    Secret(
        "cloud key",
        r"(?<![A-Za-z0-9])(?:AIza[\w-]{30,}|ya29\.[\w-]{16,}|GOCSPX-[\w-]{16,}|dop_v1_[0-9a-f]{32,}|hv[sb]\.[\w-]{20,}|glsa_\w{20,}"
        r"|sntry[su]_[\w=+/-]{20,}|AGE-SECRET-KEY-[A-Z0-9]{20,}|shp(?:at|ss|ca|pa)_[0-9a-fA-F]{20,}|sq0(?:atp|csp)-[\w-]{20,})",
        "Google, DigitalOcean, Vault, Grafana, Sentry, age, Shopify, Square keys",
        "AIzaNotARealKey0123456789abcdefghi",
        needles=(
            "AIza",
            "ya29.",
            "GOCSPX-",
            "dop_v1",
            "hvs.",
            "hvb.",
            "glsa_",
            "sntrys_",
            "sntryu_",
            "AGE-S",
            "shpat_",
            "shpss_",
            "shpca_",
            "shppa_",
            "sq0atp-",
            "sq0csp-",
        ),
    ),
    Secret(
        "registry or mail key",
        r"(?<![A-Za-z0-9])(?:npm_[A-Za-z0-9]{30,}|pypi-[\w-]{30,}|dckr_pat_[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|key-[0-9a-f]{32})"
        r"(?![A-Za-z0-9])",
        "npm, PyPI, Docker, SendGrid, Mailgun keys",
        "npm_notARealToken01234567890123456",
        needles=("npm_", "pypi-", "dckr_", "SG.", "key-"),
    ),
    Secret(
        "service key",
        r"(?<![A-Za-z0-9])(?:NRAK-[A-Z0-9]{20,}|pplx-[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{30,}|lin_api_[A-Za-z0-9]{20,}"
        r"|ntn_[A-Za-z0-9]{30,}|secret_[A-Za-z0-9]{40,}|figd_[\w-]{20,}|pscale_(?:tkn|oauth|pw)_[\w.-]{20,}"
        r"|[0-9a-f]{32}-us\d{1,2}(?!\w)|dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9]{20,}|dt0[a-z]\d\d\.[A-Z0-9]{20,}\.[A-Z0-9]{32,}"
        r"|[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}|v[1-4]\.(?:local|public)\.[\w-]{20,}(?:\.[\w-]+)?|1//0[\w-]{30,}"
        r"|dapi[0-9a-f]{32}|SK[0-9a-f]{32}(?!\w)|AT(?:ATT|CTT|BB)[\w=-]{28,}|EAA[A-C][\w-]{50,}|gAAAAA[\w=-]{60,}|\d{8,10}:AA[\w-]{30,})",
        "keys of New Relic, Perplexity, xAI, Linear, Notion, Figma, PlanetScale, Mailchimp, Doppler, Dynatrace, Terraform, Databricks,"
        " Twilio, Atlassian, Telegram; PASETO, Fernet",
        "v4.local.notARealToken0123456789",
        needles=(
            *("NRAK-", "pplx-", "xai-", "lin_api_", "ntn_", "secret_", "figd_", "pscale_", "-us", "dp.", "dt0", ".atlasv1."),
            *(".local.", ".public.", "1//0", "dapi", "SK", "ATATT", "ATCTT", "ATBB", "EAA", "gAAAAA", ":AA"),
        ),
    ),
    Secret(
        "password hash",
        r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{22,53}|\$argon2(?:id|i|d)\$[^\s\"'<>]{16,}|\$(?:1|5|6|y|7)\$[./A-Za-z0-9=$]{16,}"
        r"|(?:pbkdf2|scrypt|bcrypt|argon2)[\w:]{0,24}\$[./\w$=,+-]{20,}",
        "passwords as bcrypt, argon2, crypt, Django and Werkzeug store them",
        "$2b$12$notARealHash0123456789abcdefghij",
        needles=("$2", "$argon2", "$1$", "$5$", "$6$", "$y$", "$7$", "pbkdf2", "scrypt", "bcrypt", "argon2"),
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
    r"|secure|httponly|samesite|prefix|class|backend|form|view|validators|manager|middleware|service|provider|status|file|dir)$"
)
"""Last words that make a name one about a secret (`password_min_length`, `token_type`)."""

STEMS = (
    *("pass", "pwd", "secret", "token", "key", "auth", "cred", "cookie", "sess", "sid", "sig", "hmac", "srf"),
    *("jwt", "dpop", "verifier", "assertion", "saml", "otp", "code", "mnemonic", "seed", "card", "cc", "cv"),
    *("pin", "ssn", "social", "kennwort", "passe", "contrasen", "wachtwoord", "pw", "psw", "senha", "haslo", "bearer", "captcha"),
)
"""One of them is in every name of a secret."""

_KEEP = frozenset(
    (
        *("none", "null", "nil", "undefined", "true", "false", "yes", "no", "on", "off", "str", "string", "bytes"),
        *("int", "bool", "any", "required", "missing", "invalid", "must", "should", "is", "are", "was", "cannot"),
        *("not", "the", "a", "an", "and", "or", "for", "of", "may", "be", "wrong", "empty", "expired", "field"),
        *("this", "changed", "updated", "include", "same-origin", "omit", "redacted", "filtered", "hidden", "masked", "scrubbed"),
    )
)
_STAND_IN = re.compile(r"%s|%\(\w{1,64}\)s|\?|\$\d{1,4}|\{\w{0,64}\}|\$\{\w{1,64}\}|<[\w -]{1,64}>|\.{3}|…|\W?\W?")
_KEPT_START = ("SecretStr('***", "[REDACTED", "[Filtered", "[redacted")


class Own:
    """What the user has named as secrets of his own (`BRAKIT_SECRETS`): a pattern of names and one of looks, or None."""

    __slots__ = ("look", "names", "stems")

    def __init__(self) -> None:
        self.look: re.Pattern[str] | None = None
        self.names: re.Pattern[str] | None = None
        self.stems: tuple[str, ...] = ()


OWN = Own()


def name_secrets(entries: Iterable[str]) -> None:
    """Take `entries` as secrets too, as `redact.own` says."""
    names = [words(entry) for entry in entries if not entry.endswith("*")]
    starts = [re.escape(entry[:-1]) for entry in entries if entry.endswith("*") and len(entry) >= MIN_START]
    known = [name for name in names if name]
    OWN.names = re.compile("|".join(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])" for name in known)) if known else None
    OWN.look = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(starts)})[\w.~+/=-]+") if starts else None
    OWN.stems = tuple([max(name.split("-"), key=len) for name in known])
    strength.cache_clear()


MIN_START = 4
"""Characters of a look, the `*` counted in: a shorter one would mask half of every text."""


def words(name: str) -> str:
    """The lower-case words of a name, joined by `-`."""
    return _WORDS.sub("-", name[-128:]).lower().strip("-")


@lru_cache(maxsize=2048)
def strength(name: str) -> int:
    """2 for the name of a secret, 1 for a weak one, 0 for any other."""
    named = words(name)
    if OWN.names is not None and OWN.names.search(named):
        return 2
    if _ABOUT.search(named):
        return 0
    if _STRONG.search(named):
        return 2
    return 1 if _WEAK.search(named) else 0


def tells_nothing(value: str) -> bool:
    """Whether a value under a secret's name tells nothing: masked already, a flag, a placeholder, the sentence of a validator."""
    if value.startswith(MASK) or value.startswith(_KEPT_START):
        return True
    if value.strip(" .,!").lower() in _KEEP or _STAND_IN.fullmatch(value):
        return True
    return value.count(" ") >= 2 and value[-1] == "." and value[0].isupper() and value[:-1].replace(" ", "").isalpha()
