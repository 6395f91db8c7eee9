"""Coverage-guided fuzzing with atheris: `python -m tests.fuzz decoder` (or `filters`) and atheris' own options behind it.

What is fed in may be refused as the function says, and nothing else: any other exception, a hang or a crash ends the run with the
input in a file of this folder's name for it (`crash-…`).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

with atheris.instrument_imports(include=["brakit", "brakit_server"]):
    from brakit_server import filters, ingest
    from brakit_server.ingest import Refused

ROWS = (
    b'{"_brakit":true,"version":1,"shared":[{"type":"db.query","data":{"sql":"SELECT 1","operation":"SELECT","table":"t"}}],'
    b'"columns":[["duration"]],"base":1,"events":[[0,[0],5,1.5],{"of":[0],"timestamp":1,"data":{"duration":2}}]}'
)
SEEDS: dict[str, tuple[bytes, ...]] = {
    "decoder": (
        b'{"_brakit":true,"version":1,"events":[{"type":"log","timestamp":1,"data":{"level":"info","message":"m"}}]}',
        ROWS,
        b'{"_brakit":true,"events":[{"type":"query","data":{"sql":"x","durationMs":NaN,"x":"\\ud83e"}}]}',
    ),
    "filters": (
        b"status:(404 OR 5xx) -route:/api/* duration>200ms",
        b'"a b" AND NOT (x:y) url~/re+/',
        b"since:10m at>2026-01-01T10:00",
    ),
}


def decoder(data: bytes) -> None:
    """Bytes of a body."""
    try:
        outcome = ingest.read(data, 1_790_000_000_000.0)
    except Refused as refused:
        status, named, counted = refused.status, 0, 0
    else:
        status, named, counted = 400, len(outcome.rejected), outcome.rejected_count
    assert status in (400, 413, 415)
    assert named <= counted


def filter_text(data: bytes) -> None:
    """The text of a filter."""
    try:
        filters.parse(data.decode("utf-8", "replace"))
    except filters.FilterError as error:
        column = error.column
    else:
        column = 0
    assert column >= 0


TARGETS: dict[str, Callable[[bytes], None]] = {"decoder": decoder, "filters": filter_text}


def main() -> None:
    """Run one target until its options say stop."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        sys.exit(f"which one? {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            TARGETS[name](seed)
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *sys.argv[2:], corpus], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
