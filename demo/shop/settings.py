"""Where the shop keeps its things, from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Paths, addresses and limits of one running shop."""

    database: Path
    uploads: Path
    payments_url: str
    storefront: str = "http://localhost:5173"
    session_days: int = 14
    largest_image_bytes: int = 2 * 1024 * 1024


def from_environment() -> Settings:
    """Read `SHOP_DATABASE`, `SHOP_UPLOADS` and `PAYMENTS_URL`; raise `KeyError` when one is missing."""
    return Settings(
        database=Path(os.environ["SHOP_DATABASE"]),
        uploads=Path(os.environ["SHOP_UPLOADS"]),
        payments_url=os.environ["PAYMENTS_URL"],
    )
