"""gunicorn with one worker, set up by hand."""

# mypy: disable-error-code="import-untyped,misc"

from __future__ import annotations

from typing import Any

from gunicorn.app.base import BaseApplication


class Server(BaseApplication):
    def __init__(self, app: Any, settings: dict[str, Any]) -> None:
        self.app = app
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self.app


def run(app: Any, port: int, **settings: Any) -> None:
    fixed = {"bind": f"127.0.0.1:{port}", "workers": 1, "loglevel": "warning", "graceful_timeout": 5}
    Server(app, {**fixed, **settings}).run()
