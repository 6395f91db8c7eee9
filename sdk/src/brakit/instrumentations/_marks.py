"""What begins and ends a transaction without being a statement: a record like a statement's, for the app's own calls only.

An end is recorded where a statement of the app's has run in the transaction: what a pool resets, and what a library above has recorded,
is none. The BEGIN that a driver sends with the first statement belongs to that statement.
"""

from __future__ import annotations

import sys

from brakit import callsite, errors
from brakit.context import covered
from brakit.instrumentations._dbapi import Query
from brakit.instrumentations._orm import origin
from brakit.record import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from brakit.instrumentations._driver import Driver, Link

    Hook = tuple[Callable[..., Any], Callable[..., Any] | None, Callable[..., Any] | None]


class Marks:
    """What is written down before and after the calls of one driver's connections."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def hooks(self) -> dict[str, Hook]:
        """Before, after and failed for each method of a connection; an instrumentation takes those that the driver has."""
        return {
            "begin": (self.begins, self.began, self.began_not),
            "start_transaction": (self.starts, self.began, self.began_not),
            "commit": (self.commits, self.ended, self.failed),
            "rollback": (self.rolls_back, self.ended, self.failed),
            "__exit__": (self.leaves, self.ended, self.failed),
        }

    # A beginning.

    def begins(self, connection: Any, *_: Any, **__: Any) -> Query | None:
        return self.open(connection, "BEGIN")

    def starts(self, connection: Any, *_: Any, **__: Any) -> Query | None:
        return self.open(connection, "START TRANSACTION")

    def open(self, connection: Any, text: str) -> Query | None:
        """What was open before is over."""
        self.driver.ended(connection)
        return None if covered.get() == "db.query" else self.cover(self.driver.start(connection, text, None))

    def began(self, query: Query, connection: Any, _result: Any) -> None:
        covered.set(query.outer)
        query.ended = clock()
        self.driver.finish(query, connection, None)

    def began_not(self, query: Query, connection: Any, error: BaseException) -> None:
        covered.set(query.outer)
        self.driver.fail(query, connection, error)

    # An end.

    def commits(self, connection: Any, *_: Any, **__: Any) -> Query | None:
        return self.close(connection, "COMMIT")

    def rolls_back(self, connection: Any, *_: Any, **__: Any) -> Query | None:
        return self.close(connection, "ROLLBACK")

    def leaves(self, connection: Any, error_type: Any = None, *_: Any, **__: Any) -> Query | None:
        """The end of `with connection:`, where the driver makes that the end of the transaction."""
        return self.close(connection, "COMMIT" if error_type is None else "ROLLBACK")

    def close(self, connection: Any, text: str) -> Query | None:
        driver = self.driver
        link: Link | None = driver.links.get(connection)
        if link is None or not driver.pending(link, connection):
            return None
        transaction = link.transaction
        driver.ended(connection)
        if covered.get() == "db.query":
            return None
        query = Query(driver.source, text, (), None, link.system, link.id, transaction or None)
        query.site = callsite.find(sys._getframe(3))
        above = origin.get()
        if above is not None:
            above.sign(query)
        return self.cover(query)

    def ended(self, query: Query, _connection: Any, _result: Any) -> None:
        covered.set(query.outer)
        query.ended = clock()
        query.running = False
        self.driver.over(query)

    def failed(self, query: Query, connection: Any, error: BaseException) -> None:
        """With most databases the transaction has ended all the same; SQLite leaves it open."""
        covered.set(query.outer)
        query.error = errors.text_of(error)
        self.ended(query, connection, None)
        link: Link | None = self.driver.links.get(connection)
        if link is not None and self.driver.inside(connection):
            link.transaction = query.transaction_id

    def cover(self, query: Query) -> Query:
        """What the driver does on behalf of it is part of it."""
        query.outer = covered.get()
        covered.set("db.query")
        query.started = clock()
        return query
