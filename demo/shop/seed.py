"""A shop with a past: goods, customers, reviews and a few months of orders, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from demo.shop.models import Category, Coupon, Customer, Model, Order, OrderItem, Product, Review, now
from demo.shop.passwords import hashed

PASSWORD = "correct horse battery staple"
STAFF = "olivia@shop.example"

CUSTOMERS = 120
ORDERS = 1_400
GOODS = {
    "tents": ("Tents", ["Tarn 2", "Tarn 3", "Ridge Solo", "Lee Tunnel", "Basecamp 6", "Dune Tarp", "Moor Bivvy", "Fell 1"]),
    "packs": ("Backpacks", ["Cairn 28", "Cairn 45", "Scree 60", "Heron Daypack", "Heron Roll-top", "Ferry Duffel", "Kid Cairn"]),
    "sleep": (
        "Sleeping",
        ["Wren Quilt", "Wren Winter Bag", "Loft Mat", "Loft Mat Wide", "Peat Pillow", "Silk Liner", "Fleece Liner"],
    ),
    "cook": ("Cooking", ["Ember Stove", "Ember Windshield", "Billy 0.9", "Billy 1.5", "Ash Mug", "Long Spoon", "Water Filter"]),
    "wear": (
        "Clothing",
        ["Squall Shell", "Squall Trousers", "Wool Tee", "Wool Hoodie", "Dry Socks", "Bramble Cap", "Liner Gloves"],
    ),
    "light": ("Light", ["Glow 300", "Glow 900", "Glow Lantern", "Red Beacon", "Spare Cell", "Solar Sheet", "Head Strap"]),
}
FIRST = ["Ada", "Ben", "Chidi", "Dora", "Emre", "Fay", "Goran", "Hana", "Ines", "Jun", "Kofi", "Lena", "Mia", "Nils", "Oona"]
LAST = ["Abara", "Berg", "Costa", "Dietz", "Eken", "Fuchs", "Greco", "Holm"]
OPINIONS = [
    "Does what it should.",
    "Two wet weeks in Wales and not a drop inside.",
    "Lighter than it looks. The zip could be better.",
    "Came back once, the second one has been fine since.",
    "My third from this shop.",
    "Packs down to nothing, which is the point.",
    "Good, but the colour is not the one in the picture.",
    "Would buy again, at the sale price.",
]


@dataclass(frozen=True)
class Paid:
    """A payment that the payments service must know, because a seeded order names it."""

    id: str
    reference: str
    amount_cents: int
    captured: bool


@dataclass(frozen=True)
class Past:
    """What was there before the first request: the customers' addresses and the payments of their orders."""

    customers: list[str]
    payments: list[Paid]


def seed(path: Path, random: Random) -> Past:
    """Create and fill the shop's database at `path`."""
    engine = create_engine(f"sqlite:///{path}")
    Model.metadata.create_all(engine)
    with Session(engine) as session:
        products = _goods(random)
        customers = _customers(random)
        session.add_all([*products, *customers])
        session.flush()
        session.add_all(_reviews(random, products, customers))
        orders = [_order(random, index, customers, products) for index in range(ORDERS)]
        session.add_all(orders)
        session.add_all(
            [
                Coupon(code="WELCOME10", kind="percent", value=10),
                Coupon(code="FIVER", kind="fixed", value=500),
                Coupon(code="FREESHIP", kind="shipping", value=0),
            ]
        )
        past = Past(
            customers=[customer.email for customer in customers if not customer.is_staff],
            payments=[
                Paid(order.payment_id, order.number, order.total_cents, order.state == "paid")
                for order in orders
                if order.payment_id
            ],
        )
        session.commit()
    engine.dispose()
    return past


def _goods(random: Random) -> list[Product]:
    products = []
    for slug, (title, names) in GOODS.items():
        category = Category(slug=slug, name=title)
        for name in names:
            price = random.randrange(900, 32_000, 100) - 5
            products.append(
                Product(
                    category=category,
                    name=name,
                    description=f"{name}: made to be carried far, used hard and mended. Part of our {title.lower()} range.",
                    price_cents=price,
                    list_price_cents=price if random.random() < 0.8 else price * 5 // 4,
                    stock=random.choice([3, 9, 14, 40]) if random.random() < 0.2 else random.randrange(800, 4_000),
                    image=None,
                    added_at=now() - timedelta(days=random.randrange(400)),
                )
            )
    return products


def _customers(random: Random) -> list[Customer]:
    # One hash for all: a demo must start quickly.
    password = hashed(PASSWORD)
    names = [f"{first} {last}" for first in FIRST for last in LAST]
    random.shuffle(names)
    customers = [
        Customer(
            email=f"{name.replace(' ', '.').lower()}@mail.example",
            name=name,
            password=password,
            joined_at=now() - timedelta(days=random.randrange(100, 900)),
        )
        for name in names[: CUSTOMERS - 1]
    ]
    return [*customers, Customer(email=STAFF, name="Olivia Marsh", password=password, is_staff=True)]


def _reviews(random: Random, products: list[Product], customers: list[Customer]) -> list[Review]:
    return [
        Review(
            product_id=product.id,
            author_id=author.id,
            rating=random.choice([2, 3, 4, 4, 5, 5, 5]),
            text=random.choice(OPINIONS),
            written_at=now() - timedelta(hours=random.randrange(4_000)),
        )
        for product in products
        for author in random.sample(customers, random.randrange(8, 15))
    ]


def _order(random: Random, index: int, customers: list[Customer], products: list[Product]) -> Order:
    items = [
        OrderItem(product_id=product.id, quantity=random.choice([1, 1, 1, 2, 3]), price_cents=product.price_cents)
        for product in random.sample(products, random.randrange(1, 5))
    ]
    # Everybody has ordered before; the newest few orders are not captured yet.
    pending = index >= ORDERS - 40
    return Order(
        number=f"{index + 10_000:06d}",
        customer_id=customers[index % len(customers)].id,
        placed_at=now() - timedelta(days=90 * (1 - index / ORDERS), minutes=random.randrange(1_440)),
        state="pending" if pending else "paid",
        total_cents=sum(item.quantity * item.price_cents for item in items),
        payment_id=f"pay_{random.getrandbits(48):012x}",
        items=items,
    )
