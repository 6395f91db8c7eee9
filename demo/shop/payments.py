"""The shop's side of the payments service."""

from __future__ import annotations

from typing import Annotated, cast

import httpx
from fastapi import Depends
from starlette.requests import Request


class CardDeclined(Exception):
    """The bank said no; its words are the text."""


class PaymentsUnavailable(Exception):
    """The payments service did not answer, or not as agreed."""


class Payments:
    """Calls the payments service over `client`, whose base URL is the service's address."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def pay(self, reference: str, amount_cents: int, card: str) -> str:
        """Authorise and capture; return the payment's id. Raises `CardDeclined` and `PaymentsUnavailable`."""
        created = await self._ask("POST", "/payments", {"reference": reference, "amountCents": amount_cents, "card": card})
        payment_id = str(created["id"])
        await self._ask("POST", f"/payments/{payment_id}/capture", {})
        return payment_id

    async def refund(self, payment_id: str, amount_cents: int) -> None:
        """Give money back. Raises `PaymentsUnavailable`."""
        await self._ask("POST", f"/payments/{payment_id}/refunds", {"amountCents": amount_cents})

    async def state(self, payment_id: str) -> str:
        """The payment's state in one word. Raises `PaymentsUnavailable`."""
        return str((await self._ask("GET", f"/payments/{payment_id}"))["state"])

    async def _ask(self, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        try:
            response = await self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise PaymentsUnavailable(f"{method} {path}: {error}") from error
        if response.status_code == 402:
            raise CardDeclined(response.json()["reason"])
        if response.is_error:
            raise PaymentsUnavailable(f"{method} {path} answered {response.status_code}")
        return cast("dict[str, object]", response.json())


def _payments(request: Request) -> Payments:
    return cast("Payments", request.app.state.payments)


Gateway = Annotated[Payments, Depends(_payments)]
