"""The card network, as far as a test account sees it: the card's token decides what happens."""

from __future__ import annotations

import time
from random import Random

_DECLINED = {"tok_no_funds": "insufficient funds", "tok_stolen": "do not honour"}

_random = Random(4711)


class Declined(Exception):
    """The issuer refused; the text is its reason."""


class NetworkDown(Exception):
    """The card network did not answer in time."""


def authorise(card: str, amount_cents: int) -> None:
    """Reserve an amount on a card. Raises `Declined` and `NetworkDown`."""
    time.sleep(_random.uniform(0.02, 0.07))
    if reason := _DECLINED.get(card):
        raise Declined(reason)
    if card == "tok_timeout":
        raise NetworkDown(f"no answer for {amount_cents} cents")
