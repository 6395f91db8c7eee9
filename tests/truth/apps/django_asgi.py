"""Django's ASGI application on uvicorn."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import uvicorn

import tests.truth.apps.django  # noqa: F401


def serve(port: int) -> None:
    from django.core.asgi import get_asgi_application

    uvicorn.run(get_asgi_application(), port=port, log_level="warning", lifespan="off")
