"""Receipts by mail, sent when the customer already has the answer."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import joinedload

from demo.shop.models import Order

logger = logging.getLogger("shop.receipts")


async def send_receipt(sessions: async_sessionmaker[AsyncSession], order_id: int) -> None:
    """Mail the receipt of a paid order."""
    async with sessions() as session:
        order = await session.scalar(select(Order).where(Order.id == order_id).options(joinedload(Order.customer)))
    if order is None:
        return
    await asyncio.sleep(0.15)
    logger.info("receipt of order %s sent to customer %d", order.number, order.customer_id)
