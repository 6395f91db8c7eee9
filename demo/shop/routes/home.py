"""The front page: a bit of everything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Select, func, select

from demo.shop.answers import CategoryLink, Home, ProductCard, ReviewTeaser
from demo.shop.database import Session
from demo.shop.models import CartLine, Category, Customer, Order, OrderItem, Product, Review, now
from demo.shop.routes.cart import CartId

router = APIRouter()


def best_sellers() -> Select[Product]:
    sold = select(OrderItem.product_id).group_by(OrderItem.product_id).order_by(func.sum(OrderItem.quantity).desc()).limit(4)
    return select(Product).where(Product.id.in_(sold))


def best_rated() -> Select[Product]:
    rated = select(Review.product_id).group_by(Review.product_id).order_by(func.avg(Review.rating).desc()).limit(4)
    return select(Product).where(Product.id.in_(rated))


def recently_ordered() -> Select[Product]:
    ordered = select(OrderItem.product_id).order_by(OrderItem.id.desc()).limit(4)
    return select(Product).where(Product.id.in_(ordered))


def cards(products: Sequence[Product]) -> list[ProductCard]:
    return [ProductCard.model_validate(product) for product in products]


@router.get("/")
async def home(session: Session, cart_id: CartId) -> Home:
    """Everything that the front page shows."""

    async def products(statement: Select[Product]) -> list[ProductCard]:
        return cards((await session.scalars(statement.limit(4))).all())

    async def number(statement: Select[Any]) -> int:
        return int(await session.scalar(statement) or 0)

    catalogue = select(Product)
    categories = await session.scalars(select(Category).order_by(Category.name))
    reviews = await session.scalars(select(Review).order_by(Review.written_at.desc()).limit(3))
    return Home(
        categories=[CategoryLink.model_validate(category) for category in categories],
        latest_reviews=[ReviewTeaser.model_validate(review) for review in reviews],
        newest=await products(catalogue.order_by(Product.added_at.desc())),
        best_sellers=await products(best_sellers()),
        best_rated=await products(best_rated()),
        on_sale=await products(catalogue.where(Product.price_cents < Product.list_price_cents)),
        bargains=await products(catalogue.order_by(Product.price_cents)),
        last_chance=await products(catalogue.where(Product.stock < 5).order_by(Product.stock)),
        recently_ordered=await products(recently_ordered()),
        product_count=await number(select(func.count(Product.id))),
        review_count=await number(select(func.count(Review.id))),
        customer_count=await number(select(func.count(Customer.id))),
        orders_today=await number(select(func.count(Order.id)).where(Order.placed_at > now() - timedelta(days=1))),
        average_rating=float(await session.scalar(select(func.avg(Review.rating))) or 0),
        cart_size=await number(select(func.sum(CartLine.quantity)).where(CartLine.cart_id == cart_id)),
    )
