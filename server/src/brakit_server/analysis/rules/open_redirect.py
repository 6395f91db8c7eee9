"""Redirects to wherever the client says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.secrecy import header, host_of, is_here
from brakit_server.analysis.timeline import Timeline
from brakit_server.records import Request

_PROTOCOL = frozenset({"redirect_uri", "post_logout_redirect_uri", "relaystate", "wreply", "acs", "service", "openid.return_to"})
_SECOND_LEVEL = frozenset({"co", "com", "org", "net", "ac", "gov", "edu"})


class OpenRedirect(Rule):
    """*What it finds.* Redirects (301, 302, 303, 307, 308) to another site, where `Location` is, to the letter, what a
    parameter of the query string or of the form says.

    *Why it matters.* A link to your site that ends on another one is what phishing is made of.

    *Fix.* Take paths only, or compare the host with a list before redirecting.

    *What it leaves alone.* Paths, the own host and its subdomains, hosts of this machine, and the parameters of OAuth, OpenID
    Connect and SAML (`redirect_uri`, `RelayState`), whose targets are registered. Whether a list was asked cannot be seen: it
    says "likely".
    """

    title = "Open redirect"
    category = "security"

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        request = timeline.request
        if request is None or request.status_code not in (301, 302, 303, 307, 308):
            return
        location = header(request.response_headers, "location").strip()[:8192]
        target = _site(location)
        if target is None or "****" in location:
            return
        own = host_of(header(request.headers, "host"))
        if not own or is_here(target) or _same(target, own):
            return
        for name, value in _parameters(request):
            if name.lower() not in _PROTOCOL and value.strip() == location:
                yield self.finding(
                    timeline,
                    severity="warning",
                    confidence="likely",
                    title=f"Redirect to what {name} says",
                    desc=f"{timeline.endpoint} redirects to another site, the one that its parameter {name} names.",
                    hint="Take a path only, or compare the host with a list before redirecting.",
                    fix=_fix(request.framework),
                    subject=name[:64],
                )
                return


def _site(location: str) -> str | None:
    """The host that browsers go to; None where it is the own one. Backslashes and leading controls count as browsers count them."""
    text = re.sub(r"[\t\r\n]", "", location).replace("\\", "/")
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if not parts.netloc or parts.scheme.lower() not in ("", "http", "https"):
        return None
    return host_of(parts.netloc) or None


def _same(one: str, other: str) -> bool:
    """Whether two hosts are of one site, as far as that can be told without a list of suffixes."""
    return _registered(one) == _registered(other)


def _registered(host: str) -> str:
    labels = host.rstrip(".").split(".")
    if labels[-1].isdigit():
        return host
    return ".".join(labels[-3:] if len(labels) > 2 and labels[-2] in _SECOND_LEVEL else labels[-2:])


def _parameters(request: Request) -> list[tuple[str, str]]:
    found = parse_qsl(request.url.partition("?")[2][:16_384], max_num_fields=None)[:200]
    kind = header(request.headers, "content-type").lower()
    if request.request_body and "urlencoded" in kind:
        found += parse_qsl(request.request_body[:16_384])[:200]
    return found


def _fix(framework: str | None) -> str | None:
    if framework == "django":
        return "django.utils.http.url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()})"
    return None
