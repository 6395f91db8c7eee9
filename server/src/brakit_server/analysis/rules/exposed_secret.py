"""Secrets in answers: passwords, their hashes, keys, tokens that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterable

from brakit.sensitive import words
from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.secrecy import gives_access, issues_keys, kind_of, masked_in
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Confidence, Severity
from brakit_server.records import Masked, Request

_ALWAYS = frozenset({"password", "pass", "secret", "key", "seed", "credential", "own"})
_GIVEN = frozenset({"token", "session id", "authorization", "assertion"})
_PUBLIC = ("public", "publishable", "maps", "site", "recaptcha", "hcaptcha", "turnstile", "vapid", "analytics")


class ExposedSecret(Rule):
    """*What it finds.* Answers below 400 whose body holds the value of a password, a password's hash, a private or API key, a
    client secret, a connection string with a password, or a token on a route that is not there to hand out tokens; whatever
    the spelling of the name (`passwordHash`, `Password`, `access_token`), and in bodies that were cut. The sender masks the
    value and tells its look and its length (docs/privacy.md).

    *Why it matters.* Whoever sees the answer (a log, a proxy, a script in the page) has the secret. Hashes can be cracked at
    leisure.

    *Fix.* Answer with a model that names its fields, instead of the whole row.

    *What it leaves alone.* Sentences and labels (`"secret": "no secret configured"`, translations), what the app has hidden
    itself, tokens from log-in, token and invitation routes or in return for credentials, keys that a POST has just made, CSRF
    tokens, signatures, publishable keys and configurations of browser SDKs, and values below `min_length` (other than
    passwords).
    """

    title = "Secret in a response"
    category = "security"
    aliases = ("secret-in-response",)

    min_length: int = 8
    """Characters from which a value may be a secret, from 8 on: the reference's figure. Lower ones than 8 let all lengths count."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        request = timeline.request
        if request is None or not request.masked or request.status_code >= 400:
            return
        found: dict[str, list[Masked]] = {}
        public = _of_browser_configurations(timeline)
        for one in masked_in(request, "responseBody"):
            kind = self._kind(request, one)
            if kind and one.name not in public:
                found.setdefault(kind, []).append(one)
        for kind, masks in found.items():
            yield self._finding(timeline, kind, masks)

    def _kind(self, request: Request, one: Masked) -> str:
        """`password`, `key` or `token`; empty for what may be there."""
        name = one.name or ""
        kind, named = kind_of(name), words(name)
        if any(word in named for word in _PUBLIC):
            return ""
        if one.look == "hash" or (kind in ("password", "pass") and one.look == "text"):
            return "password"
        if (
            one.look == "number"
            or (one.length == "short" and self.min_length >= 8)
            or not (kind or one.look in ("key", "user info"))
        ):
            return ""
        if kind in _ALWAYS or one.look == "user info" or (not kind and one.look == "key"):
            return "" if issues_keys(request) or (not kind and gives_access(request)) else "key"
        if kind in _GIVEN:
            return "" if gives_access(request) or issues_keys(request) else "token"
        return ""

    def _finding(self, timeline: Timeline, kind: str, masks: list[Masked]) -> Finding:
        names = sorted({one.name or f"a value that looks like a {one.look}" for one in masks})
        severity: Severity = "warning" if kind == "token" else "critical"
        confidence: Confidence = "likely" if kind == "token" else "certain"
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        echoed = bool({one.name for one in masks} & {one.name for one in masked_in(timeline.request, "requestBody")})  # type: ignore[arg-type]
        return self.finding(
            timeline,
            severity=severity,
            confidence=confidence,
            title=f"{'Token' if kind == 'token' else 'Password' if kind == 'password' else 'Secret'} in a response",
            desc=f"{timeline.endpoint} answers with {shown}.",
            hint="Answer with a model that names the fields that the client needs, and leave this one out.",
            detail="It was sent with the request and comes back as it is." if echoed else None,
            subject=kind,
        )


def _of_browser_configurations(timeline: Timeline) -> set[str]:
    """Names in objects that are given to a browser's SDK as they are."""
    if "authDomain" not in timeline.response_body.text and "messagingSenderId" not in timeline.response_body.text:
        return set()
    return {name for one in timeline.response_body.objects if "authDomain" in one or "messagingSenderId" in one for name in one}
