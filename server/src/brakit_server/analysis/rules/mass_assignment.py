"""Rights that a client gives itself by sending the field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from brakit.sensitive import words
from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.secrecy import credentials, place_words
from brakit_server.analysis.timeline import Timeline

_FLAGS = frozenset(
    {
        "is-admin",
        "isadmin",
        "admin",
        "is-superuser",
        "superuser",
        "is-staff",
        "is-root",
        "is-moderator",
        "email-verified",
        "is-verified",
    }
)
_ROLES = frozenset({"role", "roles", "user-role", "user-type", "group", "groups", "permissions", "scopes"})
_HIGH = frozenset(
    {"admin", "administrator", "superuser", "superadmin", "super-admin", "root", "owner", "staff", "moderator", "*", "all"}
)
_SELF = frozenset(("register", "registration", "signup", "sign-up", "me", "profile", "account", "self", "settings"))
_WRITES = frozenset({"INSERT", "UPDATE"})


class MassAssignment(Rule):
    """*What it finds.* Requests whose JSON body gives itself a right (`is_admin: true`, `role: "admin"`, `permissions:
    ["*"]`), that wrote to a table, and whose answer says that it holds now; from clients without credentials, or on routes
    for the client's own data (sign-up, profile), and without a permission check.

    *Why it matters.* The model takes each field that comes along: whoever guesses the name is administrator.

    *Fix.* Take in a model that names the fields that clients may set.

    *What it leaves alone.* Requests under `/admin` or with a permission check, an ordinary role, a field that the answer does
    not confirm, and administrators who change others.
    """

    title = "Rights by mass assignment"
    category = "security"
    needs = ("queries",)

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        request = timeline.request
        if request is None or request.method not in ("POST", "PUT", "PATCH") or not 200 <= request.status_code < 300:
            return
        if (
            not request.request_body
            or not request.response_body
            or not any(query.operation in _WRITES for query in timeline.queries)
        ):
            return
        place = place_words(request)
        parts = set(place.replace("/", " ").split())
        if "admin" in parts or any(check.checked for check in timeline.auth_checks):
            return
        if credentials(request) and not parts & _SELF:
            return
        asked = {name: value for one in timeline.request_body.objects[:20] for name, value in one.items() if _raises(name, value)}
        if not asked:
            asked = dict.fromkeys(_lists(timeline.request_body.json), "admin")
        given = {
            name
            for one in timeline.response_body.objects[:20]
            for name, value in one.items()
            if name in asked and asked[name] == value
        }
        given |= set(_lists(timeline.request_body.json)) & set(_lists(timeline.response_body.json))
        if not given:
            return
        names = ", ".join(sorted(given))
        write = next(query for query in timeline.queries if query.operation in _WRITES)
        yield self.finding(
            timeline,
            severity="critical",
            confidence="likely",
            title=f"{names} can be set by the client",
            desc=f"{timeline.endpoint} took {names} from the body, wrote to {write.table or 'a table'}, and answered that it holds.",
            hint="Take in a model that names the fields that clients may set, and set rights in code.",
            subject=names[:100],
            call_site=write.call_site,
            sql=write.sql,
        )


def _raises(name: str, value: Any) -> bool:
    named = words(name)
    if named in _FLAGS:
        return value is True or value == 1
    return named in _ROLES and isinstance(value, str) and value.lower() in _HIGH


def _lists(whole: Any) -> list[str]:
    """Names of lists of roles or permissions, at the top or one below, that have a high one."""
    found = []
    for one in (whole, *(whole.values() if isinstance(whole, dict) else ())):
        if isinstance(one, dict):
            for name, value in one.items():
                if (
                    words(name) in _ROLES
                    and isinstance(value, list)
                    and any(str(v).lower() in _HIGH for v in value[:100] if isinstance(v, str))
                ):
                    found.append(name)
    return found
