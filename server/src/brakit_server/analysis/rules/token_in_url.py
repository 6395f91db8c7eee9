"""Credentials in the query string of a request."""

from __future__ import annotations

import re
from collections.abc import Iterable

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.secrecy import is_one_time, kind_of, masked_in, place_words
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Severity

_KINDS = frozenset({"password", "secret", "token", "key", "authorization", "session id", "credential", "own"})
_WEAK = frozenset({"session", "auth", "pass"})
_SIGNED = re.compile(r"[?&](?:x-amz-|x-goog-|sig=|signature=|se=|expires=)", re.IGNORECASE)
_PROVIDER = re.compile(r"(?:oauth|callback|openid|saml|hub\.)", re.IGNORECASE)


class TokenInUrl(Rule):
    """*What it finds.* Requests whose query string holds a token, an API key, a session id, a password or a secret. The name
    counts in any spelling, percent-encoded too; an ordinary word (`session`, `auth`) only where its value looks like a key or
    is long.

    *Why it matters.* URLs stand in access logs, in histories, in the `Referer` of the next request and in links that people
    share.

    *Fix.* Send it in the `Authorization` header or in the body, and make the one that was sent this way invalid.

    *What it leaves alone.* Empty values and placeholders, `page_token` and its like, CSRF tokens, codes and states of OAuth
    and its callbacks, signed URLs, one-time links (reset, verify, invite, unsubscribe, share), routes that do not exist. For
    WebSockets, to which browsers cannot send headers, it is info.
    """

    title = "Credential in a URL"
    category = "security"
    noise = True

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        request = timeline.request
        if request is None or "****" not in request.url or request.status_code in (404, 405):
            return
        if is_one_time(request) or _SIGNED.search(request.url) or _PROVIDER.search(place_words(request)):
            return
        if request.masked is None:
            names = [name for name, value in _parameters(request.url) if value == "****" and kind_of(name) in _KINDS]
        else:
            names = []
            for one in masked_in(request, "url"):
                kind, telling = kind_of(one.name or ""), one.look in ("key", "hash") or one.length == "long"
                if kind in _KINDS or (kind in _WEAK and telling):
                    names.append(one.name or "")
        names = sorted(set(names))
        if not names:
            return
        socket = request.messages_received is not None or request.status_code == 101
        severity: Severity = "info" if socket else "critical"
        yield self.finding(
            timeline,
            severity=severity,
            title=f"{', '.join(names[:3])} in the URL",
            desc=f"{timeline.endpoint} was called with {', '.join(names[:5])} in the query string.",
            hint="Open the connection with a ticket that is good once and for seconds, since browsers send no headers with it."
            if socket
            else "Send it in the Authorization header or in the body: URLs end up in logs, histories and Referer headers.",
            subject=" ".join(names[:5]),
        )


def _parameters(url: str) -> list[tuple[str, str]]:
    pairs = [pair.partition("=") for pair in url.partition("?")[2].partition("#")[0].split("&")[:200]]
    return [(name, value) for name, _, value in pairs]
