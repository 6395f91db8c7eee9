"""Requests of frameworks that are their own server: no scope and no environ, but objects of theirs."""

from __future__ import annotations

from brakit.instrumentations._exchange import DASHBOARD, Exchange, Ids, dashboard, header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.client import Client

    Pairs = list[tuple[str, str]]


class Served(Exchange):
    """An exchange that knows its origin from the start. `socket` is true for a WebSocket connection, whose messages are counted."""

    received = 0
    sent = 0
    socket = False

    def __init__(
        self, client: Client, source: Any, method: str, target: str, headers: Pairs, peer: Any, scheme: str, version: str
    ) -> None:
        url, path = split(target)
        super().__init__(client, source, method, path, url, headers, ids_of(headers))
        self.said: dict[str, object] = {"client": peer if type(peer) is str else None, "scheme": scheme, "http_version": version}
        if client.watch is not None:
            client.watch.begin(self)

    def end(self) -> None:
        if self.client.watch is not None:
            self.client.watch.end(self)
        super().end()

    def origin(self) -> dict[str, object]:
        return self.said

    def upgrade(self) -> None:
        """The request has become a WebSocket connection."""
        self.socket = True
        self.committed = True

    def complete(self, defer: bool = False) -> None:
        if self.socket:
            self.messages = self.received, self.sent
        super().complete(defer)


def split(target: str) -> tuple[str, str]:
    """The target of a request line as the address to show, and its path, decoded."""
    if not target.startswith("/") and "://" in target:
        # The absolute form, as a proxy gets it.
        target = "/" + target.partition("://")[2].partition("/")[2]
    path = target.partition("?")[0]
    if "%" in path:
        from urllib.parse import unquote

        path = unquote(path)
    return target, path or "/"


def ids_of(headers: Pairs) -> Ids:
    """The ids that came in; one that came twice cannot be believed."""
    found: dict[str, str | None] = {}
    for name, value in headers:
        if len(name) in (11, 17, 19):
            key = name.lower()
            if key in ("traceparent", "x-brakit-fetch-id", "x-brakit-request-id"):
                found[key] = None if key in found else value
    return Ids(found.get("x-brakit-request-id"), found.get("traceparent"), found.get("x-brakit-fetch-id"))


def leads_to(client: Client, method: str, target: str, headers: Pairs, peer: Any, port: Any) -> str | None:
    """Where the dashboard is, for a request that is meant for it."""
    if not target.startswith(DASHBOARD):
        return None
    return dashboard(client, method, peer, header(headers, "host"), port, target)
