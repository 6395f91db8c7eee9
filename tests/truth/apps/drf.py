"""Django REST framework, over Django's WSGI application on waitress."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import waitress

import tests.truth.apps.django  # noqa: F401


def serve(port: int) -> None:
    from django.core.wsgi import get_wsgi_application

    waitress.serve(get_wsgi_application(), host="127.0.0.1", port=port, threads=8)
