"""What a customer sees of their own orders."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from demo.shop.answers import Account, OrderItemView, OrderPage, OrderStatus, OrderView
from demo.shop.database import Session
from demo.shop.models import Order
from demo.shop.payments import Gateway
from demo.shop.sessions import SignedIn

router = APIRouter()


@router.get("/account")
async def account(customer: SignedIn, session: Session, payments: Gateway) -> Account:
    """The customer, and how their last payments went."""
    newest = select(Order).where(Order.customer_id == customer.id).order_by(Order.placed_at.desc()).limit(6)
    recent = []
    for order in await session.scalars(newest):
        payment = await payments.state(order.payment_id) if order.payment_id else None
        recent.append(OrderStatus(number=order.number, total_cents=order.total_cents, payment=payment))
    return Account(name=customer.name, email=customer.email, joined_at=customer.joined_at, recent=recent)


@router.get("/account/orders")
async def orders(customer: SignedIn, session: Session) -> list[OrderView]:
    """The customer's order history, newest first."""
    history = []
    placed = select(Order).where(Order.customer_id == customer.id).order_by(Order.placed_at.desc()).limit(25)
    for order in (await session.scalars(placed)).all():
        items = await order.awaitable_attrs.items
        history.append(
            OrderView(
                number=order.number,
                placed_at=order.placed_at,
                state=order.state,
                total_cents=order.total_cents,
                items=[OrderItemView.model_validate(item) for item in items],
            )
        )
    return history


@router.get("/orders/{number}")
async def order(number: str, customer: SignedIn, session: Session, payments: Gateway) -> OrderPage:
    """One order, with the state of its payment."""
    found = await session.scalar(select(Order).where(Order.number == number).options(selectinload(Order.items)))
    if found is None or found.customer_id != customer.id:
        raise HTTPException(404, "There is no such order.")
    page = OrderPage.model_validate(found)
    if found.payment_id:
        page.payment = await payments.state(found.payment_id)
    return page
