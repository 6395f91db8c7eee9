"""Looking for things: categories, products, search."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from demo.shop.answers import CategoryLink, Listing, ProductPage, ReviewNote
from demo.shop.database import Session
from demo.shop.models import Category, Product, Review
from demo.shop.routes.home import cards

router = APIRouter()


@router.get("/categories/{slug}")
async def category(slug: str, session: Session, page: Annotated[int, Query(ge=1)] = 1) -> Listing:
    """One page of a category, cheapest first."""
    found = await session.scalar(select(Category).where(Category.slug == slug))
    if found is None:
        raise HTTPException(404, "There is no such category.")
    listed = select(Product).where(Product.category_id == found.id).order_by(Product.price_cents)
    products = await session.scalars(listed.limit(12).offset(12 * (page - 1)))
    return Listing(title=found.name, products=cards(products.all()))


@router.get("/products/{product_id}")
async def product(product_id: int, session: Session) -> ProductPage:
    """A product with what people say about it."""
    found = await session.scalar(select(Product).where(Product.id == product_id).options(joinedload(Product.category)))
    if found is None:
        raise HTTPException(404, "There is no such product.")
    notes = []
    reviews = await session.scalars(
        select(Review).where(Review.product_id == product_id).order_by(Review.written_at.desc()).limit(12)
    )
    for review in reviews.all():
        author = await review.awaitable_attrs.author
        notes.append(ReviewNote(author=author.name, rating=review.rating, text=review.text, written_at=review.written_at))
    return ProductPage(
        id=found.id,
        name=found.name,
        price_cents=found.price_cents,
        image=found.image,
        description=found.description,
        in_stock=found.stock > 0,
        category=CategoryLink.model_validate(found.category),
        reviews=notes,
    )


@router.get("/search")
async def search(session: Session, q: Annotated[str, Query(min_length=2, max_length=80)]) -> Listing:
    """Products whose name or description has `q` in it."""
    matching = or_(Product.name.icontains(q, autoescape=True), Product.description.icontains(q, autoescape=True))
    products = await session.scalars(select(Product).where(matching).order_by(Product.name).limit(20))
    return Listing(title=f"Results for {q}", products=cards(products.all()))
