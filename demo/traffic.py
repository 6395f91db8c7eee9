"""People in the shop: each walks through like a customer, a regular or the shop's owner would, and takes time to look.

The same seed makes the same people; how fast the services answer decides how far they come.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Final

import httpx

from demo.counters import HEADER
from demo.shop.seed import GOODS, PASSWORD, STAFF, Past

ORIGIN: Final = "http://localhost:5173"
WORDS: Final = ["tent", "stove", "wool", "wren", "light", "bag", "cairn", "mat", "hammock", "socks"]
AGENTS: Final = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36",
]


class Leaving(Exception):
    """The shop closes: the person goes after the answer that they wait for."""


@dataclass
class Tally:
    """What the people met: answers by status, and visits that ended early for want of a good one."""

    answers: Counter[int] = field(default_factory=Counter)
    cut_short: int = 0


class Person:
    """Somebody with a browser: a cookie jar, a pace, and their own luck."""

    def __init__(self, client: httpx.AsyncClient, random: Random, think: float, stop: asyncio.Event, tally: Tally) -> None:
        self.random = random
        self._client = client
        self._think = think
        self._stop = stop
        self._tally = tally

    async def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send one request, then look at the answer for a while. Raises `Leaving` when it is time to go."""
        if self._stop.is_set():
            raise Leaving
        response = await self._client.request(method, path, **request)
        self._tally.answers[response.status_code] += 1
        await self.look()
        return response

    async def look(self, pace: float = 1) -> None:
        """Take the time that people take, or less when the shop closes."""
        try:
            await asyncio.wait_for(self._stop.wait(), min(self.random.expovariate(1 / self._think), self._think * 3) * pace)
        except TimeoutError:
            return
        raise Leaving

    async def get(self, path: str, **params: str | int) -> httpx.Response:
        return await self.ask("GET", path, params=params)

    async def post(self, path: str, body: dict[str, object] | None = None) -> httpx.Response:
        return await self.ask("POST", path, json=body)

    async def log_in(self, email: str, *, slip: bool = False) -> None:
        """Log in, with a mistyped password first after a `slip`."""
        if slip:
            await self.post("/login", {"email": email, "password": PASSWORD.replace("horse", "hrose")})
        await self.post("/login", {"email": email, "password": PASSWORD})

    async def browse(self, pages: int) -> list[int]:
        """Go through a category, or a search; return the ids of the products that were looked at."""
        if self.random.random() < 0.6:
            listing = await self.get(f"/categories/{self.random.choice(list(GOODS))}")
        else:
            listing = await self.get("/search", q=self.random.choice(WORDS))
        ids = [product["id"] for product in listing.raise_for_status().json()["products"]]
        chosen = self.random.sample(ids, min(pages, len(ids)))
        for product in chosen:
            await self.get(f"/products/{product}")
        return chosen


Walk = Callable[[Person, Past, int], Awaitable[None]]
"""One visit of a person; the number counts the visits of that kind."""


async def stroller(person: Person, _past: Past, visit: int) -> None:
    """Looks around and buys nothing; follows an old link now and then."""
    await person.get("/")
    for _ in range(person.random.randrange(1, 4)):
        await person.browse(pages=2)
    if visit % 3 == 2:
        await person.get(f"/products/{person.random.randrange(900, 999)}")
        await person.get("/account")


async def regular(person: Person, past: Past, visit: int) -> None:
    """Wants to know where the orders are."""
    await person.log_in(person.random.choice(past.customers), slip=visit % 4 == 3)
    orders = (await person.get("/account/orders")).raise_for_status().json()
    await person.get("/account")
    for order in person.random.sample(orders, min(2, len(orders))):
        await person.get(f"/orders/{order['number']}")
    await person.get("/account/orders")
    await person.post("/logout")


PURCHASES: Final[Sequence[tuple[str, str | None]]] = [
    ("tok_visa", "FREESHIP"),
    ("tok_no_funds", None),
    ("tok_visa", None),
    ("tok_mastercard", "WELCOME10"),
    ("tok_timeout", None),
    ("tok_visa", None),
    ("tok_stolen", "FIVER"),
    ("tok_mastercard", "OLDCODE"),
]
"""Card and coupon of one visit after the other."""


async def buyer(person: Person, past: Past, visit: int) -> None:
    """Fills a cart and pays; tries again in another way when that fails."""
    card, coupon = PURCHASES[visit % len(PURCHASES)]
    await person.get("/")
    chosen = await person.browse(pages=2) or [1]
    lines: list[dict[str, Any]] = []
    for product in chosen:
        added = await person.post("/cart/lines", {"product_id": product, "quantity": person.random.choice([1, 1, 2])})
        if added.is_success:
            lines = added.json()["lines"]
    if len(lines) > 1 and person.random.random() < 0.4:
        await person.ask("DELETE", f"/cart/lines/{lines[0]['id']}")
    await person.get("/cart")
    await person.log_in(person.random.choice(past.customers), slip=visit % 5 == 4)
    await person.ask(
        "OPTIONS",
        "/checkout",
        headers={"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"},
    )
    paid = await person.post("/checkout", {"card": card, "coupon": coupon})
    if paid.is_error:
        paid = await person.post("/checkout", {"card": "tok_visa", "coupon": None})
    if paid.is_success:
        await person.get(f"/orders/{paid.json()['number']}")


async def owner(person: Person, past: Past, visit: int) -> None:
    """Runs the shop: stock, exports, pictures, and money back."""
    if visit == 0:
        await person.log_in(STAFF)
    await person.get("/admin/reports/stock")
    await person.get("/admin/reports/stock", days=75)
    await person.get("/admin/reports/stock")
    await person.ask("GET", "/admin/orders.csv")
    product = person.random.randrange(1, 40)
    picture = {"image": (f"{product}.png", png(person.random), "image/png")}
    await person.ask("POST", f"/admin/products/{product}/image", files=picture)
    if visit % 3 == 1:
        paid = [payment for payment in past.payments if payment.captured == (visit % 2 == 0)]
        await person.post(f"/admin/orders/{person.random.choice(paid).reference}/refund")
    if visit >= 1:
        # The first visit is busy, so that a short demo has it all; then the owner has other things to do as well.
        await person.look(pace=60)


def png(random: Random) -> bytes:
    """A 64 by 64 picture in one colour and its shade."""
    colour = random.randbytes(3)
    rows = b"".join(b"\0" + bytes(value * (128 + y) // 255 for value in colour) * 64 for y in range(64))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


CROWD: Final[Sequence[Walk]] = [owner, buyer, regular, stroller, buyer, stroller, regular, buyer]
"""Who the first people are; one owner, then the rest over and over."""


async def drive(
    shop: str, past: Past, stop: asyncio.Event, tally: Tally, *, clients: int = 6, think: float = 0.35, seed: int = 20
) -> None:
    """Let `clients` people walk through the shop at the URL `shop` until `stop` is set and their last answers are in.

    `think` is the mean time in seconds between an answer and the next request of the same person. Answers are counted in `tally`.
    """
    visits = {walk: count() for walk in CROWD}

    async def live(number: int) -> None:
        walk = CROWD[number] if number < len(CROWD) else CROWD[1 + (number - 1) % (len(CROWD) - 1)]
        random = Random(f"{seed}/{number}")
        # The owner knows the way around.
        pause = think / 3 if walk is owner else think
        headers = {"User-Agent": random.choice(AGENTS), "Origin": ORIGIN}
        steps = count()

        async def mark(request: httpx.Request) -> None:
            request.headers[HEADER] = f"{number}-{next(steps)}"

        jar: httpx.Cookies | None = None
        while not stop.is_set():
            async with httpx.AsyncClient(
                base_url=shop, headers=headers, cookies=jar, timeout=30, trust_env=False, event_hooks={"request": [mark]}
            ) as client:
                person = Person(client, random, pause, stop, tally)
                try:
                    await walk(person, past, next(visits[walk]))
                except Leaving:
                    return
                except httpx.HTTPError:
                    tally.cut_short += 1
                    await asyncio.sleep(think)
                # The owner stays logged in; everybody else is somebody new.
                jar = client.cookies if walk is owner else None

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(live(number))
