"""Buying what is in the cart."""

from __future__ import annotations

import logging
import secrets

from fastapi import APIRouter, BackgroundTasks, HTTPException, Request
from pydantic import BaseModel, Field
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

import brakit
from demo.shop.answers import OrderItemView, OrderPage
from demo.shop.database import Session
from demo.shop.models import CartLine, Coupon, Order, OrderItem
from demo.shop.payments import CardDeclined, Gateway, PaymentsUnavailable
from demo.shop.pricing import total_of
from demo.shop.problems import report
from demo.shop.receipts import send_receipt
from demo.shop.routes.cart import CartId, lines_of
from demo.shop.sessions import SignedIn

router = APIRouter()
logger = logging.getLogger("shop.checkout")


class Purchase(BaseModel):
    card: str = Field(max_length=64)
    coupon: str | None = Field(default=None, max_length=20)


async def _coupon(session: AsyncSession, code: str | None) -> Coupon | None:
    if code is None:
        return None
    coupon = await session.get(Coupon, code.upper())
    if coupon is None:
        raise HTTPException(422, "This coupon is not known.")
    return coupon


@router.post("/checkout", status_code=201)
async def check_out(
    purchase: Purchase,
    request: Request,
    background: BackgroundTasks,
    customer: SignedIn,
    session: Session,
    cart_id: CartId,
    payments: Gateway,
) -> OrderPage:
    """Turn the cart into an order and pay for it: 402 when the bank declines, 502 when the payments service is down."""
    lines = await lines_of(session, cart_id)
    if not lines:
        raise HTTPException(409, "The cart is empty.")
    coupon = await _coupon(session, purchase.coupon)
    with brakit.span("price cart", lines=len(lines)):
        total = total_of(lines, coupon)

    order = Order(number=secrets.token_hex(5).upper(), customer_id=customer.id, state="pending", total_cents=total)
    order.items = [
        OrderItem(product_id=line.product_id, quantity=line.quantity, price_cents=line.product.price_cents) for line in lines
    ]
    session.add(order)
    await session.commit()

    try:
        order.payment_id = await payments.pay(order.number, total, purchase.card)
    except CardDeclined as declined:
        order.state = "declined"
        await session.commit()
        logger.warning("order %s: card declined (%s)", order.number, declined)
        raise HTTPException(402, f"Your card was declined: {declined}.") from declined
    except PaymentsUnavailable as unavailable:
        order.state = "failed"
        await session.commit()
        report(unavailable, f"paying for order {order.number}")
        raise HTTPException(502, "We cannot take payments right now.") from unavailable

    order.state = "paid"
    for line in lines:
        line.product.stock -= line.quantity
    await session.execute(delete(CartLine).where(CartLine.cart_id == cart_id))
    await session.commit()
    logger.info("order %s paid", order.number, extra={"total_cents": total, "lines": len(lines)})
    background.add_task(send_receipt, request.app.state.sessions, order.id)
    return OrderPage(
        number=order.number,
        placed_at=order.placed_at,
        state=order.state,
        total_cents=total,
        items=[OrderItemView.model_validate(item) for item in order.items],
        payment="captured",
    )
