"""What stands for texts in the file: numbers for words that come again, keyed hashes for ids that do not."""

from __future__ import annotations

import hashlib
import sqlite3

KNOWN = 50_000
"""Words remembered before they are looked up anew."""


class Keys:
    """Hashes of ids, 64 bits with a sign. The salt is the file's: nobody outside can make ids that fall together."""

    def __init__(self, salt: int) -> None:
        self._salt = (salt % 2**64).to_bytes(8, "little")

    def owner(self, id: str) -> int:
        """The key of the id of a request or job."""
        return self._of(id, b"o")

    def batch(self, id: str) -> int:
        """The key of the id of a batch."""
        return self._of(id, b"b")

    def _of(self, id: str, person: bytes) -> int:
        digest = hashlib.blake2b(id.encode("utf-8", "replace"), digest_size=8, key=self._salt, person=person).digest()
        return int.from_bytes(digest, "little", signed=True)


class Words:
    """Numbers of words, as the writer's thread knows them."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str, str], int] = {}

    def id(self, connection: sqlite3.Connection, kind: int, field: str, text: str) -> int:
        """The number of a word; it is given one where it has none."""
        word = (kind, field, text)
        known = self._known.get(word)
        if known is None:
            insert = connection.execute("INSERT OR IGNORE INTO word (kind, field, text) VALUES (?, ?, ?)", word)
            known = insert.lastrowid if insert.rowcount == 1 else None
            if known is None:
                found = connection.execute("SELECT id FROM word WHERE kind = ? AND field = ? AND text = ?", word)
                known = int(found.fetchone()[0])
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[word] = known
        return known

    def known(self, kind: int, field: str, text: str) -> int | None:
        """The number of a word that was just given; None where it stands among `MANY`."""
        return self._known.get((kind, field, text))

    def forget(self) -> None:
        """Rows of them may be gone."""
        self._known.clear()
