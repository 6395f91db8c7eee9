"""What an app of the matrix writes down itself: its log records, its exceptions, and which parts of its work it has done.

One line each in a file that is opened for appending: whole lines from any thread, also of a forked process.
"""

from __future__ import annotations

import logging
import os

log = logging.getLogger("truth")
_file = os.open(os.environ["TRUTH_BOOK"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def write(word: str, text: str) -> None:
    os.write(_file, f"{word} {text}\n".encode())


class Counter(logging.Handler):
    """Writes down every record that the app's logger hands to its handlers."""

    def emit(self, record: logging.LogRecord) -> None:
        write("log", record.getMessage())


log.setLevel(logging.INFO)
log.addHandler(Counter())


class Broken(Exception):
    """Nobody handles it."""

    def __init__(self, token: str) -> None:
        super().__init__(token)
        write("error", token)


class Part:
    """A part of what a request does, which it may do later, elsewhere, and beside others: `with part:` around its work.

    It is expected from the moment when it is made. What goes wrong in it is in the book: nobody may be there to see it.
    """

    def __init__(self, marker: str, name: str) -> None:
        self.marker = marker
        self.name = name
        write("expected", f"{marker}_{name}")

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # A client that leaves ends what was done for it, by a GeneratorExit or a cancellation.
        if isinstance(error, Exception):
            write("problem", f"{self.marker}_{self.name} {error!r}".replace("\n", " "))
        write("done", f"{self.marker}_{self.name}")

    def token(self, operation: str, number: int = 1) -> str:
        """Names one statement, call or log record: stands in its text, and says whose it is and which function made it."""
        return f"{self.marker}_{self.name}_{operation}_{number}"
