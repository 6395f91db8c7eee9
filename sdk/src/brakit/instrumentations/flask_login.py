"""Flask-Login: the loading of the current user, and `login_required` and `fresh_login_required`, each as an auth.check.

Loading (LoginManager._load_user, once a request) gives `allowed` where there is a user and `anonymous` where there is none; the line
is the one that asked for `current_user`. The decorators give `allowed` or `denied`, with the view as the call site. Not recorded: who
the user is, and what a decorator let through that was put around a view before brakit was imported.
"""

from __future__ import annotations

import sys

from brakit import callsite
from brakit.guard import bracket
from brakit.instrumentations._view import definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call, Probe
    from brakit.patch import Patches

SUPPORTS = ">=0.6.2"

PROVIDER = "flask-login"


def instrument(patch: Patches) -> None:
    patch.probe("flask_login.login_manager:LoginManager._load_user", load_user)
    patch.probe("flask_login.login_manager:LoginManager.unauthorized", unauthorized)
    patch.probe("flask_login.login_manager:LoginManager.needs_refresh", needs_refresh)
    # The same functions under two names.
    for module in ("flask_login", "flask_login.utils"):
        for name in ("login_required", "fresh_login_required"):
            patch.probe(f"{module}:{name}", guarding(name))


def load_user(call: Call) -> Generator[None, Any, None]:
    record = call.client.record("auth.check", provider=PROVIDER, subject_kind="user")
    record.site = callsite.find(sys._getframe())
    yield
    user = getattr(sys.modules["flask"].g, "_login_user", None)
    record.data["result"] = "anonymous" if user is None or type(user) is call.args[0].anonymous_user else "allowed"
    record.emit(call.client.buffer)


def unauthorized(call: Call) -> Generator[None, Any, None]:
    note(call, "login_required", "denied")
    yield


def needs_refresh(call: Call) -> Generator[None, Any, None]:
    note(call, "fresh_login_required", "denied")
    yield


def guarding(checked: str) -> Probe:
    """What happens when a view is decorated: the view tells when it is reached, for then the request was let through."""

    def reached(call: Call) -> Generator[None, Any, None]:
        flask = sys.modules["flask"]
        exempt = sys.modules["flask_login.config"].EXEMPT_METHODS
        if flask.request.method not in exempt and not flask.current_app.config.get("LOGIN_DISABLED"):
            note(call, checked, "allowed")
        yield

    def decorate(call: Call) -> Generator[None, Any, None]:
        view = call.arg("func")
        if callable(view):
            call.replace("func", bracket(call.client, f"flask_login.{checked}", view, reached))
        yield

    return decorate


def note(call: Call, checked: str, result: str) -> None:
    flask = sys.modules["flask"]
    record = call.client.record("auth.check", provider=PROVIDER, subject_kind="user", checked=checked, result=result)
    record.site = definition(flask.current_app.view_functions.get(flask.request.endpoint))
    record.emit(call.client.buffer)
