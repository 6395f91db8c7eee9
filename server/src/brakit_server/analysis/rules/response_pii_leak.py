"""Personal data in answers to whoever asks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from brakit.sensitive import words
from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.secrecy import credentials, gives_access, masked_in, place_words
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Confidence, Severity

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_ROLE = re.compile(
    r"(?:info|support|contact|sales|hello|admin|office|noreply|no-reply|team|help|press|jobs|billing|service|webmaster|privacy|security|feedback"
    r"|enquiries|mail|shop|orders?|hr|legal|marketing|dpo|abuse|postmaster)[@+]",
    re.IGNORECASE,
)
_OFFICIAL = re.compile(
    r"(?:^|-)(?:ssn|social-?security(?:-?(?:number|no))?|passport(?:-?(?:number|no))?|national-?(?:id|insurance(?:-number)?)|tax-?(?:id|number)|iban"
    r"|bank-?account(?:-?number)?|account-?number|routing-?number|card-?number|credit-?card(?:-?number)?|driver-?s?-?licen[cs]e(?:-?number)?)$"
)
_PERSONAL = {
    "date of birth": re.compile(r"(?:^|-)(?:dob|date-?of-?birth|birth-?date|birth-?day)$"),
    "phone number": re.compile(r"(?:^|-)(?:phone|mobile|cell|telephone)(?:-?(?:number|no))?$"),
    "address": re.compile(r"(?:^|-)(?:street|street-?address|home-?address|address-?line-?1|billing-?address|address)$"),
}
_VALUES = {
    "date of birth": re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}"),
    "phone number": re.compile(r"\+?[\d ()./-]{7,20}"),
    "address": re.compile(r".*\d.*[A-Za-z].*|.*[A-Za-z].*\d.*", re.DOTALL),
}
_SELF = re.compile(r"(?<![a-z])(?:me|account|profile|settings|self|whoami|user-?info|current-?user|my|mine)(?![a-z])")
_LISTED = re.compile(
    r"(?<![a-z])(?:stores?|shops?|branch(?:es)?|offices?|locations?|restaurants?|venues?|hotels?|compan(?:y|ies)|organi[sz]ations?|suppliers?|vendors?"
    r"|contacts?|team|staff|about|authors?|speakers?|maintainers?|contributors?|agents?|clinics?|doctors?|schools?|packages?|imprint|directory)(?![a-z])"
)


class ResponsePiiLeak(Rule):
    """*What it finds.* JSON answers below 400, whole or cut, to requests that brought no credentials and in which no check
    was observed, with the e-mail addresses of `min_people` or more people, with a person's official numbers (social security,
    passport, tax, bank account, card), or with one person's e-mail address beside a date of birth, a phone number or an
    address. Where the client is known: official numbers of `min_people` or more people, as info.

    *Why it matters.* Anybody who finds the address can collect the data, one id after the other.

    *Fix.* Check who asks, and answer with the fields that this reader needs.

    *What it leaves alone.* What the request itself brought (sign-up, orders of guests), the client's own data (`/me`,
    `/profile`, `/account`), log-in routes, hidden values (`***-**-1234`), addresses of roles (`info@`, `support@`), and lists
    of places, companies and contacts, which are meant to be read.
    """

    title = "Personal data in a response"
    category = "security"
    aliases = ("pii-in-response",)

    min_people: int = 2
    """Different people from which a list is one; the reference's figure."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        request = timeline.request
        if request is None or request.status_code >= 400 or not request.response_body:
            return
        body = timeline.response_body
        if "@" not in body.text and not _OFFICIAL_HINT.search(body.text):
            return
        place = place_words(request)
        if _SELF.search(place) or _LISTED.search(place) or gives_access(request) or not body.objects:
            return
        sent = f"{request.url} {request.request_body or ''}"
        kinds = {one.name or "" for one in masked_in(request, "responseBody") if one.look in ("number", "text")}
        people: set[str] = set()
        official: set[str] = set()
        holders = 0
        together: set[str] = set()
        for one in body.objects:
            emails = {value for name, value in one.items() if _is_email(name, value) and value not in sent}
            people |= emails
            numbers = {name for name, value in one.items() if _is_official(name, value, kinds)}
            official |= numbers
            holders += bool(numbers)
            if emails:
                together |= {kind for name, value in one.items() for kind in _PERSONAL if _is(kind, name, value)}
        known = bool(credentials(request)) or any(check.result != "anonymous" for check in timeline.auth_checks)
        if known:
            if holders >= self.min_people:
                yield self._finding(
                    timeline, f"{', '.join(sorted(official))} of {holders} people", "info", "possible", "official"
                )
        elif official:
            yield self._finding(timeline, ", ".join(sorted(official)), "critical", "likely", "official")
        elif len(people) >= self.min_people:
            yield self._finding(timeline, f"the e-mail addresses of {len(people)} people", "warning", "likely", "people")
        elif together:
            yield self._finding(
                timeline, f"an e-mail address with {' and '.join(sorted(together))}", "warning", "likely", "person"
            )

    def _finding(self, timeline: Timeline, what: str, severity: Severity, confidence: Confidence, subject: str) -> Finding:
        known = confidence == "possible"
        return self.finding(
            timeline,
            severity=severity,
            confidence=confidence,
            title="Personal data in a response" + ("" if known else " to an unknown client"),
            desc=f"{timeline.endpoint} answers with {what}"
            + ("." if known else "; the request brought no credentials, and no check was observed."),
            hint="Leave out the fields that this reader does not need."
            if known
            else "Check who asks, and name the fields that the answer has.",
            subject=subject,
        )


_OFFICIAL_HINT = re.compile(r"ssn|social|passport|national|tax|iban|account|routing|card|licen", re.IGNORECASE)


def _is_email(name: str, value: Any) -> bool:
    return (
        isinstance(value, str)
        and "@" in value
        and "mail" in name.lower()
        and bool(_EMAIL.fullmatch(value))
        and not _ROLE.match(value)
    )


def _is_official(name: str, value: Any, masked: set[str]) -> bool:
    """Whether it is one; masked ones are known by what the sender said of them."""
    if not isinstance(value, str | int) or isinstance(value, bool) or not _OFFICIAL.search(words(name)):
        return False
    text = str(value)
    return (
        name in masked if text == "****" else sum(c.isdigit() for c in text[:64]) >= 6 and not re.search(r"[*•xX#]{3}", text[:64])
    )


def _is(kind: str, name: str, value: Any) -> bool:
    return isinstance(value, str) and bool(_PERSONAL[kind].search(words(name)) and _VALUES[kind].fullmatch(value[:200]))
