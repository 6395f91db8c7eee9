"""Who is asking: log-in sessions in a cookie."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Annotated

from fastapi import Cookie, Depends, HTTPException
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

import brakit
from demo.shop.database import Session
from demo.shop.models import Customer, Login, now

COOKIE = "shop_session"


async def open_login(session: AsyncSession, customer: Customer, days: int) -> str:
    """Store a new log-in of `customer` and return its token; the caller commits."""
    token = secrets.token_urlsafe(32)
    session.add(Login(token_hash=_digest(token), customer_id=customer.id, expires_at=now() + timedelta(days=days)))
    return token


async def close_login(session: AsyncSession, token: str) -> None:
    """Forget the log-in of `token`, if there is one; the caller commits."""
    await session.execute(delete(Login).where(Login.token_hash == _digest(token)))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def _visitor(session: Session, shop_session: Annotated[str | None, Cookie()] = None) -> Customer | None:
    if shop_session is None:
        return None
    found = select(Login).where(Login.token_hash == _digest(shop_session)).options(joinedload(Login.customer))
    login = await session.scalar(found)
    if login is None or login.expires_at < now():
        return None
    return login.customer


Visitor = Annotated[Customer | None, Depends(_visitor)]


async def _signed_in(visitor: Visitor) -> Customer:
    brakit.auth_check("session", result="allowed" if visitor else "anonymous", subject_kind="user")
    if visitor is None:
        raise HTTPException(401, "Please log in.")
    return visitor


SignedIn = Annotated[Customer, Depends(_signed_in)]


async def _staff(customer: SignedIn) -> Customer:
    brakit.auth_check("session", result="allowed" if customer.is_staff else "denied", subject_kind="user", checked="staff")
    if not customer.is_staff:
        raise HTTPException(403, "For staff only.")
    return customer


Staff = Annotated[Customer, Depends(_staff)]
