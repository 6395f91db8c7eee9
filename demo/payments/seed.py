"""The payments of the shop's past orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from demo.payments.models import Model, Payment
from demo.shop.seed import Paid


def seed(path: Path, paid: Sequence[Paid]) -> None:
    """Create the payments database at `path` with a payment for each of `paid`."""
    engine = create_engine(f"sqlite:///{path}")
    Model.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(
            [
                Payment(
                    id=payment.id,
                    reference=payment.reference,
                    state="captured" if payment.captured else "authorised",
                    amount_cents=payment.amount_cents,
                    captured_cents=payment.amount_cents if payment.captured else 0,
                    created_at=datetime.now(UTC).replace(tzinfo=None),
                )
                for payment in paid
            ]
        )
        session.commit()
    engine.dispose()
