"""Django REST framework: its checks, as `auth.check`: which authentication a request came in by, and what its permissions said.

Authentication passes `Request._authenticate`, also where a view asks for it late; permissions pass `APIView.check_permissions` and
`check_object_permissions`. Requests, routes and errors are Django's.

Not recorded: views without authentication classes; permissions that allow anybody; what the browsable API asks to draw its forms.
"""

from __future__ import annotations

import sys

from brakit.instrumentations._django_auth import Views, dispatching, handler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.client import Client
    from brakit.patch import Patches
    from brakit.record import Record

SUPPORTS = ">=3.14,<4"

MAX_CLASSES = 20
MAX_NAME = 300
DRAWING = frozenset(("rest_framework.renderers", "rest_framework.metadata"))
"""Modules that ask for permissions only to know what to offer."""


def instrument(patch: Patches) -> None:
    patch.when("rest_framework.request", "rest_framework.request:Request._authenticate", requests, patch)
    patch.when("rest_framework.views", "rest_framework.views:APIView", views, patch)


def requests(patch: Patches) -> None:
    probes = Authentication(patch.client)
    place = "rest_framework.request:Request._authenticate"
    patch.hook(sys.modules["rest_framework.request"].Request, "_authenticate", place, probes.before, probes.after, probes.failed)


def views(patch: Patches) -> None:
    view = sys.modules["rest_framework.views"].APIView
    probes = Permissions(patch.client, view.get_permissions)
    patch.when("django.contrib.auth.mixins", "rest_framework.views:APIView.dispatch", mixed, patch)
    for name in ("check_permissions", "check_object_permissions"):
        patch.hook(view, name, f"rest_framework.views:APIView.{name}", probes.before, probes.after, probes.failed)


def mixed(patch: Patches) -> None:
    """Django's mixins around such a view have let the request pass: it does not come by their own `View.dispatch`."""
    view = sys.modules["rest_framework.views"].APIView
    dispatching(patch, view, Views(patch.client).reached)


class Authentication:
    """What is written down of one request's authentication."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def before(self, request: Any) -> Record | None:
        authenticators = request.authenticators
        if type(authenticators) not in (list, tuple) or not authenticators:
            return None
        return self.client.record("auth.check", subject_kind="user", checked="authentication")

    def after(self, record: Record, request: Any, _result: Any) -> None:
        # From its own dict: the property of that name would authenticate.
        found = request.__dict__.get("_authenticator")
        record.data["provider"] = "rest_framework" if found is None else type(found).__name__
        record.data["result"] = "anonymous" if found is None else "allowed"
        record.emit(self.client.buffer)

    def failed(self, record: Record, _request: Any, _error: BaseException) -> None:
        record.data["provider"] = "rest_framework"
        record.data["result"] = "denied"
        record.emit(self.client.buffer)


class Permissions:
    """What is written down of one check of a view's permissions."""

    def __init__(self, client: Client, get_permissions: Any) -> None:
        self.client = client
        self.get_permissions = get_permissions

    def before(self, view: Any, request: Any, *_: Any, **__: Any) -> Record | None:
        if sys._getframe(2).f_globals.get("__name__") in DRAWING:
            return None
        kind = type(view)
        checked = None
        if kind.get_permissions is self.get_permissions:
            classes = view.permission_classes
            if type(classes) in (list, tuple):
                checked = ", ".join([name_of(one) for one in classes[:MAX_CLASSES]])[:MAX_NAME]
                if checked in ("", "AllowAny"):
                    return None
        record = self.client.record("auth.check", provider="rest_framework", subject_kind="user", checked=checked)
        record.site = handler(view, request)
        return record

    def after(self, record: Record, _view: Any, _result: Any) -> None:
        record.data["result"] = "allowed"
        record.emit(self.client.buffer)

    def failed(self, record: Record, _view: Any, _error: BaseException) -> None:
        record.data["result"] = "denied"
        record.emit(self.client.buffer)


def name_of(permission: Any) -> str:
    """The name of a permission's class; of one put together with `&`, `|` and `~`, those of its parts."""
    if isinstance(permission, type):
        return permission.__name__
    parts = getattr(permission, "__dict__", {})
    operator = getattr(parts.get("operator_class"), "__name__", "?").lower()
    if "op2_class" in parts:
        return f"({name_of(parts['op1_class'])} {operator} {name_of(parts['op2_class'])})"
    return f"{operator} {name_of(parts['op1_class'])}" if "op1_class" in parts else "?"
