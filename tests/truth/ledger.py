"""What happened, what was captured, and the difference, by token.

A token stands in the text of each statement, call, log record and exception: `m17_b_asyncpg_2` is the second statement of the
function `asyncpg` in part `b` of the request whose path ends in `m17`. It outlives the masking of literals.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.truth.databases import Statement
from tests.truth.witness import Seen

Json = dict[str, Any]

TOKEN = re.compile(r"\b(m\d+)_[a-z]+_([a-z0-9]+)_\d+\b")
MARKER = re.compile(r"/(m\d+)\b")
CONTROL = re.compile(
    r"\s*(BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK\s+TO|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION)\b",
    re.IGNORECASE,
)
MARKS = {
    "begin": "begin", "start transaction": "begin", "commit": "commit", "end": "commit", "rollback": "rollback", "abort": "rollback",
    "rollback to": "rollback_to", "savepoint": "savepoint", "release": "release", "prepare transaction": "prepare",
}  # fmt: skip
LOGGER = "truth"
Mark = tuple[str, str, str]
"""Transaction control: the request's marker, the function that did it, and what it does."""
CUT = ("cut", "leave")
"""Styles in which work is given up half-way, perhaps before a statement gets out."""
TEXT = {"db.query": "sql", "fetch": "url", "log": "message", "error": "message"}


@dataclass
class Truth:
    """Who did what, by those who know: the databases, the stub, the apps themselves and the crowd that asked."""

    tokens: Counter[str] = field(default_factory=Counter)
    marks: Counter[Mark] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    """Statements without a token, which libraries send of their own accord, by how they begin."""
    ids: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The ids that came with a call: of the call and of the request that made it."""

    def ask(self, number: str) -> None:
        self.tokens[number] += 1

    def read_book(self, book: Path) -> None:
        for line in book.read_text().splitlines():
            word, _, text = line.partition(" ")
            if word in ("log", "error"):
                self.tokens[text] += 1

    def read_calls(self, log: Iterable[Seen]) -> None:
        for seen in log:
            match = TOKEN.search(seen.path)
            if match and not seen.path.startswith("/hop/"):
                # The redirect on the way belongs to the call that ends elsewhere.
                self.tokens[match[0]] += 1
                self.ids[match[0]] = (seen.headers.get("x-brakit-fetch-id", ""), seen.headers.get("x-brakit-request-id", ""))

    def read_statements(self, statements: Iterable[Statement]) -> None:
        """Transaction control belongs to the request whose statements it encloses."""
        sessions: dict[str, list[str]] = defaultdict(list)
        for statement in statements:
            sessions[statement.session].append(statement.text)
        for texts in sessions.values():
            who = ("", "")
            opened: list[str] | None = None
            for text in texts:
                match = TOKEN.search(text)
                if match:
                    self.tokens[match[0]] += 1
                    who = (match[1], match[2])
                    continue
                control = CONTROL.match(text)
                if not control:
                    self.others[beginning(text)] += 1
                    continue
                kind = MARKS[" ".join(control[1].lower().split())]
                if kind == "begin":
                    opened, who = [kind], ("", "")
                elif kind in ("commit", "rollback"):
                    self._mark(who, [*(opened or ()), kind])
                    opened, who = None, ("", "")
                elif opened is not None:
                    opened.append(kind)
                else:
                    self._mark(who, [kind])
            # A connection that was closed in the middle.
            self._mark(who, opened or [])

    def _mark(self, who: tuple[str, str], kinds: list[str]) -> None:
        for kind in kinds:
            self.marks[(*who, kind)] += 1


@dataclass
class Row:
    """One cell of the matrix."""

    framework: str
    style: str
    requests: int = 0
    truth: int = 0
    captured: int = 0
    marks: int = 0
    """Ends of transactions and savepoints; they are no queries, and count apart."""
    missing: int = 0
    duplicates: int = 0
    owner: int = 0
    line: int = 0
    examples: list[str] = field(default_factory=list)

    FIGURES = ("requests", "truth", "captured", "marks", "missing", "duplicates", "owner", "line")

    def add(self, figure: str, number: int, example: str) -> None:
        """Count a difference; the first few of them are shown."""
        if number:
            setattr(self, figure, getattr(self, figure) + number)
            if len(self.examples) < 12:
                self.examples.append(f"{figure} ×{number}: {example}")

    def wrong(self) -> int:
        return self.missing + self.duplicates + self.owner + self.line


@dataclass
class Captured:
    """The events of one app, sorted by token."""

    tokens: Counter[str] = field(default_factory=Counter)
    sets: Counter[str] = field(default_factory=Counter)
    """The same, with each set of parameters of an executemany counted."""
    events: dict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    marks: Counter[Mark] = field(default_factory=Counter)
    failed: Counter[Mark] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    strays: list[Json] = field(default_factory=list)
    """Calls and errors without a token: the app makes none."""
    owners: dict[str, str] = field(default_factory=dict)
    """The marker in the URL of each request record, by its id."""

    @classmethod
    def of(cls, events: list[Json]) -> Captured:
        found = cls()
        for event in events:
            if event["type"] == "request" and (match := MARKER.search(event["data"]["url"])):
                found.tokens[match[1]] += 1
                found.events[match[1]].append(event)
                found.owners[event["data"]["id"]] = match[1]
        for event in events:
            if event["type"] == "job":
                # A background task is a job that its request has caused.
                found.owners[event["data"]["id"]] = found.owners.get(event.get("parentId", ""), "")
        for event in events:
            data = event["data"]
            if data.get("transactionMark"):
                mark = (found.owner(event), function(event), data["transactionMark"])
                found.marks[mark] += 1
                found.failed[mark] += "error" in data
            elif event["type"] == "log" and data.get("logger") != LOGGER:
                # Libraries log what they call.
                continue
            elif event["type"] in TEXT and (match := TOKEN.search(data.get(TEXT[event["type"]], ""))):
                found.tokens[match[0]] += 1
                found.sets[match[0]] += int(data.get("batchSize") or 1)
                found.events[match[0]].append(event)
            elif event["type"] == "db.query":
                found.others[beginning(data["sql"])] += 1
            elif event["type"] in ("fetch", "error"):
                found.strays.append(event)
        return found

    def owner(self, event: Json) -> str:
        """The marker of the request that the event is filed under; empty for nobody's."""
        return self.owners.get(event.get("ownerId") or event.get("parentId") or "", "")

    def number(self, token: str, really: int, cut: bool) -> int:
        """For how many statements the token's records stand: a library sends an executemany as one statement or as many."""
        if self.sets[token] == really:
            return really
        if not really and cut and all(event["data"].get("error") for event in self.events[token]):
            # Given up before it got out: only the app's side knows of it.
            return self.tokens[token] - 1
        return self.tokens[token]


def beginning(statement: str) -> str:
    """A statement up to its first literal, placeholder or quoted name."""
    return re.split(r"['\"`$%?:\d]", statement, maxsplit=1)[0].strip().lower()


def compare(cells: dict[str, Row], truth: Truth, captured: Captured) -> None:
    """Fill the rows of an app; `cells` has the row of each marker."""
    for token in truth.tokens.keys() | captured.tokens.keys():
        row = cells.get(token.partition("_")[0])
        if row is None:
            continue
        really = truth.tokens[token]
        found = captured.number(token, really, row.style in CUT)
        row.truth += really
        row.captured += found
        row.add("missing", max(0, really - found), token)
        row.add("duplicates", max(0, found - really), token)
        for event in captured.events[token]:
            check(row, token, event, truth, captured)
    for mark in truth.marks.keys() | captured.marks.keys():
        row = cells.get(mark[0])
        if row is None:
            continue
        really, found = truth.marks[mark], captured.marks[mark]
        if row.style in CUT and found > really:
            # Failed before it got out; or nothing came between BEGIN and ROLLBACK that says whose they are.
            nobodys = ("", "", mark[2])
            taken = min(found - really, captured.failed[mark] + truth.marks[nobodys])
            truth.marks[nobodys] -= max(0, taken - captured.failed[mark])
            found -= taken
        row.add("duplicates", max(0, found - really), " ".join(mark))
        if mark[2] != "begin":
            # Most drivers send BEGIN of their own accord; that is no record.
            row.marks += really
            row.add("missing", max(0, really - found), " ".join(mark))


def check(row: Row, token: str, event: Json, truth: Truth, captured: Captured) -> None:
    """Whether the event lies under its request, and names the line that made it."""
    if event["type"] == "request":
        status = 101 if row.style == "socket" else 500 if "error" in row.style else 200
        if event["data"]["statusCode"] != status:
            row.add("owner", 1, f"{token} has status {event['data']['statusCode']}")
        return
    owner = captured.owner(event)
    if owner != token.partition("_")[0]:
        row.add("owner", 1, f"{token} is filed under {owner or 'nobody'}")
    if event["type"] == "fetch":
        fetch, request = truth.ids.get(token, ("", ""))
        if not truth.tokens[token] and event["data"].get("error"):
            # Given up before it got out.
            pass
        elif fetch != event["data"].get("fetchId"):
            row.add("owner", 1, f"{token} was sent as {fetch or 'nothing'}")
        elif captured.owners.get(request, "") != token.partition("_")[0]:
            row.add("owner", 1, f"{token} was sent for {captured.owners.get(request, 'nobody')}")
    thrown = event["data"].get("exception")
    if thrown:
        errors = [error["id"] for error in captured.events[thrown["message"]]]
        if [event["data"].get("errorId")] != errors:
            row.add("owner", 1, f"{token} tells of {event['data'].get('errorId')}, not of {errors}")
    expected = (token.split("_")[2], "" if row.style == "cut" else None)
    # What asyncio makes a task of, as `wait_for` does, has no line of the app's on its stack.
    if function(event) not in expected:
        row.add("line", 1, f"{token} at {event['data'].get('callsite')}")


def function(event: Json) -> str:
    """The function that the event's line lies in."""
    return str(event["data"].get("callsite", {}).get("function", "")).rpartition(".")[2]


def table(rows: list[Row]) -> list[str]:
    """The matrix as text, with its totals."""
    titles = ("framework", "style", *Row.FIGURES)
    names = {"owner": "wrong owner", "line": "wrong line"}
    total = Row("total", f"{len(rows)} cells")
    for row in rows:
        for figure in Row.FIGURES:
            setattr(total, figure, getattr(total, figure) + getattr(row, figure))
    lines = [[names.get(title, title) for title in titles]]
    lines += [[str(getattr(row, title)) for title in titles] for row in [*rows, total]]
    widths = [max(len(line[at]) for line in lines) for at in range(len(titles))]
    return [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width) for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
