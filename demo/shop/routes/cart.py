"""The cart: it belongs to a cookie, logged in or not."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, HTTPException, Response
from pydantic import BaseModel, Field
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from demo.shop.answers import Cart, CartLineView
from demo.shop.database import Session
from demo.shop.models import CartLine, Product

router = APIRouter(prefix="/cart")


def _cart_id(response: Response, cart: Annotated[str | None, Cookie(max_length=32)] = None) -> str:
    if cart is None:
        cart = secrets.token_hex(16)
        response.set_cookie("cart", cart, max_age=30 * 86_400, httponly=True, samesite="lax")
    return cart


CartId = Annotated[str, Depends(_cart_id)]


class NewLine(BaseModel):
    product_id: int
    quantity: int = Field(default=1, ge=1, le=20)


async def lines_of(session: AsyncSession, cart_id: str) -> list[CartLine]:
    """The cart's lines, with their products."""
    lines = select(CartLine).where(CartLine.cart_id == cart_id).options(joinedload(CartLine.product))
    return list(await session.scalars(lines.order_by(CartLine.id)))


async def _shown(session: AsyncSession, cart_id: str) -> Cart:
    lines = await lines_of(session, cart_id)
    return Cart(
        lines=[CartLineView.model_validate(line) for line in lines],
        total_cents=sum(line.quantity * line.product.price_cents for line in lines),
    )


@router.get("")
async def show(session: Session, cart_id: CartId) -> Cart:
    """What is in the cart."""
    return await _shown(session, cart_id)


@router.post("/lines", status_code=201)
async def add(line: NewLine, session: Session, cart_id: CartId) -> Cart:
    """Put a product into the cart, or more of it."""
    product = await session.get(Product, line.product_id)
    if product is None:
        raise HTTPException(404, "There is no such product.")
    if product.stock < line.quantity:
        raise HTTPException(409, "There are not enough of these left.")
    found = await session.scalar(
        select(CartLine).where(CartLine.cart_id == cart_id, CartLine.product_id == line.product_id).limit(1)
    )
    if found is None:
        session.add(CartLine(cart_id=cart_id, product_id=line.product_id, quantity=line.quantity))
    else:
        found.quantity += line.quantity
    await session.commit()
    return await _shown(session, cart_id)


@router.delete("/lines/{line_id}")
async def remove(line_id: int, session: Session, cart_id: CartId) -> Cart:
    """Take a line out of the cart."""
    await session.execute(delete(CartLine).where(CartLine.id == line_id, CartLine.cart_id == cart_id))
    await session.commit()
    return await _shown(session, cart_id)
