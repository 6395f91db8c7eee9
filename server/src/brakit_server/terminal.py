"""What was captured, or sent by strangers, on its way to a terminal: its control characters are text there."""

from __future__ import annotations

import logging
import re
import sys

# C0 but tab and line feed, DEL, C1, and what turns the direction of text round, hides in it, or ends a line in some terminals.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)


def plain(text: str) -> str:
    """The text with its control characters written out (`\\x1b`). Tabs and line feeds stay."""
    return _CONTROL.sub(_written_out, text)


def line(text: str) -> str:
    """The same in one line."""
    return plain(text).replace("\n", "\\n").replace("\t", "\\t")


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class Formatter(logging.Formatter):
    """Log lines for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))


def log_to_stderr() -> None:
    """Warnings and worse of the server and its libraries, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter("brakit: %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # What strangers send is counted (`/api/health`); a line for each would fill the disk of who writes them to a file.
    logging.getLogger("uvicorn.error").addFilter(_is_no_stranger)


def _is_no_stranger(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(("Invalid HTTP request", "Unsupported upgrade", "No supported WebSocket"))
