"""Django's checks of who may do what: `auth.check`, with what was checked and what came out, never for whom.

Logins are told by signals. Views are decorated when their module is imported: what `user_passes_test` is given to test with is wrapped
then. A mixin's check has come out well as soon as the view's own `dispatch`, or that of a mixin behind it, is reached.
"""

from __future__ import annotations

import sys

from brakit import callsite, guard
from brakit.guard import Raised
from brakit.record import PLAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import CodeType, FrameType
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call
    from brakit.patch import Patches
    from brakit.record import Record

ALLOWED, DENIED = "allowed", "denied"
MAX_NAMES = 20
_FUNCTION = type(lambda: None)


def arm(patch: Patches) -> None:
    patch.when("django.contrib.auth.signals", "django.contrib.auth.signals", listening, patch)
    patch.probe("django.contrib.auth.decorators:user_passes_test", user_passes_test)
    patch.when("django.contrib.auth.mixins", "django.contrib.auth.mixins", mixins, patch)
    patch.when("django.contrib.auth.middleware", "django.contrib.auth.middleware:LoginRequiredMiddleware", middleware, patch)
    patch.when("django.contrib.auth.models", "django.contrib.auth.models", permissions, patch)


def check(
    client: Client, provider: str, result: str, checked: str | None = None, site: tuple[CodeType, int] | None = None
) -> None:
    """One check that is over."""
    record = begin(client, provider, checked, site)
    record.data["result"] = result
    record.emit(client.buffer)


def begin(client: Client, provider: str, checked: str | None, site: tuple[CodeType, int] | None) -> Record:
    record = client.record("auth.check", provider=provider, subject_kind="user", checked=checked)
    record.site = site
    return record


def names(given: Any) -> str | None:
    """The names of permissions, of which there may be one, or a list."""
    if type(given) is str:
        return given
    if type(given) in (list, tuple, set, frozenset):
        return ", ".join([name for name in list(given)[:MAX_NAMES] if type(name) is str]) or None
    return None


def outcome(result: Any) -> str:
    """What a test has said. An object of the app's own kind is not asked whether it is true."""
    kind = type(result)
    if kind in PLAIN or kind in (list, tuple, dict, set):
        return ALLOWED if result else DENIED
    return "checked" if hasattr(kind, "__bool__") or hasattr(kind, "__len__") else ALLOWED


def handler(view: Any, request: Any) -> tuple[CodeType, int] | None:
    """Where the method is defined that answers this request."""
    method = getattr(request, "method", None)
    return defined(getattr(type(view), method.lower(), None)) if type(method) is str else None


def defined(view: Any) -> tuple[CodeType, int] | None:
    """Where a view is defined, if it is the app's own: below its decorators, or the class behind `as_view()`."""
    for _ in range(20):
        if type(view) is not _FUNCTION or view.__dict__.get("__wrapped__") is None:
            break
        view = view.__dict__["__wrapped__"]
    code = view.__code__ if type(view) is _FUNCTION else None
    return (code, code.co_firstlineno) if code is not None and callsite.is_own(code.co_filename) else None


# Who somebody is. `authenticate` itself is left alone: its arguments are credentials, which would stand in a frame of ours.


def listening(patch: Patches) -> None:
    module = sys.modules["django.contrib.auth.signals"]
    client = patch.client

    def connect(signal: Any, result: str, checked: str) -> None:
        def told(**_: Any) -> None:
            if client.open:
                place = f"django.contrib.auth.signals:{checked}"
                guard.run(client.failures, place, check, client, "django", result, checked, callsite.find(sys._getframe(1)))

        signal.connect(told, weak=False)
        patch.undo(lambda: signal.disconnect(told))

    connect(module.user_logged_in, ALLOWED, "login")
    connect(module.user_login_failed, DENIED, "credentials")


# What a view asks for.


def user_passes_test(call: Call) -> Generator[None, Any, None]:
    test = call.arg("test_func")
    if type(test) is _FUNCTION:
        call.replace("test_func", guard.bracket(call.client, "django:test_func", test, tested(test)))
    yield


def tested(test: Any) -> Callable[[Call], Generator[None, Any, None]]:
    """A probe for what a view's decorator tests with, which is named by the decorator, or by the permissions in its closure."""
    checked = test.__qualname__.partition(".<locals>")[0].replace("<lambda>", "user_passes_test")
    for name, cell in zip(test.__code__.co_freevars, test.__closure__ or (), strict=True):
        if name in ("perm", "perms"):
            checked = names(cell.cell_contents) or checked

    def probe(call: Call) -> Generator[None, Any, None]:
        record = begin(call.client, "django", checked, decorated(sys._getframe()))
        try:
            result = yield
        except Raised:
            record.data["result"] = DENIED
        else:
            record.data["result"] = outcome(result)
        record.emit(call.client.buffer)

    return probe


def decorated(frame: FrameType | None) -> tuple[CodeType, int] | None:
    """The view whose wrapper is calling."""
    for _ in range(8):
        if frame is None:
            return None
        if "view_func" in frame.f_code.co_freevars:
            return defined(frame.f_locals.get("view_func"))
        frame = frame.f_back
    return None


def middleware(patch: Patches) -> None:
    found = getattr(sys.modules["django.contrib.auth.middleware"], "LoginRequiredMiddleware", None)
    if found is not None:  # from 5.1 on
        patch.wrap(found, "process_view", "django.contrib.auth.middleware:LoginRequiredMiddleware.process_view", process_view)


def process_view(call: Call) -> Generator[None, Any, None]:
    view = call.arg("view_func")
    required = vars(view).get("login_required", True) if type(view) is _FUNCTION else True
    record = begin(call.client, "django", "login_required", defined(view))
    try:
        response = yield
    except Raised:
        response = DENIED
    if required:
        record.data["result"] = ALLOWED if response is None else DENIED
        record.emit(call.client.buffer)


# What a class of views asks for.


def mixins(patch: Patches) -> None:
    module = sys.modules["django.contrib.auth.mixins"]
    view = sys.modules["django.views.generic.base"].View
    views = Views(patch.client)
    for name, before in (
        ("LoginRequiredMixin", views.login),
        ("PermissionRequiredMixin", views.permission),
        ("UserPassesTestMixin", views.test),
    ):
        dispatching(patch, getattr(module, name), before, views.done, views.failed)
    dispatching(patch, view, views.reached)


def dispatching(patch: Patches, holder: Any, before: Any, after: Any = None, failed: Any = None) -> None:
    """Functions around the `dispatch` of a class of views."""
    patch.hook(holder, "dispatch", f"{holder.__module__}:{holder.__name__}.dispatch", before, after, failed)
    # What stands in its dict, `as_view()` copies to every view.
    vars(holder)["dispatch"].__dict__.pop("__wrapped__", None)


class Views:
    """The checks of a view that are under way stand with the view, which is made for each request."""

    KEY = "_brakit_checks"

    def __init__(self, client: Client) -> None:
        self.client = client

    def login(self, view: Any, request: Any, *_: Any, **__: Any) -> Record:
        return self.opened(view, request, "login_required")

    def permission(self, view: Any, request: Any, *_: Any, **__: Any) -> Record:
        return self.opened(view, request, names(getattr(type(view), "permission_required", None)) or "permission_required")

    def test(self, view: Any, request: Any, *_: Any, **__: Any) -> Record:
        return self.opened(view, request, f"{type(view).__name__}.test_func")

    def opened(self, view: Any, request: Any, checked: str) -> Record:
        self.reached(view)
        record = begin(self.client, "django", checked, handler(view, request))
        view.__dict__[self.KEY] = record
        return record

    def reached(self, view: Any, *_: Any, **__: Any) -> None:
        """The next in line has been asked: the check before it has passed."""
        record = view.__dict__.pop(self.KEY, None)
        if record is not None:
            record.data["result"] = ALLOWED
            record.emit(self.client.buffer)

    def done(self, record: Record, view: Any, response: Any) -> None:
        if view.__dict__.get(self.KEY) is record:
            del view.__dict__[self.KEY]
            # Some views do not come by `View.dispatch`: their answer tells.
            status = getattr(response, "__dict__", {}).get("status_code")
            record.data["result"] = ALLOWED if type(status) is int and status < 300 else DENIED
            record.emit(self.client.buffer)

    def failed(self, record: Record, view: Any, _error: BaseException) -> None:
        self.done(record, view, None)


# What the app asks by itself.


def permissions(patch: Patches) -> None:
    module = sys.modules["django.contrib.auth.models"]
    client = patch.client

    def asked(_user: Any, perm: Any = None, *_: Any, **named: Any) -> Any:
        # Asked by the app, and not by a decorator, a mixin, the admin or a template.
        frame = sys._getframe(2)
        if not callsite.is_own(frame.f_code.co_filename):
            return None
        return begin(
            client, "django", names(perm if perm is not None else named.get("perm_list")), (frame.f_code, frame.f_lineno)
        )

    def answered(record: Record, _user: Any, result: Any) -> None:
        record.data["result"] = outcome(result)
        record.emit(client.buffer)

    for holder in (module.PermissionsMixin, module.AnonymousUser):
        for name in ("has_perm", "has_perms"):
            patch.hook(holder, name, f"django.contrib.auth.models:{holder.__name__}.{name}", asked, answered)
