"""A WSGI app without a framework on wsgiref's server; `brakit.wsgi` is put around it, since nobody is there to be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import brakit
from tests.truth.apps import threaded
from tests.truth.apps.styles import Sync

sync = Sync()


class Closing:
    """An answer whose end does something."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.close = work

    def __iter__(self) -> Iterator[bytes]:
        yield b"fine"


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    _, style, marker = environ["PATH_INFO"].split("/")
    answer: Iterable[bytes]
    if style == "stream":
        answer = sync.stream(marker)
    elif style == "after":
        answer = Closing(sync.after(marker))
    else:
        styles = {"sync": sync.plain, "pool": sync.pool, "thread": sync.thread, "error": sync.error}
        answer = [styles[style](marker).encode()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return answer


def serve(port: int) -> None:
    threaded.run(brakit.wsgi(app), port)
