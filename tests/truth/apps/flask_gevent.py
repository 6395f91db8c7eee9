"""The app on Flask in a worker of gevent: greenlets in the place of threads."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

from tests.truth.apps import gunicorn_server  # noqa: E402
from tests.truth.apps.flask import app  # noqa: E402


def serve(port: int) -> None:
    gunicorn_server.run(app, port, worker_class="gevent", worker_connections=50)
