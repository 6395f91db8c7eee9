"""The app on FastAPI in two processes of uvicorn's."""

from __future__ import annotations

import uvicorn

import brakit  # noqa: F401
from tests.truth.apps.fastapi import app as app


def serve(port: int) -> None:
    uvicorn.run("tests.truth.apps.fastapi_workers:app", port=port, log_level="warning", workers=2)
