"""The payments API."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from flask import Blueprint, abort, current_app, request
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from demo.payments.models import Payment, Refund
from demo.payments.processor import Declined, NetworkDown, authorise

payments = Blueprint("payments", __name__)
logger = logging.getLogger("payments")

Reply = tuple[dict[str, Any], int]


def _session() -> Session:
    sessions: sessionmaker[Session] = current_app.config["SESSIONS"]
    return sessions()


def _shown(payment: Payment) -> dict[str, Any]:
    return {
        "id": payment.id,
        "reference": payment.reference,
        "state": payment.state,
        "amountCents": payment.amount_cents,
        "capturedCents": payment.captured_cents,
    }


def _found(session: Session, payment_id: str) -> Payment:
    payment = session.get(Payment, payment_id)
    if payment is None:
        abort(404)
    return payment


@payments.post("/payments")
def create() -> Reply:
    """Authorise a card: 201, or 402 with the issuer's reason, or 502 when the card network is silent."""
    body = request.get_json()
    payment = Payment(
        id=f"pay_{secrets.token_hex(6)}", reference=body["reference"], amount_cents=body["amountCents"], state="authorised"
    )
    try:
        authorise(body["card"], payment.amount_cents)
    except Declined as declined:
        logger.warning("%s declined: %s", payment.reference, declined)
        payment.state = "declined"
        with _session() as session, session.begin():
            session.add(payment)
        return {"reason": str(declined)}, 402
    except NetworkDown as down:
        logger.error("%s: card network is down (%s)", payment.reference, down)
        return {"reason": "card network unavailable"}, 502
    with _session() as session, session.begin():
        session.add(payment)
        shown = _shown(payment)
    logger.info("%s authorised for %d cents", payment.reference, payment.amount_cents)
    return shown, 201


@payments.post("/payments/<payment_id>/capture")
def capture(payment_id: str) -> Reply:
    """Take the reserved money."""
    with _session() as session, session.begin():
        payment = _found(session, payment_id)
        if payment.state != "authorised":
            abort(409)
        payment.state = "captured"
        payment.captured_cents = payment.amount_cents
        shown = _shown(payment)
    return shown, 200


@payments.post("/payments/<payment_id>/refunds")
def refund(payment_id: str) -> Reply:
    """Give money back, all or a part of it."""
    amount = int(request.get_json()["amountCents"])
    with _session() as session, session.begin():
        payment = _found(session, payment_id)
        before = session.scalar(select(func.sum(Refund.amount_cents)).where(Refund.payment_id == payment_id)) or 0
        share = (before + amount) / payment.captured_cents
        if share > 1:
            abort(409)
        session.add(Refund(payment_id=payment_id, amount_cents=amount))
        payment.state = "refunded" if share == 1 else "partly refunded"
        shown = _shown(payment)
    logger.info("%s refunded by %d cents (%.0f %%)", shown["reference"], amount, share * 100)
    return shown, 201


@payments.get("/payments")
def listing() -> Reply:
    """Payments, newest first; `?reference=` narrows them to one order."""
    wanted = select(Payment).order_by(Payment.created_at.desc()).limit(50)
    if reference := request.args.get("reference"):
        wanted = wanted.where(Payment.reference == reference)
    with _session() as session:
        return {"payments": [_shown(payment) for payment in session.scalars(wanted)]}, 200


@payments.get("/payments/<payment_id>")
def show(payment_id: str) -> Reply:
    """One payment."""
    with _session() as session:
        return _shown(_found(session, payment_id)), 200


@payments.get("/health")
def health() -> Reply:
    with _session() as session:
        session.execute(select(1))
    return {"status": "ok"}, 200
