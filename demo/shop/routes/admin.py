"""The back office."""

from __future__ import annotations

import csv
import io
import logging
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from fastapi import APIRouter, HTTPException, Request, UploadFile
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from demo.shop.answers import StockLine
from demo.shop.database import Session
from demo.shop.models import Customer, Order, Product
from demo.shop.payments import Gateway, PaymentsUnavailable
from demo.shop.problems import report
from demo.shop.sessions import Staff
from demo.shop.stock import STOCK_ALERT

router = APIRouter(prefix="/admin")
logger = logging.getLogger("shop.admin")

IMAGE_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}


@router.get("/reports/stock")
async def stock_report(staff: Staff, session: Session, days: int = 60) -> list[StockLine]:
    """Products that will be gone within `days` at the rate of their best day."""
    rows = (await session.execute(STOCK_ALERT, {"days": f"-{days} days"})).mappings()
    lines = [StockLine.model_validate(dict(row)) for row in rows]
    logger.info("stock report: %d products to order", len(lines))
    return lines


async def _order_rows(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[str]:
    columns = select(Order.number, Order.placed_at, Order.state, Order.total_cents, Customer.email).join(Order.customer)
    yield "number,placed_at,state,total_cents,email\r\n"
    async with sessions() as session:
        rows = await session.stream(columns.order_by(Order.id).execution_options(yield_per=200))
        async for chunk in rows.partitions():
            text = io.StringIO()
            csv.writer(text).writerows(chunk)
            yield text.getvalue()


@router.get("/orders.csv")
async def export_orders(staff: Staff, request: Request) -> StreamingResponse:
    """All orders as CSV, row by row as the database gives them."""
    return StreamingResponse(
        _order_rows(request.app.state.sessions),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="orders.csv"'},
    )


@router.post("/products/{product_id}/image", status_code=201)
async def upload_image(product_id: int, image: UploadFile, staff: Staff, request: Request, session: Session) -> dict[str, str]:
    """Replace a product's image."""
    product = await session.get(Product, product_id)
    if product is None:
        raise HTTPException(404, "There is no such product.")
    suffix = IMAGE_SUFFIXES.get(image.content_type or "")
    if suffix is None:
        raise HTTPException(415, "Images are PNG, JPEG or WebP.")
    largest: int = request.app.state.settings.largest_image_bytes
    content = await image.read(largest + 1)
    if len(content) > largest:
        raise HTTPException(413, "This image is too large.")
    name = f"{product_id}-{secrets.token_hex(4)}{suffix}"
    uploads: Path = request.app.state.settings.uploads
    await anyio.Path(uploads / name).write_bytes(content)
    product.image = f"/images/{name}"
    await session.commit()
    logger.info("product %d has a new image of %d bytes", product_id, len(content))
    return {"image": product.image}


@router.post("/orders/{number}/refund")
async def refund(number: str, staff: Staff, session: Session, payments: Gateway) -> dict[str, str]:
    """Pay an order back."""
    order = await session.scalar(select(Order).where(Order.number == number))
    if order is None or order.payment_id is None:
        raise HTTPException(404, "There is no such order, or it was never paid.")
    try:
        await payments.refund(order.payment_id, order.total_cents)
    except PaymentsUnavailable as unavailable:
        report(unavailable, f"refunding order {number}")
        raise HTTPException(502, "The refund did not go through.") from unavailable
    order.state = "refunded"
    await session.commit()
    logger.info("order %s refunded", number)
    return {"state": order.state}
