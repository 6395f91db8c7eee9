"""What the payments service keeps. Amounts are in cents."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Model(DeclarativeBase):
    """Root of the mapped classes."""


class Payment(Model):
    __tablename__ = "payments"

    id: Mapped[str] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(index=True)
    state: Mapped[str]
    amount_cents: Mapped[int]
    captured_cents: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC).replace(tzinfo=None))

    refunds: Mapped[list[Refund]] = relationship(back_populates="payment")


class Refund(Model):
    __tablename__ = "refunds"

    id: Mapped[int] = mapped_column(primary_key=True)
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), index=True)
    amount_cents: Mapped[int]

    payment: Mapped[Payment] = relationship(back_populates="refunds")
