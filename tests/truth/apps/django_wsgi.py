"""Django on its own development server, a thread for each connection."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import tests.truth.apps.django  # noqa: F401


def serve(port: int) -> None:
    from django.core.management import call_command

    call_command("runserver", f"127.0.0.1:{port}", use_reloader=False, skip_checks=True)
