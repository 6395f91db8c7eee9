"""Problems that the shop copes with, but that somebody should look at."""

from __future__ import annotations

import logging

import brakit

logger = logging.getLogger("shop.problems")


def report(error: Exception, doing: str) -> None:
    """Log a caught `error` with its traceback and hand it to brakit."""
    logger.error("%s failed: %s", doing, error, exc_info=error)
    brakit.capture_error(error)
