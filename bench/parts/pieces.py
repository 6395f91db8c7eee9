"""Where the time of an operation goes on the app's own thread: it is measured again with one piece of ours left out at a time.

What a piece costs is the difference that its absence makes, beside all variants in the same turns. Nothing is sent meanwhile: what the
sender's thread does is left out as well. Only when it is asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.processes import ABSENT, OFF, on
from bench.variants import Flush

ASKED_FOR = True
CHUNKS = 12

PIECES = {
    "hooks": "hooks that pass on",
    "line": "the app's line",
    "rows": "rows",
    "ids": "ids on the wire",
    "scope": "route and origin",
    "buffer": "buffer",
}
"""What can be left out, and the head of its column. `hooks` leaves out all that they do."""
OF = {
    "request": ("hooks", "scope", "buffer"),
    "query": ("hooks", "line", "rows", "buffer"),
    "fetch": ("hooks", "line", "ids", "buffer"),
    "log": ("hooks", "buffer"),
}
"""The pieces that an operation has."""


def leave_out(piece: str) -> Flush:
    """Leave out a piece in this process, in which we are active, and the sender; returns what empties the buffer in its place."""
    from brakit import callsite, client
    from brakit.buffer import Buffer
    from brakit.instrumentations._exchange import Exchange

    active = client.current()
    assert active is not None

    def nothing(*_: object) -> None:
        return None

    def unhook(*names: str) -> None:
        found = [(holder, name, before) for holder, name, before, _ in active.patches.restores if name in names]
        assert {name for _, name, _ in found} >= set(names), names
        for holder, name, before in found:
            setattr(holder, name, before)

    def close() -> None:
        active.open = False

    def empty() -> None:
        active.buffer.reset()

    active.buffer.wake = nothing
    leave: dict[str, Callable[[], Any]] = {
        "nothing": nothing,
        "hooks": close,
        "line": lambda: setattr(callsite, "find", nothing),
        "rows": lambda: unhook("_fetchone_impl", "_fetchmany_impl", "_fetchall_impl", "_fetchiter_impl", "_soft_close"),
        "ids": lambda: unhook("handle_request"),
        "scope": lambda: setattr(Exchange, "look_up", nothing),
        "buffer": lambda: setattr(Buffer, "append", nothing),
    }
    leave[piece]()
    return empty


def run() -> None:
    from bench.parts import operations
    from bench.sheet import ROUNDS, Sheet, rounds

    extras = {"off": OFF} | {piece: {**on(ABSENT), "BENCH_WITHOUT": piece} for piece in ("nothing", *PIECES)}
    names = ["q1", "q50", "request", "fetch", "log"]
    measured = [operations.measure(extras, names=names, chunks=CHUNKS) for _ in rounds(150)]
    sheet = Sheet(
        f"added CPU per operation on the app's thread, µs, and what of it is gone without one piece; median of up to {ROUNDS} rounds",
        "in all", *PIECES.values(), "the rest",
    )  # fmt: skip
    for name, pieces in OF.items():

        def inline(variant: str, name: str = name) -> list[float]:
            return [found[variant][name][1] for found in measured]

        whole = [a - b for a, b in zip(inline("nothing"), inline("off"), strict=True)]
        gone = {
            piece: [
                (b - c if piece == "hooks" else a - b)
                for a, b, c in zip(inline("nothing"), inline(piece), inline("off"), strict=True)
            ]
            for piece in pieces
        }
        rest = [all_of_it - sum(of[turn] for of in gone.values()) for turn, all_of_it in enumerate(whole)]
        sheet.row(operations.LABELS[name], whole, *[gone.get(piece) for piece in PIECES], rest)
    sheet.show()
