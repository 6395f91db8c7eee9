"""The app's own functions that see every event before it leaves: `brakit.scrub` registers them, the wire calls them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

scrubbers: list[Callable[[dict[str, Any]], dict[str, Any] | None]] = []
"""In the order of their registration; they outlive a client."""
